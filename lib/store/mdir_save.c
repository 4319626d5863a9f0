#include "store/mdir_save.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define TMP_MODE 0600
#define DIR_MODE 0700
#define KERNEL_CHUNK (8u << 20) /* bytes of one copy in the kernel */

/* tmp is the last to be made: where it is, the others are. */
static const char *const parts[] = {"cur/", "new/", "tmp/"};

void mdir_save_unique(char *out, int64_t arrival, struct sv queue_id, uint32_t index, const char *host)
{
	int n;

	if (arrival < 0)
		arrival = 0;
	n = snprintf(out, MDIR_SAVE_UNIQUE_MAX + 1, "%lld.M%06lldQ%.*sR%u.%s", (long long)(arrival / 1000000),
	    (long long)(arrival % 1000000), (int)(queue_id.n > MAIL_QID_MAX ? MAIL_QID_MAX : queue_id.n), queue_id.p,
	    index, host);
	for (int i = 0; i < n && i < MDIR_SAVE_UNIQUE_MAX; i++) {
		if (out[i] == '/' || out[i] == ':' || out[i] == ',')
			out[i] = '_';
	}
}

/* folder + part + name into a path of fixed size. */
static int join(char *path, size_t size, const char *folder, const char *part, const char *name, struct err *err)
{
	int n = snprintf(path, size, "%s%s%s", folder, part, name);

	if (n < 0 || (size_t)n >= size)
		return err_set(err, ERR_LIMIT, "path of the mailbox is too long");
	return 0;
}

/* File systems whose fsync of a file carries the name that it was just given (README). */
static bool sync_carries_name(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == 0xEF53 /* ext4 */ || fs.f_type == 0x58465342 /* xfs */ ||
	       fs.f_type == 0x9123683E /* btrfs */;
}

/* Where the sync of a file does not carry its name: makes the names in a folder durable. */
static int sync_names(const char *folder, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* A folder that may be written and not read is as durable as its file system makes it. */
	if (fd < 0 ? errno == EACCES : sync_carries_name(fd))
		return 0;
	return fd < 0 || fsync(fd) < 0 ? err_sys(err, "cannot sync folder %s", folder) : 0;
}

/* Makes one folder; being there already is fine. */
static int make_dir(const char *path, struct err *err)
{
	char up[MDIR_SAVE_PATH_MAX + 16];

	if (mkdir(path, DIR_MODE) < 0)
		return errno == EEXIST ? 0 : err_sys(err, "cannot create folder %s", path);
	snprintf(up, sizeof(up), "%s/..", path);
	return sync_names(up, err);
}

/* Makes the folder, its parents behind base_len, and its three parts. */
static int make_folders(const char *folder, size_t base_len, struct err *err)
{
	char path[MDIR_SAVE_PATH_MAX + 8];
	size_t len = strlen(folder);

	if (len == 0 || len >= MDIR_SAVE_PATH_MAX || folder[0] != '/' || folder[len - 1] != '/')
		return err_set(err, ERR_LIMIT, "not a path of a Maildir: %.200s", folder);
	if (base_len == 0) {
		for (base_len = len - 1; folder[base_len - 1] != '/'; base_len--)
			;
	}
	memcpy(path, folder, len + 1);
	for (size_t i = base_len; i < len; i++) {
		if (path[i] != '/' || i == 0)
			continue;
		path[i] = 0;
		if (make_dir(path, err) < 0)
			return err ? err->code : ERR_SYS;
		path[i] = '/';
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		snprintf(path + len, sizeof(path) - len, "%.4s", parts[i]);
		if (make_dir(path, err) < 0)
			return err ? err->code : ERR_SYS;
	}
	return 0;
}

static int open_tmp(const struct mdir_save *s, const char *path, struct err *err)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(path, flags, TMP_MODE);

	if (fd < 0 && errno == EEXIST) {
		/* Left by a crash: nobody else carries this message, its queue file is locked. */
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(err, "cannot remove %s", path);
		fd = open(path, flags, TMP_MODE);
	} else if (fd < 0 && errno == ENOENT) {
		int rc = make_folders(s->folder, s->base_len, err);

		if (rc < 0)
			return rc;
		fd = open(path, flags, TMP_MODE);
	}
	return fd < 0 ? err_sys(err, "cannot create %s", path) : fd;
}

static int write_all(int fd, const char *p, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return err_sys(err, "cannot write the message");
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

struct copy {
	struct mdir_save *s;
	size_t fill;	/* bytes that wait in the scratch buffer */
	uint64_t lines; /* line ends seen */
	bool counted;	/* every byte was seen */
};

static int copy_flush(struct copy *c, struct err *err)
{
	int rc = c->fill > 0 ? write_all(c->s->out, c->s->scratch, c->fill, err) : 0;

	c->fill = 0;
	return rc;
}

static uint64_t count_lines(const char *p, size_t n)
{
	const char *end = p + n;
	uint64_t lines = 0;

	while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		lines++;
		p++;
	}
	return lines;
}

/* Through the scratch buffer: what fits it together is written at once. */
static int copy_buffered(struct copy *c, uint64_t at, uint64_t len, struct err *err)
{
	while (len > 0) {
		size_t room = MDIR_SAVE_SCRATCH - c->fill, want = len < room ? (size_t)len : room;
		ssize_t r;

		if (room == 0) {
			if (copy_flush(c, err) < 0)
				return ERR_SYS;
			continue;
		}
		r = pread(c->s->fd, c->s->scratch + c->fill, want, (off_t)at);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(err, "cannot read the message");
		if (r == 0)
			return err_set(err, ERR_CORRUPT, "the message is shorter than it should be");
		c->lines += count_lines(c->s->scratch + c->fill, (size_t)r);
		c->fill += (size_t)r;
		at += (uint64_t)r;
		len -= (uint64_t)r;
	}
	return 0;
}

static bool no_kernel_copy(int sys)
{
	return sys == EXDEV || sys == EINVAL || sys == ENOSYS || sys == EOPNOTSUPP || sys == EBADF || sys == EPERM;
}

/* In the kernel (clones where the file system can); falls back to sendfile, then to the buffer. */
static int copy_kernel(struct copy *c, uint64_t at, uint64_t len, struct err *err)
{
	off_t from = (off_t)at;
	bool use_sendfile = false;

	if (copy_flush(c, err) < 0)
		return ERR_SYS;
	c->counted = false;
	while (len > 0) {
		size_t want = len < KERNEL_CHUNK ? (size_t)len : KERNEL_CHUNK;
		ssize_t r = use_sendfile ? sendfile(c->s->out, c->s->fd, &from, want)
					 : copy_file_range(c->s->fd, &from, c->s->out, NULL, want, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && no_kernel_copy(errno)) {
			if (use_sendfile)
				return copy_buffered(c, (uint64_t)from, len, err);
			use_sendfile = true;
			continue;
		}
		if (r < 0)
			return err_sys(err, "cannot write the message");
		if (r == 0)
			return err_set(err, ERR_CORRUPT, "the message is shorter than it should be");
		len -= (uint64_t)r;
	}
	return 0;
}

/* Adjoining pieces become one; then head and pieces are copied. */
static int copy_message(struct copy *c, struct err *err)
{
	const struct mail_content *m = c->s->content;
	bool in_kernel = c->s->size > MDIR_SAVE_COUNT_MAX;
	struct sv head = c->s->head;

	c->lines = count_lines(head.p, head.n);
	if (head.n > MDIR_SAVE_SCRATCH)
		return err_set(err, ERR_LIMIT, "too many header lines to add");
	memcpy(c->s->scratch, head.p, head.n);
	c->fill = head.n;
	for (size_t i = 0; i <= m->nheader; i++) {
		struct mail_extent x = i < m->nheader ? m->header[i] : m->body;

		while (i < m->nheader) {
			struct mail_extent next = i + 1 < m->nheader ? m->header[i + 1] : m->body;

			if (next.at != x.at + x.len)
				break;
			x.len += next.len;
			i++;
		}
		int rc = in_kernel && x.len > MDIR_SAVE_SCRATCH ? copy_kernel(c, x.at, x.len, err)
								: copy_buffered(c, x.at, x.len, err);

		if (rc < 0)
			return rc;
	}
	return copy_flush(c, err);
}

/*
 * Gives tmp its name in new/, unless a whole file is there: then *repeated, and *fd becomes that file (for its sync:
 * the crash may have come before it).
 */
static int into_new(const char *tmp, const char *path, uint64_t size, int *fd, bool *repeated, struct err *err)
{
	struct stat st;
	int old;

	if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EEXIST && errno != EINVAL)
		return err_sys(err, "cannot rename %s", tmp);
	old = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (old >= 0 && fstat(old, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size) {
		unlink(tmp);
		fd_close(fd);
		*fd = old;
		*repeated = true;
		return 0;
	}
	fd_close(&old);
	if (rename(tmp, path) < 0)
		return err_sys(err, "cannot rename %s", tmp);
	return 0;
}

/* The content's size; false when the numbers are absurd. */
static bool total_size(const struct mdir_save *s, uint64_t *size)
{
	uint64_t n = s->head.n;

	for (size_t i = 0; i < s->content->nheader; i++) {
		if (__builtin_add_overflow(n, s->content->header[i].len, &n))
			return false;
	}
	return !__builtin_add_overflow(n, s->content->body.len, &n) && n <= INT64_MAX && (*size = n, true);
}

int mdir_save_write(struct mdir_save *s, struct err *err)
{
	struct copy c = {.s = s, .counted = true};
	char tmp[MDIR_SAVE_PATH_MAX + 256], name[256];
	int rc;

	s->out = -1;
	s->repeated = false;
	if (!total_size(s, &s->size))
		return err_set(err, ERR_CORRUPT, "the message has an impossible size");
	if (strlen(s->folder) >= MDIR_SAVE_PATH_MAX)
		return err_set(err, ERR_LIMIT, "path of the mailbox is too long");
	rc = join(tmp, sizeof(tmp), s->folder, "tmp/", s->unique, err);
	if (rc < 0)
		return rc;
	s->out = open_tmp(s, tmp, err);
	if (s->out < 0) {
		rc = s->out;
		s->out = -1;
		return rc;
	}
	rc = copy_message(&c, err);
	if (rc == 0) {
		if (c.counted)
			snprintf(name, sizeof(name), "%.180s,S=%llu,W=%llu", s->unique, (unsigned long long)s->size,
			    (unsigned long long)(s->size + c.lines));
		else
			snprintf(name, sizeof(name), "%.180s,S=%llu", s->unique, (unsigned long long)s->size);
		rc = join(s->path, sizeof(s->path), s->folder, "new/", name, err);
	}
	if (rc == 0)
		rc = into_new(tmp, s->path, s->size, &s->out, &s->repeated, err);
	if (rc < 0) {
		unlink(tmp);
		fd_close(&s->out);
	}
	return rc;
}

int mdir_save_link(const struct mdir_save *s, const char *folder, size_t base_len, const char *unique, struct err *err)
{
	const char *sizes = strchr(strrchr(s->path, '/'), ',');
	char path[MDIR_SAVE_PATH_MAX + 256], name[256];
	int rc;

	snprintf(name, sizeof(name), "%.180s%s", unique, sizes ? sizes : "");
	rc = join(path, sizeof(path), folder, "new/", name, err);
	if (rc < 0)
		return rc;
	rc = link(s->path, path);
	if (rc < 0 && errno == ENOENT) {
		rc = make_folders(folder, base_len, err);
		if (rc < 0)
			return rc;
		rc = link(s->path, path);
	}
	if (rc == 0) { /* the sync of the file may carry this name too */
		*strrchr(path, '/') = '\0';
		return sync_names(path, err);
	}
	if (errno == EEXIST || errno == EXDEV || errno == EMLINK || errno == EPERM || errno == ENOENT)
		return err_set(err, ERR_UNSUPPORTED, "cannot link into %s", folder); /* mdir_save_write looks closer */
	return err_sys(err, "cannot link into %s", folder);
}

int mdir_save_sync(struct mdir_save *s, struct err *err)
{
	int rc = 0;

	if (fsync(s->out) < 0) {
		rc = err_sys(err, "cannot sync %s", s->path);
	} else if (!sync_carries_name(s->out)) {
		char dir[MDIR_SAVE_PATH_MAX + 8];
		int fd = -1;

		if (join(dir, sizeof(dir), s->folder, "new/", "", err) == 0)
			fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || fsync(fd) < 0)
			rc = err_sys(err, "cannot sync folder %s", dir);
		fd_close(&fd);
	}
	fd_close(&s->out);
	return rc;
}

void mdir_save_abandon(struct mdir_save *s)
{
	fd_close(&s->out);
}
