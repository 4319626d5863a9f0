/* sign_test.c - pairs of several forms are loaded; only what has the form of a TLS signature is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypto/digest.h"
#include "crypto/rng.h"
#include "crypto/sign.h"

struct made {
	char *key, *cert;
	EVP_PKEY *pkey;
};

static char *bio_text(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	char *s = xstrndup(p, (size_t)n);

	BIO_free(bio);
	return s;
}

static void add_alt(X509 *x, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value);

	assert_non_null(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

static struct made make(bool rsa, const char *alt)
{
	struct made m = {.pkey = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256")};
	X509 *x = X509_new();
	BIO *k = BIO_new(BIO_s_mem()), *c = BIO_new(BIO_s_mem());

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"Common.Example", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, m.pkey);
	if (alt)
		add_alt(x, alt);
	X509_sign(x, m.pkey, EVP_sha256());
	PEM_write_bio_PrivateKey(k, m.pkey, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(c, x);
	X509_free(x);
	m.key = bio_text(k);
	m.cert = bio_text(c);
	return m;
}

static void unmake(struct made *m)
{
	free(m->key);
	free(m->cert);
	EVP_PKEY_free(m->pkey);
}

static bool verify(struct made *m, bool pss, struct sv digest, struct sv sig)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(m->pkey, NULL);
	bool ok = EVP_PKEY_verify_init(ctx) > 0;

	if (EVP_PKEY_base_id(m->pkey) == EVP_PKEY_RSA)
		ok = ok && EVP_PKEY_CTX_set_rsa_padding(ctx, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) > 0;
	ok = ok && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0;
	ok = ok &&
	     EVP_PKEY_verify(ctx, (const unsigned char *)sig.p, sig.n, (const unsigned char *)digest.p, digest.n) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static void names_and_forms(void **state)
{
	struct made a = make(false, "DNS:Mail.Example.ORG,DNS:*.example.net,IP:127.0.0.1"), b = make(true, NULL);
	struct sign_pair pairs[SIGN_MAX_PAIRS] = {0};
	struct err err;
	size_t n = 0;
	char *both = xasprintf("%s%s%s%s", a.key, a.cert, b.key, b.cert);

	(void)state;
	assert_int_equal(sign_pair_load(sv_str(a.cert), sv_str(a.key), &pairs[0], &err), 0);
	assert_string_equal(pairs[0].names, "mail.example.org *.example.net");
	assert_string_equal(pairs[0].chain, a.cert);
	sign_pair_clear(&pairs[0]);
	assert_int_equal(sign_pairs_load(sv_str(both), pairs, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(pairs[1].names, "common.example");
	sign_pair_clear(&pairs[0]);
	sign_pair_clear(&pairs[1]);
	assert_int_equal(sign_pair_load(sv_str(a.cert), sv_str(b.key), &pairs[0], &err), ERR_SYNTAX);
	assert_int_equal(sign_pair_load(sv_str(a.cert), SV("nonsense"), &pairs[0], &err), ERR_SYNTAX);
	assert_int_equal(sign_pair_load(sv_str(a.key), sv_str(a.key), &pairs[0], &err), ERR_SYNTAX);
	assert_null(pairs[0].key);
	free(both);
	unmake(&a);
	unmake(&b);
}

static void ecdsa(void **state)
{
	struct made a = make(false, "DNS:x.example");
	struct sign_pair p = {0};
	struct buf out = BUF_INIT(4096);
	unsigned char d[32];
	struct err err;

	(void)state;
	digest(DIGEST_SHA256, SV("hello"), d);
	assert_int_equal(sign_pair_load(sv_str(a.cert), sv_str(a.key), &p, &err), 0);
	assert_int_equal(sign_ecdsa(p.key, sv_of((char *)d, 32), &out, &err), 0);
	assert_true(verify(&a, false, sv_of((char *)d, 32), buf_sv(&out)));
	assert_int_equal(sign_ecdsa(p.key, SV("not a digest"), &out, &err), ERR_DENIED);
	assert_int_equal(sign_pkcs1(p.key, SIGN_SHA256, sv_of((char *)d, 32), &out, &err), ERR_UNSUPPORTED);
	buf_free(&out);
	sign_pair_clear(&p);
	unmake(&a);
}

static void rsa(void **state)
{
	struct made a = make(true, "DNS:x.example");
	struct sign_pair p = {0};
	struct buf out = BUF_INIT(4096), em = BUF_INIT(4096);
	unsigned char d[32], raw[256];
	struct err err;
	EVP_PKEY_CTX *ctx;
	size_t n = 256;

	(void)state;
	digest(DIGEST_SHA256, SV("hello"), d);
	assert_int_equal(sign_pair_load(sv_str(a.cert), sv_str(a.key), &p, &err), 0);
	assert_int_equal(sign_pkcs1(p.key, SIGN_SHA256, sv_of((char *)d, 32), &out, &err), 0);
	assert_true(verify(&a, false, sv_of((char *)d, 32), buf_sv(&out)));
	assert_int_equal(sign_pkcs1(p.key, SIGN_SHA384, sv_of((char *)d, 32), &out, &err), ERR_DENIED);
	/* a true block: take a PSS signature back to its encoding with the public key */
	ctx = EVP_PKEY_CTX_new(a.pkey, NULL);
	assert_true(EVP_PKEY_sign_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) > 0);
	assert_true(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) > 0);
	assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0);
	assert_true(EVP_PKEY_sign(ctx, raw, &n, d, sizeof(d)) > 0);
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new(a.pkey, NULL);
	assert_true(EVP_PKEY_encrypt_init(ctx) > 0 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0);
	n = 256;
	assert_true(EVP_PKEY_encrypt(ctx, (unsigned char *)buf_reserve(&em, n), &n, raw, sizeof(raw)) > 0);
	em.n = n;
	EVP_PKEY_CTX_free(ctx);
	buf_reset(&out);
	assert_int_equal(sign_pss(p.key, buf_sv(&em), &out, &err), 0);
	assert_true(verify(&a, true, sv_of((char *)d, 32), buf_sv(&out)));
	/* one that was tampered with, and a bare number */
	em.p[0] ^= 0x01;
	assert_int_equal(sign_pss(p.key, buf_sv(&em), &out, &err), ERR_DENIED);
	rng_bytes(raw, sizeof(raw));
	raw[0] &= 0x7f;
	raw[255] = 0xbc;
	assert_int_equal(sign_pss(p.key, sv_of((char *)raw, 256), &out, &err), ERR_DENIED);
	assert_int_equal(sign_pss(p.key, sv_of((char *)raw, 255), &out, &err), ERR_DENIED);
	buf_free(&out);
	buf_free(&em);
	sign_pair_clear(&p);
	unmake(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_and_forms),
	    cmocka_unit_test(ecdsa),
	    cmocka_unit_test(rsa),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
