/*
 * smtp.h - what the files of this program share.  A job is one order of qmgr: a message, a next hop, some recipients. A
 * dest is a next hop with its idle connections.  A conn is one connection to a host; it carries one job at a time.
 */
#ifndef MERPATI_SMTP_H
#define MERPATI_SMTP_H

#include "base/arena.h"
#include "base/htable.h"
#include "daemon/daemon.h"
#include "dns/dns_mx.h"
#include "ipc/api_deliver.h"
#include "proto/smtp_ext.h"
#include "proto/smtp_reply.h"
#include "io/stream.h"
#include "smtp/content.h"
#include "tls/tls_stream.h"

#define SMTP_JOBS_PAUSE 1500	  /* jobs of one caller at which its channel is no longer read ... */
#define SMTP_JOBS_RESUME 1000	  /* ... until so few are left */
#define SMTP_IN_MAX 65536	  /* unread bytes from a server */
#define SMTP_OUT_MAX (512u << 10) /* unsent bytes to a server; a pipelined command group must fit */
#define SMTP_OWN_ADDRS 256	  /* own addresses that are kept */

enum tls_level { TLS_LVL_NONE, TLS_LVL_MAY, TLS_LVL_ENCRYPT, TLS_LVL_VERIFY, TLS_LVL_SECURE };

/* How TLS is used towards one next hop. */
struct tls_policy {
	enum tls_level level;
	char match[512];      /* smtp_tls_verify_cert_match or smtp_tls_secure_cert_match */
	char servername[256]; /* smtp_tls_servername */
};

/* Parameters, under the names of postconf(5) without their smtp_ or lmtp_; times in milliseconds. */
struct cfg {
	bool lmtp;
	const char *helo_name, *myhostname;
	uint16_t port;
	uint64_t connect_timeout, greet_timeout, helo_timeout, mail_timeout, rcpt_timeout, data_init_timeout,
	    data_xfer_timeout, data_done_timeout, rset_timeout, quit_timeout, starttls_timeout;
	size_t mx_address_limit, mx_session_limit, line_length_limit;
	bool cache_on_demand;
	const char *cache_destinations;
	uint64_t cache_time_limit, reuse_time_limit, reuse_count_limit;
	bool always_ehlo, never_ehlo, skip_5xx_greeting, skip_quit_response, soft_bounce;
	unsigned discard;	  /* enum smtp_ext: extensions that are not used */
	struct tls_policy policy; /* where smtp_tls_policy_maps says nothing */
	const char *tls_policy_maps, *tls_verify_match, *tls_secure_match, *tls_servername;
	bool tls_wrapper, tls_note_offer;
	unsigned tls_loglevel;
	struct tls_ctx *tls_may, *tls_must; /* opportunistic and mandatory; NULL where no policy can want it */
	const char *fallback_relay;
	bool sasl, sasl_sender_dependent, sasl_soft_bounce;
	const char *sasl_filter, *sasl_security, *sasl_tls_security;
	int delay_digits; /* delay_logging_resolution_limit */
	struct sockaddr_storage bind4, bind6;
	bool has_bind4, has_bind6;
	struct mx_params mx;	  /* detect_loops: for port 25 */
	struct mx_params mx_port; /* for other ports */
	struct sockaddr_storage own[SMTP_OWN_ADDRS];
};
int cfg_load(struct cfg *cfg, struct daemon *d, struct err *err);

struct conn;
struct job;

struct dest {
	UT_hash_handle hh;
	char *nexthop; /* key */
	struct conn *idle;
	unsigned refs; /* jobs and connections */
	unsigned jobs; /* under way */
	struct tls_policy policy;
	bool policy_known;
};

struct agent {			  /* one connection of a qmgr */
	struct serve_conn *serve; /* NULL when it has closed */
	unsigned jobs;
	bool paused;
};

struct smtp {
	struct daemon *d;
	struct ev *ev;
	struct cfg cfg;
	struct dns *dns;
	struct peer *auth;    /* NULL without smtp_sasl_auth_enable */
	struct peer *rewrite; /* NULL without smtp_tls_policy_maps */
	struct dest *dests;
	struct job *jobs;
	size_t njobs;
};

/* A recipient of a job. */
struct rcpt {
	const struct dv_rcpt *in;
	bool done;		/* its result is recorded */
	bool accepted;		/* by the host, in this transaction */
	char dsn[SMTP_DSN_MAX]; /* last failure that may pass: reason, and where ("" is nowhere) */
	const char *why, *relay;
};

struct job {
	struct job *prev, *next;
	struct smtp *smtp;
	struct agent *agent;
	struct arena mem;
	struct dv_deliver d;
	char *body; /* the order's bytes, which d points into */
	char qid[MAIL_QID_MAX + 1];
	struct dest *dest;
	struct mx_nexthop hop;
	struct rcpt *rcpt;
	size_t nopen;	   /* without result */
	size_t *txn, ntxn; /* recipients of the transaction under way */

	uint32_t policy_call;
	unsigned policy_table; /* of the list that is asked next */
	struct mx_query *route;
	unsigned fallbacks;   /* hosts of smtp_fallback_relay that were tried */
	struct mx_addr *addr; /* hosts to try */
	size_t naddr, at, sessions;
	struct conn *conn;
	bool talked;		/* some host let us get as far as a transaction */
	bool deferred;		/* some recipient was */
	bool in_doubt;		/* a host may have the message: no other one gets it in this attempt */
	bool fresh_only;	/* a kept connection turned out to be dead */
	int64_t started, ready; /* wall clock, microseconds; ready: connection set up, 0 before */

	struct dv_result_rcpt *res; /* results; those before `sent` have been reported */
	size_t nres, sent;
	int64_t reported;
};

/* --- job.c: from order to the last result --- */
int job_deliver(struct serve_conn *c, struct msg *m);
void job_agent_closed(struct serve_conn *c);
/* The host failed as a whole: dsn 4.x.x tries the next one, 5.x.x bounces.  The connection is gone or going. */
void job_site_failed(struct job *j, const char *relay, const char *dsn, const char *text);
void job_conn_ready(struct job *j);
/* A kept connection was dead before it could be used: another one, at no cost. */
void job_conn_stale(struct job *j);
/* The transaction is over; results of recipients were recorded.  j->conn has been taken back. */
void job_transaction_over(struct job *j);

void job_policy_known(struct job *j);
void job_policy_failed(struct job *j, const char *text);

/* --- policy.c --- */
int policy_level(struct sv word, enum tls_level *level); /* 0 or ERR_SYNTAX */
/* "level match=a:b servername=c", as the right-hand side of a policy table; 0 or ERR_SYNTAX. */
int policy_parse(const struct cfg *cfg, struct sv text, struct tls_policy *out, struct err *err);
/* True when the policy of j->dest is known; else job_policy_known or job_policy_failed is called later. */
bool policy_ready(struct job *j);
void policy_cancel(struct job *j);

/* --- results.c --- */
void result_record(struct job *j, size_t rcpt, enum dv_status status, const char *dsn, const char *relay,
    const char *text, unsigned flags, unsigned conn_use);
/* A failure of one recipient: 5.x.x is recorded as bounced, 4.x.x remembered for the case that no host is left. */
void result_failed(struct job *j, size_t rcpt, const char *dsn, const char *relay, const char *text, unsigned conn_use);
void result_send(struct job *j, bool last, bool site_down);
/* Seconds with two significant digits and at most `digits` decimals, as in "delay=0.12"; returns out. */
const char *delay_text(int64_t us, int digits, char out[32]);

/* --- dest.c --- */
struct dest *dest_get(struct smtp *s, struct sv nexthop); /* counted */
void dest_put(struct smtp *s, struct dest **d);
struct conn *dest_take_idle(struct dest *d);
/* Takes a connection that has no job: keeps it for the next one or ends it. */
void dest_release(struct smtp *s, struct conn *c);

/* --- conn.c: a connection and its replies --- */
enum phase {
	PH_CONNECTING,
	PH_GREETING,
	PH_EHLO,
	PH_HELO,
	PH_STARTTLS,
	PH_HANDSHAKE,
	PH_CREDENTIALS,
	PH_AUTH,
	PH_IDLE,
	PH_RSET,
	PH_MAIL,
	PH_RCPT,
	PH_DATA,
	PH_BODY,
	PH_FINAL,
	PH_CLOSED,
	PH_COUNT
};

struct sasl_client;

struct conn {
	struct conn *prev, *next; /* in dest->idle */
	struct smtp *smtp;
	struct dest *dest;
	struct job *job; /* NULL while idle */
	enum phase phase;
	struct ev_io dial;
	struct stream *stream;
	struct ev_timer deadline;
	struct mx_addr addr; /* name owned */
	char addr_text[64];
	uint16_t port;
	char *host, *relay; /* "mx.b.org[10.0.0.2]" and the same with ":25" */
	struct smtp_reply reply;
	struct smtp_ext_set ext;
	unsigned uses; /* transactions begun */
	uint64_t born;
	bool esmtp;					  /* the greeting said so */
	bool tls_up, no_tls, no_reuse, needs_rset, heard; /* heard: a reply came in this transaction */
	bool no_pipelining;				  /* in this transaction */
	bool authenticated;
	unsigned auth_steps;
	size_t rcpt_at; /* place in job->txn that the next reply is about */
	size_t accepted;
	bool mail_failed;
	struct content content;
	struct buf out; /* scratch: commands, content */
	struct sasl_client *sasl;
	uint32_t auth_call;
};

/* Begins to connect; false with *why filled in ("Connection refused") when that fails at once. */
bool conn_open(struct job *j, const struct mx_addr *a, bool no_tls, const char **why);
void conn_close(struct conn *c, bool quit); /* frees it at the end of the turn; no callback */
void conn_send(struct conn *c);		    /* writes c->out */
/* Waits for a reply in this phase. */
void conn_expect(struct conn *c, enum phase phase, uint64_t timeout_ms);
/* Ends the connection; its job hears that the host failed. */
void conn_fail(struct conn *c, const char *dsn, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* "250 2.0.0 Ok": code and all lines, divided by blanks; in `out`, which is bounded. */
void conn_reply_text(const struct conn *c, struct buf *out);
/* Enhanced status code of the reply, or the class with ".0.0". */
const char *conn_reply_dsn(const struct conn *c, char out[SMTP_DSN_MAX]);
/* "host X said: 550 ... (in reply to RCPT TO command)" */
void conn_said(const struct conn *c, const char *command, struct buf *out);
void conn_ready(struct conn *c); /* the session is set up, or a kept one is used again */

/* --- talk.c: greeting, EHLO, STARTTLS; sasl.c --- */
void talk_connected(struct conn *c);
void talk_greeting(struct conn *c);
void talk_ehlo(struct conn *c);
void talk_helo(struct conn *c);
void talk_starttls(struct conn *c);
void sasl_begin(struct conn *c);
void sasl_reply(struct conn *c);
void sasl_clear(struct conn *c);

/* --- xfer.c: MAIL, RCPT, DATA --- */
void xfer_begin(struct conn *c);
void xfer_reply(struct conn *c);
void xfer_drained(struct conn *c); /* goes on with the content */

#endif
