/*
 * qindex.h - the queue index: an LMDB environment under index/ that only qmgr opens.  Rows by queue id, an order by
 * time of the next attempt, an order by destination, and the set of rows that are being worked on.  It is a cache of
 * the queue files: written without sync, thrown away when the machine stopped uncleanly.  Changes are gathered and
 * committed by one helper thread at a time; reads are short transactions in the loop.
 */
#ifndef MERPATI_QINDEX_H
#define MERPATI_QINDEX_H

#include "ev/ev_work.h"
#include "ipc/api_qmgr.h"

#define QINDEX_ROW_MAX (1u << 20)

struct qindex;

/*
 * Opens or makes the index.  *fresh: it was empty or had to be thrown away, so every file must be read.  *unclean: the
 * last stop was one of the machine, so contents must be verified.
 */
int qindex_open(struct ev *ev, struct ev_pool *pool, const char *queue_directory, struct qindex **out, bool *fresh,
    bool *unclean, struct err *err);
/* Waits for what is under way, syncs, and notes that this was a clean stop. */
void qindex_close(struct qindex **x);

/* Changes: queued, done soon.  The row is encoded with qm_row_put; next: seconds, when it is due (ON_HOLD: never). */
void qindex_put(struct qindex *x, const struct qm_row *row);
void qindex_del(struct qindex *x, struct sv qid);
/* The message is being worked on until the next put or del; after a restart it is due at once. Not due before `until`.
 */
void qindex_lease(struct qindex *x, struct sv qid, int64_t until);
/* Makes due now: one row, all rows for a destination domain, or all deferred rows. */
void qindex_due_now(struct qindex *x, struct sv qid, int64_t now);
/* Number of the last change that was asked for, and whether the one of that number can be read already. */
uint64_t qindex_queued(const struct qindex *x);
bool qindex_committed(const struct qindex *x, uint64_t n);
/* Called when queued changes were committed. */
void qindex_on_commit(struct qindex *x, void (*fn)(void *arg), void *arg);

bool qindex_has(struct qindex *x, struct sv qid);
/* One row into *row (arrays in a, views into a); false when there is none. */
bool qindex_get(struct qindex *x, struct sv qid, struct arena *a, struct qm_row *row);
/* Up to max ids that are due at `now`, in order of time, after (*at, from): 0 at the end.  Returns how many; *next:
 * when the first one that is not due will be, INT64_MAX if there is none. */
size_t qindex_due(struct qindex *x, int64_t now, size_t max, char (*qid)[MAIL_QID_MAX + 1], int64_t *next);
/*
 * A page of rows in order of id, after `after` ("" for the first): fn gets each (row NULL: it cannot be read) and
 * returns false to stop.  Returns rows visited; 0 is the end.
 */
size_t qindex_page(struct qindex *x, struct sv after, size_t max,
    bool (*fn)(void *arg, struct sv qid, const struct qm_row *row), void *arg);
/* Ids for a destination domain: a page after `after`. */
size_t qindex_site(struct qindex *x, struct sv site, struct sv after, size_t max, char (*qid)[MAIL_QID_MAX + 1]);

#endif
