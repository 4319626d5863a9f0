/*
 * tls_key.c - private keys that are not here.  A public EC_KEY or RSA object gets a method whose signing function hands
 * the digest (or the padded PSS block) to the context's signer and waits for the answer in the handshake's own stack.
 * OpenSSL 3 calls these methods deprecated; a provider, which could do Ed25519 too, would replace this file alone.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls/tls_priv.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#define KEY_SLOT 0 /* the application's own place in ex_data */

static ECDSA_SIG *ec_sign_sig(
    const unsigned char *dgst, int dgst_len, const BIGNUM *kinv, const BIGNUM *rp, EC_KEY *eckey)
{
	(void)dgst;
	(void)dgst_len;
	(void)kinv;
	(void)rp;
	(void)eckey;
	return NULL; /* TLS only ever asks for the encoded form */
}

static int ec_sign(int type, const unsigned char *dgst, int dlen, unsigned char *sig, unsigned int *siglen,
    const BIGNUM *kinv, const BIGNUM *r, EC_KEY *eckey)
{
	struct tls_key *key = EC_KEY_get_ex_data(eckey, KEY_SLOT);
	struct kd_sign what = {.scheme = KD_ECDSA, .form = KD_FORM_DIGEST};
	int max = ECDSA_size(eckey), n;

	(void)type;
	(void)kinv;
	(void)r;
	if (!key || dlen <= 0 || max <= 0)
		return 0;
	what.data = sv_of((const char *)dgst, (size_t)dlen);
	n = tls_conn_sign(key->ctx->current, key, &what, sig, (size_t)max);
	if (n <= 0)
		return 0;
	*siglen = (unsigned)n;
	return 1;
}

static uint32_t pkcs1_scheme(int type)
{
	switch (type) {
	case NID_sha1: return KD_RSA_PKCS1_SHA1;
	case NID_sha224: return KD_RSA_PKCS1_SHA224;
	case NID_sha256: return KD_RSA_PKCS1_SHA256;
	case NID_sha384: return KD_RSA_PKCS1_SHA384;
	case NID_sha512: return KD_RSA_PKCS1_SHA512;
	default: return 0;
	}
}

/* RSASSA-PKCS1-v1_5, for TLS 1.2: the digest is visible. */
static int rsa_sign(int type, const unsigned char *m, unsigned int m_length, unsigned char *sigret,
    unsigned int *siglen, const RSA *rsa)
{
	struct tls_key *key = RSA_get_ex_data(rsa, KEY_SLOT);
	struct kd_sign what = {.scheme = pkcs1_scheme(type), .form = KD_FORM_DIGEST};
	int n;

	if (!key || !what.scheme)
		return 0;
	what.data = sv_of((const char *)m, m_length);
	n = tls_conn_sign(key->ctx->current, key, &what, sigret, (size_t)RSA_size(rsa));
	if (n <= 0)
		return 0;
	*siglen = (unsigned)n;
	return 1;
}

/* The block that OpenSSL padded for RSASSA-PSS; no other use of the raw key operation is passed on. */
static int rsa_priv_enc(int flen, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	struct tls_key *key = RSA_get_ex_data(rsa, KEY_SLOT);
	struct kd_sign what = {.scheme = KD_RSA_PSS, .form = KD_FORM_PSS};

	if (!key || padding != RSA_NO_PADDING || flen <= 0 || flen > KD_MAX_SIGN)
		return -1;
	what.data = sv_of((const char *)from, (size_t)flen);
	return tls_conn_sign(key->ctx->current, key, &what, to, (size_t)RSA_size(rsa));
}

static int rsa_priv_dec(int flen, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	(void)flen;
	(void)from;
	(void)to;
	(void)rsa;
	(void)padding;
	return -1; /* RSA key transport is not offered */
}

static int make_methods(struct tls_ctx *ctx, struct err *err)
{
	if (ctx->ec_method)
		return 0;
	ctx->ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	ctx->rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	if (!ctx->ec_method || !ctx->rsa_method)
		return tls_err(err, ERR_TEMP, "key method");
	EC_KEY_METHOD_set_sign(ctx->ec_method, ec_sign, NULL, ec_sign_sig);
	RSA_meth_set1_name(ctx->rsa_method, "keyd");
	RSA_meth_set_flags(ctx->rsa_method, RSA_METHOD_FLAG_NO_CHECK | RSA_FLAG_EXT_PKEY);
	RSA_meth_set_sign(ctx->rsa_method, rsa_sign);
	RSA_meth_set_priv_enc(ctx->rsa_method, rsa_priv_enc);
	RSA_meth_set_priv_dec(ctx->rsa_method, rsa_priv_dec);
	return 0;
}

static EVP_PKEY *wrap_ec(struct tls_ctx *ctx, EVP_PKEY *public, struct tls_key *key)
{
	EC_KEY *ec = EVP_PKEY_get1_EC_KEY(public);
	EVP_PKEY *out = EVP_PKEY_new();

	if (ec && out && EC_KEY_set_method(ec, ctx->ec_method) && EC_KEY_set_ex_data(ec, KEY_SLOT, key) &&
	    EVP_PKEY_assign_EC_KEY(out, ec))
		return out;
	EC_KEY_free(ec);
	EVP_PKEY_free(out);
	return NULL;
}

static EVP_PKEY *wrap_rsa(struct tls_ctx *ctx, EVP_PKEY *public, struct tls_key *key)
{
	RSA *rsa = EVP_PKEY_get1_RSA(public);
	EVP_PKEY *out = EVP_PKEY_new();

	if (rsa && out && RSA_set_method(rsa, ctx->rsa_method) && RSA_set_ex_data(rsa, KEY_SLOT, key) &&
	    EVP_PKEY_assign_RSA(out, rsa))
		return out;
	RSA_free(rsa);
	EVP_PKEY_free(out);
	return NULL;
}

/* A key object of our own: the one inside the X509 is cached there and must keep its method. */
static EVP_PKEY *copy_public(X509 *leaf)
{
	unsigned char *der = NULL;
	const unsigned char *p;
	int n = i2d_PUBKEY(X509_get0_pubkey(leaf), &der);
	EVP_PKEY *key = NULL;

	p = der;
	if (n > 0)
		key = d2i_PUBKEY(NULL, &p, n);
	OPENSSL_free(der);
	return key;
}

EVP_PKEY *tls_key_new(struct tls_ctx *ctx, X509 *leaf, uint32_t number, struct err *err)
{
	EVP_PKEY *public, *out = NULL;
	struct tls_key *key;

	if (make_methods(ctx, err))
		return NULL;
	public = copy_public(leaf);
	if (!public) {
		tls_err(err, ERR_SYNTAX, "public key");
		return NULL;
	}
	key = xcalloc(1, sizeof(*key));
	key->ctx = ctx;
	key->number = number;
	if (EVP_PKEY_base_id(public) == EVP_PKEY_EC)
		out = wrap_ec(ctx, public, key);
	else if (EVP_PKEY_base_id(public) == EVP_PKEY_RSA)
		out = wrap_rsa(ctx, public, key);
	if (!out) {
		err_set(err, ERR_UNSUPPORTED, "keys of type %s cannot be used", OBJ_nid2sn(EVP_PKEY_base_id(public)));
		free(key);
	} else {
		ctx->keys = xreallocarray(ctx->keys, ctx->nkeys + 1, sizeof(struct tls_key *));
		ctx->keys[ctx->nkeys++] = key;
	}
	EVP_PKEY_free(public);
	return out;
}

void tls_key_clear(struct tls_ctx *ctx)
{
	for (size_t i = 0; i < ctx->nkeys; i++)
		free(ctx->keys[i]);
	free(ctx->keys);
	if (ctx->ec_method)
		EC_KEY_METHOD_free(ctx->ec_method);
	if (ctx->rsa_method)
		RSA_meth_free(ctx->rsa_method);
}
