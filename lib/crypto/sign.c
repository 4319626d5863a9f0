/* sign.c - loading PEM pairs and making signatures over libcrypto. */
#include "crypto/sign.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define MAX_RSA 1024 /* bytes of a modulus: 8192 bits */

struct sign_key {
	EVP_PKEY *pkey;
};

static int fail(struct err *err, int code, const char *what)
{
	unsigned long e = ERR_get_error();
	char text[160] = "no details";

	if (e)
		ERR_error_string_n(e, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, text);
}

static int no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1; /* encrypted keys cannot be used: nobody is there to ask */
}

static void add_name(struct buf *out, const unsigned char *p, int n)
{
	size_t before = out->n;

	for (int i = 0; i < n; i++) {
		if (p[i] <= ' ' || p[i] >= 127)
			return;
	}
	if (n <= 0 || out->n + (size_t)n + 1 > out->max)
		return;
	if (out->n)
		buf_addc(out, ' ');
	for (int i = 0; i < n; i++) {
		if (buf_addc(out, (char)ascii_lower(p[i])))
			out->n = before;
	}
}

/* RFC 6125: the subject's common name counts only where there is no DNS name. */
static char *names_of(X509 *leaf)
{
	GENERAL_NAMES *alt = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	struct buf out = BUF_INIT(SIGN_MAX_NAMES);
	X509_NAME *subject = X509_get_subject_name(leaf);
	int at;

	for (int i = 0; alt && i < sk_GENERAL_NAME_num(alt); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(alt, i);

		if (g->type == GEN_DNS)
			add_name(&out, ASN1_STRING_get0_data(g->d.dNSName), ASN1_STRING_length(g->d.dNSName));
	}
	GENERAL_NAMES_free(alt);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (!out.n && at >= 0) {
		const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

		add_name(&out, ASN1_STRING_get0_data(cn), ASN1_STRING_length(cn));
	}
	ERR_clear_error();
	return buf_steal(&out);
}

/* Takes pkey over.  `certs` is written as the chain. */
static int make_pair(EVP_PKEY *pkey, X509 **certs, size_t n, struct sign_pair *out, struct err *err)
{
	BIO *bio;
	char *text;
	long len;

	if (!n || X509_check_private_key(certs[0], pkey) != 1) {
		EVP_PKEY_free(pkey);
		if (!n)
			return err_set(err, ERR_SYNTAX, "no certificate");
		return fail(err, ERR_SYNTAX, "the key does not belong to the certificate");
	}
	bio = BIO_new(BIO_s_mem());
	for (size_t i = 0; i < n; i++)
		PEM_write_bio_X509(bio, certs[i]);
	len = BIO_get_mem_data(bio, &text);
	if (len <= 0 || len > SIGN_MAX_CHAIN) {
		BIO_free(bio);
		EVP_PKEY_free(pkey);
		return err_set(err, ERR_LIMIT, "certificate chain too long");
	}
	out->chain = xstrndup(text, (size_t)len);
	BIO_free(bio);
	out->names = names_of(certs[0]);
	out->key = xcalloc(1, sizeof(*out->key));
	out->key->pkey = pkey;
	return 0;
}

#define MAX_CERTS 16 /* certificates of one chain */

static void free_certs(X509 **certs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		X509_free(certs[i]);
}

/* Appends the certificates of a text; others of its blocks are passed over. */
static size_t read_certs(struct sv pem, X509 **certs)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	size_t n = 0;

	while (bio && n < MAX_CERTS && (certs[n] = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		n++;
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

static EVP_PKEY *read_key(struct sv pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;

	BIO_free(bio);
	return key;
}

int sign_pair_load(struct sv cert_pem, struct sv key_pem, struct sign_pair *out, struct err *err)
{
	X509 *certs[MAX_CERTS];
	EVP_PKEY *key;
	size_t n;
	int r;

	if (!cert_pem.n || !key_pem.n || cert_pem.n > INT32_MAX || key_pem.n > INT32_MAX)
		return err_set(err, ERR_SYNTAX, "empty file");
	key = read_key(key_pem);
	if (!key)
		return fail(err, ERR_SYNTAX, "no usable private key");
	n = read_certs(cert_pem, certs);
	r = make_pair(key, certs, n, out, err);
	free_certs(certs, n);
	return r;
}

/* Where the next private key's block begins in `pem`, at or after `from`; pem.n when there is none. */
static size_t next_key(struct sv pem, size_t from)
{
	static const char *const begins[] = {"-----BEGIN PRIVATE KEY", "-----BEGIN EC P", "-----BEGIN RSA P"};
	size_t best = pem.n;

	for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
		ssize_t at = from < pem.n ? sv_find(sv_skip(pem, from), sv_str(begins[i])) : -1;

		if (at >= 0 && from + (size_t)at < best)
			best = from + (size_t)at;
	}
	return best;
}

int sign_pairs_load(struct sv pem, struct sign_pair *out, size_t *n, struct err *err)
{
	size_t at = next_key(pem, 0), before = *n;

	if (at == pem.n)
		return err_set(err, ERR_SYNTAX, "no usable private key");
	while (at < pem.n) {
		size_t end = next_key(pem, at + 1);
		struct sv part = sv_of(pem.p + at, end - at);
		int r;

		if (*n >= SIGN_MAX_PAIRS)
			return err_set(err, ERR_LIMIT, "more than %d certificates", SIGN_MAX_PAIRS);
		r = sign_pair_load(part, part, &out[*n], err);
		if (r) {
			while (*n > before)
				sign_pair_clear(&out[--*n]);
			return r;
		}
		++*n;
		at = end;
	}
	return 0;
}

void sign_pair_clear(struct sign_pair *p)
{
	if (p->key) {
		EVP_PKEY_free(p->key->pkey); /* clears the private part */
		free(p->key);
	}
	free(p->chain);
	free(p->names);
	*p = (struct sign_pair){0};
}

static int finish(EVP_PKEY_CTX *ctx, struct sv in, struct buf *out, struct err *err)
{
	const unsigned char *p = (const unsigned char *)in.p;
	size_t len = MAX_RSA;
	char *room = buf_reserve(out, len);
	int r = 0;

	if (!room)
		r = err_set(err, ERR_LIMIT, "signature too long");
	else if (EVP_PKEY_sign(ctx, (unsigned char *)room, &len, p, in.n) <= 0)
		r = fail(err, ERR_TEMP, "signature");
	else
		out->n += len;
	EVP_PKEY_CTX_free(ctx);
	return r;
}

static EVP_PKEY_CTX *begin(const struct sign_key *k, struct err *err)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(k->pkey, NULL);

	if (ctx && EVP_PKEY_sign_init(ctx) > 0)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	fail(err, ERR_TEMP, "signature");
	return NULL;
}

int sign_ecdsa(const struct sign_key *k, struct sv digest, struct buf *out, struct err *err)
{
	EVP_PKEY_CTX *ctx;

	if (EVP_PKEY_base_id(k->pkey) != EVP_PKEY_EC)
		return err_set(err, ERR_UNSUPPORTED, "not an EC key");
	if (digest.n != 20 && digest.n != 28 && digest.n != 32 && digest.n != 48 && digest.n != 64)
		return err_set(err, ERR_DENIED, "%zu bytes are no digest", digest.n);
	ctx = begin(k, err);
	return ctx ? finish(ctx, digest, out, err) : ERR_TEMP;
}

int sign_pkcs1(const struct sign_key *k, enum sign_hash hash, struct sv digest, struct buf *out, struct err *err)
{
	const EVP_MD *const mds[] = {EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512()};
	EVP_PKEY_CTX *ctx;

	if (EVP_PKEY_base_id(k->pkey) != EVP_PKEY_RSA)
		return err_set(err, ERR_UNSUPPORTED, "not an RSA key");
	if (digest.n != (size_t)EVP_MD_get_size(mds[hash]))
		return err_set(err, ERR_DENIED, "%zu bytes are no digest of this hash", digest.n);
	ctx = begin(k, err);
	if (!ctx)
		return ERR_TEMP;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, mds[hash]) <= 0) {
		EVP_PKEY_CTX_free(ctx);
		return fail(err, ERR_TEMP, "signature");
	}
	return finish(ctx, digest, out, err);
}

/* RFC 8017 appendix B.2.1: xors the mask that MGF1 makes from `seed` over n bytes. */
static bool mgf1_xor(const EVP_MD *md, const unsigned char *seed, unsigned char *p, size_t n)
{
	size_t hlen = (size_t)EVP_MD_get_size(md);
	unsigned char in[EVP_MAX_MD_SIZE + 4], mask[EVP_MAX_MD_SIZE];

	memcpy(in, seed, hlen);
	for (uint32_t counter = 0; n; counter++) {
		size_t take = n < hlen ? n : hlen;

		in[hlen] = (unsigned char)(counter >> 24);
		in[hlen + 1] = (unsigned char)(counter >> 16);
		in[hlen + 2] = (unsigned char)(counter >> 8);
		in[hlen + 3] = (unsigned char)counter;
		if (!EVP_Digest(in, hlen + 4, mask, NULL, md, NULL))
			return false;
		for (size_t i = 0; i < take; i++)
			p[i] ^= mask[i];
		p += take;
		n -= take;
	}
	return true;
}

/*
 * RFC 8017 section 9.1.2 as far as it can be checked without the message: trailer, zero padding, the 0x01 and a salt as
 * long as the hash (RFC 8446 section 4.2.3).  An arbitrary number passes with a chance of 2^-900 for 2048 bits.
 */
static bool is_pss_block(const EVP_MD *md, struct sv block, unsigned top_bits)
{
	size_t hlen = (size_t)EVP_MD_get_size(md), dblen, pad;
	unsigned char db[MAX_RSA];

	if (block.n < 2 * hlen + 2 + 16 || (unsigned char)block.p[block.n - 1] != 0xbc)
		return false;
	dblen = block.n - hlen - 1;
	memcpy(db, block.p, dblen);
	if ((db[0] >> (8 - top_bits)) != 0 || !mgf1_xor(md, (const unsigned char *)block.p + dblen, db, dblen))
		return false;
	db[0] &= (unsigned char)(0xff >> top_bits);
	pad = dblen - hlen - 1;
	for (size_t i = 0; i < pad; i++) {
		if (db[i])
			return false;
	}
	return db[pad] == 1;
}

int sign_pss(const struct sign_key *k, struct sv block, struct buf *out, struct err *err)
{
	int bits = EVP_PKEY_get_bits(k->pkey);
	EVP_PKEY_CTX *ctx;

	if (EVP_PKEY_base_id(k->pkey) != EVP_PKEY_RSA)
		return err_set(err, ERR_UNSUPPORTED, "not an RSA key");
	/* only moduli of whole bytes: every key that is in use */
	if (bits % 8 || block.n != (size_t)bits / 8 || block.n > MAX_RSA)
		return err_set(err, ERR_DENIED, "%zu bytes are no block of this key", block.n);
	if (!is_pss_block(EVP_sha256(), block, 1) && !is_pss_block(EVP_sha384(), block, 1) &&
	    !is_pss_block(EVP_sha512(), block, 1))
		return err_set(err, ERR_DENIED, "not an EMSA-PSS block");
	ctx = begin(k, err);
	if (!ctx)
		return ERR_TEMP;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) <= 0) {
		EVP_PKEY_CTX_free(ctx);
		return fail(err, ERR_TEMP, "signature");
	}
	return finish(ctx, block, out, err);
}
