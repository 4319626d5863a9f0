/* api_rewrite_test.c - what is put can be got, and nothing shorter, longer or out of range. */
#include "base/base.h"

#include <setjmp.h>
#include <cmocka.h>

#include "ipc/api_rewrite.h"

static struct msg body_of(struct msg_out *o)
{
	return (struct msg){.version = RW_VERSION, .body = buf_sv(&o->b)};
}

static void test_round_trips(void **state)
{
	struct sv addrs[] = {SV("a@b"), SV("")};
	struct rw_expansion exp[] = {{SV("x@y"), {MAIL_CLASS_OTHER, SV("smtp"), SV("y")}}};
	struct rw_result results[] = {{.status = 0, .canonical = SV("a@b"), .n = 1, .exp = exp},
	    {.status = ERR_NOT_FOUND, .reason = SV("User unknown"), .canonical = SV("c@d")}};
	struct msg_out o = MSG_OUT_INIT;
	struct arena a;
	struct rw_resolve q;
	struct rw_result *r;
	size_t n;
	(void)state;
	arena_init(&a, RW_ARENA);
	rw_resolve_put(&o, &(struct rw_resolve){RW_EXISTS | RW_ROUTE, SV("s@t"), 2, addrs});
	struct msg m = body_of(&o);
	assert_int_equal(rw_resolve_get(&m, &a, &q), 0);
	assert_true(
	    q.n == 2 && q.flags == (RW_EXISTS | RW_ROUTE) && sv_eqs(q.addr[0], "a@b") && sv_eqs(q.sender, "s@t"));
	for (size_t cut = 0; cut < o.b.n; cut++) {
		m = body_of(&o);
		m.body.n = cut;
		assert_int_equal(rw_resolve_get(&m, &a, &q), ERR_PROTOCOL);
	}
	msg_out_free(&o);
	rw_results_put(&o, results, 2);
	m = body_of(&o);
	assert_int_equal(rw_results_get(&m, &a, &r, &n), 0);
	assert_true(n == 2 && r[0].n == 1 && sv_eqs(r[0].exp[0].route.transport, "smtp"));
	assert_true(r[1].status == ERR_NOT_FOUND && sv_eqs(r[1].reason, "User unknown") && r[1].n == 0);
	put_u64(&o, 1);
	m = body_of(&o);
	assert_int_equal(rw_results_get(&m, &a, &r, &n), ERR_PROTOCOL);
	msg_out_free(&o);
	arena_clear(&a);
}

static void test_bounds(void **state)
{
	struct msg_out o = MSG_OUT_INIT;
	struct arena a;
	struct rw_resolve q;
	struct rw_local who = {.kind = 4}, got;
	(void)state;
	arena_init(&a, RW_ARENA);
	put_u64(&o, 0);
	put_str(&o, "");
	put_u64(&o, RW_MAX_ADDRESSES + 1);
	struct msg m = body_of(&o);
	assert_int_equal(rw_resolve_get(&m, &a, &q), ERR_PROTOCOL);
	msg_out_free(&o);
	rw_local_put(&o, &who);
	m = body_of(&o);
	assert_int_equal(rw_local_get(&m, &got), ERR_PROTOCOL);
	msg_out_free(&o);
	arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trips), cmocka_unit_test(test_bounds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
