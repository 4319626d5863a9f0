/*
 * smtp_path.h - the path of MAIL and RCPT (RFC 5321 section 4.1.2), in and out of the form that the queue holds: local
 * part without its quotes, '@', domain.  The last '@' is the one that divides.  Pure.
 */
#ifndef MERPATI_SMTP_PATH_H
#define MERPATI_SMTP_PATH_H

#include "base/buf.h"
#include "base/err.h"

#define SMTP_ADDR_MAX 1024  /* bytes of one address in queue form */
#define SMTP_DOMAIN_MAX 255 /* RFC 5321 section 4.5.3.1.2 */

enum {
	SMTP_PATH_NULL = 1,   /* "<>" is allowed: MAIL */
	SMTP_PATH_STRICT = 2, /* angle brackets and RFC 5321 dot-strings are required (strict_rfc821_envelopes) */
};

struct smtp_path {
	size_t n;
	bool null;		      /* "<>" */
	bool utf8;		      /* has bytes above 127: needs SMTPUTF8 (RFC 6531) */
	bool routed;		      /* a source route stood before it and was dropped (RFC 5321 appendix C) */
	char addr[SMTP_ADDR_MAX + 1]; /* NUL-terminated, queue form */
};

/*
 * Reads one path from the beginning of `in`; *rest is what follows it (parameters).  Without SMTP_PATH_STRICT brackets
 * may be missing and dots may stand anywhere in the local part, as Postfix allows.  0, ERR_SYNTAX or ERR_LIMIT (too
 * long); then *out and *rest mean nothing.
 */
int smtp_path_parse(struct sv in, unsigned flags, struct smtp_path *out, struct sv *rest);

static inline struct sv smtp_path_sv(const struct smtp_path *p)
{
	return sv_of(p->addr, p->n);
}

/* Appends an address in queue form as it stands in a command or header: local part quoted where it must be. */
int smtp_path_quote(struct buf *out, struct sv addr);
/* Divides a queue-form address; *domain is {NULL, 0} when there is no '@'. */
void smtp_path_split(struct sv addr, struct sv *local, struct sv *domain);
/*
 * A syntactically valid host name (RFC 1123 labels with '_' tolerated, at most 255 bytes, not all digits and dots), or,
 * with `literal`, an address literal in brackets ([192.0.2.1], [IPv6:...]).  For HELO and domains.
 */
bool smtp_host_valid(struct sv host, bool literal);
/* Has a dot inside, or is an address literal: a fully qualified name. */
bool smtp_host_fqdn(struct sv host);

#endif
