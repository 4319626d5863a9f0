/* qindex_read.c - reads of the queue index: short transactions in the loop; see qindex.h. */
#include "qmgr/qindex_int.h"

static MDB_txn *begin(struct qindex *x)
{
	return mdb_txn_renew(x->rd) == 0 ? x->rd : NULL;
}

bool qindex_has(struct qindex *x, struct sv qid)
{
	MDB_txn *t = begin(x);
	MDB_val k = val(qid.p, qid.n), v;
	if (!t)
		return false;
	int rc = mdb_get(t, x->row, &k, &v);
	mdb_txn_reset(t);
	return rc == 0;
}

bool qindex_get(struct qindex *x, struct sv qid, struct arena *a, struct qm_row *row)
{
	MDB_txn *t = begin(x);
	MDB_val k = val(qid.p, qid.n), v;
	bool ok = false;
	if (!t)
		return false;
	if (mdb_get(t, x->row, &k, &v) == 0) {
		struct sv copy;
		if (arena_sv(a, sv_of(v.mv_data, v.mv_size), &copy) == 0) {
			MDB_val c = val(copy.p, copy.n);
			ok = decode(&c, a, row);
		}
	}
	mdb_txn_reset(t);
	return ok;
}

size_t qindex_due(struct qindex *x, int64_t now, size_t max, char (*qid)[MAIL_QID_MAX + 1], int64_t *next)
{
	MDB_txn *t = begin(x);
	MDB_cursor *c;
	MDB_val k, v;
	size_t n = 0;
	*next = INT64_MAX;
	if (!t)
		return 0;
	if (mdb_cursor_open(t, x->time, &c) == 0) {
		int rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
		while (rc == 0 && k.mv_size > 8 && k.mv_size <= 8 + MAIL_QID_MAX) {
			uint64_t when = from_be64(k.mv_data);
			if (when > (uint64_t)now || n == max) {
				*next = (int64_t)when;
				break;
			}
			memcpy(qid[n], (const char *)k.mv_data + 8, k.mv_size - 8);
			qid[n++][k.mv_size - 8] = '\0';
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
		}
		mdb_cursor_close(c);
	}
	mdb_txn_reset(t);
	return n;
}

size_t qindex_page(struct qindex *x, struct sv after, size_t max,
    bool (*fn)(void *arg, struct sv qid, const struct qm_row *row), void *arg)
{
	MDB_txn *t = begin(x);
	MDB_cursor *c;
	MDB_val k = val(after.p, after.n), v;
	size_t n = 0;
	struct arena a;
	arena_init(&a, ROW_ARENA);
	if (!t)
		return 0;
	if (mdb_cursor_open(t, x->row, &c) == 0) {
		int rc = mdb_cursor_get(c, &k, &v, after.n ? MDB_SET_RANGE : MDB_FIRST);
		if (rc == 0 && after.n && sv_eq(sv_of(k.mv_data, k.mv_size), after))
			rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
		for (; rc == 0 && n < max; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
			struct qm_row row;
			n++;
			arena_clear(&a);
			if (!fn(arg, sv_of(k.mv_data, k.mv_size), decode(&v, &a, &row) ? &row : NULL))
				break;
		}
		mdb_cursor_close(c);
	}
	mdb_txn_reset(t);
	arena_clear(&a);
	return n;
}

size_t qindex_site(struct qindex *x, struct sv site, struct sv after, size_t max, char (*qid)[MAIL_QID_MAX + 1])
{
	char key[DOMAIN_MAX + 1 + MAIL_QID_MAX], prefix[DOMAIN_MAX + 1];
	MDB_txn *t = begin(x);
	MDB_cursor *c;
	MDB_val v;
	size_t n = 0;
	if (!t)
		return 0;
	size_t np = site_key(key, site, SV_NONE);
	memcpy(prefix, key, np);
	MDB_val k = val(key, site_key(key, site, after));
	if (mdb_cursor_open(t, x->site, &c) == 0) {
		int rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
		for (; rc == 0 && n < max; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
			size_t len = k.mv_size - np;
			if (k.mv_size <= np || len > MAIL_QID_MAX || memcmp(k.mv_data, prefix, np) != 0)
				break;
			struct sv id = sv_of((const char *)k.mv_data + np, len);
			if (sv_eq(id, after))
				continue;
			memcpy(qid[n], id.p, id.n);
			qid[n++][id.n] = '\0';
		}
		mdb_cursor_close(c);
	}
	mdb_txn_reset(t);
	return n;
}
