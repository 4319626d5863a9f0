/*
 * dns_backend.h - where a struct dns sends its questions: `resolver` (dns_ask.c) or a table in a test (dns_fake.h).
 */
#ifndef MERPATI_DNS_BACKEND_H
#define MERPATI_DNS_BACKEND_H

#include "dns/dns.h"

struct dns_backend {
	/* Asks; calls done once with the answer (ERR_TEMP after timeout_ms), never from inside. */
	void (*ask)(void *ctx, const struct rs_query *q, uint64_t timeout_ms, dns_done *done, void *arg);
	void (*free)(void *ctx); /* drops what is under way */
};

/* ctx belongs to the client from now on and is freed with it. */
struct dns *dns_new_backend(struct ev *ev, const struct dns_backend *backend, void *ctx);
void *dns_backend_ctx(struct dns *dns);
struct ev *dns_ev(struct dns *dns);

#endif
