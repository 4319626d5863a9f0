/* spool.c - see spool.h and docs/queue-format.md. */
#include "spool/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/fsutil.h"
#include "spool/qfile.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#define FOLDER_MODE 02770

static int open_folder(int root, const char *name, struct err *err)
{
	int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && (mkdirat(root, name, FOLDER_MODE) == 0 || errno == EEXIST))
		fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, "queue folder %s", name);
	return fd;
}

/* On these, the fsync of a file carries the name that it was given before (tested by crash images). */
static bool carries_names(int dir)
{
	struct statfs f;
	if (fstatfs(dir, &f) < 0)
		return false;
	return f.f_type == EXT4_SUPER_MAGIC || f.f_type == XFS_SUPER_MAGIC || f.f_type == BTRFS_SUPER_MAGIC;
}

int spool_open(struct spool *s, const char *queue_directory, struct err *err)
{
	struct spool t = {-1, -1, -1, -1, false};
	t.root = open(queue_directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t.root < 0)
		return err_sys(err, "%s", queue_directory);
	t.procfd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t.procfd < 0) {
		int r = err_sys(err, "/proc/self/fd");
		spool_close(&t);
		return r;
	}
	t.dir = open_folder(t.root, SPOOL_QUEUE, err);
	t.corrupt = t.dir < 0 ? -1 : open_folder(t.root, SPOOL_CORRUPT, err);
	if (t.corrupt < 0) {
		spool_close(&t);
		return ERR_SYS;
	}
	t.sync_dir = !carries_names(t.dir);
	*s = t;
	return 0;
}

void spool_close(struct spool *s)
{
	int *fds[] = {&s->root, &s->dir, &s->corrupt, &s->procfd};
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fd_close(fds[i]);
}

static int unnamed(const struct spool *s, struct err *err)
{
	int fd = openat(s->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, SPOOL_MODE);
	return fd < 0 ? err_sys(err, "new queue file") : fd;
}

int spool_create(const struct spool *s, int64_t now_us, char qid[QID_MAX + 1], int *fd, int *writer, struct err *err)
{
	struct stat st;
	char num[16];
	int f = unnamed(s, err), w = -1;
	if (f < 0)
		return ERR_SYS;
	if (fstat(f, &st) < 0) {
		int r = err_sys(err, "fstat");
		fd_close(&f);
		return r;
	}
	if (writer) {
		(void)snprintf(num, sizeof(num), "%d", f);
		w = openat(s->procfd, num, O_WRONLY | O_CLOEXEC);
		if (w < 0 || lseek(w, QFILE_PREAMBLE, SEEK_SET) < 0) {
			int r = err_sys(err, "second description of a queue file");
			fd_close(&f);
			fd_close(&w);
			return r;
		}
		*writer = w;
	}
	qid_make(qid, now_us, st.st_ino);
	*fd = f;
	return 0;
}

bool spool_alone(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
		return false;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

int spool_copy(const struct spool *s, int fd, uint64_t end, int *copy, struct err *err)
{
	char part[16384];
	int to = unnamed(s, err);
	if (to < 0)
		return ERR_SYS;
	for (uint64_t at = QFILE_PREAMBLE; at < end;) {
		size_t n = end - at < sizeof(part) ? (size_t)(end - at) : sizeof(part);
		int r = fs_pread_all(fd, part, n, (off_t)at, err);
		if (r == 0)
			r = fs_pwrite_all(to, part, n, (off_t)at, err);
		if (r < 0) {
			fd_close(&to);
			return r;
		}
		at += n;
	}
	*copy = to;
	return 0;
}

int spool_write(int fd, char *block, size_t n, uint64_t content_end, size_t nrcpt, struct err *err)
{
	uint32_t digest;
	struct stat st;
	char preamble[QFILE_PREAMBLE], *p;
	int r = qfile_digest(fd, content_end, &digest, err);
	if (r < 0)
		return r;
	qfile_seal_block(block, n, digest);
	p = xmalloc(n + nrcpt);
	memcpy(p, block, n);
	memset(p + n, QS_WAITING, nrcpt);
	r = fs_pwrite_all(fd, p, n + nrcpt, (off_t)content_end, err);
	free(p);
	if (r < 0)
		return r;
	/* Behind the last extent there may be bytes that belong to nothing (a writer that changed its mind). */
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	if ((uint64_t)st.st_size > content_end + n + nrcpt && ftruncate(fd, (off_t)(content_end + n + nrcpt)) < 0)
		return err_sys(err, "ftruncate");
	qfile_preamble(preamble, content_end, (uint32_t)n);
	return fs_pwrite_all(fd, preamble, sizeof(preamble), 0, err);
}

int spool_link(const struct spool *s, int fd, const char *qid, struct err *err)
{
	char num[16];
	(void)snprintf(num, sizeof(num), "%d", fd);
	if (linkat(s->procfd, num, s->dir, qid, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	if (errno == EEXIST)
		return err_set(err, ERR_EXISTS, "queue file %s exists", qid);
	return err_sys(err, "link queue file %s", qid);
}

int spool_sync(const struct spool *s, int fd, struct err *err)
{
	if (fsync(fd) < 0)
		return err_sys(err, "fsync");
	if (s->sync_dir && fsync(s->dir) < 0)
		return err_sys(err, "fsync of the queue folder");
	return 0;
}

int spool_sync_all(const struct spool *s, struct err *err)
{
	return syncfs(s->dir) < 0 ? err_sys(err, "syncfs") : 0;
}

int spool_open_file(const struct spool *s, const char *qid, int flags, struct err *err)
{
	int fd = openat(s->dir, qid, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "queue file %s is gone", qid);
	return err_sys(err, "open queue file %s", qid);
}

int spool_unlink(const struct spool *s, const char *qid, struct err *err)
{
	if (unlinkat(s->dir, qid, 0) < 0 && errno != ENOENT)
		return err_sys(err, "unlink queue file %s", qid);
	return 0;
}

int spool_quarantine(const struct spool *s, const char *qid, struct err *err)
{
	/* A name that is taken there stays: nothing is overwritten in corrupt/. */
	if (renameat2(s->dir, qid, s->corrupt, qid, RENAME_NOREPLACE) == 0)
		return 0;
	return err_sys(err, "move queue file %s to %s", qid, SPOOL_CORRUPT);
}

int spool_mark(int fd, uint64_t at, char status, struct err *err)
{
	return fs_pwrite_all(fd, &status, 1, (off_t)at, err);
}

int spool_append(int fd, uint64_t end, bool torn, struct sv records, struct err *err)
{
	if (torn && ftruncate(fd, (off_t)end) < 0)
		return err_sys(err, "ftruncate");
	int r = fs_pwrite_all(fd, records.p, records.n, (off_t)end, err);
	if (r < 0)
		(void)!ftruncate(fd, (off_t)end);
	return r;
}

uint64_t spool_room(const struct spool *s)
{
	struct statvfs v;
	if (fstatvfs(s->dir, &v) < 0)
		return UINT64_MAX;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

int spool_scan_open(const struct spool *s, struct spool_scan *sc, struct err *err)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "scan of the queue");
	sc->fd = fd;
	sc->at = sc->n = 0;
	return 0;
}

int spool_scan_next(struct spool_scan *sc, struct sv *name, struct err *err)
{
	for (;;) {
		if (sc->at >= sc->n) {
			ssize_t n = getdents64(sc->fd, sc->part, sizeof(sc->part));
			if (n < 0)
				return err_sys(err, "scan of the queue");
			if (n == 0)
				return 0;
			sc->n = (size_t)n;
			sc->at = 0;
		}
		const struct dirent64 *d = (const struct dirent64 *)(const void *)(sc->part + sc->at);
		sc->at += d->d_reclen;
		struct sv s = sv_str(d->d_name);
		if (mail_qid_valid(s)) {
			*name = s;
			return 1;
		}
	}
}

void spool_scan_close(struct spool_scan *sc)
{
	fd_close(&sc->fd);
}
