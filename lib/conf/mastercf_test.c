/* mastercf_test.c - master.cf entries, good and bad. */
#include "base/base.h"

#include <setjmp.h>
#include <cmocka.h>

#include "conf/mastercf.h"

static const char good[] =
    "# service type  private unpriv  chroot  wakeup  maxproc command + args\n"
    "smtp      inet  n       -       y       -       -       smtpd\n"
    "[::1]:submission inet n - y - 20 smtpd -v -vv\n"
    "  -o syslog_name=postfix/submission\n"
    "#  -o commented=out\n"
    "  -o { smtpd_client_restrictions = permit_mynetworks, reject }\n"
    "  -osmtpd_tls=yes\n"
    "127.0.0.1:10025 inet n - n - 0 smtpd\n"
    "pickup    unix  n       -       y       60      1       pickup\n"
    "qmgr      fifo  n       -       n       300?    1       qmgr -D\n"
    "dovecot unix - n n - - pipe flags=DRhu user=vmail:vmail argv={/usr/lib/dovecot/deliver -f} ${sender} -o\n"
    "pass pass - - n - - smtpd\n"
    "pickup    unix  n       -       y       61      1       pickup\n"
    "postlog   unix-dgram n  -       n       -       1       postlogd\n";

static struct mastercf *parse(const char *text, struct conf_problems *problems)
{
	struct mastercf *m = NULL;
	assert_int_equal(mastercf_parse(sv_str(text), "master.cf", &m, problems), 0);
	return m;
}

static void test_good(void **state)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct mastercf *m = parse(good, &problems);
	const struct mcf_service *s;
	(void)state;
	assert_int_equal(problems.errors, 0);
	assert_int_equal(problems.warnings, 1);
	assert_int_equal(m->n, 8);
	s = mastercf_find(m, "smtp", MCF_INET);
	assert_string_equal(s->port, "smtp");
	assert_string_equal(s->host, "");
	assert_true(s->maxproc_default && !s->is_private && s->unprivileged && s->chroot == 1);
	s = mastercf_find(m, "[::1]:submission", MCF_INET);
	assert_string_equal(s->host, "::1");
	assert_string_equal(s->port, "submission");
	assert_int_equal(s->verbose, 3);
	assert_int_equal(s->maxproc, 20);
	assert_int_equal(s->noverrides, 3);
	assert_string_equal(s->overrides[1].name, "smtpd_client_restrictions");
	assert_string_equal(s->overrides[1].value, "permit_mynetworks, reject");
	assert_string_equal(s->overrides[2].name, "smtpd_tls");
	s = mastercf_find(m, "127.0.0.1:10025", MCF_INET);
	assert_true(!s->maxproc_default && s->maxproc == 0);
	s = mastercf_find(m, "qmgr", MCF_FIFO);
	assert_true(s->wakeup == 300 && s->wakeup_if_used && s->debug);
	s = mastercf_find(m, "dovecot", MCF_UNIX);
	assert_int_equal(s->argc, 5);
	assert_string_equal(s->argv[2], "argv={/usr/lib/dovecot/deliver -f}");
	assert_true(s->is_private && !s->unprivileged && s->noverrides == 0);
	s = mastercf_find(m, "pickup", MCF_UNIX);
	assert_int_equal(s->wakeup, 61);
	assert_null(mastercf_find(m, "pickup", MCF_INET));
	conf_problems_clear(&problems);
	mastercf_free(&m);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *part;
	} cases[] = {{"smtp inet n - y - -\n", "\"command\" is missing"},
	    {"smtp tcp n - y - - smtpd\n", "bad transport type"}, {"smtp inet x - y - - smtpd\n", "column \"private\""},
	    {"smtp inet y - y - - smtpd\n", "cannot be private"}, {"smtp inet n - y x - smtpd\n", "column \"wakeup\""},
	    {"smtp inet n - y - x smtpd\n", "column \"maxproc\""}, {"[::1:25 inet n - y - - smtpd\n", "bad host"},
	    {"99999 inet n - y - - smtpd\n", "bad port"}, {"../x unix n - y - - smtpd\n", "bad service name"},
	    {"smtp inet n - y - - /bin/sh\n", "not the name of a program"},
	    {"smtp inet n - y - - smtpd -o\n", "-o needs"}, {"smtp inet n - y - - smtpd -o foo\n", "missing '='"},
	    {"smtp inet n - y - - smtpd -o { a = b\n", "no closing '}'"},
	    {" x inet n - y - - smtpd\n", "no line before"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf_problems problems = CONF_PROBLEMS_INIT;
		struct mastercf *m = parse(cases[i].text, &problems);
		assert_int_equal(m->n, 0);
		assert_int_equal(problems.errors, 1);
		assert_int_equal(problems.v[0].line, 1);
		assert_non_null(strstr(problems.v[0].text, cases[i].part));
		conf_problems_clear(&problems);
		mastercf_free(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
