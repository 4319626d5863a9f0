/* The engine against scripted servers: orders in, results out, no master. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "smtp/smtp_stage.h"

/* --- cases --- */

#define HELLO                                                                                                          \
	{NULL, "220 mx1.b.org ESMTP\r\n"},                                                                             \
	{                                                                                                              \
		"EHLO me.a.org", "250-mx1.b.org\r\n250-PIPELINING\r\n250-DSN\r\n250 8BITMIME\r\n"                      \
	}
#define PLAIN                                                                                                          \
	{NULL, "220 mx1.b.org\r\n"}, {"EHLO me.a.org", "502 what?\r\n"},                                               \
	{                                                                                                              \
		"HELO me.a.org", "250 mx1\r\n"                                                                         \
	}
#define MESSAGE                                                                                                        \
	{"MAIL FROM:<alice@a.org>", "250 2.1.0 Ok\r\n"}, {"RCPT TO:<bob@b.org>", "250 2.1.5 Ok\r\n"},                  \
	    {"DATA", "354 go\r\n"},                                                                                    \
	{                                                                                                              \
		".", "250 2.0.0 Ok: queued as X\r\n"                                                                   \
	}
#define END                                                                                                            \
	{                                                                                                              \
		NULL, NULL                                                                                             \
	}

static void sent_and_reused(void **state)
{
	static const struct fake_step script[] = {HELLO, MESSAGE, MESSAGE, END};
	struct order o = {.nexthop = hosts(script, NULL), .rcpt = {"bob@b.org"}, .content = "A: b\n\n.x\n"};

	(void)state;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_SENT);
	assert_string_equal(stage.got[0].dsn[0], "2.0.0");
	assert_string_equal(stage.got[0].text[0], "250 2.0.0 Ok: queued as X");
	assert_int_equal(stage.got[0].flags[0], DV_NO_DSN);
	assert_true(strstr(stage.got[0].relay[0], "mx1.b.org[127.0.0.1]:") == stage.got[0].relay[0]);
	assert_string_equal(buf_cstr(&stage.one.content), "A: b\r\n\r\n..x\r\n");
	assert_false(stage.got[0].site_down);
	deliver(1, &o);
	wait_for(1);
	assert_int_equal(stage.got[1].status[0], DV_SENT);
	assert_int_equal(stage.one.connections, 1);
}

static void next_host_and_rcpts(void **state)
{
	static const struct fake_step first[] = {HELLO, {"MAIL", "250 ok\r\n"},
	    {"RCPT TO:<a@b.org>", "550 5.1.1 no\r\n"}, {"RCPT TO:<b@b.org>", "450 4.2.0 later\r\n"},
	    {"RCPT TO:<c@b.org>", "250 ok\r\n"}, {"DATA", "354 go\r\n"}, {".", "250 taken\r\n"}, END};
	static const struct fake_step second[] = {HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT TO:<b@b.org>", "250 ok\r\n"},
	    {"DATA", "354 go\r\n"}, {".", "250 2.6.0 second\r\n"}, END};
	struct order o = {.nexthop = hosts(first, second), .rcpt = {"a@b.org", "b@b.org", "c@b.org"}};

	(void)state;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_BOUNCED);
	assert_string_equal(stage.got[0].dsn[0], "5.1.1");
	assert_string_equal(
	    stage.got[0].text[0], "host mx1.b.org[127.0.0.1] said: 550 5.1.1 no (in reply to RCPT TO command)");
	assert_int_equal(stage.got[0].status[1], DV_SENT);
	assert_string_equal(stage.got[0].text[1], "250 2.6.0 second");
	assert_int_equal(stage.got[0].status[2], DV_SENT);
	assert_string_equal(stage.got[0].dsn[2], "2.0.0");
}

static void refused_connections(void **state)
{
	static const struct fake_step second[] = {HELLO, MESSAGE, END};
	struct order o = {.nexthop = hosts(NULL, second), .rcpt = {"bob@b.org"}};
	char want[128];

	(void)state;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_SENT);
	assert_true(strstr(stage.got[0].relay[0], "mx2.b.org[127.0.0.2]:") == stage.got[0].relay[0]);
	o.nexthop = "[127.0.0.9]:9";
	deliver(1, &o);
	wait_for(1);
	assert_int_equal(stage.got[1].status[0], DV_DEFERRED);
	assert_string_equal(stage.got[1].dsn[0], "4.4.1");
	snprintf(want, sizeof(want), "connect to 127.0.0.9[127.0.0.9]:9: Connection refused");
	assert_string_equal(stage.got[1].text[0], want);
	assert_string_equal(stage.got[1].relay[0], "");
	assert_true(stage.got[1].site_down);
	o.nexthop = "nosuch.org";
	deliver(2, &o);
	wait_for(2);
	assert_int_equal(stage.got[2].status[0], DV_BOUNCED);
	assert_string_equal(stage.got[2].dsn[0], "5.4.4");
	o.nexthop = "[bad";
	deliver(3, &o);
	wait_for(3);
	assert_int_equal(stage.got[3].status[0], DV_DEFERRED);
	assert_string_equal(stage.got[3].dsn[0], "4.3.5");
}

/* One host, one recipient, one script: what becomes of the recipient. */
static const struct {
	const char *name;
	struct fake_step steps[10];
	unsigned status;
	const char *dsn, *text;
} fates[] = {
    {"greeting 554", {{NULL, "554 5.7.1 go away\r\n"}, END}, DV_DEFERRED, "4.7.1",
	"host mx1.b.org[127.0.0.1] refused to talk to me: 554 5.7.1 go away"},
    {"greeting 421", {{NULL, "421 busy\r\n"}, END}, DV_DEFERRED, "4.0.0",
	"host mx1.b.org[127.0.0.1] refused to talk to me: 421 busy"},
    {"greeting never", {{NULL, ""}, END}, DV_DEFERRED, "4.4.2",
	"conversation with mx1.b.org[127.0.0.1] timed out while receiving the initial server greeting"},
    {"greeting close", {{NULL, "!close"}, END}, DV_DEFERRED, "4.4.2",
	"lost connection with mx1.b.org[127.0.0.1] while receiving the initial server greeting"},
    {"greeting garbage", {{NULL, "\x01\xff garbage\r\n"}, END}, DV_DEFERRED, "4.5.0",
	"protocol error: unexpected reply from mx1.b.org[127.0.0.1] while receiving the initial server greeting"},
    {"helo 550", {{NULL, "220 hi\r\n"}, {"EHLO", "550 no\r\n"}, {"HELO", "550 no\r\n"}, END}, DV_BOUNCED, "5.0.0",
	"host mx1.b.org[127.0.0.1] refused to talk to me: 550 no"},
    {"helo only", {PLAIN, MESSAGE, END}, DV_SENT, "2.0.0", "250 2.0.0 Ok: queued as X"},
    {"mail 550", {PLAIN, {"MAIL", "550 5.7.1 not you\r\n"}, END}, DV_BOUNCED, "5.7.1",
	"host mx1.b.org[127.0.0.1] said: 550 5.7.1 not you (in reply to MAIL FROM command)"},
    {"mail 550, pipelined", {HELLO, {"MAIL", "550 not you\r\n"}, {"RCPT", "503 no\r\n"}, {"DATA", "503 no\r\n"}, END},
	DV_BOUNCED, "5.0.0", "host mx1.b.org[127.0.0.1] said: 550 not you (in reply to MAIL FROM command)"},
    {"mail 421", {HELLO, {"MAIL", "421 4.3.2 closing\r\n"}, {"RCPT", "!close"}, END}, DV_DEFERRED, "4.3.2",
	"host mx1.b.org[127.0.0.1] said: 421 4.3.2 closing (in reply to MAIL FROM command)"},
    {"rcpt 450 pipelined", {HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "450 4.2.0 grey\r\n"}, {"DATA", "554 no\r\n"}, END},
	DV_DEFERRED, "4.2.0", "host mx1.b.org[127.0.0.1] said: 450 4.2.0 grey (in reply to RCPT TO command)"},
    {"data without rcpt",
	{HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "550 no\r\n"}, {"DATA", "354 ok\r\n"}, {".", ""}, END}, DV_BOUNCED,
	"5.0.0", "host mx1.b.org[127.0.0.1] said: 550 no (in reply to RCPT TO command)"},
    {"data 451", {HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "250 ok\r\n"}, {"DATA", "451 later\r\n"}, END}, DV_DEFERRED,
	"4.0.0", "host mx1.b.org[127.0.0.1] said: 451 later (in reply to DATA command)"},
    {"end 552",
	{HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "250 ok\r\n"}, {"DATA", "354 ok\r\n"}, {".", "552-a\r\n552 b\r\n"},
	    END},
	DV_BOUNCED, "5.0.0", "host mx1.b.org[127.0.0.1] said: 552 a b (in reply to end of DATA command)"},
    {"end lost", {HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "250 ok\r\n"}, {"DATA", "354 ok\r\n"}, {".", "!close"}, END},
	DV_DEFERRED, "4.4.2",
	"lost connection with mx1.b.org[127.0.0.1] while sending end of data -- message may be sent more than once"},
    {"end silent", {HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "250 ok\r\n"}, {"DATA", "354 ok\r\n"}, {".", ""}, END},
	DV_DEFERRED, "4.4.2",
	"conversation with mx1.b.org[127.0.0.1] timed out while sending end of data -- message may be sent more than "
	"once"},
    {"nonsense code", {PLAIN, {"MAIL", "354 what\r\n"}, END}, DV_DEFERRED, "4.5.0",
	"host mx1.b.org[127.0.0.1] said: 354 what (in reply to MAIL FROM command)"},
    {"controls in a reply", {PLAIN, {"MAIL", "550 a\rSubject: b\tc\033[2J\r\n"}, END}, DV_BOUNCED, "5.0.0",
	"host mx1.b.org[127.0.0.1] said: 550 a?Subject: b?c?[2J (in reply to MAIL FROM command)"},
    {"size", {{NULL, "220 hi\r\n"}, {"EHLO", "250-mx1\r\n250 SIZE 10\r\n"}, END}, DV_BOUNCED, "5.3.4",
	"message size 17 exceeds size limit 10 of server mx1.b.org[127.0.0.1]"},
};

static void one_host(void)
{
	dns_fake_add(stage.smtp.dns, "one.org", RS_MX, 10, "mx1.b.org");
}

static void every_fate(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
		struct order o = {.rcpt = {"bob@b.org"}};
		char nexthop[64];

		stage_setup(state);
		hosts(fates[i].steps, NULL);
		one_host();
		snprintf(nexthop, sizeof(nexthop), "one.org:%u", stage.one.port);
		o.nexthop = nexthop;
		deliver(0, &o);
		wait_for(0);
		if (stage.got[0].status[0] != fates[i].status || strcmp(stage.got[0].dsn[0], fates[i].dsn) != 0 ||
		    strcmp(stage.got[0].text[0], fates[i].text) != 0)
			fail_msg("%s: %u %s %s", fates[i].name, stage.got[0].status[0], stage.got[0].dsn[0],
			    stage.got[0].text[0]);
		stage_teardown(state);
	}
}

static void dead_kept_connection(void **state)
{
	static const struct fake_step script[] = {HELLO, MESSAGE, {"MAIL", "!close"}, END};
	static const struct fake_step script421[] = {
	    HELLO, MESSAGE, {"MAIL", "421 enough\r\n"}, {"RCPT", "!close"}, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};

	(void)state;
	for (unsigned i = 0; i < 4; i++) { /* the first two by a lost connection, the others by 421 */
		if (i == 2)
			stage.one.steps = script421;
		deliver(i, &o);
		wait_for(i);
		assert_int_equal(stage.got[i].status[0], DV_SENT);
	}
	assert_int_equal(stage.one.connections, 4);
}

static void parameters(void **state)
{
	static const struct fake_step script[] = {{NULL, "220 x\r\n"},
	    {"EHLO", "250-x\r\n250-SIZE\r\n250-DSN\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n"},
	    {"MAIL FROM:<alice@a.org> SIZE=17 BODY=8BITMIME SMTPUTF8 ENVID=id+3D1 RET=HDRS", "250 ok\r\n"},
	    {"RCPT TO:<\"b b\"@b.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@b.org", "250 ok\r\n"},
	    {"DATA", "354 ok\r\n"}, {".", "250 ok\r\n"}, END};
	struct order o = {.rcpt = {"b b@b.org"},
	    .nexthop = hosts(script, NULL),
	    .orcpt = "rfc822;x+y@b.org",
	    .flags = MAIL_8BITMIME | MAIL_SMTPUTF8 | MAIL_RET_HDRS};

	(void)state;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_SENT);
}

static void lmtp_replies(void **state)
{
	static const struct fake_step script[] = {{NULL, "220 x LMTP\r\n"},
	    {"LHLO me.a.org", "250-x\r\n250 PIPELINING\r\n"}, {"MAIL", "250 ok\r\n"},
	    {"RCPT TO:<a@b.org>", "250 ok\r\n"}, {"RCPT TO:<b@b.org>", "550 5.1.1 no\r\n"},
	    {"RCPT TO:<c@b.org>", "250 ok\r\n"}, {"DATA", "354 ok\r\n"}, {".", "250 2.1.5 a\r\n452 4.2.2 full\r\n"},
	    END};
	struct order o = {.rcpt = {"a@b.org", "b@b.org", "c@b.org"}};
	char nexthop[64];

	(void)state;
	stage.smtp.cfg.lmtp = true;
	hosts(script, NULL);
	snprintf(nexthop, sizeof(nexthop), "inet:127.0.0.1:%u", stage.one.port);
	o.nexthop = nexthop;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_SENT);
	assert_string_equal(stage.got[0].text[0], "250 2.1.5 a");
	assert_int_equal(stage.got[0].status[1], DV_BOUNCED);
	assert_int_equal(stage.got[0].status[2], DV_DEFERRED);
	assert_string_equal(
	    stage.got[0].text[2], "host 127.0.0.1[127.0.0.1] said: 452 4.2.2 full (in reply to end of DATA command)");
}

#define FIVE MESSAGE, MESSAGE, MESSAGE, MESSAGE, MESSAGE

static void many_at_once_and_large(void **state)
{
	/* on a slow machine one connection may take them all */
	static const struct fake_step script[] = {HELLO, FIVE, FIVE, FIVE, FIVE, FIVE, FIVE, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};
	size_t n = 3000000;
	char *big = xmalloc(n + 1);

	(void)state;
	for (size_t i = 0; i < n; i++)
		big[i] = i % 70 == 69 ? '\n' : '.';
	big[n] = '\0';
	o.content = big;
	deliver(0, &o);
	o.content = NULL;
	for (unsigned i = 1; i < 30; i++)
		deliver(i, &o);
	for (unsigned i = 0; i < 30; i++) {
		wait_for(i);
		assert_int_equal(stage.got[i].status[0], DV_SENT);
	}
	free(big);
}

static void refused_within_content(void **state)
{
	static const struct fake_step script[] = {HELLO, {"MAIL", "250 ok\r\n"}, {"RCPT", "250 ok\r\n"},
	    {"DATA", "354 go\r\n552 5.3.4 too much\r\n!close"}, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};
	size_t n = 8000000;
	char *big = xmalloc(n + 1);

	(void)state;
	memset(big, 'x', n);
	big[n] = '\0';
	o.content = big;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_BOUNCED);
	assert_string_equal(stage.got[0].text[0],
	    "host mx1.b.org[127.0.0.1] said: 552 5.3.4 too much (in reply to end of DATA command)");
	free(big);
}

static void soft_bounces(void **state)
{
	static const struct fake_step script[] = {PLAIN, {"MAIL", "550 5.7.1 no\r\n"}, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};

	(void)state;
	stage.smtp.cfg.soft_bounce = true;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_DEFERRED);
	assert_string_equal(stage.got[0].dsn[0], "4.4.1"); /* the second host refused the connection */
}

static void fall_back_hosts(void **state)
{
	static const struct fake_step script[] = {HELLO, MESSAGE, MESSAGE, END};
	struct order o = {.rcpt = {"bob@b.org"}};
	char relays[100];

	(void)state;
	hosts(NULL, script);
	snprintf(relays, sizeof(relays), "[bad, [127.0.0.9]:9 [127.0.0.2]:%u", stage.two.port);
	stage.smtp.cfg.fallback_relay = relays;
	o.nexthop = "nosuch.org";
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(stage.got[0].status[0], DV_SENT);
	o.nexthop = "[127.0.0.9]:9";
	deliver(1, &o);
	wait_for(1);
	assert_int_equal(stage.got[1].status[0], DV_SENT);
	assert_int_equal(stage.two.connections, 2);
}

static void policies(void **state)
{
	static const struct cfg cfg = {
	    .tls_verify_match = "hostname", .tls_secure_match = "nexthop", .tls_servername = "hostname"};
	struct tls_policy p = {0};
	struct err err;

	(void)state;
	assert_int_equal(policy_parse(&cfg, SV("may"), &p, &err), 0);
	assert_int_equal(p.level, TLS_LVL_MAY);
	assert_int_equal(policy_parse(&cfg, SV("secure  match=a.org:.b.org servername=x.org"), &p, &err), 0);
	assert_int_equal(p.level, TLS_LVL_SECURE);
	assert_string_equal(p.match, "a.org:.b.org");
	assert_string_equal(p.servername, "x.org");
	assert_int_equal(policy_parse(&cfg, SV("dane"), &p, &err), ERR_SYNTAX);
	assert_int_equal(policy_parse(&cfg, SV(""), &p, &err), ERR_SYNTAX);
	assert_int_equal(policy_parse(&cfg, SV("may fish=yes"), &p, &err), ERR_SYNTAX);
	assert_int_equal(p.level, TLS_LVL_SECURE);
}

static void qmgr_goes(void **state)
{
	static const struct fake_step script[] = {{NULL, ""}, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};

	(void)state;
	deliver(0, &o);
	for (int i = 0; i < 5; i++)
		ev_turn(stage.smtp.ev, 10);
	assert_int_equal(stage.busy, 1); /* the teardown takes the caller away */
}

static void delays(void **state)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {{0, "0"}, {-5, "0"}, {4000, "0"}, {10000, "0.01"}, {100000, "0.1"}, {123456, "0.12"},
	    {996000, "1"}, {1234567, "1.2"}, {9960000, "10"}, {12345678, "12"}, {100000000, "100"}};
	char out[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(delay_text(cases[i].us, 2, out), cases[i].text);
	assert_string_equal(delay_text(1234, 6, out), "0.0012");
	assert_string_equal(delay_text(1600000, 0, out), "2");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)
	const struct CMUnitTest tests[] = {
	    T(sent_and_reused),
	    T(next_host_and_rcpts),
	    T(refused_connections),
	    cmocka_unit_test(every_fate),
	    T(dead_kept_connection),
	    T(parameters),
	    T(lmtp_replies),
	    T(many_at_once_and_large),
	    T(refused_within_content),
	    T(soft_bounces),
	    T(fall_back_hosts),
	    cmocka_unit_test(policies),
	    T(qmgr_goes),
	    cmocka_unit_test(delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
