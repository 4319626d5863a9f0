/* qindex_int.h - what qindex.c and qindex_read.c have in common. */
#ifndef MERPATI_QINDEX_INT_H
#define MERPATI_QINDEX_INT_H

#include <lmdb.h>

#include "qmgr/qindex.h"

#define DOMAIN_MAX 255
#define ROW_ARENA (2u << 20)

struct op {
	struct op *next;
	int type;
	int64_t when;
	size_t nqid;
	char qid[MAIL_QID_MAX + 1];
	struct buf row;
};

struct qindex {
	struct ev *ev;
	struct ev_pool *pool;
	char *folder;
	char boot[64]; /* boot id; asked for at open, since the cage has no /proc */
	int dirfd;
	MDB_env *env;
	MDB_dbi row, time, site, lease;
	MDB_txn *rd; /* kept between reads, reset */
	struct op *todo, **tail, *doing;
	uint64_t queued, doing_to, committed; /* changes: asked for, in the running commit, committed */
	bool busy;
	struct ev_work work;
	struct ev_defer turn;
	char error[160];
	void (*on_commit)(void *arg);
	void *arg;
};

static inline MDB_val val(const void *p, size_t n)
{
	return (MDB_val){n, (void *)(uintptr_t)p};
}

static inline uint64_t from_be64(const char *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static inline size_t site_key(char key[DOMAIN_MAX + 1 + MAIL_QID_MAX], struct sv domain, struct sv qid)
{
	size_t n = domain.n < DOMAIN_MAX ? domain.n : DOMAIN_MAX;
	for (size_t i = 0; i < n; i++)
		key[i] = (char)ascii_lower(domain.p[i]);
	key[n] = '\0';
	if (qid.n)
		memcpy(key + n + 1, qid.p, qid.n);
	return n + 1 + qid.n;
}

static inline struct sv domain_of(struct sv addr)
{
	ssize_t at = sv_rchr(addr, '@');
	return at < 0 ? SV_NONE : sv_skip(addr, (size_t)at + 1);
}

static inline bool decode(const MDB_val *v, struct arena *a, struct qm_row *row)
{
	struct msg m = {.body = sv_of(v->mv_data, v->mv_size)};
	return qm_row_get(&m, a, row) && msg_end(&m);
}

#endif
