/*
 * sched.c - who is delivered next.  Each transport has a ring of destinations that may start another delivery; each
 * destination a ring of jobs (recipients of one message).  A turn gives each destination one delivery, and each of its
 * jobs in turn one portion of recipients, so that neither a big list nor a big site keeps others waiting.  The number
 * of deliveries at a time to a destination follows what comes back (SCHEDULER_README of Postfix gives the idea): a
 * success adds one, a host that cannot be reached takes one away, and a whole round of failures stops the destination
 * for a while.
 */
#include <fcntl.h>
#include <sys/file.h>

#include "base/num.h"
#include "log/log.h"
#include "qmgr/qmgr.h"

#define LOST_PAUSE 3 /* connections lost in a row before the transport pauses */
#define LOST_DEFER 6 /* ... and before its mail is deferred */
#define PAUSE_MS 1000
#define BAD_MS 300000 /* how long failures of a destination count */

/* ---- transports ---- */

static const struct {
	const char *name;
	enum transport_kind kind;
	const char *class;
} known[] = {
    {"smtp", TR_AGENT, "smtp"},
    {"relay", TR_AGENT, "smtp"},
    {"lmtp", TR_AGENT, "smtp"},
    {"local", TR_AGENT, "local"},
    {"virtual", TR_AGENT, "local"},
    {"error", TR_ERROR, ""},
    {"retry", TR_RETRY, ""},
    {"discard", TR_DISCARD, ""},
};

static unsigned limit_of(struct qmgr *q, const char *transport, const char *what)
{
	char name[MAIL_NAME_MAX + 64];
	const struct conf *cf = daemon_conf(q->d);
	(void)snprintf(name, sizeof(name), "%s_destination_%s_limit", transport, what);
	if (!conf_has(cf, name))
		(void)snprintf(name, sizeof(name), "default_destination_%s_limit", what);
	return (unsigned)conf_int(cf, name);
}

static void transport_limits(struct transport *t)
{
	t->concurrency = limit_of(t->q, t->name, "concurrency");
	t->rcpts = limit_of(t->q, t->name, "recipient");
	if (t->concurrency == 0)
		t->concurrency = QMGR_IN_FLIGHT;
	t->by_rcpt = t->rcpts == 1;
	if (t->rcpts == 0 || t->rcpts > DV_RCPTS_MAX)
		t->rcpts = DV_RCPTS_MAX;
}

static void transport_connect(struct transport *t)
{
	peer_free(&t->peer);
	t->peer = peer_new(t->q->d, t->class, t->name);
	peer_on_msg(t->peer, result_on_msg, t);
	peer_on_state(t->peer, result_on_state, t);
}

static struct transport *transport_get(struct qmgr *q, struct sv name)
{
	struct transport *t;
	HASH_FIND(hh, q->transports, name.p, name.n, t);
	if (t)
		return t;
	t = xcalloc(1, sizeof(*t));
	t->q = q;
	t->name = sv_dup(name);
	t->class = NULL;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].name, t->name) == 0) {
			t->kind = known[i].kind;
			t->class = known[i].class;
		}
	t->guessed = !t->class;
	if (!t->class)
		t->class = "smtp"; /* the other guess is made when master does not know it as that */
	transport_limits(t);
	if (t->kind == TR_AGENT)
		transport_connect(t);
	HASH_ADD_KEYPTR(hh, q->transports, t->name, strlen(t->name), t);
	return t;
}

void sched_reload(struct qmgr *q)
{
	struct transport *t, *tmp;
	HASH_ITER (hh, q->transports, t, tmp) {
		transport_limits(t);
	}
}

static bool paused(const struct transport *t)
{
	return t->paused_until > ev_now(t->q->ev);
}

/* ---- destinations ---- */

static bool dead(const struct dest *d)
{
	return d->dead_until > ev_now(d->t->q->ev);
}

static bool eligible(const struct dest *d)
{
	return d->jobs && d->busy < d->window && !dead(d);
}

static void set_ready(struct dest *d)
{
	if (d->ready || !eligible(d))
		return;
	d->ready = true;
	DL_APPEND(d->t->ready, d);
	sched_run_later(d->t->q);
}

static void unset_ready(struct dest *d)
{
	if (d->ready)
		DL_DELETE(d->t->ready, d);
	d->ready = false;
}

static void dest_free(struct dest *d)
{
	unset_ready(d);
	HASH_DEL(d->t->dests, d);
	free(d->nexthop);
	free(d->dead_dsn);
	free(d->dead_text);
	free(d);
}

static void dest_maybe_free(struct dest *d)
{
	/* One that failed is remembered for a while: it need not fail a whole round again with each message. */
	bool bad = d->cohorts > 0 && ev_now(d->t->q->ev) - d->failed_ms < BAD_MS;
	if (!d->jobs && d->busy == 0 && !d->held && !dead(d) && !bad)
		dest_free(d);
}

void sched_dest_idle(struct dest *d)
{
	set_ready(d);
	dest_maybe_free(d);
}

static struct dest *dest_get(struct transport *t, struct sv nexthop, struct sv rcpt)
{
	struct dest *d;
	size_t n = nexthop.n + (t->by_rcpt ? 1 + rcpt.n : 0);
	char key[MAIL_HOP_MAX + 1 + MAIL_ADDR_MAX];
	if (nexthop.n)
		memcpy(key, nexthop.p, nexthop.n);
	if (t->by_rcpt) {
		key[nexthop.n] = '\0';
		memcpy(key + nexthop.n + 1, rcpt.p, rcpt.n);
	}
	HASH_FIND(hh, t->dests, key, n, d);
	if (d)
		return d;
	d = xcalloc(1, sizeof(*d) + n);
	memcpy(d->key, key, n);
	d->keylen = n;
	d->t = t;
	d->nexthop = sv_dup(nexthop);
	d->window = t->q->initial_concurrency < t->concurrency ? t->q->initial_concurrency : t->concurrency;
	HASH_ADD_KEYPTR(hh, t->dests, d->key, d->keylen, d);
	return d;
}

/* ---- jobs ---- */

static void job_free(struct job *j)
{
	DL_DELETE(j->dest->jobs, j);
	free(j->idx);
	free(j);
}

static void job_add(struct dest *d, struct message *m, uint32_t idx)
{
	struct job *j = d->jobs ? d->jobs->prev : NULL; /* the last one */
	if (!j || j->m != m) {
		j = xcalloc(1, sizeof(*j));
		j->dest = d;
		j->m = m;
		DL_APPEND(d->jobs, j);
	}
	if (j->n == j->cap) {
		j->cap = j->cap ? j->cap * 2 : 1;
		j->idx = xreallocarray(j->idx, j->cap, sizeof(*j->idx));
	}
	j->idx[j->n++] = idx;
	set_ready(d);
}

static void suspend(struct message *m, uint32_t idx, const struct dest *d)
{
	char text[MAIL_TEXT_MAX];
	(void)snprintf(text, sizeof(text), "delivery temporarily suspended: %s", d->dead_text);
	result_local(m, idx, DV_DEFERRED, sv_str(d->dead_dsn), sv_str(text), d->failed_us);
}

/* "5.1.1 User unknown" -> both parts; the code that stands for the kind when there is none. */
static struct sv split_dsn(struct sv *text, const char *otherwise)
{
	struct sv rest = *text, first = sv_cut(&rest, " ");
	if (first.n >= 5 && first.p[1] == '.' && first.p[0] == otherwise[0]) {
		*text = sv_trim(rest);
		return first;
	}
	return sv_str(otherwise);
}

/* The transports that need no agent. */
static void answer_here(struct transport *t, struct message *m, uint32_t idx, struct sv text)
{
	struct sv dsn;
	switch (t->kind) {
	case TR_ERROR:
		dsn = split_dsn(&text, text.n && text.p[0] == '4' ? "4.0.0" : "5.0.0");
		result_local(m, idx, dsn.p[0] == '4' ? DV_DEFERRED : DV_BOUNCED, dsn, text, 0);
		break;
	case TR_RETRY:
		dsn = split_dsn(&text, "4.0.0");
		result_local(m, idx, DV_DEFERRED, dsn, text, 0);
		break;
	default:
		dsn = split_dsn(&text, "2.0.0");
		result_local(m, idx, DV_SENT, dsn, text, 0);
		break;
	}
}

static bool in_list(const char *list, const char *name)
{
	struct sv rest = sv_str(list), word;
	while (sv_token(&rest, " ,\t\n", &word))
		if (sv_eqs(word, name))
			return true;
	return false;
}

void sched_assign(struct message *m, uint32_t idx, const struct mail_route *route)
{
	struct qmgr *q = m->q;
	struct transport *t = transport_get(q, route->transport);
	if (t->kind != TR_AGENT) {
		answer_here(t, m, idx, route->nexthop);
		return;
	}
	if (!m->flush && in_list(q->defer_transports, t->name)) {
		result_local(m, idx, DV_DEFERRED, SV("4.3.2"), SV("deferred transport"), 0);
		return;
	}
	if (paused(t) && t->lost >= LOST_DEFER) {
		result_local(m, idx, DV_DEFERRED, SV("4.3.0"), SV("mail transport unavailable"), 0);
		return;
	}
	struct dest *d = dest_get(t, route->nexthop, m->f.rcpt[idx].rcpt.addr);
	if (dead(d) && m->flush)
		d->dead_until = 0;
	if (dead(d)) {
		suspend(m, idx, d);
		return;
	}
	job_add(d, m, idx);
}

/* ---- feedback ---- */

/* Everything that waits for a destination is deferred. */
static void drain(struct dest *d, void (*tell)(struct message *, uint32_t, const struct dest *))
{
	bool held = d->held;
	unset_ready(d);
	d->held = true; /* it stays while messages end */
	while (d->jobs) {
		struct job *j = d->jobs;
		struct message *m = j->m;
		DL_DELETE(d->jobs, j);
		m->pending++;
		for (size_t i = j->at; i < j->n; i++)
			tell(m, j->idx[i], d);
		free(j->idx);
		free(j);
		message_unpend(m);
	}
	d->held = held;
}

void sched_feedback(struct dest *d, bool down, struct sv dsn, struct sv text)
{
	struct qmgr *q = d->t->q;
	if (!down) {
		size_t wanted = d->busy;
		for (struct job *j = d->jobs; j && wanted <= d->window; j = j->next)
			wanted++;
		d->cohorts = 0;
		if (d->window < d->t->concurrency && wanted > d->window)
			d->window++;
		return;
	}
	if (dead(d))
		return;
	d->failed_ms = ev_now(q->ev);
	d->cohorts += 1.0 / d->window;
	if (d->cohorts < 0.999) {
		if (d->window > 1)
			d->window--;
		return;
	}
	d->dead_until = ev_now(q->ev) + (uint64_t)q->backoff_min * 1000;
	d->failed_us = clock_wall_us();
	d->cohorts = 0;
	d->window = q->initial_concurrency < d->t->concurrency ? q->initial_concurrency : d->t->concurrency;
	free(d->dead_dsn);
	free(d->dead_text);
	d->dead_dsn = dsn.n ? sv_dup(dsn) : xstrdup("4.4.1");
	d->dead_text = sv_dup(sv_head(text, MAIL_TEXT_MAX / 2));
	drain(d, suspend);
}

void sched_delivery_end(struct delivery *dv)
{
	struct dest *d = dv->dest;
	struct qmgr *q = d->t->q;
	HASH_DEL(q->deliveries, dv);
	free(dv);
	d->busy--;
	d->t->in_flight--;
	set_ready(d);
	if (d->t->ready)
		sched_run_later(q);
	dest_maybe_free(d);
	qmgr_idle_check(q);
}

/* ---- handing out ---- */

/* A read-only description of its own, locked shared for as long as the agent has it. */
static int open_for_agent(struct message *m, struct err *err)
{
	int fd = spool_open_file(&m->q->spool, m->qid, O_RDONLY, err);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return fd;
	int r = err_sys(err, "lock %s", m->qid);
	close(fd);
	return r;
}

static int send_delivery(struct delivery *dv, int fd)
{
	struct message *m = dv->m;
	struct msg_out o = MSG_OUT_INIT;
	struct dv_deliver out = {.job = dv->job,
	    .qid = sv_str(m->qid),
	    .transport = sv_str(dv->dest->t->name),
	    .nexthop = sv_str(dv->dest->nexthop),
	    .active = m->active_us,
	    .env = m->f.env,
	    .nrcpt = dv->n,
	    .rcpt = xcalloc(dv->n, sizeof(*out.rcpt)),
	    .fd = fd};
	for (size_t i = 0; i < dv->n; i++)
		out.rcpt[i] = (struct dv_rcpt){dv->idx[i], m->f.rcpt[dv->idx[i]].rcpt};
	dv_deliver_put(&o, &out);
	int r = o.b.overflow ? ERR_LIMIT : peer_send(dv->dest->t->peer, DV_DELIVER, &o);
	free(out.rcpt);
	msg_out_free(&o);
	return r;
}

/* The file cannot be handed out. */
static void drop_delivery(struct delivery *dv, const struct err *err)
{
	struct message *m = dv->m;
	m->pending++;
	if (err->code == ERR_NOT_FOUND) {
		m->deleted = true;
		for (size_t i = 0; i < dv->n; i++) {
			m->pass[dv->idx[i]].state = PASS_IDLE;
			message_unpend(m);
		}
	} else {
		log_warn("%s: %s", m->qid, err->text);
		for (size_t i = 0; i < dv->n; i++)
			result_local(m, dv->idx[i], DV_DEFERRED, SV("4.3.0"), SV("queue file cannot be opened now"), 0);
	}
	message_unpend(m);
	sched_delivery_end(dv);
}

/* One portion of the destination's first job; false when the agent takes no more now. */
static bool hand_out(struct dest *d)
{
	struct qmgr *q = d->t->q;
	struct job *j = d->jobs;
	size_t n = j->n - j->at < d->t->rcpts ? j->n - j->at : d->t->rcpts;
	struct delivery *dv = xcalloc(1, sizeof(*dv) + n * sizeof(dv->idx[0]));
	struct err err = {0};
	dv->job = ++q->last_job;
	dv->m = j->m;
	dv->dest = d;
	dv->started = ev_now(q->ev);
	dv->n = dv->left = n;
	memcpy(dv->idx, j->idx + j->at, n * sizeof(dv->idx[0]));
	HASH_ADD(hh, q->deliveries, job, sizeof(dv->job), dv);
	d->busy++;
	d->t->in_flight++;
	int fd = j->m->deleted ? err_set(&err, ERR_NOT_FOUND, "deleted") : open_for_agent(j->m, &err);
	int r = fd < 0 ? fd : send_delivery(dv, fd);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && r < 0) { /* its queue is full: the job stays */
		HASH_DEL(q->deliveries, dv);
		free(dv);
		d->busy--;
		d->t->in_flight--;
		return false;
	}
	j->at += n;
	if (j->at == j->n) {
		job_free(j);
	} else if (j->next) { /* the next portion after everybody else's */
		DL_DELETE(d->jobs, j);
		DL_APPEND(d->jobs, j);
	}
	if (fd < 0)
		drop_delivery(dv, &err);
	return true;
}

static void transport_due(struct ev_timer *timer)
{
	struct transport *t = container_of(timer, struct transport, timer);
	if (t->reconnect) {
		t->reconnect = false;
		transport_connect(t);
	}
	sched_run_later(t->q);
}

static void transport_run(struct transport *t)
{
	while (t->ready && t->in_flight < QMGR_IN_FLIGHT && !paused(t)) {
		struct dest *d = t->ready;
		unset_ready(d);
		if (!eligible(d))
			continue;
		d->held = true; /* it stays while it is used here */
		bool ok = hand_out(d);
		d->held = false;
		set_ready(d);
		dest_maybe_free(d);
		if (!ok) {
			t->paused_until = ev_now(t->q->ev) + 100;
			ev_timer_start(t->q->ev, &t->timer, 101, transport_due);
		}
	}
}

static void run(struct ev_defer *def)
{
	struct qmgr *q = container_of(def, struct qmgr, run);
	struct transport *t, *tmp;
	if (q->draining)
		return;
	HASH_ITER (hh, q->transports, t, tmp) {
		transport_run(t);
	}
}

void sched_run_later(struct qmgr *q)
{
	ev_defer(q->ev, &q->run, run);
}

/* ---- trouble with agents ---- */

static void unavailable(struct message *m, uint32_t idx, const struct dest *d ATTR_UNUSED)
{
	result_local(m, idx, DV_DEFERRED, SV("4.3.0"), SV("mail transport unavailable"), 0);
}

/* The connection to the agent is gone: what it carried is tried again soon, once it has let go of the files. */
void sched_transport_lost(struct transport *t)
{
	struct qmgr *q = t->q;
	struct delivery *dv, *tmp;
	t->lost = t->answered ? 1 : t->lost + 1;
	if (t->guessed && !t->ever_answered) {
		t->class = strcmp(t->class, "smtp") == 0 ? "local" : "smtp";
		t->reconnect = true;
	}
	t->answered = false;
	if (t->lost >= LOST_PAUSE || t->reconnect) {
		uint64_t ms = t->lost >= LOST_DEFER ? q->transport_retry * 1000 : PAUSE_MS;
		if (t->lost >= LOST_DEFER)
			log_warn("transport %s: the delivery agent does not come up; next attempt in %ju s", t->name,
			    (uintmax_t)q->transport_retry);
		t->paused_until = clock_mono_ms() + ms;
		ev_timer_start(q->ev, &t->timer, ms + 1, transport_due);
	}
	HASH_ITER (hh, q->deliveries, dv, tmp) {
		dv->gone |= dv->dest->t == t;
	}
	for (bool more = true; more;) {
		more = false;
		HASH_ITER (hh, q->deliveries, dv, tmp) {
			if (dv->gone) {
				dv->m->soon = true;
				result_abandon(dv, SV("the delivery agent ended unexpectedly"));
				more = true;
				break;
			}
		}
	}
	if (t->lost < LOST_DEFER)
		return;
	struct dest *d, *dtmp;
	HASH_ITER (hh, t->dests, d, dtmp) {
		drain(d, unavailable);
		dest_maybe_free(d);
	}
}

void sched_revive(struct qmgr *q)
{
	struct transport *t, *tmp;
	struct dest *d, *dtmp;
	q->flush_until = ev_now(q->ev) + 60000;
	HASH_ITER (hh, q->transports, t, tmp) {
		t->paused_until = 0;
		t->lost = 0;
		HASH_ITER (hh, t->dests, d, dtmp) {
			d->dead_until = 0;
			sched_dest_idle(d);
		}
	}
}

/* Now and then: agents that say nothing any more, destinations that nobody needs. */
void sched_sweep(struct qmgr *q)
{
	struct delivery *dv, *tmp;
	struct transport *t, *ttmp;
	uint64_t now = ev_now(q->ev);
	for (bool more = true; more;) {
		more = false;
		HASH_ITER (hh, q->deliveries, dv, tmp) {
			if (now - dv->started > q->agent_timeout * 1000) {
				log_warn("%s: transport %s has not answered for %ju s", dv->m->qid, dv->dest->t->name,
				    (uintmax_t)q->agent_timeout);
				result_abandon(dv, SV("the delivery agent does not answer"));
				more = true;
				break;
			}
		}
	}
	HASH_ITER (hh, q->transports, t, ttmp) {
		struct dest *d, *dtmp;
		HASH_ITER (hh, t->dests, d, dtmp) {
			dest_maybe_free(d);
		}
	}
}
