/* user_table.c - LMDB tables that are replaced, never written in place. */
#include "auth/user_table.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fsutil.h"

#define MAP_SIZE (1ul << 32) /* address space for a table that is being written */

struct user_table {
	char *path;
	MDB_env *env;
	MDB_txn *txn; /* reset between calls */
	MDB_dbi dbi;
	dev_t dev;
	ino_t ino;
};

static int mdb_err(struct err *err, int rc, const char *path)
{
	return err_set(
	    err, rc == MDB_CORRUPTED || rc == MDB_INVALID ? ERR_CORRUPT : ERR_TEMP, "%s: %s", path, mdb_strerror(rc));
}

static void forget(struct user_table *t)
{
	if (t->txn)
		mdb_txn_abort(t->txn);
	if (t->env)
		mdb_env_close(t->env);
	t->txn = NULL;
	t->env = NULL;
}

static int open_env(struct user_table *t, const struct stat *st, struct err *err)
{
	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&env);

	if (!rc)
		rc = mdb_env_open(env, t->path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0600);
	if (!rc)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (!rc)
		rc = mdb_dbi_open(txn, NULL, 0, &t->dbi);
	if (rc) {
		if (txn)
			mdb_txn_abort(txn);
		if (env)
			mdb_env_close(env);
		return mdb_err(err, rc, t->path);
	}
	forget(t);
	t->env = env;
	t->txn = txn; /* keeps its view: the file never changes under it */
	t->dev = st->st_dev;
	t->ino = st->st_ino;
	return 0;
}

/*
 * Follows a replaced file, at every look-up: a changed password counts at once, and a stat(2) is little beside a hash.
 * The table that is open stays in use while the new one cannot be read.
 */
static int follow(struct user_table *t, struct err *err)
{
	struct stat st;

	if (stat(t->path, &st)) {
		if (errno == ENOENT) {
			forget(t);
			return 0;
		}
		return t->env ? 0 : err_sys(err, "%s", t->path);
	}
	if (t->env && t->dev == st.st_dev && t->ino == st.st_ino)
		return 0;
	return open_env(t, &st, err) && !t->env ? ERR_TEMP : 0;
}

int user_table_open(const char *path, struct user_table **out, struct err *err)
{
	struct user_table *t = xcalloc(1, sizeof(*t));
	int r;

	t->path = xstrdup(path);
	r = follow(t, err);
	if (r) {
		user_table_close(&t);
		return r;
	}
	*out = t;
	return 0;
}

void user_table_close(struct user_table **pt)
{
	struct user_table *t = *pt;

	*pt = NULL;
	if (!t)
		return;
	forget(t);
	free(t->path);
	free(t);
}

int user_table_get(struct user_table *t, struct sv key, struct sv *value, struct err *err)
{
	MDB_val k = {.mv_size = key.n, .mv_data = (void *)(uintptr_t)key.p}, v;
	int r = follow(t, err), rc;

	if (r)
		return r;
	if (!t->env || !key.n || key.n > USER_TABLE_MAX_KEY)
		return err_set(err, ERR_NOT_FOUND, "not in %s", t->path);
	rc = mdb_get(t->txn, t->dbi, &k, &v);
	if (rc == MDB_NOTFOUND)
		return err_set(err, ERR_NOT_FOUND, "not in %s", t->path);
	if (rc)
		return mdb_err(err, rc, t->path);
	*value = sv_of(v.mv_data, v.mv_size);
	return 0;
}

int user_table_each(
    struct user_table *t, bool (*fn)(void *arg, struct sv key, struct sv value), void *arg, struct err *err)
{
	MDB_cursor *cur;
	MDB_val k, v;
	int r = follow(t, err), rc;

	if (r || !t->env)
		return r;
	rc = mdb_cursor_open(t->txn, t->dbi, &cur);
	if (rc)
		return mdb_err(err, rc, t->path);
	for (rc = mdb_cursor_get(cur, &k, &v, MDB_FIRST); !rc; rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) {
		if (!fn(arg, sv_of(k.mv_data, k.mv_size), sv_of(v.mv_data, v.mv_size)))
			break;
	}
	mdb_cursor_close(cur);
	return rc && rc != MDB_NOTFOUND ? mdb_err(err, rc, t->path) : 0;
}

struct copying {
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc;
};

static bool copy_row(void *arg, struct sv key, struct sv value)
{
	struct copying *c = arg;
	MDB_val k = {.mv_size = key.n, .mv_data = (void *)(uintptr_t)key.p};
	MDB_val v = {.mv_size = value.n, .mv_data = (void *)(uintptr_t)value.p};

	c->rc = mdb_put(c->txn, c->dbi, &k, &v, MDB_APPEND);
	return c->rc == 0;
}

static int apply(MDB_txn *txn, MDB_dbi dbi, const struct user_change *c, const char *path, struct err *err)
{
	MDB_val k = {.mv_size = c->key.n, .mv_data = (void *)(uintptr_t)c->key.p};
	MDB_val v = {.mv_size = c->value.n, .mv_data = (void *)(uintptr_t)c->value.p};
	int rc;

	if (!c->key.n || c->key.n > USER_TABLE_MAX_KEY || c->value.n > USER_TABLE_MAX_VALUE)
		return err_set(err, ERR_LIMIT, "name or record too long");
	if (c->value.p)
		rc = mdb_put(txn, dbi, &k, &v, c->must_be_new ? MDB_NOOVERWRITE : 0);
	else
		rc = mdb_del(txn, dbi, &k, NULL);
	if (rc == MDB_KEYEXIST)
		return err_set(err, ERR_EXISTS, "\"" SV_FMT "\" exists", SV_ARG(c->key));
	if (rc == MDB_NOTFOUND)
		return err_set(err, ERR_NOT_FOUND, "\"" SV_FMT "\" does not exist", SV_ARG(c->key));
	return rc ? mdb_err(err, rc, path) : 0;
}

static int fill(
    MDB_env *env, struct user_table *old, const struct user_change *c, size_t n, const char *path, struct err *err)
{
	struct copying copy = {0};
	int rc = mdb_txn_begin(env, NULL, 0, &copy.txn), r;

	if (rc)
		return mdb_err(err, rc, path);
	rc = mdb_dbi_open(copy.txn, NULL, 0, &copy.dbi);
	r = rc ? mdb_err(err, rc, path) : user_table_each(old, copy_row, &copy, err);
	if (!r && copy.rc)
		r = mdb_err(err, copy.rc, path);
	for (size_t i = 0; i < n && !r; i++)
		r = apply(copy.txn, copy.dbi, &c[i], path, err);
	if (r) {
		mdb_txn_abort(copy.txn);
		return r;
	}
	rc = mdb_txn_commit(copy.txn); /* syncs */
	return rc ? mdb_err(err, rc, path) : 0;
}

static int build(const char *path, const char *fresh, const struct user_change *c, size_t n, struct err *err)
{
	struct user_table *old = NULL;
	MDB_env *env = NULL;
	int r = user_table_open(path, &old, err), rc;

	if (r)
		return r;
	unlink(fresh);
	rc = mdb_env_create(&env);
	if (!rc)
		rc = mdb_env_set_mapsize(env, MAP_SIZE);
	if (!rc)
		rc = mdb_env_open(env, fresh, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
	r = rc ? mdb_err(err, rc, fresh) : fill(env, old, c, n, fresh, err);
	if (env)
		mdb_env_close(env);
	user_table_close(&old);
	return r;
}

/* chown only where it would change something, so that an ordinary user can keep tables of his own. */
static int own(const char *fresh, const struct user_owner *c, struct err *err)
{
	struct stat st;

	if (chmod(fresh, c->mode) || stat(fresh, &st))
		return err_sys(err, "%s", fresh);
	if (((c->uid != (uid_t)-1 && c->uid != st.st_uid) || (c->gid != (gid_t)-1 && c->gid != st.st_gid)) &&
	    chown(fresh, c->uid, c->gid))
		return err_sys(err, "%s", fresh);
	return 0;
}

static int sync_parent(const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	CLEANUP(fd_closep) int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? err_sys(err, "%s", dir) : fs_sync_dir(fd, err);

	free(dir);
	return r;
}

int user_table_change(
    const char *path, const struct user_owner *owner, const struct user_change *c, size_t n, struct err *err)
{
	char *fresh = xasprintf("%s.new", path), *lock = xasprintf("%s.lock", path);
	CLEANUP(fd_closep) int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool locked = fd >= 0 && !flock(fd, LOCK_EX);
	int r = locked ? build(path, fresh, c, n, err) : err_sys(err, "%s", lock);

	if (!r)
		r = own(fresh, owner, err);
	if (!r && rename(fresh, path))
		r = err_sys(err, "%s", path);
	if (!r)
		r = sync_parent(path, err);
	if (r && locked)
		unlink(fresh);
	free(fresh);
	free(lock);
	return r;
}
