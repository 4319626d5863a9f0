#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "dns/dns_wire.h"

/* A response under construction. */
struct pkt {
	unsigned char p[4096];
	size_t n;
};

static void u16(struct pkt *k, unsigned v)
{
	k->p[k->n++] = (unsigned char)(v >> 8);
	k->p[k->n++] = (unsigned char)v;
}

static void name(struct pkt *k, const char *text)
{
	struct sv rest = sv_str(text);

	while (rest.p && rest.n > 0) {
		struct sv label = sv_cut(&rest, ".");

		k->p[k->n++] = (unsigned char)label.n;
		memcpy(k->p + k->n, label.p, label.n);
		k->n += label.n;
	}
	k->p[k->n++] = 0;
}

static void start(struct pkt *k, unsigned flags, unsigned an, unsigned ns, const char *q, unsigned type)
{
	memset(k, 0, sizeof(*k));
	u16(k, 7);
	u16(k, 0x8180 | flags);
	u16(k, 1);
	u16(k, an);
	u16(k, ns);
	u16(k, 0);
	name(k, q);
	u16(k, type);
	u16(k, 1);
}

static void rr(struct pkt *k, const char *owner, unsigned type, unsigned ttl, const void *data, size_t n)
{
	name(k, owner);
	u16(k, type);
	u16(k, 1);
	u16(k, 0);
	u16(k, ttl);
	u16(k, (unsigned)n);
	memcpy(k->p + k->n, data, n);
	k->n += n;
}

static int read_it(const struct pkt *k, const char *q, unsigned type, struct arena *mem, struct rs_answer *a)
{
	arena_clear(mem);
	return dns_wire_read(sv_of((const char *)k->p, k->n), sv_str(q), type, mem, a);
}

static void mx(void **state)
{
	struct arena mem;
	struct rs_answer a;
	struct pkt k;

	(void)state;
	arena_init(&mem, DNS_WIRE_MEM);
	start(&k, 0, 4, 0, "b.org", RS_MX);
	rr(&k, "B.org", RS_MX, 300, "\0\012\003mx1\xc0\014", 8);
	rr(&k, "b.org", RS_MX, 200, "\0\024\003MX2\1b\3org\0", 13);
	rr(&k, "b.org", RS_MX, 300, "\0\036\003m x\0", 7);
	rr(&k, "other.org", RS_MX, 1, "\0\036\003mx9\0", 7);
	assert_int_equal(read_it(&k, "b.ORG.", RS_MX, &mem, &a), 0);
	assert_int_equal(a.status, 0);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.ttl, 200);
	assert_int_equal(a.rr[0].preference, 10);
	assert_true(sv_eqs(a.rr[0].data, "mx1.b.org"));
	assert_true(sv_eqs(a.rr[1].data, "mx2.b.org"));
	assert_true(sv_eqs(a.canon, "b.org"));

	start(&k, 0, 1, 0, "b.org", RS_MX); /* null MX */
	rr(&k, "b.org", RS_MX, 300, "\0\0\0", 3);
	assert_int_equal(read_it(&k, "b.org", RS_MX, &mem, &a), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.rr[0].data.n, 0);
	arena_clear(&mem);
}

static void chain(void **state)
{
	struct arena mem;
	struct rs_answer a;
	struct pkt k;

	(void)state;
	arena_init(&mem, DNS_WIRE_MEM);
	start(&k, 0, 3, 0, "a.org", RS_A);
	rr(&k, "c.org", RS_A, 60, "\1\2\3\4", 4); /* before the names that lead to it */
	rr(&k, "b.org", RS_CNAME, 60, "\1c\3org\0", 7);
	rr(&k, "a.org", RS_CNAME, 30, "\1b\3org\0", 7);
	assert_int_equal(read_it(&k, "a.org", RS_A, &mem, &a), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.ttl, 30);
	assert_true(sv_eqs(a.canon, "c.org"));
	assert_memory_equal(a.rr[0].data.p, "\1\2\3\4", 4);

	start(&k, 0, 1, 0, "a.org", RS_A); /* a loop ends */
	rr(&k, "a.org", RS_CNAME, 30, "\1a\3org\0", 7);
	assert_int_equal(read_it(&k, "a.org", RS_A, &mem, &a), 0);
	assert_int_equal(a.n, 0);
	arena_clear(&mem);
}

static void absent(void **state)
{
	static const char soa[] = "\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\11";
	struct arena mem;
	struct rs_answer a;
	struct pkt k;

	(void)state;
	arena_init(&mem, DNS_WIRE_MEM);
	start(&k, 3, 0, 1, "a.org", RS_A);
	rr(&k, "org", 6, 300, soa, 22);
	assert_int_equal(read_it(&k, "a.org", RS_A, &mem, &a), 0);
	assert_int_equal(a.status, ERR_NOT_FOUND);
	assert_int_equal(a.ttl, 9);
	start(&k, 2, 0, 0, "a.org", RS_A);
	assert_int_equal(read_it(&k, "a.org", RS_A, &mem, &a), 0);
	assert_int_equal(a.status, ERR_TEMP);
	arena_clear(&mem);
}

static void nonsense(void **state)
{
	struct arena mem;
	struct rs_answer a = {.n = 77};
	struct pkt k;
	size_t whole;

	(void)state;
	arena_init(&mem, DNS_WIRE_MEM);
	start(&k, 0, 1, 0, "b.org", RS_A);
	rr(&k, "b.org", RS_A, 300, "\1\2\3", 3);
	assert_int_equal(read_it(&k, "b.org", RS_A, &mem, &a), ERR_PROTOCOL);
	assert_int_equal(a.n, 77);
	start(&k, 0, 1, 0, "b.org", RS_MX); /* a pointer to itself, forwards, into the header */
	for (unsigned to = 0; to < 64; to++) {
		unsigned char data[4] = {0, 1, 0xc0, (unsigned char)to};

		start(&k, 0, 1, 0, "b.org", RS_MX);
		rr(&k, "b.org", RS_MX, 300, data, 4);
		(void)read_it(&k, "b.org", RS_MX, &mem, &a);
	}
	start(&k, 0, 1, 0, "b.org", RS_TXT);
	rr(&k, "b.org", RS_TXT, 300, "\3abc\2de", 7);
	whole = k.n;
	assert_int_equal(read_it(&k, "b.org", RS_TXT, &mem, &a), 0);
	assert_true(sv_eqs(a.rr[0].data, "abcde"));
	for (k.n = 0; k.n < whole; k.n++) /* every truncation */
		assert_int_equal(read_it(&k, "b.org", RS_TXT, &mem, &a), ERR_PROTOCOL);
	arena_clear(&mem);
}

static void names(void **state)
{
	(void)state;
	assert_true(dns_wire_name_ok(SV("a.org")));
	assert_true(dns_wire_name_ok(SV("_25._tcp.a-b.org.")));
	assert_false(dns_wire_name_ok(SV("")));
	assert_false(dns_wire_name_ok(SV(".")));
	assert_false(dns_wire_name_ok(SV("a..b")));
	assert_false(dns_wire_name_ok(SV("a b.org")));
	assert_false(dns_wire_name_ok(SV("[10.0.0.1]")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mx),
	    cmocka_unit_test(chain),
	    cmocka_unit_test(absent),
	    cmocka_unit_test(nonsense),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
