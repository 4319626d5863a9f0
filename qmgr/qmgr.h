/*
 * qmgr.h - what the files of qmgr share.  A message in memory goes through passes: load (or notice of cleanup) ->
 * routes -> jobs by destination -> deliveries to agents -> results; when nothing of it is under way any more, finish.c
 * sends notices, writes down what changed and lets go of it: removed, or deferred with a row in the index.  The queue
 * files are the truth; memory and index can be lost at any moment.
 */
#ifndef MERPATI_QMGR_H
#define MERPATI_QMGR_H

#include "base/htable.h"
#include "daemon/daemon.h"
#include "ev/ev_work.h"
#include "ipc/api_cleanup.h"
#include "ipc/api_deliver.h"
#include "ipc/api_qmgr.h"
#include "ipc/api_rewrite.h"
#include "qmgr/qindex.h"
#include "spool/qfile.h"
#include "spool/spool.h"

#define QMGR_THREADS 16
#define QMGR_LOADS 32	      /* files that are being read at a time */
#define QMGR_IN_FLIGHT 1000   /* deliveries that one transport may carry */
#define QMGR_ASK_MS 60000     /* deadline of rewrite */
#define QMGR_NOTICE_MS 120000 /* deadline of a notice */
#define QMGR_SOON 5	      /* seconds until the next attempt when an agent died */
#define QMGR_SOON_TIMES 3     /* ... for so many attempts; then it is the message's own fault */
#define QMGR_LOCKED 5	      /* seconds until the next look at a message that an agent still carries */
#define QMGR_FEEDERS 64	      /* processes of cleanup that are told to slow down */

struct qmgr;
struct message;
struct transport;
struct dest;

/* ---- messages ---- */

enum pass_state {
	PASS_IDLE,   /* nothing to do in this pass */
	PASS_WAIT,   /* in a job or with an agent */
	PASS_SENT,   /* done in this pass, written down or not */
	PASS_FAILED, /* permanent failure; the sender is to be told first */
	PASS_LATER,  /* deferred in this pass */
	PASS_EXPANDING
};

struct rcpt_pass {
	uint8_t state; /* enum pass_state */
	uint8_t flags; /* enum dv_result_flag of a PASS_SENT */
	bool changed;  /* outcome or text differ from what the file says */
	bool unmarked; /* done, and its status byte not written */
	bool told;     /* its notice is committed */
};

struct message {
	UT_hash_handle hh;
	struct qmgr *q;
	char qid[QID_MAX + 1];
	struct qfile f;
	struct rcpt_pass *pass; /* one a recipient */
	size_t npass;
	bool loaded;		      /* f is filled */
	bool active;		      /* in a pass */
	bool due;		      /* its time has come, whatever the file says */
	bool flush;		      /* somebody wants it tried now */
	bool soon;		      /* an agent died with it */
	bool tried;		      /* at least one real attempt in this pass */
	bool in_index;		      /* has (or may have) a row */
	bool deleted;		      /* file is gone or going */
	int hold_order;		      /* 1: hold, 0: nothing */
	bool writing;		      /* an expansion is being appended */
	struct expansion *expansions; /* those that wait for it */
	size_t pending;		      /* recipients and steps that this pass waits for */
	int64_t active_us;	      /* start of the pass */
	struct message *next;	      /* in the unlinker's list */
	uint8_t notices;	      /* kinds that were sent in this pass, by bit */
	bool notice_failed;
	bool warned_now; /* the delay notice was sent in this pass */
	bool again;	 /* somebody flushed it meanwhile */
	bool unlinked;
};

/* ---- scheduling ---- */

/* Recipients of one message for one destination. */
struct job {
	struct job *prev, *next;
	struct dest *dest;
	struct message *m;
	uint32_t *idx;
	size_t n, at, cap;
};

struct dest {
	UT_hash_handle hh;
	struct dest *prev, *next; /* in the ready list */
	bool ready;
	bool held; /* not to be freed just now */
	struct transport *t;
	char *nexthop;
	struct job *jobs; /* round robin */
	unsigned busy;
	unsigned window;
	double cohorts;	     /* failed rounds */
	uint64_t dead_until; /* ms; 0: alive */
	uint64_t failed_ms;  /* last failure */
	int64_t failed_us;   /* wall clock of the failed attempt */
	char *dead_dsn, *dead_text;
	size_t keylen;
	char key[];
};

enum transport_kind { TR_AGENT, TR_ERROR, TR_RETRY, TR_DISCARD };
struct transport {
	UT_hash_handle hh;
	struct qmgr *q;
	char *name;
	enum transport_kind kind;
	struct peer *peer;
	const char *class;
	bool guessed;	/* the class is a guess: master.cf is master's */
	bool reconnect; /* with the other guess */
	bool answered;	/* a result has come on this connection */
	bool ever_answered;
	bool by_rcpt; /* each recipient is a destination */
	unsigned concurrency, rcpts;
	unsigned in_flight;
	struct dest *dests, *ready;
	uint64_t paused_until; /* ms: the agent does not come up */
	unsigned lost;	       /* connections lost without a result between */
	struct ev_timer timer;
};

struct delivery {
	UT_hash_handle hh;
	uint64_t job;
	struct message *m;
	struct dest *dest;
	uint64_t started; /* ms */
	size_t n, left;
	bool gone; /* its connection was lost */
	uint32_t idx[];
};

/* ---- the program ---- */

struct qmgr {
	struct daemon *d;
	struct ev *ev;
	struct spool spool;
	struct ev_pool *pool;
	struct peer *rewrite, *cleanup;
	struct qindex *index;
	struct message *messages;
	struct transport *transports;
	struct delivery *deliveries;
	uint64_t last_job;
	size_t nrcpt; /* recipients in memory */
	size_t loading;
	size_t notices; /* that cleanup is making */
	bool verify;	/* the last stop was not clean: compare contents */
	bool draining, stopped;
	uid_t owner;	      /* mail_owner: may do with the queue what root may */
	uint64_t flush_until; /* ms: what is due until then was flushed by somebody */
	struct ev_defer run;  /* hand out deliveries */
	struct ev_defer unlink_turn;
	struct ev_timer due, sweep, rescan;
	struct serve_conn *feeders[QMGR_FEEDERS]; /* connections of cleanup */
	bool slow;				  /* they were told that mail comes in too fast */
	size_t nclients;			  /* of the local socket */
	struct scan *scan;
	struct unlinker {
		struct ev_work work;
		struct message *todo, *doing;
		bool busy;
	} unlinker;
	/* parameters */
	size_t active_limit, rcpt_limit;
	int64_t backoff_min, backoff_max, lifetime, bounce_lifetime, warn_time;
	uint64_t run_delay, agent_timeout, transport_retry;
	unsigned initial_concurrency;
	bool soft_bounce, notify_2bounce;
	char *hostname, *double_bounce, *postmaster, *defer_transports;
};

/* message.c */
struct message *message_find(struct qmgr *q, struct sv qid);
void message_free(struct message *m);
int message_on_queued(struct serve_conn *c, struct msg *msg);
/* Reads the file and starts a pass, or makes its row, as it says itself; `due`: whatever time it says. */
void message_load(struct qmgr *q, struct sv qid, bool due);
void message_unpend(struct message *m); /* one thing less that the pass waits for */
void message_pass_grow(struct message *m);
void message_row(const struct message *m, uint32_t state, int64_t next, struct msg_out *out);

/* expand.c */
struct expansion;
void expand_start(struct message *m, uint32_t idx, const struct mail_rcpt *member, size_t n);

/* sched.c */
void sched_assign(struct message *m, uint32_t idx, const struct mail_route *route);
void sched_run_later(struct qmgr *q);
void sched_sweep(struct qmgr *q);
void sched_feedback(struct dest *d, bool down, struct sv dsn, struct sv text);
void sched_delivery_end(struct delivery *dv);
void sched_dest_idle(struct dest *d); /* it may have become ready, or useless */
void sched_transport_lost(struct transport *t);
void sched_revive(struct qmgr *q); /* forget which destinations and transports were bad: somebody flushes */
void sched_reload(struct qmgr *q); /* limits of main.cf */

/* result.c */
void result_on_msg(void *arg, struct msg *m);
void result_on_state(void *arg, bool up);
/* A recipient's outcome that was decided here; logged here. */
void result_local(
    struct message *m, uint32_t idx, enum dv_status status, struct sv dsn, struct sv text, int64_t when_us);
void result_abandon(struct delivery *dv, struct sv text);

/* finish.c */
void finish_pass(struct message *m);
void finish_remove(struct message *m); /* unlinks, logs, frees */

/* scan.c */
void scan_start(struct qmgr *q);
void scan_pump(struct qmgr *q);
void scan_retry(struct qmgr *q); /* look again at the whole folder before long */
void due_check(struct qmgr *q);
void due_start(struct qmgr *q);

/* qmgr.c */
void qmgr_due_idle(struct ev_timer *t);
void qmgr_idle_check(struct qmgr *q);
void qmgr_flow_check(struct qmgr *q);
/* tells cleanup when the window fills up or has room again */ /* ends a drain when nothing is under way */

/* control.c */
void control_accept(struct daemon *d, const struct listener *l, int fd, const struct sockaddr_storage *from);

/* Removes a file that does not verify from the queue and says so. */
void quarantine(struct qmgr *q, const char *qid, const char *why);

static inline bool is_null(struct sv s)
{
	return s.n == 0;
}

#endif
