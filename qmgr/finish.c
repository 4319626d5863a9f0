/*
 * finish.c - the end of a pass.  Nothing of the message is under way: notices are committed first, then what changed is
 * written down (notice before mark: a crash between the two tells the sender twice, never not at all), then the file is
 * removed or waits with a row in the index.
 */
#include <fcntl.h>

#include "log/log.h"
#include "qmgr/qmgr.h"

#define UNLINK_PART 64 /* files that one helper removes; as many lines then go to the log at once */
#define BIT(kind) (uint8_t)(1u << (kind))
#define QFILE_TEXTS_MAX (QFILE_RECORD_MAX / 2) /* bytes of records from where on reasons are left out */
#define NOTICE_BYTES (MSG_MAX_BODY / 2)	       /* of recipients in one request for a notice */
#define POISON_GRACE (86400 * 1000000ll)       /* us beyond its time that mail may still end its agents */

/* ---- expiry ---- */

/* Only an attempt that failed after the time was up counts: a clock that jumps returns nothing by itself. */
static void expire(struct message *m)
{
	struct qmgr *q = m->q;
	int64_t life = is_null(m->f.env.sender) ? q->bounce_lifetime : q->lifetime;
	int64_t end = m->f.env.arrival + life * 1000000;
	bool any = false;
	if (q->soft_bounce)
		return;
	for (size_t i = 0; i < m->f.n; i++) {
		if (m->pass[i].state != PASS_LATER || m->f.rcpt[i].last < end)
			continue;
		/* An agent that died is no failed attempt, unless that is what this mail does to every agent. */
		if (m->soon && (m->f.attempts < QMGR_SOON_TIMES || m->f.rcpt[i].last < end + POISON_GRACE))
			continue;
		m->pass[i].state = PASS_FAILED;
		m->pass[i].changed = true;
		m->f.rcpt[i].outcome = QO_FAILED;
		any = true;
	}
	if (any)
		log_qid(m->qid, "from=<" SV_FMT ">, status=expired, returned to sender", SV_ARG(m->f.env.sender));
}

/* ---- notices ---- */

static bool wants(const struct mail_rcpt *r, uint32_t bit)
{
	return r->notify == 0 ? bit != MAIL_NOTIFY_SUCCESS : (r->notify & bit) != 0;
}

struct notice {
	struct message *m;
	uint8_t kind; /* enum cl_notice_kind */
	uint8_t bit;  /* of the kind that was due */
	bool more;    /* others need another notice */
	size_t n;
	uint32_t idx[];
};

/* Recipients whose end the sender knows of, or need not. */
static void told(struct message *m, uint32_t idx)
{
	m->pass[idx].told = true;
	if (m->pass[idx].state == PASS_FAILED) {
		m->f.rcpt[idx].status = QS_FAILED;
		m->pass[idx].unmarked = true;
	}
}

static void notice_done(void *arg, int status, struct msg *reply)
{
	struct notice *n = arg;
	struct message *m = n->m;
	struct qmgr *q = m->q;
	struct cl_done done;
	bool good = status == 0 && reply->type == CL_NOTICE && cl_done_get(reply, &done) && done.status == 0;
	if (good) {
		for (size_t i = 0; i < n->n; i++)
			told(m, n->idx[i]);
		if (n->more)
			m->notices &= (uint8_t)~n->bit;
	} else {
		log_warn("%s: the notice to its sender could not be made now", m->qid);
		m->notice_failed = true;
	}
	if (good && n->kind == CL_NOTICE_DELAY) {
		m->f.warned = true;
		m->warned_now = true;
	}
	free(n);
	q->notices--;
	message_unpend(m);
	qmgr_idle_check(q);
}

static enum cl_action action_of(const struct message *m, uint32_t idx, uint8_t kind)
{
	if (kind == CL_NOTICE_DELAY)
		return CL_ACTION_DELAYED;
	if (kind == CL_NOTICE_SUCCESS)
		return m->pass[idx].flags & DV_RELAYED_NO_DSN ? CL_ACTION_RELAYED : CL_ACTION_DELIVERED;
	return CL_ACTION_FAILED;
}

/* Sends the request; n belongs to the call afterwards. */
static void notice_send(struct notice *n, const char *to)
{
	struct message *m = n->m;
	struct qmgr *q = m->q;
	struct err err;
	struct msg_out o = MSG_OUT_INIT;
	int64_t life = is_null(m->f.env.sender) ? q->bounce_lifetime : q->lifetime;
	struct cl_notice out = {.kind = n->kind,
	    .qid = sv_str(m->qid),
	    .to = sv_str(to),
	    .will_retry_until = n->kind == CL_NOTICE_DELAY ? m->f.env.arrival + life * 1000000 : 0,
	    .env = m->f.env,
	    .nrcpt = n->n,
	    .rcpt = xcalloc(n->n, sizeof(*out.rcpt))};
	out.env.summary = SV("");
	for (size_t i = 0; i < n->n; i++) {
		const struct qfile_rcpt *r = &m->f.rcpt[n->idx[i]];
		out.rcpt[i] = (struct cl_notice_rcpt){
		    r->rcpt, action_of(m, n->idx[i], n->kind), r->dsn, r->text, r->relay, r->last};
	}
	out.fd = spool_open_file(&q->spool, m->qid, O_RDONLY, &err);
	m->pending++;
	q->notices++; /* a drain waits for the answer: else the sender would be told again */
	if (out.fd < 0) {
		log_warn("%s: %s", m->qid, err.text);
		notice_done(n, ERR_TEMP, NULL);
	} else {
		cl_notice_put(&o, &out);
		(void)peer_call(q->cleanup, CL_NOTICE, &o, QMGR_NOTICE_MS, notice_done, n);
		close(out.fd);
	}
	free(out.rcpt);
	msg_out_free(&o);
}

/* The recipients of one kind that ask for it, as many as one notice holds; NULL when there are none. */
static struct notice *collect(struct message *m, uint8_t kind, enum pass_state state, uint32_t bit)
{
	struct notice *n = NULL;
	size_t bytes = 0;
	for (size_t i = 0; i < m->f.n; i++) {
		const struct qfile_rcpt *r = &m->f.rcpt[i];
		if (m->pass[i].state != state || m->pass[i].told)
			continue;
		/* A notice goes out with NOTIFY=NEVER (RFC 3461 section 6.1), but its own end is the postmaster's
		 * business. */
		bool ours = bit == MAIL_NOTIFY_FAILURE && (m->f.env.flags & MAIL_NOTICE);
		if ((!ours && !wants(&r->rcpt, bit)) || (state == PASS_SENT && (m->pass[i].flags & DV_NO_DSN))) {
			told(m, (uint32_t)i);
			continue;
		}
		if (!n) {
			n = xcalloc(1, sizeof(*n) + m->f.n * sizeof(n->idx[0]));
			n->m = m;
			n->kind = kind;
			n->bit = BIT(kind);
		}
		bytes += r->rcpt.addr.n + r->rcpt.orig.n + r->rcpt.orcpt.n + r->dsn.n + r->relay.n + r->text.n + 64;
		n->more = n->n > 0 && (n->n == CL_NOTICE_RCPTS_MAX || bytes > NOTICE_BYTES);
		if (n->more)
			break;
		n->idx[n->n++] = (uint32_t)i;
	}
	return n;
}

/* Mail that has nobody to return to. */
static bool notice_double(struct notice *n)
{
	struct message *m = n->m;
	struct qmgr *q = m->q;
	bool is_double = sv_ieqs(m->f.env.sender, q->double_bounce);
	if (!is_double && q->notify_2bounce) {
		n->kind = CL_NOTICE_DOUBLE;
		notice_send(n, q->postmaster);
		return true;
	}
	log_line(LOG_LVL_WARNING, m->qid, NULL, 0,
	    is_double ? "undeliverable postmaster notification discarded" : "undeliverable notice discarded");
	for (size_t i = 0; i < n->n; i++)
		told(m, n->idx[i]);
	free(n);
	return false;
}

/* Starts the next notice that is due; false when there is none. */
static bool next_notice(struct message *m)
{
	struct qmgr *q = m->q;
	struct notice *n;
	char to[MAIL_ADDR_MAX + 1];
	bool null_sender = is_null(m->f.env.sender) || sv_ieqs(m->f.env.sender, q->double_bounce);
	(void)snprintf(to, sizeof(to), SV_FMT, SV_ARG(m->f.env.sender));
	if (!(m->notices & BIT(CL_NOTICE_FAILURE))) {
		m->notices |= BIT(CL_NOTICE_FAILURE);
		n = collect(m, CL_NOTICE_FAILURE, PASS_FAILED, MAIL_NOTIFY_FAILURE);
		bool more = n && n->more;
		if (n && null_sender) {
			if (notice_double(n))
				return true;
			if (more) {
				m->notices &= (uint8_t)~BIT(CL_NOTICE_FAILURE);
				return next_notice(m);
			}
		} else if (n) {
			notice_send(n, to);
			return true;
		}
	}
	if (null_sender)
		return false;
	if (!(m->notices & BIT(CL_NOTICE_SUCCESS))) {
		m->notices |= BIT(CL_NOTICE_SUCCESS);
		n = collect(m, CL_NOTICE_SUCCESS, PASS_SENT, MAIL_NOTIFY_SUCCESS);
		if (n) {
			notice_send(n, to);
			return true;
		}
	}
	int64_t age = clock_wall_us() - m->f.env.arrival;
	if (q->warn_time > 0 && age >= q->warn_time * 1000000 && (!m->f.warned || m->warned_now) &&
	    !(m->notices & BIT(CL_NOTICE_DELAY))) {
		m->notices |= BIT(CL_NOTICE_DELAY);
		n = collect(m, CL_NOTICE_DELAY, PASS_LATER, MAIL_NOTIFY_DELAY);
		if (n) {
			notice_send(n, to);
			return true;
		}
	}
	return false;
}

/* ---- removal ---- */

static void unlink_run(struct ev_work *w)
{
	struct unlinker *u = container_of(w, struct unlinker, work);
	for (struct message *m = u->doing; m; m = m->next) {
		struct err err;
		m->unlinked = spool_unlink(&m->q->spool, m->qid, &err) == 0;
		if (m->unlinked)
			continue;
		/* It cannot go: what is done must be seen in it. */
		int fd = spool_open_file(&m->q->spool, m->qid, O_WRONLY, &err);
		for (size_t i = 0; fd >= 0 && i < m->f.n; i++)
			if (m->f.rcpt[i].status != QS_WAITING)
				(void)spool_mark(fd, m->f.rcpt[i].mark_at, m->f.rcpt[i].status, &err);
		fd_close(&fd);
	}
}

static void unlink_next(struct qmgr *q);

static void unlink_done(struct ev_work *w)
{
	struct unlinker *u = container_of(w, struct unlinker, work);
	struct qmgr *q = container_of(u, struct qmgr, unlinker);
	struct message *m = u->doing;
	u->doing = NULL;
	u->busy = false;
	while (m) {
		struct message *next = m->next;
		if (m->unlinked)
			log_qid(m->qid, "removed");
		else
			log_warn("%s: the queue file cannot be removed", m->qid);
		if (m->in_index)
			qindex_del(q->index, sv_str(m->qid));
		message_free(m);
		m = next;
	}
	unlink_next(q);
	qmgr_idle_check(q);
}

static void unlink_next(struct qmgr *q)
{
	struct unlinker *u = &q->unlinker;
	if (u->busy || !u->todo)
		return;
	u->busy = true;
	u->doing = NULL;
	for (size_t i = 0; u->todo && i < UNLINK_PART; i++) {
		struct message *m = u->todo;
		u->todo = m->next;
		m->next = u->doing;
		u->doing = m;
	}
	u->work.run = unlink_run;
	u->work.done = unlink_done;
	ev_work(q->pool, &u->work);
}

static void unlink_turn(struct ev_defer *d)
{
	unlink_next(container_of(d, struct qmgr, unlink_turn));
}

void finish_remove(struct message *m)
{
	struct qmgr *q = m->q;
	m->deleted = true;
	m->next = q->unlinker.todo;
	q->unlinker.todo = m;
	ev_defer(q->ev, &q->unlink_turn, unlink_turn);
}

/* ---- waiting ---- */

struct record {
	struct ev_work work;
	struct message *m;
	struct spool spool;
	struct buf out;
	uint64_t end;
	bool torn;
	uint32_t state;
	int64_t next;
	int status;
	struct err err;
};

static void record_run(struct ev_work *w)
{
	struct record *r = container_of(w, struct record, work);
	struct message *m = r->m;
	int fd = spool_open_file(&r->spool, m->qid, O_WRONLY, &r->err);
	r->status = fd;
	if (fd < 0)
		return;
	r->status = 0;
	for (size_t i = 0; i < m->f.n && r->status == 0; i++)
		if (m->pass[i].unmarked)
			r->status = spool_mark(fd, m->f.rcpt[i].mark_at, m->f.rcpt[i].status, &r->err);
	if (r->status == 0)
		r->status = spool_append(fd, r->end, r->torn, buf_sv(&r->out), &r->err);
	close(fd);
}

static void record_done(struct ev_work *w)
{
	struct record *r = container_of(w, struct record, work);
	struct message *m = r->m;
	struct qmgr *q = m->q;
	if (r->status < 0)
		log_warn("%s: %s", m->qid, r->err.text); /* a full disk: index and memory carry on without the record */
	buf_free(&r->out);
	if (m->deleted || r->status == ERR_NOT_FOUND) {
		qindex_del(q->index, sv_str(m->qid));
		message_free(m);
	} else {
		if (m->hold_order > 0)
			r->state = QM_ON_HOLD;
		message_row(m, r->state, r->state == QM_ON_HOLD ? 0 : r->next, NULL);
		message_free(m);
	}
	free(r);
	qmgr_idle_check(q);
}

static int64_t next_attempt(const struct message *m)
{
	const struct qmgr *q = m->q;
	int64_t now = clock_wall(), wait = q->backoff_min;
	if (m->again)
		return now;
	if (m->soon && m->f.attempts < QMGR_SOON_TIMES)
		return now + QMGR_SOON;
	for (uint32_t i = 1; i < m->f.attempts && wait < q->backoff_max; i++)
		wait *= 2;
	return now + (wait < q->backoff_max ? wait : q->backoff_max);
}

static void write_down(struct message *m)
{
	struct qmgr *q = m->q;
	struct record *r = xcalloc(1, sizeof(*r));
	r->m = m;
	r->spool = q->spool;
	buf_init(&r->out, QFILE_RECORD_MAX);
	m->f.attempts++;
	m->f.next = r->next = next_attempt(m);
	r->state = m->hold_order > 0 ? QM_ON_HOLD : QM_DEFERRED;
	for (size_t i = 0; i < m->f.n; i++) {
		const struct qfile_rcpt *c = &m->f.rcpt[i];
		if (c->status != QS_WAITING || !m->pass[i].changed || c->outcome == QO_NONE)
			continue;
		/* Reasons that change each time may not fill the file: past its share only that it failed is noted. */
		bool room = m->f.end - m->f.content_end + r->out.n < QFILE_TEXTS_MAX;
		if (!room && c->outcome != QO_FAILED)
			continue;
		struct qfile_result res = {(uint32_t)i, c->outcome, c->dsn, c->relay, room ? c->text : SV(""), c->last};
		(void)qrec_result_put(&r->out, &res);
	}
	if (m->warned_now)
		(void)qrec_warned_put(&r->out);
	if (m->hold_order > 0)
		(void)qrec_hold_put(&r->out, true);
	(void)qrec_schedule_put(&r->out, m->f.attempts, m->f.next);
	r->end = m->f.end;
	r->torn = m->f.size > m->f.end;
	r->work.run = record_run;
	r->work.done = record_done;
	ev_work(q->pool, &r->work);
}

void finish_pass(struct message *m)
{
	if (m->deleted) {
		struct qmgr *q = m->q;
		qindex_del(q->index, sv_str(m->qid));
		message_free(m);
		qmgr_idle_check(q);
		return;
	}
	if (m->notices == 0)
		expire(m);
	m->pending++;
	bool waits = next_notice(m);
	m->pending--;
	if (waits && m->pending > 0)
		return;
	if (waits) { /* it failed at once */
		finish_pass(m);
		return;
	}
	for (size_t i = 0; i < m->f.n; i++)
		if (m->f.rcpt[i].status == QS_WAITING) {
			write_down(m);
			return;
		}
	finish_remove(m);
}
