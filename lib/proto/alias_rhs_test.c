#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "proto/alias_rhs.h"

static const char kind_mark[] = "?A\\/|:!";

static char *dump(const char *text, enum alias_form form)
{
	struct buf b = BUF_INIT(1 << 16);
	struct alias_items l = {0};
	struct arena a;

	arena_init(&a, 1 << 20);
	assert_int_equal(alias_parse(&a, sv_str(text), form, 100, &l), 0);
	for (size_t i = 0; i < l.n; i++)
		buf_printf(&b, "%s%c<" SV_FMT ">", i > 0 ? " " : "", kind_mark[l.v[i].kind], SV_ARG(l.v[i].text));
	arena_clear(&a);
	return buf_steal(&b);
}

static void test_items(void **state)
{
	static const struct {
		enum alias_form form;
		const char *in, *out;
	} cases[] = {
	    {ALIAS_RHS, "", ""},
	    {ALIAS_RHS, "bob", "A<bob>"},
	    {ALIAS_RHS, "bob, alice@a.org,\n\tcarl", "A<bob> A<alice@a.org> A<carl>"},
	    {ALIAS_RHS, "\\bob, \"|/usr/bin/vacation bob\"", "\\<bob> |</usr/bin/vacation bob>"},
	    {ALIAS_RHS, "|/bin/cat", "|</bin/cat>"},
	    {ALIAS_RHS, "| /bin/cat x \"a,b\" , bob", "|</bin/cat x \"a,b\"> A<bob>"},
	    {ALIAS_RHS, "\"|cmd \\\"a, b\\\" \\\\c\"", "|<cmd \"a, b\" \\c>"},
	    {ALIAS_RHS, "/var/mail/archive, /home/x/Maildir/", "/</var/mail/archive> /</home/x/Maildir/>"},
	    {ALIAS_RHS, "\"/with blank\"", "/</with blank>"},
	    {ALIAS_RHS, ":include:/etc/list", ":</etc/list>"},
	    {ALIAS_RHS, ":INCLUDE: /etc/list, bob", ":</etc/list> A<bob>"},
	    {ALIAS_RHS, "\":include:/etc/my list\"", ":</etc/my list>"},
	    {ALIAS_RHS, ":include:relative", "!<relative>"},
	    {ALIAS_RHS, "|", "!<>"},
	    {ALIAS_RHS, "\"john doe\"@x.org", "A<john doe@x.org>"},
	    {ALIAS_RHS, "\"john doe\"", "A<john doe>"},
	    {ALIAS_RHS, "Bob B (the, one) <bob@b.org>", "A<bob@b.org>"},
	    {ALIAS_RHS, "a b c", "!<a b c>"},
	    {ALIAS_RHS, "# no comment here", "!<# no comment here>"},
	    {ALIAS_LINES, "# comment\nbob\nalice\n#x\n, carl # not", "A<bob> A<alice> !<carl # not>"},
	    {ALIAS_LINES, "bob\n |cmd a\r\n\\me\n", "A<bob> |<cmd a> \\<me>"},
	    {ALIAS_LINES, "\"|open\nbob", "!<\"|open> A<bob>"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *got = dump(cases[i].in, cases[i].form);

		assert_string_equal(got, cases[i].out);
		free(got);
	}
}

static void test_limits(void **state)
{
	struct alias_items l = {.n = 77};
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 16);
	assert_int_equal(alias_parse(&a, SV("a,b,c"), ALIAS_RHS, 2, &l), ERR_LIMIT);
	assert_int_equal(l.n, 77);
	arena_clear(&a);
	arena_init(&a, 32);
	assert_int_equal(alias_parse(&a, SV("a,b,c"), ALIAS_RHS, 20, &l), ERR_LIMIT);
	arena_clear(&a);
}

static void test_entries(void **state)
{
	struct sv text = SV("# head\n\npostmaster: root\nlist: a,\n  b,\n# between\n\n\tc\n\"odd: name\" : x\nbroken\n "
			    "last: y\n:z\nend:");
	struct sv name, value;
	unsigned line = 0, at = 0;
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 16);
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), 1);
	assert_int_equal(at, 3);
	assert_true(sv_eqs(name, "postmaster"));
	assert_true(sv_eqs(value, "root"));
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), 1);
	assert_int_equal(at, 4);
	assert_true(sv_eqs(value, "a,\n  b,\n\tc"));
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), 1);
	assert_int_equal(at, 9);
	assert_true(sv_eqs(name, "odd: name"));
	assert_true(sv_eqs(value, "x"));
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), 1);
	assert_true(sv_eqs(name, "broken\n last"));
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), ERR_SYNTAX);
	assert_int_equal(at, 12);
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), 1);
	assert_true(sv_eqs(name, "end"));
	assert_int_equal(value.n, 0);
	assert_int_equal(alias_next_entry(&a, &text, &line, &at, &name, &value), 0);
	arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
