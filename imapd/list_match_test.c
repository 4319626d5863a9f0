/* list_match_test.c - patterns of LIST. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "imapd/list_match.h"

static void test_patterns(void **state ATTR_UNUSED)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} cases[] = {
	    {"*", "INBOX", true},
	    {"%", "INBOX", true},
	    {"%", "a.b", false},
	    {"*", "a.b", true},
	    {"a.%", "a.b", true},
	    {"a.%", "a.b.c", false},
	    {"a*c", "a.b.c", true},
	    {"a%c", "a.b.c", false},
	    {"a%c", "abc", true},
	    {"%.%", "a.b", true},
	    {"", "a", false},
	    {"a", "a", true},
	    {"A", "a", false},
	    {"inbox", "INBOX", true},
	    {"Inb*", "INBOX", true},
	    {"inbox.%", "INBOX.x", true},
	    {"inbox.X", "INBOX.x", false},
	    {"inboxes", "INBOX", false},
	    {"**%%", "abc", true},
	    {"a**", "a", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (list_match(sv_str(cases[i].pattern), sv_str(cases[i].name), '.') != cases[i].match)
			fail_msg("%s against %s", cases[i].pattern, cases[i].name);
}

/* What would take for ever with backtracking. */
static void test_cost(void **state ATTR_UNUSED)
{
	struct buf pattern = BUF_INIT(LIST_PATTERN_MAX), name = BUF_INIT(200);
	for (int i = 0; i < 300; i++)
		buf_adds(&pattern, "*a");
	for (int i = 0; i < 190; i++)
		buf_addc(&name, 'a');
	assert_false(list_match(buf_sv(&pattern), buf_sv(&name), '.'));
	buf_free(&pattern);
	buf_free(&name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_patterns), cmocka_unit_test(test_cost)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
