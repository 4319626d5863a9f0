/* setup.h - libunbound's context from resolver's parameters. */
#ifndef MERPATI_RESOLVER_SETUP_H
#define MERPATI_RESOLVER_SETUP_H

#include "base/err.h"
#include "base/sv.h"

struct ub_ctx;
struct ub_event_base;

/* The parameters of the same names (postconf(5)). */
struct setup {
	const char *forward, *stub_zones, *trust_anchor_file, *dnssec;
	uint64_t cache_size, max_ttl, max_negative_ttl;
	bool ipv4, ipv6;	 /* inet_protocols */
	const char *resolv_conf; /* path; read when forward is empty */
};

/* Makes the context and asks it one question, so that it opens its files now.  0 or negative. */
int setup_context(struct ub_event_base *base, const struct setup *s, struct ub_ctx **out, struct err *err);

/*
 * "10.0.0.1", "10.0.0.1:5353", "10.0.0.1@5353", "::1", "[::1]:5353" -> "addr" or "addr@port" as libunbound wants it.
 * 0 or ERR_SYNTAX.
 */
int setup_server(struct sv text, char out[80]);

#endif
