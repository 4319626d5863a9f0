/* cidr.h - address/prefix patterns.  Pure. */
#ifndef MERPATI_CIDR_H
#define MERPATI_CIDR_H

#include "base/sv.h"

struct cidr_addr {
	unsigned char b[16];
	unsigned n; /* 4 or 16 bytes */
};
struct cidr {
	struct cidr_addr net;
	unsigned bits;
};

/* A numeric address; brackets around IPv6 are allowed.  0 or ERR_SYNTAX. */
int cidr_addr(struct sv text, struct cidr_addr *out);
/*
 * "address" or "address/bits".  0, or ERR_SYNTAX with a text in why (at least 160 bytes): not an address, too many
 * bits, host bits that are not zero.
 */
int cidr_parse(struct sv text, struct cidr *out, char *why);
/* Addresses of the other family never match. */
bool cidr_match(const struct cidr *c, const struct cidr_addr *a);

#endif
