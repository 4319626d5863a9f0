#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "logd/lines.h"
#include "testing/tmpdir.h"

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *p = xcalloc(1, 1 << 16);

	assert_non_null(f);
	assert_true(fread(p, 1, (1 << 16) - 1, f) < (1 << 16) - 1);
	fclose(f);
	return p;
}

static void form(void **state)
{
	char *dir = tmpdir_new(), *path = xasprintf("%s/log", dir), *got;
	struct lines l;
	struct err err;

	(void)state;
	setenv("TZ", "UTC", 1);
	assert_int_equal(lines_open(&l, path, 0600, "mx1.example.org", &err), 0);
	lines_add(&l, 1795294800, "merpati/smtpd", 123, SV("<1> 4bQ: client=x[10.0.0.1]"));
	lines_add(&l, 1795294801, "merpati/smtpd", 123, SV("<2> odd\001\xff peer"));
	lines_add(&l, 1795294801, "merpati/qmgr", 9, SV("<3> e"));
	lines_add(&l, 1795294801, "merpati/qmgr", 9, SV("<4> f\n"));
	lines_add(&l, 1795294801, "merpati/qmgr", 9, SV("<9> x"));
	lines_add(&l, 1795294801, "merpati/qmgr", 9, SV("plain"));
	lines_add(&l, 1795294801, "merpati/qmgr", 9, SV(""));
	assert_int_equal(lines_write(&l), 0);
	got = slurp(path);
	assert_string_equal(got, "Nov 21 21:00:00 mx1 merpati/smtpd[123]: 4bQ: client=x[10.0.0.1]\n"
				 "Nov 21 21:00:01 mx1 merpati/smtpd[123]: warning: odd?? peer\n"
				 "Nov 21 21:00:01 mx1 merpati/qmgr[9]: error: e\n"
				 "Nov 21 21:00:01 mx1 merpati/qmgr[9]: fatal: f\n"
				 "Nov 21 21:00:01 mx1 merpati/qmgr[9]: x\n"
				 "Nov 21 21:00:01 mx1 merpati/qmgr[9]: plain\n"
				 "Nov 21 21:00:01 mx1 merpati/qmgr[9]: \n");
	free(got);
	lines_close(&l);
	free(path);
	tmpdir_remove(&dir);
}

static void rotation(void **state)
{
	char *dir = tmpdir_new(), *path = xasprintf("%s/log", dir), *old = xasprintf("%s/log.1", dir), *got;
	struct lines l;
	struct err err;

	(void)state;
	assert_int_equal(lines_open(&l, path, 0600, "h", &err), 0);
	lines_add(&l, 1795294800, "a", 1, SV("<1> first"));
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(lines_reopen(&l, &err), 0);
	lines_add(&l, 1795294800, "a", 1, SV("<1> second"));
	assert_int_equal(lines_write(&l), 0);
	got = slurp(old);
	assert_non_null(strstr(got, "first"));
	free(got);
	got = slurp(path);
	assert_non_null(strstr(got, "second"));
	assert_null(strstr(got, "first"));
	free(got);
	/* a folder that has gone: the open file stays in use */
	unlink(path);
	unlink(old);
	rmdir(dir);
	assert_int_equal(lines_reopen(&l, &err), ERR_SYS);
	lines_add(&l, 1795294800, "a", 1, SV("<1> third"));
	assert_int_equal(lines_write(&l), 0);
	lines_close(&l);
	mkdir(dir, 0700);
	free(path);
	free(old);
	tmpdir_remove(&dir);
}

static void full_disk(void **state)
{
	char long_line[3000];
	struct lines l;
	struct err err;

	(void)state;
	assert_int_equal(lines_open(&l, "/dev/full", 0600, "h", &err), 0);
	memset(long_line, 'x', sizeof(long_line));
	for (int i = 0; i < 1000; i++)
		lines_add(&l, 1795294800, "a", 1, sv_of(long_line, sizeof(long_line)));
	assert_int_equal(lines_write(&l), 1);
	assert_true(l.out.n <= LINES_MAX_WAIT);
	assert_true(l.lost > 500);
	/* room again: the rest goes out whole, then the count is told */
	fd_close(&l.fd);
	l.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(lines_write(&l), 0);
	lines_add(&l, 1795294800, "a", 1, SV("<1> next"));
	assert_int_equal(l.lost, 0);
	assert_non_null(strstr(buf_cstr(&l.out), "log lines lost"));
	lines_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(form),
	    cmocka_unit_test(rotation),
	    cmocka_unit_test(full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
