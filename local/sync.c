/* sync.c - see sync.h. */
#include "local/sync.h"

#include <sys/stat.h>

struct syncer {
	struct ev *ev;
	struct ev_pool *pool;
	struct sync_item *waiting,
	    **tail; /* oldest first: its descriptor reports every write error since it was opened */
	unsigned nwaiting;
	unsigned alone;		    /* fsyncs that are running */
	struct sync_item *together; /* those that the running syncfs is for */
	struct ev_work work;
	int rc, sys;
	uint64_t started, alone_until; /* ms */
	struct ev_defer turn;
};

static void next_group(struct syncer *s);

static void alone_run(struct ev_work *w)
{
	struct sync_item *i = container_of(w, struct sync_item, work);

	i->rc = mdir_save_sync(&i->m, &i->err);
}

static void alone_done(struct ev_work *w)
{
	struct sync_item *i = container_of(w, struct sync_item, work);
	struct syncer *s = i->syncer;

	i->done(i);
	if (--s->alone == 0)
		next_group(s);
}

static void together_run(struct ev_work *w)
{
	struct syncer *s = container_of(w, struct syncer, work);

	s->rc = syncfs(s->together->m.out);
	s->sys = errno;
}

static void together_done(struct ev_work *w)
{
	struct syncer *s = container_of(w, struct syncer, work);
	struct sync_item *i = s->together, *next;
	uint64_t now = clock_mono_ms();

	if (now - s->started > SYNC_SLOW_MS)
		s->alone_until = now + SYNC_ALONE_MS;
	s->together = NULL;
	for (; i; i = next) {
		next = i->next;
		mdir_save_abandon(&i->m);
		i->rc = 0;
		if (s->rc < 0) {
			errno = s->sys;
			i->rc = err_sys(&i->err, "cannot sync the file system");
		}
		i->done(i);
	}
	next_group(s);
}

static void start_alone(struct syncer *s, struct sync_item *i)
{
	s->alone++;
	i->work = (struct ev_work){.run = alone_run, .done = alone_done};
	ev_work(s->pool, &i->work);
}

/* Everything that waits is on its way after this: those on the file system of the first one, and the others. */
static void next_group(struct syncer *s)
{
	struct sync_item *i = s->waiting, *next, **tail = &s->together;
	bool many = s->nwaiting >= SYNC_TOGETHER && clock_mono_ms() >= s->alone_until;

	if (!i || s->alone > 0 || s->together)
		return;
	s->waiting = NULL;
	s->tail = &s->waiting;
	s->nwaiting = 0;
	for (dev_t dev = i->dev; i; i = next) {
		next = i->next;
		i->next = NULL;
		if (many && i->dev == dev) {
			*tail = i;
			tail = &i->next;
		} else {
			start_alone(s, i);
		}
	}
	if (s->together) {
		s->started = clock_mono_ms();
		s->work = (struct ev_work){.run = together_run, .done = together_done};
		ev_work(s->pool, &s->work);
	}
}

static void turn_over(struct ev_defer *d)
{
	next_group(container_of(d, struct syncer, turn));
}

struct syncer *syncer_new(struct ev *ev, struct ev_pool *pool)
{
	struct syncer *s = xcalloc(1, sizeof(*s));

	s->ev = ev;
	s->pool = pool;
	s->tail = &s->waiting;
	return s;
}

void sync_add(struct syncer *s, struct sync_item *i)
{
	struct stat st;

	i->syncer = s;
	i->next = NULL;
	i->dev = fstat(i->m.out, &st) == 0 ? st.st_dev : 0;
	*s->tail = i;
	s->tail = &i->next;
	s->nwaiting++;
	ev_defer(s->ev, &s->turn, turn_over);
}
