/* smtpd_test.c - whole conversations with a session over a socket pair; the other programs are fakes in this file. */
#include "base/base.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/htable.h"
#include "base/num.h"
#include "ipc/api_anvil.h"
#include "ipc/api_auth.h"
#include "ipc/api_rewrite.h"
#include "smtpd/access.h"
#include "smtpd/access_keys.h"
#include "smtpd/smtpd.h"

/* ---- the skeleton and the other programs ---- */

struct peer {
	const char *program;
};
struct fake_call {
	struct ev_defer defer;
	peer_done *done;
	void *arg;
	int status;
	struct msg_out reply;
	uint16_t type;
	bool cancelled;
	uint32_t id;
	struct fake_call *next;
};

static struct {
	struct ev *ev;
	struct smtpd g;
	struct fake_call *calls;
	uint32_t last_id;
	int client, sessions;
	bool cleanup_down, rewrite_down, auth_fails;
	unsigned commits, discards;
	int spool[64]; /* descriptors handed out, by number of the queue id */
	char committed[65536], envelope[4096];
	unsigned next_qid;
} fake;

struct peer *peer_new(struct daemon *d ATTR_UNUSED, const char *program, const char *target ATTR_UNUSED)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	p->program = program;
	return p;
}

void peer_free(struct peer **p)
{
	free(*p);
	*p = NULL;
}

void peer_on_state(struct peer *p ATTR_UNUSED, void (*fn)(void *arg, bool up) ATTR_UNUSED, void *arg ATTR_UNUSED)
{
}

void peer_on_msg(struct peer *p ATTR_UNUSED, void (*fn)(void *arg, struct msg *m) ATTR_UNUSED, void *arg ATTR_UNUSED)
{
}

int peer_send(struct peer *p ATTR_UNUSED, uint16_t type, const struct msg_out *m ATTR_UNUSED)
{
	if (type == CL_DISCARD)
		fake.discards++;
	return 0;
}

void daemon_busy(struct daemon *d ATTR_UNUSED, int delta)
{
	fake.sessions += delta;
}

const char *daemon_service(struct daemon *d ATTR_UNUSED)
{
	return "smtp";
}

struct ev *daemon_ev(struct daemon *d ATTR_UNUSED)
{
	return fake.ev;
}

const char *smtpd_date(struct smtpd *g ATTR_UNUSED)
{
	return "Sat, 21 Nov 2026 21:00:00 +0000 (UTC)";
}

static void free_call(struct fake_call *c)
{
	LL_DELETE(fake.calls, c);
	for (unsigned i = 0; i < c->reply.nfds; i++)
		close(c->reply.fds[i]);
	msg_out_free(&c->reply);
	free(c);
}

static void answer(struct ev_defer *d)
{
	struct fake_call *c = container_of(d, struct fake_call, defer);
	struct msg m = {.type = c->type, .body = buf_sv(&c->reply.b), .fds = c->reply.fds, .nfds = c->reply.nfds};

	if (!c->cancelled)
		c->done(c->arg, c->status, c->status == 0 ? &m : NULL);
	c->reply.nfds -= m.nextfd; /* taken */
	free_call(c);
}

void peer_cancel(struct peer *p ATTR_UNUSED, uint32_t id)
{
	for (struct fake_call *c = fake.calls; c != NULL; c = c->next) {
		if (c->id == id)
			c->cancelled = true;
	}
}

static void do_stock(struct fake_call *c, struct msg *m)
{
	struct cl_stock s = {0};
	unsigned count = 0;
	static char ids[CL_STOCK_MAX][16];

	assert_true(cl_stock_req_get(m, &count));
	s.n = 2;
	for (size_t i = 0; i < s.n; i++) {
		s.fd[i] = memfd_create("spool", MFD_CLOEXEC);
		lseek(s.fd[i], CL_CONTENT_START, SEEK_SET);
		snprintf(ids[i], sizeof(ids[i]), "QID%u", ++fake.next_qid);
		s.qid[i] = sv_str(ids[i]);
		assert_true(fake.next_qid < ARRAY_LEN(fake.spool));
		fake.spool[fake.next_qid] = dup(s.fd[i]);
	}
	cl_stock_put(&c->reply, &s);
}

static size_t qid_number(struct sv qid)
{
	uint64_t n = 0;
	assert_int_equal(num_range(sv_skip(qid, 3), 1, ARRAY_LEN(fake.spool) - 1, &n), 0);
	return (size_t)n;
}

static void do_commit(struct fake_call *c, struct msg *m)
{
	struct cl_commit commit;
	struct arena a;
	ssize_t n;
	size_t at;

	arena_init(&a, MAIL_ARENA);
	assert_true(cl_commit_get(m, &a, &commit));
	n = pread(fake.spool[qid_number(commit.qid)], fake.committed, sizeof(fake.committed) - 1, CL_CONTENT_START);
	fake.committed[n > 0 ? n : 0] = '\0';
	assert_int_equal(mail_content_size(&commit.env.content), n);
	assert_true(
	    mail_content_valid(&commit.env.content, CL_CONTENT_START, CL_CONTENT_START + (uint64_t)n, 1u << 30));
	at = (size_t)snprintf(fake.envelope, sizeof(fake.envelope), "from=<" SV_FMT ">", SV_ARG(commit.env.sender));
	for (size_t i = 0; i < commit.nrcpt; i++)
		at += (size_t)snprintf(fake.envelope + at, sizeof(fake.envelope) - at, " to=<" SV_FMT ">%u " SV_FMT,
		    SV_ARG(commit.rcpt[i].addr), commit.rcpt[i].notify, SV_ARG(commit.rcpt[i].orcpt));
	fake.commits++;
	cl_done_put(&c->reply, &(struct cl_done){.qid = commit.qid, .text = SV("")});
	arena_clear(&a);
}

/* alice@here.test and bob@here.test exist; gone.test cannot be told; all else is elsewhere. */
static void do_resolve(struct fake_call *c, struct msg *m)
{
	struct rw_resolve q;
	struct rw_result r[RW_MAX_KEYS] = {0};
	struct arena a;

	arena_init(&a, RW_ARENA);
	assert_int_equal(rw_resolve_get(m, &a, &q), 0);
	for (size_t i = 0; i < q.n; i++) {
		bool here = sv_iends(q.addr[i], SV("@here.test"));
		r[i].canonical = q.addr[i];
		r[i].route.cls = here ? MAIL_CLASS_LOCAL : MAIL_CLASS_OTHER;
		if (sv_iends(q.addr[i], SV("@gone.test")))
			r[i] = (struct rw_result){.status = ERR_TEMP, .route.cls = MAIL_CLASS_LOCAL};
		else if (here && !sv_istarts(q.addr[i], SV("alice")) && !sv_istarts(q.addr[i], SV("bob")))
			r[i].status = ERR_NOT_FOUND;
		if (r[i].status == ERR_NOT_FOUND)
			r[i].reason = SV("User unknown in local recipient table");
	}
	rw_results_put(&c->reply, r, q.n);
	arena_clear(&a);
}

static void do_auth(struct fake_call *c, uint16_t type, struct msg *m)
{
	struct au_start s;

	if (type == AU_MECHS) {
		au_mechs_encode(&c->reply, 0, SV("PLAIN LOGIN"));
		return;
	}
	if (type == AU_START && au_start_decode(m, &s) && !s.has_initial) {
		c->type = AU_MORE;
		au_more_encode(&c->reply, SV(""));
	} else if (fake.auth_fails) {
		c->type = AU_FAIL;
		au_fail_encode(&c->reply, false, SV("wrong"));
	} else {
		c->type = AU_DONE;
		au_done_encode(&c->reply,
		    &(struct au_done){.user = SV("alice"), .account = SV(""), .grant = SV(""), .final = SV("")});
	}
}

uint32_t peer_call(
    struct peer *p, uint16_t type, const struct msg_out *out, uint64_t ms ATTR_UNUSED, peer_done *done, void *arg)
{
	struct fake_call *c = xcalloc(1, sizeof(*c));
	struct msg m = {.type = type, .body = buf_sv(&out->b)};
	bool down = (strcmp(p->program, "cleanup") == 0 && fake.cleanup_down) ||
		    (strcmp(p->program, "rewrite") == 0 && fake.rewrite_down);

	c->reply = (struct msg_out)MSG_OUT_INIT;
	c->done = done;
	c->arg = arg;
	c->type = type;
	c->id = ++fake.last_id;
	if (down) {
		c->status = ERR_TIMEOUT;
	} else if (type == CL_STOCK) {
		do_stock(c, &m);
	} else if (type == CL_COMMIT) {
		do_commit(c, &m);
	} else if (type == RW_RESOLVE) {
		do_resolve(c, &m);
		c->type = RW_RESOLVED;
	} else if (strcmp(p->program, "auth") == 0) {
		do_auth(c, type, &m);
	} else {
		c->status = ERR_CLOSED;
	}
	LL_PREPEND(fake.calls, c);
	ev_defer(fake.ev, &c->defer, answer);
	return c->id;
}

/* ---- conversations ---- */

static void rules(enum stage stage, const char *text)
{
	struct err err;
	access_list_free(&fake.g.conf.rules[stage]);
	if (access_parse(text, &fake.g.conf.rules[stage], &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state ATTR_UNUSED)
{
	struct smtpd_conf *c = &fake.g.conf;

	memset(&fake, 0, sizeof(fake));
	for (size_t i = 0; i < ARRAY_LEN(fake.spool); i++)
		fake.spool[i] = -1;
	fake.ev = ev_new();
	fake.g.ev = fake.ev;
	*c = (struct smtpd_conf){.myhostname = "mx.here.test",
	    .myorigin = "here.test",
	    .banner = "mx.here.test ESMTP Merpati",
	    .mail_name = "Merpati",
	    .delimiter = "+",
	    .timeout_s = 300,
	    .size_limit = 20000,
	    .rcpt_limit = 5,
	    .rcpt_overshoot = 2,
	    .line_limit = 2048,
	    .soft_errors = 100,
	    .hard_errors = 8,
	    .junk_limit = 20,
	    .rate_unit_s = 60,
	    .bare = BARE_REJECT,
	    .bare_code = 550,
	    .relay_code = 554,
	    .reject_code = 554,
	    .defer_code = 450,
	    .non_fqdn_code = 504,
	    .delay_reject = true,
	    .forbid_pipelining = true,
	    .unlisted_rcpt = true,
	    .show_table = true,
	    .smtputf8 = true};
	for (size_t i = 0; i < ARRAY_LEN(c->unlisted_code); i++)
		c->unlisted_code[i] = 550;
	c->content = (struct content_conf){
	    .size_limit = c->size_limit, .hop_limit = 50, .hostname = c->myhostname, .drop = {"bcc"}};
	rules(STAGE_RELAY, "permit_mynetworks permit_sasl_authenticated reject_unauth_destination");
	fake.g.cleanup = peer_new(NULL, "cleanup", NULL);
	fake.g.rewrite = peer_new(NULL, "rewrite", NULL);
	fake.g.auth = peer_new(NULL, "auth", NULL);
	fake.g.anvil = peer_new(NULL, "anvil", NULL);
	stock_init(&fake.g);
	auth_mechs_init(&fake.g);
	return 0;
}

static int teardown(void **state ATTR_UNUSED)
{
	close(fake.client);
	for (int i = 0; i < 20; i++)
		ev_turn(fake.ev, 0);
	assert_int_equal(fake.sessions, 0);
	assert_int_equal(fake.g.sessions, 0);
	for (int i = 0; i < STAGES; i++)
		access_list_free(&fake.g.conf.rules[i]);
	peer_free(&fake.g.cleanup);
	peer_free(&fake.g.rewrite);
	peer_free(&fake.g.auth);
	peer_free(&fake.g.anvil);
	netlist_free(&fake.g.conf.mynetworks);
	while (fake.calls != NULL)
		free_call(fake.calls);
	stock_free(&fake.g);
	free(fake.g.mechs);
	for (size_t i = 0; i < ARRAY_LEN(fake.spool); i++)
		fd_close(&fake.spool[i]);
	ev_free(&fake.ev);
	return 0;
}

static void turns(void)
{
	for (int i = 0; i < 30; i++)
		ev_turn(fake.ev, 0);
}

static void connect_from(const char *addr, bool local)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	if (addr != NULL) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;
		in->sin_family = AF_INET;
		inet_pton(AF_INET, addr, &in->sin_addr);
	}
	fake.client = pair[0];
	session_new(&fake.g, pair[1], &ss, local);
	turns();
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
		turns();
		assert_true(w > 0 || errno == EAGAIN);
	}
	turns();
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
	turns();
	assert_int_equal(read(fake.client, &c, 1), 0);
}

static void begin(const char *addr)
{
	connect_from(addr, false);
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
	connect_from("192.0.2.1", false);
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

	connect_from(NULL, true);
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
		connect_from("192.0.2.1", false);
		assert_int_equal(write(fake.client, text, a), a);
		turns();
		if (b > 0)
			assert_int_equal(write(fake.client, more, b), b);
		if (n % 2 == 0)
			turns();
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
	rules(STAGE_SENDER, "reject_non_fqdn_sender");
	rules(STAGE_HELO, "warn_if_reject reject_non_fqdn_helo_hostname");
	rules(STAGE_CLIENT, "reject_unknown_client_hostname");
	begin("192.0.2.1");
	talk("HELO a\r\n", "250 mx.here.test\r\n");
	talk("MAIL FROM:<x@a.org>\r\n", "250 2.1.0 Ok\r\n");
	fake.g.conf.unknown_client_code = 550;
	talk("RCPT TO:<alice@here.test>\r\n",
	    "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]\r\n");
	rules(STAGE_CLIENT, "");
	talk("RCPT TO:<alice@here.test>\r\n", "250 2.1.5 Ok\r\n");
	talk("RSET\r\n", "250 2.0.0 Ok\r\n");
	talk("MAIL FROM:<x@a>\r\n", "250 2.1.0 Ok\r\n");
	talk("RCPT TO:<alice@here.test>\r\n",
	    "504 5.5.2 <x@a>: Sender address rejected: need fully-qualified address\r\n");
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
	const struct CMUnitTest tests[] = {T(test_letter), T(test_relay), T(test_mynetworks), T(test_order_and_syntax),
	    T(test_bad_input), T(test_pipelining_refused), T(test_http), T(test_smuggling), T(test_too_big),
	    T(test_hops), T(test_bdat), T(test_lmtp), T(test_pickup), T(test_auth), T(test_peers_down),
	    T(test_commit_fails), T(test_cut), T(test_rules), cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_netlist)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
