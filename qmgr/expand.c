/*
 * expand.c - an alias is expanded as a result: its members become recipients of their own.  Their final addresses and
 * routes are asked first; then one record that holds the members and ends the alias is appended and synced; only then
 * are they scheduled.  After a crash before the sync the alias is simply expanded again.
 */
#include <fcntl.h>

#include "log/log.h"
#include "qmgr/qmgr.h"

#define EXPAND_ARENA (16u << 20)

struct expansion {
	struct expansion *prev, *next; /* those that wait while another one writes */
	struct message *m;
	uint32_t idx;
	struct arena mem;
	size_t ngiven, asked;
	struct mail_rcpt *given;
	size_t n, cap;
	struct mail_rcpt *out;
	struct mail_route *route;
	bool loop, full;
	/* the synced step */
	struct ev_work work;
	struct spool spool;
	uint64_t at;
	bool torn;
	size_t mark;
	struct buf record;
	int status;
	struct err err;
};

static void expansion_free(struct expansion *x)
{
	arena_clear(&x->mem);
	buf_free(&x->record);
	free(x->out);
	free(x->route);
	free(x);
}

static void give_up(struct expansion *x, enum dv_status status, const char *dsn, const char *text)
{
	struct message *m = x->m;
	uint32_t idx = x->idx;
	expansion_free(x);
	m->pass[idx].state = PASS_WAIT;
	result_local(m, idx, status, sv_str(dsn), sv_str(text), 0);
}

/* ---- who the members are ---- */

static bool same_address(struct sv a, struct sv b)
{
	ssize_t at = sv_rchr(a, '@');
	if (at < 0 || a.n != b.n)
		return sv_ieq(a, b);
	return sv_eq(sv_head(a, (size_t)at), sv_head(b, (size_t)at)) &&
	       sv_ieq(sv_skip(a, (size_t)at), sv_skip(b, (size_t)at));
}

/* The alias itself or one that it came from. */
static bool is_ancestor(const struct message *m, uint32_t idx, struct sv addr)
{
	for (uint32_t i = idx; i != UINT32_MAX; i = m->f.rcpt[i].parent)
		if (same_address(m->f.rcpt[i].rcpt.addr, addr))
			return true;
	return false;
}

static bool is_known(const struct expansion *x, struct sv addr)
{
	for (size_t i = 0; i < x->n; i++)
		if (same_address(x->out[i].addr, addr))
			return true;
	for (size_t i = 0; i < x->m->f.n; i++)
		if (same_address(x->m->f.rcpt[i].rcpt.addr, addr))
			return true;
	return false;
}

static void add(struct expansion *x, const struct mail_rcpt *from, struct sv addr, const struct mail_route *route)
{
	if (is_ancestor(x->m, x->idx, addr)) {
		x->loop = true;
		return;
	}
	if (is_known(x, addr))
		return;
	if (x->n == x->cap) {
		x->cap = x->cap * 2 + 8;
		x->out = xreallocarray(x->out, x->cap, sizeof(*x->out));
		x->route = xreallocarray(x->route, x->cap, sizeof(*x->route));
	}
	struct mail_rcpt r = *from;
	struct mail_route to = {.cls = route->cls};
	if (x->m->f.n + x->n >= MAIL_RCPTS_MAX || arena_sv(&x->mem, addr, &r.addr) < 0 ||
	    arena_sv(&x->mem, route->transport, &to.transport) < 0 ||
	    arena_sv(&x->mem, route->nexthop, &to.nexthop) < 0) {
		x->full = true;
		return;
	}
	x->out[x->n] = r;
	x->route[x->n++] = to;
}

static void add_unknown(struct expansion *x, const struct mail_rcpt *from, const struct rw_result *r)
{
	char text[RW_MAX_REASON + 64];
	(void)snprintf(text, sizeof(text), "%s " SV_FMT, r->status == ERR_SYNTAX ? "5.1.3" : "5.1.1",
	    SV_ARG(sv_head(r->reason, RW_MAX_REASON)));
	struct mail_route route = {MAIL_CLASS_OTHER, SV("error"), sv_str(text)};
	add(x, from, from->addr, &route);
}

/* ---- the synced step ---- */

static void write_run(struct ev_work *w)
{
	struct expansion *x = container_of(w, struct expansion, work);
	int fd = spool_open_file(&x->spool, x->m->qid, O_WRONLY, &x->err);
	x->status = fd;
	if (fd < 0)
		return;
	x->status = spool_append(fd, x->at, x->torn, buf_sv(&x->record), &x->err);
	if (x->status == 0 && fdatasync(fd) < 0)
		x->status = err_sys(&x->err, "fdatasync");
	close(fd);
}

static void write_next(struct message *m);

/* Members become recipients and are scheduled. */
static void adopt(struct expansion *x)
{
	struct message *m = x->m;
	size_t first = m->f.n;
	if (qfile_expand(&m->f, x->idx, x->out, x->n, x->at + x->mark) < 0) {
		log_warn("%s: too many recipients in memory", m->qid); /* the file has them; the next pass reads it */
		m->pass[x->idx].state = PASS_LATER;
		return;
	}
	message_pass_grow(m);
	m->pass[x->idx].state = PASS_IDLE;
	for (size_t i = 0; i < x->n; i++) {
		m->pass[first + i].state = PASS_WAIT;
		m->pending++;
	}
	for (size_t i = 0; i < x->n; i++)
		sched_assign(m, (uint32_t)(first + i), &x->route[i]);
}

static void write_done(struct ev_work *w)
{
	struct expansion *x = container_of(w, struct expansion, work);
	struct message *m = x->m;
	m->writing = false;
	m->pending++; /* m stays while the next one is looked for */
	if (x->status < 0) {
		log_warn("%s: %s", m->qid, x->err.text);
		give_up(x, DV_DEFERRED, "4.3.0", "queue file write error");
	} else {
		m->f.end = m->f.size = x->at + x->record.n;
		adopt(x);
		expansion_free(x);
		message_unpend(m);
	}
	write_next(m);
	message_unpend(m);
}

/* The next one that can be written at all; NULL when none waits. */
static struct expansion *next_record(struct message *m)
{
	struct expansion *x;
	while ((x = m->expansions) != NULL) {
		DL_DELETE(m->expansions, x);
		buf_init(&x->record, QFILE_RECORD_MAX + 65536);
		if (qrec_expand_put(&x->record, x->idx, x->out, x->n, &x->mark) == 0)
			break;
		give_up(x, DV_BOUNCED, "5.4.6", "alias has too many members"); /* the caller keeps m */
	}
	return x;
}

/* One appends at a time. */
static void write_next(struct message *m)
{
	m->pending++;
	struct expansion *x = m->writing ? NULL : next_record(m);
	if (!x) {
		message_unpend(m);
		return;
	}
	m->pending--; /* x is one of those that the pass waits for */
	m->writing = true;
	x->spool = m->q->spool;
	x->at = m->f.end;
	x->torn = m->f.size > m->f.end;
	x->work.run = write_run;
	x->work.done = write_done;
	ev_work(m->q->pool, &x->work);
}

/* ---- the question to rewrite ---- */

static void ask(struct expansion *x);

static void answered(void *arg, int status, struct msg *reply)
{
	struct expansion *x = arg;
	struct message *m = x->m;
	struct rw_result *res;
	struct arena mem;
	size_t n;
	bool good;
	arena_init(&mem, RW_ARENA);
	good = status == 0 && reply->type == RW_RESOLVED && rw_results_get(reply, &mem, &res, &n) == 0 && n > 0 &&
	       n <= x->ngiven - x->asked;
	for (size_t i = 0; good && i < n; i++) {
		const struct mail_rcpt *from = &x->given[x->asked + i];
		if (res[i].status == ERR_NOT_FOUND || res[i].status == ERR_SYNTAX)
			add_unknown(x, from, &res[i]);
		else if (res[i].status != 0)
			good = false;
		else if (res[i].n == 0)
			add(x, from, res[i].canonical.n ? res[i].canonical : from->addr, &res[i].route);
		for (size_t j = 0; good && res[i].status == 0 && j < res[i].n; j++)
			add(x, from, res[i].exp[j].addr, &res[i].exp[j].route);
	}
	arena_clear(&mem);
	if (!good) {
		give_up(x, DV_DEFERRED, "4.3.0", "address resolver failure");
		return;
	}
	x->asked += n;
	if (x->full) {
		give_up(x, DV_BOUNCED, "5.4.6", "alias has too many members");
	} else if (x->asked < x->ngiven) {
		ask(x);
	} else if (x->n == 0 && x->loop) {
		give_up(x, DV_BOUNCED, "5.4.6", "alias loop: it leads only to itself");
	} else {
		DL_APPEND(m->expansions, x);
		write_next(m);
	}
}

static void ask(struct expansion *x)
{
	struct msg_out o = MSG_OUT_INIT;
	size_t n = x->ngiven - x->asked;
	if (n > RW_MAX_ADDRESSES)
		n = RW_MAX_ADDRESSES;
	struct rw_resolve q = {RW_EXPAND | RW_ROUTE, x->m->f.env.sender, n, xcalloc(n, sizeof(*q.addr))};
	for (size_t i = 0; i < n; i++)
		q.addr[i] = x->given[x->asked + i].addr;
	rw_resolve_put(&o, &q);
	(void)peer_call(x->m->q->rewrite, RW_RESOLVE, &o, QMGR_ASK_MS, answered, x);
	free(q.addr);
	msg_out_free(&o);
}

void expand_start(struct message *m, uint32_t idx, const struct mail_rcpt *member, size_t n)
{
	struct expansion *x = xcalloc(1, sizeof(*x));
	x->m = m;
	x->idx = idx;
	arena_init(&x->mem, EXPAND_ARENA);
	x->given = n ? arena_alloc(&x->mem, n * sizeof(*x->given)) : NULL;
	m->pass[idx].state = PASS_EXPANDING;
	for (size_t i = 0; i < n; i++) {
		struct mail_rcpt *r = x->given ? &x->given[i] : NULL;
		if (!r || arena_sv(&x->mem, member[i].addr, &r->addr) < 0 ||
		    arena_sv(&x->mem, member[i].orig, &r->orig) < 0 ||
		    arena_sv(&x->mem, member[i].orcpt, &r->orcpt) < 0) {
			give_up(x, DV_BOUNCED, "5.4.6", "alias has too many members");
			return;
		}
		r->notify = member[i].notify;
		r->flags = member[i].flags;
	}
	x->ngiven = n;
	if (n > 0) {
		ask(x);
		return;
	}
	DL_APPEND(m->expansions, x); /* stands for nobody: done by the same step */
	write_next(m);
}
