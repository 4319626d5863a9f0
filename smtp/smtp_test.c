/* The engine against scripted servers: orders in, results out, no master. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "dns/dns_fake.h"
#include "smtp/fake_server.h"
#include "smtp/smtp.h"

/* --- the skeleton's functions, as far as the engine asks for them --- */

static struct smtp smtp;
static int busy;

struct ev *daemon_ev(struct daemon *d)
{
	(void)d;
	return smtp.ev;
}

void *daemon_state(struct daemon *d)
{
	(void)d;
	return &smtp;
}

void daemon_busy(struct daemon *d, int delta)
{
	(void)d;
	busy += delta;
}

bool daemon_draining(const struct daemon *d)
{
	(void)d;
	return false;
}

const struct conf *daemon_conf(struct daemon *d)
{
	(void)d;
	return NULL;
}

const char *daemon_service(struct daemon *d)
{
	(void)d;
	return "smtp";
}

uint32_t peer_call(struct peer *p, uint16_t type, const struct msg_out *m, uint64_t ms, peer_done *done, void *arg)
{
	(void)p;
	(void)type;
	(void)m;
	(void)ms;
	(void)done;
	(void)arg;
	return 1;
}

void peer_cancel(struct peer *p, uint32_t call)
{
	(void)p;
	(void)call;
}

/* --- qmgr's side --- */

struct outcome {
	unsigned results;
	bool last, site_down;
	unsigned status[8], flags[8];
	char dsn[8][16], relay[8][128], text[8][512];
};

static struct outcome got[40];
static struct chan *to_agent, *at_qmgr;
static struct serve_conn serve;
static struct fake_server one, two;

static void on_order(struct chan *c, struct msg *m, void *arg)
{
	(void)c;
	(void)arg;
	assert_int_equal(m->type, DV_DELIVER);
	assert_int_equal(job_deliver(&serve, m), 0);
}

static void copy(char *out, size_t size, struct sv s)
{
	snprintf(out, size, SV_FMT, SV_ARG(s));
}

static void on_result(struct chan *c, struct msg *m, void *arg)
{
	struct arena mem;
	struct dv_result r;
	struct outcome *o;

	(void)c;
	(void)arg;
	arena_init(&mem, MAIL_ARENA);
	assert_int_equal(m->type, DV_RESULT);
	assert_true(dv_result_get(m, &mem, &r));
	assert_true(r.job < ARRAY_LEN(got));
	o = &got[r.job];
	assert_false(o->last);
	o->last = r.last;
	o->site_down = r.site_down;
	for (size_t i = 0; i < r.nrcpt; i++) {
		unsigned at = r.rcpt[i].index;

		assert_true(at < 8);
		assert_int_equal(o->status[at], 0);
		o->results++;
		o->status[at] = r.rcpt[i].status;
		o->flags[at] = r.rcpt[i].flags;
		copy(o->dsn[at], 16, r.rcpt[i].dsn);
		copy(o->relay[at], 128, r.rcpt[i].relay);
		copy(o->text[at], 512, r.rcpt[i].text);
	}
	arena_clear(&mem);
}

static void on_gone(struct chan *c, const struct err *why, void *arg)
{
	(void)c;
	(void)arg;
	fail_msg("channel closed: %s", why->text);
}

static int setup(void **state)
{
	int fds[2];

	(void)state;
	memset(&smtp, 0, sizeof(smtp));
	memset(got, 0, sizeof(got));
	busy = 0;
	smtp.ev = ev_new();
	smtp.dns = dns_fake_new(smtp.ev);
	smtp.cfg = (struct cfg){.helo_name = "me.a.org",
	    .myhostname = "me.a.org",
	    .port = 25,
	    .connect_timeout = 2000,
	    .greet_timeout = 300,
	    .helo_timeout = 300,
	    .mail_timeout = 300,
	    .rcpt_timeout = 300,
	    .data_init_timeout = 300,
	    .data_xfer_timeout = 300,
	    .data_done_timeout = 300,
	    .rset_timeout = 300,
	    .quit_timeout = 300,
	    .starttls_timeout = 300,
	    .mx_address_limit = 5,
	    .mx_session_limit = 2,
	    .line_length_limit = 998,
	    .cache_on_demand = true,
	    .cache_destinations = "",
	    .fallback_relay = "",
	    .cache_time_limit = 2000,
	    .reuse_time_limit = 300000,
	    .always_ehlo = true,
	    .delay_digits = 2,
	    .skip_5xx_greeting = true};
	smtp.cfg.mx = (struct mx_params){.ipv4 = true, .timeout_ms = 500, .myhostname = "me.a.org"};
	smtp.cfg.mx_port = smtp.cfg.mx;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	memset(&serve, 0, sizeof(serve));
	to_agent = chan_new(smtp.ev, fds[0], 0, on_result, on_gone, NULL);
	at_qmgr = to_agent;
	serve.chan = chan_new(smtp.ev, fds[1], 0, on_order, on_gone, NULL);
	serve.state = xcalloc(1, sizeof(struct agent));
	((struct agent *)serve.state)->serve = &serve;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	job_agent_closed(&serve);
	while (smtp.dests) {
		struct dest *d = smtp.dests;
		bool last = d->refs == 1;
		struct conn *c = d->idle;

		assert_non_null(c);
		DL_DELETE(d->idle, c);
		conn_close(c, false);
		if (last)
			break;
	}
	ev_turn(smtp.ev, 0);
	chan_free(&to_agent);
	chan_free(&serve.chan);
	if (one.ev)
		fake_stop(&one);
	if (two.ev)
		fake_stop(&two);
	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	dns_free(&smtp.dns);
	ev_turn(smtp.ev, 0);
	ev_free(&smtp.ev);
	assert_int_equal(busy, 0);
	return 0;
}

struct order {
	const char *nexthop, *content, *rcpt[4];
	unsigned flags;
	uint64_t size;
	const char *orcpt;
};

static void deliver(unsigned job, const struct order *o)
{
	const char *content = o->content ? o->content : "Subject: x\n\nbody\n";
	struct mail_rcpt none = {0};
	struct dv_rcpt rcpt[4];
	struct dv_deliver d = {.job = job,
	    .qid = SV("4bQtest1"),
	    .transport = SV("smtp"),
	    .nexthop = sv_str(o->nexthop),
	    .active = clock_wall_us(),
	    .rcpt = rcpt};
	struct msg_out m = MSG_OUT_INIT;
	int fd = memfd_create("message", MFD_CLOEXEC);

	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	d.env.sender = SV("alice@a.org");
	d.env.arrival = d.active;
	d.env.size = o->size ? o->size : strlen(content);
	d.env.flags = o->flags;
	d.env.envid = SV("id=1");
	d.env.content.body = (struct mail_extent){0, strlen(content)};
	for (d.nrcpt = 0; d.nrcpt < 4 && o->rcpt[d.nrcpt]; d.nrcpt++) {
		rcpt[d.nrcpt] = (struct dv_rcpt){.index = (uint32_t)d.nrcpt, .rcpt = none};
		rcpt[d.nrcpt].rcpt.addr = rcpt[d.nrcpt].rcpt.orig = sv_str(o->rcpt[d.nrcpt]);
		rcpt[d.nrcpt].rcpt.notify = o->orcpt ? MAIL_NOTIFY_SUCCESS | MAIL_NOTIFY_DELAY : 0;
		rcpt[d.nrcpt].rcpt.orcpt = o->orcpt ? sv_str(o->orcpt) : SV("");
	}
	d.fd = fd;
	dv_deliver_put(&m, &d);
	assert_int_equal(chan_send(to_agent, DV_DELIVER, DV_VERSION, 0, &m), 0);
	msg_out_free(&m);
	close(fd);
}

static void wait_for(unsigned job)
{
	uint64_t until = clock_mono_ms() + 5000;

	while (!got[job].last && clock_mono_ms() < until)
		ev_turn(smtp.ev, 50);
	assert_true(got[job].last);
	if (one.wrong[0] || two.wrong[0])
		fail_msg("unexpected command: %s%s", one.wrong, two.wrong);
}

static char hop[64];

/* Two hosts for b.org: mx1 on 127.0.0.1, mx2 on 127.0.0.2, one port.  A script NULL: nobody listens there. */
static const char *hosts(const struct fake_step *s1, const struct fake_step *s2)
{
	static const struct fake_step nothing[] = {{NULL, NULL}};
	uint16_t port;

	fake_start(&one, smtp.ev, "127.0.0.1", 0, s1 ? s1 : nothing);
	port = one.port;
	if (s2)
		fake_start(&two, smtp.ev, "127.0.0.2", port, s2);
	if (!s1) {
		fake_stop(&one);
		memset(&one, 0, sizeof(one));
	}
	dns_fake_add(smtp.dns, "b.org", RS_MX, 10, "mx1.b.org");
	dns_fake_add(smtp.dns, "b.org", RS_MX, 20, "mx2.b.org");
	dns_fake_add(smtp.dns, "mx1.b.org", RS_A, 0, "127.0.0.1");
	dns_fake_add(smtp.dns, "mx2.b.org", RS_A, 0, "127.0.0.2");
	snprintf(hop, sizeof(hop), "b.org:%u", port);
	return hop;
}

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
	assert_int_equal(got[0].status[0], DV_SENT);
	assert_string_equal(got[0].dsn[0], "2.0.0");
	assert_string_equal(got[0].text[0], "250 2.0.0 Ok: queued as X");
	assert_int_equal(got[0].flags[0], DV_NO_DSN);
	assert_true(strstr(got[0].relay[0], "mx1.b.org[127.0.0.1]:") == got[0].relay[0]);
	assert_string_equal(buf_cstr(&one.content), "A: b\r\n\r\n..x\r\n");
	assert_false(got[0].site_down);
	deliver(1, &o);
	wait_for(1);
	assert_int_equal(got[1].status[0], DV_SENT);
	assert_int_equal(one.connections, 1);
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
	assert_int_equal(got[0].status[0], DV_BOUNCED);
	assert_string_equal(got[0].dsn[0], "5.1.1");
	assert_string_equal(
	    got[0].text[0], "host mx1.b.org[127.0.0.1] said: 550 5.1.1 no (in reply to RCPT TO command)");
	assert_int_equal(got[0].status[1], DV_SENT);
	assert_string_equal(got[0].text[1], "250 2.6.0 second");
	assert_int_equal(got[0].status[2], DV_SENT);
	assert_string_equal(got[0].dsn[2], "2.0.0");
}

static void refused_connections(void **state)
{
	static const struct fake_step second[] = {HELLO, MESSAGE, END};
	struct order o = {.nexthop = hosts(NULL, second), .rcpt = {"bob@b.org"}};
	char want[128];

	(void)state;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(got[0].status[0], DV_SENT);
	assert_true(strstr(got[0].relay[0], "mx2.b.org[127.0.0.2]:") == got[0].relay[0]);
	o.nexthop = "[127.0.0.9]:9";
	deliver(1, &o);
	wait_for(1);
	assert_int_equal(got[1].status[0], DV_DEFERRED);
	assert_string_equal(got[1].dsn[0], "4.4.1");
	snprintf(want, sizeof(want), "connect to 127.0.0.9[127.0.0.9]:9: Connection refused");
	assert_string_equal(got[1].text[0], want);
	assert_string_equal(got[1].relay[0], "");
	assert_true(got[1].site_down);
	o.nexthop = "nosuch.org";
	deliver(2, &o);
	wait_for(2);
	assert_int_equal(got[2].status[0], DV_BOUNCED);
	assert_string_equal(got[2].dsn[0], "5.4.4");
	o.nexthop = "[bad";
	deliver(3, &o);
	wait_for(3);
	assert_int_equal(got[3].status[0], DV_DEFERRED);
	assert_string_equal(got[3].dsn[0], "4.3.5");
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
    {"size", {{NULL, "220 hi\r\n"}, {"EHLO", "250-mx1\r\n250 SIZE 10\r\n"}, END}, DV_BOUNCED, "5.3.4",
	"message size 17 exceeds size limit 10 of server mx1.b.org[127.0.0.1]"},
};

static void one_host(void)
{
	dns_fake_add(smtp.dns, "one.org", RS_MX, 10, "mx1.b.org");
}

static void every_fate(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
		struct order o = {.rcpt = {"bob@b.org"}};
		char nexthop[64];

		setup(state);
		hosts(fates[i].steps, NULL);
		one_host();
		snprintf(nexthop, sizeof(nexthop), "one.org:%u", one.port);
		o.nexthop = nexthop;
		deliver(0, &o);
		wait_for(0);
		if (got[0].status[0] != fates[i].status || strcmp(got[0].dsn[0], fates[i].dsn) != 0 ||
		    strcmp(got[0].text[0], fates[i].text) != 0)
			fail_msg("%s: %u %s %s", fates[i].name, got[0].status[0], got[0].dsn[0], got[0].text[0]);
		teardown(state);
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
			one.steps = script421;
		deliver(i, &o);
		wait_for(i);
		assert_int_equal(got[i].status[0], DV_SENT);
	}
	assert_int_equal(one.connections, 4);
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
	assert_int_equal(got[0].status[0], DV_SENT);
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
	smtp.cfg.lmtp = true;
	hosts(script, NULL);
	snprintf(nexthop, sizeof(nexthop), "inet:127.0.0.1:%u", one.port);
	o.nexthop = nexthop;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(got[0].status[0], DV_SENT);
	assert_string_equal(got[0].text[0], "250 2.1.5 a");
	assert_int_equal(got[0].status[1], DV_BOUNCED);
	assert_int_equal(got[0].status[2], DV_DEFERRED);
	assert_string_equal(
	    got[0].text[2], "host 127.0.0.1[127.0.0.1] said: 452 4.2.2 full (in reply to end of DATA command)");
}

static void many_at_once_and_large(void **state)
{
	static const struct fake_step script[] = {HELLO, MESSAGE, MESSAGE, END};
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
		assert_int_equal(got[i].status[0], DV_SENT);
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
	assert_int_equal(got[0].status[0], DV_BOUNCED);
	assert_string_equal(
	    got[0].text[0], "host mx1.b.org[127.0.0.1] said: 552 5.3.4 too much (in reply to end of DATA command)");
	free(big);
}

static void soft_bounces(void **state)
{
	static const struct fake_step script[] = {PLAIN, {"MAIL", "550 5.7.1 no\r\n"}, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};

	(void)state;
	smtp.cfg.soft_bounce = true;
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(got[0].status[0], DV_DEFERRED);
	assert_string_equal(got[0].dsn[0], "4.4.1"); /* the second host refused the connection */
}

static void fall_back_hosts(void **state)
{
	static const struct fake_step script[] = {HELLO, MESSAGE, MESSAGE, END};
	struct order o = {.rcpt = {"bob@b.org"}};
	char relays[100];

	(void)state;
	hosts(NULL, script);
	snprintf(relays, sizeof(relays), "[bad, [127.0.0.9]:9 [127.0.0.2]:%u", two.port);
	smtp.cfg.fallback_relay = relays;
	o.nexthop = "nosuch.org";
	deliver(0, &o);
	wait_for(0);
	assert_int_equal(got[0].status[0], DV_SENT);
	o.nexthop = "[127.0.0.9]:9";
	deliver(1, &o);
	wait_for(1);
	assert_int_equal(got[1].status[0], DV_SENT);
	assert_int_equal(two.connections, 2);
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

/* A server that says anything at all, at any time: every job still ends, and nothing is reported twice. */
static const char *const anything[] = {"220 x ESMTP\r\n", "250 ok\r\n", "250-x\r\n250-PIPELINING\r\n250 DSN\r\n",
    "354 go\r\n", "421 bye\r\n", "450 4.2.0 no\r\n", "550 5.1.1 no\r\n", "250-a\r\n", "250", "\r\n", "999 x\r\n",
    "250-a\r\n550 b\r\n", "\xff\x01\r\n", "220 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n", "503 sequence\r\n", "",
    "!close", "250 ok\r\n", "354 go\r\n", "220 x\r\n"};
static uint32_t dice = 1;

static uint32_t roll(uint32_t n)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % n;
}

static void answer_anything(struct ev_io *io, uint32_t events)
{
	static char in[65536];
	ssize_t n = recv(io->fd, in, sizeof(in), MSG_DONTWAIT);
	const char *out = anything[roll(ARRAY_LEN(anything))];
	int fd = io->fd;

	(void)events;
	if (n > 0 && strcmp(out, "!close") != 0 && send(fd, out, strlen(out), MSG_NOSIGNAL) >= 0)
		return;
	ev_io_stop(io);
	close(fd);
	ev_free_later(smtp.ev, io);
}

static void accept_anything(struct ev_io *io, uint32_t events)
{
	struct ev_io *c = xcalloc(1, sizeof(*c));
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (roll(8) > 0 && send(fd, "220 x ESMTP\r\n", 13, MSG_NOSIGNAL) < 0)
		fail();
	ev_io_start(smtp.ev, c, fd, EPOLLIN, answer_anything);
}

static void random_servers(void **state)
{
	struct order o = {.rcpt = {"a@b.org", "b@b.org", "c@b.org"}};
	static const struct fake_step none[] = {END};

	(void)state;
	smtp.cfg.greet_timeout = smtp.cfg.helo_timeout = smtp.cfg.mail_timeout = smtp.cfg.rcpt_timeout =
	    smtp.cfg.data_init_timeout = smtp.cfg.data_xfer_timeout = smtp.cfg.data_done_timeout = 20;
	fake_start(&one, smtp.ev, "127.0.0.1", 0, none);
	one.listener.cb = accept_anything;
	snprintf(hop, sizeof(hop), "[127.0.0.1]:%u", one.port);
	o.nexthop = hop;
	for (int round = 0; round < 60; round++) {
		smtp.cfg.lmtp = round % 5 == 4;
		memset(got, 0, sizeof(got));
		for (unsigned i = 0; i < 20; i++)
			deliver(i, &o);
		for (unsigned i = 0; i < 20; i++) {
			wait_for(i);
			assert_int_equal(got[i].results, 3);
		}
	}
	smtp.cfg.lmtp = false;
}

static void qmgr_goes(void **state)
{
	static const struct fake_step script[] = {{NULL, ""}, END};
	struct order o = {.rcpt = {"bob@b.org"}, .nexthop = hosts(script, NULL)};

	(void)state;
	deliver(0, &o);
	for (int i = 0; i < 5; i++)
		ev_turn(smtp.ev, 10);
	assert_int_equal(busy, 1); /* teardown takes the caller away */
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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
	    T(random_servers),
	    T(qmgr_goes),
	    cmocka_unit_test(delays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
