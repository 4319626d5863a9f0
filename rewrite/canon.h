/*
 * canon.h - the canonical form of an address: what Postfix's trivial-rewrite does to it in the local context.  Pure.
 * Addresses are in internal form: no angle brackets, local part not quoted, the domain is behind the last '@'.
 */
#ifndef MERPATI_REWRITE_CANON_H
#define MERPATI_REWRITE_CANON_H

#include "base/buf.h"

struct canon_conf {
	const char *myorigin, *mydomain;
	bool append_at_myorigin, append_dot_mydomain, swap_bangpath, percent_hack;
	bool dequoted;	     /* look for routing operators in local parts that need quotes too */
	bool null_domain;    /* "user@" is a local address */
	bool numeric_domain; /* user@1.2.3.4 is user@[1.2.3.4] */
};

/* Appends the canonical form; "" stays "".  0, ERR_SYNTAX, or ERR_LIMIT (out->max). */
int canon_address(const struct canon_conf *c, struct sv addr, struct buf *out);
/* The two sides of the last '@'; no '@': domain.p is NULL. */
void canon_split(struct sv addr, struct sv *local, struct sv *domain);
/* True when the local part names another host ('@', '%', '!') as far as the settings look for it. */
bool canon_is_routed(const struct canon_conf *c, struct sv local);
/* Appends the address as it stands in tables: the local part quoted where it is not a dot-string (RFC 5322
 * section 3.2.3). */
int canon_quoted(struct sv addr, struct buf *out);

#endif
