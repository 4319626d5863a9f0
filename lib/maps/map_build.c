/* map_build.c - LMDB tables: bulk load beside, rename; see map_build.h. */
#include "maps/map_build.h"

#include <fcntl.h>
#include <lmdb.h>

#include "base/arena.h"
#include "base/fsutil.h"

#define BUILD_MEMORY ((size_t)8 << 30) /* bytes of the entries of one table */
#define BUILD_PATH 4096

struct build_entry {
	struct sv key, value;
	size_t order;
};

struct map_build {
	struct build_entry *v;
	size_t n, cap;
	size_t bytes; /* of keys and values */
	struct arena arena;
};

struct map_build *map_build_new(void)
{
	struct map_build *b = xcalloc(1, sizeof(*b));
	arena_init(&b->arena, BUILD_MEMORY);
	return b;
}

void map_build_free(struct map_build **b)
{
	if (!*b)
		return;
	arena_clear(&(*b)->arena);
	free((*b)->v);
	free(*b);
	*b = NULL;
}

int map_build_add(struct map_build *b, struct sv key, struct sv value)
{
	if (key.n == 0 || key.n > MAP_BUILD_KEY_MAX || value.n > UINT32_MAX / 2)
		return ERR_LIMIT;
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1024;
		b->v = xreallocarray(b->v, b->cap, sizeof(*b->v));
	}
	struct build_entry *e = &b->v[b->n];
	if (arena_sv(&b->arena, key, &e->key) < 0 || arena_sv(&b->arena, value, &e->value) < 0)
		return ERR_LIMIT;
	e->order = b->n++;
	b->bytes += key.n + value.n;
	return 0;
}

size_t map_build_count(const struct map_build *b)
{
	return b->n;
}

/* LMDB's own order: bytes, then length. */
static int entry_cmp(const void *pa, const void *pb)
{
	const struct build_entry *a = pa, *b = pb;
	size_t n = a->key.n < b->key.n ? a->key.n : b->key.n;
	int r = memcmp(a->key.p, b->key.p, n);
	if (r)
		return r;
	if (a->key.n != b->key.n)
		return a->key.n < b->key.n ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static void drop_duplicates(struct map_build *b, enum map_build_dup rule, void (*dup)(void *, struct sv), void *ctx)
{
	size_t out = 0;
	for (size_t i = 0; i < b->n; i++) {
		if (out > 0 && sv_eq(b->v[out - 1].key, b->v[i].key)) {
			if (dup)
				dup(ctx, b->v[i].key);
			if (rule == MAP_DUP_LAST)
				b->v[out - 1] = b->v[i];
			continue;
		}
		b->v[out++] = b->v[i];
	}
	b->n = out;
}

static int lmdb_err(struct err *err, const char *what, const char *path, int rc)
{
	return err_set(err, rc == ENOSPC ? ERR_LIMIT : ERR_SYS, "%s %.150s: %s", what, path, mdb_strerror(rc));
}

static int write_entries(struct map_build *b, MDB_env *env)
{
	MDB_txn *txn = NULL;
	MDB_dbi dbi;
	int rc = mdb_txn_begin(env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, MDB_CREATE, &dbi);
	for (size_t i = 0; i < b->n && rc == 0; i++) {
		MDB_val k = {b->v[i].key.n, (void *)(uintptr_t)b->v[i].key.p};
		MDB_val v = {b->v[i].value.n, (void *)(uintptr_t)b->v[i].value.p};
		rc = mdb_put(txn, dbi, &k, &v, MDB_APPEND);
	}
	if (rc == 0)
		return mdb_txn_commit(txn);
	if (txn)
		mdb_txn_abort(txn);
	return rc;
}

static int write_file(struct map_build *b, const char *path, mode_t mode, struct err *err)
{
	MDB_env *env = NULL;
	size_t page = 4096;
	/* Twice the data plus what each entry and each page costs; the file only becomes as long as it is used. */
	size_t room = b->bytes * 2 + b->n * 64 + 256 * page;
	int rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_set_mapsize(env, (room / page + 1) * page);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, mode);
	if (rc == 0)
		rc = write_entries(b, env);
	if (env)
		mdb_env_close(env);
	return rc == 0 ? 0 : lmdb_err(err, "write", path, rc);
}

static int sync_file(const char *path, const struct stat *like, mode_t mode, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %.150s", path);
	if (like && fchown(fd, like->st_uid, like->st_gid) < 0)
		errno = 0; /* not root: it stays ours */
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return err_sys(err, "sync %.150s", path);
	return 0;
}

static int sync_folder(const char *path, struct err *err)
{
	char folder[BUILD_PATH];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	(void)snprintf(folder, sizeof(folder), "%.*s", n ? (int)n : 1, n ? path : slash ? "/" : ".");
	CLEANUP(fd_closep) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open %.150s", folder) : fs_sync_dir(fd, err);
}

int map_build_finish(struct map_build *b, const char *name, mode_t mode, const struct stat *like,
    enum map_build_dup rule, void (*dup)(void *ctx, struct sv key), void *ctx, struct err *err)
{
	char path[BUILD_PATH], fresh[BUILD_PATH];
	int n = snprintf(path, sizeof(path), "%s.lmdb", name);
	if (n < 0 || (size_t)n + 24 > sizeof(path))
		return err_set(err, ERR_LIMIT, "the file name is too long");
	(void)snprintf(fresh, sizeof(fresh), "%.4060s.new.%ld", path, (long)getpid());
	qsort(b->v, b->n, sizeof(*b->v), entry_cmp);
	drop_duplicates(b, rule, dup, ctx);
	(void)unlink(fresh);
	int r = write_file(b, fresh, mode, err);
	if (r == 0)
		r = sync_file(fresh, like, mode, err);
	if (r == 0 && rename(fresh, path) < 0)
		r = err_sys(err, "rename %.150s", fresh);
	if (r < 0) {
		(void)unlink(fresh);
		return r;
	}
	return sync_folder(path, err);
}

int map_build_each(const char *name, int (*fn)(void *ctx, struct sv key, struct sv value), void *ctx, struct err *err)
{
	char path[BUILD_PATH];
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_cursor *cur = NULL;
	MDB_dbi dbi;
	MDB_val k, v;
	int rc, r = 0;
	(void)snprintf(path, sizeof(path), "%.4080s.lmdb", name);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND, "%.150s: no such table", path);
	rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK, 0);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (rc == 0)
		rc = mdb_cursor_open(txn, dbi, &cur);
	while (rc == 0 && r >= 0 && (rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0)
		r = fn(ctx, sv_of(k.mv_data, k.mv_size), sv_of(v.mv_data, v.mv_size));
	if (rc != 0 && rc != MDB_NOTFOUND)
		r = lmdb_err(err, "read", path, rc);
	if (cur)
		mdb_cursor_close(cur);
	if (txn)
		mdb_txn_abort(txn);
	if (env)
		mdb_env_close(env);
	return r < 0 ? r : 0;
}

struct copying {
	struct map_build *b;
	bool (*less)(void *ctx, struct sv key);
	void *ctx;
};

static int copy_entry(void *ctx, struct sv key, struct sv value)
{
	struct copying *c = ctx;
	return c->less && c->less(c->ctx, key) ? 0 : map_build_add(c->b, key, value);
}

int map_build_copy(
    struct map_build *b, const char *name, bool (*less)(void *ctx, struct sv key), void *ctx, struct err *err)
{
	struct copying c = {b, less, ctx};
	return map_build_each(name, copy_entry, &c, err);
}
