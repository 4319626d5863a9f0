#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "smtp/smtp_stage.h"

/* --- the skeleton's functions, as far as the engine asks for them --- */

struct stage stage;

struct ev *daemon_ev(struct daemon *d)
{
	(void)d;
	return stage.smtp.ev;
}

void *daemon_state(struct daemon *d)
{
	(void)d;
	return &stage.smtp;
}

void daemon_busy(struct daemon *d, int delta)
{
	(void)d;
	stage.busy += delta;
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

static void on_order(struct chan *c, struct msg *m, void *arg)
{
	(void)c;
	(void)arg;
	assert_int_equal(m->type, DV_DELIVER);
	assert_int_equal(job_deliver(&stage.serve, m), 0);
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
	assert_true(r.job < ARRAY_LEN(stage.got));
	o = &stage.got[r.job];
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

int stage_setup(void **state)
{
	int fds[2];

	(void)state;
	memset(&stage.smtp, 0, sizeof(stage.smtp));
	memset(stage.got, 0, sizeof(stage.got));
	stage.busy = 0;
	stage.smtp.ev = ev_new();
	stage.smtp.dns = dns_fake_new(stage.smtp.ev);
	stage.smtp.cfg = (struct cfg){.helo_name = "me.a.org",
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
	stage.smtp.cfg.mx = (struct mx_params){.ipv4 = true, .timeout_ms = 500, .myhostname = "me.a.org"};
	stage.smtp.cfg.mx_port = stage.smtp.cfg.mx;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	memset(&stage.serve, 0, sizeof(stage.serve));
	stage.to_agent = chan_new(stage.smtp.ev, fds[0], 0, on_result, on_gone, NULL);
	stage.serve.chan = chan_new(stage.smtp.ev, fds[1], 0, on_order, on_gone, NULL);
	stage.serve.state = xcalloc(1, sizeof(struct agent));
	((struct agent *)stage.serve.state)->serve = &stage.serve;
	return 0;
}

int stage_teardown(void **state)
{
	(void)state;
	job_agent_closed(&stage.serve);
	while (stage.smtp.dests) {
		struct dest *d = stage.smtp.dests;
		bool last = d->refs == 1;
		struct conn *c = d->idle;

		assert_non_null(c);
		DL_DELETE(d->idle, c);
		conn_close(c, false);
		if (last)
			break;
	}
	ev_turn(stage.smtp.ev, 0);
	chan_free(&stage.to_agent);
	chan_free(&stage.serve.chan);
	if (stage.one.ev)
		fake_stop(&stage.one);
	if (stage.two.ev)
		fake_stop(&stage.two);
	memset(&stage.one, 0, sizeof(stage.one));
	memset(&stage.two, 0, sizeof(stage.two));
	dns_free(&stage.smtp.dns);
	ev_turn(stage.smtp.ev, 0);
	ev_free(&stage.smtp.ev);
	assert_int_equal(stage.busy, 0);
	return 0;
}

void deliver(unsigned job, const struct order *o)
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
	assert_int_equal(chan_send(stage.to_agent, DV_DELIVER, DV_VERSION, 0, &m), 0);
	msg_out_free(&m);
	close(fd);
}

void wait_for(unsigned job)
{
	uint64_t until = clock_mono_ms() + 5000;

	while (!stage.got[job].last && clock_mono_ms() < until)
		ev_turn(stage.smtp.ev, 50);
	assert_true(stage.got[job].last);
	if (stage.one.wrong[0] || stage.two.wrong[0])
		fail_msg("unexpected command: %s%s", stage.one.wrong, stage.two.wrong);
}

const char *hosts(const struct fake_step *s1, const struct fake_step *s2)
{
	static const struct fake_step nothing[] = {{NULL, NULL}};
	uint16_t port;

	fake_start(&stage.one, stage.smtp.ev, "127.0.0.1", 0, s1 ? s1 : nothing);
	port = stage.one.port;
	if (s2)
		fake_start(&stage.two, stage.smtp.ev, "127.0.0.2", port, s2);
	if (!s1) {
		fake_stop(&stage.one);
		memset(&stage.one, 0, sizeof(stage.one));
	}
	dns_fake_add(stage.smtp.dns, "b.org", RS_MX, 10, "mx1.b.org");
	dns_fake_add(stage.smtp.dns, "b.org", RS_MX, 20, "mx2.b.org");
	dns_fake_add(stage.smtp.dns, "mx1.b.org", RS_A, 0, "127.0.0.1");
	dns_fake_add(stage.smtp.dns, "mx2.b.org", RS_A, 0, "127.0.0.2");
	snprintf(stage.hop, sizeof(stage.hop), "b.org:%u", port);
	return stage.hop;
}
