#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "store/delivered.h"
#include "testing/tmpdir.h"

static void note(void *arg, struct sv name, struct sv summary)
{
	buf_printf(arg, SV_FMT "=%zu;", SV_ARG(name), summary.n);
}

static void test_round(void **state)
{
	char *dir = tmpdir_new(), *folder = xasprintf("%s/", dir), *big = xcalloc(1, 300000);
	struct buf got = BUF_INIT(1000);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(delivered_take(fd, note, &got), 0);
	assert_int_equal(delivered_append(folder, SV("1.a"), SV("xyz")), 0);
	assert_int_equal(delivered_append(folder, SV("2.b"), sv_of(big, 300000)), 0);
	assert_int_equal(delivered_append(folder, SV("3.c"), SV("q")), 0);
	assert_int_equal(delivered_append(folder, SV(""), SV("q")), ERR_LIMIT);
	assert_int_equal(delivered_take(fd, note, &got), 0);
	assert_string_equal(buf_cstr(&got), "1.a=3;2.b=300000;3.c=1;");
	buf_reset(&got);
	assert_int_equal(delivered_take(fd, note, &got), 0);
	assert_int_equal(got.n, 0);
	close(fd);
	buf_free(&got);
	free(big);
	free(folder);
	tmpdir_remove(&dir);
}

static void test_damage(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct sv name, summary;

	(void)state;
	assert_int_equal(delivered_encode(&b, SV("1.a"), SV("summary")), 0);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(delivered_parse(sv_of(b.p, i), &name, &summary), 0);
	assert_int_equal(delivered_parse(buf_sv(&b), &name, &summary), (ssize_t)b.n);
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 1;
		assert_true(delivered_parse(buf_sv(&b), &name, &summary) <= 0);
		b.p[i] ^= 1;
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round),
	    cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
