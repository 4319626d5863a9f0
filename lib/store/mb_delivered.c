/* mb_delivered.c - puts the summaries that came with delivered messages into the index (delivered.h). */
#include "base/htable.h"
#include "store/delivered.h"
#include "store/store_priv.h"

struct by_name {
	UT_hash_handle hh;
	uint32_t uid;
	struct sv uniq;
};

struct taking {
	struct mailbox *mb;
	struct index *ix;
	struct by_name *all, *table; /* made when the first record is there */
};

static void make_table(struct taking *t)
{
	const struct mb_snap *s = &t->mb->snap;

	t->all = xcalloc(s->n + 1, sizeof(*t->all));
	for (size_t i = 0; i < s->n; i++) {
		struct by_name *e = &t->all[i], *other;
		struct mdir_name n;

		if (s->v[i].uid == 0 || mdir_name_parse(snap_name(s, &s->v[i]), &n) < 0)
			continue;
		e->uid = s->v[i].uid;
		e->uniq = n.uniq;
		HASH_FIND(hh, t->table, e->uniq.p, e->uniq.n, other);
		if (!other)
			HASH_ADD_KEYPTR(hh, t->table, e->uniq.p, e->uniq.n, e);
	}
}

static void put_one(void *arg, struct sv name, struct sv summary)
{
	struct taking *t = arg;
	struct by_name *e;

	if (!t->all)
		make_table(t);
	HASH_FIND(hh, t->table, name.p, name.n, e);
	if (e)
		index_put(t->ix, (struct index_key){t->mb->uid.uidvalidity, e->uid}, name, summary);
}

void mb_take_delivered(struct mailbox *mb)
{
	struct taking t = {.mb = mb};

	if (faccessat(mb->dirfd, DELIVERED_FILE, F_OK, 0) < 0)
		return;
	t.ix = store_index(mb->st);
	if (!t.ix)
		return; /* another session writes: the file waits */
	(void)delivered_take(mb->dirfd, put_one, &t);
	HASH_CLEAR(hh, t.table);
	free(t.all);
	mailbox_summary_flush(mb);
}
