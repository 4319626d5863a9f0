/* message.c - messages in memory: from cleanup's notice or from their file, routes, expansion, rows of the index. */
#include <fcntl.h>
#include <sys/file.h>

#include "log/log.h"
#include "qmgr/qmgr.h"

struct message *message_find(struct qmgr *q, struct sv qid)
{
	struct message *m;
	HASH_FIND(hh, q->messages, qid.p, qid.n, m);
	return m;
}

static struct message *message_new(struct qmgr *q, struct sv qid)
{
	struct message *m = xcalloc(1, sizeof(*m));
	m->q = q;
	(void)snprintf(m->qid, sizeof(m->qid), SV_FMT, SV_ARG(qid));
	HASH_ADD_STR(q->messages, qid, m);
	qmgr_flow_check(q);
	return m;
}

void message_free(struct message *m)
{
	struct qmgr *q = m->q;
	HASH_DEL(q->messages, m);
	qmgr_flow_check(q);
	q->nrcpt -= m->npass;
	if (m->loaded)
		qfile_clear(&m->f);
	free(m->pass);
	free(m);
	due_start(q);
}

/* After recipients were added: their pass states. */
void message_pass_grow(struct message *m)
{
	if (m->f.n <= m->npass)
		return;
	m->pass = xreallocarray(m->pass, m->f.n, sizeof(*m->pass));
	memset(m->pass + m->npass, 0, (m->f.n - m->npass) * sizeof(*m->pass));
	m->q->nrcpt += m->f.n - m->npass;
	m->npass = m->f.n;
}

static void message_loaded(struct message *m)
{
	m->loaded = true;
	message_pass_grow(m);
}

void message_unpend(struct message *m)
{
	BUG_ON(m->pending == 0);
	if (--m->pending == 0)
		finish_pass(m);
}

/* No room beside the others: one message, however big, always has room alone. */
static bool window_full(const struct message *m)
{
	const struct qmgr *q = m->q;
	return HASH_COUNT(q->messages) > q->active_limit || q->nrcpt - m->npass >= q->rcpt_limit;
}

/* ---- rows ---- */

void message_row(const struct message *m, uint32_t state, int64_t next, struct msg_out *out)
{
	struct qm_row row = {.qid = sv_str(m->qid),
	    .state = state,
	    .arrival = m->f.env.arrival,
	    .next = next,
	    .size = m->f.env.size,
	    .sender = m->f.env.sender};
	row.rcpt = xcalloc(QM_ROW_RCPTS_MAX, sizeof(*row.rcpt));
	for (size_t i = 0; i < m->f.n; i++) {
		const struct qfile_rcpt *r = &m->f.rcpt[i];
		if (r->status != QS_WAITING || m->pass[i].state == PASS_SENT)
			continue;
		row.nleft++;
		if (row.nrcpt < QM_ROW_RCPTS_MAX)
			row.rcpt[row.nrcpt++] = (struct qm_row_rcpt){r->rcpt.addr, r->outcome ? r->text : SV("")};
	}
	if (out)
		qm_row_put(out, &row);
	else
		qindex_put(m->q->index, &row);
	free(row.rcpt);
}

/* Lets go of a message that waits on disk. */
static void to_index(struct message *m, uint32_t state, int64_t next)
{
	message_row(m, state, next, NULL);
	message_free(m);
}

/* ---- routes ---- */

struct routing {
	struct message *m;
	size_t n;
	uint32_t idx[];
};

static void routed(void *arg, int status, struct msg *reply)
{
	struct routing *r = arg;
	struct message *m = r->m;
	struct rw_result *res = NULL;
	struct arena mem;
	size_t n = 0;
	arena_init(&mem, RW_ARENA);
	if (status < 0 || reply->type != RW_RESOLVED || rw_results_get(reply, &mem, &res, &n) < 0 || n != r->n)
		n = 0;
	for (size_t i = 0; i < r->n; i++) {
		if (m->pass[r->idx[i]].state != PASS_WAIT)
			continue;
		if (i >= n || (res[i].status != 0 && res[i].status != ERR_NOT_FOUND && res[i].status != ERR_SYNTAX))
			result_local(m, r->idx[i], DV_DEFERRED, SV("4.3.0"), SV("address resolver failure"), 0);
		else if (res[i].status == 0)
			sched_assign(m, r->idx[i], &res[i].route);
		else
			result_local(m, r->idx[i], DV_BOUNCED, res[i].status == ERR_SYNTAX ? SV("5.1.3") : SV("5.1.1"),
			    res[i].reason, 0);
	}
	arena_clear(&mem);
	free(r);
	message_unpend(m);
}

/* Asks where the recipients go that wait: at most RW_MAX_ADDRESSES in one request. */
static void route(struct message *m)
{
	struct rw_resolve ask = {RW_ROUTE, m->f.env.sender, 0, xcalloc(RW_MAX_ADDRESSES, sizeof(*ask.addr))};
	struct routing *r = NULL;
	m->pending++;
	for (size_t i = 0; i <= m->f.n; i++) {
		if (r && (i == m->f.n || r->n == RW_MAX_ADDRESSES)) {
			struct msg_out o = MSG_OUT_INIT;
			ask.n = r->n;
			rw_resolve_put(&o, &ask);
			m->pending++;
			(void)peer_call(m->q->rewrite, RW_RESOLVE, &o, QMGR_ASK_MS, routed, r);
			msg_out_free(&o);
			r = NULL;
		}
		if (i == m->f.n || m->pass[i].state != PASS_WAIT)
			continue;
		if (!r)
			r = xcalloc(1, sizeof(*r) + RW_MAX_ADDRESSES * sizeof(r->idx[0]));
		r->m = m;
		ask.addr[r->n] = m->f.rcpt[i].rcpt.addr;
		r->idx[r->n++] = (uint32_t)i;
	}
	free(ask.addr);
	message_unpend(m);
}

/* ---- a pass begins ---- */

/* Recipients that wait; failures of an earlier pass whose notice could not be made need no new attempt. */
static size_t pass_begin(struct message *m)
{
	size_t n = 0;
	m->active = true;
	m->active_us = clock_wall_us();
	for (size_t i = 0; i < m->f.n; i++) {
		if (m->f.rcpt[i].status != QS_WAITING)
			continue;
		m->pass[i].state = m->f.rcpt[i].outcome == QO_FAILED ? PASS_FAILED : PASS_WAIT;
		n += m->pass[i].state == PASS_WAIT;
	}
	m->pending = n + 1;
	return n;
}

static void log_active(const struct message *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->f.n; i++)
		n += m->f.rcpt[i].status == QS_WAITING;
	log_qid(m->qid, "from=<" SV_FMT ">, size=%ju, nrcpt=%zu (queue active)", SV_ARG(m->f.env.sender),
	    (uintmax_t)m->f.env.size, n);
}

int message_on_queued(struct serve_conn *c, struct msg *msg)
{
	struct qmgr *q = daemon_state(c->d);
	struct qm_queued n;
	struct arena mem;
	struct qfile f;
	struct err err;
	arena_init(&mem, MAIL_ARENA);
	if (!qm_queued_get(msg, &mem, &n)) {
		arena_clear(&mem);
		return ERR_PROTOCOL;
	}
	if (q->stopped || message_find(q, n.qid)) {
		arena_clear(&mem);
		return 0;
	}
	if (n.block.n == 0 || qfile_parse(&f, n.block, n.block_at, true, &err) < 0 || f.n != n.nroute) {
		message_load(q, n.qid, false);
		arena_clear(&mem);
		return 0;
	}
	struct message *m = message_new(q, n.qid);
	m->f = f;
	message_loaded(m);
	if (window_full(m)) {
		to_index(m, QM_INCOMING, 0);
		arena_clear(&mem);
		return 0;
	}
	log_active(m);
	(void)pass_begin(m);
	for (size_t i = 0; i < n.nroute; i++)
		sched_assign(m, (uint32_t)i, &n.route[i]);
	message_unpend(m);
	arena_clear(&mem);
	return 0;
}

/* ---- from the file ---- */

struct load {
	struct ev_work work;
	struct message *m;
	struct spool spool; /* descriptors only; borrowed */
	unsigned flags;
	int status;
	bool locked;
	struct qfile f;
	struct err err;
};

static void load_run(struct ev_work *w)
{
	struct load *l = container_of(w, struct load, work);
	/* For writing: where nothing can be noted (a file system that turned read-only), the same mail would go out
	 * again and again. */
	int fd = spool_open_file(&l->spool, l->m->qid, O_RDWR, &l->err);
	l->status = fd;
	if (fd < 0)
		return;
	/* An agent of this or an earlier qmgr holds a shared lock as long as it carries the message. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		l->locked = true;
		l->status = ERR_TEMP;
	} else {
		l->status = qfile_load(&l->f, fd, l->flags, &l->err);
		if (l->status == 0 && !sv_eqs(l->f.qid, l->m->qid)) {
			qfile_clear(&l->f);
			l->status = err_set(&l->err, ERR_CORRUPT, "name and queue id differ");
		}
	}
	close(fd);
}

void quarantine(struct qmgr *q, const char *qid, const char *why)
{
	struct err err;
	if (spool_quarantine(&q->spool, qid, &err) < 0)
		log_warn("%s: %s", qid, err.text);
	log_line(LOG_LVL_WARNING, qid, NULL, 0, "queue file does not verify: %s; moved to %s", why, SPOOL_CORRUPT);
}

static void load_failed(struct message *m, const struct load *l)
{
	struct qmgr *q = m->q;
	if (l->status == ERR_NOT_FOUND) {
		qindex_del(q->index, sv_str(m->qid));
	} else if (l->status == ERR_CORRUPT) {
		quarantine(q, m->qid, l->err.text);
		qindex_del(q->index, sv_str(m->qid));
	} else {
		/* Carried by an agent, or unreadable for now: the row (or the next scan) brings it back. */
		int64_t wait = l->locked ? QMGR_LOCKED : (int64_t)q->run_delay;
		if (l->locked)
			scan_retry(q);
		else if (l->status < 0)
			log_warn("%s: %s", m->qid, l->err.text);
		qindex_due_now(q->index, sv_str(m->qid), clock_wall() + wait);
	}
	message_free(m);
}

static bool nothing_left(const struct message *m)
{
	for (size_t i = 0; i < m->f.n; i++)
		if (m->f.rcpt[i].status == QS_WAITING)
			return false;
	return true;
}

static void load_done(struct ev_work *w)
{
	struct load *l = container_of(w, struct load, work);
	struct message *m = l->m;
	struct qmgr *q = m->q;
	q->loading--;
	if (l->status < 0 || m->deleted) {
		if (l->status == 0)
			qfile_clear(&l->f);
		load_failed(m, l);
	} else {
		m->f = l->f;
		message_loaded(m);
		if (m->hold_order > 0 || m->f.hold) {
			to_index(m, QM_ON_HOLD, 0);
		} else if (nothing_left(m)) {
			finish_remove(m);
		} else if (!m->due && m->f.next > clock_wall()) {
			to_index(m, QM_DEFERRED, m->f.next);
		} else if (window_full(m) || q->stopped) {
			to_index(m, m->f.attempts ? QM_DEFERRED : QM_INCOMING, 0);
		} else {
			m->in_index = true;
			qindex_lease(q->index, sv_str(m->qid), clock_wall() + q->backoff_max);
			log_active(m);
			(void)pass_begin(m);
			route(m);
			message_unpend(m);
		}
	}
	free(l);
	scan_pump(q);
}

void message_load(struct qmgr *q, struct sv qid, bool due)
{
	struct message *m = message_new(q, qid);
	struct load *l = xcalloc(1, sizeof(*l));
	m->due = due;
	m->flush = due && q->flush_until > ev_now(q->ev);
	l->m = m;
	l->spool = q->spool;
	l->flags = q->verify ? QFILE_VERIFY : 0;
	l->work.run = load_run;
	l->work.done = load_done;
	q->loading++;
	ev_work(q->pool, &l->work);
}
