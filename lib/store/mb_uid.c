/* mb_uid.c - who gets which UID: the folder's merpati-uid, Dovecot's list taken over, names given to new messages. */
#include <fcntl.h>

#include "base/fsutil.h"
#include "store/store_priv.h"

int mb_uid_load(struct mailbox *mb, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(256);
	struct err why = {0};
	struct uid_file u;
	int rc = fs_read_file(mb->dirfd, STORE_UID_FILE, &b, &why);

	if (rc == ERR_SYS && why.sys == ENOENT)
		return err_set(err, ERR_NOT_FOUND, STORE_UID_FILE " is not there yet");
	if (rc == ERR_SYS)
		return err_set(err, ERR_SYS, "%s", why.text);
	if (rc || uid_file_parse(buf_sv(&b), &u))
		return err_set(err, ERR_NOT_FOUND, STORE_UID_FILE " is damaged");
	mb->uid = u;
	return 0;
}

static int uid_write(struct mailbox *mb, const struct uid_file *u, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(256);

	uid_file_format(&b, u);
	return store_put_file(mb->st, mb->dirfd, STORE_UID_FILE, buf_sv(&b), err);
}

int mb_uid_take(struct mailbox *mb, size_t n, uint32_t *first, struct err *err)
{
	struct uid_file u;
	int rc = mb_uid_load(mb, err); /* another process may have taken some */

	if (rc == ERR_NOT_FOUND)
		rc = mb_uid_create(mb, err);
	if (rc)
		return rc;
	u = mb->uid;
	if (n >= UINT32_MAX - u.next)
		return err_set(err, ERR_LIMIT, "no UIDs are left in this folder");
	*first = u.next;
	u.next += (uint32_t)n;
	rc = uid_write(mb, &u, err);
	if (!rc)
		mb->uid = u;
	return rc;
}

int mb_measure(int fd, uint64_t *size, uint64_t *wsize)
{
	CLEANUP(freep) char *buf = xmalloc(65536);
	uint64_t total = 0, lone = 0;
	char last = 0;
	ssize_t n;

	while ((n = read(fd, buf, 65536)) > 0) {
		const char *p = buf, *end = buf + n;

		while ((p = memchr(p, '\n', (size_t)(end - p)))) {
			if ((p > buf ? p[-1] : last) != '\r')
				lone++;
			if (++p == end)
				break;
		}
		last = buf[n - 1];
		total += (uint64_t)n;
	}
	if (n < 0)
		return ERR_SYS;
	*size = total;
	*wsize = total + lone;
	return 0;
}

/* Sizes of a message whose name does not tell them; false when the file has gone. */
static bool fill_sizes(struct mailbox *mb, struct mb_snap *s, struct mb_msg *m)
{
	CLEANUP(fd_closep) int fd = -1;
	char name[MDIR_NAME_MAX + 1];
	struct sv sv = snap_name(s, m);

	if (m->size != UINT64_MAX && m->wsize != UINT64_MAX)
		return true;
	snprintf(name, sizeof(name), SV_FMT, SV_ARG(sv));
	fd = openat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT && errno != ELOOP;
	return !mb_measure(fd, &m->size, &m->wsize);
}

/* Dovecot's UIDs: entries sorted by the name's base. */
struct taken {
	struct sv base;
	uint32_t uid;
};

static struct sv name_base(struct sv name)
{
	ssize_t at = sv_find(name, SV(":2,"));

	return at < 0 ? name : sv_head(name, (size_t)at);
}

static int taken_cmp(const void *a, const void *b)
{
	return sv_cmp(((const struct taken *)a)->base, ((const struct taken *)b)->base);
}

/* Renames m to what n says; ERR_NOT_FOUND when the file has gone. */
static int give_name(
    struct mailbox *mb, struct mb_snap *s, struct mb_msg *m, uint32_t uid, bool to_cur, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX + 1);
	char old[MDIR_NAME_MAX + 1], unique[96];
	struct sv sv = snap_name(s, m);
	bool in_cur = to_cur || !(m->bits & MBI_NEW);
	struct mdir_name n;

	if (mdir_name_parse(sv, &n))
		return ERR_NOT_FOUND;
	snprintf(old, sizeof(old), SV_FMT, SV_ARG(sv));
	n.has_size = m->size != UINT64_MAX;
	n.size = m->size;
	n.has_wsize = m->wsize != UINT64_MAX;
	n.wsize = m->wsize;
	n.has_uid = true;
	n.uid = uid;
	n.uidvalidity = mb->uid.uidvalidity;
	if (mdir_name_format(&b, &n, in_cur || n.upper || n.lower)) { /* too long with our fields: a new name */
		store_unique(mb->st, mdir_name_time(sv), unique);
		n.base = sv_str(unique);
		if (mdir_name_format(&b, &n, in_cur))
			return err_set(err, ERR_LIMIT, "file name too long");
	}
	if (renameat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, old, in_cur ? mb->curfd : mb->newfd, buf_cstr(&b)))
		return errno == ENOENT ? ERR_NOT_FOUND : err_sys(err, "rename of %s", old);
	if (in_cur)
		m->bits &= (uint8_t)~MBI_NEW;
	m->uid = uid;
	return snap_set_name(s, m, buf_sv(&b));
}

/* Reads dovecot-uidlist; mb->uid gets its head.  ERR_NOT_FOUND when there is none that can be used. */
static int take_over(struct mailbox *mb, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(STORE_FILE_MAX);
	struct mb_snap s = {0};
	struct uidlist_entry e;
	struct taken *t = NULL;
	size_t n = 0, cap = 0;
	struct uidlist u;
	uint32_t next;
	int rc;

	if (fs_read_file(mb->dirfd, "dovecot-uidlist", &text, NULL) || uidlist_begin(buf_sv(&text), &u))
		return ERR_NOT_FOUND;
	next = u.head.next;
	while (uidlist_next(&u, &e)) {
		if (n == cap) {
			cap = cap ? cap * 2 : 256;
			t = xreallocarray(t, cap, sizeof(*t));
		}
		t[n++] = (struct taken){name_base(e.name), e.uid};
		if (e.uid >= next && e.uid < UINT32_MAX)
			next = e.uid + 1;
	}
	if (n)
		qsort(t, n, sizeof(*t), taken_cmp);
	mb->uid = (struct uid_file){u.head.uidvalidity, next};
	rc = snap_scan(&s, mb->newfd, true, mb->uid.uidvalidity, err);
	if (!rc)
		rc = snap_scan(&s, mb->curfd, false, mb->uid.uidvalidity, err);
	for (size_t i = 0; !rc && i < s.n; i++) /* a folder of ours whose own file was lost */
		if (s.v[i].uid >= mb->uid.next && s.v[i].uid < UINT32_MAX)
			mb->uid.next = s.v[i].uid + 1;
	for (size_t i = 0; !rc && n && i < s.n; i++) {
		struct taken key = {.base = name_base(snap_name(&s, &s.v[i]))}, *hit;

		hit = bsearch(&key, t, n, sizeof(*t), taken_cmp);
		if (hit && hit->uid && !s.v[i].uid && fill_sizes(mb, &s, &s.v[i])) {
			rc = give_name(mb, &s, &s.v[i], hit->uid, false, err);
			hit->uid = 0; /* a second file of that name gets a UID of its own */
			rc = rc == ERR_NOT_FOUND ? 0 : rc;
		}
	}
	snap_free(&s);
	free(t);
	return rc;
}

/*
 * The names come before the file: after a crash in between the next open takes Dovecot's list again and finds the names
 * (with the same UIDVALIDITY) already given.
 */
int mb_uid_create(struct mailbox *mb, struct err *err)
{
	struct uid_file u = {.next = 1};
	int rc = take_over(mb, err);

	if (rc == ERR_NOT_FOUND) {
		rc = store_new_uidvalidity(mb->st, &u.uidvalidity, err);
		if (rc)
			return rc;
		mb->uid = u;
	}
	return rc ? rc : uid_write(mb, &mb->uid, err);
}

/* Order of arrival: the seconds at the beginning of the name, then the name. */
struct arrival {
	int64_t time;
	struct sv name;
	size_t at;
};

static int arrival_cmp(const void *a, const void *b)
{
	const struct arrival *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return sv_cmp(x->name, y->name);
}

/* Those without UID, in their order; the caller frees them. */
static struct arrival *arrivals(const struct mb_snap *s, size_t *n)
{
	struct arrival *v = NULL;
	size_t cap = 0;

	*n = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].uid)
			continue;
		if (*n == cap) {
			cap = cap ? cap * 2 : 64;
			v = xreallocarray(v, cap, sizeof(*v));
		}
		v[*n] = (struct arrival){.name = snap_name(s, &s->v[i]), .at = i};
		v[*n].time = mdir_name_time(v[*n].name);
		(*n)++;
	}
	if (*n)
		qsort(v, *n, sizeof(*v), arrival_cmp);
	return v;
}

static bool is_there(struct mailbox *mb, const struct mb_snap *s, const struct mb_msg *m)
{
	char name[MDIR_NAME_MAX + 1];
	struct sv sv = snap_name(s, m);

	snprintf(name, sizeof(name), SV_FMT, SV_ARG(sv));
	return !faccessat(m->bits & MBI_NEW ? mb->newfd : mb->curfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* The same file under two names: it was renamed while the folder was read. */
static bool same_file(const struct mb_snap *s, const struct mb_msg *a, const struct mb_msg *b)
{
	return sv_eq(name_base(snap_name(s, a)), name_base(snap_name(s, b)));
}

/*
 * Two entries with one UID are either one file that was seen twice, of which the name that is there now is kept, or a
 * copy that somebody made by hand, which gets a UID of its own.  A UID from the future is nobody's.
 */
static void drop_false_uids(struct mailbox *mb, struct mb_snap *s)
{
	struct mb_msg *last = NULL; /* holder of the current UID */
	size_t n = 0;
	bool again = false;

	for (size_t i = 0; i < s->n; i++) {
		struct mb_msg m = s->v[i];
		bool twice = m.uid && last && last->uid == m.uid;

		if (twice && same_file(s, last, &m)) {
			if (!is_there(mb, s, last))
				*last = m;
			continue;
		}
		if (m.uid && (twice || m.uid >= mb->uid.next)) {
			m.uid = 0;
			again = true;
		}
		s->v[n++] = m;
		if (m.uid)
			last = &s->v[n - 1];
	}
	s->n = n;
	if (again)
		snap_sort(s);
}

/* Without those whose uid is still 0: they went away, or could not be had. */
static void compact(struct mb_snap *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].uid)
			s->v[n++] = s->v[i];
	s->n = n;
}

static int assign_new(struct mailbox *mb, struct mb_snap *s, struct err *err)
{
	bool rw = !(mb->flags & MB_READONLY);
	struct arrival *v;
	uint32_t uid = 0;
	size_t n;
	int rc = 0;

	v = arrivals(s, &n);
	if (n)
		rc = mb_uid_take(mb, n, &uid, err);
	for (size_t i = 0; !rc && i < n; i++, uid++) {
		struct mb_msg *m = &s->v[v[i].at];
		bool was_new = m->bits & MBI_NEW;

		if (!fill_sizes(mb, s, m))
			continue;
		rc = give_name(mb, s, m, uid, rw, err);
		if (!rc && was_new)
			m->flags |= MB_RECENT;
		rc = rc == ERR_NOT_FOUND ? 0 : rc;
	}
	free(v);
	compact(s);
	return rc;
}

int mb_uid_assign(struct mailbox *mb, struct mb_snap *s, struct err *err)
{
	bool rw = !(mb->flags & MB_READONLY);
	int rc;

	snap_sort(s);
	drop_false_uids(mb, s);
	for (size_t i = 0; i < s->n; i++) {
		struct mb_msg *m = &s->v[i];

		if (!m->uid)
			continue;
		if (m->bits & MBI_NEW)
			m->flags |= MB_RECENT;
		if (!(m->bits & MBI_NEW) || !rw)
			continue;
		rc = give_name(mb, s, m, m->uid, true, err);
		if (rc == ERR_NOT_FOUND)
			m->uid = 0;
		else if (rc)
			return rc;
	}
	rc = assign_new(mb, s, err);
	if (!rc)
		snap_sort(s);
	for (size_t i = 0; !rc && i < s->n; i++)
		if (!fill_sizes(mb, s, &s->v[i]) || s->v[i].size == UINT64_MAX)
			s->v[i].size = s->v[i].wsize = 0;
	return rc;
}
