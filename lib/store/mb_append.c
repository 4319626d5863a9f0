/*
 * mb_append.c - a message from the client: written into tmp/, named, synced.  UIDs are durable before any name carries
 * one; the file's own sync comes after the rename, so that it carries the name too (docs: README, "What is synced").
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "store/store_priv.h"

#define APPEND_BUFFER 65536

struct mb_append {
	struct store *st;
	int fd;
	char tmp[80];
	struct buf out;	     /* not written yet */
	uint64_t size, lone; /* bytes of the file; LFs, each of which is CRLF on the wire */
	bool cr;	     /* the last byte was a CR that is not written yet */
};

int mb_append_begin(struct store *st, struct mb_append **out, struct err *err)
{
	struct mb_append *ap = xcalloc(1, sizeof(*ap));

	ap->st = st;
	buf_init(&ap->out, APPEND_BUFFER + 16);
	ap->fd = store_tmp(st, ap->tmp, err);
	if (ap->fd < 0) {
		int rc = ap->fd;

		free(ap);
		return rc;
	}
	*out = ap;
	return 0;
}

void mb_append_abort(struct mb_append **app)
{
	struct mb_append *ap = *app;

	if (!ap)
		return;
	if (ap->tmp[0])
		(void)unlinkat(ap->st->tmpfd, ap->tmp, 0);
	fd_close(&ap->fd);
	buf_free(&ap->out);
	free(ap);
	*app = NULL;
}

static int drain(struct mb_append *ap, struct err *err)
{
	int rc = fs_write_all(ap->fd, ap->out.p, ap->out.n, err);

	ap->size += ap->out.n;
	buf_reset(&ap->out);
	return rc;
}

static int put(struct mb_append *ap, const char *p, size_t n, struct err *err)
{
	while (n) {
		size_t room = APPEND_BUFFER - ap->out.n, k = n < room ? n : room;
		int rc;

		if (k && buf_add(&ap->out, p, k))
			return err_set(err, ERR_LIMIT, "append buffer");
		p += k;
		n -= k;
		if (ap->out.n >= APPEND_BUFFER && (rc = drain(ap, err)))
			return rc;
	}
	return 0;
}

int mb_append_write(struct mb_append *ap, struct sv in, struct err *err)
{
	int rc = 0;

	while (!rc && in.n) {
		const char *end;
		size_t n;

		if (ap->cr) { /* the CR of a CRLF is dropped, any other kept */
			ap->cr = false;
			if (in.p[0] != '\n')
				rc = put(ap, "\r", 1, err);
		}
		if (rc)
			break;
		end = memchr(in.p, '\r', in.n);
		n = end ? (size_t)(end - in.p) : in.n;
		for (const char *p = in.p; n && (p = memchr(p, '\n', (size_t)(in.p + n - p))); p++)
			ap->lone++;
		rc = put(ap, in.p, n, err);
		in = sv_skip(in, n);
		if (in.n) {
			ap->cr = true;
			in = sv_skip(in, 1);
		}
	}
	return rc;
}

/* Takes a UID and gives the file its name. */
static int file_it(struct mb_append *ap, struct mailbox *dest, unsigned flags, uint32_t keywords, time_t date,
    uint32_t *uid, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX + 1);
	struct mdir_name n = {.has_size = true, .has_wsize = true, .has_uid = true};
	bool in_new = !flags && !keywords;
	char unique[96];
	int rc;

	store_unique(ap->st, date, unique);
	n.base = sv_str(unique);
	n.size = ap->size;
	n.wsize = ap->size + ap->lone;
	n.upper = mdir_letters(flags, 0);
	n.lower = keywords;
	rc = mb_lock(dest, err);
	if (rc)
		return rc == ERR_TIMEOUT ? err_set(err, ERR_TEMP, "the folder is in use") : rc;
	rc = mb_uid_take(dest, 1, uid, err);
	n.uid = *uid;
	n.uidvalidity = dest->uid.uidvalidity;
	if (!rc)
		rc = mdir_name_format(&b, &n, !in_new);
	if (!rc && renameat(ap->st->tmpfd, ap->tmp, in_new ? dest->newfd : dest->curfd, buf_cstr(&b)))
		rc = err_sys(err, "rename into the folder");
	dest->settled = false; /* it is a new message for this session too */
	mb_unlock(dest);
	if (!rc)
		ap->tmp[0] = '\0';
	return rc;
}

int mb_append_commit(struct mb_append **app, struct mailbox *dest, unsigned flags, uint32_t keywords, time_t date,
    uint32_t *uid, struct err *err)
{
	struct mb_append *ap = *app;
	struct timespec times[2];
	uint32_t got = 0;
	int rc = 0;

	if (ap->cr)
		rc = put(ap, "\r", 1, err);
	if (!rc)
		rc = drain(ap, err);
	if (!date)
		date = clock_wall();
	times[0] = times[1] = (struct timespec){.tv_sec = date};
	(void)futimens(ap->fd, times); /* for other programs; a cage may refuse it, and the name says it as well */
	if (!rc)
		rc = file_it(ap, dest, flags & MB_FLAGS, keywords & ((1u << STORE_KEYWORDS) - 1), date, &got, err);
	if (!rc && fsync(ap->fd))
		rc = err_sys(err, "fsync");
	if (!rc)
		*uid = got;
	mb_append_abort(app);
	return rc;
}

int mail_crlf(struct buf *out, struct sv in, char *last)
{
	char before = *last;
	const char *p = in.p, *end = in.p + in.n;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		int rc;

		if (!lf) {
			rc = buf_add(out, p, (size_t)(end - p));
			before = end[-1];
			p = end;
		} else {
			bool cr = (lf > p ? lf[-1] : before) == '\r';

			rc = buf_add(out, p, (size_t)(lf - p));
			if (!rc)
				rc = cr ? buf_addc(out, '\n') : buf_add(out, "\r\n", 2);
			before = '\n';
			p = lf + 1;
		}
		if (rc)
			return rc;
	}
	*last = before;
	return 0;
}
