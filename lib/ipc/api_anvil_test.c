/* api_anvil_test.c - what one side encodes the other decodes; bounds hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ipc/api_anvil.h"

static struct msg incoming(const struct msg_out *m)
{
	return (struct msg){.type = AN_COUNT, .version = AN_VERSION, .body = buf_sv(&m->b)};
}

static void count_round_trip(void **state)
{
	struct msg_out o = MSG_OUT_INIT;
	struct an_count c = {SV("smtpd_conn"), SV("192.0.2.1"), 1, 1, 60}, d;
	struct msg m;

	(void)state;
	an_count_encode(&o, &c);
	m = incoming(&o);
	assert_true(an_count_decode(&m, &d));
	assert_true(sv_eqs(d.kind, "smtpd_conn"));
	assert_true(sv_eqs(d.key, "192.0.2.1"));
	assert_int_equal(d.window, 60);
	m = incoming(&o);
	m.body.n--;
	assert_false(an_count_decode(&m, &d));
	msg_out_free(&o);
}

static void bounds(void **state)
{
	struct an_count c = {SV("k"), SV(""), AN_MAX_ADD + 1, 0, 60}, d;
	struct an_watching w = {.n = 2, .wd = {1, 0x80000000u}}, x;
	struct msg_out o = MSG_OUT_INIT;
	struct msg m;

	(void)state;
	an_count_encode(&o, &c);
	m = incoming(&o);
	assert_false(an_count_decode(&m, &d));
	buf_reset(&o.b);
	an_watching_encode(&o, &w);
	m = incoming(&o);
	assert_false(an_watching_decode(&m, &x));
	buf_reset(&o.b);
	w.wd[1] = 7;
	an_watching_encode(&o, &w);
	m = incoming(&o);
	assert_true(an_watching_decode(&m, &x));
	assert_int_equal(x.wd[1], 7);
	msg_out_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(count_round_trip), cmocka_unit_test(bounds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
