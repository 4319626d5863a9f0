/* api_auth_test.c - auth's and keyd's messages survive the way there, and a byte too few or too many is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ipc/api_auth.h"
#include "ipc/api_keyd.h"

static struct msg read_back(const struct msg_out *m)
{
	return (struct msg){.body = buf_sv(&m->b)};
}

static void starts(void **state)
{
	struct au_start s = {.service = SV("imap"),
			    .mech = SV("PLAIN"),
			    .connection = 7,
			    .client = SV("::1"),
			    .local = SV(""),
			    .secure = true,
			    .binding = SV(""),
			    .has_initial = true,
			    .initial = SV("\0a\0b")},
			back;
	struct msg_out m = MSG_OUT_INIT;
	struct msg in, cut;

	(void)state;
	au_start_encode(&m, &s);
	in = read_back(&m);
	assert_true(au_start_decode(&in, &back));
	assert_true(sv_eq(back.initial, s.initial) && sv_eq(back.mech, s.mech) && back.connection == 7 && back.secure);
	for (size_t n = 0; n < m.b.n; n++) {
		cut = (struct msg){.body = sv_of(m.b.p, n)};
		assert_false(au_start_decode(&cut, &back));
	}
	put_bool(&m, true);
	in = read_back(&m);
	assert_false(au_start_decode(&in, &back));
	msg_out_free(&m);
}

static void bounds(void **state)
{
	char *big = xcalloc(1, AU_MAX_RESPONSE + 1);
	struct msg_out m = MSG_OUT_INIT;
	struct sv s;
	struct msg in;

	(void)state;
	au_more_encode(&m, sv_of(big, AU_MAX_RESPONSE));
	in = read_back(&m);
	assert_true(au_more_decode(&in, &s));
	msg_out_free(&m);
	m = (struct msg_out)MSG_OUT_INIT;
	au_more_encode(&m, sv_of(big, AU_MAX_RESPONSE + 1));
	in = read_back(&m);
	assert_false(au_more_decode(&in, &s));
	msg_out_free(&m);
	free(big);
}

static void keys(void **state)
{
	static struct kd_certs c, back;
	struct kd_tickets t = {.n = 2, .keys = {{.expires = 5}, {.expires = 9}}}, tback;
	struct msg_out m = MSG_OUT_INIT;
	struct msg in;

	(void)state;
	c = (struct kd_certs){.generation = 99, .n = 2};
	c.certs[0] = (struct kd_cert){.key = 0, .names = SV("a.example *.b.example"), .chain = SV("PEM")};
	c.certs[1] = (struct kd_cert){.key = 1, .names = SV(""), .chain = SV("PEM2")};
	kd_certs_encode(&m, &c);
	in = read_back(&m);
	assert_true(kd_certs_decode(&in, &back));
	assert_true(back.n == 2 && back.generation == 99 && sv_eqs(back.certs[1].chain, "PEM2"));
	msg_out_free(&m);
	m = (struct msg_out)MSG_OUT_INIT;
	kd_tickets_encode(&m, &t);
	in = read_back(&m);
	assert_true(kd_tickets_decode(&in, &tback));
	assert_true(tback.n == 2 && tback.keys[1].expires == 9);
	msg_out_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(starts), cmocka_unit_test(bounds), cmocka_unit_test(keys)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
