/* index.c - the account's LMDB environment. */
#include "store/index.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "store/mailbox.h"
#include "store/store_priv.h"

#define STATE_FILE "state" /* "c BOOTID" after a sync, "d BOOTID" while unsynced data may be about */
#define BOOT_ID 36

struct pending {
	struct index_key key;
	size_t at, n; /* in puts */
};

struct index {
	MDB_env *env;
	MDB_txn *read; /* reset between uses; keeps its reader slot, so that no lock is taken later */
	MDB_dbi dbi;
	int dirfd;	     /* of the index directory; its flock guards every entry into LMDB that could wait */
	ino_t ino;	     /* of data.mdb, to see that it was deleted */
	uint64_t busy_until; /* another process held the lock: not tried again before (clock_mono_ms) */
	bool dirty;	     /* this process has written */
	char boot[BOOT_ID + 1];
	struct pending *v;
	size_t n, cap;
	struct buf puts;
};

static int index_lock(struct index *ix, struct err *err)
{
	if (clock_mono_ms() >= ix->busy_until) {
		if (!store_lock(ix->dirfd, INDEX_LOCK_MS, err))
			return 0;
		ix->busy_until = clock_mono_ms() + INDEX_BUSY_MS;
	}
	return err_set(err, ERR_TEMP, "the index is in use");
}

static void read_boot_id(char id[BOOT_ID + 1])
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(64);
	const char *env = getenv(INDEX_BOOT_ENV); /* inside a cage /proc is closed; its parent has looked */

	if (env)
		snprintf(id, BOOT_ID + 1, "%s", env);
	else if (fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b, NULL) || b.n < BOOT_ID)
		id[0] = '\0';
	else
		snprintf(id, BOOT_ID + 1, "%s", buf_cstr(&b));
}

static void remove_files(const struct index *ix)
{
	(void)unlinkat(ix->dirfd, "data.mdb", 0);
	(void)unlinkat(ix->dirfd, "lock.mdb", 0);
}

/* First letter of the state file, and whether it is of this boot. */
static char read_state(const struct index *ix, bool *this_boot)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(64);

	*this_boot = false;
	if (fs_read_file(ix->dirfd, STATE_FILE, &b, NULL) || b.n < 2)
		return 0;
	*this_boot = sv_eqs(sv_trim(sv_skip(buf_sv(&b), 2)), ix->boot);
	return b.p[0];
}

static int write_state(const struct index *ix, char state, bool sync, struct err *err)
{
	CLEANUP(fd_closep) int fd = -1;
	char text[BOOT_ID + 4];
	int n = snprintf(text, sizeof(text), "%c %s\n", state, ix->boot);

	fd = openat(ix->dirfd, STATE_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, INDEX_DIR "/" STATE_FILE);
	if (fs_pwrite_all(fd, text, (size_t)n, 0, err) || (sync && fsync(fd)))
		return err_sys(err, INDEX_DIR "/" STATE_FILE);
	return 0;
}

/* What an unclean end of another boot left may be torn, which LMDB would not notice.  Without a boot id nothing is
 * kept. */
static void discard_torn(const struct index *ix)
{
	bool this_boot;
	char state = read_state(ix, &this_boot);

	/* Without its lock file too: a new one would not protect those who still read with the old. */
	if ((state == 'c' || (state == 'd' && this_boot && ix->boot[0])) && !faccessat(ix->dirfd, "lock.mdb", F_OK, 0))
		return;
	remove_files(ix);
	(void)write_state(ix, 'd', false, NULL); /* if it is lost, the next boot discards all the same */
}

static int mdb_err(struct err *err, const char *what, int rc)
{
	return err_set(
	    err, rc == EACCES || rc == ENOSPC ? ERR_SYS : ERR_CORRUPT, INDEX_DIR ": %s: %s", what, mdb_strerror(rc));
}

static void close_env(struct index *ix)
{
	if (ix->read)
		mdb_txn_abort(ix->read);
	if (ix->env)
		mdb_env_close(ix->env);
	ix->read = NULL;
	ix->env = NULL;
}

static int open_env(struct index *ix, const char *path, struct err *err)
{
	struct stat st;
	MDB_txn *txn;
	int dead, rc = mdb_env_create(&ix->env);

	if (rc)
		return mdb_err(err, "create", rc);
	mdb_env_set_mapsize(ix->env, INDEX_MAP_SIZE);
	rc = mdb_env_open(ix->env, path, MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (!rc)
		rc = mdb_reader_check(ix->env, &dead);
	if (!rc)
		rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
	if (!rc) {
		rc = mdb_dbi_open(txn, NULL, 0, &ix->dbi);
		if (rc) {
			mdb_txn_abort(txn);
		} else { /* the main database's handle survives a reset */
			mdb_txn_reset(txn);
			ix->read = txn;
		}
	}
	if (!rc && !fstatat(ix->dirfd, "data.mdb", &st, 0))
		ix->ino = st.st_ino;
	if (rc)
		close_env(ix);
	return rc ? mdb_err(err, "open", rc) : 0;
}

int index_open(int dirfd, const char *account, struct index **out, struct err *err)
{
	struct index *ix = xcalloc(1, sizeof(*ix));
	char *path = NULL;
	int rc;

	ix->dirfd = -1;
	buf_init(&ix->puts, INDEX_PENDING_MAX);
	read_boot_id(ix->boot);
	if (mkdirat(dirfd, INDEX_DIR, 0700) && errno != EEXIST)
		rc = err_sys(err, INDEX_DIR);
	else
		rc = store_open_dir(dirfd, INDEX_DIR, &ix->dirfd, err);
	if (!rc)
		rc = index_lock(ix, err);
	if (!rc) {
		discard_torn(ix);
		path = xasprintf("%s/" INDEX_DIR, account);
		rc = open_env(ix, path, err);
		if (rc == ERR_CORRUPT) { /* not a database, or of another version */
			remove_files(ix);
			rc = open_env(ix, path, err);
		}
		free(path);
		store_unlock(ix->dirfd);
	}
	if (rc) {
		index_close(&ix);
		return rc;
	}
	*out = ix;
	return 0;
}

static bool still_there(const struct index *ix)
{
	struct stat st;

	return !fstatat(ix->dirfd, "data.mdb", &st, 0) && st.st_ino == ix->ino;
}

void index_close(struct index **ixp)
{
	struct index *ix = *ixp;

	if (!ix)
		return;
	(void)index_flush(ix, NULL);
	if (ix->env && ix->dirty && !index_lock(ix, NULL)) {
		if (still_there(ix) && !mdb_env_sync(ix->env, 1))
			(void)write_state(ix, 'c', false, NULL);
		close_env(ix);
		store_unlock(ix->dirfd);
	}
	close_env(ix);
	fd_close(&ix->dirfd);
	buf_free(&ix->puts);
	free(ix->v);
	free(ix);
	*ixp = NULL;
}

static void make_key(struct index_key key, unsigned char k[8])
{
	for (int i = 0; i < 4; i++) {
		k[i] = (unsigned char)(key.uidvalidity >> (24 - 8 * i));
		k[4 + i] = (unsigned char)(key.uid >> (24 - 8 * i));
	}
}

int index_get(struct index *ix, struct index_key key, struct sv uniq, struct buf *out)
{
	unsigned char k[8];
	MDB_val mk = {sizeof(k), k}, mv;
	struct sv bytes;
	int found = 0;

	for (size_t i = ix->n; i-- > 0;)
		if (ix->v[i].key.uid == key.uid && ix->v[i].key.uidvalidity == key.uidvalidity)
			return !index_value_decode(sv_of(ix->puts.p + ix->v[i].at, ix->v[i].n), uniq, &bytes) &&
			       !buf_addsv(out, bytes);
	make_key(key, k);
	if (mdb_txn_renew(ix->read))
		return 0;
	if (!mdb_get(ix->read, ix->dbi, &mk, &mv) && !index_value_decode(sv_of(mv.mv_data, mv.mv_size), uniq, &bytes))
		found = !buf_addsv(out, bytes);
	mdb_txn_reset(ix->read);
	return found;
}

static void drop_pending(struct index *ix)
{
	ix->n = 0;
	buf_reset(&ix->puts);
}

void index_put(struct index *ix, struct index_key key, struct sv uniq, struct sv bytes)
{
	size_t at = ix->puts.n;

	if (index_value_encode(&ix->puts, uniq, bytes)) {
		(void)index_flush(ix, NULL);
		drop_pending(ix); /* not written: worked out again when needed */
		at = 0;
		if (index_value_encode(&ix->puts, uniq, bytes))
			return;
	}
	if (ix->n == ix->cap) {
		ix->cap = ix->cap ? ix->cap * 2 : 16;
		ix->v = xreallocarray(ix->v, ix->cap, sizeof(*ix->v));
	}
	ix->v[ix->n++] = (struct pending){key, at, ix->puts.n - at};
}

static int put_all(struct index *ix)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(ix->env, NULL, 0, &txn);

	for (size_t i = 0; !rc && i < ix->n; i++) {
		unsigned char k[8];
		MDB_val mk = {sizeof(k), k}, mv = {ix->v[i].n, ix->puts.p + ix->v[i].at};

		make_key(ix->v[i].key, k);
		rc = mdb_put(txn, ix->dbi, &mk, &mv, 0);
		if (rc)
			mdb_txn_abort(txn);
	}
	return rc ? rc : mdb_txn_commit(txn);
}

int index_flush(struct index *ix, struct err *err)
{
	bool this_boot;
	int rc;

	if (!ix->n)
		return 0;
	rc = index_lock(ix, err);
	if (rc)
		return rc;
	if (!still_there(ix)) {
		ix->dirty = false;
		rc = err_set(err, ERR_NOT_FOUND, "the index was deleted"); /* what waited can be worked out again */
	} else {
		if (read_state(ix, &this_boot) != 'd' || !this_boot)
			rc = write_state(ix, 'd', true, err); /* durable before the first unsynced page */
		if (!rc) {
			ix->dirty = true;
			rc = put_all(ix);
			if (rc == MDB_MAP_FULL)
				remove_files(ix); /* begun anew by the next that opens it */
			rc = rc ? mdb_err(err, "write", rc) : 0;
		}
	}
	store_unlock(ix->dirfd);
	drop_pending(ix);
	return rc;
}
