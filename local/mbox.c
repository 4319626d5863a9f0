/* mbox.c - appends a message to a file in mbox form. */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fsutil.h"
#include "local/file_child.h"

#define CHUNK 16384

/* Bytes through a buffer into the file, "From " at the beginning of a line marked. */
struct writer {
	int fd;
	bool bol; /* the next byte begins a line */
	size_t n;
	char out[CHUNK];
	struct err *err;
};

static int put(struct writer *w, const char *p, size_t n)
{
	while (n > 0) {
		size_t room = sizeof(w->out) - w->n, part = n < room ? n : room;

		memcpy(w->out + w->n, p, part);
		w->n += part;
		p += part;
		n -= part;
		if (w->n == sizeof(w->out)) {
			if (fs_write_all(w->fd, w->out, w->n, w->err) < 0)
				return ERR_SYS;
			w->n = 0;
		}
	}
	return 0;
}

/* Puts whole lines, or the beginning of one; *used bytes of s were taken (a possible "From " at the end waits for
 * more). */
static int put_lines(struct writer *w, struct sv s, bool last, size_t *used)
{
	static const struct sv mark = {"From ", 5};
	size_t at = 0;

	while (at < s.n) {
		struct sv rest = sv_skip(s, at);
		ssize_t lf = sv_chr(rest, '\n');
		size_t n = lf < 0 ? rest.n : (size_t)lf + 1;

		if (w->bol && lf < 0 && !last && rest.n < mark.n)
			break;
		if (w->bol && sv_starts(rest, mark) && put(w, ">", 1) < 0)
			return ERR_SYS;
		if (put(w, rest.p, n) < 0)
			return ERR_SYS;
		w->bol = lf >= 0;
		at += n;
	}
	*used = at;
	return 0;
}

static int put_extent(struct writer *w, int fd, struct mail_extent x)
{
	char in[CHUNK];
	size_t have = 0, used;

	while (x.len > 0) {
		size_t n = x.len < sizeof(in) - have ? (size_t)x.len : sizeof(in) - have;

		if (fs_pread_all(fd, in + have, n, (off_t)x.at, w->err) < 0)
			return ERR_CORRUPT;
		x.at += n;
		x.len -= n;
		have += n;
		if (put_lines(w, sv_of(in, have), x.len == 0, &used) < 0)
			return ERR_SYS;
		memmove(in, in + used, have - used);
		have -= used;
	}
	return 0;
}

static int write_message(const struct lc_mbox *req, int fd, struct err *err)
{
	struct writer w = {.fd = fd, .bol = true, .err = err};
	int rc = put(&w, req->from.p, req->from.n);

	if (rc == 0)
		rc = put(&w, "\n", 1);
	if (rc == 0)
		rc = put(&w, req->head.p, req->head.n);
	for (size_t i = 0; i <= req->content.nheader && rc == 0; i++)
		rc = put_extent(&w, req->fd, i < req->content.nheader ? req->content.header[i] : req->content.body);
	if (rc == 0 && !w.bol)
		rc = put(&w, "\n", 1);
	if (rc == 0)
		rc = put(&w, "\n", 1);
	if (rc == 0 && w.n > 0)
		rc = fs_write_all(fd, w.out, w.n, err);
	return rc;
}

/* "path.lock": 1 made, 0 not possible here (then the fcntl lock must do), ERR_TEMP held by somebody else. */
static int dot_lock(const char *lock)
{
	int fd = open(lock, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd >= 0) {
		fd_close(&fd);
		return 1;
	}
	if (errno != EEXIST)
		return 0;
	if (lstat(lock, &st) == 0 && time(NULL) - st.st_mtime > MBOX_STALE_SECONDS)
		unlink(lock);
	return ERR_TEMP;
}

/* An open-file-description lock: it excludes other threads of ours too, and the fcntl locks of other programs. */
static bool file_lock(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

static int lock_both(int fd, const char *lock, bool *dotted, struct err *err)
{
	for (int i = 0; i < MBOX_LOCK_TRIES; i++) {
		if (file_lock(fd)) {
			int r = dot_lock(lock);

			if (r >= 0) {
				*dotted = r == 1;
				return 0;
			}
			struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

			fcntl(fd, F_OFD_SETLK, &l);
		}
		nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
	}
	return err_set(err, ERR_TEMP, "cannot lock it: somebody else is using it");
}

static int append_locked(const struct lc_mbox *req, int fd, struct err *err)
{
	uint64_t size = mail_content_size(&req->content) + req->head.n + req->from.n;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "cannot look at it");
	if (req->limit > 0 && (uint64_t)st.st_size + size > req->limit) {
		errno = EFBIG;
		return err_sys(err, "it may not become larger");
	}
	rc = write_message(req, fd, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(err, "cannot sync it");
	if (rc < 0 && ftruncate(fd, st.st_size) < 0) /* half a message would hide the next one */
		err_prefix(err, "and cannot be shortened again");
	return rc;
}

int mbox_append(const struct lc_mbox *req, struct err *err)
{
	CLEANUP(freep) char *path = sv_dup(req->path);
	CLEANUP(freep) char *lock = xasprintf("%s.lock", path);
	CLEANUP(fd_closep) int fd = -1;
	bool dotted = false;
	struct stat st;
	int rc;

	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return err_sys(err, "cannot open %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, ERR_DENIED, "%s is not a regular file", path);
	/* In a folder where others may make files, one of them could have made this one, to read what comes. */
	if (sv_eqs(req->what, "mailbox") && st.st_uid != geteuid())
		return err_set(err, ERR_DENIED, "%s belongs to somebody else", path);
	if (st.st_nlink > 1)
		return err_set(err, ERR_DENIED, "%s has several names", path);
	rc = lock_both(fd, lock, &dotted, err);
	if (rc == 0)
		rc = append_locked(req, fd, err);
	if (dotted)
		unlink(lock);
	return rc;
}
