/*
 * intake.c - commit messages: check what the cage says, ask rewrite what the recipients become and where they go, drop
 * duplicates.
 */
#include <sys/stat.h>

#include "cleanup/cleanup.h"
#include "ipc/api_rewrite.h"
#include "spool/qfile.h"

#define TEXT_REWRITE "4.3.0 Temporary lookup failure"

/* An address of an envelope: no control bytes, whatever else it may be. */
static bool address_ok(struct sv s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127)
			return false;
	return true;
}

/* What a cage says about its message is only believed as far as it is checked here. */
static const char *check(struct cleanup *cl, const struct commit *cm)
{
	struct stat st;
	if (cm->ngiven == 0)
		return "5.5.1 No recipients";
	if (!address_ok(cm->env.sender))
		return "5.1.7 Bad sender address syntax";
	for (size_t i = 0; i < cm->ngiven; i++)
		if (cm->given[i].addr.n == 0 || !address_ok(cm->given[i].addr) || !address_ok(cm->given[i].orig))
			return "5.1.3 Bad recipient address syntax";
	if (fstat(cm->fd, &st) < 0 ||
	    !mail_content_valid(&cm->env.content, QFILE_PREAMBLE, (uint64_t)st.st_size, (uint64_t)st.st_size))
		return "5.6.0 Bad message content";
	if (cl->max_size && mail_content_size(&cm->env.content) > cl->max_size + cl->max_size / 16 + 65536)
		return "5.3.4 Message size exceeds fixed limit";
	return NULL;
}

/* A queue id that this connection does not hold. */
static void refuse(struct serve_conn *c, const struct msg *m, struct sv qid)
{
	struct msg_out o = MSG_OUT_INIT;
	struct cl_done done = {ERR_TEMP, mail_qid_valid(qid) ? qid : SV(""), SV("4.3.0 Error: queue file is gone")};
	cl_done_put(&o, &done);
	(void)chan_reply(c->chan, m, CL_COMMIT, &o);
	msg_out_free(&o);
}

int intake_on_commit(struct serve_conn *c, struct msg *m)
{
	struct cleanup *cl = cleanup_of(c);
	struct cl_commit q;
	struct msg copy = *m;
	struct arena mem;
	char *raw = sv_dup(m->body), qid[QID_MAX + 1];
	arena_init(&mem, MAIL_ARENA);
	copy.body.p = raw;
	if (!cl_commit_get(&copy, &mem, &q)) {
		arena_clear(&mem);
		free(raw);
		return ERR_PROTOCOL;
	}
	int fd = stock_take(c, q.qid);
	if (fd < 0) { /* of a cleanup that has ended, most likely */
		refuse(c, m, q.qid);
		arena_clear(&mem);
		free(raw);
		return 0;
	}
	(void)snprintf(qid, sizeof(qid), SV_FMT, SV_ARG(q.qid));
	struct commit *cm = commit_new(cl, serve_ticket(c, m), CL_COMMIT, qid, fd);
	cm->raw = raw;
	cm->mem = mem;
	cm->env = q.env;
	cm->env.flags &= ~(uint32_t)MAIL_NOTICE; /* only cleanup makes notices */
	cm->given = q.rcpt;
	cm->ngiven = q.nrcpt;
	const char *bad = check(cl, cm);
	if (bad) {
		commit_finish(cl, cm, ERR_DENIED, bad);
		return 0;
	}
	cm->env.size = mail_content_size(&cm->env.content);
	if (!stock_room(cl)) {
		commit_finish(cl, cm, ERR_LIMIT, NULL);
		return 0;
	}
	log_qid(cm->qid, "message-id=" SV_FMT, SV_ARG(cm->env.message_id));
	intake_resolve(cl, cm);
	return 0;
}

/* ---- recipients ---- */

/* A key that is equal for addresses that are: the domain has no case. */
static struct sv address_key(struct commit *cm, struct sv addr)
{
	char *k = arena_strdup(&cm->mem, addr);
	ssize_t at = sv_rchr(addr, '@');
	if (!k)
		return SV_NONE;
	for (size_t i = at < 0 ? 0 : (size_t)at; i < addr.n; i++)
		k[i] = (char)ascii_lower(k[i]);
	return sv_of(k, addr.n);
}

/* The same mailbox twice: one copy, told about when either wants it. */
static void merge(struct mail_rcpt *into, const struct mail_rcpt *from)
{
	uint32_t both = into->notify | from->notify;
	if (into->notify != from->notify) {
		if (into->notify == 0 || from->notify == 0)
			both |= MAIL_NOTIFY_FAILURE; /* not given means failures */
		if (both & ~(uint32_t)MAIL_NOTIFY_NEVER)
			both &= ~(uint32_t)MAIL_NOTIFY_NEVER;
	}
	into->notify = both;
}

static int add_rcpt(struct commit *cm, const struct mail_rcpt *given, struct sv addr, const struct mail_route *route)
{
	struct commit_seen *s;
	struct sv key = address_key(cm, addr);
	struct mail_rcpt r = *given;
	if (!key.p || cm->nrcpt >= MAIL_RCPTS_MAX)
		return ERR_LIMIT;
	HASH_FIND(hh, cm->seen, key.p, key.n, s);
	if (s) {
		merge(&cm->rcpt[s->at], given);
		return 0;
	}
	if (cm->nrcpt == cm->cap) {
		cm->cap = cm->cap ? cm->cap * 2 : 4;
		cm->rcpt = xreallocarray(cm->rcpt, cm->cap, sizeof(*cm->rcpt));
		cm->route = xreallocarray(cm->route, cm->cap, sizeof(*cm->route));
	}
	struct mail_route *to = &cm->route[cm->nrcpt];
	to->cls = route->cls;
	if (arena_sv(&cm->mem, addr, &r.addr) < 0 || arena_sv(&cm->mem, route->transport, &to->transport) < 0 ||
	    arena_sv(&cm->mem, route->nexthop, &to->nexthop) < 0)
		return ERR_LIMIT;
	if (r.orig.n == 0)
		r.orig = given->addr;
	s = xcalloc(1, sizeof(*s));
	s->at = cm->nrcpt;
	s->key = key;
	HASH_ADD_KEYPTR(hh, cm->seen, s->key.p, s->key.n, s);
	cm->rcpt[cm->nrcpt++] = r;
	return 0;
}

/* A recipient that cannot be: the message is taken, and its sender hears of it. */
static int add_failed(struct commit *cm, const struct mail_rcpt *given, const struct rw_result *r)
{
	char text[RW_MAX_REASON + 64];
	const char *code = r->status == ERR_NOT_FOUND ? "5.1.1" : r->status == ERR_SYNTAX ? "5.1.3" : "5.4.6";
	(void)snprintf(text, sizeof(text), "%s " SV_FMT, code, SV_ARG(sv_head(r->reason, RW_MAX_REASON)));
	struct mail_route route = {MAIL_CLASS_OTHER, SV("error"), sv_str(text)};
	return add_rcpt(cm, given, given->addr, &route);
}

/* 0, ERR_TEMP (nothing can be said now), ERR_LIMIT. */
static int add_result(struct commit *cm, const struct mail_rcpt *given, const struct rw_result *r)
{
	if (r->status == ERR_NOT_FOUND || r->status == ERR_SYNTAX || r->status == ERR_DENIED || r->status == ERR_LIMIT)
		return add_failed(cm, given, r);
	if (r->status != 0)
		return ERR_TEMP;
	if (r->n == 0)
		return add_rcpt(cm, given, r->canonical.n ? r->canonical : given->addr, &r->route);
	for (size_t i = 0; i < r->n; i++) {
		int rc = add_rcpt(cm, given, r->exp[i].addr, &r->exp[i].route);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void answered(void *arg, int status, struct msg *reply)
{
	struct commit *cm = arg;
	struct cleanup *cl = cm->cl;
	struct rw_result *res;
	struct arena mem;
	size_t n;
	int r = 0;
	arena_init(&mem, RW_ARENA);
	if (status < 0 || reply->type != RW_RESOLVED || rw_results_get(reply, &mem, &res, &n) < 0 ||
	    n > cm->ngiven - cm->asked || n == 0)
		r = ERR_TEMP;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_result(cm, &cm->given[cm->asked + i], &res[i]);
	if (r == 0)
		cm->asked += n;
	arena_clear(&mem);
	if (r == ERR_LIMIT)
		commit_finish(cl, cm, ERR_DENIED, "5.5.3 Too many recipients");
	else if (r < 0)
		commit_finish(cl, cm, ERR_TEMP, TEXT_REWRITE);
	else if (cm->asked < cm->ngiven)
		intake_resolve(cl, cm);
	else
		commit_start(cl, cm);
}

void intake_resolve(struct cleanup *cl, struct commit *cm)
{
	struct msg_out o = MSG_OUT_INIT;
	size_t n = cm->ngiven - cm->asked;
	if (n > RW_MAX_ADDRESSES)
		n = RW_MAX_ADDRESSES;
	struct rw_resolve q = {RW_EXPAND | RW_ROUTE, cm->env.sender, n, xcalloc(n, sizeof(*q.addr))};
	for (size_t i = 0; i < n; i++)
		q.addr[i] = cm->given[cm->asked + i].addr;
	rw_resolve_put(&o, &q);
	(void)peer_call(cl->rewrite, RW_RESOLVE, &o, CLEANUP_ASK_MS, answered, cm);
	free(q.addr);
	msg_out_free(&o);
}
