/* imap_test.c - commands fed byte by byte, tokens, sets, mailbox names, FETCH items, SEARCH keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/imap_crit.h"
#include "proto/imap_fmt.h"
#include "proto/imap_item.h"
#include "proto/imap_mutf7.h"

static void test_scan(void **state ATTR_UNUSED)
{
	struct sv in = SV("a LOGIN {3}\r\nb\nc {4+}\r\npass\r\nb NOOP\n");
	struct imap_scan s = {0};
	unsigned literals = 0;
	size_t n = 0;
	for (;; n++) { /* one byte more each time */
		enum imap_scan_result r = imap_scan(&s, sv_head(in, n), 100);
		if (r == IMAP_SCAN_DONE)
			break;
		if (r == IMAP_SCAN_LITERAL) {
			assert_int_equal(s.nonsync, literals == 1);
			assert_int_equal(s.literal, literals == 0 ? 3 : 4);
			literals++;
			imap_scan_accept(&s);
			n--;
			continue;
		}
		assert_int_equal(r, IMAP_SCAN_MORE);
		assert_true(n < in.n);
	}
	assert_int_equal(literals, 2);
	assert_int_equal(s.end, in.n - 7);
	struct imap_scan t = {0};
	assert_int_equal(imap_scan(&t, sv_skip(in, s.end), 100), IMAP_SCAN_DONE);
	struct imap_scan u = {0};
	assert_int_equal(imap_scan(&u, in, 5), IMAP_SCAN_TOO_LONG);
	struct imap_scan v = {0};
	assert_int_equal(imap_scan(&v, SV("a X {99999999999999999999}\r\n"), 100), IMAP_SCAN_BAD);
	struct imap_scan w = {0};
	assert_int_equal(imap_scan(&w, SV("a X {x}\r\n"), 100), IMAP_SCAN_DONE);
}

static void test_lex(void **state ATTR_UNUSED)
{
	struct arena a;
	struct imap_lex l;
	struct sv s;
	uint32_t n;
	uint64_t size;
	bool nonsync;
	arena_init(&a, 100000);
	imap_lex_init(&l, SV("tag1 Login \"a\\\"b\\\\\" {2}\r\n\r\n nil 12 \\Seen k$w INBOX] % ()\r\n"), &a);
	assert_true(imap_lex_tag(&l, &s) && sv_eqs(s, "tag1") && imap_lex_sp(&l));
	assert_false(imap_lex_word(&l, "log"));
	assert_true(imap_lex_word(&l, "LOGIN") && imap_lex_sp(&l));
	assert_true(imap_lex_astring(&l, &s) && sv_eqs(s, "a\"b\\") && imap_lex_sp(&l));
	assert_true(imap_lex_astring(&l, &s) && sv_eqs(s, "\r\n") && imap_lex_sp(&l));
	assert_true(imap_lex_nstring(&l, &s) && s.p == NULL && imap_lex_sp(&l));
	assert_true(imap_lex_number(&l, &n) && n == 12 && imap_lex_sp(&l));
	assert_true(imap_lex_flag(&l, &s) && sv_eqs(s, "\\Seen") && imap_lex_sp(&l));
	assert_true(imap_lex_flag(&l, &s) && sv_eqs(s, "k$w") && imap_lex_sp(&l));
	assert_true(imap_lex_astring(&l, &s) && sv_eqs(s, "INBOX]") && imap_lex_sp(&l));
	assert_false(imap_lex_astring(&l, &s));
	assert_true(imap_lex_list_mailbox(&l, &s) && sv_eqs(s, "%") && imap_lex_sp(&l));
	assert_true(imap_lex_char(&l, '(') && imap_lex_char(&l, ')') && imap_lex_end(&l));
	static const char *const bad[] = {"\"a", "\"a\\x\"", "\"a\rb\"", "{5}\r\nabc", "{3}abc", "\""};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		imap_lex_init(&l, sv_str(bad[i]), &a);
		assert_false(imap_lex_string(&l, &s));
		assert_int_equal(l.in.n, strlen(bad[i]));
	}
	imap_lex_init(&l, SV("{310+}\r\n"), &a);
	assert_true(imap_lex_literal_ahead(&l, &size, &nonsync) && size == 310 && nonsync);
	imap_lex_init(&l, SV("4294967296"), &a);
	assert_false(imap_lex_number(&l, &n));
	arena_clear(&a);
}

static void test_sets(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in;
		uint32_t max;
		const char *want; /* NULL: refused */
	} cases[] = {
	    {"1", 5, "1"},
	    {"3:1,2,7:*", 9, "1:3,7:9"},
	    {"*", 4, "4"},
	    {"*:2", 4, "2:4"},
	    {"*", 0, ""},
	    {"7:*", 3, "3:7"},
	    {"1,3,2", 9, "1:3"},
	    {"4294967295", 9, "4294967295"},
	    {"0", 1, NULL},
	    {"", 1, NULL},
	    {"1,", 1, NULL},
	    {"1:", 1, NULL},
	    {"1::2", 1, NULL},
	    {"4294967296", 1, NULL},
	    {"a", 1, NULL},
	};
	struct arena a;
	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct imap_set set = {0};
		int r = imap_set_parse(&a, sv_str(cases[i].in), &set);
		if ((r == 0) != (cases[i].want != NULL))
			fail_msg("case %zu: %d", i, r);
		if (r != 0)
			continue;
		imap_set_resolve(&set, cases[i].max);
		struct buf b = BUF_INIT(100);
		for (size_t k = 0; k < set.n; k++) {
			buf_printf(&b, "%s%u", k ? "," : "", set.v[k].lo);
			if (set.v[k].hi > set.v[k].lo)
				buf_printf(&b, ":%u", set.v[k].hi);
			assert_true(imap_set_has(&set, set.v[k].hi));
		}
		assert_string_equal(buf_cstr(&b), cases[i].want);
		buf_free(&b);
	}
	const uint32_t v[] = {1, 2, 3, 7, 9, 10};
	struct buf b = BUF_INIT(100);
	imap_set_put(&b, v, ARRAY_LEN(v));
	assert_string_equal(buf_cstr(&b), "1:3,7,9:10");
	buf_free(&b);
	arena_clear(&a);
}

static void test_mutf7(void **state ATTR_UNUSED)
{
	static const struct {
		const char *utf8, *name;
	} good[] = {
	    {"INBOX", "INBOX"},
	    {"a&b", "a&-b"},
	    {"Entw\xc3\xbcrfe", "Entw&APw-rfe"},
	    {"\xe5\x8f\xb0\xe5\x8c\x97", "&U,BTFw-"},
	    {"~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		"~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
	    {"\xf0\x9f\x93\xa7", "&2D3c5w-"},
	    {"\xc3\xbc&", "&APw-&-"},
	};
	static const char *const bad[] = {
	    "&", "&APw", "&AP-", "&AGE-", "&!-", "&APw-&APw-", "\xc3\xbc", "&2D0-", "&3OcA-", "a\tb", "&AAo-"};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct buf b = BUF_INIT(200);
		assert_int_equal(imap_mutf7_encode(&b, sv_str(good[i].utf8)), 0);
		assert_string_equal(buf_cstr(&b), good[i].name);
		buf_reset(&b);
		assert_int_equal(imap_mutf7_decode(&b, sv_str(good[i].name)), 0);
		assert_string_equal(buf_cstr(&b), good[i].utf8);
		buf_free(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct buf b = BUF_INIT(200);
		if (imap_mutf7_decode(&b, sv_str(bad[i])) != ERR_SYNTAX)
			fail_msg("taken: %s", bad[i]);
		buf_free(&b);
	}
}

static void test_items(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in, *want; /* labels; NULL: refused */
	} cases[] = {
	    {"FLAGS", "FLAGS"},
	    {"fast", ",,"},
	    {"(UID BODY[])", "UID,BODY[]"},
	    {"body.peek[header.fields (From \"x y\")]<5.10>", "BODY[HEADER.FIELDS (From \"x y\")]<5>"},
	    {"(BODY.PEEK[1.2.MIME] BODY[3] BODY[HEADER])", "BODY[1.2.MIME],BODY[3],BODY[HEADER]"},
	    {"RFC822.HEADER", "RFC822.HEADER"},
	    {"BODY[1.HEADER.FIELDS.NOT (a)]", "BODY[1.HEADER.FIELDS.NOT (a)]"},
	    {"BODY", "BODY"},
	    {"BODY[", NULL},
	    {"BODY[MIME]", NULL},
	    {"BODY[0]", NULL},
	    {"BODY[1.]", NULL},
	    {"BODY[]<1.0>", NULL},
	    {"BODY[]<1>", NULL},
	    {"(FLAGS", NULL},
	    {"FLAGS UID", NULL},
	    {"()", NULL},
	    {"(FAST)", NULL},
	    {"BODY[HEADER.FIELDS]", NULL},
	    {"BODY[HEADER.FIELDS ()]", NULL},
	    {"NOSUCH", NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena a;
		struct imap_lex l;
		struct imap_items items;
		struct err err;
		arena_init(&a, 1 << 20);
		imap_lex_init(&l, sv_str(cases[i].in), &a);
		int r = imap_items_parse(&l, &items, &err);
		if ((r == 0) != (cases[i].want != NULL))
			fail_msg("%s: %d", cases[i].in, r);
		struct buf b = BUF_INIT(1000);
		for (size_t k = 0; r == 0 && k < items.n; k++) {
			buf_adds(&b, k ? "," : "");
			buf_addsv(&b, items.v[k].label);
		}
		if (r == 0)
			assert_string_equal(buf_cstr(&b), cases[i].want);
		buf_free(&b);
		arena_clear(&a);
	}
}

static void test_search(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in;
		bool ok;
	} cases[] = {
	    {"ALL", true},
	    {"1:3,* UID 7 NOT SEEN", true},
	    {"OR FROM a (SUBJECT \"b\" NOT LARGER 7)", true},
	    {"CHARSET utf-8 TEXT {3}\r\nabc", true},
	    {"RETURN (MIN COUNT) SINCE 1-Feb-1994", true},
	    {"RETURN () ON \"1-Feb-1994\"", true},
	    {"HEADER X-Foo \"\" KEYWORD $Junk OLD", true},
	    {"", false},
	    {"OR ALL", false},
	    {"NOT", false},
	    {"(ALL", false},
	    {"ALL)", false},
	    {"SINCE yesterday", false},
	    {"LARGER x", false},
	    {"RETURN (FOO) ALL", false},
	    {"XYZZY", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena a;
		struct imap_lex l;
		struct imap_search s;
		arena_init(&a, 1 << 20);
		imap_lex_init(&l, sv_str(cases[i].in), &a);
		if ((imap_search_parse(&l, &s, NULL) == 0) != cases[i].ok)
			fail_msg("%s", cases[i].in);
		arena_clear(&a);
	}
	struct arena a;
	struct imap_lex l;
	struct imap_search s;
	struct buf b = BUF_INIT(100000);
	for (int i = 0; i < 10000; i++)
		buf_adds(&b, "NOT ");
	arena_init(&a, 1 << 20);
	imap_lex_init(&l, buf_sv(&b), &a);
	assert_int_equal(imap_search_parse(&l, &s, NULL), ERR_LIMIT);
	arena_clear(&a);
	buf_free(&b);
}

static void test_put(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in, *want;
	} cases[] = {{"INBOX", "INBOX"}, {"a b", "\"a b\""}, {"", "\"\""}, {"nil", "\"nil\""}, {"a\"", "\"a\\\"\""},
	    {"\xc3\xbc", "{2}\r\n\xc3\xbc"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT(100);
		imap_put_astring(&b, sv_str(cases[i].in));
		assert_string_equal(buf_cstr(&b), cases[i].want);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scan),
	    cmocka_unit_test(test_lex),
	    cmocka_unit_test(test_sets),
	    cmocka_unit_test(test_mutf7),
	    cmocka_unit_test(test_items),
	    cmocka_unit_test(test_search),
	    cmocka_unit_test(test_put),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
