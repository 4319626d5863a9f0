/* job.c - one order of qmgr, from arrival to its last result: which host is tried when. */
#include "smtp/smtp.h"

static void next_host(struct job *j);
static void ask_route(struct job *j);

static void job_free(struct job *j)
{
	struct agent *a = j->agent;
	struct smtp *s = j->smtp;

	policy_cancel(j);
	dns_mx_cancel(&j->route);
	if (j->d.fd >= 0)
		close(j->d.fd);
	for (size_t i = 0; i < j->naddr; i++)
		free(j->addr[i].name);
	if (j->dest)
		j->dest->jobs--;
	dest_put(s, &j->dest);
	DL_DELETE(s->jobs, j);
	s->njobs--;
	a->jobs--;
	if (a->serve && a->paused && a->jobs <= SMTP_JOBS_RESUME) {
		a->paused = false;
		chan_pause(a->serve->chan, false);
	}
	if (!a->serve && a->jobs == 0)
		free(a);
	arena_clear(&j->mem);
	free(j->body);
	ev_free_later(s->ev, j);
	daemon_busy(s->d, -1);
}

/* All recipients have results: the descriptor's lock goes first, then qmgr hears the end. */
static void finish(struct job *j)
{
	close(j->d.fd);
	j->d.fd = -1;
	result_send(j, true, !j->talked && j->deferred);
	job_free(j);
}

/* smtp_fallback_relay: the next of the list is the destination now.  False when none is left. */
static bool fall_back(struct job *j)
{
	struct sv rest = sv_str(j->smtp->cfg.fallback_relay), word = SV_NONE;

	for (unsigned i = 0; i <= j->fallbacks; i++)
		if (!sv_token(&rest, " \t\r\n,", &word))
			return false;
	j->fallbacks++;
	for (size_t i = 0; i < j->naddr; i++)
		free(j->addr[i].name);
	j->naddr = j->at = j->sessions = 0;
	if (mx_nexthop_parse(word, j->smtp->cfg.port, &j->hop) < 0) {
		log_warn("smtp_fallback_relay: bad destination \"%.*s\"", SV_ARG(word));
		return fall_back(j);
	}
	ask_route(j);
	return true;
}

/* No host is left: what was remembered as passing becomes the result. */
static void exhausted(struct job *j)
{
	if (j->nopen > 0 && !j->in_doubt && fall_back(j))
		return;
	for (size_t i = 0; i < j->d.nrcpt; i++) {
		struct rcpt *r = &j->rcpt[i];

		if (!r->done)
			result_record(j, i, DV_DEFERRED, r->why ? r->dsn : "4.3.0", r->relay,
			    r->why ? r->why : "no host was tried", 0, 0);
	}
	finish(j);
}

static void fail_all(struct job *j, const char *relay, const char *dsn, const char *text)
{
	for (size_t i = 0; i < j->d.nrcpt; i++)
		result_failed(j, i, dsn, relay, text, 0);
}

void job_site_failed(struct job *j, const char *relay, const char *dsn, const char *text)
{
	j->conn = NULL;
	j->ready = 0;
	fail_all(j, relay, dsn, text);
	if (j->nopen == 0) {
		finish(j);
		return;
	}
	if (j->at < j->naddr)
		log_qid(j->qid, "%s", text);
	next_host(j);
}

static void next_host(struct job *j)
{
	const struct cfg *cfg = &j->smtp->cfg;

	while (j->at < j->naddr && (cfg->mx_session_limit == 0 || j->sessions < cfg->mx_session_limit)) {
		struct mx_addr *a = &j->addr[j->at++];
		char text[64];
		const char *why;
		char *line;

		if (conn_open(j, a, false, &why))
			return;
		line = xasprintf("connect to %s[%s]:%u: %s", a->name, dns_addr_text(&a->addr, text), j->hop.port, why);
		if (j->at < j->naddr)
			log_qid(j->qid, "%s", line);
		fail_all(j, "", "4.4.1", line);
		free(line);
	}
	exhausted(j);
}

static void on_route(void *arg, const struct mx_route *r)
{
	struct job *j = arg;
	size_t limit = j->smtp->cfg.mx_address_limit;

	j->route = NULL;
	if (r->status != 0) {
		bool unknown = strcmp(r->dsn, "5.4.4") == 0;

		if (unknown && fall_back(j)) /* a domain that only the fall-back host may know */
			return;
		fail_all(j, "", r->dsn, r->text);
		exhausted(j); /* those that bounced have their results already */
		return;
	}
	j->naddr = limit > 0 && r->n > limit ? limit : r->n;
	j->addr = arena_alloc(&j->mem, j->naddr * sizeof(*j->addr));
	if (!j->addr)
		j->naddr = 0;
	for (size_t i = 0; i < j->naddr; i++) {
		j->addr[i] = r->addr[i];
		j->addr[i].name = xstrdup(r->addr[i].name);
	}
	next_host(j);
}

static void ask_route(struct job *j)
{
	struct cfg *cfg = &j->smtp->cfg;
	const struct mx_params *p = j->hop.port == 25 ? &cfg->mx : &cfg->mx_port;

	j->route = dns_mx_route(j->smtp->dns, &j->hop, p, on_route, j);
}

static void begin(struct job *j)
{
	struct sv hop = j->d.nexthop;
	char text[RS_MAX_NAME + 100];

	if (mx_nexthop_parse(hop, j->smtp->cfg.port, &j->hop) < 0) {
		/* A bad domain is the sender's mistake, a bad host:port the postmaster's. */
		bool ours = sv_chr(hop, '[') >= 0 || sv_chr(hop, ':') >= 0 || hop.n == 0;

		snprintf(text, sizeof(text),
		    ours ? "bad destination \"%.*s\"" : "Name service error for name=%.*s: invalid host or domain name",
		    (int)sv_head(hop, RS_MAX_NAME).n, hop.p);
		fail_all(j, "", ours ? "4.3.5" : "5.4.4", text);
		exhausted(j);
		return;
	}
	if (policy_ready(j))
		job_policy_known(j);
}

void job_policy_failed(struct job *j, const char *text)
{
	fail_all(j, "", "4.7.5", text);
	j->in_doubt = true;
	exhausted(j);
}

void job_policy_known(struct job *j)
{
	struct conn *c = j->fresh_only ? NULL : dest_take_idle(j->dest);

	if (!c) {
		ask_route(j);
		return;
	}
	c->job = j;
	j->conn = c;
	conn_ready(c);
}

void job_conn_stale(struct job *j)
{
	j->conn = NULL;
	j->ready = 0;
	j->fresh_only = true;
	if (j->naddr > 0)
		next_host(j);
	else
		begin(j);
}

void job_conn_ready(struct job *j)
{
	j->ready = clock_wall_us();
	j->sessions++;
	j->talked = true;
}

void job_transaction_over(struct job *j)
{
	j->conn = NULL;
	if (j->nopen == 0) {
		finish(j);
		return;
	}
	result_send(j, false, false);
	j->ready = 0;
	if (j->naddr == 0) { /* it was a kept connection: there may be other hosts */
		j->fresh_only = true;
		begin(j);
		return;
	}
	next_host(j);
}

static bool decode(struct job *j, struct msg *m)
{
	j->body = xmalloc(m->body.n + 1);
	memcpy(j->body, m->body.p, m->body.n);
	m->body.p = j->body; /* what is decoded lives as long as the job */
	arena_init(&j->mem, MAIL_ARENA);
	if (!dv_deliver_get(m, &j->mem, &j->d))
		return false;
	j->rcpt = arena_alloc(&j->mem, (j->d.nrcpt + 1) * sizeof(*j->rcpt));
	j->res = arena_alloc(&j->mem, (j->d.nrcpt + 1) * sizeof(*j->res));
	j->txn = arena_alloc(&j->mem, (j->d.nrcpt + 1) * sizeof(*j->txn));
	BUG_ON(!j->rcpt || !j->res || !j->txn);
	for (size_t i = 0; i < j->d.nrcpt; i++)
		j->rcpt[i].in = &j->d.rcpt[i];
	j->nopen = j->d.nrcpt;
	memcpy(j->qid, j->d.qid.p, j->d.qid.n);
	return true;
}

int job_deliver(struct serve_conn *c, struct msg *m)
{
	struct smtp *s = daemon_state(c->d);
	struct agent *a = c->state;
	struct job *j = xcalloc(1, sizeof(*j));

	if (!decode(j, m)) {
		arena_clear(&j->mem);
		free(j->body);
		free(j);
		return ERR_PROTOCOL;
	}
	j->smtp = s;
	j->agent = a;
	j->started = clock_wall_us();
	j->dest = dest_get(s, j->d.nexthop);
	j->dest->jobs++;
	DL_APPEND(s->jobs, j);
	s->njobs++;
	a->jobs++;
	if (a->jobs >= SMTP_JOBS_PAUSE && !a->paused) {
		a->paused = true;
		chan_pause(c->chan, true);
	}
	daemon_busy(s->d, 1);
	if (j->nopen == 0)
		finish(j);
	else
		begin(j);
	return 0;
}

/*
 * qmgr has gone.  What is under way goes on where a host may already have the content, so that the log tells its fate;
 * all else ends here, and the next qmgr starts it again.
 */
void job_agent_closed(struct serve_conn *c)
{
	struct smtp *s = daemon_state(c->d);
	struct agent *a = c->state;
	struct job *j, *next;

	a->serve = NULL;
	if (a->jobs == 0) {
		free(a);
		return;
	}
	for (j = s->jobs; j; j = next) {
		next = j->next;
		if (j->agent != a || (j->conn && j->conn->phase == PH_FINAL))
			continue;
		if (j->conn) {
			j->conn->job = NULL;
			conn_close(j->conn, true);
		}
		job_free(j);
	}
}
