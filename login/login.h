/* login.h - what the files of this program share: the process and one client. */
#ifndef MERPATI_LOGIN_LOGIN_H
#define MERPATI_LOGIN_LOGIN_H

#include "daemon/daemon.h"
#include "io/stream.h"
#include "ipc/api_auth.h"
#include "proto/imap_lex.h"
#include "tls/tls_server.h"
#include "tls/tls_stream.h"

#define LOGIN_IN_MAX 16384     /* bytes of unread input before login: a command with a SASL response fits */
#define RELAY_IN_MAX 32768     /* bytes on the way from a session: in the reading buffer ... */
#define RELAY_OUT_MAX 65536    /* ... and in the writing one of either side */
#define LOGIN_LINE_MAX 8192    /* bytes of an IMAP command without its literals */
#define LOGIN_LITERAL_MAX 4096 /* bytes of a literal before login */
#define LOGIN_BAD_MAX 10       /* commands that are no commands before the connection ends */
#define SASL_LINE_MAX 16384    /* base64 of AU_MAX_RESPONSE */
#define AUTH_MS 25000	       /* auth answers by then, its delay after a failure included */
#define START_MS 30000	       /* the session is there by then */
#define FLUSH_MS 10000	       /* for the last words of a connection */
#define DRAIN_MS 10000	       /* for a client to log in when the process is to end */

enum phase {
	PHASE_TLS, /* handshake, or waiting for keyd's certificates */
	PHASE_COMMAND,
	PHASE_AUTH,	/* auth is thinking */
	PHASE_RESPONSE, /* the client is to answer a challenge */
	PHASE_FINAL,	/* the client is to acknowledge the last data of the server */
	PHASE_START,	/* master is starting the session */
	PHASE_RELAY,
	PHASE_CLOSED /* only waits until nobody holds it any more */
};

struct login_conn;

/* What differs between IMAP and POP3 before authentication. */
struct login_proto {
	const char *name;  /* "imap", "pop3": the service that auth hears of */
	const char *title; /* "IMAP", "POP3": for the log */
	void (*greet)(struct login_conn *c);
	bool (*command)(struct login_conn *c); /* handles one command; false when there is none complete */
	void (*challenge)(struct login_conn *c, struct sv base64);
	void (*auth_failed)(struct login_conn *c, bool temporary);
	void (*auth_aborted)(struct login_conn *c); /* the client sent "*" or what is not base64 */
	void (*bye)(struct login_conn *c, const char *why);
};
extern const struct login_proto login_imap, login_pop3;

struct login_conn {
	const struct login_proto *proto;
	struct stream *s;	/* to the client */
	struct stream *session; /* PHASE_RELAY */
	struct login_conn *next, **prev;
	struct ev_timer timer;
	struct tls_server_wait wait;
	uint64_t number;
	uint32_t call; /* to auth; 0: none */
	uint8_t phase; /* enum phase */
	uint8_t bad;
	uint8_t failures;
	uint8_t holds; /* callers that still need the struct after it was closed, an answer of master among them */
	bool tls, local, counted;
	char client[46], server[46];
	struct imap_scan scan; /* IMAP: the command that is arriving */
	char *tag;	       /* IMAP: of the command that logs in */
	char *user;	       /* POP3: of USER; then of the one who logged in */
	char mech[AU_MAX_MECH + 1];
	char grant[AU_GRANT];
	uint64_t bytes_in, bytes_out;
};

struct login {
	struct daemon *d;
	const struct login_proto *proto;
	struct peer *auth, *anvil;
	struct tls_server *tls;
	struct login_conn *conns;
	bool wrapper, plaintext, offer_tls;
	unsigned limit_per_client, failures_limit;
	uint64_t timeout_ms;
	uint64_t last_number;
	char *mechs; /* what auth offers */
	struct ev_timer mechs_timer;
};
extern struct login login;

/* conn.c */
void conn_new(int fd, const struct sockaddr_storage *from);
void conn_close(struct login_conn *c); /* at once; the struct stays while it is held */
void conn_drain(struct login_conn *c); /* it must log in within DRAIN_MS */
void conn_hold(struct login_conn *c);
void conn_release(struct login_conn *c);
void conn_end(struct login_conn *c);			   /* after what was written has gone out */
void conn_end_with(struct login_conn *c, const char *why); /* the protocol's farewell, then conn_end */
void conn_input(struct login_conn *c);			   /* handles what has arrived; c may be gone afterwards */
bool conn_secure(const struct login_conn *c);		   /* TLS, or a client on this host */
bool conn_plaintext_ok(const struct login_conn *c);
bool conn_starttls_offered(const struct login_conn *c);
void conn_starttls(struct login_conn *c); /* the reply is already written */
void conn_bad(struct login_conn *c);	  /* counts one that is no command */
/* The mechanisms that this client may use now, each with the prefix in front and a blank behind. */
void conn_mechs(const struct login_conn *c, const char *prefix, struct buf *out);

/* sasl.c */
void sasl_begin(struct login_conn *c, struct sv mech, bool has_initial, struct sv initial); /* initial: raw bytes */
void sasl_plain(struct login_conn *c, struct sv user, struct sv password);		    /* LOGIN, PASS */
bool sasl_line(struct login_conn *c);	 /* a response of the client; false when none is complete */
void sasl_give_up(struct login_conn *c); /* the client goes */
bool sasl_mech_ok(const struct login_conn *c, struct sv mech);

/* relay.c */
void relay_begin(struct login_conn *c); /* asks master for the session of c->grant */
void relay_on_drained(struct stream *s, void *arg);
void relay_pump(struct login_conn *c);

#endif
