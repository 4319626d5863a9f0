/*
 * netlist.h - lists of networks as in mynetworks: "127.0.0.0/8 [::1]/128 192.0.2.1 !192.0.2.2 static:all"; the first
 * pattern that matches decides.  Pure.
 */
#ifndef MERPATI_SMTPD_NETLIST_H
#define MERPATI_SMTPD_NETLIST_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/sv.h"

#define NETLIST_MAX 1000 /* patterns of one list */

struct netlist_item {
	bool v6, negated, all;
	unsigned bits;
	unsigned char addr[16];
};
struct netlist {
	struct netlist_item *item;
	size_t n;
};

/* Reads a list; 0, or ERR_SYNTAX/ERR_UNSUPPORTED naming the pattern, with *out empty. */
int netlist_parse(struct netlist *out, struct sv text, struct err *err);
void netlist_free(struct netlist *l);
/* IPv4-mapped addresses count as IPv4.  False for anything that is not an internet address. */
bool netlist_match(const struct netlist *l, const struct sockaddr_storage *addr);

#endif
