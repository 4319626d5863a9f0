/* mailbox.c - an opened folder: its life, its snapshot, its messages' bytes. */
#include "store/mailbox.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/mbox_list.h"
#include "store/store_priv.h"

#define TMP_LOOK_MAX 256 /* files of tmp/ that one open looks at */

int mb_lock(struct mailbox *mb, struct err *err)
{
	int rc = mb->locked ? 0 : store_lock(mb->curfd, STORE_LOCK_MS, err);

	if (!rc)
		mb->locked++;
	return rc;
}

void mb_unlock(struct mailbox *mb)
{
	BUG_ON(!mb->locked);
	if (!--mb->locked)
		store_unlock(mb->curfd);
}

/* Files that a broken delivery left in tmp/ (Maildir's rule: after 36 hours). */
static void clean_tmp(struct store *st)
{
	struct mb_snap s = {0};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!snap_scan(&s, st->tmpfd, false, 0, NULL))
		for (size_t i = 0; i < s.n && i < TMP_LOOK_MAX; i++) {
			char name[MDIR_NAME_MAX + 1];
			struct sv sv = snap_name(&s, &s.v[i]);
			struct stat sb;

			snprintf(name, sizeof(name), SV_FMT, SV_ARG(sv));
			if (!fstatat(st->tmpfd, name, &sb, AT_SYMLINK_NOFOLLOW) &&
			    sb.st_mtim.tv_sec < now.tv_sec - STORE_TMP_AGE)
				(void)unlinkat(st->tmpfd, name, 0);
		}
	snap_free(&s);
}

static int open_dirs(struct mailbox *mb, struct err *err)
{
	int rc = store_open_dir(mb->st->dirfd, mb->dir, &mb->dirfd, err);

	if (rc)
		return rc;
	rc = store_open_dir(mb->dirfd, "cur", &mb->curfd, err);
	if (rc == ERR_NOT_FOUND) { /* a folder that another program began to make */
		if ((mkdirat(mb->dirfd, "tmp", 0700) && errno != EEXIST) ||
		    (mkdirat(mb->dirfd, "new", 0700) && errno != EEXIST) ||
		    (mkdirat(mb->dirfd, "cur", 0700) && errno != EEXIST))
			return err_sys(err, "%s/cur", mb->dir);
		rc = store_open_dir(mb->dirfd, "cur", &mb->curfd, err);
	}
	if (!rc)
		rc = store_open_dir(mb->dirfd, "new", &mb->newfd, err);
	return rc;
}

/* Without a snapshot only the UID file is needed, and made when there is none. */
static int open_unscanned(struct mailbox *mb, struct err *err)
{
	int rc = mb_uid_load(mb, err);

	if (rc != ERR_NOT_FOUND)
		return rc;
	rc = mb_lock(mb, err);
	if (rc)
		return err_set(err, ERR_TEMP, "the folder is in use");
	rc = mb_uid_load(mb, err);
	if (rc == ERR_NOT_FOUND)
		rc = mb_uid_create(mb, err);
	mb_unlock(mb);
	return rc;
}

int mailbox_open(struct store *st, struct sv name, unsigned flags, struct mailbox **out, struct err *err)
{
	char canon[MBOX_NAME_MAX + 1], dir[MBOX_NAME_MAX + 2];
	struct mailbox *mb;
	int rc = mbox_name_check(name, canon, err);

	if (rc)
		return rc;
	mbox_dir(canon, dir);
	mb = xcalloc(1, sizeof(*mb));
	mb->st = st;
	mb->name = xstrdup(canon);
	mb->dir = xstrdup(dir);
	mb->flags = flags;
	mb->dirfd = mb->curfd = mb->newfd = -1;
	rc = open_dirs(mb, err);
	if (!rc)
		(void)mb_keywords_load(mb);
	if (!rc)
		rc = flags & MB_NO_SCAN ? open_unscanned(mb, err) : mb_sync(mb, true, err);
	if (rc) {
		mailbox_close(&mb);
		return rc;
	}
	if (!(flags & (MB_NO_SCAN | MB_READONLY))) {
		if (!strcmp(dir, "."))
			clean_tmp(st);
		mb_take_delivered(mb);
	}
	mb->told = mb->snap.n;
	mb->keywords_new = false;
	*out = mb;
	return 0;
}

void mailbox_close(struct mailbox **mb)
{
	struct mailbox *m = *mb;

	if (!m)
		return;
	mailbox_summary_flush(m);
	snap_free(&m->snap);
	for (unsigned i = 0; i < STORE_KEYWORDS; i++)
		free(m->kw.name[i]);
	fd_close(&m->dirfd);
	fd_close(&m->curfd);
	fd_close(&m->newfd);
	free(m->expunged);
	free(m->changed);
	free(m->name);
	free(m->dir);
	free(m);
	*mb = NULL;
}

const char *mailbox_name(const struct mailbox *mb)
{
	return mb->name;
}

bool mailbox_readonly(const struct mailbox *mb)
{
	return mb->flags & MB_READONLY;
}

size_t mailbox_count(const struct mailbox *mb)
{
	return mb->snap.n;
}

const struct mb_msg *mailbox_msg(const struct mailbox *mb, size_t i)
{
	BUG_ON(i >= mb->snap.n);
	return &mb->snap.v[i];
}

uint32_t mailbox_uidvalidity(const struct mailbox *mb)
{
	return mb->uid.uidvalidity;
}

uint32_t mailbox_uidnext(const struct mailbox *mb)
{
	return mb->uid.next > mb->max_uid ? mb->uid.next : mb->max_uid + 1;
}

size_t mailbox_recent(const struct mailbox *mb)
{
	return mb->recent;
}

size_t mailbox_lower(const struct mailbox *mb, uint32_t uid)
{
	return snap_lower(&mb->snap, mb->snap.n, uid);
}

/* Takes what is gone out of the snapshot and notes its sequence numbers, greatest first. */
static size_t drop_gone(struct mailbox *mb)
{
	struct mb_snap *s = &mb->snap;
	size_t gone = 0, n = 0, at;

	for (size_t i = 0; i < s->n; i++)
		gone += (s->v[i].flags & MB_GONE) != 0;
	if (!gone)
		return 0;
	mb->expunged = xreallocarray(mb->expunged, gone, sizeof(*mb->expunged));
	at = gone;
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].flags & MB_GONE) {
			mb->expunged[--at] = (uint32_t)i + 1;
			mb->recent -= (s->v[i].flags & MB_RECENT) != 0;
		} else {
			s->v[n++] = s->v[i];
		}
	}
	s->n = n;
	return gone;
}

static size_t list_changed(struct mailbox *mb)
{
	struct mb_snap *s = &mb->snap;
	size_t n = 0;

	if (!mb->any_changed)
		return 0;
	mb->any_changed = false;
	for (size_t i = 0; i < s->n; i++)
		n += (s->v[i].bits & MBI_CHANGED) != 0;
	if (!n)
		return 0;
	mb->changed = xreallocarray(mb->changed, n, sizeof(*mb->changed));
	n = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (!(s->v[i].bits & MBI_CHANGED))
			continue;
		s->v[i].bits &= (uint8_t)~MBI_CHANGED;
		if (!(s->v[i].flags & MB_GONE))
			mb->changed[n++] = (uint32_t)i + 1;
	}
	return n;
}

int mailbox_refresh(struct mailbox *mb, bool expunge, struct mailbox_changes *out, struct err *err)
{
	struct mailbox_changes c = {0};
	size_t before = mb->told;
	int rc = 0;

	mailbox_summary_flush(mb);
	if (!mb_quiet(mb)) {
		(void)mb_keywords_load(mb);
		rc = mb_sync(mb, false, err);
		if (rc)
			return rc;
		if (!(mb->flags & MB_READONLY))
			mb_take_delivered(mb);
	}
	c.exists = mb->snap.n > before;
	if (expunge)
		c.n_expunged = drop_gone(mb);
	c.n_changed = list_changed(mb);
	c.expunged = mb->expunged;
	c.changed = mb->changed;
	c.keywords = mb->keywords_new;
	mb->keywords_new = false;
	mb->told = mb->snap.n;
	*out = c;
	return 0;
}

static int open_msg(struct mailbox *mb, const struct mb_msg *m)
{
	char name[MDIR_NAME_MAX + 1];
	struct sv sv = snap_name(&mb->snap, m);

	snprintf(name, sizeof(name), SV_FMT, SV_ARG(sv));
	return openat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

int mailbox_body(struct mailbox *mb, size_t i, struct err *err)
{
	struct mb_msg *m;
	int fd, rc;

	BUG_ON(i >= mb->snap.n);
	m = &mb->snap.v[i];
	if (m->flags & MB_GONE)
		return err_set(err, ERR_NOT_FOUND, "the message is gone");
	fd = open_msg(mb, m);
	if (fd < 0 && errno == ENOENT) {
		rc = mb_relocate(mb, err);
		if (rc)
			return rc;
		fd = open_msg(mb, m);
		if (fd < 0 && errno == ENOENT) {
			m->flags |= MB_GONE;
			return err_set(err, ERR_NOT_FOUND, "the message is gone");
		}
	}
	return fd < 0 ? err_sys(err, "message %u", m->uid) : fd;
}

time_t mailbox_date(struct mailbox *mb, size_t i)
{
	struct mb_msg *m;
	struct stat st;
	int fd;

	BUG_ON(i >= mb->snap.n);
	m = &mb->snap.v[i];
	if (m->date)
		return m->date;
	if (!mdir_name_dated(snap_name(&mb->snap, m), &m->date)) {
		char name[MDIR_NAME_MAX + 1];
		struct sv sv = snap_name(&mb->snap, m);

		snprintf(name, sizeof(name), SV_FMT, SV_ARG(sv));
		if (!fstatat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, name, &st, AT_SYMLINK_NOFOLLOW)) {
			m->date = st.st_mtim.tv_sec;
		} else { /* renamed meanwhile, or gone */
			fd = mailbox_body(mb, i, NULL);
			if (fd >= 0 && !fstat(fd, &st))
				m->date = st.st_mtim.tv_sec;
			fd_close(&fd);
		}
	}
	return m->date;
}

static struct sv msg_uniq(const struct mailbox *mb, const struct mb_msg *m)
{
	struct mdir_name n;

	return mdir_name_parse(snap_name(&mb->snap, m), &n) ? SV_NONE : n.uniq;
}

int mailbox_summary_get(struct mailbox *mb, size_t i, struct buf *out)
{
	const struct mb_msg *m = mailbox_msg(mb, i);
	struct index *ix = store_index(mb->st);
	struct sv uniq = msg_uniq(mb, m);

	if (!ix || !uniq.n)
		return 0;
	return index_get(ix, (struct index_key){mb->uid.uidvalidity, m->uid}, uniq, out);
}

void mailbox_summary_put(struct mailbox *mb, size_t i, struct sv bytes)
{
	const struct mb_msg *m = mailbox_msg(mb, i);
	struct index *ix = store_index(mb->st);
	struct sv uniq = msg_uniq(mb, m);

	if (ix && uniq.n && bytes.n <= STORE_MAX_SUMMARY)
		index_put(ix, (struct index_key){mb->uid.uidvalidity, m->uid}, uniq, bytes);
}

void mailbox_summary_flush(struct mailbox *mb)
{
	int rc = mb->st->index ? index_flush(mb->st->index, NULL) : 0;

	if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT)
		index_close(&mb->st->index); /* deleted or damaged: the next use begins anew */
}

int mailbox_status(struct store *st, struct sv name, struct mb_status *out, struct err *err)
{
	struct mb_status s = {0};
	struct mailbox *mb;
	int rc = mailbox_open(st, name, MB_READONLY, &mb, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < mb->snap.n; i++) {
		const struct mb_msg *m = &mb->snap.v[i];

		s.messages++;
		s.recent += (m->flags & MB_RECENT) != 0;
		s.unseen += !(m->flags & MB_SEEN);
		s.deleted += (m->flags & MB_DELETED) != 0;
		s.size += m->wsize;
	}
	s.uidnext = mailbox_uidnext(mb);
	s.uidvalidity = mb->uid.uidvalidity;
	mailbox_close(&mb);
	*out = s;
	return 0;
}

void mailbox_watch_paths(const struct mailbox *mb, char *paths[2])
{
	paths[0] = xasprintf("%s/%s/new", mb->st->path, mb->dir);
	paths[1] = xasprintf("%s/%s/cur", mb->st->path, mb->dir);
}
