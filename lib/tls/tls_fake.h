/* tls_fake.h - for tests: a signer that answers from the loop, as keyd does, and certificates made on the spot. */
#ifndef MERPATI_TLS_FAKE_H
#define MERPATI_TLS_FAKE_H

#include "crypto/sign.h"
#include "ev/ev.h"
#include "tls/tls_ctx.h"

struct tls_fake {
	struct tls_signer signer; /* first */
	struct ev *ev;
	struct sign_pair pairs[8];
	struct kd_certs certs;
	uint64_t delay_ms;
	int fail_with; /* 0: sign */
	unsigned asked, cancelled;
	struct fake_call *calls;
	uint32_t last;
};

void tls_fake_init(struct tls_fake *f, struct ev *ev);
/* Adds a certificate for `name` with a key made by openssl(1); keeps DIR/name.crt as a root for clients. */
void tls_fake_add(struct tls_fake *f, const char *dir, const char *name, bool rsa);
void tls_fake_clear(struct tls_fake *f);

#endif
