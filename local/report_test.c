#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "local/coord.h"

static void test_delay(void **state)
{
	static const struct {
		int64_t us;
		const char *out;
	} cases[] = {
	    {0, "0"},
	    {-5, "0"},
	    {4000, "0"},
	    {10000, "0.01"},
	    {123456, "0.12"},
	    {500000, "0.5"},
	    {1000000, "1"},
	    {1260000, "1.3"},
	    {12600000, "13"},
	    {100000000, "100"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[24];

		report_delay(out, cases[i].us, 2);
		assert_string_equal(out, cases[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_delay)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
