/* Notices: structure, fields, and that text from outside cannot break out of its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "message/dsn.h"

static bool has(const struct buf *b, const char *what)
{
	return sv_find(buf_sv(b), sv_str(what)) >= 0;
}

static struct dsn_rcpt rcpt = {.addr = {"bob@b.org", 9},
    .orig = {"team@a.org", 10},
    .orcpt = {"rfc822;team@a.org", 17},
    .action = DSN_FAILED,
    .status = {"5.1.1", 5},
    .remote_mta = {"mx.b.org", 8},
    .text = {"550 5.1.1 <bob@b.org>\r\nX-Evil: yes\n--x", 38},
    .last_attempt = 1700000000};

static struct dsn_report report(enum dsn_kind kind)
{
	return (struct dsn_report){.kind = kind,
	    .host = "a.org",
	    .notice = "4XYZ",
	    .qid = SV("4ABC"),
	    .to = SV("alice@a.org"),
	    .sender = SV("alice@a.org"),
	    .envid = SV("E1"),
	    .now = 1700000100,
	    .arrival = 1699990000,
	    .full = true,
	    .n = 1,
	    .rcpt = &rcpt};
}

/* The reply of the other host goes into the report as it came; what we say ourselves is not passed off as a reply. */
static void test_who_said_it(void **st)
{
	(void)st;
	struct dsn_rcpt one = rcpt;
	struct dsn_report r = report(DSN_FAILURE);
	struct buf b = BUF_INIT(100000);
	size_t hlen;

	r.rcpt = &one;
	one.remote_mta = SV("mx.b.org[192.0.2.1]");
	one.text = SV("host mx.b.org[192.0.2.1] said: 550 5.1.1 no (in reply to RCPT TO command)");
	assert_int_equal(dsn_begin(&b, &r, &hlen), 0);
	assert_true(has(&b, "Remote-MTA: dns; mx.b.org\nDiagnostic-Code: smtp; 550 5.1.1 no\n"));
	assert_false(has(&b, " said:\n"));
	buf_reset(&b);
	one.text = SV("lost connection with mx.b.org[192.0.2.1] while sending message body");
	assert_int_equal(dsn_begin(&b, &r, &hlen), 0);
	assert_true(has(&b, "Diagnostic-Code: X-Merpati; lost connection"));
	assert_false(has(&b, "Remote-MTA"));
	buf_free(&b);
}

static void test_failure(void **st)
{
	(void)st;
	struct buf b = BUF_INIT(100000);
	struct dsn_report r = report(DSN_FAILURE);
	size_t hlen;
	assert_int_equal(dsn_begin(&b, &r, &hlen), 0);
	assert_int_equal(b.p[hlen], '\n');
	assert_int_equal(b.p[hlen - 1], '\n');
	assert_true(sv_find(sv_of(b.p, hlen), SV("\n\n")) < 0);
	assert_int_equal(dsn_end(&b, &r), 0);
	assert_true(has(&b, "From: MAILER-DAEMON@a.org (Mail Delivery System)\n"));
	assert_true(has(&b, "To: alice@a.org\n"));
	assert_true(has(&b, "Reporting-MTA: dns; a.org\n"));
	assert_true(has(&b, "Original-Envelope-Id: E1\n"));
	assert_true(has(&b, "Original-Recipient: rfc822; team@a.org\n"));
	assert_true(has(&b, "Final-Recipient: rfc822; bob@b.org\nAction: failed\nStatus: 5.1.1\n"));
	assert_true(
	    has(&b, "Remote-MTA: dns; mx.b.org\nDiagnostic-Code: smtp; 550 5.1.1 <bob@b.org> X-Evil: yes --x\n"));
	assert_true(has(&b, "<bob@b.org> (expanded from <team@a.org>):\n"));
	assert_true(has(&b, "\nContent-Type: message/rfc822\n\n"));
	assert_false(has(&b, "\nX-Evil"));
	assert_true(sv_ends(buf_sv(&b), SV("/a.org--\n")));
	buf_free(&b);
}

static void test_kinds(void **st)
{
	(void)st;
	for (int k = DSN_FAILURE; k <= DSN_DOUBLE; k++) {
		struct buf b = BUF_INIT(100000);
		struct dsn_report r = report((enum dsn_kind)k);
		size_t hlen;
		r.full = false;
		r.utf8 = k == DSN_DELAY;
		r.retry_until = k == DSN_DELAY ? 1700400000 : 0;
		assert_int_equal(dsn_begin(&b, &r, &hlen), 0);
		assert_true(has(&b, r.utf8 ? "message/global-headers\n" : "text/rfc822-headers\n"));
		assert_true(has(&b, "Will-Retry-Until: ") == (k == DSN_DELAY));
		buf_free(&b);
	}
}

static void test_limit(void **st)
{
	(void)st;
	struct buf b = BUF_INIT(1000);
	struct dsn_report r = report(DSN_FAILURE);
	size_t hlen = 77;
	assert_true(dsn_begin(&b, &r, &hlen) < 0);
	assert_int_equal(hlen, 77);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_failure),
	    cmocka_unit_test(test_who_said_it),
	    cmocka_unit_test(test_kinds),
	    cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
