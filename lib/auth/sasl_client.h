/*
 * sasl_client.h - the client side of SASL (RFC 4422), over GNU SASL: for smtp towards a relay.  Raw bytes in and out;
 * the protocol adds base64 and continuation marks.
 */
#ifndef MERPATI_SASL_CLIENT_H
#define MERPATI_SASL_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

struct sasl_client_opts {
	struct sv offered; /* what the server offers: names separated by blanks */
	const char
	    *filter; /* smtp_sasl_mechanism_filter: names separated by blanks or commas, "!NAME" excludes; "": all */
	const char *security; /* smtp_sasl_security_options: noplaintext, noanonymous, ... ; "": all */
	struct sv user, password;
	const char *service; /* "smtp" */
	const char *host;    /* the server's name */
};

struct sasl_client;

/*
 * Picks the best mechanism that both sides and the options allow: SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN.
 * ERR_NOT_FOUND when there is none.
 */
int sasl_client_new(const struct sasl_client_opts *opts, struct sasl_client **out, struct err *err);
void sasl_client_free(struct sasl_client **c);
const char *sasl_client_mech(const struct sasl_client *c);

/* True when the mechanism begins with the client: step once with an empty challenge for the initial response. */
bool sasl_client_first(const struct sasl_client *c);

/*
 * One challenge (decoded) in, one response appended to out (which may stay empty: send an empty response).  0, or
 * negative: the server's message is wrong; cancel the exchange with "*".
 */
int sasl_client_step(struct sasl_client *c, struct sv challenge, struct buf *out, struct err *err);

/* After the server's success: true if the mechanism is complete (SCRAM: the server has proved that it knows the
 * password). */
bool sasl_client_complete(const struct sasl_client *c);

#endif
