/* mime_text_test.c - decoding of parts and headers, and caseless search in pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/charset.h"
#include "message/qp.h"
#include "message/rfc2047.h"
#include "message/rfc2231.h"
#include "message/text_find.h"

static void test_parts(void **state ATTR_UNUSED)
{
	static const struct {
		enum part_encoding e;
		const char *in, *want;
	} cases[] = {
	    {PART_QP, "a=3Db=\nc=\r\nd", "a=bcd"},
	    {PART_QP, "=zz=4", "=zz=4"},
	    {PART_QP, "caf=C3=A9", "caf\xc3\xa9"},
	    {PART_QP, "=", "="},
	    {PART_BASE64, "aGVs\r\nbG8=", "hello"},
	    {PART_BASE64, "aGVs!bG8", "hello"},
	    {PART_BASE64, "YQ==Yg==", "ab"},
	    {PART_IDENTITY, "=41", "=41"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step < 12; step++) {
			struct part_decoder d = {.encoding = cases[i].e};
			struct buf out = BUF_INIT(1000);
			struct sv in = sv_str(cases[i].in);
			for (; in.n > 0; in = sv_skip(in, step))
				part_decode(&d, sv_head(in, step), &out);
			part_decode_end(&d, &out);
			assert_string_equal(buf_cstr(&out), cases[i].want);
			buf_free(&out);
		}
	}
	assert_int_equal(part_encoding(SV(" (c) Quoted-Printable ; x")), PART_QP);
	assert_int_equal(part_encoding(SV("8bit")), PART_IDENTITY);
}

static void test_headers(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
	    {"plain text", "plain text"},
	    {"=?utf-8?Q?Gr=C3=BC=C3=9Fe_an?= alle", "Gr\xc3\xbc\xc3\x9f"
						    "e an alle"},
	    {"=?ISO-8859-1?q?a=FC?= =?ISO-8859-1?q?b?=", "a\xc3\xbc"
							 "b"},
	    {"=?utf-8?B?w7w=?=\n =?utf-8?B?w7w=?= x", "\xc3\xbc\xc3\xbc x"},
	    {"=?utf-8?B?ww==?= =?utf-8?B?vA==?=", "\xc3\xbc"},
	    {"=?utf-8*de?q?a?=", "a"},
	    {"=?x?=", "=?x?="},
	    {"=?nosuchset?q?=41?=", "A"},
	    {"a =?bad", "a =?bad"},
	    {"a\r\n b", "a b"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = BUF_INIT(1000);
		assert_int_equal(rfc2047_decode(&out, sv_str(cases[i].in)), 0);
		assert_string_equal(buf_cstr(&out), cases[i].want);
		buf_free(&out);
	}
}

static void test_params(void **state ATTR_UNUSED)
{
	static const struct {
		const char *params, *want; /* NULL: there is none */
	} cases[] = {
	    {"; filename=\"a b.txt\"", "a b.txt"},
	    {"; filename*=utf-8''%e2%82%ac.txt", "\xe2\x82\xac.txt"},
	    {"; filename=plain; filename*=iso-8859-1'de'%FCber", "\xc3\xbc"
								 "ber"},
	    {"; filename*0=\"long \"; filename*1=name", "long name"},
	    {"; filename*1*=%C3; filename*0*=utf-8''%41; filename*2*=%BC; filename*3=%41", "A\xc3\xbc%41"},
	    {"; filename=\"=?utf-8?q?x=C3=BC?=\"", "x\xc3\xbc"},
	    {"; filename*=%41", "A"},
	    {"; filename*=utf-8''", ""},
	    {"; filename*100=x", NULL},
	    {"; filename*x=y; filenames=z; name=q", NULL},
	    {"", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf out = BUF_INIT(1000);
		if (rfc2231_param(&out, sv_str(cases[i].params), "filename") != (cases[i].want != NULL))
			fail_msg("%s", cases[i].params);
		if (cases[i].want != NULL)
			assert_string_equal(buf_cstr(&out), cases[i].want);
		buf_free(&out);
	}
}

static void test_charset(void **state ATTR_UNUSED)
{
	struct sv in = SV("\x1b$BF|K\\\x1b(B!"); /* ISO-2022-JP */
	for (size_t step = 1; step < 6; step++) {
		struct charset c;
		struct buf out = BUF_INIT(100);
		charset_open(&c, SV("iso-2022-jp"));
		assert_true(c.known);
		for (struct sv s = in; s.n > 0; s = sv_skip(s, step))
			charset_convert(&c, sv_head(s, step), &out);
		charset_close(&c);
		assert_string_equal(buf_cstr(&out), "\xe6\x97\xa5\xe6\x9c\xac!");
		buf_free(&out);
	}
	struct charset c;
	charset_open(&c, SV("utf-8//TRANSLIT"));
	assert_false(c.known);
	charset_close(&c);
	charset_open(&c, SV("../../x"));
	assert_false(c.known);
	charset_close(&c);
}

static void test_find(void **state ATTR_UNUSED)
{
	static const struct {
		const char *needle, *text;
		bool found;
	} cases[] = {
	    {"abc", "xxABCxx", true},
	    {"abc", "ab ab", false},
	    {"gr\xc3\x9c\xc3\x9f",
		"die gr\xc3\xbc\xc3\x9f"
		"e",
		true},
	    {"\xd0\x9f\xd0\xa0", "x \xd0\xbf\xd1\x80 y", true},
	    {"\xc3\xbc", "\xc3", false},
	    {"", "", true},
	    {"aab", "aaaaab", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step < 9; step++) {
			struct buf needle = BUF_INIT(TEXT_FIND_MAX);
			struct text_find f;
			assert_int_equal(text_fold(&needle, sv_str(cases[i].needle)), 0);
			text_find_init(&f, buf_sv(&needle));
			for (struct sv s = sv_str(cases[i].text); s.n > 0; s = sv_skip(s, step))
				text_find_feed(&f, sv_head(s, step));
			if (f.found != cases[i].found)
				fail_msg("case %zu, step %zu", i, step);
			text_find_free(&f);
			buf_free(&needle);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_params),
	    cmocka_unit_test(test_charset),
	    cmocka_unit_test(test_find),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
