/*
 * received.h - the trace field that a server puts before a message (RFC 5321 section 4.4), in Postfix's form.  Pure.
 */
#ifndef MERPATI_RECEIVED_H
#define MERPATI_RECEIVED_H

#include "base/buf.h"
#include "base/err.h"

struct received {
	struct sv helo;	    /* what the client called itself */
	struct sv name;	    /* verified name of the client, or "unknown" */
	struct sv addr;	    /* "192.0.2.1" or "IPv6:2001:db8::1" */
	struct sv tls;	    /* tls_info_text, or "" */
	struct sv user;	    /* "" or who was authenticated (smtpd_sasl_authenticated_header) */
	struct sv by;	    /* myhostname */
	struct sv software; /* mail_name */
	struct sv with;	    /* "ESMTPSA" (RFC 3848) */
	struct sv qid;
	struct sv rcpt; /* the one recipient in its external form, "" when there are several */
	struct sv date; /* RFC 5322 date */
	bool local;	/* submitted through the local socket, by uid */
	unsigned uid;
};

/* Appends the field with LF ends.  Bytes that would break the header become '?'.  0 or ERR_LIMIT. */
int received_format(struct buf *out, const struct received *r);
/* True for a line that begins a Received field. */
bool received_is(struct sv line);

#endif
