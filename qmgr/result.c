/* result.c - what delivery agents report, and what is decided here for them. */
#include <fcntl.h>

#include "log/log.h"
#include "qmgr/qmgr.h"

/* ---- status bytes while a pass goes on ---- */

struct marks {
	struct ev_work work;
	struct message *m;
	struct spool spool;
	size_t n;
	int status;
	struct err err;
	struct {
		uint64_t at;
		uint32_t idx;
		char status;
	} v[];
};

static void marks_run(struct ev_work *w)
{
	struct marks *k = container_of(w, struct marks, work);
	int fd = spool_open_file(&k->spool, k->m->qid, O_WRONLY, &k->err);
	k->status = fd;
	if (fd < 0)
		return;
	k->status = 0;
	for (size_t i = 0; i < k->n && k->status == 0; i++)
		k->status = spool_mark(fd, k->v[i].at, k->v[i].status, &k->err);
	close(fd);
}

static void marks_done(struct ev_work *w)
{
	struct marks *k = container_of(w, struct marks, work);
	struct message *m = k->m;
	if (k->status < 0) {
		log_warn("%s: %s", m->qid, k->err.text);
		for (size_t i = 0; i < k->n; i++)
			m->pass[k->v[i].idx].unmarked = true;
	}
	free(k);
	message_unpend(m);
}

/* Recipients that are done are marked at once when others still keep the file; else it goes away anyway. */
static void mark(struct message *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->f.n; i++)
		n += m->pass[i].unmarked;
	if (n == 0)
		return;
	struct marks *k = xcalloc(1, sizeof(*k) + n * sizeof(k->v[0]));
	for (size_t i = 0; i < m->f.n; i++)
		if (m->pass[i].unmarked) {
			m->pass[i].unmarked = false;
			k->v[k->n].at = m->f.rcpt[i].mark_at;
			k->v[k->n].idx = (uint32_t)i;
			k->v[k->n++].status = m->f.rcpt[i].status;
		}
	k->m = m;
	k->spool = m->q->spool;
	k->work.run = marks_run;
	k->work.done = marks_done;
	m->pending++;
	ev_work(m->q->pool, &k->work);
}

/* ---- outcomes ---- */

static void keep(struct message *m, struct sv *to, struct sv from, size_t max)
{
	if (arena_sv(&m->f.mem, sv_head(from, max), to) < 0)
		*to = SV("");
}

static void set_outcome(struct message *m, uint32_t idx, enum dv_status status, struct sv dsn, struct sv relay,
    struct sv text, int64_t when)
{
	struct qfile_rcpt *r = &m->f.rcpt[idx];
	struct rcpt_pass *p = &m->pass[idx];
	uint8_t outcome = QO_DEFERRED;
	if (status == DV_SENT) {
		p->state = PASS_SENT;
		p->unmarked = true;
		r->status = QS_SENT;
		if (!(r->rcpt.notify & MAIL_NOTIFY_SUCCESS))
			return; /* nobody will ask what was said */
	} else {
		outcome = status == DV_BOUNCED && !m->q->soft_bounce ? QO_FAILED : QO_DEFERRED;
		p->state = outcome == QO_FAILED ? PASS_FAILED : PASS_LATER;
	}
	p->changed = r->outcome != outcome || !sv_eq(r->text, text) || !sv_eq(r->dsn, dsn);
	r->outcome = outcome;
	r->last = when;
	if (!sv_eq(r->dsn, dsn))
		keep(m, &r->dsn, dsn, MAIL_NAME_MAX);
	if (!sv_eq(r->relay, relay))
		keep(m, &r->relay, relay, MAIL_NAME_MAX);
	if (!sv_eq(r->text, text))
		keep(m, &r->text, text, MAIL_TEXT_MAX);
}

static void seconds(char out[24], int64_t us)
{
	double v = us < 0 ? 0 : (double)us / 1e6;
	(void)snprintf(out, 24, v >= 10 ? "%.0f" : v >= 1 ? "%.1f" : "%.2f", v);
	char *dot = strchr(out, '.');
	if (dot) {
		char *end = out + strlen(out);
		while (end > dot && (end[-1] == '0' || end[-1] == '.'))
			*--end = '\0';
	}
}

void result_local(
    struct message *m, uint32_t idx, enum dv_status status, struct sv dsn, struct sv text, int64_t when_us)
{
	static const char *const words[] = {[DV_SENT] = "sent", [DV_DEFERRED] = "deferred", [DV_BOUNCED] = "bounced"};
	const struct mail_rcpt *r = &m->f.rcpt[idx].rcpt;
	int64_t now = clock_wall_us();
	char total[24], before[24], here[24], orig[MAIL_ADDR_MAX + 16] = "", soft[8] = "4";
	if (status == DV_BOUNCED && m->q->soft_bounce) {
		status = DV_DEFERRED;
		(void)snprintf(soft + 1, sizeof(soft) - 1, SV_FMT, SV_ARG(sv_head(sv_skip(dsn, 1), 6)));
		dsn = sv_str(soft);
	}
	if (r->orig.n && !sv_eq(r->orig, r->addr))
		(void)snprintf(orig, sizeof(orig), "orig_to=<" SV_FMT ">, ", SV_ARG(r->orig));
	seconds(total, now - m->f.env.arrival);
	seconds(before, m->active_us - m->f.env.arrival);
	seconds(here, now - m->active_us);
	log_qid(m->qid,
	    "to=<" SV_FMT ">, %srelay=none, delay=%s, delays=%s/%s/0/0, dsn=" SV_FMT ", status=%s (" SV_FMT ")",
	    SV_ARG(r->addr), orig, total, before, here, SV_ARG(dsn), words[status], SV_ARG(text));
	if (when_us == 0)
		m->tried = true;
	set_outcome(m, idx, status, dsn, SV("none"), text, when_us ? when_us : now);
	message_unpend(m);
}

/* ---- results of agents ---- */

static bool belongs(const struct delivery *dv, uint32_t idx)
{
	for (size_t i = 0; i < dv->n; i++)
		if (dv->idx[i] == idx)
			return dv->m->pass[idx].state == PASS_WAIT;
	return false;
}

static void apply(struct delivery *dv, const struct dv_result_rcpt *r)
{
	struct message *m = dv->m;
	if (r->status == DV_EXPANDED) {
		expand_start(m, r->index, r->member, r->nmember);
		return;
	}
	set_outcome(m, r->index, (enum dv_status)r->status, r->dsn, r->relay, r->text, clock_wall_us());
	m->pass[r->index].flags = (uint8_t)r->flags;
	message_unpend(m);
}

/* What was not reported is deferred. */
static void rest_deferred(struct delivery *dv, struct sv text)
{
	struct message *m = dv->m;
	for (size_t i = 0; i < dv->n; i++)
		if (m->pass[dv->idx[i]].state == PASS_WAIT)
			result_local(m, dv->idx[i], DV_DEFERRED, SV("4.3.0"), text, 0);
}

void result_abandon(struct delivery *dv, struct sv text)
{
	struct message *m = dv->m;
	m->pending++;
	rest_deferred(dv, text);
	sched_delivery_end(dv);
	message_unpend(m);
}

void result_on_msg(void *arg, struct msg *msg)
{
	struct transport *t = arg;
	struct qmgr *q = t->q;
	struct dv_result r;
	struct delivery *dv = NULL;
	struct arena mem;
	arena_init(&mem, MAIL_ARENA);
	if (msg->type != DV_RESULT || !dv_result_get(msg, &mem, &r)) {
		log_warn("transport %s: bad answer of the delivery agent", t->name);
		arena_clear(&mem);
		return;
	}
	HASH_FIND(hh, q->deliveries, &r.job, sizeof(r.job), dv);
	if (!dv || dv->dest->t != t) { /* given up meanwhile */
		arena_clear(&mem);
		return;
	}
	struct message *m = dv->m;
	struct dest *d = dv->dest;
	t->answered = t->ever_answered = true;
	t->lost = 0;
	m->tried = true;
	m->pending++;
	struct sv dsn = SV(""), text = SV("");
	for (size_t i = 0; i < r.nrcpt; i++) {
		if (!belongs(dv, r.rcpt[i].index)) {
			log_warn("%s: transport %s reports a recipient that it was not given", m->qid, t->name);
			continue;
		}
		if (r.rcpt[i].status == DV_EXPANDED && strcmp(t->class, "local") != 0) {
			/* Who talks to other hosts has no say in who else gets the mail. */
			log_warn("%s: transport %s wants to name recipients", m->qid, t->name);
			continue;
		}
		dsn = r.rcpt[i].dsn;
		text = r.rcpt[i].text;
		apply(dv, &r.rcpt[i]);
	}
	if (r.last) {
		rest_deferred(dv, SV("the delivery agent did not report"));
		d->held = true; /* stays for the feedback */
		sched_feedback(d, r.site_down, dsn, text);
		sched_delivery_end(dv);
		d->held = false;
		sched_dest_idle(d);
	}
	if (m->pending > 1)
		mark(m);
	message_unpend(m);
	arena_clear(&mem);
}

void result_on_state(void *arg, bool up)
{
	if (!up)
		sched_transport_lost(arg);
}
