/*
 * ev_work.h - the one helper beside the loop: a bounded pool of threads that runs only sync, open, link, rename, unlink
 * and LMDB commits on values that it owns.  `run` is called in a thread and may touch nothing but the work item (no
 * log, no loop, no allocation that the loop also uses); `done` is called in the loop.  One thread per waiting item up
 * to `threads`: those who wait for the journal share its commit (FACTS: a small pool is wrong).
 */
#ifndef MERPATI_EV_WORK_H
#define MERPATI_EV_WORK_H

#include "ev/ev.h"

struct ev_pool;
struct ev_work {
	void (*run)(struct ev_work *w);
	void (*done)(struct ev_work *w);
	struct ev_work *next; /* private */
};

/* Threads are started as they are needed, with 64 KiB stacks and all signals blocked. */
struct ev_pool *ev_pool_new(struct ev *ev, unsigned threads);
void ev_pool_free(struct ev_pool **pool);	       /* waits for what runs; queued items are run too */
void ev_work(struct ev_pool *pool, struct ev_work *w); /* w stays the caller's and untouched until done() */
size_t ev_pool_pending(const struct ev_pool *pool);    /* queued and running */

#endif
