/* digest.c - hashes over libcrypto's EVP interface. */
#include "crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *md_of(enum digest_alg alg)
{
	switch (alg) {
	case DIGEST_MD5: return EVP_md5();
	case DIGEST_SHA1: return EVP_sha1();
	case DIGEST_SHA256: return EVP_sha256();
	case DIGEST_SHA384: return EVP_sha384();
	case DIGEST_SHA512: return EVP_sha512();
	}
	bug_abort("digest algorithm", __FILE__, __LINE__);
}

size_t digest_len(enum digest_alg alg)
{
	return (size_t)EVP_MD_get_size(md_of(alg));
}

void digest(enum digest_alg alg, struct sv in, unsigned char *out)
{
	BUG_ON(!EVP_Digest(in.n ? in.p : "", in.n, out, NULL, md_of(alg), NULL));
}

void hmac(enum digest_alg alg, struct sv key, struct sv in, unsigned char *out)
{
	const unsigned char *p = (const unsigned char *)(in.n ? in.p : "");

	BUG_ON(key.n > INT32_MAX);
	BUG_ON(!HMAC(md_of(alg), key.n ? key.p : "", (int)key.n, p, in.n, out, NULL));
}

struct hmac_key {
	EVP_MAC_CTX *ctx;
	size_t len;
};

struct hmac_key *hmac_key_new(enum digest_alg alg, struct sv key)
{
	struct hmac_key *k = xcalloc(1, sizeof(*k));
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	OSSL_PARAM params[2];
	char name[32];

	snprintf(name, sizeof(name), "%s", EVP_MD_get0_name(md_of(alg)));
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
	params[1] = OSSL_PARAM_construct_end();
	k->ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	BUG_ON(!k->ctx || !EVP_MAC_init(k->ctx, (const unsigned char *)key.p, key.n, params));
	k->len = digest_len(alg);
	return k;
}

void hmac_key_free(struct hmac_key **k)
{
	if (*k)
		EVP_MAC_CTX_free((*k)->ctx);
	free(*k);
	*k = NULL;
}

void hmac_key_run(struct hmac_key *k, struct sv in, unsigned char *out)
{
	const unsigned char *p = (const unsigned char *)(in.n ? in.p : "");
	size_t n = 0;

	BUG_ON(!EVP_MAC_init(k->ctx, NULL, 0, NULL) || !EVP_MAC_update(k->ctx, p, in.n));
	BUG_ON(!EVP_MAC_final(k->ctx, out, &n, k->len));
}

void pbkdf2(enum digest_alg alg, struct sv password, struct sv salt, unsigned iterations, unsigned char *out, size_t n)
{
	const unsigned char *s = (const unsigned char *)(salt.n ? salt.p : "");

	BUG_ON(password.n > INT32_MAX || salt.n > INT32_MAX || n > INT32_MAX || iterations > INT32_MAX);
	BUG_ON(!PKCS5_PBKDF2_HMAC(
	    password.n ? password.p : "", (int)password.n, s, (int)salt.n, (int)iterations, md_of(alg), (int)n, out));
}
