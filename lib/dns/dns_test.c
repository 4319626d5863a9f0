#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "dns/dns_fake.h"
#include "dns/dns_mx.h"

struct got {
	unsigned calls;
	int status;
	size_t n;
	char dsn[16], text[512], order[1024];
	bool mx;
	char name[256], reverse[256];
};

static struct ev *loop;
static struct dns *dns;

static int setup(void **state)
{
	(void)state;
	loop = ev_new();
	dns = dns_fake_new(loop);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	dns_free(&dns);
	ev_free(&loop);
	return 0;
}

static void run(struct got *g)
{
	for (int i = 0; i < 100 && g->calls == 0; i++)
		ev_turn(loop, 100);
	assert_int_equal(g->calls, 1);
}

static void on_answer(void *arg, const struct rs_answer *a)
{
	struct got *g = arg;

	g->calls++;
	g->status = a->status;
	g->n = a->n;
}

static void on_route(void *arg, const struct mx_route *r)
{
	struct got *g = arg;
	size_t used = 0;
	char text[64];

	g->calls++;
	g->status = r->status;
	g->n = r->n;
	g->mx = r->mx_found;
	if (r->status != 0) {
		snprintf(g->dsn, sizeof(g->dsn), "%s", r->dsn);
		snprintf(g->text, sizeof(g->text), "%s", r->text);
	}
	for (size_t i = 0; i < r->n; i++)
		used += (size_t)snprintf(g->order + used, sizeof(g->order) - used, "%s%s[%s]", i ? " " : "",
		    r->addr[i].name, dns_addr_text(&r->addr[i].addr, text));
}

static struct mx_params params(void)
{
	return (struct mx_params){.ipv4 = true,
	    .ipv6 = true,
	    .prefer = MX_IPV4,
	    .detect_loops = true,
	    .myhostname = "me.a.org",
	    .timeout_ms = 300};
}

static struct got route(const char *nexthop, struct mx_params p)
{
	struct got g = {0};
	struct mx_nexthop hop;

	assert_int_equal(mx_nexthop_parse(sv_str(nexthop), 25, &hop), 0);
	dns_mx_route(dns, &hop, &p, on_route, &g);
	assert_int_equal(g.calls, 0);
	run(&g);
	return g;
}

static void order(void **state)
{
	struct got g;
	unsigned first = 0;

	(void)state;
	dns_fake_add(dns, "b.org", RS_MX, 20, "mx2.b.org");
	dns_fake_add(dns, "b.org", RS_MX, 10, "mx1.b.org");
	dns_fake_add(dns, "mx1.b.org", RS_A, 0, "10.0.0.1");
	dns_fake_add(dns, "mx2.b.org", RS_A, 0, "10.0.0.2");
	dns_fake_add(dns, "mx2.b.org", RS_AAAA, 0, "fd00::2");
	g = route("b.org", params());
	assert_int_equal(g.status, 0);
	assert_true(g.mx);
	assert_string_equal(g.order, "mx1.b.org[10.0.0.1] mx2.b.org[10.0.0.2] mx2.b.org[fd00::2]");
	/* equal preferences are shuffled */
	dns_fake_add(dns, "c.org", RS_MX, 5, "x.c.org");
	dns_fake_add(dns, "c.org", RS_MX, 5, "y.c.org");
	dns_fake_add(dns, "x.c.org", RS_A, 0, "10.0.1.1");
	dns_fake_add(dns, "y.c.org", RS_A, 0, "10.0.1.2");
	for (int i = 0; i < 100; i++) {
		g = route("c.org", params());
		first += strncmp(g.order, "x", 1) == 0;
	}
	assert_in_range(first, 10, 90);
}

static void implicit_and_null(void **state)
{
	struct got g;

	(void)state;
	dns_fake_add(dns, "plain.org", RS_A, 0, "10.0.0.9");
	g = route("plain.org", params());
	assert_string_equal(g.order, "plain.org[10.0.0.9]");
	assert_false(g.mx);
	dns_fake_add(dns, "null.org", RS_MX, 0, "");
	dns_fake_add(dns, "null.org", RS_A, 0, "10.0.0.8");
	g = route("null.org", params());
	assert_int_equal(g.status, ERR_NOT_FOUND);
	assert_string_equal(g.dsn, "5.1.10");
	assert_string_equal(g.text, "Domain null.org does not accept mail (nullMX)");
	g = route("[null.org]", params());
	assert_string_equal(g.order, "null.org[10.0.0.8]");
}

static void failures(void **state)
{
	struct got g;

	(void)state;
	g = route("nosuch.org", params());
	assert_int_equal(g.status, ERR_NOT_FOUND);
	assert_string_equal(g.dsn, "5.4.4");
	assert_string_equal(
	    g.text, "Host or domain name not found. Name service error for name=nosuch.org type=A: Host not found");
	dns_fake_fail(dns, "soft.org", RS_MX, ERR_TEMP);
	g = route("soft.org", params());
	assert_int_equal(g.status, ERR_TEMP);
	assert_string_equal(g.dsn, "4.4.3");
	assert_string_equal(g.text,
	    "Host or domain name not found. Name service error for name=soft.org type=MX: Host not found, try again");
	/* one MX host does not exist, the other cannot be asked: that may pass */
	dns_fake_add(dns, "mix.org", RS_MX, 1, "gone.mix.org");
	dns_fake_add(dns, "mix.org", RS_MX, 2, "slow.mix.org");
	dns_fake_fail(dns, "slow.mix.org", RS_A, ERR_TIMEOUT);
	g = route("mix.org", params());
	assert_int_equal(g.status, ERR_TEMP);
}

static void loops(void **state)
{
	struct mx_params p = params();
	struct sockaddr_storage own;
	struct got g;
	socklen_t len;

	(void)state;
	assert_true(dns_addr_parse(SV("10.0.0.2"), &own, &len));
	p.own = &own;
	p.nown = 1;
	dns_fake_add(dns, "b.org", RS_MX, 10, "mx1.b.org");
	dns_fake_add(dns, "b.org", RS_MX, 20, "mx2.b.org");
	dns_fake_add(dns, "b.org", RS_MX, 20, "mx2b.b.org");
	dns_fake_add(dns, "b.org", RS_MX, 30, "mx3.b.org");
	dns_fake_add(dns, "mx1.b.org", RS_A, 0, "10.0.0.1");
	dns_fake_add(dns, "mx2.b.org", RS_A, 0, "10.0.0.2");
	dns_fake_add(dns, "mx2b.b.org", RS_A, 0, "10.0.0.22");
	dns_fake_add(dns, "mx3.b.org", RS_A, 0, "10.0.0.3");
	g = route("b.org", p);
	assert_string_equal(g.order, "mx1.b.org[10.0.0.1]");
	assert_true(dns_addr_parse(SV("10.0.0.1"), &own, &len));
	g = route("b.org", p);
	assert_int_equal(g.status, ERR_NOT_FOUND);
	assert_string_equal(g.dsn, "5.4.6");
	assert_string_equal(g.text, "mail for b.org loops back to myself");
	p.detect_loops = false;
	g = route("b.org", p);
	assert_int_equal(g.n, 4);
	/* by name */
	p = params();
	dns_fake_add(dns, "d.org", RS_MX, 10, "Me.A.org");
	dns_fake_add(dns, "me.a.org", RS_A, 0, "192.0.2.1");
	g = route("d.org", p);
	assert_string_equal(g.dsn, "5.4.6");
	/* the better host has no address */
	dns_fake_add(dns, "e.org", RS_MX, 5, "lost.e.org");
	dns_fake_add(dns, "e.org", RS_MX, 10, "me.a.org");
	g = route("e.org", p);
	assert_string_equal(g.dsn, "4.4.4");
}

static void nexthops(void **state)
{
	struct mx_nexthop h;
	struct got g;

	(void)state;
	assert_int_equal(mx_nexthop_parse(SV("b.org:submission"), 25, &h), 0);
	assert_int_equal(h.port, 587);
	assert_false(h.no_mx);
	assert_int_equal(mx_nexthop_parse(SV("[mx.b.org.]:2525"), 25, &h), 0);
	assert_string_equal(h.host, "mx.b.org");
	assert_true(h.no_mx);
	assert_int_equal(h.port, 2525);
	assert_int_equal(mx_nexthop_parse(SV("[IPv6:::1]:24"), 25, &h), 0);
	assert_true(h.literal);
	assert_string_equal(h.host, "::1");
	assert_int_equal(mx_nexthop_parse(SV("inet:127.0.0.1:24"), 25, &h), 0);
	assert_true(h.literal);
	assert_int_equal(mx_nexthop_parse(SV("[x"), 25, &h), ERR_SYNTAX);
	assert_int_equal(mx_nexthop_parse(SV("[x]y"), 25, &h), ERR_SYNTAX);
	assert_int_equal(mx_nexthop_parse(SV("x:"), 25, &h), ERR_SYNTAX);
	assert_int_equal(mx_nexthop_parse(SV("x:70000"), 25, &h), ERR_SYNTAX);
	assert_int_equal(mx_nexthop_parse(SV(""), 25, &h), ERR_SYNTAX);
	assert_int_equal(mx_nexthop_parse(SV("a b"), 25, &h), ERR_SYNTAX);
	g = route("[127.0.0.5]:2525", params());
	assert_string_equal(g.order, "127.0.0.5[127.0.0.5]");
}

static void shared_and_kept(void **state)
{
	struct got a = {0}, b = {0}, c = {0};
	struct dns_query *q;

	(void)state;
	dns_fake_add(dns, "a.org", RS_A, 0, "10.0.0.1");
	dns_query(dns, SV("a.org"), RS_A, 100, on_answer, &a);
	dns_query(dns, SV("A.ORG."), RS_A, 100, on_answer, &b);
	q = dns_query(dns, SV("a.org"), RS_A, 100, on_answer, &c);
	dns_cancel(&q);
	run(&a);
	run(&b);
	assert_int_equal(c.calls, 0);
	assert_int_equal(dns_fake_asked(dns), 1);
	dns_query(dns, SV("a.org"), RS_A, 100, on_answer, &c);
	run(&c);
	assert_int_equal(dns_fake_asked(dns), 1);
	c = (struct got){0};
	dns_query(dns, SV("not a name"), RS_A, 100, on_answer, &c);
	run(&c);
	assert_int_equal(c.status, ERR_SYNTAX);
	for (int i = 0; i < 3000; i++) { /* the cache is bounded; freeing with open questions is clean */
		char name[32];

		snprintf(name, sizeof(name), "n%d.org", i);
		dns_query(dns, sv_str(name), RS_A, 100, on_answer, &c);
		if (i % 100 == 0)
			ev_turn(loop, 10);
	}
}

static void on_peer(void *arg, const struct dns_peer *p)
{
	struct got *g = arg;

	g->calls++;
	g->status = p->status;
	snprintf(g->name, sizeof(g->name), "%s", p->name);
	snprintf(g->reverse, sizeof(g->reverse), "%s", p->reverse);
}

static struct got peer(const char *addr)
{
	struct sockaddr_storage ss;
	struct got g = {0};
	socklen_t len;

	assert_true(dns_addr_parse(sv_str(addr), &ss, &len));
	dns_peer_query(dns, &ss, 200, on_peer, &g);
	run(&g);
	return g;
}

static void peers(void **state)
{
	struct got g;

	(void)state;
	dns_fake_add(dns, "1.0.0.10.in-addr.arpa", RS_PTR, 0, "mail.a.org");
	dns_fake_add(dns, "mail.a.org", RS_A, 0, "10.0.0.7");
	dns_fake_add(dns, "mail.a.org", RS_A, 0, "10.0.0.1");
	g = peer("10.0.0.1");
	assert_int_equal(g.status, 0);
	assert_string_equal(g.name, "mail.a.org");
	g = peer("::ffff:10.0.0.1");
	assert_string_equal(g.name, "mail.a.org");
	dns_fake_add(dns, "2.0.0.10.in-addr.arpa", RS_PTR, 0, "mail.a.org");
	g = peer("10.0.0.2");
	assert_int_equal(g.status, ERR_NOT_FOUND);
	assert_string_equal(g.name, "unknown");
	assert_string_equal(g.reverse, "mail.a.org");
	dns_fake_fail(dns, "3.0.0.10.in-addr.arpa", RS_PTR, ERR_TEMP);
	g = peer("10.0.0.3");
	assert_int_equal(g.status, ERR_TEMP);
	dns_fake_add(
	    dns, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", RS_PTR, 0, "six.a.org");
	dns_fake_add(dns, "six.a.org", RS_AAAA, 0, "fd00::1");
	g = peer("fd00::1");
	assert_string_equal(g.name, "six.a.org");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(order),
	    T(implicit_and_null),
	    T(failures),
	    T(loops),
	    T(nexthops),
	    T(shared_and_kept),
	    T(peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
