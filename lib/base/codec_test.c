/* codec_test.c - base64, hex, xtext, CRC-32C, UTF-8. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/utf8.h"

static void base64_matches_rfc4648(void **state ATTR_UNUSED)
{
	static const char *const cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
	    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT(100), d = BUF_INIT(100);
		assert_int_equal(base64_encode(&b, sv_str(cases[i][0])), 0);
		assert_string_equal(buf_cstr(&b), cases[i][1]);
		assert_int_equal(base64_decode(&d, sv_str(cases[i][1])), 0);
		assert_string_equal(buf_cstr(&d), cases[i][0]);
		buf_free(&b);
		buf_free(&d);
	}
}

static void base64_refuses_nonsense(void **state ATTR_UNUSED)
{
	static const char *const bad[] = {
	    "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm9\n", "Zh==", "Zm9=", "Z=g="};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf d = BUF_INIT(100);
		assert_int_equal(base64_decode(&d, sv_str(bad[i])), ERR_SYNTAX);
		assert_int_equal(d.n, 0);
		buf_free(&d);
	}
}

static void xtext_goes_both_ways(void **state ATTR_UNUSED)
{
	struct buf b = BUF_INIT(100), d = BUF_INIT(100);
	assert_int_equal(xtext_encode(&b, SV("a+b =c@d")), 0);
	assert_string_equal(buf_cstr(&b), "a+2Bb+20+3Dc@d");
	assert_int_equal(xtext_decode(&d, buf_sv(&b)), 0);
	assert_string_equal(buf_cstr(&d), "a+b =c@d");
	assert_int_equal(xtext_decode(&d, SV("+4")), ERR_SYNTAX);
	assert_int_equal(xtext_decode(&d, SV("a b")), ERR_SYNTAX);
	buf_free(&b);
	buf_free(&d);
}

static void hex_goes_both_ways(void **state ATTR_UNUSED)
{
	struct buf b = BUF_INIT(100), d = BUF_INIT(100);
	assert_int_equal(hex_encode(&b, sv_of("\x00\xff\x10", 3)), 0);
	assert_string_equal(buf_cstr(&b), "00ff10");
	assert_int_equal(hex_decode(&d, buf_sv(&b)), 0);
	assert_memory_equal(d.p, "\x00\xff\x10", 3);
	assert_int_equal(hex_decode(&d, SV("0g")), ERR_SYNTAX);
	buf_free(&b);
	buf_free(&d);
}

static void crc_matches_rfc3720(void **state ATTR_UNUSED)
{
	unsigned char zeros[32] = {0};
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aau);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}

static void utf8_is_strict(void **state ATTR_UNUSED)
{
	static const char *const bad[] = {
	    "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xc3", "\xff"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(utf8_valid(sv_str(bad[i])));
	assert_true(utf8_valid(SV("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x95\x8a")));
	struct buf b = BUF_INIT(40);
	assert_int_equal(utf8_put(&b, 0x1f54a), 0);
	assert_string_equal(buf_cstr(&b), "\xf0\x9f\x95\x8a");
	assert_int_equal(utf8_put(&b, 0xd800), ERR_SYNTAX);
	buf_reset(&b);
	assert_int_equal(text_printable(&b, SV("a\n\x1b\xff\xc3\xa4")), 0);
	assert_string_equal(buf_cstr(&b), "a???\xc3\xa4");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64_matches_rfc4648),
	    cmocka_unit_test(base64_refuses_nonsense),
	    cmocka_unit_test(xtext_goes_both_ways),
	    cmocka_unit_test(hex_goes_both_ways),
	    cmocka_unit_test(crc_matches_rfc3720),
	    cmocka_unit_test(utf8_is_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
