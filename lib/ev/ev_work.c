/* ev_work.c - a bounded pool of threads for calls that wait for the disk; see ev_work.h. */
#include "ev/ev_work.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#define WORK_STACK (64 * 1024)

struct ev_pool {
	struct ev *ev;
	struct ev_io io; /* eventfd: something is done */
	int efd;
	unsigned max, started, idle;
	size_t pending; /* loop side: handed in and not yet given back */
	bool stopping;
	pthread_t *threads;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ev_work *todo, **todo_tail;
	struct ev_work *finished;
};

static void *work_thread(void *arg)
{
	struct ev_pool *p = arg;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->todo == NULL && !p->stopping) {
			p->idle++;
			pthread_cond_wait(&p->wake, &p->lock);
			p->idle--;
		}
		struct ev_work *w = p->todo;
		if (w == NULL)
			break;
		p->todo = w->next;
		if (p->todo == NULL)
			p->todo_tail = &p->todo;
		pthread_mutex_unlock(&p->lock);
		w->run(w);
		pthread_mutex_lock(&p->lock);
		bool first = p->finished == NULL; /* one wake-up of the loop for all that finish before it looks */
		w->next = p->finished;
		p->finished = w;
		if (first) {
			uint64_t one = 1;
			ssize_t unused ATTR_UNUSED = write(p->efd, &one, sizeof(one));
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static void finished(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct ev_pool *p = container_of(io, struct ev_pool, io);
	uint64_t count;
	ssize_t unused ATTR_UNUSED = read(p->efd, &count, sizeof(count));

	pthread_mutex_lock(&p->lock);
	struct ev_work *list = p->finished, *ordered = NULL;
	p->finished = NULL;
	pthread_mutex_unlock(&p->lock);
	while (list != NULL) { /* the list is newest first; hand back in order of completion */
		struct ev_work *next = list->next;
		list->next = ordered;
		ordered = list;
		list = next;
	}
	while (ordered != NULL) {
		struct ev_work *w = ordered;
		ordered = w->next;
		p->pending--;
		w->done(w);
	}
}

struct ev_pool *ev_pool_new(struct ev *ev, unsigned threads)
{
	struct ev_pool *p = xcalloc(1, sizeof(*p));
	p->ev = ev;
	p->max = threads;
	p->threads = xcalloc(threads, sizeof(*p->threads));
	p->todo_tail = &p->todo;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	p->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	BUG_ON(p->efd < 0 || ev_io_start(ev, &p->io, p->efd, EPOLLIN, finished) < 0);
	return p;
}

/* Called with the lock held. */
static void start_thread(struct ev_pool *p)
{
	pthread_attr_t attr;
	sigset_t all, before;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORK_STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	if (pthread_create(&p->threads[p->started], &attr, work_thread, p) == 0)
		p->started++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

void ev_work(struct ev_pool *p, struct ev_work *w)
{
	w->next = NULL;
	p->pending++;
	pthread_mutex_lock(&p->lock);
	*p->todo_tail = w;
	p->todo_tail = &w->next;
	if (p->pending > p->started && p->started < p->max)
		start_thread(p);
	BUG_ON(p->started == 0); /* not even one thread can be had: nothing would ever be synced */
	if (p->idle > 0)
		pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

size_t ev_pool_pending(const struct ev_pool *p)
{
	return p->pending;
}

void ev_pool_free(struct ev_pool **pp)
{
	struct ev_pool *p = *pp;
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	finished(&p->io, 0);
	ev_io_stop(&p->io);
	close(p->efd);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->wake);
	free(p->threads);
	free(p);
	*pp = NULL;
}
