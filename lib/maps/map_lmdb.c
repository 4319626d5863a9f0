/*
 * map_lmdb.c - lmdb:NAME: the single-file environment NAME.lmdb, opened read-only without lock: tables are built beside
 * and renamed (map_build.h), never changed in place.  Without NAME.lmdb the source text NAME is read into memory.
 */
#include <lmdb.h>

#include "maps/map_kind.h"
#include "maps/map_text.h"

struct lmdb_map {
	MDB_env *env;
	MDB_txn *txn; /* reset between lookups */
	MDB_dbi dbi;
	void *text; /* the source text instead */
};

static void lmdb_close(void *ctx)
{
	struct lmdb_map *l = ctx;
	if (l->txn)
		mdb_txn_abort(l->txn);
	if (l->env)
		mdb_env_close(l->env);
	if (l->text)
		map_text_close(l->text);
	free(l);
}

static int open_env(struct lmdb_map *l, const char *path, struct err *err)
{
	int rc = mdb_env_create(&l->env);
	if (rc == 0)
		rc = mdb_env_open(l->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0);
	if (rc == 0)
		rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->txn);
	if (rc == 0)
		rc = mdb_dbi_open(l->txn, NULL, 0, &l->dbi);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "%.150s: %s", path, mdb_strerror(rc));
	mdb_txn_reset(l->txn);
	return 0;
}

static void warn_if_older(struct map_open *o, const char *path)
{
	CLEANUP(freep) char *source = sv_dup(o->name);
	struct stat st;
	if (stat(source, &st) == 0 && S_ISREG(st.st_mode) && st.st_mtim.tv_sec > o->st.st_mtim.tv_sec)
		map_note(o, 0, "database %s is older than source file %s", path, source);
}

static int lmdb_open(struct map_open *o, void **ctx, struct err *err)
{
	char path[4096];
	struct lmdb_map *l;
	int r;
	if (o->name.n + 6 > sizeof(path))
		return err_set(err, ERR_SYNTAX, "the file name is too long");
	(void)snprintf(path, sizeof(path), SV_FMT ".lmdb", SV_ARG(o->name));
	l = xcalloc(1, sizeof(*l));
	if (stat(path, &o->st) == 0) {
		r = open_env(l, path, err);
		warn_if_older(o, path);
	} else if (errno == ENOENT) {
		struct err text_err = {0};
		r = map_text_load(o, &l->text, &text_err);
		if (r < 0 && text_err.sys == ENOENT) {
			errno = ENOENT;
			r = err_sys(err, "open %.150s", path);
		} else if (r < 0 && err) {
			*err = text_err;
		}
	} else {
		r = err_sys(err, "open %.150s", path);
	}
	if (r < 0)
		lmdb_close(l);
	else
		*ctx = l;
	return r;
}

static int lmdb_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	struct lmdb_map *l = ctx;
	MDB_val k = {.mv_size = key.n, .mv_data = (void *)(uintptr_t)key.p}, v;
	if (l->text)
		return map_text_lookup(l->text, key, value, err);
	if (key.n == 0 || key.n > (size_t)mdb_env_get_maxkeysize(l->env))
		return 0;
	int rc = mdb_txn_renew(l->txn);
	if (rc != 0)
		return err_set(err, ERR_TEMP, "%s", mdb_strerror(rc));
	rc = mdb_get(l->txn, l->dbi, &k, &v);
	int r = rc == 0 ? 1 : 0;
	if (rc == 0) {
		struct sv text = sv_of(v.mv_data, v.mv_size);
		if (text.n > 0 && text.p[text.n - 1] == '\0') /* written by a tool that counts the NUL */
			text.n--;
		if (buf_addsv(value, text) < 0)
			r = err_set(err, ERR_LIMIT, "the value is too long");
	} else if (rc != MDB_NOTFOUND) {
		r = err_set(err, ERR_TEMP, "%s", mdb_strerror(rc));
	}
	mdb_txn_reset(l->txn);
	return r;
}

static const char *const lmdb_suffixes[] = {".lmdb", "", NULL};

const struct map_kind map_kind_lmdb = {
    .name = "lmdb",
    .fixed = true,
    .file = true,
    .open = lmdb_open,
    .lookup = lmdb_lookup,
    .close = lmdb_close,
    .suffixes = lmdb_suffixes,
};
