/*
 * dsn.h - delivery status notifications (RFC 3464 in RFC 3461's terms; RFC 6533 for SMTPUTF8): the text of a notice but
 * for the returned message, which the caller copies between dsn_begin and dsn_end.  Pure.
 */
#ifndef MERPATI_DSN_H
#define MERPATI_DSN_H

#include "base/buf.h"

enum dsn_kind { DSN_FAILURE = 1, DSN_DELAY, DSN_SUCCESS, DSN_DOUBLE };
enum dsn_action { DSN_FAILED = 1, DSN_DELAYED, DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED };

struct dsn_rcpt {
	struct sv addr;	 /* final recipient, internal form */
	struct sv orig;	 /* as given in RCPT; "" or equal to addr: not mentioned */
	struct sv orcpt; /* "rfc822;..." or "" */
	enum dsn_action action;
	struct sv status;     /* "5.1.1" */
	struct sv remote_mta; /* host name, or "" when it was decided here */
	struct sv text;	      /* one line */
	int64_t last_attempt; /* seconds since 1970; 0: not mentioned */
};

struct dsn_report {
	enum dsn_kind kind;
	const char *host;   /* myhostname */
	const char *notice; /* queue id of the notice itself */
	struct sv qid;	    /* of the message that it is about */
	struct sv to;	    /* whom the notice is for */
	struct sv sender;   /* of the message, "" is the null sender */
	struct sv envid;
	int64_t now, arrival; /* seconds since 1970 */
	int64_t retry_until;  /* 0: not mentioned */
	bool full;	      /* the message is returned whole, else its header only */
	bool eightbit;	      /* what is returned is not all ASCII */
	bool utf8;	      /* addresses may be: RFC 6533 */
	size_t n;
	const struct dsn_rcpt *rcpt;
};

/* Line ends are LF.  *header_len: bytes of the header fields; the empty line follows.  0 or ERR_LIMIT. */
int dsn_begin(struct buf *out, const struct dsn_report *r, size_t *header_len);
int dsn_end(struct buf *out, const struct dsn_report *r);

#endif
