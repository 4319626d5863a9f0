/*
 * coord.h - inside the coordinator.  A job is one DV_DELIVER; each of its recipients goes its way alone: loop check,
 * RW_LOCAL, then a plan of steps (files, commands, lists to read) and members, then one result.  Everything of a job
 * lives in its arena; callbacks of peers find the recipient through their argument, and a job is freed only when all of
 * its recipients are finished, also when qmgr has gone.
 */
#ifndef MERPATI_COORD_H
#define MERPATI_COORD_H

#include "base/arena.h"
#include "base/htable.h"
#include "daemon/daemon.h"
#include "ev/ev_work.h"
#include "ipc/api_cleanup.h"
#include "ipc/api_deliver.h"
#include "ipc/api_local.h"
#include "ipc/api_rewrite.h"

#define COORD_INCLUDE_DEPTH 10 /* lists inside lists */
#define COORD_MEMBERS_MAX DV_MEMBERS_MAX
#define COORD_LOOPS_MAX 100 /* Delivered-To fields that are looked at */

struct coord_conf {
	const char *hostname, *origin;
	const char *delimiter, *forward_path, *mailbox_command, *luser_relay, *virtual_base, *export_env;
	bool commands_alias, commands_forward, commands_include;
	bool files_alias, files_forward, files_include;
	bool delivered_command, delivered_file, delivered_forward;
	uint64_t first_uid, first_gid, mailbox_limit, virtual_limit, command_time;
	unsigned digits; /* of logged delays */
};

struct coord {
	struct daemon *d;
	struct coord_conf conf;
	struct peer *rewrite, *cleanup;
	struct kid *kids; /* children by class and uid:gid */
	struct who *who;  /* recent answers of rewrite */
	struct ev_timer kid_timer;
	struct ev_pool *pool;
	char *scan; /* header bytes of the message whose Delivered-To fields are read */
};

enum step_kind { STEP_MAILBOX, STEP_FILE, STEP_COMMAND, STEP_LIST, STEP_USER };

/* Something to be done for a recipient before its result is known. */
struct step {
	struct step *next;
	enum step_kind kind;
	uint32_t uid, gid;
	struct sv text; /* path or command */
	struct sv home; /* of the user, for commands; "" for an alias */
	unsigned depth; /* of lists */
	bool from_forward, from_include;
	bool direct; /* STEP_USER: \user, without .forward */
};

struct member {
	struct member *next;
	struct sv addr;
};

struct job;
struct rcpt {
	struct job *job;
	struct dv_rcpt *in;
	struct rw_local who;
	struct sv owner;	/* of the alias, or "" */
	const struct step *now; /* the step that waits for its answer */
	bool again;		/* it was begun a second time */
	struct step *steps, **step_tail;
	struct member *members, **member_tail;
	size_t nmember;
	unsigned nstep; /* steps made, for the names of files */
	struct dv_result_rcpt result;
	bool have_sent, have_deferred, have_bounced;
	struct sv dsn[3], text[3]; /* first outcome of each kind */
	struct rcpt *next_done, *next_save;
};

struct job {
	struct coord *c;
	struct serve_conn *conn; /* NULL when qmgr has gone */
	struct job *prev, *next; /* jobs of the connection */
	struct arena arena;
	char *body; /* the decoded message; views point into it */
	struct dv_deliver d;
	uint64_t start_us; /* monotonic */
	int64_t start_wall;
	size_t nloop;
	struct sv loop[COORD_LOOPS_MAX]; /* Delivered-To values */
	struct rcpt *rcpt;
	size_t open;	   /* recipients without a result */
	struct rcpt *done; /* results to be sent */
	struct ev_defer flush;
	struct rcpt *saves; /* Maildir deliveries that wait for the end of the turn */
	struct ev_defer save_turn;
};

/* coord.c */
void rcpt_finish(struct rcpt *r, uint32_t status, const char *dsn, const char *fmt, ...) ATTR_PRINTF(4, 5);
void rcpt_finish_as(struct rcpt *r, uint32_t status);		/* with the first outcome of that kind */
void rcpt_next(struct rcpt *r);					/* the next step, or the result */
bool rcpt_keep_who(struct rcpt *r, const struct rw_local *who); /* copies the views; false: no room */
int rcpt_plan(struct rcpt *r, bool direct, struct err *err);	/* by r->who */
void rcpt_outcome(struct rcpt *r, uint32_t status, struct sv dsn, struct sv text); /* of one step */

/* plan.c: what an alias or a list means. */
enum plan_source { PLAN_ALIAS, PLAN_FORWARD, PLAN_INCLUDE_ALIAS, PLAN_INCLUDE_FORWARD };
/* 0, or ERR_LIMIT / ERR_SYNTAX when the whole list is not to be used (err says why). */
int plan_alias(struct rcpt *r, struct err *err);
int plan_items(struct rcpt *r, const struct lc_items *items, const struct step *list, struct err *err);
int plan_mailbox(struct rcpt *r, struct err *err);
int plan_forward(
    struct rcpt *r, struct err *err); /* asks for the .forward files: adds a STEP_LIST; ERR_NOT_FOUND: none */

/* save.c: into Maildirs.  Members of one alias whose mailboxes belong to one user get one file with several names. */
#define CHILD_MS 300000 /* time for an answer of a child that files or reads */
bool save_is_maildir(const struct step *s);
void save_start(struct rcpt *r, const struct step *s);

/* steps.c: asks the children. */
void step_start(struct rcpt *r, const struct step *s);

/* headers.c */
void job_read_loops(struct job *j);
bool job_loops(const struct job *j, struct sv addr);
/* Return-Path, X-Original-To and, unless it is "", Delivered-To. */
void head_lines(const struct rcpt *r, struct sv delivered, struct buf *out);
void from_line(const struct rcpt *r, struct buf *out); /* mbox "From " line, no line end */

/* expand.c: $name in forward_path, luser_relay; the environment of a command. */
int expand_names(const struct rcpt *r, struct sv text, struct buf *out, struct err *err);
size_t command_env(struct rcpt *r, struct sv env[LC_ENV_MAX]);

/* who.c: recent answers of rewrite; views of who_find are valid until the end of the turn. */
bool who_find(struct coord *c, struct sv addr, struct rw_local *out);
void who_keep(struct coord *c, struct sv addr, const struct rw_local *who);

/* kids.c */
void kid_call(struct coord *c, const char *class, uint32_t uid, uint32_t gid, uint16_t type, const struct msg_out *m,
    uint64_t timeout_ms, peer_done *done, void *arg);
void kids_init(struct coord *c);

/* again.c: new mail to the members (another sender), through cleanup. */
void again_start(struct rcpt *r, struct sv sender);

/* report.c */
void report_log(const struct rcpt *r);
void report_delay(char out[24], int64_t us, unsigned digits);

#endif
