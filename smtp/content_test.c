#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "smtp/content.h"

static int file_of(const char *text)
{
	int fd = memfd_create("content", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static char *encoded(const char *file, struct mail_content where, size_t limit)
{
	struct buf out = BUF_INIT(1 << 20);
	struct content c;
	struct err err;
	int fd = file_of(file);

	content_start(&c, fd, &where, limit);
	while (!c.done)
		assert_int_equal(content_next(&c, &out, &err), 0);
	close(fd);
	return buf_steal(&out);
}

static void pieces(void **state)
{
	struct mail_content where = {.nheader = 2, .header = {{3, 5}, {0, 3}}, .body = {8, 13}};
	char *got = encoded("A:1B: 2\n\n.dot\n..\nlast", where, 998);

	(void)state;
	assert_string_equal(got, "B: 2\r\nA:1\r\n..dot\r\n...\r\nlast\r\n.\r\n");
	free(got);
}

static void wire_form(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"", ".\r\n"},
	    {"a\n", "a\r\n.\r\n"},
	    {"a", "a\r\n.\r\n"},
	    {".\n", "..\r\n.\r\n"},
	    {"\n.\n..x\nb.c\n", "\r\n..\r\n...x\r\nb.c\r\n.\r\n"},
	    {"a\rb\n.\r\n", "a b\r\n.. \r\n.\r\n"},
	    {"a\r\n", "a \r\n.\r\n"},
	    {"a\r", "a \r\n.\r\n"},
	    {"0123456789abc\n.\n", "0123456789\r\n abc\r\n..\r\n.\r\n"},
	    {"0123456789\nx", "0123456789\r\nx\r\n.\r\n"},
	    {"012345678\r\n", "012345678 \r\n.\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mail_content where = {.nheader = 0, .body = {0, strlen(cases[i].in)}};
		char *got = encoded(cases[i].in, where, 10);

		assert_string_equal(got, cases[i].out);
		free(got);
	}
}

static void adjacent(void **state)
{
	struct mail_content where = {.nheader = 3, .header = {{4, 3}, {0, 0}, {0, 4}}, .body = {4, 5}};
	char *got = encoded("A:1\nB:\n\nx", where, 998);

	(void)state;
	assert_string_equal(got, "B:\r\nA:1\r\nB:\r\n\r\nx\r\n.\r\n");
	free(got);
}

static void large(void **state)
{
	size_t n = 300000;
	char *in = xmalloc(n + 1), *got;
	struct mail_content where = {.nheader = 1, .header = {{0, 100}}, .body = {100, n - 100}};

	(void)state;
	for (size_t i = 0; i < n; i++)
		in[i] = i % 77 == 76 ? '\n' : 'x';
	in[n] = '\0';
	got = encoded(in, where, 998);
	assert_int_equal(strlen(got), n + n / 77 + 2 + 3);
	free(got);
	free(in);
}

static void too_short(void **state)
{
	struct mail_content where = {.nheader = 0, .body = {0, 100}};
	struct buf out = BUF_INIT(1 << 16);
	struct content c;
	struct err err;
	int fd = file_of("short\n");

	(void)state;
	content_start(&c, fd, &where, 998);
	assert_int_equal(content_next(&c, &out, &err), ERR_CORRUPT);
	close(fd);
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pieces),
	    cmocka_unit_test(wire_form),
	    cmocka_unit_test(adjacent),
	    cmocka_unit_test(large),
	    cmocka_unit_test(too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
