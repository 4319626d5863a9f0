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

/* A UID of dest, which must still be the folder that the session has selected. */
static int take_uid(struct mailbox *dest, uint32_t *uid, struct err *err)
{
	struct uid_file before = dest->uid;
	int rc = mb_uid_take(dest, 1, uid, err);

	if (!rc && dest->seen_next && before.uidvalidity != dest->uid.uidvalidity) {
		dest->uid = before; /* for mb_sync, which tells the session */
		mb_doubt(dest);
		return err_set(err, ERR_TEMP, "the folder got a new UIDVALIDITY");
	}
	return rc;
}

/* Under the lock: the rename.  A message that dest's session is told of first is no longer new to anybody else. */
static int name_it(struct mb_append *ap, struct mailbox *dest, struct mdir_name *n, bool known, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX + 1);
	bool in_new = !known && !n->upper && !n->lower;
	struct mb_msg m = {.uid = n->uid, .keywords = n->lower, .size = n->size, .wsize = n->wsize};
	int rc;

	n->uidvalidity = dest->uid.uidvalidity;
	rc = mdir_name_format(&b, n, !in_new);
	if (rc)
		return err_set(err, ERR_LIMIT, "file name too long");
	if (renameat(ap->st->tmpfd, ap->tmp, in_new ? dest->newfd : dest->curfd, buf_cstr(&b)))
		return err_sys(err, "rename into the folder");
	ap->tmp[0] = '\0';
	m.flags = (uint8_t)(mdir_flags(n->upper) | MB_RECENT);
	if (known && !mb_add(dest, &m, buf_sv(&b)))
		dest->seen_next = n->uid + 1;
	else
		mb_doubt(dest); /* the next refresh finds it */
	return 0;
}

/* Takes a UID and gives the file its name. */
static int file_it(struct mb_append *ap, struct mailbox *dest, unsigned flags, uint32_t keywords, time_t date,
    uint32_t *uid, struct err *err)
{
	struct mdir_name n = {.has_size = true, .has_wsize = true, .has_uid = true};
	bool clean, known;
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
	mb_own_change_begin(dest, &clean);
	rc = take_uid(dest, uid, err);
	n.uid = *uid;
	/* When nobody else took a UID since the snapshot was made the message can join it at once, without a look at
	 * the folder: there is no other message that the client would have to see before it. */
	known = dest->seen_next == *uid && !(dest->flags & (MB_READONLY | MB_NO_SCAN));
	if (!rc)
		rc = name_it(ap, dest, &n, known, err);
	if (!rc && known)
		mb_own_change_end(dest, clean);
	mb_unlock(dest);
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
