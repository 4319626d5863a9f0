#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fsutil.h"
#include "store/mdir_save.h"
#include "testing/tmpdir.h"

struct fixture {
	char *dir;
	char *folder;
	char unique[MDIR_SAVE_UNIQUE_MAX + 1];
	struct mail_content content;
	struct mdir_save s;
	int fd;
};

static const char message[] = "junkSubject: x\nTo: y\n???\nbody\nbody\n";

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	char *path;

	f->dir = tmpdir_new();
	f->folder = xasprintf("%s/box/user/", f->dir);
	path = xasprintf("%s/queue", f->dir);
	f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(path);
	assert_true(f->fd >= 0);
	fs_write_all(f->fd, message, sizeof(message) - 1, NULL);
	f->content = (struct mail_content){.nheader = 2, .header = {{4, 11}, {15, 6}}, .body = {24, 11}};
	mdir_save_unique(f->unique, 1795294800123456, SV("4XyzABC"), 7, "mx:1/x,y");
	f->s = (struct mdir_save){.head = SV("Delivered-To: z\n"),
	    .fd = f->fd,
	    .content = &f->content,
	    .folder = f->folder,
	    .base_len = strlen(f->dir) + 1,
	    .unique = f->unique,
	    .scratch = xmalloc(MDIR_SAVE_SCRATCH)};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->fd);
	free(f->s.scratch);
	free(f->folder);
	tmpdir_remove(&f->dir);
	free(f);
	return 0;
}

static unsigned count(const struct fixture *f, const char *part)
{
	char *path = xasprintf("%s%s", f->folder, part);
	DIR *d = opendir(path);
	unsigned n = 0;

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	free(path);
	return n;
}

static void assert_file(const char *path, const char *want)
{
	struct buf b = BUF_INIT(1 << 20);

	assert_int_equal(fs_read_file(AT_FDCWD, path, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static const char want_file[] = "Delivered-To: z\nSubject: x\nTo: y\n\nbody\nbody\n";

static void test_save(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	struct err err;

	assert_string_equal(f->unique, "1795294800.M123456Q4XyzABCR7.mx_1_x_y");
	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_false(f->s.repeated);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	assert_int_equal(f->s.out, -1);
	assert_true(sv_ends(sv_str(f->s.path), SV("new/1795294800.M123456Q4XyzABCR7.mx_1_x_y,S=44,W=50")));
	assert_file(f->s.path, want_file);
	assert_int_equal(count(f, "tmp"), 0);
	assert_int_equal(stat(f->folder, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(f->s.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_repeat(void **state)
{
	struct fixture *f = *state;
	struct err err;

	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	mdir_save_abandon(&f->s);
	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_true(f->s.repeated);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	assert_int_equal(count(f, "new"), 1);
	assert_int_equal(count(f, "tmp"), 0);
	/* A file that a crash left short is replaced. */
	assert_int_equal(truncate(f->s.path, 10), 0);
	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_false(f->s.repeated);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	assert_file(f->s.path, want_file);
	assert_int_equal(count(f, "new"), 1);
}

static void test_leftover_tmp(void **state)
{
	struct fixture *f = *state;
	struct err err;
	char *left;

	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	mdir_save_abandon(&f->s);
	unlink(f->s.path);
	left = xasprintf("%stmp/%s", f->folder, f->unique);
	assert_int_equal(symlink("/etc/passwd", left), 0);
	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	assert_file(f->s.path, want_file);
	free(left);
}

static void test_link(void **state)
{
	struct fixture *f = *state;
	char *other = xasprintf("%s/box/other/", f->dir), *path;
	struct stat st;
	struct err err;

	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_int_equal(mdir_save_link(&f->s, other, f->s.base_len, "2.x", &err), 0);
	assert_int_equal(mdir_save_link(&f->s, other, f->s.base_len, "2.x", &err), ERR_UNSUPPORTED);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	path = xasprintf("%snew/2.x,S=44,W=50", other);
	assert_file(path, want_file);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	free(path);
	free(other);
}

static void test_large(void **state)
{
	struct fixture *f = *state;
	struct buf big = BUF_INIT(8 << 20), got = BUF_INIT(8 << 20);
	struct err err;

	for (int i = 0; i < 40000; i++)
		buf_printf(&big, "line %d of a large message\n", i);
	assert_int_equal(pwrite(f->fd, big.p, big.n, 100), (ssize_t)big.n);
	f->content.body = (struct mail_extent){100, big.n};
	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	assert_null(strstr(f->s.path, ",W="));
	assert_int_equal(fs_read_file(AT_FDCWD, f->s.path, &got, &err), 0);
	assert_int_equal(got.n, big.n + 16 + 17);
	assert_memory_equal(got.p + 33, big.p, big.n);
	/* Between the two bounds: several writes, sizes counted. */
	f->content.body.len = 200000;
	assert_int_equal(mdir_save_write(&f->s, &err), 0);
	assert_int_equal(mdir_save_sync(&f->s, &err), 0);
	assert_non_null(strstr(f->s.path, ",S=200033,W="));
	buf_reset(&got);
	assert_int_equal(fs_read_file(AT_FDCWD, f->s.path, &got, &err), 0);
	assert_memory_equal(got.p + 33, big.p, 200000);
	buf_free(&big);
	buf_free(&got);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	struct err err;
	char *keep = f->folder;

	f->content.body.len = 1000;
	assert_int_equal(mdir_save_write(&f->s, &err), ERR_CORRUPT);
	assert_int_equal(f->s.out, -1);
	assert_int_equal(count(f, "tmp"), 0);
	assert_int_equal(count(f, "new"), 0);
	f->content.body.len = 11;
	f->content.header[0].len = UINT64_MAX;
	assert_int_equal(mdir_save_write(&f->s, &err), ERR_CORRUPT);
	f->content.header[0].len = 11;
	f->s.base_len = 0; /* the parent of the folder must exist */
	f->folder = xasprintf("%s/no/such/", f->dir);
	f->s.folder = f->folder;
	assert_int_equal(mdir_save_write(&f->s, &err), ERR_SYS);
	assert_int_equal(err.sys, ENOENT);
	free(f->folder);
	f->folder = xasprintf("%s/queue/", f->dir); /* a file in the way */
	f->s.folder = f->folder;
	assert_int_equal(mdir_save_write(&f->s, &err), ERR_SYS);
	free(f->folder);
	f->folder = keep;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_save, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_repeat, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_leftover_tmp, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_link, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_large, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
