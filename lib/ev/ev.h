/*
 * ev.h - the event loop: epoll, a heap of timers, signals, children, work deferred to the end of the turn.  One loop
 * per process, one thread.  All objects are embedded in the caller's structs and owned by the caller; a callback may
 * stop and free any object, its own included (events already fetched for a stopped object are not delivered).  A
 * callback drains its descriptor to EAGAIN or a budget and never blocks.
 */
#ifndef MERPATI_EV_H
#define MERPATI_EV_H

#include <sys/epoll.h>

#include "base/base.h"
#include "base/clock.h"

struct ev;
struct ev *ev_new(void);
void ev_free(struct ev **ev);
int ev_run(struct ev *ev); /* until ev_stop; returns 0 */
void ev_stop(struct ev *ev);
bool ev_turn(struct ev *ev, int timeout_ms); /* one turn; false after ev_stop (tests, tools) */
uint64_t ev_now(const struct ev *ev);	     /* clock_mono_ms() at the start of this turn */

/* Descriptors.  events: EPOLLIN, EPOLLOUT, EPOLLRDHUP; EPOLLERR and EPOLLHUP are always reported.  Level-triggered. */
struct ev_io {
	int fd;
	uint32_t events;
	void (*cb)(struct ev_io *io, uint32_t events);
	struct ev *ev; /* NULL while stopped */
	int slot;      /* private: place in the current batch + 1 */
};
int ev_io_start(struct ev *ev, struct ev_io *io, int fd, uint32_t events, void (*cb)(struct ev_io *, uint32_t));
void ev_io_set(struct ev_io *io, uint32_t events); /* changes the interest; no system call when it is the same */
void ev_io_stop(struct ev_io *io);		   /* before close(fd); no effect when stopped */

/* One-shot timers; a heap, O(log n). Starting a running timer moves it. */
struct ev_timer {
	uint64_t due; /* ms, clock_mono */
	void (*cb)(struct ev_timer *t);
	struct ev *ev;
	size_t at; /* private: heap place + 1, 0 while stopped */
};
void ev_timer_start(struct ev *ev, struct ev_timer *t, uint64_t after_ms, void (*cb)(struct ev_timer *));
void ev_timer_stop(struct ev_timer *t);
static inline bool ev_timer_active(const struct ev_timer *t)
{
	return t->at != 0;
}

/* Runs cb once at the end of this turn (before the next wait): batching of writes, deferred free.  Idempotent. */
struct ev_defer {
	void (*cb)(struct ev_defer *d);
	struct ev_defer *next;
	bool queued;
};
void ev_defer(struct ev *ev, struct ev_defer *d, void (*cb)(struct ev_defer *));
void ev_defer_cancel(struct ev *ev, struct ev_defer *d);
void ev_free_later(struct ev *ev, void *p); /* free(p) at the end of the turn */

/* Signals by signalfd; the signal is blocked in this process.  Call before threads. */
struct ev_signal {
	struct ev_io io;
	void (*cb)(struct ev_signal *s, int signo);
};
int ev_signal_start(
    struct ev *ev, struct ev_signal *s, const int *signos, size_t n, void (*cb)(struct ev_signal *, int));

/* End of a child process by pidfd; status as of waitpid(2). */
struct ev_child {
	struct ev_io io;
	pid_t pid;
	void (*cb)(struct ev_child *c, int status);
};
int ev_child_start(struct ev *ev, struct ev_child *c, pid_t pid, void (*cb)(struct ev_child *, int));
void ev_child_stop(struct ev_child *c);

#endif
