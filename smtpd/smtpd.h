/*
 * smtpd.h - the SMTP, submission, LMTP and local submission server: its state and what its files offer each other.
 *
 * One `struct smtpd` a process, one `struct session` a client, one `struct txn` a mail transaction (MAIL to the end of
 * it). A session handles one command at a time: a handler that must wait for another process sets `resume` and returns;
 * input is not looked at until session_wake() has called it.
 */
#ifndef MERPATI_SMTPD_H
#define MERPATI_SMTPD_H

#include "daemon/daemon.h"
#include "dns/dns.h"
#include "io/stream.h"
#include "ipc/api_cleanup.h"
#include "message/dot.h"
#include "proto/smtp_args.h"
#include "proto/smtp_cmd.h"
#include "proto/smtp_path.h"
#include "proto/smtp_reply.h"
#include "smtpd/content.h"
#include "smtpd/netlist.h"
#include "tls/tls_server.h"
#include "tls/tls_stream.h"

#define SMTPD_IN_MAX 65536u	    /* unread input of one client */
#define SMTPD_OUT_MAX 65536u	    /* unsent output of one client */
#define SMTPD_HELO_MAX 255u	    /* bytes of a HELO name that are kept */
#define AU_LINE_MAX 16500u	    /* bytes of a line of an AUTH exchange: AU_MAX_RESPONSE in base64 */
#define SMTPD_ASK_MS 30000u	    /* deadline for rewrite and auth */
#define SMTPD_STOCK_MS 20000u	    /* deadline for a spool descriptor */
#define SMTPD_TXN_ARENA (2u << 20)  /* bytes that the addresses and facts of one transaction may take */
#define SMTPD_TXN_LOCAL (16u << 20) /* the same for users of this host, who may name 20,000 recipients */
#define SMTPD_TURN_BYTES (1u << 20) /* content of one client in one turn, so that others come to their turn */

enum bare_newline { BARE_NO, BARE_NORMALIZE, BARE_REJECT };
/* A port that speaks TLS from the first byte is smtpd_tls_wrappermode. */
enum tls_level { TLS_LEVEL_NONE, TLS_LEVEL_MAY, TLS_LEVEL_ENCRYPT };

/* Lists of restrictions, in the order in which they are asked at RCPT. */
enum stage { STAGE_CLIENT, STAGE_HELO, STAGE_SENDER, STAGE_RELAY, STAGE_RCPT, STAGE_DATA, STAGE_EOD, STAGES };
struct rule;
struct rule_use {
	const struct rule *rule;
	const char *arg; /* table or code, "" without */
};
struct rule_list {
	struct rule_use *use;
	size_t n;
};

/* Parameters, read once; texts belong to the process's configuration. */
struct smtpd_conf {
	const char *myhostname, *myorigin, *banner, *mail_name, *delimiter, *login_maps;
	uint64_t timeout_s, error_sleep_s, size_limit, rcpt_limit, rcpt_overshoot, line_limit;
	uint64_t soft_errors, hard_errors, junk_limit;
	uint64_t conn_limit, conn_rate, msg_rate, rcpt_rate, auth_rate, rate_unit_s;
	uint64_t session_limit;
	struct content_conf content;
	enum bare_newline bare;
	enum tls_level tls_level;
	unsigned discard; /* mask of enum smtp_ext */
	int bare_code, unknown_address_code, unknown_client_code, unknown_helo_code, access_code, relay_code;
	int non_fqdn_code, invalid_helo_code, reject_code, defer_code, rbl_code;
	int unlisted_code[6]; /* by enum mail_class */
	unsigned tls_loglevel;
	bool soft_bounce, lmtp, wrapper, sasl, auth_only, sasl_header, tls_header, helo_required, delay_reject, no_vrfy,
	    peername;
	bool forbid_pipelining, strict_paths, unlisted_rcpt, unlisted_sender, show_table, smtputf8, null_domain;
	struct netlist mynetworks, bare_exclusions, limit_exceptions, own; /* own: addresses of this host */
	bool rewrite_sasl, rewrite_local, rewrite_networks;		   /* local_header_rewrite_clients */
	bool always_headers;
	struct rule_list rules[STAGES];
};

struct stock_item {
	int fd; /* -1: none */
	char qid[MAIL_QID_MAX + 1];
};

struct session;
struct smtpd {
	struct daemon *d;
	struct ev *ev;
	struct smtpd_conf conf;
	struct peer *cleanup, *rewrite, *auth, *anvil;
	struct dns *dns;
	struct tls_server *tls; /* NULL: no TLS here */
	struct stock *stock;
	struct mechs *mechs; /* what auth offers, kept for a minute */
	uint64_t next_session;
	size_t sessions;
	struct session *all; /* every session, for the end */
	bool stopping;	     /* the suite stops: 421 instead of the next command */
	time_t date_at;	     /* the second that `date` is for */
	char date[64];
};

struct rcpt {
	struct sv addr, orcpt;
	uint32_t notify;
	uint32_t cls; /* enum mail_class, 0: not asked */
};

/* From MAIL to the reply after the content, RSET, or the next EHLO. */
struct txn {
	bool mail; /* MAIL was accepted; else it only holds facts for restrictions that are asked before */
	struct arena arena;
	struct sv sender; /* queue form, completed */
	struct smtp_mail_args args;
	struct sv envid; /* decoded */
	struct rcpt *rcpt;
	size_t nrcpt, rcpt_room, refused;
	struct rcpt now; /* the recipient that is being judged */
	struct fact *facts;
	struct stock_item item;
	struct content *content; /* DATA or BDAT has begun */
	struct dot dot;
	bool bdat, bdat_bad; /* CHUNKING in use; a chunk failed: the rest is refused */
	bool held_cr;	     /* the last chunk ended in a CR: perhaps half of a CRLF */
	int64_t arrival;
	uint32_t call; /* open call to cleanup, 0: none */
};

enum session_mode { MODE_COMMAND, MODE_DATA, MODE_BDAT, MODE_AUTH, MODE_HANDSHAKE, MODE_CLOSING };

/* What the rules found out so far about one command; kept while an answer is awaited. */
struct access_run {
	enum stage stage, last;
	size_t at;
	bool active, warn;
	char defer[512]; /* "450 4.1.8 text" of defer_if_permit, "" without */
};

struct session {
	struct smtpd *g;
	struct stream *stream;
	struct ev_timer timer, pause;
	struct ev_defer again;
	uint64_t id;
	enum session_mode mode;
	bool running, local, in_networks, greeted, esmtp, tls, dead, paused, skipping, ill_pipelining;
	bool access_passed; /* RCPT: the lists permit, the recipient's existence is asked for */
	unsigned uid;	    /* local: of the peer */
	uint64_t errors, junk;
	uint16_t count[SMTP_VERBS][2]; /* all, successful */
	enum smtp_verb verb;	       /* the command in hand */
	bool failed;		       /* it got an error reply */
	const char *where;	       /* for the log: "CONNECT", "RCPT", "DATA content" ... */
	void (*resume)(struct session *s);
	struct sockaddr_storage from;
	char addr[64];	/* "192.0.2.1", "2001:db8::1", "local" */
	char name[256]; /* verified name, or "unknown" */
	char reverse[256];
	int name_status, reverse_status;
	struct dns_peer_query *peer_query;
	char *helo; /* NULL before HELO, EHLO or LHLO */
	char *sasl_user, *sasl_method;
	struct sasl *sasl; /* an exchange in progress */
	char tls_text[256];
	struct tls_server_wait tls_wait;
	struct access_run access;
	struct txn *txn;
	uint64_t chunk_left, chunk_size; /* BDAT: bytes of this chunk that have not come; all of them */
	bool chunk_last;
	const char *chunk_error; /* the chunk is only skipped, and this is the reply */
	uint32_t anvil_call;	 /* open call, 0: none */
	void (*limits_done)(struct session *s, const char *refusal);
	int event_state; /* 0: nothing asked, 1: asked, 2: event_rate is known */
	uint32_t event_rate;
	bool conn_held;		     /* anvil counts this connection */
	uint32_t mechs_call;	     /* open call to auth, 0: none */
	struct buf auth_args;	     /* AUTH arguments while anvil is asked */
	struct session *prev, *next; /* in smtpd.all */
	struct session *stock_next;  /* who waits for a spool descriptor */
	bool stock_waits;
};

/* session.c */
struct session *session_new(struct smtpd *g, int fd, const struct sockaddr_storage *from, bool local);
void session_run(struct session *s);   /* handles what input there is */
void session_wake(struct session *s);  /* goes on after a wait: calls s->resume, then session_run() soon */
void session_greet(struct session *s); /* 220: the first reply, after TLS in wrapper mode */
void session_go_on(struct session *s); /* looks at further input at the end of this turn */
void session_shutdown(
    struct smtpd *g); /* the suite stops: 421 to idle clients now, to the others after their command */
/* Ends the session: logs, closes after what is queued was sent. reason: "lost connection", "too many errors", NULL. */
void session_end(struct session *s, const char *reason);
/* Replies; dsn "" or NULL for none. Counts 4xx and 5xx as errors of the client. */
void reply(struct session *s, int code, const char *dsn, const char *fmt, ...) ATTR_PRINTF(4, 5);
void reply_text(struct session *s, const char *text); /* "450 4.1.8 <x>: ..." */
void reply_ok(struct session *s, int code, const char *dsn, const char *fmt, ...)
    ATTR_PRINTF(4, 5); /* never an error */
/* "host[addr]" in a static buffer of the session's own: valid until the next call. */
const char *namaddr(const struct session *s);
const char *session_proto(const struct session *s);  /* "ESMTP", "SMTP", "LMTP" */
void session_touch(struct session *s);		     /* restarts the inactivity timer */
bool session_local_rewrite(const struct session *s); /* headers of this client may be completed */

/* commands.c: one line from the client; command_over: its reply was given (called again after a wait) */
void command_line(struct session *s, struct sv line);
void command_over(struct session *s);

/* cmd_mail.c */
void cmd_mail(struct session *s, struct sv args);
void cmd_rcpt(struct session *s, struct sv args);
void cmd_vrfy(struct session *s, struct sv args);
struct txn *txn_new(struct session *s);
void txn_free(struct session *s);   /* forgets the transaction; the spool descriptor is given back */
void log_client(struct session *s); /* "QUEUEID: client=..." */

const char *smtpd_date(struct smtpd *g); /* now, for a Received field; smtpd.c */

/* cmd_data.c */
void cmd_data(struct session *s, struct sv args);
void cmd_bdat(struct session *s, struct sv args);
void data_input(struct session *s); /* MODE_DATA, MODE_BDAT: takes what is in the stream */

/* cmd_auth.c */
void cmd_auth(struct session *s, struct sv args);
void auth_line(struct session *s, struct sv line); /* MODE_AUTH */
void auth_abort(struct session *s);		   /* the session ends */
bool auth_offered(const struct session *s);	   /* AUTH may be announced and used now */
/* Mechanisms for EHLO; false: not known yet, s->resume will be called when it is. */
bool auth_mechs(struct session *s, void (*resume)(struct session *), const char **mechs);
void auth_mechs_init(struct smtpd *g);

/* cmd_tls.c */
void cmd_starttls(struct session *s, struct sv args);
bool tls_offered(const struct session *s);
/* Is it known whether there is a certificate?  False: resume will be called. */
bool tls_known(struct session *s, void (*resume)(struct session *));
void tls_begin(struct session *s); /* wrapper mode, or after the 220 of STARTTLS */

/* stock.c: spool descriptors from cleanup */
void stock_init(struct smtpd *g);
void stock_free(struct smtpd *g); /* nobody waits any more */
/* 0: *item is the caller's; ERR_TEMP: none is there yet, session_wake() comes; ERR_CLOSED: cleanup does not answer. */
int stock_take(struct session *s, struct stock_item *item);
void stock_cancel(struct session *s);			   /* the session waits no more */
void stock_drop(struct smtpd *g, struct stock_item *item); /* closes and tells cleanup; -1 is fine */

/* limits.c: anvil */
/* Asks for the connection's counts; resume is called when known.  False: no limit applies, nothing was asked. */
bool limits_connect(struct session *s, void (*done)(struct session *, const char *refusal));
enum limit_kind { LIMIT_MESSAGE, LIMIT_RCPT, LIMIT_AUTH };
/* Counts one event: 0 within bounds, ERR_LIMIT refused, ERR_TEMP: wait, resume will be called and asks again. */
int limits_event(struct session *s, enum limit_kind kind, void (*resume)(struct session *));
void limits_release(struct session *s);

#endif
