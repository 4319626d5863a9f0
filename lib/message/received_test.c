/* received_test.c - trace fields, and the content of DATA byte by byte. */
#include "base/base.h"

#include <setjmp.h>

#include <cmocka.h>

#include "message/dot.h"
#include "message/received.h"

static void test_received(void **state ATTR_UNUSED)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(4096);
	struct received r = {.helo = SV("mail.a.org"),
	    .name = SV("unknown"),
	    .addr = SV("192.0.2.1"),
	    .by = SV("mx.b.org"),
	    .software = SV("Merpati"),
	    .with = SV("ESMTP"),
	    .qid = SV("4Xabc"),
	    .rcpt = SV("bob@b.org"),
	    .date = SV("Sat, 21 Nov 2026 21:00:00 +0000 (UTC)")};

	assert_int_equal(received_format(&b, &r), 0);
	assert_string_equal(buf_cstr(&b), "Received: from mail.a.org (unknown [192.0.2.1])\n"
					  "\tby mx.b.org (Merpati) with ESMTP id 4Xabc\n"
					  "\tfor <bob@b.org>; Sat, 21 Nov 2026 21:00:00 +0000 (UTC)\n");
	buf_reset(&b);
	r.rcpt = SV("");
	r.helo = SV("a\nb");
	r.user = SV("al)ice");
	r.tls = SV("TLSv1.3 with cipher X (256/256 bits) key-exchange X25519");
	received_format(&b, &r);
	assert_string_equal(buf_cstr(&b),
	    "Received: from a?b (unknown [192.0.2.1])\n"
	    "\t(using TLSv1.3 with cipher X (256/256 bits)\n\t key-exchange X25519)\n"
	    "\t(No client certificate requested)\n\t(Authenticated sender: al?ice)\n"
	    "\tby mx.b.org (Merpati) with ESMTP id 4Xabc; Sat, 21 Nov 2026 21:00:00 +0000 (UTC)\n");
	buf_reset(&b);
	r.local = true;
	r.uid = 1000;
	received_format(&b, &r);
	assert_string_equal(buf_cstr(&b), "Received: by mx.b.org (Merpati, from userid 1000)\n"
					  "\tid 4Xabc; Sat, 21 Nov 2026 21:00:00 +0000 (UTC)\n");
	assert_true(received_is(SV("received: x")));
	assert_true(received_is(SV("Received : x")));
	assert_false(received_is(SV("Received-SPF: x")));
}

static const struct {
	const char *in;
	unsigned flags;
	const char *out, *rest;
	bool end, bare_lf, bare_cr;
} cases[] = {
    {"a\r\nb\r\n.\r\nX", DOT_STRICT, "a\nb\n", "X", true, false, false},
    {".\r\n", DOT_STRICT, "", "", true, false, false},
    {"..a\r\n.b\r\n.\r\n", DOT_STRICT, ".a\nb\n", "", true, false, false},
    {"a\n.\r\nb\r\n.\r\n", DOT_STRICT, "a\n\nb\n", "", true, true, false},
    {"a\r\n.\nb\r\n.\r\n", DOT_STRICT, "a\n\nb\n", "", true, true, false},
    {"a\n.\nb\r\n.\r\n", DOT_STRICT, "a\n\nb\n", "", true, true, false},
    {"a\n.\nb", 0, "a\n", "b", true, true, false},
    {"a\n.\r\nb", 0, "a\n", "b", true, true, false},
    {"a\rb\r\n.\r\n", DOT_STRICT, "a b\n", "", true, false, true},
    {"a\r\r\n.\r\n", DOT_STRICT, "a \n", "", true, false, true},
    {"a\r\n\r.\r\n.\r\n", DOT_STRICT, "a\n .\n", "", true, false, true},
    {"a\r\n.\r\r\n.\r\n", DOT_STRICT, "a\n \n", "", true, false, true},
    {"a\r\n.\r\nb\r\n", DOT_RAW, "a\n.\nb\n", "", false, false, false},
    {"a\r", DOT_RAW, "a ", "", false, false, true},
};

static void test_dot(void **state ATTR_UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step <= strlen(cases[i].in); step++) {
			CLEANUP(buf_freep) struct buf out = BUF_INIT(1000);
			struct dot d = {.flags = cases[i].flags};
			struct sv all = sv_str(cases[i].in);
			size_t shown = 0;
			bool end = false;
			while (!end) {
				shown = shown + step < all.n ? shown + step : all.n;
				struct sv part = sv_head(all, shown);
				size_t before = part.n;
				end = dot_decode(&d, &part, &out, 100, shown == all.n);
				all = sv_skip(all, before - part.n);
				shown = part.n;
				if (!end && before == part.n && shown == all.n)
					break;
			}
			assert_string_equal(buf_cstr(&out), cases[i].out);
			assert_int_equal(end, cases[i].end);
			assert_true(sv_eqs(all, cases[i].rest));
			assert_int_equal(d.bare_lf, cases[i].bare_lf);
			assert_int_equal(d.bare_cr, cases[i].bare_cr);
		}
	}
}

static void test_encode(void **state ATTR_UNUSED)
{
	static const char *const in[][2] = {{"a\nb\n", "a\r\nb\r\n.\r\n"}, {".a\n.\n", "..a\r\n..\r\n.\r\n"},
	    {"", ".\r\n"}, {"a", "a\r\n.\r\n"}, {"a\r\nb", "a\r\nb\r\n.\r\n"}, {"\n\n", "\r\n\r\n.\r\n"}};
	for (size_t i = 0; i < ARRAY_LEN(in); i++) {
		for (size_t step = 1; step <= 5; step++) {
			CLEANUP(buf_freep) struct buf out = BUF_INIT(1000);
			struct dot_enc e = {0};
			struct sv rest = sv_str(in[i][0]);
			while (rest.n > 0) {
				dot_encode(&e, sv_head(rest, step), &out);
				rest = sv_skip(rest, step);
			}
			dot_encode_end(&e, &out);
			assert_string_equal(buf_cstr(&out), in[i][1]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_received), cmocka_unit_test(test_dot), cmocka_unit_test(test_encode)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
