/*
 * api_qmgr.h - what qmgr is told by cleanup and asked by the queue tools (local socket public/qmgr).
 *
 * Tools: root and the uid of qmgr may do everything; others may list and flush.  A list comes as several QM_ROWS with
 * the request's id; the last has `more` false.
 */
#ifndef MERPATI_API_QMGR_H
#define MERPATI_API_QMGR_H

#include "ipc/api_mail.h"

enum qm_type { QM_QUEUED = 0x0301, QM_LIST, QM_ROWS, QM_FLUSH, QM_DELETE, QM_HOLD, QM_RELEASE, QM_REQUEUE, QM_FLOW };
#define QM_VERSION 1
#define QM_ROWS_MAX 1000      /* rows of one QM_ROWS */
#define QM_ROW_RCPTS_MAX 1000 /* recipients that one row shows */
#define QM_BLOCK_MAX (64u << 10)

/*
 * QM_QUEUED (cleanup), no reply: a file is on disk.  `block` is its commit block as written (so that qmgr need not read
 * the file again), or empty when it is longer than QM_BLOCK_MAX; routes are in recipient order.
 */
struct qm_queued {
	struct sv qid;
	struct sv block;
	uint64_t block_at;
	size_t nroute;
	struct mail_route *route;
};
void qm_queued_put(struct msg_out *m, const struct qm_queued *q);
bool qm_queued_get(struct msg *m, struct arena *a, struct qm_queued *q);

/* QM_LIST {queue id s, site s} -> QM_ROWS.  Both "": everything. */
void qm_list_put(struct msg_out *m, struct sv qid, struct sv site);
bool qm_list_get(struct msg *m, struct sv *qid, struct sv *site);

enum qm_state { QM_ACTIVE = 1, QM_INCOMING, QM_DEFERRED, QM_ON_HOLD };
struct qm_row_rcpt {
	struct sv addr;
	struct sv reason; /* why it was deferred; "" when it was not tried */
};
struct qm_row {
	struct sv qid;
	uint32_t state;	 /* enum qm_state */
	int64_t arrival; /* microseconds */
	int64_t next;	 /* next attempt, seconds; 0 unless deferred */
	uint64_t size;
	struct sv sender;
	uint64_t nleft; /* undelivered recipients, shown or not */
	size_t nrcpt;	/* recipients in rcpt */
	struct qm_row_rcpt *rcpt;
};
struct qm_rows {
	int status;
	bool more;
	size_t n;
	struct qm_row *row;
};
void qm_row_put(struct msg_out *m, const struct qm_row *r);
bool qm_row_get(struct msg *m, struct arena *a, struct qm_row *r);
/* Encodes the head of a QM_ROWS; n rows must follow with qm_row_put. */
void qm_rows_head_put(struct msg_out *m, int status, bool more, size_t n);
bool qm_rows_get(struct msg *m, struct arena *a, struct qm_rows *r);

/*
 * QM_FLUSH {queue id s, site s}: both "" = everything deferred.  QM_DELETE, QM_HOLD, QM_RELEASE, QM_REQUEUE {queue id s
 * or "ALL", queue s: "", "incoming", "active", "deferred" or "hold"}.  All -> same type {status i, count u}.
 */
struct qm_order {
	struct sv qid;
	struct sv where; /* site or queue */
};
void qm_order_put(struct msg_out *m, const struct qm_order *o);
bool qm_order_get(struct msg *m, struct qm_order *o);
void qm_ordered_put(struct msg_out *m, int status, uint64_t count);
bool qm_ordered_get(struct msg *m, int *status, uint64_t *count);

/* QM_FLOW (qmgr to cleanup, id 0) {slow b}: mail comes in faster than it goes out, so delay the answers
 * (in_flow_delay). */
void qm_flow_put(struct msg_out *m, bool slow);
bool qm_flow_get(struct msg *m, bool *slow);

#endif
