/* smtpd_test.c - whole conversations with a session over a socket pair; the other programs are fakes. */
#include "base/base.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "smtpd/access.h"
#include "smtpd/access_keys.h"
#include "smtpd/smtpd_fakes.h"

static int setup(void **state ATTR_UNUSED)
{
	fakes_start();
	return 0;
}

static int teardown(void **state ATTR_UNUSED)
{
	fakes_end();
	return 0;
}

/* Sends bytes and compares everything that comes back; "" where the connection is closed and nothing came. */
static void talk_n(const char *bytes, size_t n, const char *want)
{
	char got[65536];
	size_t used = 0;
	ssize_t r;

	for (size_t sent = 0; sent < n;) {
		ssize_t w = write(fake.client, bytes + sent, n - sent);
		if (w > 0)
			sent += (size_t)w;
		fake_turns();
		assert_true(w > 0 || errno == EAGAIN);
	}
	fake_turns();
	while ((r = read(fake.client, got + used, sizeof(got) - 1 - used)) > 0)
		used += (size_t)r;
	got[used] = '\0';
	assert_string_equal(got, want);
}

static void talk(const char *text, const char *want)
{
	talk_n(text, strlen(text), want);
}

static void closed(void)
{
	char c;
	fake_turns();
	assert_int_equal(read(fake.client, &c, 1), 0);
}

static void begin(const char *addr)
{
	fake_connect(addr, false);
	talk("", "220 mx.here.test ESMTP Merpati\r\n");
}

#define EHLO_REPLY                                                                                                     \
	"250-mx.here.test\r\n250-PIPELINING\r\n250-SIZE "                                                              \
	"20000\r\n250-VRFY\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"                                             \
	"250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n"

static void test_letter(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	talk("EHLO a.org\r\n", EHLO_REPLY);
	talk("MAIL FROM:<x@a.org> BODY=8BITMIME ENVID=q+41\r\nRCPT TO:<alice@here.test> NOTIFY=FAILURE "
	     "ORCPT=rfc822;al+2Bx@here.test\r\nRCPT TO:<nobody@here.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
	    "550 5.1.1 <nobody@here.test>: Recipient address rejected: User unknown in local recipient table\r\n"
	    "250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
	talk("Subject: hi\r\nBcc: secret\r\n folded\r\nX: y\r\n\r\n..dot\r\n.\r\n", "250 2.0.0 Ok: queued as QID1\r\n");
	assert_string_equal(
	    fake.envelope, "from=<x@a.org> to=<alice@here.test>4 rfc822;al+x@here.test to=<bob@here.test>0 ");
	assert_string_equal(fake.committed,
	    "Received: from a.org (unknown [192.0.2.1])\n"
	    "\tby mx.here.test (Merpati) with ESMTP id QID1; Sat, 21 Nov 2026 21:00:00 +0000 (UTC)\n"
	    "Subject: hi\nX: y\n\n.dot\n");
	talk("QUIT\r\n", "221 2.0.0 Bye\r\n");
	closed();
}

static void test_byte_by_byte(void **state ATTR_UNUSED)
{
	static const char text[] = "EHLO a.org\r\nMAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nDATA\r\n"
				   "Subject: hi\r\n\r\n..dot\r\n.\r\nQUIT\r\n";
	char got[4096];
	ssize_t n;

	begin("192.0.2.1");
	for (size_t i = 0; i < strlen(text); i++) {
		assert_int_equal(write(fake.client, text + i, 1), 1);
		fake_turns();
	}
	n = read(fake.client, got, sizeof(got) - 1);
	got[n > 0 ? n : 0] = '\0';
	assert_string_equal(got, EHLO_REPLY "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
					    "250 2.0.0 Ok: queued as QID1\r\n221 2.0.0 Bye\r\n");
	assert_non_null(strstr(fake.committed, "\nSubject: hi\n\n.dot\n"));
	closed();
}

static void test_kept_connection(void **state ATTR_UNUSED)
{
	fake.g.conf.junk_limit = 3;
	begin("192.0.2.1");
	talk("EHLO a.org\r\n", EHLO_REPLY);
	for (int i = 0; i < 30; i++) {
		talk("RSET\r\n", "250 2.0.0 Ok\r\n");
		talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nDATA\r\n",
		    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
		char want[64];
		snprintf(want, sizeof(want), "250 2.0.0 Ok: queued as QID%d\r\n", i + 1);
		talk("a: b\r\n.\r\n", want);
	}
	for (int i = 0; i < 10; i++)
		talk("NOOP\r\n", "250 2.0.0 Ok\r\n");
	talk("NOOP\r\n", "250 2.0.0 Ok\r\n421 4.7.0 mx.here.test Error: too many errors\r\n");
	closed();
}

static void test_relay(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	talk("HELO a.org\r\n", "250 mx.here.test\r\n");
	talk("MAIL FROM:<x@a.org>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<y@b.org>\r\n", "554 5.7.1 <y@b.org>: Relay access denied\r\n");
	talk("RCPT TO:<y@gone.test>\r\n", "451 4.3.0 <y@gone.test>: Temporary lookup failure\r\n");
	talk("DATA\r\n", "554 5.5.1 Error: no valid recipients\r\n");
	talk("RSET\r\n", "250 2.0.0 Ok\r\n");
	talk("DATA\r\n", "503 5.5.1 Error: need RCPT command\r\n");
	assert_int_equal(fake.commits, 0);
}

static void test_mynetworks(void **state ATTR_UNUSED)
{
	netlist_parse(&fake.g.conf.mynetworks, SV("192.0.2.0/24"), NULL);
	begin("192.0.2.1");
	talk("HELO a.org\r\n", "250 mx.here.test\r\n");
	talk("MAIL FROM:<>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<y@b.org>\r\n", "250 2.1.5 Ok\r\n");
}

static void test_order_and_syntax(void **state ATTR_UNUSED)
{
	static const char *const lines[][2] = {{"MAIL FROM:<a@b>", "503 5.5.1 Error: send HELO/EHLO first\r\n"},
	    {"HELO", "501 Syntax: HELO hostname\r\n"}, {"HELO x", "250 mx.here.test\r\n"},
	    {"RCPT TO:<a@b>", "503 5.5.1 Error: need MAIL command\r\n"},
	    {"MAIL <a@b>", "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"},
	    {"MAIL FROM:<a b@c>", "501 5.1.7 Bad sender address syntax\r\n"},
	    {"MAIL FROM:<a@b> FOO=1", "555 5.5.4 Unsupported option: FOO=1\r\n"},
	    {"MAIL FROM:<a@b> SIZE=999999", "552 5.3.4 Message size exceeds fixed limit\r\n"},
	    {"MAIL FROM:<\xc3\xa4@b>", "553 5.6.7 Must declare SMTPUTF8 to send unicode address\r\n"},
	    {"BOGUS", "500 5.5.2 Error: command not recognized\r\n"},
	    {"EXPN x", "502 5.5.1 Error: command not implemented\r\n"},
	    {"STARTTLS", "502 5.5.1 Error: command not implemented\r\n"},
	    {"AUTH PLAIN", "503 5.5.1 Error: send EHLO first\r\n"}, {"MAIL FROM:<a@b>", "250 2.1.0 Ok\r\n"},
	    {"MAIL FROM:<a@b>", "503 5.5.1 Error: nested MAIL command\r\n"},
	    {"\xff\xfe", "500 5.5.2 Error: bad UTF-8 syntax\r\n"}, {"", "500 5.5.2 Error: bad syntax\r\n"},
	    {"NOOP", "250 2.0.0 Ok\r\n"}};
	fake.g.conf.helo_required = true;
	fake.g.conf.hard_errors = 1000;
	begin("192.0.2.1");
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char line[512];
		snprintf(line, sizeof(line), "%s\r\n", lines[i][0]);
		talk(line, lines[i][1]);
	}
	talk_n("NO\0OP\r\n", 7, "500 5.5.2 Error: bad syntax: NUL byte\r\n");
}

static void test_bad_input(void **state ATTR_UNUSED)
{
	char longline[10000];

	memset(longline, 'x', sizeof(longline));
	begin("192.0.2.1");
	talk_n(longline, sizeof(longline), "500 5.5.2 Error: line too long\r\n");
	talk("\r\nNOOP\r\n", "250 2.0.0 Ok\r\n");
	for (int i = 0; i < 6; i++)
		talk("X\r\n", "500 5.5.2 Error: command not recognized\r\n");
	talk("X\r\n", "500 5.5.2 Error: command not recognized\r\n421 4.7.0 mx.here.test Error: too many errors\r\n");
	closed();
}

static void test_pipelining_refused(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	talk("HELO a\r\nMAIL FROM:<x@a>\r\n", "554 5.5.0 Error: SMTP protocol synchronization\r\n");
	closed();
}

static void test_http(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	talk("GET / HTTP/1.0\r\n", "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n");
	closed();
}

static void letter_to_alice(void)
{
	talk("EHLO a.org\r\n", EHLO_REPLY);
	talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nDATA\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
}

static void test_smuggling(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	letter_to_alice();
	talk("a: b\r\n\r\ntext\n.\r\nMAIL FROM:<evil@a>\r\nRCPT TO:<bob@here.test>\r\n.\r\n",
	    "550 5.5.2 Error: bare <LF> received\r\n");
	assert_int_equal(fake.commits, 0);
	fake.g.conf.bare = BARE_NORMALIZE;
	talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nDATA\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
	talk("a: b\r\n\r\ntext\n.\r\nMAIL FROM:<evil@a>\r\n.\r\n", "250 2.0.0 Ok: queued as QID2\r\n");
	assert_int_equal(fake.commits, 1);
}

static void test_too_big(void **state ATTR_UNUSED)
{
	char line[72];

	memset(line, 'x', 70);
	line[70] = '\r';
	line[71] = '\n';
	begin("192.0.2.1");
	letter_to_alice();
	for (int i = 0; i < 2000; i++)
		talk_n(line, sizeof(line), "");
	talk(".\r\n", "552 5.3.4 Error: message file too big\r\n");
	assert_int_equal(fake.commits, 0);
	talk("NOOP\r\n", "250 2.0.0 Ok\r\n");
}

static void test_hops(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	letter_to_alice();
	for (int i = 0; i < 60; i++)
		talk("Received: from x\r\n\tby y\r\n", "");
	talk("\r\n.\r\n", "554 5.4.0 Error: too many hops\r\n");
}

static void test_bdat(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	talk("EHLO a.org\r\n", EHLO_REPLY);
	talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nBDAT 11\r\nSubject: x\rBDAT 6\r\n\n\r\na\r\nBDAT 3 "
	     "LAST\r\n.\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok: 11 bytes\r\n250 2.0.0 Ok: 6 bytes\r\n250 2.0.0 Ok: queued "
	    "as QID1\r\n");
	assert_non_null(strstr(fake.committed, "\nSubject: x\n\na\n.\n"));
	talk("BDAT 3 LAST\r\nabcNOOP\r\n", "503 5.5.1 Error: need RCPT command\r\n250 2.0.0 Ok\r\n");
	talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nBDAT 0 LAST\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok: queued as QID2\r\n");
	talk("BDAT x\r\n", "501 5.5.4 Syntax: BDAT count [LAST]\r\n");
	closed();
}

static void test_lmtp(void **state ATTR_UNUSED)
{
	fake.g.conf.lmtp = true;
	fake_connect("192.0.2.1", false);
	talk("", "220 mx.here.test ESMTP Merpati\r\n");
	talk("EHLO x\r\n", "500 5.5.1 Error: this is LMTP: send LHLO\r\n");
	talk("LHLO x\r\n", EHLO_REPLY);
	talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
	talk("a: b\r\n.\r\n", "250 2.0.0 Ok: queued as QID1\r\n250 2.0.0 Ok: queued as QID1\r\n");
}

static void test_pickup(void **state ATTR_UNUSED)
{
	char want[512], who[64];

	fake_connect(NULL, true);
	talk("", "220 mx.here.test ESMTP Merpati\r\n");
	talk("MAIL FROM:<root>\r\nRCPT TO:<anyone@elsewhere.org>\r\nDATA\r\n",
	    "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
	talk("Subject: local\n\nbody\n.\n", "250 2.0.0 Ok: queued as QID1\r\n");
	snprintf(who, sizeof(who), "from userid %u)", (unsigned)getuid());
	assert_non_null(strstr(fake.committed, who));
	assert_non_null(strstr(fake.committed, "Message-Id: <"));
	assert_non_null(strstr(fake.committed, ".QID1@mx.here.test>\n"));
	assert_non_null(strstr(fake.committed, "\nFrom: root@here.test\n\nbody\n"));
	snprintf(want, sizeof(want), "from=<root@here.test> to=<anyone@elsewhere.org>0 ");
	assert_string_equal(fake.envelope, want);
}

static void test_auth(void **state ATTR_UNUSED)
{
	fake.g.conf.sasl = true;
	begin("192.0.2.1");
	talk("AUTH PLAIN\r\n", "503 5.5.1 Error: send EHLO first\r\n");
	talk("EHLO x\r\n",
	    "250-mx.here.test\r\n250-PIPELINING\r\n250-SIZE 20000\r\n250-VRFY\r\n250-AUTH PLAIN LOGIN\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n");
	talk("AUTH PLAIN\r\n", "334 \r\n");
	talk("*\r\n", "501 5.7.0 Authentication aborted\r\n");
	talk("AUTH PLAIN\r\n", "334 \r\n");
	talk("!!!\r\n", "501 5.5.2 Error: Bad base64 in response\r\n");
	fake.auth_fails = true;
	talk("AUTH PLAIN AGEAYg==\r\n", "535 5.7.8 Error: authentication failed: credentials not accepted\r\n");
	fake.auth_fails = false;
	fake.aborts = 0;
	fake.auth_down = true; /* no answer in time: auth is told, so that it takes this client's next try */
	talk("AUTH PLAIN AGEAYg==\r\n", "454 4.7.0 Temporary authentication failure: please try again\r\n");
	assert_int_equal(fake.aborts, 1);
	fake.auth_down = false;
	talk("AUTH PLAIN\r\n", "334 \r\n");
	talk("AGEAYg==\r\n", "235 2.7.0 Authentication successful\r\n");
	talk("AUTH PLAIN\r\n", "503 5.5.1 Error: already authenticated\r\n");
	talk("MAIL FROM:<x@a.org>\r\nRCPT TO:<y@elsewhere.org>\r\n", "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
}

static void test_peers_down(void **state ATTR_UNUSED)
{
	fake.rewrite_down = true;
	begin("192.0.2.1");
	talk("HELO a.org\r\n", "250 mx.here.test\r\n");
	talk("MAIL FROM:<x@a.org>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<alice@here.test>\r\n", "451 4.3.0 <alice@here.test>: Temporary lookup failure\r\n");
	fake.rewrite_down = false;
	fake.cleanup_down = true;
	talk("RSET\r\n", "250 2.0.0 Ok\r\n");
	talk("MAIL FROM:<x@a.org>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<alice@here.test>\r\n", "451 4.3.0 Error: queue file write error\r\n");
}

static void test_commit_fails(void **state ATTR_UNUSED)
{
	begin("192.0.2.1");
	letter_to_alice();
	fake.cleanup_down = true;
	talk("a: b\r\n\r\nc\r\n.\r\n", "451 4.3.0 Error: queue file write error\r\n");
	talk("NOOP\r\n", "250 2.0.0 Ok\r\n");
}

/* The client goes away at every byte of a conversation: nothing is left behind (teardown and asan look). */
static void test_cut(void **state)
{
	static const char text[] =
	    "EHLO a.org\r\nMAIL FROM:<x@a.org>\r\nRCPT TO:<alice@here.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n";
	static const char more[] = "Subject: x\r\n\r\n.text\r\n.\r\nQUIT\r\n";

	for (size_t n = 0; n <= strlen(text) + strlen(more); n++) {
		size_t a = n < strlen(text) ? n : strlen(text), b = n - a;
		if (n > 0) {
			setup(state);
		}
		fake.g.conf.forbid_pipelining = false;
		fake_connect("192.0.2.1", false);
		assert_int_equal(write(fake.client, text, a), a);
		fake_turns();
		if (b > 0)
			assert_int_equal(write(fake.client, more, b), b);
		if (n % 2 == 0)
			fake_turns();
		if (n < strlen(text) + strlen(more))
			teardown(state);
	}
}

static void test_keys(void **state ATTR_UNUSED)
{
	struct access_keys k;

	access_keys_mail(&k, SV("u+x@a.b.org"), "+");
	static const char *const want[] = {"u+x@a.b.org", "u@a.b.org", "a.b.org", "b.org", "org", "u+x@", "u@"};
	assert_int_equal(k.n, ARRAY_LEN(want));
	for (size_t i = 0; i < k.n; i++)
		assert_true(sv_eqs(k.key[i], want[i]));
	access_keys_host(&k, SV("mx.a.org"));
	access_keys_address(&k, SV("192.0.2.1"));
	static const char *const host[] = {"mx.a.org", "a.org", "org", "192.0.2.1", "192.0.2", "192.0", "192"};
	assert_int_equal(k.n, ARRAY_LEN(host));
	for (size_t i = 0; i < k.n; i++)
		assert_true(sv_eqs(k.key[i], host[i]));
	/* No name is so long that the end of it, which tables name, is not looked for. */
	char deep[260] = "u@";
	size_t n = 2;
	while (n < 240)
		n += (size_t)snprintf(deep + n, sizeof(deep) - n, "a.");
	snprintf(deep + n, sizeof(deep) - n, "b.org");
	access_keys_mail(&k, sv_str(deep), "+");
	assert_true(k.n >= 4 && sv_eqs(k.key[k.n - 3], "b.org") && sv_eqs(k.key[k.n - 2], "org"));
	assert_true(sv_eqs(k.key[k.n - 1], "u@"));
}

static void test_rules(void **state ATTR_UNUSED)
{
	struct rule_list l;
	struct err err;

	assert_int_equal(access_parse("permit_mynetworks, check_sender_access lmdb:/x reject", &l, &err), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.use[1].arg, "lmdb:/x");
	access_list_free(&l);
	assert_true(access_parse("permit_everything", &l, &err) < 0);
	assert_true(access_parse("check_sender_access", &l, &err) < 0);
	fake_rules(STAGE_SENDER, "reject_non_fqdn_sender");
	fake_rules(STAGE_HELO, "warn_if_reject reject_non_fqdn_helo_hostname");
	fake_rules(STAGE_CLIENT, "reject_unknown_client_hostname");
	begin("192.0.2.1");
	talk("HELO a\r\n", "250 mx.here.test\r\n");
	talk("MAIL FROM:<x@a.org>\r\n", "250 2.1.0 Ok\r\n");
	fake.g.conf.unknown_client_code = 550;
	talk("RCPT TO:<alice@here.test>\r\n",
	    "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]\r\n");
	fake_rules(STAGE_CLIENT, "");
	talk("RCPT TO:<alice@here.test>\r\n", "250 2.1.5 Ok\r\n");
	talk("RSET\r\n", "250 2.0.0 Ok\r\n");
	talk("MAIL FROM:<x@a>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<alice@here.test>\r\n",
	    "504 5.5.2 <x@a>: Sender address rejected: need fully-qualified address\r\n");
}

static void test_no_delay(void **state ATTR_UNUSED)
{
	fake.g.conf.delay_reject = false;
	fake_rules(STAGE_CLIENT, "reject");
	begin("192.0.2.1");
	talk("MAIL FROM:<x@a.org>\r\n", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n");
	talk("EHLO a.org\r\n", "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n");
	fake_rules(STAGE_CLIENT, "");
	fake_rules(STAGE_SENDER, "reject_non_fqdn_sender");
	talk("EHLO a.org\r\n", EHLO_REPLY);
	talk("MAIL FROM:<x@a>\r\n", "504 5.5.2 <x@a>: Sender address rejected: need fully-qualified address\r\n");
	talk("MAIL FROM:<x@a.org>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<y@b.org>\r\n", "554 5.7.1 <y@b.org>: Relay access denied\r\n");
}

static void test_netlist(void **state ATTR_UNUSED)
{
	struct netlist l;
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;

	assert_int_equal(netlist_parse(&l, SV("!10.1.2.3 10.0.0.0/8, [::1]/128 192.0.2.128/25"), NULL), 0);
	in->sin_family = AF_INET;
	static const struct {
		const char *addr;
		bool want;
	} cases[] = {{"10.1.2.3", false}, {"10.1.2.4", true}, {"11.0.0.1", false}, {"192.0.2.127", false},
	    {"192.0.2.128", true}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		inet_pton(AF_INET, cases[i].addr, &in->sin_addr);
		assert_int_equal(netlist_match(&l, &ss), cases[i].want);
	}
	netlist_free(&l);
	assert_true(netlist_parse(&l, SV("10.0.0.0/33"), NULL) < 0);
	assert_true(netlist_parse(&l, SV("example.org"), NULL) < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_letter), T(test_byte_by_byte), T(test_no_delay),
	    T(test_kept_connection), T(test_relay), T(test_mynetworks), T(test_order_and_syntax), T(test_bad_input),
	    T(test_pipelining_refused), T(test_http), T(test_smuggling), T(test_too_big), T(test_hops), T(test_bdat),
	    T(test_lmtp), T(test_pickup), T(test_auth), T(test_peers_down), T(test_commit_fails), T(test_cut),
	    T(test_rules), cmocka_unit_test(test_keys), cmocka_unit_test(test_netlist)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
