/*
 * sasl_server.h - the server side of SASL (RFC 4422) over GNU SASL: PLAIN, LOGIN, SCRAM-SHA-256.  It speaks the
 * mechanisms; whether a password is right is not its business: PLAIN and LOGIN end in SASL_CHECK with the name and the
 * password, which the caller has checked elsewhere, at its leisure.
 */
#ifndef MERPATI_SASL_SERVER_H
#define MERPATI_SASL_SERVER_H

#include "auth/pwhash.h"

struct sasl_server;   /* the mechanisms of one process */
struct sasl_exchange; /* one conversation */

struct sasl_server_cb {
	/*
	 * SCRAM: fills the verifier of a name as the client gave it.  Always succeeds: an unknown name gets an invented
	 * one (scram_invent).
	 */
	void (*verifier)(void *ctx, struct sv name, struct scram_verifier *out);
	void *ctx;
};
int sasl_server_new(const struct sasl_server_cb *cb, struct sasl_server **out, struct err *err);
void sasl_server_free(struct sasl_server **s);
bool sasl_server_known(struct sv mech); /* PLAIN, LOGIN, SCRAM-SHA-256 in any case */
bool sasl_server_needs_verifier(struct sv mech);

/* ERR_NOT_FOUND: no such mechanism.  The server outlives its exchanges. */
int sasl_exchange_new(struct sasl_server *s, struct sv mech, struct sasl_exchange **out, struct err *err);
void sasl_exchange_free(struct sasl_exchange **x); /* clears what it knew */

enum sasl_result {
	SASL_MORE,  /* *out is the next challenge */
	SASL_CHECK, /* name and password are there, to be checked by the caller */
	SASL_OK,    /* the client has proved itself; *out is the last data for it, perhaps empty */
	SASL_FAILED /* wrong, or not well-formed */
};
/* One response of the client (has: false for "nothing yet", where there is no initial response). */
enum sasl_result sasl_exchange_step(struct sasl_exchange *x, bool has, struct sv response, struct buf *out);

/* After SASL_CHECK or SASL_OK: as the client gave them; an absent authorization identity is "" or the name.  Valid
 * until the exchange is freed. */
struct sv sasl_exchange_name(const struct sasl_exchange *x);
struct sv sasl_exchange_authzid(const struct sasl_exchange *x);
struct sv sasl_exchange_password(const struct sasl_exchange *x); /* only after SASL_CHECK */

#endif
