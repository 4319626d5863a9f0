/*
 * tls_server.h - the server side for a program: fetches this service's certificates and ticket keys from keyd, keeps a
 * context of them, renews it when keyd says so, and has keyd make the signatures.  Connections go on with the context
 * that they began with.
 */
#ifndef MERPATI_TLS_SERVER_H
#define MERPATI_TLS_SERVER_H

#include "daemon/daemon.h"
#include "tls/tls_ctx.h"

struct tls_server;

/* Call in start(): copies conf.  Nothing is sent before the loop runs. */
struct tls_server *tls_server_new(struct daemon *d, const struct tls_conf *conf);
void tls_server_free(struct tls_server **s);

/* The context for tls_accept (borrowed), or NULL: no certificate for this service, or keyd has not answered yet. */
struct tls_ctx *tls_server_ctx(struct tls_server *s);

/* True once it is known whether there is a certificate. */
bool tls_server_known(const struct tls_server *s);

/* Called once when it becomes known (at once, if it is): a wrapper-mode port waits for it with its first connection. */
struct tls_server_wait {
	void (*cb)(struct tls_server_wait *w);
	struct tls_server_wait *next, **prev; /* private */
};
void tls_server_wait(struct tls_server *s, struct tls_server_wait *w);
void tls_server_wait_cancel(struct tls_server_wait *w);

#endif
