/* tls_priv.h - shared by the files of lib/tls only: the OpenSSL types behind tls_ctx.h and tls_stream.h. */
#ifndef MERPATI_TLS_PRIV_H
#define MERPATI_TLS_PRIV_H

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "tls/tls_ctx.h"
#include "tls/tls_stream.h"

struct tls_conn;

/* One SSL_CTX with the certificates that share a name list. */
struct tls_site {
	SSL_CTX *ssl;
	char *names; /* blanks between; "" for a client */
	bool has_rsa, has_ec;
};

struct tls_ctx {
	unsigned refs;
	struct tls_site *sites; /* sites[0] is the default */
	size_t nsites;
	struct tls_signer *signer;
	uint64_t generation;
	struct kd_tickets tickets;
	EC_KEY_METHOD *ec_method;
	RSA_METHOD *rsa_method;
	struct tls_key **keys; /* one per certificate */
	size_t nkeys;
	struct tls_conn *current; /* whose handshake is being advanced right now */
};

/* A key that is elsewhere: hangs on the public EC_KEY or RSA object. */
struct tls_key {
	struct tls_ctx *ctx;
	uint32_t number;
};

/* tls_key.c: the private key that stands for `number`, from the certificate's public key; NULL when its type cannot be
 * used. */
EVP_PKEY *tls_key_new(struct tls_ctx *ctx, X509 *leaf, uint32_t number, struct err *err);
void tls_key_clear(struct tls_ctx *ctx);

/* tls_stream.c: called in the handshake's own stack; waits there for the signature.  Its length, or -1. */
int tls_conn_sign(
    struct tls_conn *c, const struct tls_key *key, const struct kd_sign *what, unsigned char *out, size_t max);

/* tls_info.c */
void tls_info_fill(SSL *ssl, bool server, struct tls_info *out);

/* The first error of the queue as a text; clears the queue. */
int tls_err(struct err *err, int code, const char *what);

#endif
