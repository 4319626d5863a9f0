/* digest.c - hashes over libcrypto's EVP interface. */
#include "crypto/digest.h"

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

void pbkdf2(enum digest_alg alg, struct sv password, struct sv salt, unsigned iterations, unsigned char *out, size_t n)
{
	const unsigned char *s = (const unsigned char *)(salt.n ? salt.p : "");

	BUG_ON(password.n > INT32_MAX || salt.n > INT32_MAX || n > INT32_MAX || iterations > INT32_MAX);
	BUG_ON(!PKCS5_PBKDF2_HMAC(
	    password.n ? password.p : "", (int)password.n, s, (int)salt.n, (int)iterations, md_of(alg), (int)n, out));
}
