/* login_test.c - IMAP commands before login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "login/imap_pre_cmd.h"

static void commands(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *tag;
		enum imap_pre_verb verb;
		const char *arg, *arg2; /* NULL: absent */
	} cases[] = {
	    {"a1 CAPABILITY\r\n", 0, "a1", IMAP_PRE_CAPABILITY, NULL, NULL},
	    {"a1 capability\r\n", 0, "a1", IMAP_PRE_CAPABILITY, NULL, NULL},
	    {"a1 CAPABILITY x\r\n", ERR_SYNTAX, "a1", IMAP_PRE_CAPABILITY, NULL, NULL},
	    {"x LOGIN alice secret\r\n", 0, "x", IMAP_PRE_LOGIN, "alice", "secret"},
	    {"x LOGIN \"al\\\"ice\" \"se cret\"\r\n", 0, "x", IMAP_PRE_LOGIN, "al\"ice", "se cret"},
	    {"x LOGIN {5}\r\nalice {6+}\r\nsecret\r\n", 0, "x", IMAP_PRE_LOGIN, "alice", "secret"},
	    {"x LOGIN alice\r\n", ERR_SYNTAX, "x", IMAP_PRE_LOGIN, "alice", NULL},
	    {"x LOGIN alice \"\"\r\n", 0, "x", IMAP_PRE_LOGIN, "alice", ""},
	    {"x AUTHENTICATE PLAIN\r\n", 0, "x", IMAP_PRE_AUTHENTICATE, "PLAIN", NULL},
	    {"x AUTHENTICATE PLAIN AGEAYg==\r\n", 0, "x", IMAP_PRE_AUTHENTICATE, "PLAIN", "AGEAYg=="},
	    {"x AUTHENTICATE SCRAM-SHA-256 =\r\n", 0, "x", IMAP_PRE_AUTHENTICATE, "SCRAM-SHA-256", "="},
	    {"x AUTHENTICATE PLAIN a b\r\n", ERR_SYNTAX, "x", IMAP_PRE_AUTHENTICATE, "PLAIN", "a b"},
	    {"x ID NIL\r\n", 0, "x", IMAP_PRE_ID, NULL, NULL},
	    {"x ID (\"name\" \"mutt\" \"v\" NIL)\r\n", 0, "x", IMAP_PRE_ID, NULL, NULL},
	    {"x ID (\"name\"\r\n", ERR_SYNTAX, "x", IMAP_PRE_ID, NULL, NULL},
	    {"x SELECT INBOX\r\n", 0, "x", IMAP_PRE_UNKNOWN, NULL, NULL},
	    {"x LOGOUT\n", 0, "x", IMAP_PRE_LOGOUT, NULL, NULL},
	    {"\r\n", ERR_SYNTAX, "*", IMAP_PRE_UNKNOWN, NULL, NULL},
	    {"x\r\n", ERR_SYNTAX, "x", IMAP_PRE_UNKNOWN, NULL, NULL},
	    {"+ LOGIN a b\r\n", ERR_SYNTAX, "*", IMAP_PRE_UNKNOWN, NULL, NULL},
	    {"GET / HTTP/1.1\r\n", 0, "GET", IMAP_PRE_UNKNOWN, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct imap_pre_cmd cmd;
		struct arena arena;
		int r;

		arena_init(&arena, 10000);
		r = imap_pre_parse(sv_str(cases[i].text), &arena, &cmd);
		if (r != cases[i].result || !sv_eqs(cmd.tag, cases[i].tag) || cmd.verb != cases[i].verb)
			fail_msg("case %zu: %d %.*s %d", i, r, SV_ARG(cmd.tag), (int)cmd.verb);
		if (!r && (cases[i].arg ? !sv_eqs(cmd.arg, cases[i].arg) : cmd.arg.p != NULL))
			fail_msg("case %zu: arg %.*s", i, SV_ARG(cmd.arg));
		if (!r && (cases[i].arg2 ? !sv_eqs(cmd.arg2, cases[i].arg2) : cmd.arg2.p != NULL))
			fail_msg("case %zu: arg2 %.*s", i, SV_ARG(cmd.arg2));
		arena_clear(&arena);
	}
}

static void nul_bytes(void **state)
{
	static const char text[] = "x LOGIN a\0b c\r\n";
	struct imap_pre_cmd cmd;
	struct arena arena;

	(void)state;
	arena_init(&arena, 10000);
	assert_int_equal(imap_pre_parse(sv_of(text, sizeof(text) - 1), &arena, &cmd), ERR_SYNTAX);
	arena_clear(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(commands), cmocka_unit_test(nul_bytes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
