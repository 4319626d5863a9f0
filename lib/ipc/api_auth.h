/*
 * api_auth.h - what auth is asked: a SASL exchange on behalf of a client (smtpd, login), and the credentials for a
 * relay (smtp).  All challenges, responses and initial responses are raw bytes here: the protocols add base64
 * themselves.
 *
 * AU_MECHS {service s, secure b} -> AU_MECHS {status i, mechanisms s}
 * AU_START {struct au_start} -> AU_MORE | AU_DONE | AU_FAIL, with the id of the request
 * AU_NEXT {connection u, response s} -> AU_MORE | AU_DONE | AU_FAIL
 * AU_ABORT {connection u}, no reply: the client gave up ("*") or has gone.
 * AU_CLIENT {transport s, count, key s ...} -> AU_CLIENT {status i, user s, password s}
 *
 * `connection` is a number that the caller chooses, unique among its exchanges that are open; one exchange a connection
 * at a time.  AU_START for a connection whose exchange is open, and AU_NEXT or a second AU_NEXT where nothing was
 * asked, are out of order: auth closes the channel.  After AU_DONE or AU_FAIL the number is free again.  A delay after
 * a failure is auth's: it answers late.
 */
#ifndef MERPATI_API_AUTH_H
#define MERPATI_API_AUTH_H

#include "ipc/msg.h"

enum au_type { AU_MECHS = 0x4101, AU_START, AU_NEXT, AU_ABORT, AU_CLIENT, AU_MORE, AU_DONE, AU_FAIL };
#define AU_VERSION 1

#define AU_MAX_MECH 32 /* bytes of a mechanism name */
#define AU_MAX_SERVICE 32
#define AU_MAX_RESPONSE                                                                                                \
	12288 /* bytes of one response or challenge after base64 (RFC 4954 section 4: lines of 12,288) */
#define AU_MAX_ADDR 96
#define AU_MAX_USER 1024
#define AU_MAX_TEXT 240
#define AU_MAX_KEYS 8
#define AU_GRANT 32 /* bytes of a grant */

struct au_start {
	struct sv service; /* "smtp", "imap", "pop3" */
	struct sv mech;	   /* any case */
	uint64_t connection;
	struct sv client; /* numeric address, "" when local */
	struct sv local;
	bool secure;	   /* TLS, or another way that nobody can listen to */
	struct sv binding; /* TLS channel binding (tls-exporter), "" without */
	bool has_initial;  /* an initial response is there; it may be empty ("=" in the protocols) */
	struct sv initial;
};
void au_start_encode(struct msg_out *m, const struct au_start *s);
bool au_start_decode(struct msg *m, struct au_start *s);

void au_mechs_ask_encode(struct msg_out *m, struct sv service, bool secure);
bool au_mechs_ask_decode(struct msg *m, struct sv *service, bool *secure);
void au_mechs_encode(struct msg_out *m, int status, struct sv mechs); /* names separated by one blank */
bool au_mechs_decode(struct msg *m, int *status, struct sv *mechs);

void au_next_encode(struct msg_out *m, uint64_t connection, struct sv response);
bool au_next_decode(struct msg *m, uint64_t *connection, struct sv *response);
void au_abort_encode(struct msg_out *m, uint64_t connection);
bool au_abort_decode(struct msg *m, uint64_t *connection);

void au_more_encode(struct msg_out *m, struct sv challenge);
bool au_more_decode(struct msg *m, struct sv *challenge);

struct au_done {
	struct sv user;	   /* who was authenticated, normalised: the SASL login name for log lines and Received */
	struct sv account; /* address of the account; "" when there is none */
	struct sv grant;   /* AU_GRANT random bytes for imap and pop3, "" for smtp */
	struct sv final;   /* last server data (SCRAM); sent as a last challenge or with the success reply */
};
void au_done_encode(struct msg_out *m, const struct au_done *d);
bool au_done_decode(struct msg *m, struct au_done *d);

/* temporary: the question could not be answered (SMTP 454, IMAP NO [UNAVAILABLE], POP3 -ERR [SYS/TEMP]); else the
 * credentials are wrong or the mechanism is not there. text: one line for the log, not for the client. */
void au_fail_encode(struct msg_out *m, bool temporary, struct sv text);
bool au_fail_decode(struct msg *m, bool *temporary, struct sv *text);

struct au_client {
	struct sv transport; /* master.cf service of the client, "smtp" */
	size_t nkeys;
	struct sv keys[AU_MAX_KEYS]; /* looked up in this order: sender (where asked for), [host]:port, nexthop, host,
					domain */
};
void au_client_ask_encode(struct msg_out *m, const struct au_client *c);
bool au_client_ask_decode(struct msg *m, struct au_client *c);
/* status 0, ERR_NOT_FOUND (no credentials for these keys), ERR_TEMP */
void au_client_encode(struct msg_out *m, int status, struct sv user, struct sv password);
bool au_client_decode(struct msg *m, int *status, struct sv *user, struct sv *password);

#endif
