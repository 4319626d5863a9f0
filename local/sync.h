/*
 * sync.h - makes filed messages durable, many together.  What is added during a turn of the loop, and while earlier
 * syncs are running, waits for its end and then goes as one group: few by one fsync each in threads of their own (they
 * share the journal's commit), many by one syncfs.  syncfs writes back what others left dirty too; when that makes it
 * slow, fsync is used for a while.
 */
#ifndef MERPATI_LOCAL_SYNC_H
#define MERPATI_LOCAL_SYNC_H

#include "ev/ev_work.h"
#include "store/mdir_save.h"

#define SYNC_TOGETHER 2	    /* messages of a group for which one syncfs is cheaper */
#define SYNC_SLOW_MS 100    /* a syncfs that takes longer ... */
#define SYNC_ALONE_MS 10000 /* ... means fsync for this long */

struct syncer;
struct sync_item {
	struct mdir_save m; /* written, m.out open; closed when done is called */
	int rc;		    /* outcome, err tells why */
	struct err err;
	void (*done)(struct sync_item *i);
	struct ev_work work; /* private from here */
	struct syncer *syncer;
	struct sync_item *next;
	dev_t dev;
};

struct syncer *syncer_new(struct ev *ev, struct ev_pool *pool);
void sync_add(struct syncer *s, struct sync_item *i); /* i stays the caller's and untouched until done() */

#endif
