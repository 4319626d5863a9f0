/* crypto_test.c - published vectors: FIPS 180, RFC 4231, RFC 7677 (PBKDF2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/rng.h"
#include "crypto/secret.h"

static void check_hex(const unsigned char *p, size_t n, const char *want)
{
	struct buf b = BUF_INIT(256);

	assert_int_equal(hex_encode(&b, sv_of((const char *)p, n)), 0);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static void digests(void **state)
{
	unsigned char out[DIGEST_MAX];

	(void)state;
	digest(DIGEST_SHA256, SV("abc"), out);
	check_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest(DIGEST_MD5, SV_NONE, out);
	check_hex(out, 16, "d41d8cd98f00b204e9800998ecf8427e");
	assert_int_equal(digest_len(DIGEST_SHA512), 64);
}

static void macs(void **state)
{
	struct hmac_key *k = hmac_key_new(DIGEST_SHA256, SV("Jefe"));
	unsigned char out[DIGEST_MAX];

	(void)state;
	hmac(DIGEST_SHA256, SV("Jefe"), SV("what do ya want for nothing?"), out);
	check_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	for (int i = 0; i < 2; i++) {
		hmac_key_run(k, SV("something else"), out);
		hmac_key_run(k, SV("what do ya want for nothing?"), out);
		check_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	}
	hmac_key_free(&k);
	hmac(DIGEST_SHA256, SV_NONE, SV_NONE, out);
	check_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void key_derivation(void **state)
{
	struct buf salt = BUF_INIT(64);
	unsigned char out[32];

	(void)state;
	assert_int_equal(base64_decode(&salt, SV("W22ZaJ0SNY7soEsUEjb6gQ==")), 0);
	pbkdf2(DIGEST_SHA256, SV("pencil"), buf_sv(&salt), 4096, out, sizeof(out));
	check_hex(out, 32, "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d");
	buf_free(&salt);
}

static void secrets(void **state)
{
	unsigned char a[32] = {0}, b[32] = {0};
	char *s = xstrdup("secret");

	(void)state;
	assert_true(secret_equal(SV("abc"), SV("abc")));
	assert_false(secret_equal(SV("abc"), SV("abd")));
	assert_false(secret_equal(SV("abc"), SV("abcd")));
	assert_true(secret_equal(SV_NONE, SV_NONE));
	secret_free(&s);
	assert_null(s);
	secret_free(&s);
	rng_bytes(a, sizeof(a));
	rng_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digests),
	    cmocka_unit_test(macs),
	    cmocka_unit_test(key_derivation),
	    cmocka_unit_test(secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
