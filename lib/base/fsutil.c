/* fsutil.c - files; see fsutil.h. */
#include "base/fsutil.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define READ_STEP 16384 /* bytes asked for at a time */

int fs_write_all(int fd, const void *p, size_t n, struct err *err)
{
	const char *at = p;
	while (n > 0) {
		ssize_t w = write(fd, at, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(err, "write");
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int fs_pwrite_all(int fd, const void *p, size_t n, off_t at, struct err *err)
{
	const char *from = p;
	while (n > 0) {
		ssize_t w = pwrite(fd, from, n, at);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_sys(err, "pwrite");
		from += w;
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int fs_pread_all(int fd, void *p, size_t n, off_t at, struct err *err)
{
	char *to = p;
	while (n > 0) {
		ssize_t r = pread(fd, to, n, at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, "pread");
		if (r == 0)
			return err_set(err, ERR_CORRUPT, "file ends %zu bytes too early", n);
		to += r;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int fs_read_fd(int fd, struct buf *out, struct err *err)
{
	/* Not on the stack: that would stay with an idle process for good. */
	CLEANUP(freep) char *step = xmalloc((out->max - out->n < READ_STEP ? out->max - out->n : READ_STEP) + 1);

	for (;;) {
		size_t room = out->max - out->n;
		size_t ask =
		    room < READ_STEP ? room + 1 : READ_STEP; /* one more than fits tells "too long" from "end" */
		ssize_t r = read(fd, step, ask);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, "read");
		if (r == 0)
			return 0;
		if (buf_add(out, step, (size_t)r) < 0)
			return err_set(err, ERR_LIMIT, "longer than %zu bytes", out->max);
	}
}

int fs_read_file(int dirfd, const char *path, struct buf *out, struct err *err)
{
	CLEANUP(fd_closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	int r = fs_read_fd(fd, out, err);
	return r < 0 ? err_prefix(err, "%s", path) : 0;
}

int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY),
	    .mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

int fs_sync_dir(int dirfd, struct err *err)
{
	return fsync(dirfd) < 0 ? err_sys(err, "fsync folder") : 0;
}

/* The folder that holds path, opened for a sync. */
static int open_parent(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep)
	char *dir = slash == NULL ? xstrdup(".") : xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
	return openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int fs_replace_file(int dirfd, const char *path, struct sv data, mode_t mode, struct err *err)
{
	CLEANUP(freep) char *fresh = xasprintf("%s.new.%d", path, (int)getpid());
	CLEANUP(fd_closep) int fd = openat(dirfd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_sys(err, "create %s", fresh);
	int r = fs_write_all(fd, data.p, data.n, err);
	if (r == 0 && fsync(fd) < 0)
		r = err_sys(err, "fsync %s", fresh);
	if (r == 0 && renameat(dirfd, fresh, dirfd, path) < 0)
		r = err_sys(err, "rename %s to %s", fresh, path);
	if (r < 0) {
		unlinkat(dirfd, fresh, 0);
		return r;
	}
	CLEANUP(fd_closep) int parent = open_parent(dirfd, path);
	return parent < 0 ? err_sys(err, "open the folder of %s", path) : fs_sync_dir(parent, err);
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(freep) char *part = xstrdup(path);
	for (char *slash = part + 1; *part != '\0'; slash++) {
		char c = *slash;
		if (c != '/' && c != '\0')
			continue;
		*slash = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_sys(err, "mkdir %s", part);
		*slash = c;
		if (c == '\0')
			break;
	}
	return 0;
}

int fs_sealed_memfd(const char *name, struct sv data, struct err *err)
{
	CLEANUP(fd_closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(err, "memfd_create");
	int r = fs_write_all(fd, data.p, data.n, err);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, "seal memfd");
	int out = fd;
	fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): so that CLEANUP does not close it */
	return out;
}
