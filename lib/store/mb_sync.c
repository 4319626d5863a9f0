/*
 * mb_sync.c - takes up what others did to the folder.  A readdir beside a rename may miss a file, so only a pass that
 * finds exactly what was known is believed without the lock; anything else is looked at again under it (our own
 * sessions rename under the lock), and what is missing there is looked for again before it counts as removed.
 */
#include <sys/stat.h>

#include "base/clock.h"

#include "store/store_priv.h"

/* File times are as coarse as the kernel's tick: younger ones may hide a second change. */
#define SETTLE_NS 60000000LL
#define LOOKS_MAX 10	    /* readings of a folder in which others rename, before what was never seen is gone */
#define OWN_RECHECK_MS 1000 /* after a change of our own the directory is read again at the latest after this */

/* File times come from the kernel's own clock, not from base/clock with a test's offset. */
static bool settled(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((long long)now.tv_sec - t->tv_sec) * 1000000000LL + now.tv_nsec - t->tv_nsec > SETTLE_NS;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* False for a folder that was removed, too: its time stays what it was. */
static bool dir_time(int fd, struct timespec *t)
{
	struct stat st;

	if (fstat(fd, &st) || !st.st_nlink)
		return false;
	*t = st.st_mtim;
	return true;
}

bool mb_quiet(struct mailbox *mb)
{
	struct timespec cur, new;

	if (!mb->settled || (mb->recheck && clock_mono_ms() >= mb->recheck))
		return false;
	return dir_time(mb->curfd, &cur) && dir_time(mb->newfd, &new) && same_time(&cur, &mb->cur_time) &&
	       same_time(&new, &mb->new_time);
}

void mb_doubt(struct mailbox *mb)
{
	mb->settled = mb->young = false;
}

void mailbox_look_again(struct mailbox *mb)
{
	if (mb->recheck)
		mb_doubt(mb);
}

/* Nothing has changed since the last pass but, perhaps, in the same tick as it: OWN_RECHECK_MS bounds that doubt. */
static bool nearly_quiet(struct mailbox *mb)
{
	struct timespec cur, new;

	return mb->young && dir_time(mb->curfd, &cur) && dir_time(mb->newfd, &new) && same_time(&cur, &mb->cur_time) &&
	       same_time(&new, &mb->new_time);
}

void mb_own_change_begin(struct mailbox *mb, bool *clean)
{
	*clean = mb->locked && (mb_quiet(mb) || nearly_quiet(mb));
}

void mb_own_change_end(struct mailbox *mb, bool clean)
{
	mb->settled = clean && dir_time(mb->curfd, &mb->cur_time) && dir_time(mb->newfd, &mb->new_time);
	mb->young = false;
	if (mb->settled && !mb->recheck)
		mb->recheck = clock_mono_ms() + OWN_RECHECK_MS;
}

/* The times are taken before the pass, so that a change during it shows. */
static int pass(struct mailbox *mb, struct mb_snap *s, struct err *err)
{
	int rc;

	snap_free(s);
	mb->young = dir_time(mb->curfd, &mb->cur_time) && dir_time(mb->newfd, &mb->new_time);
	mb->settled = mb->young && settled(&mb->cur_time) && settled(&mb->new_time);
	mb->recheck = 0;
	rc = snap_scan(s, mb->newfd, true, mb->uid.uidvalidity, err);
	if (!rc)
		rc = snap_scan(s, mb->curfd, false, mb->uid.uidvalidity, err);
	if (!rc)
		snap_sort(s);
	return rc;
}

/* How many messages of the snapshot that are not gone are not in s. */
static size_t count_missing(const struct mailbox *mb, const struct mb_snap *s)
{
	size_t j = 0, missing = 0;

	for (size_t i = 0; i < mb->snap.n; i++) {
		const struct mb_msg *m = &mb->snap.v[i];

		if (m->flags & MB_GONE)
			continue;
		while (j < s->n && s->v[j].uid && s->v[j].uid < m->uid)
			j++;
		if (j == s->n || s->v[j].uid != m->uid)
			missing++;
	}
	return missing;
}

/* Nothing moved in cur/ while it was read: what was not seen is not there. */
static bool was_still(const struct mailbox *mb)
{
	struct timespec now;

	return settled(&mb->cur_time) && dir_time(mb->curfd, &now) && same_time(&now, &mb->cur_time);
}

static size_t with_uid(const struct mb_snap *s)
{
	size_t n = s->n;

	while (n && !s->v[n - 1].uid)
		n--;
	return n;
}

/* Adds to s those messages of t whose UID it lacks. */
static int unite(struct mb_snap *s, const struct mb_snap *t)
{
	size_t known = with_uid(s);

	for (size_t i = 0; i < t->n && t->v[i].uid; i++) {
		size_t at = snap_lower(s, known, t->v[i].uid);
		const struct mb_msg *m = &t->v[i];

		if (at < known && s->v[at].uid == m->uid)
			continue;
		if (snap_append(s, m, snap_name(t, &t->v[i])))
			return ERR_LIMIT;
	}
	snap_sort(s);
	return 0;
}

/*
 * Programs that know nothing of our lock may rename while we read, and what they rename may be missed.  So while others
 * are at work and each further reading still finds some of what was missing, it is read again.
 */
static int find_missing(struct mailbox *mb, struct mb_snap *s, struct err *err)
{
	size_t missing = count_missing(mb, s);

	for (int i = 0; i < LOOKS_MAX && missing && !was_still(mb); i++) {
		struct mb_snap t = {0};
		size_t before = missing;
		int rc = pass(mb, &t, err);

		if (!rc)
			rc = unite(s, &t);
		snap_free(&t);
		if (rc)
			return rc;
		missing = count_missing(mb, s);
		if (missing == before && i > 0)
			break;
	}
	return 0;
}

/* The same messages, none without UID, none to be moved out of new/: only flags can differ. */
static bool same_set(const struct mailbox *mb, const struct mb_snap *s)
{
	size_t j = 0;

	for (size_t i = 0; i < mb->snap.n; i++) {
		if (mb->snap.v[i].flags & MB_GONE)
			continue;
		if (j == s->n || s->v[j].uid != mb->snap.v[i].uid ||
		    ((s->v[j].bits & MBI_NEW) && !(mb->flags & MB_READONLY)))
			return false;
		j++;
	}
	return j == s->n;
}

/* Knows the client's uids: what appears below the greatest one seen came back from elsewhere and gets a new UID. */
static void drop_returned(const struct mailbox *mb, struct mb_snap *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n && s->v[i].uid && s->v[i].uid <= mb->max_uid; i++) {
		size_t at = snap_lower(&mb->snap, mb->snap.n, s->v[i].uid);

		if (at == mb->snap.n || mb->snap.v[at].uid != s->v[i].uid || (mb->snap.v[at].flags & MB_GONE)) {
			s->v[i].uid = 0;
			any = true;
		}
	}
	if (any)
		snap_sort(s);
}

/* Without the lock: only messages that have a UID above those the client knows, or that it knows. */
static void only_sure(const struct mailbox *mb, struct mb_snap *s)
{
	size_t n = 0;

	drop_returned(mb, s);
	for (size_t i = 0; i < s->n && s->v[i].uid; i++) {
		if (n && s->v[n - 1].uid == s->v[i].uid)
			continue;
		if (s->v[i].size == UINT64_MAX || s->v[i].wsize == UINT64_MAX)
			continue;
		if (s->v[i].bits & MBI_NEW)
			s->v[i].flags |= MB_RECENT;
		s->v[n++] = s->v[i];
	}
	s->n = n;
}

/* What is known of the message stays; what the file name says now is taken. */
static struct mb_msg merge_one(const struct mb_msg *old, const struct mb_msg *now)
{
	struct mb_msg m = *now;

	m.date = old->date;
	m.size = old->size;
	m.wsize = old->wsize;
	m.flags = (uint8_t)((now->flags & MB_FLAGS) | (old->flags & MB_RECENT));
	m.bits |= old->bits & MBI_CHANGED;
	if ((old->flags & MB_FLAGS) != (now->flags & MB_FLAGS) || old->keywords != now->keywords)
		m.bits |= MBI_CHANGED;
	return m;
}

/* The new snapshot: the old one in its order, with what is gone marked, then what is new. */
static void merge(struct mailbox *mb, struct mb_snap *s, bool complete)
{
	struct mb_snap *old = &mb->snap;
	struct mb_msg *v = xreallocarray(NULL, old->n + s->n + 1, sizeof(*v));
	size_t n = 0, j = 0;

	mb->any_changed = true;
	for (size_t i = 0; i < old->n; i++) {
		struct mb_msg m = old->v[i];

		if (m.flags & MB_GONE) {
			v[n++] = m;
			continue;
		}
		while (j < s->n && s->v[j].uid < m.uid)
			j++; /* cannot be: drop_returned has seen to it */
		if (j < s->n && s->v[j].uid == m.uid) {
			m = merge_one(&m, &s->v[j++]);
		} else if (complete || snap_set_name(s, &m, snap_name(old, &old->v[i]))) {
			m.flags |= MB_GONE;
			m.name_len = 0;
		}
		v[n++] = m;
	}
	for (; j < s->n; j++)
		v[n++] = s->v[j];
	mb->recent = 0;
	for (size_t i = 0; i < n; i++)
		mb->recent += (v[i].flags & MB_RECENT) != 0;
	if (n && v[n - 1].uid > mb->max_uid)
		mb->max_uid = v[n - 1].uid;
	snap_free(old);
	free(s->v);
	*old = (struct mb_snap){v, n, n + 1, s->names, s->names_n, s->names_cap};
	*s = (struct mb_snap){0};
}

/* Under the lock: loads or makes the UID file, reads the folder, gives UIDs. */
static int pass_locked(struct mailbox *mb, struct mb_snap *s, struct err *err)
{
	uint32_t validity = mb->uid.uidvalidity;
	int rc = mb_uid_load(mb, err);

	if (rc == ERR_NOT_FOUND)
		rc = mb_uid_create(mb, err);
	if (!rc && validity && validity != mb->uid.uidvalidity)
		rc = err_set(err, ERR_CLOSED, "the folder got a new UIDVALIDITY"); /* the session must select it anew */
	if (!rc)
		rc = pass(mb, s, err);
	if (!rc)
		rc = find_missing(mb, s, err);
	if (rc)
		return rc;
	drop_returned(mb, s);
	return mb_uid_assign(mb, s, err);
}

int mb_sync(struct mailbox *mb, bool first, struct err *err)
{
	struct mb_snap s = {0};
	bool locked;
	int rc = 0;

	if (!first) {
		rc = pass(mb, &s, err);
		if (rc || same_set(mb, &s))
			goto out;
	}
	locked = !mb_lock(mb, NULL);
	if (locked) {
		rc = pass_locked(mb, &s, err);
		if (!rc)
			mb->seen_next = mb->uid.next;
		mb_unlock(mb);
	} else {
		rc = first ? mb_uid_load(mb, err) : 0;
		if (rc == ERR_NOT_FOUND)
			rc = err_set(err, ERR_TEMP, "another process holds the lock of this folder");
		if (!rc && first)
			rc = pass(mb, &s, err);
		mb_doubt(mb);
		only_sure(mb, &s);
		if (!rc)
			merge(mb, &s, false);
		snap_free(&s);
		return rc;
	}
out:
	if (!rc)
		merge(mb, &s, true);
	else
		mb_doubt(mb);
	snap_free(&s);
	return rc;
}

int mb_add(struct mailbox *mb, const struct mb_msg *m, struct sv name)
{
	if (m->uid <= mb->max_uid || snap_append(&mb->snap, m, name))
		return ERR_LIMIT;
	mb->max_uid = m->uid;
	mb->recent += (m->flags & MB_RECENT) != 0;
	return 0;
}

int mb_relocate(struct mailbox *mb, struct err *err)
{
	struct mb_snap s = {0};
	size_t j = 0;
	int rc = pass(mb, &s, err);

	mb_doubt(mb); /* what is new or missing is for the next mb_sync */
	for (size_t i = 0; !rc && i < mb->snap.n; i++) {
		struct mb_msg *m = &mb->snap.v[i];

		while (j < s.n && s.v[j].uid && s.v[j].uid < m->uid)
			j++;
		if (j == s.n || !s.v[j].uid || s.v[j].uid != m->uid || (m->flags & MB_GONE))
			continue;
		*m = merge_one(m, &s.v[j]);
		mb->any_changed = true;
		rc = snap_set_name(&mb->snap, m, snap_name(&s, &s.v[j]));
	}
	snap_free(&s);
	return rc;
}
