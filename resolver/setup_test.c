/* libunbound on our loop against a name server of a few lines: UDP, truncation and TCP, names under "test.", stubs. */
#include "base/base.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unbound.h>
#include <unbound-event.h>

#include <cmocka.h>

#include "dns/dns_wire.h"
#include "resolver/setup.h"
#include "resolver/ub_loop.h"

struct server {
	struct ev *ev;
	struct ev_io udp, listener, tcp;
	uint16_t port;
	unsigned udp_questions, tcp_questions;
};

struct got {
	unsigned calls;
	int rcode;
	struct rs_answer a;
	struct arena mem;
	unsigned type;
	const char *name;
};

/* Answers MX questions with two hosts, A with 10.0.0.1; names beginning with "big" by TCP only, with "no" by NXDOMAIN.
 */
static size_t answer(const unsigned char *q, size_t n, unsigned char *out, bool tcp)
{
	size_t end = 12;
	unsigned type;

	if (n < 17)
		return 0;
	while (end < n && q[end])
		end += q[end] + 1u;
	if (end + 5 > n)
		return 0;
	type = q[end + 2];
	memcpy(out, q, end + 5);
	out[2] = 0x84;
	out[3] = 0x80;
	memset(out + 4, 0, 8);
	out[5] = 1;
	n = end + 5;
	if (memcmp(q + 13, "no", 2) == 0) {
		out[3] = 0x83;
		return n;
	}
	if (memcmp(q + 13, "big", 3) == 0 && !tcp) {
		out[2] |= 2;
		return n;
	}
	if (type == RS_A) {
		memcpy(out + n, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1", 16);
		out[7] = 1;
		n += 16;
	} else if (type == RS_MX) {
		memcpy(out + n, "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\x08\0\x0a\3mx1\xc0\x0c", 20);
		memcpy(out + n + 20, "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\x08\0\x14\3mx2\xc0\x0c", 20);
		out[7] = 2;
		n += 40;
	}
	return n;
}

static void on_udp(struct ev_io *io, uint32_t events)
{
	struct server *s = container_of(io, struct server, udp);
	unsigned char in[1500], out[1500];
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(io->fd, in, sizeof(in), MSG_DONTWAIT, (struct sockaddr *)&from, &len);

	(void)events;
	if (n <= 0)
		return;
	s->udp_questions++;
	sendto(io->fd, out, answer(in, (size_t)n, out, false), 0, (struct sockaddr *)&from, len);
}

static void on_tcp(struct ev_io *io, uint32_t events)
{
	struct server *s = container_of(io, struct server, tcp);
	unsigned char in[1500], out[1500];
	ssize_t n = recv(io->fd, in, sizeof(in), MSG_DONTWAIT);
	size_t len;
	int fd = io->fd;

	(void)events;
	if (n <= 2) {
		ev_io_stop(io);
		close(fd);
		return;
	}
	s->tcp_questions++;
	len = answer(in + 2, (size_t)n - 2, out + 2, true);
	out[0] = (unsigned char)(len >> 8);
	out[1] = (unsigned char)len;
	assert_int_equal(send(fd, out, len + 2, MSG_NOSIGNAL), len + 2);
}

static void on_listen(struct ev_io *io, uint32_t events)
{
	struct server *s = container_of(io, struct server, listener);
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	assert_true(fd >= 0);
	ev_io_start(s->ev, &s->tcp, fd, EPOLLIN, on_tcp);
}

static void server_start(struct server *s, struct ev *ev)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(s, 0, sizeof(*s));
	s->ev = ev;
	assert_int_equal(bind(udp, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(udp, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(bind(tcp, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(tcp, 5), 0);
	s->port = ntohs(sin.sin_port);
	ev_io_start(ev, &s->udp, udp, EPOLLIN, on_udp);
	ev_io_start(ev, &s->listener, tcp, EPOLLIN, on_listen);
}

static void server_stop(struct server *s)
{
	struct ev_io *all[] = {&s->udp, &s->listener, &s->tcp};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (!all[i]->ev)
			continue;
		ev_io_stop(all[i]);
		close(all[i]->fd);
	}
}

static void on_done(void *arg, int rcode, void *packet, int n, int sec, char *why, int limited)
{
	struct got *g = arg;

	(void)sec;
	(void)why;
	(void)limited;
	g->calls++;
	g->rcode = rcode;
	if (packet && n > 0)
		assert_int_equal(dns_wire_read(sv_of(packet, (size_t)n), sv_str(g->name), g->type, &g->mem, &g->a), 0);
}

static void ask(struct ev *ev, struct ub_ctx *ctx, struct got *g, const char *name, unsigned type)
{
	int id;

	arena_clear(&g->mem);
	memset(g, 0, sizeof(*g));
	arena_init(&g->mem, DNS_WIRE_MEM);
	g->name = name;
	g->type = type;
	assert_int_equal(ub_resolve_event(ctx, name, (int)type, 1, g, on_done, &id), 0);
	for (int i = 0; i < 200 && g->calls == 0; i++)
		ev_turn(ev, 50);
	assert_int_equal(g->calls, 1);
}

static struct ub_ctx *context(struct ub_event_base *base, const char *forward, const char *stubs)
{
	struct setup s = {.forward = forward,
	    .stub_zones = stubs,
	    .trust_anchor_file = "/nonexistent",
	    .dnssec = "auto",
	    .ipv4 = true,
	    .cache_size = 1 << 20,
	    .max_ttl = 60,
	    .max_negative_ttl = 60,
	    .resolv_conf = "/nonexistent"};
	struct ub_ctx *ctx = NULL;
	struct err err = {0};

	if (setup_context(base, &s, &ctx, &err) < 0)
		fail_msg("%s", err.text);
	return ctx;
}

static void forwarding(void **state)
{
	struct ev *ev = ev_new();
	struct ub_event_base *base = ub_loop_new(ev);
	struct got g = {0};
	struct server s;
	struct ub_ctx *ctx;
	char forward[64];

	(void)state;
	server_start(&s, ev);
	snprintf(forward, sizeof(forward), "127.0.0.1:%u", s.port);
	ctx = context(base, forward, "");
	ask(ev, ctx, &g, "b.org", RS_MX);
	assert_int_equal(g.a.n, 2);
	assert_true(sv_eqs(g.a.rr[0].data, "mx1.b.org") || sv_eqs(g.a.rr[0].data, "mx2.b.org"));
	ask(ev, ctx, &g, "b.org", RS_MX);
	assert_int_equal(s.udp_questions, 1); /* from the cache */
	ask(ev, ctx, &g, "host.example.test", RS_A);
	assert_int_equal(g.a.n, 1);
	assert_memory_equal(g.a.rr[0].data.p, "\x0a\0\0\1", 4);
	ask(ev, ctx, &g, "1.0.0.10.in-addr.arpa", RS_A); /* private zones are asked for too */
	assert_int_equal(g.a.n, 1);
	ask(ev, ctx, &g, "nothing.org", RS_A);
	assert_int_equal(g.a.status, ERR_NOT_FOUND);
	ask(ev, ctx, &g, "big.org", RS_MX);
	assert_int_equal(g.a.n, 2);
	assert_int_equal(s.tcp_questions, 1);
	arena_clear(&g.mem);
	ub_ctx_delete(ctx);
	ub_loop_free(base);
	server_stop(&s);
	ev_free(&ev);
}

static void stubs(void **state)
{
	struct ev *ev = ev_new();
	struct ub_event_base *base = ub_loop_new(ev);
	struct got g = {0};
	struct server s;
	struct ub_ctx *ctx;
	char zones[64];

	(void)state;
	server_start(&s, ev);
	snprintf(zones, sizeof(zones), "b.org=127.0.0.1:%u", s.port);
	ctx = context(base, "none", zones);
	ask(ev, ctx, &g, "b.org", RS_A);
	assert_int_equal(g.a.n, 1);
	arena_clear(&g.mem);
	ub_ctx_delete(ctx);
	ub_loop_free(base);
	server_stop(&s);
	ev_free(&ev);
}

static void servers(void **state)
{
	char out[80];

	(void)state;
	assert_int_equal(setup_server(SV("10.0.0.1"), out), 0);
	assert_string_equal(out, "10.0.0.1");
	assert_int_equal(setup_server(SV("10.0.0.1:53"), out), 0);
	assert_string_equal(out, "10.0.0.1@53");
	assert_int_equal(setup_server(SV("[::1]:5353"), out), 0);
	assert_string_equal(out, "::1@5353");
	assert_int_equal(setup_server(SV("::1"), out), 0);
	assert_string_equal(out, "::1");
	assert_int_equal(setup_server(SV("host"), out), ERR_SYNTAX);
	assert_int_equal(setup_server(SV("10.0.0.1:"), out), ERR_SYNTAX);
	assert_int_equal(setup_server(SV("10.0.0.1:0"), out), ERR_SYNTAX);
	assert_int_equal(setup_server(SV("[::1"), out), ERR_SYNTAX);
	assert_int_equal(setup_server(SV(""), out), ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(forwarding),
	    cmocka_unit_test(stubs),
	    cmocka_unit_test(servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
