/*
 * cleanup.h - what the files of cleanup share.  A commit goes: intake (decode, check, ask rewrite) -> commit (write,
 * link, sync) -> answer and tell qmgr.  Notices enter at the same place with a file that bounce.c wrote.
 */
#ifndef MERPATI_CLEANUP_H
#define MERPATI_CLEANUP_H

#include "base/htable.h"
#include "daemon/daemon.h"
#include "ev/ev_work.h"
#include "ipc/api_cleanup.h"
#include "spool/spool.h"

#define CLEANUP_THREADS 32	    /* one per message that waits for the journal */
#define CLEANUP_GROUP 8		    /* from so many waiting on, one syncfs for all of them */
#define CLEANUP_FILES_MAX 12000	    /* descriptors in all stocks */
#define CLEANUP_INLINE (128u << 10) /* content up to this is digested in the loop */
#define CLEANUP_ROOM_MIN                                                                                               \
	(4u << 20)	     /* bytes that must be free on the queue's file system whatever queue_minfree says         \
			      */
#define CLEANUP_ASK_MS 30000 /* deadline of rewrite */

struct stock_file {
	UT_hash_handle hh;
	char qid[QID_MAX + 1];
	int fd;
};

/* One message on its way to disk. */
struct commit {
	struct commit *next;
	struct cleanup *cl;
	struct serve_ticket ticket;
	uint16_t reply; /* type of the answer */
	char qid[QID_MAX + 1];
	int fd;
	char *raw; /* what the views point into */
	struct arena mem;
	struct mail_envelope env;
	size_t nrcpt, cap;
	struct mail_rcpt *rcpt;	  /* after expansion */
	struct mail_route *route; /* of the same number */
	struct commit_seen *seen; /* duplicates */
	size_t ngiven, asked;	  /* recipients as given, how many rewrite has answered for */
	struct mail_rcpt *given;
	uint32_t call;
	uint64_t content_end;
	struct buf block;
	struct ev_work work;
	struct ev_timer delay; /* of the answer */
	bool linked;
	int status; /* 0, or why it failed */
	struct err err;
};

struct commit_seen {
	UT_hash_handle hh;
	size_t at; /* place in rcpt */
	struct sv key;
};

/* Messages that are linked and not synced. */
struct syncer {
	struct commit *head, **tail;
	size_t waiting;	      /* in the list */
	size_t in_flight;     /* single syncs that run */
	struct commit *group; /* those of the syncfs that runs, NULL when none does */
	struct ev_work work;
	int status;
	struct err err;
	uint64_t started;      /* ms, of the group */
	uint64_t single_until; /* ms: no groups until then, one of them took too long */
	struct ev_defer turn;
};

struct cleanup {
	struct daemon *d;
	struct spool spool;
	struct ev_pool *pool;
	struct peer *rewrite, *qmgr;
	size_t files; /* descriptors in all stocks */
	uint64_t minfree;
	uint64_t room_checked; /* ms */
	bool room;
	uint64_t max_size;
	bool slow;	     /* qmgr says that mail comes in faster than it goes out */
	uint64_t flow_delay; /* ms that an answer waits then */
	uint64_t bounce_size;
	char *hostname, *double_bounce;
	struct syncer sync;
};

extern const struct serve_entry cleanup_requests[];
extern const size_t cleanup_nrequests;

/* stock.c */
int stock_on_request(struct serve_conn *c, struct msg *m);
int stock_on_discard(struct serve_conn *c, struct msg *m);
void stock_on_close(struct serve_conn *c);
/* Takes a file out of a connection's stock: its descriptor, or -1. */
int stock_take(struct serve_conn *c, struct sv qid);
bool stock_room(struct cleanup *cl); /* the queue's file system has room for mail */

/* intake.c */
int intake_on_commit(struct serve_conn *c, struct msg *m);
/* Expands and routes cm->given, then hands it to commit_start; on failure answers. */
void intake_resolve(struct cleanup *cl, struct commit *cm);
struct commit *commit_new(struct cleanup *cl, struct serve_ticket t, uint16_t reply, const char *qid, int fd);

/* commit.c */
void commit_start(struct cleanup *cl, struct commit *cm);
/* Answers and frees; text NULL: the standard one of the status. */
void commit_finish(struct cleanup *cl, struct commit *cm, int status, const char *text);

/* bounce.c */
int bounce_on_notice(struct serve_conn *c, struct msg *m);

static inline struct cleanup *cleanup_of(struct serve_conn *c)
{
	return daemon_state(c->d);
}

#endif
