/* auth_cache_test.c - what is remembered, for how long, and how much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/cache.h"

static void remembers(void **state)
{
	struct auth_cache *c = auth_cache_new(2, 1000);

	(void)state;
	assert_false(auth_cache_check(c, 0, SV("a"), SV("pw"), SV("v")));
	auth_cache_add(c, 0, SV("a"), SV("pw"), SV("v"));
	assert_true(auth_cache_check(c, 999, SV("a"), SV("pw"), SV("v")));
	assert_false(auth_cache_check(c, 999, SV("a"), SV("pW"), SV("v")));
	assert_false(auth_cache_check(c, 999, SV("a"), SV("pw"), SV("changed")));
	assert_false(auth_cache_check(c, 999, SV("a"), SV("p"), SV("wv")));
	assert_false(auth_cache_check(c, 999, SV("b"), SV("pw"), SV("v")));
	assert_false(auth_cache_check(c, 1000, SV("a"), SV("pw"), SV("v")));
	auth_cache_add(c, 0, SV("a"), SV("1"), SV(""));
	auth_cache_add(c, 0, SV("b"), SV("2"), SV(""));
	auth_cache_add(c, 0, SV("c"), SV("3"), SV(""));
	assert_false(auth_cache_check(c, 1, SV("a"), SV("1"), SV("")));
	assert_true(auth_cache_check(c, 1, SV("b"), SV("2"), SV("")));
	assert_true(auth_cache_check(c, 1, SV("c"), SV("3"), SV("")));
	auth_cache_free(&c);
	c = auth_cache_new(10, 0);
	auth_cache_add(c, 0, SV("a"), SV("1"), SV(""));
	assert_false(auth_cache_check(c, 0, SV("a"), SV("1"), SV("")));
	auth_cache_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(remembers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
