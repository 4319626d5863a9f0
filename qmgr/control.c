/*
 * control.c - the local socket public/qmgr: postqueue, mailq, postsuper.  Who asks is known by the socket's peer uid.
 * Lists are streamed a page at a time in short read transactions; orders for many messages work in the background, a
 * part at a time, so that nobody else waits.
 */
#include <fcntl.h>
#include <pwd.h>

#include "log/log.h"
#include "qmgr/qmgr.h"

#define PAGE_ROWS 500
#define PAGE_BYTES (256u << 10)
#define PAGE_WAITING (512u << 10) /* bytes not read yet by the tool: it gets its next page later */
#define CLIENTS_MAX 100		  /* tools at a time: descriptors are for mail */
#define PART 100		  /* files of one order that are worked on at a time */

/* ---- lists ---- */

struct lister {
	struct qmgr *q;
	struct serve_conn *c;
	struct serve_ticket ticket;
	struct ev_timer timer;
	char (*active)[QID_MAX + 1]; /* ids that were in memory when the list began */
	size_t nactive, at;
	uint64_t since; /* change of the index that must be readable: mail is in memory or there, never in neither */
	char after[MAIL_QID_MAX + 1];
	char qid[MAIL_QID_MAX + 1], site[MAIL_ADDR_MAX + 1];
	struct buf rows;
	size_t n;
};

static void lister_free(struct lister *l)
{
	ev_timer_stop(&l->timer);
	buf_free(&l->rows);
	free(l->active);
	free(l);
}

static void conn_closed(struct serve_conn *c)
{
	struct lister *l = c->state;
	struct qmgr *q = daemon_state(c->d);
	c->state = NULL;
	q->nclients--;
	if (l)
		lister_free(l);
}

static void send_page(struct lister *l, bool more)
{
	struct msg_out o = MSG_OUT_INIT;
	qm_rows_head_put(&o, 0, more, l->n);
	(void)buf_addsv(&o.b, buf_sv(&l->rows));
	serve_answer(l->q->d, l->ticket, QM_ROWS, &o);
	msg_out_free(&o);
	buf_reset(&l->rows);
	l->n = 0;
}

static bool page_full(const struct lister *l)
{
	return l->n >= PAGE_ROWS || l->rows.n >= PAGE_BYTES;
}

static bool at_site(struct sv addr, const char *site)
{
	ssize_t at = sv_rchr(addr, '@');
	return at >= 0 && sv_ieqs(sv_skip(addr, (size_t)at + 1), site);
}

/* What the tool asked for: one id, one site, or all. */
static bool wanted(const struct lister *l, const struct qm_row *row)
{
	if (l->qid[0])
		return sv_eqs(row->qid, l->qid);
	for (size_t i = 0; l->site[0] && i < row->nrcpt; i++)
		if (at_site(row->rcpt[i].addr, l->site))
			return true;
	return !l->site[0];
}

static void add_row(struct lister *l, struct sv bytes)
{
	struct arena a;
	struct qm_row row;
	struct msg in = {.body = bytes};
	arena_init(&a, 2u << 20);
	if (qm_row_get(&in, &a, &row) && wanted(l, &row) && buf_addsv(&l->rows, bytes) == 0)
		l->n++;
	arena_clear(&a);
}

static void rows_of_memory(struct lister *l)
{
	while (l->at < l->nactive && !page_full(l)) {
		struct message *m = message_find(l->q, sv_str(l->active[l->at++]));
		struct msg_out row = MSG_OUT_INIT;
		if (!m || !m->loaded || m->deleted)
			continue;
		message_row(m, m->hold_order > 0 ? QM_ON_HOLD : QM_ACTIVE, 0, &row);
		add_row(l, buf_sv(&row.b));
		msg_out_free(&row);
	}
}

static bool row_of_index(void *arg, struct sv qid, const struct qm_row *row)
{
	struct lister *l = arg;
	struct msg_out o = MSG_OUT_INIT;
	struct message *m = message_find(l->q, qid);
	(void)snprintf(l->after, sizeof(l->after), SV_FMT, SV_ARG(qid));
	if (!row || (m && m->loaded))
		return true;
	qm_row_put(&o, row);
	add_row(l, buf_sv(&o.b));
	msg_out_free(&o);
	return !page_full(l);
}

static void list_more(struct ev_timer *t)
{
	struct lister *l = container_of(t, struct lister, timer);
	if (chan_out_len(l->c->chan) > PAGE_WAITING || !qindex_committed(l->q->index, l->since)) {
		ev_timer_start(l->q->ev, &l->timer, 5, list_more);
		return;
	}
	rows_of_memory(l);
	size_t n = 1;
	if (l->at == l->nactive && !page_full(l))
		n = qindex_page(l->q->index, sv_str(l->after), PAGE_ROWS, row_of_index, l);
	bool more = n > 0;
	send_page(l, more);
	if (more) {
		ev_timer_start(l->q->ev, &l->timer, 0, list_more);
		return;
	}
	l->c->state = NULL;
	lister_free(l);
}

static int on_list(struct serve_conn *c, struct msg *m)
{
	struct qmgr *q = daemon_state(c->d);
	struct sv qid, site;
	struct message *e, *tmp;
	if (!qm_list_get(m, &qid, &site) || c->state)
		return ERR_PROTOCOL;
	struct lister *l = xcalloc(1, sizeof(*l));
	l->q = q;
	l->c = c;
	l->ticket = serve_ticket(c, m);
	(void)snprintf(l->qid, sizeof(l->qid), SV_FMT, SV_ARG(qid));
	(void)snprintf(l->site, sizeof(l->site), SV_FMT, SV_ARG(site));
	buf_init(&l->rows, MSG_MAX_BODY - 1024);
	l->active = xcalloc(HASH_COUNT(q->messages) + 1, sizeof(*l->active));
	HASH_ITER (hh, q->messages, e, tmp) {
		memcpy(l->active[l->nactive++], e->qid, sizeof(e->qid));
	}
	l->since = qindex_queued(q->index);
	c->state = l;
	ev_timer_start(q->ev, &l->timer, 0, list_more);
	return 0;
}

/* ---- orders ---- */

struct order {
	struct ev_work work;
	struct qmgr *q;
	struct serve_ticket ticket;
	uint16_t type;
	struct spool spool;
	char (*qid)[MAIL_QID_MAX + 1];
	size_t n, cap, at;
	uint64_t count;
	size_t npart;
	struct {
		char qid[MAIL_QID_MAX + 1];
		bool done;
		bool same; /* the file says so already */
	} part[PART];
};

static void order_add(struct order *o, struct sv qid)
{
	if (o->n == o->cap) {
		o->cap = o->cap * 2 + 16;
		o->qid = xreallocarray(o->qid, o->cap, sizeof(*o->qid));
	}
	(void)snprintf(o->qid[o->n++], sizeof(*o->qid), SV_FMT, SV_ARG(sv_head(qid, MAIL_QID_MAX)));
}

static void order_end(struct order *o)
{
	struct msg_out out = MSG_OUT_INIT;
	qm_ordered_put(&out, 0, o->count);
	serve_answer(o->q->d, o->ticket, o->type, &out);
	msg_out_free(&out);
	free(o->qid);
	free(o);
}

/* A record at the end of a file that is not in memory. */
static bool file_record(struct order *o, const char *qid, bool *same)
{
	struct err err;
	struct qfile f;
	struct buf rec = BUF_INIT(4096);
	int fd = spool_open_file(&o->spool, qid, O_RDWR, &err);
	bool ok = fd >= 0 && qfile_load(&f, fd, 0, &err) == 0;
	if (ok) {
		(void)qrec_hold_put(&rec, o->type == QM_HOLD);
		if (o->type == QM_RELEASE)
			(void)qrec_schedule_put(&rec, f.attempts, 0);
		*same = f.hold == (o->type == QM_HOLD);
		ok = !*same && spool_append(fd, f.end, f.size > f.end, buf_sv(&rec), &err) == 0 && fdatasync(fd) == 0;
		qfile_clear(&f);
	}
	buf_free(&rec);
	fd_close(&fd);
	return ok;
}

static void part_run(struct ev_work *w)
{
	struct order *o = container_of(w, struct order, work);
	struct err err;
	for (size_t i = 0; i < o->npart; i++) {
		const char *qid = o->part[i].qid;
		o->part[i].same = false;
		if (o->type == QM_DELETE) {
			int fd = spool_open_file(&o->spool, qid, O_PATH, &err);
			o->part[i].done = fd >= 0 && spool_unlink(&o->spool, qid, &err) == 0;
			fd_close(&fd);
		} else {
			o->part[i].done = file_record(o, qid, &o->part[i].same);
		}
	}
}

/* The row of a message whose file was changed. */
static void new_row(struct qmgr *q, struct sv qid, uint32_t state)
{
	struct arena a;
	struct qm_row row;
	arena_init(&a, 2u << 20);
	if (qindex_get(q->index, qid, &a, &row)) {
		row.state = state;
		row.next = 0;
		qindex_put(q->index, &row);
	} else if (!message_find(q, qid)) {
		message_load(q, qid, true);
	}
	arena_clear(&a);
}

/* On hold in the index only: the order came while the message was being let go of. */
static bool held_row(struct qmgr *q, struct sv qid)
{
	struct arena a;
	struct qm_row row;
	arena_init(&a, 2u << 20);
	bool held = !message_find(q, qid) && qindex_get(q->index, qid, &a, &row) && row.state == QM_ON_HOLD;
	arena_clear(&a);
	return held;
}

static void order_pump(struct order *o);

static void part_done(struct ev_work *w)
{
	static const char *const words[] = {
	    [QM_DELETE - QM_QUEUED] = "removed",
	    [QM_HOLD - QM_QUEUED] = "placed on hold",
	    [QM_RELEASE - QM_QUEUED] = "released from hold",
	};
	struct order *o = container_of(w, struct order, work);
	struct qmgr *q = o->q;
	for (size_t i = 0; i < o->npart; i++) {
		struct sv qid = sv_str(o->part[i].qid);
		struct message *m = message_find(q, qid);
		if (!o->part[i].done && !(o->type == QM_RELEASE && o->part[i].same && held_row(q, qid)))
			continue;
		o->count++;
		log_qid(o->part[i].qid, "%s", words[o->type - QM_QUEUED]);
		if (o->type == QM_DELETE) {
			if (m)
				m->deleted = true;
			qindex_del(q->index, qid);
		} else if (!m) {
			new_row(q, qid, o->type == QM_HOLD ? QM_ON_HOLD : QM_DEFERRED);
		} else if (o->type == QM_HOLD) {
			m->hold_order = 1; /* it was loaded meanwhile, maybe from what the file said before */
		}
	}
	order_pump(o);
}

/* Orders that need no file; true when this one was dealt with. */
static bool in_memory(struct order *o, const char *qid)
{
	struct qmgr *q = o->q;
	struct message *m = message_find(q, sv_str(qid));
	switch (o->type) {
	case QM_FLUSH:
	case QM_REQUEUE:
		if (m) {
			m->again = true;
			o->count++;
		} else if (qindex_has(q->index, sv_str(qid))) {
			qindex_due_now(q->index, sv_str(qid), clock_wall());
			o->count++;
		}
		return true;
	case QM_HOLD:
		if (m && !m->deleted) {
			m->hold_order = 1;
			o->count++;
			log_qid(qid, "placed on hold");
		}
		return m != NULL;
	case QM_RELEASE:
		if (m && m->hold_order) {
			m->hold_order = 0;
			m->again = true;
			o->count++;
		}
		return m != NULL;
	default: return false;
	}
}

static void order_pump(struct order *o)
{
	o->npart = 0;
	for (size_t budget = PART * 5; o->at < o->n && o->npart < PART && budget > 0; budget--) {
		const char *qid = o->qid[o->at++];
		if (!in_memory(o, qid)) /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): qid holds n */
			memcpy(o->part[o->npart++].qid, qid, sizeof(*o->qid));
	}
	if (o->npart == 0 && o->at == o->n) {
		due_start(o->q);
		order_end(o);
		return;
	}
	o->work.run = part_run;
	o->work.done = part_done;
	ev_work(o->q->pool, &o->work);
}

struct gather {
	struct order *o;
	uint32_t state; /* 0: every one */
	char after[MAIL_QID_MAX + 1];
};

static bool gather_row(void *arg, struct sv qid, const struct qm_row *row)
{
	struct gather *g = arg;
	(void)snprintf(g->after, sizeof(g->after), SV_FMT, SV_ARG(qid));
	if (row && (g->state == 0 || row->state == g->state) && !message_find(g->o->q, qid))
		order_add(g->o, qid);
	return true;
}

/* ALL: what is in memory and what the index has. */
static int gather_all(struct order *o, struct sv where)
{
	static const struct {
		const char *name;
		uint32_t state;
	} queues[] = {
	    {"", 0}, {"incoming", QM_INCOMING}, {"active", QM_ACTIVE}, {"deferred", QM_DEFERRED}, {"hold", QM_ON_HOLD}};
	struct gather g = {.o = o};
	struct message *m, *tmp;
	size_t i = 0;
	while (i < ARRAY_LEN(queues) && !sv_eqs(where, queues[i].name))
		i++;
	if (i == ARRAY_LEN(queues))
		return ERR_NOT_FOUND;
	g.state = queues[i].state;
	if (g.state == 0 || g.state == QM_ACTIVE) {
		HASH_ITER (hh, o->q->messages, m, tmp) {
			order_add(o, sv_str(m->qid));
		}
	}
	while (g.state != QM_ACTIVE && qindex_page(o->q->index, sv_str(g.after), 1000, gather_row, &g) > 0)
		;
	return 0;
}

static struct order *order_new(struct serve_conn *c, struct msg *m)
{
	struct order *o = xcalloc(1, sizeof(*o));
	o->q = daemon_state(c->d);
	o->ticket = serve_ticket(c, m);
	o->type = m->type;
	o->spool = o->q->spool;
	return o;
}

static int on_order(struct serve_conn *c, struct msg *m)
{
	struct qm_order ask;
	if (!qm_order_get(m, &ask))
		return ERR_PROTOCOL;
	struct order *o = order_new(c, m);
	if (sv_eqs(ask.qid, "ALL"))
		(void)gather_all(o, ask.where);
	else if (mail_qid_valid(ask.qid))
		order_add(o, ask.qid);
	order_pump(o);
	return 0;
}

static int on_flush(struct serve_conn *c, struct msg *m)
{
	struct qmgr *q = daemon_state(c->d);
	struct qm_order ask;
	char page[256][MAIL_QID_MAX + 1], after[MAIL_QID_MAX + 1] = "";
	if (!qm_order_get(m, &ask))
		return ERR_PROTOCOL;
	struct order *o = order_new(c, m);
	sched_revive(q);
	if (ask.qid.n && mail_qid_valid(ask.qid)) {
		order_add(o, ask.qid);
	} else if (ask.where.n) {
		size_t n;
		while ((n = qindex_site(q->index, ask.where, sv_str(after), ARRAY_LEN(page), page)) > 0) {
			for (size_t i = 0; i < n; i++)
				order_add(o, sv_str(page[i]));
			memcpy(after, page[n - 1], sizeof(after));
		}
	} else {
		qindex_due_now(q->index, SV(""), clock_wall());
		scan_retry(q);
	}
	order_pump(o);
	return 0;
}

/* ---- who asks ---- */

static const struct serve_entry requests[] = {
    {QM_LIST, "list", "owner user", on_list},
    {QM_FLUSH, "flush", "owner user", on_flush},
    {QM_DELETE, "delete", "owner", on_order},
    {QM_HOLD, "hold", "owner", on_order},
    {QM_RELEASE, "release", "owner", on_order},
    {QM_REQUEUE, "requeue", "owner", on_order},
};

void control_accept(struct daemon *d, const struct listener *l, int fd, const struct sockaddr_storage *from ATTR_UNUSED)
{
	struct qmgr *q = daemon_state(d);
	struct ucred cred;
	socklen_t n = sizeof(cred);
	struct caller who = {0};
	if (l->is_inet || q->nclients >= CLIENTS_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0) {
		close(fd);
		return;
	}
	bool owner = cred.uid == 0 || cred.uid == geteuid() || cred.uid == q->owner;
	(void)snprintf(who.program, sizeof(who.program), "%s", owner ? "owner" : "user");
	(void)snprintf(who.service, sizeof(who.service), "uid %u", (unsigned)cred.uid);
	who.pid = cred.pid;
	q->nclients++;
	serve_attach(d, fd, &who, requests, ARRAY_LEN(requests), conn_closed);
}
