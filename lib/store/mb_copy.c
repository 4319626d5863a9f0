/* mb_copy.c - COPY by hard link and MOVE by rename, with UIDs taken in one durable step for all messages. */
#include <fcntl.h>
#include <sys/stat.h>

#include "store/store_priv.h"

void mb_uidmap_free(struct mb_uidmap *m)
{
	free(m->src);
	free(m->dst);
	*m = (struct mb_uidmap){0};
}

/* Source keyword bits as bits of dest; names that dest lacks are made there while letters are free. */
struct kwmap {
	int to[STORE_KEYWORDS];
};

static void map_keywords(struct mailbox *src, const uint32_t *idx, size_t n, struct mailbox *dest, struct kwmap *map)
{
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++)
		if (idx[i] < src->snap.n)
			used |= src->snap.v[idx[i]].keywords;
	for (unsigned b = 0; b < STORE_KEYWORDS; b++) {
		const char *name = mailbox_keyword_name(src, b);

		map->to[b] = -1;
		if (src == dest)
			map->to[b] = (int)b;
		else if ((used >> b & 1) && name)
			map->to[b] = mailbox_keyword(dest, sv_str(name), true, NULL);
	}
}

static uint32_t translate(const struct kwmap *map, uint32_t keywords)
{
	uint32_t out = 0;

	for (unsigned b = 0; b < STORE_KEYWORDS; b++)
		if ((keywords >> b & 1) && map->to[b] >= 0)
			out |= 1u << map->to[b];
	return out;
}

struct transfer {
	struct mailbox *src, *dest;
	struct kwmap kw;
	bool move;
	struct mb_uidmap map;
	char (*names)[MDIR_NAME_MAX + 1]; /* made in dest, for the way back; NULL for a move */
	bool *in_new;
};

/* Name in dest for m; a fresh one for a copy, since one name stands for one file. */
static int dest_name(struct transfer *t, size_t i, uint32_t uid, bool in_new, struct buf *b, struct err *err)
{
	struct mb_msg *m = &t->src->snap.v[i];
	struct mdir_name n;
	char unique[96];

	buf_reset(b);
	if (!t->move) /* may find that the file has a new name */
		store_unique(t->src->st, mailbox_date(t->src, i), unique);
	if (mdir_name_parse(snap_name(&t->src->snap, m), &n))
		return ERR_NOT_FOUND;
	if (!t->move)
		n.base = sv_str(unique);
	n.has_size = n.has_wsize = n.has_uid = true;
	n.size = m->size;
	n.wsize = m->wsize;
	n.uid = uid;
	n.uidvalidity = t->dest->uid.uidvalidity;
	n.lower = translate(&t->kw, m->keywords);
	n.upper = mdir_letters(m->flags & MB_FLAGS, n.upper);
	return mdir_name_format(b, &n, !in_new) ? err_set(err, ERR_LIMIT, "file name too long") : 0;
}

static int transfer_name(struct transfer *t, size_t i, const char *to, bool in_new, struct err *err)
{
	struct mb_msg *m = &t->src->snap.v[i];
	char old[MDIR_NAME_MAX + 1];
	struct sv sv = snap_name(&t->src->snap, m);
	int from = m->bits & MBI_NEW ? t->src->newfd : t->src->curfd;
	int dest = in_new ? t->dest->newfd : t->dest->curfd;

	snprintf(old, sizeof(old), SV_FMT, SV_ARG(sv));
	if (t->move ? !renameat(from, old, dest, to) : !linkat(from, old, dest, to, 0))
		return 0;
	return errno == ENOENT ? ERR_NOT_FOUND : err_sys(err, "%s", t->move ? "rename" : "link");
}

/* What was worked out for the source is true of the copy. */
static void copy_summary(struct transfer *t, size_t i, uint32_t uid, struct sv name)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(STORE_MAX_SUMMARY);
	struct index *ix = store_index(t->src->st);
	struct mdir_name n;

	if (ix && mailbox_summary_get(t->src, i, &b) && !mdir_name_parse(name, &n))
		index_put(ix, (struct index_key){t->dest->uid.uidvalidity, uid}, n.uniq, buf_sv(&b));
}

static int transfer_one(struct transfer *t, size_t i, uint32_t uid, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX + 1);
	struct mb_msg *m = &t->src->snap.v[i];
	bool in_new = !(m->flags & MB_FLAGS) && !m->keywords;
	int rc = 0;

	for (int again = 0; again < 2; again++) {
		if (m->flags & MB_GONE)
			return ERR_NOT_FOUND;
		rc = dest_name(t, i, uid, in_new, &b, err);
		if (!rc)
			rc = transfer_name(t, i, buf_cstr(&b), in_new, err);
		if (rc != ERR_NOT_FOUND)
			break;
		if (again || mb_relocate(t->src, NULL)) {
			m->flags |= MB_GONE;
			return ERR_NOT_FOUND;
		}
	}
	if (rc)
		return rc;
	if (t->names) {
		snprintf(t->names[t->map.n], MDIR_NAME_MAX + 1, "%s", buf_cstr(&b));
		t->in_new[t->map.n] = in_new;
	}
	copy_summary(t, i, uid, buf_sv(&b));
	t->map.src[t->map.n] = m->uid;
	t->map.dst[t->map.n++] = uid;
	if (t->move)
		m->flags |= MB_GONE;
	return 0;
}

/* Links and renames are durable when the folders are synced. */
static int sync_dirs(struct transfer *t, struct err *err)
{
	if (fsync(t->dest->curfd) || fsync(t->dest->newfd))
		return err_sys(err, "fsync of the folder");
	return 0;
}

static void take_back(struct transfer *t)
{
	for (size_t i = 0; t->names && i < t->map.n; i++)
		(void)unlinkat(t->in_new[i] ? t->dest->newfd : t->dest->curfd, t->names[i], 0);
	t->map.n = 0;
}

static int transfer(struct mailbox *src, const uint32_t *idx, size_t n, struct mailbox *dest, bool move,
    struct mb_uidmap *map, struct err *err)
{
	struct transfer t = {.src = src, .dest = dest, .move = move};
	uint32_t uid = 0;
	int rc;

	if (move && (src->flags & MB_READONLY))
		return err_set(err, ERR_DENIED, "the folder was opened read-only");
	map_keywords(src, idx, n, dest, &t.kw);
	t.map.src = xcalloc(n ? n : 1, sizeof(uint32_t));
	t.map.dst = xcalloc(n ? n : 1, sizeof(uint32_t));
	if (!move) {
		t.names = xcalloc(n ? n : 1, sizeof(*t.names));
		t.in_new = xcalloc(n ? n : 1, sizeof(bool));
	}
	rc = n ? mb_lock(dest, err) : 0;
	if (!rc && n) {
		rc = mb_uid_take(dest, n, &uid, err);
		for (size_t i = 0; !rc && i < n; i++, uid++) {
			rc = idx[i] < src->snap.n ? transfer_one(&t, idx[i], uid, err) : 0;
			rc = rc == ERR_NOT_FOUND ? 0 : rc;
		}
		if (!rc)
			rc = sync_dirs(&t, err);
		if (rc && !move)
			take_back(&t);
		mb_doubt(dest);
		mb_doubt(src);
		mb_unlock(dest);
	} else if (rc == ERR_TIMEOUT) {
		rc = err_set(err, ERR_TEMP, "the folder is in use");
	}
	t.map.uidvalidity = dest->uid.uidvalidity;
	free(t.names);
	free(t.in_new);
	*map = t.map;
	return rc;
}

int mailbox_copy(
    struct mailbox *src, const uint32_t *idx, size_t n, struct mailbox *dest, struct mb_uidmap *map, struct err *err)
{
	return transfer(src, idx, n, dest, false, map, err);
}

int mailbox_move(
    struct mailbox *src, const uint32_t *idx, size_t n, struct mailbox *dest, struct mb_uidmap *map, struct err *err)
{
	return transfer(src, idx, n, dest, true, map, err);
}
