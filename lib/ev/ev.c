/* ev.c - the event loop; see ev.h. */
#include "ev/ev.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define EV_BATCH 256	   /* events fetched per epoll_wait */
#define EV_DEFER_TURN 1024 /* deferred calls of one turn; more wait for the next, which does not sleep */

struct pending_free {
	struct pending_free *next;
	void *p;
};

struct ev {
	int epfd;
	bool stopped;
	uint64_t now;
	struct ev_timer **heap; /* binary heap by due, 1-based */
	size_t nheap, heap_cap;
	struct ev_defer *defer_head, **defer_tail;
	struct pending_free *frees;
	struct epoll_event batch[EV_BATCH];
};

struct ev *ev_new(void)
{
	struct ev *ev = xcalloc(1, sizeof(*ev));
	ev->epfd = epoll_create1(EPOLL_CLOEXEC);
	BUG_ON(ev->epfd < 0);
	ev->defer_tail = &ev->defer_head;
	ev->now = clock_mono_ms();
	return ev;
}

static void run_frees(struct ev *ev)
{
	while (ev->frees != NULL) {
		struct pending_free *f = ev->frees;
		ev->frees = f->next;
		free(f->p);
		free(f);
	}
}

void ev_free(struct ev **evp)
{
	struct ev *ev = *evp;
	if (ev == NULL)
		return;
	run_frees(ev);
	close(ev->epfd);
	free(ev->heap);
	free(ev);
	*evp = NULL;
}

uint64_t ev_now(const struct ev *ev)
{
	return ev->now;
}

void ev_stop(struct ev *ev)
{
	ev->stopped = true;
}

/* --- descriptors --- */

int ev_io_start(struct ev *ev, struct ev_io *io, int fd, uint32_t events, void (*cb)(struct ev_io *, uint32_t))
{
	struct epoll_event e = {.events = events, .data.ptr = io};
	if (epoll_ctl(ev->epfd, EPOLL_CTL_ADD, fd, &e) < 0)
		return -1;
	*io = (struct ev_io){.fd = fd, .events = events, .cb = cb, .ev = ev};
	return 0;
}

void ev_io_set(struct ev_io *io, uint32_t events)
{
	if (io->ev == NULL || io->events == events)
		return;
	struct epoll_event e = {.events = events, .data.ptr = io};
	BUG_ON(epoll_ctl(io->ev->epfd, EPOLL_CTL_MOD, io->fd, &e) < 0);
	io->events = events;
}

void ev_io_stop(struct ev_io *io)
{
	if (io->ev == NULL)
		return;
	struct epoll_event unused = {0};
	epoll_ctl(io->ev->epfd, EPOLL_CTL_DEL, io->fd, &unused);
	if (io->slot > 0)
		io->ev->batch[io->slot - 1].data.ptr = NULL; /* fetched already: do not deliver */
	io->slot = 0;
	io->ev = NULL;
}

/* --- timers: a binary heap, heap[1] is the next --- */

static void heap_put(struct ev *ev, size_t at, struct ev_timer *t)
{
	ev->heap[at] = t;
	t->at = at;
}

static void heap_up(struct ev *ev, size_t at)
{
	struct ev_timer *t = ev->heap[at];
	while (at > 1 && ev->heap[at / 2]->due > t->due) {
		heap_put(ev, at, ev->heap[at / 2]);
		at /= 2;
	}
	heap_put(ev, at, t);
}

static void heap_down(struct ev *ev, size_t at)
{
	struct ev_timer *t = ev->heap[at];
	for (;;) {
		size_t child = at * 2;
		if (child > ev->nheap)
			break;
		if (child < ev->nheap && ev->heap[child + 1]->due < ev->heap[child]->due)
			child++;
		if (ev->heap[child]->due >= t->due)
			break;
		heap_put(ev, at, ev->heap[child]);
		at = child;
	}
	heap_put(ev, at, t);
}

void ev_timer_start(struct ev *ev, struct ev_timer *t, uint64_t after_ms, void (*cb)(struct ev_timer *))
{
	uint64_t due = clock_mono_ms() + after_ms, before = t->due;

	t->cb = cb;
	t->ev = ev;
	t->due = due;
	if (t->at != 0) {
		if (due < before)
			heap_up(ev, t->at);
		else
			heap_down(ev, t->at);
		return;
	}
	if (ev->nheap + 2 > ev->heap_cap) {
		ev->heap_cap = ev->heap_cap ? ev->heap_cap * 2 : 64;
		ev->heap = xreallocarray(ev->heap, ev->heap_cap, sizeof(*ev->heap));
	}
	heap_put(ev, ++ev->nheap, t);
	heap_up(ev, ev->nheap);
}

void ev_timer_stop(struct ev_timer *t)
{
	if (t->at == 0)
		return;
	struct ev *ev = t->ev;
	struct ev_timer *last = ev->heap[ev->nheap--];
	if (last != t) {
		size_t at = t->at;
		heap_put(ev, at, last);
		heap_up(ev, at);
		heap_down(ev, last->at);
	}
	t->at = 0;
}

static int next_timeout(struct ev *ev, int timeout_ms)
{
	if (ev->defer_head != NULL || ev->stopped)
		return 0;
	if (ev->nheap == 0)
		return timeout_ms;
	uint64_t now = clock_mono_ms(), due = ev->heap[1]->due;
	uint64_t wait = due > now ? due - now : 0;
	if (wait > 3600000)
		wait = 3600000;
	return timeout_ms >= 0 && (uint64_t)timeout_ms < wait ? timeout_ms : (int)wait;
}

static void run_timers(struct ev *ev)
{
	while (ev->nheap > 0 && ev->heap[1]->due <= ev->now) {
		struct ev_timer *t = ev->heap[1];
		ev_timer_stop(t);
		t->cb(t);
	}
}

/* --- end of the turn --- */

void ev_defer(struct ev *ev, struct ev_defer *d, void (*cb)(struct ev_defer *))
{
	d->cb = cb;
	if (d->queued)
		return;
	d->queued = true;
	d->next = NULL;
	*ev->defer_tail = d;
	ev->defer_tail = &d->next;
}

void ev_defer_cancel(struct ev *ev, struct ev_defer *d)
{
	if (!d->queued)
		return;
	for (struct ev_defer **at = &ev->defer_head; *at != NULL; at = &(*at)->next) {
		if (*at != d)
			continue;
		*at = d->next;
		if (*at == NULL)
			ev->defer_tail = at;
		break;
	}
	d->queued = false;
}

void ev_free_later(struct ev *ev, void *p)
{
	struct pending_free *f = xmalloc(sizeof(*f));
	f->p = p;
	f->next = ev->frees;
	ev->frees = f;
}

static void run_deferred(struct ev *ev)
{
	/* A client that always has more can keep a chain of them going for ever; the others have their turn too. */
	for (int i = 0; i < EV_DEFER_TURN && ev->defer_head != NULL; i++) {
		struct ev_defer *d = ev->defer_head;
		ev->defer_head = d->next;
		if (ev->defer_head == NULL)
			ev->defer_tail = &ev->defer_head;
		d->queued = false;
		d->cb(d);
	}
	run_frees(ev);
}

bool ev_turn(struct ev *ev, int timeout_ms)
{
	int n = epoll_wait(ev->epfd, ev->batch, EV_BATCH, next_timeout(ev, timeout_ms));

	ev->now = clock_mono_ms();
	BUG_ON(n < 0 && errno != EINTR);
	for (int i = 0; i < n; i++)
		((struct ev_io *)ev->batch[i].data.ptr)->slot = i + 1;
	for (int i = 0; i < n; i++) {
		struct ev_io *io = ev->batch[i].data.ptr;
		if (io == NULL)
			continue;
		io->slot = 0;
		io->cb(io, ev->batch[i].events);
	}
	run_timers(ev);
	run_deferred(ev);
	return !ev->stopped;
}

int ev_run(struct ev *ev)
{
	ev->stopped = false;
	while (ev_turn(ev, -1))
		;
	return 0;
}

/* --- signals and children --- */

static void signal_ready(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct ev_signal *s = container_of(io, struct ev_signal, io);
	struct signalfd_siginfo info;
	while (s->io.ev != NULL && read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		s->cb(s, (int)info.ssi_signo);
}

int ev_signal_start(
    struct ev *ev, struct ev_signal *s, const int *signos, size_t n, void (*cb)(struct ev_signal *, int))
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signos[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	s->cb = cb;
	return fd < 0 ? -1 : ev_io_start(ev, &s->io, fd, EPOLLIN, signal_ready);
}

static void child_ended(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct ev_child *c = container_of(io, struct ev_child, io);
	int status = 0;
	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return;
	ev_child_stop(c);
	c->cb(c, status);
}

int ev_child_start(struct ev *ev, struct ev_child *c, pid_t pid, void (*cb)(struct ev_child *, int))
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	c->pid = pid;
	c->cb = cb;
	return fd < 0 ? -1 : ev_io_start(ev, &c->io, fd, EPOLLIN, child_ended);
}

void ev_child_stop(struct ev_child *c)
{
	if (c->io.ev == NULL)
		return;
	ev_io_stop(&c->io);
	close(c->io.fd);
}
