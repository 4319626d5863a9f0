/*
 * api_cleanup.h - what cleanup is asked: spool descriptors, commits, notices.
 *
 * The way of a message: take a descriptor and its queue id from your stock (CL_STOCK; keep a few), write the content
 * with write(2) from where its offset stands (CL_CONTENT_START; nothing below belongs to you), close it, send
 * CL_COMMIT, and only when the reply says 0 tell the client 250.  A reply other than 0: ERR_TEMP or ERR_SYS 451,
 * ERR_LIMIT 452 4.3.1 (queue file system is full), ERR_SYNTAX/ERR_NOT_FOUND/ERR_DENIED 550 (an alias loop or the like);
 * `text` is what to say after the code, with enhanced status code.  The queue id of a reply is the one of the request.
 */
#ifndef MERPATI_API_CLEANUP_H
#define MERPATI_API_CLEANUP_H

#include "ipc/api_mail.h"

enum cl_type { CL_STOCK = 0x0201, CL_COMMIT, CL_DISCARD, CL_NOTICE };
#define CL_VERSION 1
#define CL_STOCK_MAX 16	     /* descriptors of one CL_STOCK */
#define CL_HELD_MAX 256	     /* descriptors that one connection may hold; CL_STOCK past it answers ERR_LIMIT */
#define CL_CONTENT_START 64  /* the content begins here; what stands before is the queue file's preamble */
#define CL_TIMEOUT_MS 100000 /* deadline that callers give a commit */

/* CL_STOCK {count u} -> {status i, count; queue id s ...} + that many descriptors (write-only, offset
 * CL_CONTENT_START). */
struct cl_stock {
	int status;
	size_t n;
	struct sv qid[CL_STOCK_MAX];
	int fd[CL_STOCK_MAX]; /* encode: borrowed; decode: the caller's */
};
void cl_stock_req_put(struct msg_out *m, unsigned count);
bool cl_stock_req_get(struct msg *m, unsigned *count);
void cl_stock_put(struct msg_out *m, const struct cl_stock *s);
bool cl_stock_get(struct msg *m, struct cl_stock *s); /* on false no descriptor was taken */

/* CL_COMMIT {queue id, envelope, recipients} -> {status i, queue id s, text s} */
struct cl_commit {
	struct sv qid;
	struct mail_envelope env;
	size_t nrcpt;
	struct mail_rcpt *rcpt;
};
void cl_commit_put(struct msg_out *m, const struct cl_commit *c);
bool cl_commit_get(struct msg *m, struct arena *a, struct cl_commit *c);

struct cl_done {
	int status;
	struct sv qid;
	struct sv text;
};
void cl_done_put(struct msg_out *m, const struct cl_done *d);
bool cl_done_get(struct msg *m, struct cl_done *d);

/* CL_DISCARD {queue id}, no reply: the descriptor will not be used (the caller closes its copy). */
void cl_discard_put(struct msg_out *m, struct sv qid);
bool cl_discard_get(struct msg *m, struct sv *qid);

/*
 * CL_NOTICE (qmgr) + read-only descriptor of the original -> cl_done with the queue id of the notice.
 * The notice goes to `to`, from the null sender, or from the double-bounce address for CL_NOTICE_DOUBLE.
 */
#define CL_NOTICE_RCPTS_MAX 1000 /* recipients that one notice lists: more need another one */
enum cl_notice_kind { CL_NOTICE_FAILURE = 1, CL_NOTICE_DELAY, CL_NOTICE_SUCCESS, CL_NOTICE_DOUBLE };
struct cl_notice_rcpt {
	struct mail_rcpt rcpt;
	uint32_t action;      /* enum cl_action */
	struct sv dsn;	      /* "5.1.1" */
	struct sv text;	      /* the reply or reason, one line */
	struct sv relay;      /* host that said it, "" when it was decided here */
	int64_t last_attempt; /* wall clock, microseconds */
};
enum cl_action { CL_ACTION_FAILED = 1, CL_ACTION_DELAYED, CL_ACTION_DELIVERED, CL_ACTION_RELAYED, CL_ACTION_EXPANDED };
struct cl_notice {
	uint32_t kind; /* enum cl_notice_kind */
	struct sv qid; /* of the original */
	struct sv to;
	int64_t will_retry_until; /* for delay notices: wall clock, microseconds; 0 otherwise */
	struct mail_envelope env; /* of the original */
	size_t nrcpt;
	struct cl_notice_rcpt *rcpt;
	int fd; /* encode: borrowed; decode: the caller's */
};
void cl_notice_put(struct msg_out *m, const struct cl_notice *n);
bool cl_notice_get(struct msg *m, struct arena *a, struct cl_notice *n); /* on false no descriptor was taken */

#endif
