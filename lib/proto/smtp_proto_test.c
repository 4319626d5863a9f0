/* smtp_proto_test.c - tables of SMTP commands, paths, parameters and replies. */
#include "base/base.h"

#include <setjmp.h>

#include <cmocka.h>

#include "proto/smtp_args.h"
#include "proto/smtp_cmd.h"
#include "proto/smtp_ext.h"
#include "proto/smtp_path.h"
#include "proto/smtp_reply.h"

static void test_cmd(void **state ATTR_UNUSED)
{
	static const struct {
		const char *line, *args;
		enum smtp_verb verb;
	} cases[] = {
	    {"EHLO x.org", "x.org", SMTP_EHLO},
	    {"ehlo  x.org \r", "x.org", SMTP_EHLO},
	    {"MAIL FROM:<a>", "FROM:<a>", SMTP_MAIL},
	    {"quit", "", SMTP_QUIT},
	    {"", "", SMTP_UNKNOWN},
	    {"QUITX", "", SMTP_UNKNOWN},
	    {"XYZZY a b", "a b", SMTP_UNKNOWN},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct smtp_cmd c;
		smtp_cmd_parse(sv_str(cases[i].line), &c);
		assert_int_equal(c.verb, cases[i].verb);
		assert_true(sv_eqs(c.args, cases[i].args));
	}
	struct sv rest;
	assert_int_equal(smtp_cmd_keyword(SV("from : <x>"), SV("FROM"), &rest), 0);
	assert_true(sv_eqs(rest, "<x>"));
	assert_int_equal(smtp_cmd_keyword(SV("<x>"), SV("FROM"), &rest), ERR_SYNTAX);
	uint64_t n;
	bool last;
	assert_int_equal(smtp_bdat_args(SV("10 LAST"), &n, &last), 0);
	assert_true(n == 10 && last);
	assert_int_equal(smtp_bdat_args(SV("0"), &n, &last), 0);
	assert_true(n == 0 && !last);
	assert_true(smtp_bdat_args(SV("99999999999999999999999"), &n, &last) < 0);
	assert_true(smtp_bdat_args(SV("10 LAST x"), &n, &last) < 0);
	assert_true(smtp_bdat_args(SV(""), &n, &last) < 0);
}

static void test_path(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in;
		unsigned flags;
		int rc;
		const char *addr, *rest;
	} cases[] = {
	    {"<a@b.org>", 0, 0, "a@b.org", ""},
	    {"<a@b.org> SIZE=1", SMTP_PATH_STRICT, 0, "a@b.org", "SIZE=1"},
	    {"<>", SMTP_PATH_NULL, 0, "", ""},
	    {"<>", 0, ERR_SYNTAX, "", ""},
	    {"<postmaster>", 0, 0, "postmaster", ""},
	    {"a@b.org", 0, 0, "a@b.org", ""},
	    {"a@b.org X=1", 0, 0, "a@b.org", "X=1"},
	    {"a@b.org", SMTP_PATH_STRICT, ERR_SYNTAX, "", ""},
	    {"<\"a b\"@c.org>", 0, 0, "a b@c.org", ""},
	    {"<\"a\\\"b\"@c.org>", 0, 0, "a\"b@c.org", ""},
	    {"<\"x@y\"@c.org>", 0, 0, "x@y@c.org", ""},
	    {"<\"x@y\">", 0, ERR_SYNTAX, "", ""},
	    {"<\"\"@c.org>", 0, 0, "@c.org", ""},
	    {"<@r1,@r2:a@b.org>", 0, 0, "a@b.org", ""},
	    {"<a@[192.0.2.1]>", 0, 0, "a@[192.0.2.1]", ""},
	    {"<a@[IPv6:2001:db8::1]>", 0, 0, "a@[IPv6:2001:db8::1]", ""},
	    {"<a@b.org.>", 0, 0, "a@b.org", ""},
	    {"<a..b@c.org>", 0, 0, "a..b@c.org", ""},
	    {"<a..b@c.org>", SMTP_PATH_STRICT, ERR_SYNTAX, "", ""},
	    {"< a@b.org >", 0, 0, "a@b.org", ""},
	    {"<a b@c.org>", 0, ERR_SYNTAX, "", ""},
	    {"<a@b@c.org>", 0, ERR_SYNTAX, "", ""},
	    {"<a@b.org", 0, ERR_SYNTAX, "", ""},
	    {"<a@b.org>x", 0, ERR_SYNTAX, "", ""},
	    {"<a@>", 0, ERR_SYNTAX, "", ""},
	    {"<@b.org>", 0, ERR_SYNTAX, "", ""},
	    {"<a@.b.org>", 0, ERR_SYNTAX, "", ""},
	    {"<a@b..>", 0, ERR_SYNTAX, "", ""},
	    {"<a@b..org>", 0, ERR_SYNTAX, "", ""},
	    {"<a@b_c.org>", 0, 0, "a@b_c.org", ""},
	    {"<a@b.org\x01>", 0, ERR_SYNTAX, "", ""},
	    {"<\"abc>", 0, ERR_SYNTAX, "", ""},
	    {"", 0, ERR_SYNTAX, "", ""},
	    {"<\xc3\xa4@b.org>", 0, 0, "\xc3\xa4@b.org", ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct smtp_path p;
		struct sv rest;
		int rc = smtp_path_parse(sv_str(cases[i].in), cases[i].flags, &p, &rest);
		if (rc != cases[i].rc)
			print_error("case %zu: %s: %d\n", i, cases[i].in, rc);
		assert_int_equal(rc, cases[i].rc);
		if (rc == 0) {
			assert_string_equal(p.addr, cases[i].addr);
			assert_true(sv_eqs(rest, cases[i].rest));
		}
		/* Every shorter prefix is handled too, and none may be read past its end (asan). */
		for (size_t n = 0; n < strlen(cases[i].in); n++) {
			CLEANUP(freep) char *exact = xmalloc(n + (n == 0));
			memcpy(exact, cases[i].in, n);
			smtp_path_parse(sv_of(exact, n), cases[i].flags, &p, &rest);
		}
	}
}

static void test_path_long(void **state ATTR_UNUSED)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(8192);
	struct smtp_path p;
	struct sv rest;

	for (int i = 0; i < 2000; i++)
		buf_addc(&b, 'a');
	assert_int_equal(smtp_path_parse(buf_sv(&b), 0, &p, &rest), ERR_LIMIT);
	buf_reset(&b);
	buf_adds(&b, "<x@");
	for (int i = 0; i < 300; i++)
		buf_addc(&b, 'a');
	buf_addc(&b, '>');
	assert_int_equal(smtp_path_parse(buf_sv(&b), 0, &p, &rest), ERR_LIMIT);
}

static void test_quote_host(void **state ATTR_UNUSED)
{
	static const char *const pairs[][2] = {{"a@b", "a@b"}, {"a b@c", "\"a b\"@c"}, {"x@y@c", "\"x@y\"@c"},
	    {".a@c", "\".a\"@c"}, {"a..b@c", "\"a..b\"@c"}, {"a\"b@c", "\"a\\\"b\"@c"}, {"@c", "\"\"@c"}, {"", ""},
	    {"postmaster", "postmaster"}};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		CLEANUP(buf_freep) struct buf b = BUF_INIT(100);
		assert_int_equal(smtp_path_quote(&b, sv_str(pairs[i][0])), 0);
		assert_string_equal(buf_cstr(&b), pairs[i][1]);
	}
	assert_true(smtp_host_valid(SV("mx.example.org"), false));
	assert_true(smtp_host_valid(SV("localhost"), false));
	assert_false(smtp_host_valid(SV("192.0.2.1"), false));
	assert_false(smtp_host_valid(SV("-x.org"), false));
	assert_false(smtp_host_valid(SV("a..b"), false));
	assert_false(smtp_host_valid(SV("a b"), false));
	assert_false(smtp_host_valid(SV("[192.0.2.1]"), false));
	assert_true(smtp_host_valid(SV("[192.0.2.1]"), true));
	assert_true(smtp_host_valid(SV("[IPv6:::1]"), true));
	assert_false(smtp_host_valid(SV("[300.0.2.1]"), true));
	assert_true(smtp_host_fqdn(SV("a.b")));
	assert_false(smtp_host_fqdn(SV("ab.")));
}

static void test_args(void **state ATTR_UNUSED)
{
	struct smtp_mail_args m;
	struct smtp_rcpt_args r;
	enum smtp_args_fault f;
	struct sv what;

	assert_int_equal(
	    smtp_mail_args(SV("SIZE=12 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=a+40b AUTH=<>"), &m, &f, &what), 0);
	assert_true(m.size == 12 && m.body == SMTP_BODY_8BITMIME && m.smtputf8 && m.ret == SMTP_RET_HDRS);
	assert_true(sv_eqs(m.envid, "a+40b"));
	assert_int_equal(smtp_mail_args(SV(""), &m, &f, &what), 0);
	assert_int_equal(smtp_rcpt_args(SV("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b"), &r, &f, &what), 0);
	assert_int_equal(r.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
	assert_true(sv_eqs(r.orcpt_type, "rfc822") && sv_eqs(r.orcpt, "a@b"));
	static const struct {
		const char *in;
		enum smtp_args_fault fault;
	} bad_mail[] = {{"SIZE=", SMTP_ARGS_SIZE}, {"SIZE=-1", SMTP_ARGS_SIZE}, {"SIZE", SMTP_ARGS_SIZE},
	    {"BODY=X", SMTP_ARGS_BODY}, {"SMTPUTF8=1", SMTP_ARGS_UNKNOWN}, {"RET=ALL", SMTP_ARGS_RET},
	    {"ENVID=a=b", SMTP_ARGS_ENVID}, {"ENVID=+4", SMTP_ARGS_ENVID}, {"FOO=1", SMTP_ARGS_UNKNOWN},
	    {"SIZE=1 SIZE=2", SMTP_ARGS_TWICE}, {"NOTIFY=NEVER", SMTP_ARGS_UNKNOWN}};
	for (size_t i = 0; i < ARRAY_LEN(bad_mail); i++) {
		assert_int_equal(smtp_mail_args(sv_str(bad_mail[i].in), &m, &f, &what), ERR_SYNTAX);
		assert_int_equal(f, bad_mail[i].fault);
	}
	static const char *const bad_rcpt[] = {
	    "NOTIFY=NEVER,DELAY", "NOTIFY=", "NOTIFY=DELAY,DELAY", "ORCPT=a@b", "ORCPT=;x", "ORCPT=rfc822;", "SIZE=1"};
	for (size_t i = 0; i < ARRAY_LEN(bad_rcpt); i++)
		assert_int_equal(smtp_rcpt_args(sv_str(bad_rcpt[i]), &r, &f, &what), ERR_SYNTAX);
}

static void test_reply(void **state ATTR_UNUSED)
{
	struct smtp_reply r;

	smtp_reply_init(&r);
	assert_int_equal(smtp_reply_line(&r, SV("250-one")), 0);
	assert_int_equal(smtp_reply_line(&r, SV("250-2.1.0 two\r")), 0);
	assert_int_equal(smtp_reply_line(&r, SV("250 three")), 1);
	assert_int_equal(r.code, 250);
	assert_string_equal(buf_cstr(&r.text), "one\n2.1.0 two\nthree");
	assert_string_equal(r.dsn, "2.1.0");
	smtp_reply_reset(&r);
	assert_int_equal(smtp_reply_line(&r, SV("550 4.1.1 wrong class")), 1);
	assert_string_equal(r.dsn, "");
	smtp_reply_reset(&r);
	assert_int_equal(smtp_reply_line(&r, SV("354")), 1);
	smtp_reply_reset(&r);
	assert_int_equal(smtp_reply_line(&r, SV("250-x")), 0);
	assert_int_equal(smtp_reply_line(&r, SV("251 y")), ERR_PROTOCOL);
	static const char *const bad[] = {"", "2", "25x", "250x", "150 x", "650 x", "HTTP/1.1"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		smtp_reply_reset(&r);
		assert_int_equal(smtp_reply_line(&r, sv_str(bad[i])), ERR_PROTOCOL);
	}
	smtp_reply_reset(&r);
	int rc = 0, lines = 0;
	while (rc == 0 && lines++ < 1000)
		rc = smtp_reply_line(&r, SV("250-more"));
	assert_int_equal(rc, ERR_LIMIT);
	smtp_reply_free(&r);
	assert_int_equal(smtp_dsn_prefix(SV("5.1.1 x"), NULL), 5);
	assert_int_equal(smtp_dsn_prefix(SV("5.1.1x"), NULL), 0);
	assert_int_equal(smtp_dsn_prefix(SV("3.1.1 x"), NULL), 0);
	assert_int_equal(smtp_dsn_prefix(SV("5.1234.1 x"), NULL), 0);
}

static void test_format(void **state ATTR_UNUSED)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(65536);

	smtp_reply_format(&b, 250, "2.1.0", SV("Ok"));
	assert_string_equal(buf_cstr(&b), "250 2.1.0 Ok\r\n");
	buf_reset(&b);
	smtp_reply_format(&b, 550, NULL, SV("a\nb\x01\r"));
	assert_string_equal(buf_cstr(&b), "550-a\r\n550 b??\r\n");
	buf_reset(&b);
	char text[1300];
	memset(text, 'x', sizeof(text));
	text[450] = ' ';
	smtp_reply_format(&b, 550, "5.0.0", sv_of(text, sizeof(text)));
	struct sv rest = buf_sv(&b);
	int lines = 0;
	while (rest.n > 0) {
		assert_true(sv_cut(&rest, "\n").n <= 511);
		lines++;
	}
	assert_int_equal(lines, 3);
}

static void test_ext(void **state ATTR_UNUSED)
{
	struct smtp_ext_set s = {0};
	unsigned mask;
	struct sv bad;

	smtp_ext_line(&s, SV("SIZE 1000"));
	smtp_ext_line(&s, SV("AUTH PLAIN LOGIN"));
	smtp_ext_line(&s, SV("AUTH=PLAIN LOGIN"));
	smtp_ext_line(&s, SV("pipelining"));
	smtp_ext_line(&s, SV("X-UNKNOWN yes"));
	assert_int_equal(s.mask, SMTP_EXT_SIZE | SMTP_EXT_AUTH | SMTP_EXT_PIPELINING);
	assert_true(s.size == 1000);
	assert_string_equal(s.mechs, "PLAIN LOGIN");
	assert_int_equal(smtp_ext_list(SV("silent-discard, dsn etrn"), &mask, &bad), 0);
	assert_int_equal(mask, SMTP_EXT_SILENT | SMTP_EXT_DSN | SMTP_EXT_ETRN);
	assert_int_equal(smtp_ext_list(SV("dsn foo"), &mask, &bad), ERR_NOT_FOUND);
	assert_true(sv_eqs(bad, "foo"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cmd), cmocka_unit_test(test_path),
	    cmocka_unit_test(test_path_long), cmocka_unit_test(test_quote_host), cmocka_unit_test(test_args),
	    cmocka_unit_test(test_reply), cmocka_unit_test(test_format), cmocka_unit_test(test_ext)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
