/* pop3_cmd_test.c - commands, unique ids, byte-stuffing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "proto/pop3_cmd.h"

static void commands(void **state)
{
	static const struct {
		const char *line;
		int rc;
		enum pop3_verb verb;
		uint32_t number, lines;
		const char *arg;
	} cases[] = {
	    {"STAT", 0, POP3_STAT, 0, 0, NULL},
	    {"stat ", 0, POP3_STAT, 0, 0, NULL},
	    {"STAT 1", ERR_SYNTAX, POP3_STAT, 0, 0, NULL},
	    {"RETR 12", 0, POP3_RETR, 12, 0, NULL},
	    {"RETR", ERR_SYNTAX, POP3_RETR, 0, 0, NULL},
	    {"RETR 0", ERR_SYNTAX, POP3_RETR, 0, 0, NULL},
	    {"RETR -1", ERR_SYNTAX, POP3_RETR, 0, 0, NULL},
	    {"RETR 99999999999999999999", 0, POP3_RETR, UINT32_MAX, 0, NULL},
	    {"LIST", 0, POP3_LIST, 0, 0, NULL},
	    {"LIST 3", 0, POP3_LIST, 3, 0, NULL},
	    {"TOP 2 0", 0, POP3_TOP, 2, 0, NULL},
	    {"TOP 2 10", 0, POP3_TOP, 2, 10, NULL},
	    {"TOP 2", ERR_SYNTAX, POP3_TOP, 2, 0, NULL},
	    {"USER bob@b.org", 0, POP3_USER, 0, 0, "bob@b.org"},
	    {"PASS  a b ", 0, POP3_PASS, 0, 0, " a b "},
	    {"USER", ERR_SYNTAX, POP3_USER, 0, 0, NULL},
	    {"AUTH", 0, POP3_AUTH, 0, 0, NULL},
	    {"AUTH PLAIN AGEAYg==", 0, POP3_AUTH, 0, 0, "PLAIN"},
	    {"HELO x", 0, POP3_UNKNOWN, 0, 0, NULL},
	    {"", 0, POP3_UNKNOWN, 0, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pop3_cmd c;

		assert_int_equal(pop3_cmd_parse(sv_str(cases[i].line), &c), cases[i].rc);
		assert_int_equal(c.verb, cases[i].verb);
		if (cases[i].rc)
			continue;
		assert_int_equal(c.number, cases[i].number);
		assert_int_equal(c.lines, cases[i].lines);
		if (cases[i].arg)
			assert_true(sv_eqs(c.arg, cases[i].arg));
	}
}

static void uidl(void **state)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(200);

	(void)state;
	assert_int_equal(pop3_uidl_check(SV("%08Xu%08Xv")), 0);
	assert_int_equal(pop3_uidl_check(SV("%v-%u")), 0);
	assert_int_equal(pop3_uidl_check(SV("%v")), ERR_SYNTAX);
	assert_int_equal(pop3_uidl_check(SV("%m%u")), ERR_SYNTAX);
	assert_int_equal(pop3_uidl_check(SV("%u x")), ERR_SYNTAX);
	assert_int_equal(pop3_uidl_check(SV("%u%")), ERR_SYNTAX);
	assert_int_equal(pop3_uidl_put(&b, SV("%08Xu%08Xv"), 0x5f3a9c21, 57), 0);
	assert_string_equal(buf_cstr(&b), "000000395F3A9C21");
	buf_reset(&b);
	assert_int_equal(pop3_uidl_put(&b, SV("%v.%u"), 12, 7), 0);
	assert_string_equal(buf_cstr(&b), "12.7");
}

static void stuffing(void **state)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(200);
	bool bol = true;

	(void)state;
	assert_int_equal(pop3_stuff(&b, SV(".a\r\n..\r"), &bol), 0);
	assert_int_equal(pop3_stuff(&b, SV("\n"), &bol), 0);
	assert_int_equal(pop3_stuff(&b, SV(".b\r\n"), &bol), 0);
	assert_string_equal(buf_cstr(&b), "..a\r\n...\r\n..b\r\n");
	assert_true(bol);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(commands), cmocka_unit_test(uidl), cmocka_unit_test(stuffing)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
