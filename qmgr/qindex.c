/* qindex.c - see qindex.h. */
#include "qmgr/qindex_int.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "log/log.h"

#define MAP_SIZE ((size_t)16 << 30) /* address space, not memory */
#define STATE_FILE "state"	    /* "<boot id> clean" or "<boot id> open" */

enum op_type { OP_PUT, OP_DEL, OP_LEASE, OP_DUE_NOW };

static int mdb_fail(struct err *err, const char *what, int rc)
{
	return err_set(err, ERR_SYS, "queue index: %s: %s", what, mdb_strerror(rc));
}

/* ---- open, close ---- */

static bool boot_id(char out[64])
{
	CLEANUP(fd_closep) int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 63);
	if (n <= 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

static int write_state(struct qindex *x, bool clean, struct err *err)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "%s %s\n", x->boot, clean ? "clean" : "open");
	return fs_replace_file(x->dirfd, STATE_FILE, sv_of(text, (size_t)n), 0600, err);
}

/* True when the environment can be believed: clean stop, or the same boot (what was written is in the page cache). */
static bool believable(struct qindex *x, bool *clean)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(256);
	*clean = false;
	if (!boot_id(x->boot))
		(void)snprintf(x->boot, sizeof(x->boot), "unknown");
	if (fs_read_file(x->dirfd, STATE_FILE, &b, NULL) < 0)
		return false;
	struct sv rest = buf_sv(&b), was = sv_cut(&rest, " ");
	*clean = sv_eqs(sv_trim(rest), "clean");
	return *clean || (sv_eqs(was, x->boot) && !sv_eqs(was, "unknown"));
}

static int open_env(struct qindex *x, struct err *err)
{
	MDB_txn *t;
	int rc = mdb_env_create(&x->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(x->env, 8);
	if (rc == 0)
		rc = mdb_env_set_mapsize(x->env, MAP_SIZE);
	if (rc == 0)
		rc = mdb_env_open(x->env, x->folder, MDB_NOSYNC | MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(x->env, NULL, 0, &t);
	if (rc)
		return mdb_fail(err, "open", rc);
	if ((rc = mdb_dbi_open(t, "row", MDB_CREATE, &x->row)) ||
	    (rc = mdb_dbi_open(t, "time", MDB_CREATE, &x->time)) ||
	    (rc = mdb_dbi_open(t, "site", MDB_CREATE, &x->site)) ||
	    (rc = mdb_dbi_open(t, "lease", MDB_CREATE, &x->lease))) {
		mdb_txn_abort(t);
		return mdb_fail(err, "open", rc);
	}
	rc = mdb_txn_commit(t);
	if (rc == 0)
		rc = mdb_txn_begin(x->env, NULL, MDB_RDONLY, &x->rd);
	if (rc)
		return mdb_fail(err, "open", rc);
	mdb_txn_reset(x->rd);
	return 0;
}

static void close_env(struct qindex *x)
{
	if (x->rd)
		mdb_txn_abort(x->rd);
	if (x->env)
		mdb_env_close(x->env);
	x->rd = NULL;
	x->env = NULL;
}

static void discard(struct qindex *x)
{
	(void)unlinkat(x->dirfd, "data.mdb", 0);
	(void)unlinkat(x->dirfd, "lock.mdb", 0);
}

static void qindex_free(struct qindex *x)
{
	close_env(x);
	fd_close(&x->dirfd);
	free(x->folder);
	free(x);
}

/* What was being worked on when the last qmgr ended is due at once. */
static int end_leases(struct qindex *x, struct err *err);

int qindex_open(struct ev *ev, struct ev_pool *pool, const char *queue_directory, struct qindex **out, bool *fresh,
    bool *unclean, struct err *err)
{
	bool clean;
	struct qindex *x = xcalloc(1, sizeof(*x));
	x->ev = ev;
	x->pool = pool;
	x->tail = &x->todo;
	x->folder = xasprintf("%s/index", queue_directory);
	(void)mkdir(x->folder, 0700);
	x->dirfd = open(x->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (x->dirfd < 0) {
		int r = err_sys(err, "%s", x->folder);
		qindex_free(x);
		return r;
	}
	bool existed = faccessat(x->dirfd, STATE_FILE, F_OK, 0) == 0;
	bool good = believable(x, &clean);
	bool is_fresh = !good || faccessat(x->dirfd, "data.mdb", F_OK, 0) < 0;
	if (!good)
		discard(x);
	int r = open_env(x, err);
	if (r < 0) { /* it is only a cache */
		close_env(x);
		discard(x);
		is_fresh = true;
		r = open_env(x, err);
	}
	if (r == 0)
		r = end_leases(x, err);
	if (r == 0)
		r = write_state(x, false, err);
	if (r < 0) {
		qindex_free(x);
		return r;
	}
	*fresh = is_fresh;
	*unclean = !good && existed;
	*out = x;
	return 0;
}

/* ---- changes ---- */

static void be64(char *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (char)v;
}

static size_t time_key(char key[8 + MAIL_QID_MAX], int64_t when, struct sv qid)
{
	be64(key, when < 0 ? 0 : (uint64_t)when);
	memcpy(key + 8, qid.p, qid.n);
	return 8 + qid.n;
}

static bool is_due_sometime(const struct qm_row *r)
{
	return r->state != QM_ON_HOLD;
}

static int set_sites(struct qindex *x, MDB_txn *t, const struct qm_row *r, bool put)
{
	char key[DOMAIN_MAX + 1 + MAIL_QID_MAX];
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < r->nrcpt; i++) {
		struct sv dom = domain_of(r->rcpt[i].addr);
		if (i > 0 && sv_ieq(dom, domain_of(r->rcpt[i - 1].addr)))
			continue;
		MDB_val k = val(key, site_key(key, dom, r->qid)), none = val("", 0);
		rc = put ? mdb_put(t, x->site, &k, &none, 0) : mdb_del(t, x->site, &k, NULL);
		if (!put && rc == MDB_NOTFOUND)
			rc = 0;
	}
	return rc;
}

static int del_key(MDB_txn *t, MDB_dbi dbi, const void *key, size_t n)
{
	MDB_val k = val(key, n);
	int rc = mdb_del(t, dbi, &k, NULL);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Removes a row with its places in the orders. */
static int drop_row(struct qindex *x, MDB_txn *t, struct sv qid, struct arena *a)
{
	char key[8 + MAIL_QID_MAX];
	struct qm_row old;
	MDB_val k = val(qid.p, qid.n), v;
	int rc = mdb_get(t, x->row, &k, &v);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc == 0 && decode(&v, a, &old)) {
		rc = set_sites(x, t, &old, false);
		if (rc == 0)
			rc = del_key(t, x->time, key, time_key(key, old.next, qid));
	}
	if (rc == 0)
		rc = del_key(t, x->lease, qid.p, qid.n);
	return rc ? rc : del_key(t, x->row, qid.p, qid.n);
}

static int put_row(struct qindex *x, MDB_txn *t, const struct qm_row *row, struct sv bytes)
{
	char key[8 + MAIL_QID_MAX];
	MDB_val k = val(row->qid.p, row->qid.n), v = val(bytes.p, bytes.n), none = val("", 0);
	int rc = mdb_put(t, x->row, &k, &v, 0);
	if (rc == 0 && is_due_sometime(row)) {
		k = val(key, time_key(key, row->next, row->qid));
		rc = mdb_put(t, x->time, &k, &none, 0);
	}
	return rc ? rc : set_sites(x, t, row, true);
}

/* The same row with another time. */
static int move_row(struct qindex *x, MDB_txn *t, struct sv qid, int64_t when, bool lease, struct arena *a)
{
	struct qm_row row;
	MDB_val k = val(qid.p, qid.n), v, none = val("", 0);
	struct msg_out o = MSG_OUT_INIT;
	int rc = mdb_get(t, x->row, &k, &v);
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	/* The row is copied by encoding it anew before it is dropped. */
	if (!decode(&v, a, &row) || (row.state == QM_ON_HOLD && !lease))
		return 0;
	row.next = when;
	qm_row_put(&o, &row);
	struct msg m = {.body = buf_sv(&o.b)};
	rc = drop_row(x, t, qid, a);
	if (rc == 0 && !o.b.overflow && qm_row_get(&m, a, &row))
		rc = put_row(x, t, &row, buf_sv(&o.b));
	if (rc == 0 && lease) {
		k = val(qid.p, qid.n);
		rc = mdb_put(t, x->lease, &k, &none, 0);
	}
	msg_out_free(&o);
	return rc;
}

static int all_due(struct qindex *x, MDB_txn *t, int64_t now, struct arena *a)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(t, x->time, &c);
	if (rc)
		return rc;
	/* Those that are due later, from the end. */
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_LAST)) == 0 && from_be64(k.mv_data) > (uint64_t)now) {
		char qid[MAIL_QID_MAX];
		size_t n = k.mv_size - 8;
		memcpy(qid, (const char *)k.mv_data + 8, n);
		mdb_cursor_close(c);
		arena_clear(a);
		if ((rc = move_row(x, t, sv_of(qid, n), now, false, a)) || (rc = mdb_cursor_open(t, x->time, &c)))
			return rc;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int apply(struct qindex *x, MDB_txn *t, const struct op *op, struct arena *a)
{
	struct qm_row row;
	struct sv qid = sv_of(op->qid, op->nqid);
	struct msg m = {.body = buf_sv(&op->row)};
	int rc;
	switch (op->type) {
	case OP_DEL: return drop_row(x, t, qid, a);
	case OP_PUT:
		rc = drop_row(x, t, qid, a);
		return rc || !qm_row_get(&m, a, &row) ? rc : put_row(x, t, &row, buf_sv(&op->row));
	case OP_LEASE: return move_row(x, t, qid, op->when, true, a);
	case OP_DUE_NOW: return qid.n ? move_row(x, t, qid, op->when, false, a) : all_due(x, t, op->when, a);
	default: return 0;
	}
}

static void commit_run(struct ev_work *w)
{
	struct qindex *x = container_of(w, struct qindex, work);
	struct arena a;
	MDB_txn *t;
	arena_init(&a, ROW_ARENA);
	int rc = mdb_txn_begin(x->env, NULL, 0, &t);
	if (rc == 0) {
		for (struct op *op = x->doing; op && rc == 0; op = op->next) {
			rc = apply(x, t, op, &a);
			arena_clear(&a);
		}
		if (rc)
			mdb_txn_abort(t);
		else
			rc = mdb_txn_commit(t);
	}
	x->error[0] = '\0';
	if (rc)
		(void)snprintf(x->error, sizeof(x->error), "%s", mdb_strerror(rc));
	arena_clear(&a);
}

static void turn(struct ev_defer *d);

static void commit_done(struct ev_work *w)
{
	struct qindex *x = container_of(w, struct qindex, work);
	while (x->doing) {
		struct op *op = x->doing;
		x->doing = op->next;
		buf_free(&op->row);
		free(op);
	}
	x->busy = false;
	x->committed = x->doing_to;
	if (x->error[0])
		log_warn("queue index: %s", x->error);
	if (x->todo)
		ev_defer(x->ev, &x->turn, turn);
	if (x->on_commit)
		x->on_commit(x->arg);
}

static void turn(struct ev_defer *d)
{
	struct qindex *x = container_of(d, struct qindex, turn);
	if (x->busy || !x->todo)
		return;
	x->doing = x->todo;
	x->doing_to = x->queued;
	x->todo = NULL;
	x->tail = &x->todo;
	x->busy = true;
	x->work.run = commit_run;
	x->work.done = commit_done;
	ev_work(x->pool, &x->work);
}

static struct op *add_op(struct qindex *x, enum op_type type, struct sv qid, int64_t when)
{
	struct op *op = xcalloc(1, sizeof(*op));
	op->type = type;
	op->when = when;
	op->nqid = qid.n <= MAIL_QID_MAX ? qid.n : 0;
	if (op->nqid)
		memcpy(op->qid, qid.p, op->nqid);
	buf_init(&op->row, QINDEX_ROW_MAX);
	*x->tail = op;
	x->tail = &op->next;
	x->queued++;
	ev_defer(x->ev, &x->turn, turn);
	return op;
}

void qindex_put(struct qindex *x, const struct qm_row *row)
{
	struct msg_out o = MSG_OUT_INIT;
	struct op *op = add_op(x, OP_PUT, row->qid, 0);
	qm_row_put(&o, row);
	(void)buf_addsv(&op->row, buf_sv(&o.b));
	msg_out_free(&o);
}

void qindex_del(struct qindex *x, struct sv qid)
{
	(void)add_op(x, OP_DEL, qid, 0);
}

void qindex_lease(struct qindex *x, struct sv qid, int64_t until)
{
	(void)add_op(x, OP_LEASE, qid, until);
}

void qindex_due_now(struct qindex *x, struct sv qid, int64_t now)
{
	(void)add_op(x, OP_DUE_NOW, qid, now);
}

void qindex_on_commit(struct qindex *x, void (*fn)(void *arg), void *arg)
{
	x->on_commit = fn;
	x->arg = arg;
}

uint64_t qindex_queued(const struct qindex *x)
{
	return x->queued;
}

bool qindex_committed(const struct qindex *x, uint64_t n)
{
	return x->committed >= n;
}

void qindex_close(struct qindex **xp)
{
	struct qindex *x = *xp;
	struct err err;
	if (!x)
		return;
	x->on_commit = NULL;
	while (x->busy || x->todo) {
		if (!x->busy) {
			turn(&x->turn);
			continue;
		}
		(void)ev_turn(x->ev, 100);
	}
	ev_defer_cancel(x->ev, &x->turn);
	if (mdb_env_sync(x->env, 1) == 0)
		(void)write_state(x, true, &err);
	*xp = NULL; /* only now: what ends meanwhile still notes it */
	qindex_free(x);
}

static int end_leases(struct qindex *x, struct err *err)
{
	struct arena a;
	MDB_txn *t;
	MDB_cursor *c;
	MDB_val k, v;
	arena_init(&a, ROW_ARENA);
	int rc = mdb_txn_begin(x->env, NULL, 0, &t);
	if (rc)
		return mdb_fail(err, "leases", rc);
	while (rc == 0 && (rc = mdb_cursor_open(t, x->lease, &c)) == 0) {
		char qid[MAIL_QID_MAX];
		rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
		size_t n = rc == 0 && k.mv_size <= MAIL_QID_MAX ? k.mv_size : 0;
		memcpy(qid, rc == 0 ? k.mv_data : "", n);
		mdb_cursor_close(c);
		if (rc == 0)
			rc = move_row(x, t, sv_of(qid, n), 0, false, &a);
		if (rc == 0)
			rc = del_key(t, x->lease, qid, n);
		arena_clear(&a);
	}
	if (rc == MDB_NOTFOUND)
		rc = mdb_txn_commit(t);
	else
		mdb_txn_abort(t);
	return rc ? mdb_fail(err, "leases", rc) : 0;
}
