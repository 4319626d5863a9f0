/* summary_test.c - ENVELOPE and BODYSTRUCTURE of nasty mail, extents, records, and the same result for any feed size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/mime_tree.h"
#include "message/summary.h"

#define TEXT_PLAIN "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
#define EXT " NIL NIL NIL NIL)"

static const struct {
	const char *name, *message, *envelope, *structure, *body;
} cases[] = {
    {"empty message", "", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", TEXT_PLAIN "0 0" EXT, TEXT_PLAIN "0 0)"},
    {"only a header, no empty line", "Subject: x", "(NIL \"x\" NIL NIL NIL NIL NIL NIL NIL NIL)", TEXT_PLAIN "0 0" EXT,
	NULL},
    {"simple",
	"Date: Sat, 21 Nov 2026 21:00:00 +0000\nFrom: Alice <alice@a.org>\nTo: bob@b.org\nSubject: a\n b\n"
	"Message-ID: <1@a.org>\n\nHello\nBob\n",
	"(\"Sat, 21 Nov 2026 21:00:00 +0000\" \"a b\" ((\"Alice\" NIL \"alice\" \"a.org\")) "
	"((\"Alice\" NIL \"alice\" \"a.org\")) ((\"Alice\" NIL \"alice\" \"a.org\")) ((NIL NIL \"bob\" \"b.org\")) "
	"NIL NIL NIL \"<1@a.org>\")",
	TEXT_PLAIN "12 2" EXT, TEXT_PLAIN "12 2)"},
    {"CRLF and quoting", "Subject: say \"hi\" \\o/\r\nContent-Type: text/html; charset=\"utf-8\"\r\n\r\n<p>\r\n",
	"(NIL \"say \\\"hi\\\" \\\\o/\" NIL NIL NIL NIL NIL NIL NIL NIL)",
	"(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 5 1" EXT, NULL},
    {"8-bit subject goes as a literal", "Subject: gr\xc3\xbc\xc3\x9f\n\n",
	"(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)", TEXT_PLAIN "0 0" EXT, NULL},
    {"group and missing domain", "To: friends: a@b, \"C D\" <c@d>;, nobody\n\n",
	"(NIL NIL NIL NIL NIL ((NIL NIL \"friends\" NIL)(NIL NIL \"a\" \"b\")(\"C D\" NIL \"c\" \"d\")(NIL NIL NIL NIL)"
	"(NIL NIL \"nobody\" \"MISSING_DOMAIN\")) NIL NIL NIL NIL)",
	TEXT_PLAIN "0 0" EXT, NULL},
    {"two parts",
	"Content-Type: multipart/mixed; boundary=\"x y\"\n\npreamble\n--x y\n\none\n--x y\n"
	"Content-Type: application/pdf; name=\"a;b.pdf\"\nContent-Transfer-Encoding: BASE64\n"
	"Content-Disposition: attachment; filename=\"a;b.pdf\"\nContent-ID: <p@x>\n\nAAAA\nAAAA\n\n--x y--\nepilogue\n",
	NULL,
	"(" TEXT_PLAIN "3 0" EXT "(\"application\" \"pdf\" (\"name\" \"a;b.pdf\") \"<p@x>\" NIL \"BASE64\" 12 NIL "
	"(\"attachment\" (\"filename\" \"a;b.pdf\")) NIL NIL) \"mixed\" (\"boundary\" \"x y\") NIL NIL NIL)",
	"(" TEXT_PLAIN "3 0)(\"application\" \"pdf\" (\"name\" \"a;b.pdf\") \"<p@x>\" NIL \"BASE64\" 12) \"mixed\")"},
    {"multipart without boundary becomes text", "Content-Type: multipart/mixed\n\nabc\n", NULL, TEXT_PLAIN "5 1" EXT,
	NULL},
    {"multipart without parts", "Content-Type: multipart/mixed; boundary=b\n\nnothing\n", NULL,
	"(" TEXT_PLAIN "0 0" EXT " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)", "(" TEXT_PLAIN "0 0) \"mixed\")"},
    {"no closing delimiter", "Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b\n\ntwo\n", NULL,
	"(" TEXT_PLAIN "3 0" EXT TEXT_PLAIN "5 1" EXT " \"alternative\" (\"boundary\" \"b\") NIL NIL NIL)", NULL},
    {"message in a message",
	"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\nContent-Type: text/plain; "
	"charset=utf-8\n\nhi\n\n"
	"--b--\n",
	NULL,
	"((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 60 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	"(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 4 1" EXT " 4" EXT
	" \"digest\" (\"boundary\" \"b\") NIL NIL NIL)",
	"((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 60 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
	"(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 4 1) 4) \"digest\")"},
    {"outer delimiter ends an inner multipart",
	"Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/mixed; "
	"boundary=outer2\n\n--outer2\n\n"
	"in\n--out\n\nafter\n--out--\n",
	NULL,
	"((" TEXT_PLAIN "2 0" EXT " \"mixed\" (\"boundary\" \"outer2\") NIL NIL NIL)" TEXT_PLAIN "5 0" EXT
	" \"mixed\" (\"boundary\" \"out\") NIL NIL NIL)",
	NULL},
    {"delimiter in a header that does not end",
	"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\nContent-Type: "
	"message/rfc822\n\n"
	"Subject: q\n--b--\n",
	NULL,
	"((\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0" EXT
	"(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 12 (NIL \"q\" NIL NIL NIL NIL NIL NIL NIL NIL) " TEXT_PLAIN
	"0 0" EXT " 1" EXT " \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)",
	NULL},
    {"comments, language, location, junk line",
	"Content-Type: (hm) text/plain (really) ; format=flowed (yes)\njunk without colon\nContent-Language: en, de\n"
	"Content-Location: http://x/\nContent-MD5: abc==\nContent-Description: d\n\n",
	NULL,
	"(\"text\" \"plain\" (\"format\" \"flowed\" \"charset\" \"us-ascii\") NIL \"d\" \"7bit\" 0 0 \"abc==\" NIL "
	"(\"en\" \"de\") \"http://x/\")",
	NULL},
    {"NUL and bare CR", "Subject: a\rb\n\nx", "(NIL \"ab\" NIL NIL NIL NIL NIL NIL NIL NIL)", TEXT_PLAIN "1 0" EXT,
	NULL},
};

static void record_of(struct sv message, struct buf *out, size_t step)
{
	struct summary_builder *b = summary_builder_new();
	for (size_t i = 0; i < message.n; i += step)
		summary_builder_feed(b, sv_head(sv_skip(message, i), step));
	assert_int_equal(summary_builder_finish(b, out, NULL), 0);
	summary_builder_free(&b);
}

static void assert_text(const char *name, const char *what, struct sv got, const char *want)
{
	if (!sv_eqs(got, want))
		fail_msg("%s: %s\n got  " SV_FMT "\n want %s", name, what, SV_ARG(got), want);
}

static void test_structures(void **state ATTR_UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf rec = BUF_INIT(SUMMARY_MAX), body = BUF_INIT(SUMMARY_MAX);
		struct summary s;
		struct err err;
		record_of(sv_str(cases[i].message), &rec, SIZE_MAX / 2);
		if (summary_decode(buf_sv(&rec), &s, &err) != 0)
			fail_msg("%s: %s", cases[i].name, err.text);
		if (cases[i].envelope != NULL)
			assert_text(cases[i].name, "envelope", s.envelope, cases[i].envelope);
		assert_text(cases[i].name, "structure", s.bodystructure, cases[i].structure);
		if (mime_body_of_structure(s.bodystructure, &body) != 0)
			fail_msg("%s: no body", cases[i].name);
		if (cases[i].body != NULL)
			assert_text(cases[i].name, "body", buf_sv(&body), cases[i].body);
		buf_free(&rec);
		buf_free(&body);
	}
}

static void test_any_feed_size(void **state ATTR_UNUSED)
{
	static const size_t steps[] = {1, 2, 3, 7, 64};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf whole = BUF_INIT(SUMMARY_MAX);
		record_of(sv_str(cases[i].message), &whole, SIZE_MAX / 2);
		for (size_t k = 0; k < ARRAY_LEN(steps); k++) {
			struct buf piece = BUF_INIT(SUMMARY_MAX);
			record_of(sv_str(cases[i].message), &piece, steps[k]);
			assert_true(sv_eq(buf_sv(&whole), buf_sv(&piece)));
			buf_free(&piece);
		}
		buf_free(&whole);
	}
}

static void test_prefix(void **state ATTR_UNUSED)
{
	struct sv prefix = SV("Return-Path: <a@b>\nDelivered-To: bob@b.org\nX-Other: 1\n");
	for (size_t i = 2; i < ARRAY_LEN(cases); i++) {
		struct buf rec = BUF_INIT(SUMMARY_MAX), with = BUF_INIT(SUMMARY_MAX), direct = BUF_INIT(SUMMARY_MAX);
		struct buf text = BUF_INIT(1 << 16);
		record_of(sv_str(cases[i].message), &rec, SIZE_MAX / 2);
		assert_int_equal(summary_prefix(buf_sv(&rec), prefix, &with, NULL), 0);
		buf_addsv(&text, prefix);
		buf_adds(&text, cases[i].message);
		record_of(buf_sv(&text), &direct, SIZE_MAX / 2);
		if (!sv_eq(buf_sv(&with), buf_sv(&direct)))
			fail_msg("%s: the record with a prefix differs from that of the file", cases[i].name);
		buf_free(&rec);
		buf_free(&with);
		buf_free(&direct);
		buf_free(&text);
	}
}

static void test_extents(void **state ATTR_UNUSED)
{
	struct sv m =
	    SV("Content-Type: multipart/mixed; boundary=b\r\nSubject: s\n\npre\n--b\nA: 1\n\none\r\ntwo\n--b--\n");
	struct buf rec = BUF_INIT(SUMMARY_MAX);
	struct summary s;
	struct mime_part p;
	record_of(m, &rec, 5);
	assert_int_equal(summary_decode(buf_sv(&rec), &s, NULL), 0);
	assert_int_equal(s.size, m.n);
	assert_int_equal(s.lines, 10);
	assert_int_equal(s.size_crlf, m.n + 8);
	assert_int_equal(s.nparts, 2);
	assert_true(sv_eqs(s.fields, "Content-Type: multipart/mixed; boundary=b\nSubject: s\n"));
	summary_part(&s, 1, &p);
	assert_true(sv_eqs(sv_head(sv_skip(m, p.hdr_off), p.hdr_len), "A: 1\n\n"));
	assert_true(sv_eqs(sv_head(sv_skip(m, p.body_off), p.body_len), "one\r\ntwo"));
	assert_int_equal(p.body_crlf, 8);
	assert_int_equal(p.hdr_crlf, 8);
	assert_int_equal(p.body_lines, 1);
	buf_free(&rec);
}

/* Depth, number of parts, long fields, many addresses: a record or ERR_LIMIT, never more. */
static void test_limits(void **state ATTR_UNUSED)
{
	struct buf m = BUF_INIT(16u << 20), rec = BUF_INIT(SUMMARY_MAX);
	struct summary s;
	for (int i = 0; i < 300; i++)
		buf_printf(&m, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i);
	record_of(buf_sv(&m), &rec, 1000);
	assert_int_equal(summary_decode(buf_sv(&rec), &s, NULL), 0);
	assert_true(s.nparts <= MIME_DEPTH_MAX + 1);
	buf_reset(&m);
	buf_reset(&rec);
	for (int i = 0; i < 300; i++)
		buf_adds(&m, "Content-Type: message/rfc822\n\n");
	record_of(buf_sv(&m), &rec, 1000);
	assert_int_equal(summary_decode(buf_sv(&rec), &s, NULL), 0);
	buf_reset(&m);
	buf_reset(&rec);
	buf_adds(&m, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (int i = 0; i < 20000; i++)
		buf_adds(&m, "--b\n\n");
	record_of(buf_sv(&m), &rec, 4096);
	assert_int_equal(summary_decode(buf_sv(&rec), &s, NULL), 0);
	assert_int_equal(s.nparts, MIME_PARTS_MAX);
	buf_reset(&m);
	buf_reset(&rec);
	buf_adds(&m, "To: ");
	for (int i = 0; i < 100000; i++)
		buf_adds(&m, "a@b.c,");
	buf_adds(&m, "\n\n");
	record_of(buf_sv(&m), &rec, 4096);
	assert_int_equal(summary_decode(buf_sv(&rec), &s, NULL), 0);
	assert_int_equal(s.flags & SUMMARY_F_FIELDS, 0);
	buf_free(&m);
	buf_free(&rec);
}

static void test_damage(void **state ATTR_UNUSED)
{
	struct buf rec = BUF_INIT(SUMMARY_MAX);
	struct summary s = {.nparts = 77};
	record_of(sv_str(cases[6].message), &rec, 100);
	for (size_t i = 0; i < rec.n; i++) {
		rec.p[i] ^= 0x20;
		assert_true(summary_decode(buf_sv(&rec), &s, NULL) < 0);
		assert_int_equal(s.nparts, 77);
		rec.p[i] ^= 0x20;
		assert_true(summary_decode(sv_head(buf_sv(&rec), i), &s, NULL) < 0);
	}
	assert_int_equal(summary_decode(buf_sv(&rec), &s, NULL), 0);
	buf_free(&rec);
}

static void test_text_ok(void **state ATTR_UNUSED)
{
	static const char *const good[] = {"()", "(NIL)", "(\"a\" 1 (NIL NIL))", "({3}\r\na\nb 2)"};
	static const char *const bad[] = {"", "NIL", "(", "())", "(\"a)", "(\"a\"\"b\")", "(x)", "({9}\r\nab)",
	    "(1 2) ", "(\"\r\")", "(NIL\r\n* BYE)", "( ) 1", "({2}\nab)"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!mime_text_ok(sv_str(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (mime_text_ok(sv_str(bad[i])))
			fail_msg("taken: %s", bad[i]);
}

static void test_kept_names(void **state ATTR_UNUSED)
{
	static const char *const yes[] = {"From", "SUBJECT", "x-spam-status", "bcc", "References", "Message-Id"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		assert_true(summary_has_field(sv_str(yes[i])));
	assert_false(summary_has_field(SV("received")));
	assert_false(summary_has_field(SV("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_structures),
	    cmocka_unit_test(test_any_feed_size),
	    cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_extents),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_text_ok),
	    cmocka_unit_test(test_kept_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
