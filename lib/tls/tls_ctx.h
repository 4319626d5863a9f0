/*
 * tls_ctx.h - what many TLS connections share: protocol versions, ciphers, trusted roots, certificates, ticket keys. No
 * caller sees an OpenSSL type.  A server context has no private key: signatures are made through struct tls_signer.
 */
#ifndef MERPATI_TLS_CTX_H
#define MERPATI_TLS_CTX_H

#include "base/err.h"
#include "base/sv.h"
#include "ipc/api_keyd.h"

/* Settings as the Postfix parameters of the same names write them; NULL or "" means the default. */
struct tls_conf {
	const char
	    *protocols; /* smtpd_tls_protocols: ">=TLSv1.2", "!SSLv2, !SSLv3", "TLSv1.2 TLSv1.3"; below 1.2 never */
	const char *ciphers;	/* smtpd_tls_ciphers: a grade: export, low, medium, high, null */
	const char *exclude;	/* smtpd_tls_exclude_ciphers: "aNULL, RC4" */
	const char *ca_file;	/* smtp_tls_CAfile: PEM; "system" or neither of the two: no roots but the system's if
				   `system_roots` */
	const char *ca_path;	/* smtp_tls_CApath: hashed folder, read when needed: the cage must allow it */
	bool system_roots;	/* tls_append_default_CA */
	bool prefer_server;	/* tls_preempt_cipherlist */
	const char *session_id; /* server: context of session tickets, at most 32 bytes: the service's name */
};

/*
 * Makes signatures for a server context, elsewhere.  `sign` starts one; `done` is called exactly once later, never from
 * inside sign(), with status 0 and the signature or a negative status.  `cancel` (with the number that sign returned):
 * done will not be called.
 */
typedef void tls_signed_fn(void *arg, int status, struct sv signature);
struct tls_signer {
	uint32_t (*sign)(struct tls_signer *s, const struct kd_sign *what, tls_signed_fn *done, void *arg);
	void (*cancel)(struct tls_signer *s, uint32_t call);
	unsigned waiting,
	    peak; /* private: handshakes that wait for a signature now, and the most since stacks were freed */
};

struct tls_ctx; /* counted: every connection holds a reference */

/* For clients.  Roots are loaded now.  0 or negative with *out untouched. */
int tls_ctx_client(const struct tls_conf *conf, struct tls_ctx **out, struct err *err);

/*
 * For servers.  The first certificate is the default; one whose names match the client's SNI is preferred. Certificates
 * of different key types with the same names are offered side by side.  The chains are copied; `signer` is borrowed and
 * outlives the context; the views in certs need not.  Signatures carry certs->generation.  tickets may be NULL or
 * empty: no session tickets then.  ERR_NOT_FOUND when there is no usable certificate (Ed25519 keys cannot be used).
 */
int tls_ctx_server(const struct tls_conf *conf, const struct kd_certs *certs, struct tls_signer *signer,
    struct tls_ctx **out, struct err *err);
/* Replaces the ticket keys: the first that has not expired encrypts, all of them decrypt. */
void tls_ctx_tickets(struct tls_ctx *ctx, const struct kd_tickets *tickets);

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx);
void tls_ctx_unref(struct tls_ctx **ctx);

/* Checks a Postfix protocol list; 0 or ERR_SYNTAX.  *min and *max are TLS version numbers (0x0303, 0x0304). */
int tls_protocols_parse(const char *text, int *min, int *max, struct err *err);

#endif
