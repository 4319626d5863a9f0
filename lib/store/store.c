/* store.c - an account: its directories, locks, temporary files and small files. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/num.h"
#include "store/mbox_list.h"
#include "store/store_priv.h"

#define LOCK_NAP_US 2000 /* between two tries for a lock */

int store_lock(int fd, uint64_t ms, struct err *err)
{
	uint64_t end = clock_mono_ms() + ms;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, "flock");
		if (clock_mono_ms() >= end)
			return err_set(err, ERR_TIMEOUT, "another process holds the lock of this folder");
		usleep(LOCK_NAP_US);
	}
	return 0;
}

void store_unlock(int fd)
{
	(void)flock(fd, LOCK_UN);
}

int store_open_dir(int dirfd, const char *path, int *fd, struct err *err)
{
	int d = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (d < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return err_set(err, ERR_NOT_FOUND, "%s: no such folder", path);
	if (d < 0)
		return err_sys(err, "%s", path);
	*fd = d;
	return 0;
}

static void host_name(char host[48])
{
	char raw[256] = "";
	size_t n = 0;

	if (gethostname(raw, sizeof(raw) - 1))
		raw[0] = '\0';
	for (size_t i = 0; raw[i] && n < 40; i++)
		host[n++] = ascii_isalnum(raw[i]) || raw[i] == '-' || raw[i] == '.' ? raw[i] : '_';
	if (!n)
		host[n++] = 'x';
	host[n] = '\0';
}

static int make_dirs(int dirfd, struct err *err)
{
	static const char *const names[] = {"tmp", "new", "cur"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (mkdirat(dirfd, names[i], 0700) && errno != EEXIST)
			return err_sys(err, "%s", names[i]);
	return 0;
}

int store_open(const char *folder, struct store **out, struct err *err)
{
	struct store *st = xcalloc(1, sizeof(*st));
	int rc;

	st->tmpfd = -1;
	st->dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dirfd < 0) {
		rc = errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "%s does not exist", folder)
				     : err_sys(err, "%s", folder);
		free(st);
		return rc;
	}
	st->path = xstrdup(folder);
	host_name(st->host);
	rc = store_open_dir(st->dirfd, "tmp", &st->tmpfd, NULL);
	if (rc == ERR_NOT_FOUND) {
		rc = make_dirs(st->dirfd, err);
		if (!rc)
			rc = store_open_dir(st->dirfd, "tmp", &st->tmpfd, err);
	}
	if (rc) {
		store_close(&st);
		return rc;
	}
	*out = st;
	return 0;
}

void store_close(struct store **st)
{
	if (!*st)
		return;
	index_close(&(*st)->index);
	fd_close(&(*st)->tmpfd);
	fd_close(&(*st)->dirfd);
	free((*st)->path);
	free(*st);
	*st = NULL;
}

const char *store_path(const struct store *st)
{
	return st->path;
}

void store_relax(struct store *st)
{
	index_close(&st->index);
}

struct index *store_index(struct store *st)
{
	if (!st->index && clock_mono_ms() >= st->index_again && index_open(st->dirfd, st->path, &st->index, NULL))
		st->index_again = clock_mono_ms() + INDEX_BUSY_MS;
	return st->index;
}

void store_unique(struct store *st, int64_t seconds, char name[96])
{
	uint64_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r)) /* early boot only */
		r = clock_mono_us() << 20 ^ (uint64_t)getpid();
	snprintf(name, 96, "%lld.R%016llx.%s", (long long)(seconds < 0 ? 0 : seconds),
	    (unsigned long long)(r + st->seq++), st->host);
}

int store_tmp(struct store *st, char name[80], struct err *err)
{
	char unique[96];
	int fd;

	store_unique(st, clock_wall(), unique);
	snprintf(name, 80, "%.79s", unique);
	fd = openat(st->tmpfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(err, "tmp/%s", name) : fd;
}

/*
 * Synced twice: before the rename, so that a crash never leaves an empty file in the place of a good one, and after it,
 * so that the new name is durable (the second sync finds only the name's transaction).
 */
int store_put_file(struct store *st, int dirfd, const char *name, struct sv data, struct err *err)
{
	CLEANUP(fd_closep) int fd = -1;
	char tmp[80];
	int rc;

	fd = store_tmp(st, tmp, err);
	if (fd < 0)
		return fd;
	rc = fs_write_all(fd, data.p, data.n, err);
	if (!rc && fsync(fd))
		rc = err_sys(err, "fsync of %s", name);
	if (!rc && renameat(st->tmpfd, tmp, dirfd, name))
		rc = err_sys(err, "rename to %s", name);
	if (rc) {
		unlinkat(st->tmpfd, tmp, 0);
		return rc;
	}
	return fsync(fd) ? err_sys(err, "fsync of %s", name) : 0;
}

int store_new_uidvalidity(struct store *st, uint32_t *v, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(64);
	uint64_t last = 0, next;
	int rc = store_lock(st->dirfd, STORE_LOCK_MS, err);

	if (rc)
		return rc == ERR_TIMEOUT ? err_set(err, ERR_TEMP, "another process holds the lock of the account") : rc;
	if (!fs_read_file(st->dirfd, STORE_UIDVALIDITY_FILE, &b, NULL))
		(void)num_range(sv_trim(buf_sv(&b)), 1, UINT32_MAX - 1, &last);
	next = (uint64_t)clock_wall();
	if (next <= last)
		next = last + 1;
	buf_reset(&b);
	buf_printf(&b, "%llu\n", (unsigned long long)next);
	rc = store_put_file(st, st->dirfd, STORE_UIDVALIDITY_FILE, buf_sv(&b), err);
	store_unlock(st->dirfd);
	if (!rc)
		*v = (uint32_t)next;
	return rc;
}
