/* base_test.c - views, buffers, arenas, numbers, files, the hash. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/arena.h"
#include "base/fsutil.h"
#include "base/htable.h"
#include "base/num.h"
#include "testing/tmpdir.h"

static void sv_cut_visits_empty_fields(void **state ATTR_UNUSED)
{
	struct sv rest = SV("a,,b,");
	const char *want[] = {"a", "", "b", ""};
	size_t n = 0;
	while (rest.p != NULL) {
		struct sv f = sv_cut(&rest, ",");
		assert_true(n < ARRAY_LEN(want));
		assert_true(sv_eqs(f, want[n++]));
	}
	assert_int_equal(n, ARRAY_LEN(want));
}

static void sv_compares_ignore_case_and_length(void **state ATTR_UNUSED)
{
	assert_true(sv_ieqs(SV("MAIL"), "mail"));
	assert_false(sv_ieqs(SV("MAI"), "mail"));
	assert_true(sv_cmp(SV("a"), SV("ab")) < 0);
	assert_true(sv_icmp(SV("B"), SV("a")) > 0);
	assert_true(sv_iends(SV("x@EXAMPLE.com"), SV(".COM")));
	assert_int_equal(sv_find(SV("hello world"), SV("wor")), 6);
	assert_int_equal(sv_find(SV("x"), SV("xx")), -1);
	assert_true(sv_eqs(sv_trim(SV(" \t a b\r\n")), "a b"));
}

static void sv_token_skips_separators(void **state ATTR_UNUSED)
{
	struct sv rest = SV(" , a,b  c ,"), t;
	assert_true(sv_token(&rest, " ,", &t) && sv_eqs(t, "a"));
	assert_true(sv_token(&rest, " ,", &t) && sv_eqs(t, "b"));
	assert_true(sv_token(&rest, " ,", &t) && sv_eqs(t, "c"));
	assert_false(sv_token(&rest, " ,", &t));
}

static void buf_stops_at_its_bound(void **state ATTR_UNUSED)
{
	struct buf b = BUF_INIT(10);
	assert_int_equal(buf_adds(&b, "12345678"), 0);
	assert_int_equal(buf_adds(&b, "abc"), ERR_LIMIT);
	assert_true(b.overflow);
	assert_int_equal(b.n, 8);
	assert_int_equal(buf_printf(&b, "%d", 99), 0);
	assert_int_equal(buf_printf(&b, "%d", 1), ERR_LIMIT);
	assert_string_equal(buf_cstr(&b), "1234567899");
	buf_consume(&b, 8);
	assert_string_equal(buf_cstr(&b), "99");
	char *s = buf_steal(&b);
	assert_string_equal(s, "99");
	free(s);
	assert_string_equal(buf_cstr(&b), "");
}

static void buf_printf_grows(void **state ATTR_UNUSED)
{
	struct buf b = BUF_INIT(100000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, "%06d,", i), 0);
	assert_int_equal(b.n, 7000);
	assert_memory_equal(b.p + 6993, "000999,", 7);
	buf_free(&b);
}

static void arena_keeps_its_budget(void **state ATTR_UNUSED)
{
	struct arena a;
	struct sv v;
	arena_init(&a, 10000);
	char *big = arena_alloc(&a, 6000);
	assert_non_null(big);
	memset(big, 1, 6000);
	assert_null(arena_alloc(&a, 6000));
	assert_int_equal(arena_sv(&a, SV("xyz"), &v), 0);
	assert_true(sv_eqs(v, "xyz"));
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_clear(&a);
	assert_non_null(arena_alloc(&a, 6000));
	arena_clear(&a);
}

static void numbers_are_strict(void **state ATTR_UNUSED)
{
	static const struct {
		const char *in;
		int result;
		uint64_t value;
	} cases[] = {{"0", 0, 0}, {"18446744073709551615", 0, UINT64_MAX}, {"18446744073709551616", ERR_LIMIT, 0},
	    {"", ERR_SYNTAX, 0}, {" 1", ERR_SYNTAX, 0}, {"1 ", ERR_SYNTAX, 0}, {"+1", ERR_SYNTAX, 0},
	    {"-1", ERR_SYNTAX, 0}, {"0x1", ERR_SYNTAX, 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t v = 77;
		assert_int_equal(num_u64(sv_str(cases[i].in), &v), cases[i].result);
		assert_int_equal(v, cases[i].result == 0 ? cases[i].value : 77);
	}
	int64_t i64;
	assert_int_equal(num_i64(SV("-5"), &i64), 0);
	assert_int_equal(i64, -5);
	assert_int_equal(num_i64(SV("-"), &i64), ERR_SYNTAX);
}

static void durations_have_units(void **state ATTR_UNUSED)
{
	uint64_t s;
	assert_int_equal(num_duration(SV("5d"), 's', &s), 0);
	assert_int_equal(s, 432000);
	assert_int_equal(num_duration(SV("300"), 's', &s), 0);
	assert_int_equal(s, 300);
	assert_int_equal(num_duration(SV("2"), 'h', &s), 0);
	assert_int_equal(s, 7200);
	assert_int_equal(num_duration(SV("2y"), 'h', &s), ERR_SYNTAX);
	assert_int_equal(num_duration(SV("d"), 'h', &s), ERR_SYNTAX);
	assert_int_equal(num_duration(SV("99999999999999999999w"), 'h', &s), ERR_LIMIT);
}

static void files_are_replaced_whole(void **state ATTR_UNUSED)
{
	char *dir = tmpdir_new();
	CLEANUP(freep) char *path = xasprintf("%s/a/b/f", dir);
	CLEANUP(freep) char *folder = xasprintf("%s/a/b", dir);
	struct err err;
	struct buf b = BUF_INIT(10);

	assert_int_equal(fs_mkdirs(folder, 0700, &err), 0);
	assert_int_equal(fs_replace_file(AT_FDCWD, path, SV("one"), 0600, &err), 0);
	assert_int_equal(fs_replace_file(AT_FDCWD, path, SV("second"), 0600, &err), 0);
	assert_int_equal(fs_read_file(AT_FDCWD, path, &b, &err), 0);
	assert_string_equal(buf_cstr(&b), "second");
	assert_int_equal(fs_replace_file(AT_FDCWD, path, SV("eleven byte"), 0600, &err), 0);
	buf_reset(&b);
	assert_int_equal(fs_read_file(AT_FDCWD, path, &b, &err), ERR_LIMIT);
	buf_free(&b);

	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(d >= 0);
	assert_int_equal(symlinkat("/etc/passwd", d, "link"), 0);
	assert_int_equal(fs_open_beneath(d, "link", O_RDONLY, 0), -1);
	assert_int_equal(fs_open_beneath(d, "../x", O_RDONLY, 0), -1);
	int f = fs_open_beneath(d, "a/b/f", O_RDONLY, 0);
	assert_true(f >= 0);
	close(f);
	close(d);
	tmpdir_remove(&dir);
}

static void sealed_memory_cannot_change(void **state ATTR_UNUSED)
{
	struct err err;
	char back[3];
	int fd = fs_sealed_memfd("test", SV("abc"), &err);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fs_pread_all(fd, back, 3, 0, &err), 0);
	assert_memory_equal(back, "abc", 3);
	assert_int_equal(fs_pread_all(fd, back, 3, 1, &err), ERR_CORRUPT);
	close(fd);
}

struct entry {
	char name[8];
	UT_hash_handle hh;
};

static void hash_table_finds_what_it_holds(void **state ATTR_UNUSED)
{
	struct entry *table = NULL, *e, *tmp;
	for (int i = 0; i < 500; i++) {
		e = xcalloc(1, sizeof(*e));
		snprintf(e->name, sizeof(e->name), "k%d", i);
		HASH_ADD_KEYPTR(hh, table, e->name, strlen(e->name), e);
	}
	HASH_FIND(hh, table, "k77", 3, e);
	assert_non_null(e);
	assert_string_equal(e->name, "k77");
	HASH_FIND(hh, table, "k500", 4, e);
	assert_null(e);
	HASH_ITER (hh, table, e, tmp) {
		HASH_DEL(table, e);
		free(e);
	}
}

static void errors_carry_context(void **state ATTR_UNUSED)
{
	struct err err = {0};
	errno = ENOENT;
	assert_int_equal(err_sys(&err, "open %s", "x"), ERR_SYS);
	assert_int_equal(err_prefix(&err, "start"), ERR_SYS);
	assert_string_equal(err.text, "start: open x: No such file or directory");
	assert_int_equal(err.sys, ENOENT);
	assert_string_equal(err_name(ERR_TIMEOUT), "timeout");
	assert_string_equal(err_name(-99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sv_cut_visits_empty_fields),
	    cmocka_unit_test(sv_compares_ignore_case_and_length),
	    cmocka_unit_test(sv_token_skips_separators),
	    cmocka_unit_test(buf_stops_at_its_bound),
	    cmocka_unit_test(buf_printf_grows),
	    cmocka_unit_test(arena_keeps_its_budget),
	    cmocka_unit_test(numbers_are_strict),
	    cmocka_unit_test(durations_have_units),
	    cmocka_unit_test(files_are_replaced_whole),
	    cmocka_unit_test(sealed_memory_cannot_change),
	    cmocka_unit_test(hash_table_finds_what_it_holds),
	    cmocka_unit_test(errors_carry_context),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
