/* coord.c - the coordinator: jobs of qmgr, the way of each recipient, results. */
#include "local/coord.h"
#include "local/local.h"

#define RW_MS 60000    /* time for an answer of rewrite */
#define POOL_THREADS 8 /* copies of forwarded mail, rare */
#define JOB_ARENA (MAIL_ARENA + (8u << 20))
#define JOBS_MAX 500 /* jobs of one connection; then qmgr is not listened to ... */
#define JOBS_LOW 400 /* ... until so few are left */

struct conn_state {
	struct job *jobs;
	unsigned n;
};

static void job_free(struct job *j)
{
	struct coord *c = j->c;

	if (j->conn) {
		struct conn_state *s = j->conn->state;

		DL_DELETE(s->jobs, j);
		if (--s->n == JOBS_LOW)
			chan_pause(j->conn->chan, false);
	}
	ev_defer_cancel(daemon_ev(c->d), &j->flush);
	ev_defer_cancel(daemon_ev(c->d), &j->save_turn);
	fd_close(&j->d.fd);
	arena_clear(&j->arena);
	free(j->body);
	free(j);
	daemon_busy(c->d, -1);
}

static void send_results(struct job *j)
{
	struct dv_result res = {.job = j->d.job, .last = j->open == 0};
	struct msg_out m = MSG_OUT_INIT;

	for (struct rcpt *r = j->done; r; r = r->next_done)
		res.nrcpt++;
	res.rcpt = xcalloc(res.nrcpt + 1, sizeof(*res.rcpt));
	res.nrcpt = 0;
	for (struct rcpt *r = j->done; r; r = r->next_done)
		res.rcpt[res.nrcpt++] = r->result;
	res.times[2] = clock_mono_us() - j->start_us;
	if (res.last)
		fd_close(&j->d.fd); /* the lock goes with it: qmgr may take the message again (api_deliver.h) */
	dv_result_put(&m, &res);
	if (chan_send(j->conn->chan, DV_RESULT, DV_VERSION, 0, &m) < 0)
		log_error("qmgr does not read its results");
	msg_out_free(&m);
	free(res.rcpt);
	j->done = NULL;
}

/* At the end of the turn: what is known of the job goes out in one message. */
static void flush(struct ev_defer *defer)
{
	struct job *j = container_of(defer, struct job, flush);

	if (j->conn)
		send_results(j);
	if (j->open == 0)
		job_free(j);
}

void rcpt_finish(struct rcpt *r, uint32_t status, const char *dsn, const char *fmt, ...)
{
	struct job *j = r->job;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_TEXT_MAX);
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	r->result.index = r->in->index;
	r->result.status = status;
	r->result.relay = j->d.transport;
	if (arena_sv(&j->arena, sv_str(dsn), &r->result.dsn) < 0 ||
	    arena_sv(&j->arena, buf_sv(&b), &r->result.text) < 0) {
		r->result.status = DV_DEFERRED;
		r->result.dsn = SV("4.3.0");
		r->result.text = SV("too much for one delivery");
	}
	report_log(r);
	r->next_done = j->done;
	j->done = r;
	j->open--;
	ev_defer(daemon_ev(j->c->d), &j->flush, flush);
}

void rcpt_outcome(struct rcpt *r, uint32_t status, struct sv dsn, struct sv text)
{
	bool *have[] = {&r->have_sent, &r->have_deferred, &r->have_bounced};
	unsigned i = status - DV_SENT;

	BUG_ON(i >= ARRAY_LEN(have));
	if (*have[i])
		return;
	*have[i] = true;
	/* Past the arena's budget the text is lost, never the outcome. */
	if (arena_sv(&r->job->arena, dsn, &r->dsn[i]) < 0 || arena_sv(&r->job->arena, text, &r->text[i]) < 0) {
		r->dsn[i] = i == 0 ? SV("2.0.0") : i == 1 ? SV("4.3.0") : SV("5.3.0");
		r->text[i] = SV("no room for the reason");
	}
}

void rcpt_finish_as(struct rcpt *r, uint32_t status)
{
	unsigned i = status - DV_SENT;
	char dsn[20];

	snprintf(dsn, sizeof(dsn), SV_FMT, SV_ARG(r->dsn[i]));
	rcpt_finish(r, status, dsn, SV_FMT, SV_ARG(r->text[i]));
}

/* The members become recipients of their own in the same message. */
static void expand(struct rcpt *r)
{
	const struct mail_rcpt *in = &r->in->rcpt;
	struct mail_rcpt *v = arena_alloc(&r->job->arena, r->nmember * sizeof(*v));
	size_t n = 0;

	if (!v) {
		rcpt_finish(r, DV_DEFERRED, "4.3.0", "too many recipients in one list");
		return;
	}
	for (struct member *m = r->members; m; m = m->next) {
		v[n] = *in;
		v[n].addr = m->addr;
		v[n++].orig = in->orig.n > 0 ? in->orig : in->addr;
	}
	r->result.member = v;
	r->result.nmember = n;
	rcpt_finish(r, DV_EXPANDED, "2.0.0", "expanded to %zu recipients", n);
}

/* All steps are made: the result. */
static void conclude(struct rcpt *r)
{
	struct sv sender = r->job->d.env.sender, owner = r->owner;
	bool new_sender = owner.n > 0 && sender.n > 0 && !sv_ieq(owner, sender);

	if (r->have_deferred)
		rcpt_finish_as(r, DV_DEFERRED);
	else if (r->members && (r->have_bounced || new_sender))
		again_start(r, new_sender ? owner : sender);
	else if (r->have_bounced)
		rcpt_finish_as(r, DV_BOUNCED);
	else if (r->members)
		expand(r);
	else if (r->have_sent)
		rcpt_finish_as(r, DV_SENT);
	else
		rcpt_finish(r, DV_DEFERRED, "4.3.5", "\"" SV_FMT "\" stands for nobody", SV_ARG(r->in->rcpt.addr));
}

void rcpt_next(struct rcpt *r)
{
	struct step *s = r->steps;

	/* Once something must be tried again, nothing more is done that would be done twice. */
	if (!s || r->have_deferred) {
		conclude(r);
		return;
	}
	r->steps = s->next;
	if (!r->steps)
		r->step_tail = &r->steps;
	r->again = false;
	r->nstep++;
	step_start(r, s);
}

int rcpt_plan(struct rcpt *r, bool direct, struct err *err)
{
	int rc = direct || r->who.kind != RW_LOCAL_USER ? ERR_NOT_FOUND : plan_forward(r, err);

	return rc == ERR_NOT_FOUND ? plan_mailbox(r, err) : rc;
}

static void begin(struct rcpt *r)
{
	struct err err = {.text = ""};
	int rc;

	if (r->who.kind == RW_LOCAL_ALIAS) {
		r->owner = r->who.owner;
		rc = plan_alias(r, &err);
	} else {
		rc = rcpt_plan(r, false, &err);
	}
	if (rc < 0)
		rcpt_outcome(r, DV_DEFERRED, SV("4.3.5"), sv_str(err.text));
	rcpt_next(r);
}

static void unknown_user(struct rcpt *r)
{
	const char *relay = r->job->c->conf.luser_relay;
	struct sv addr = r->in->rcpt.addr, name = addr;
	ssize_t at = sv_rchr(addr, '@');
	bool local = sv_eqs(r->job->d.transport, "local");
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX);
	struct err err;

	if (local && relay[0] != '\0') {
		r->who = (struct rw_local){.kind = RW_LOCAL_ALIAS};
		r->who.user = at > 0 ? sv_head(addr, (size_t)at) : addr;
		if (expand_names(r, sv_str(relay), &b, &err) == 0 &&
		    arena_sv(&r->job->arena, buf_sv(&b), &r->who.rhs) == 0 && !sv_ieq(r->who.rhs, addr)) {
			begin(r);
			return;
		}
	}
	/* Postfix names the local part for `local`, the whole address for `virtual`. */
	if (local && at > 0)
		name = sv_head(addr, (size_t)at);
	rcpt_finish(r, DV_BOUNCED, "5.1.1", "unknown user: \"" SV_FMT "\"", SV_ARG(name));
}

bool rcpt_keep_who(struct rcpt *r, const struct rw_local *who)
{
	struct rw_local w = *who;
	struct sv *keep[] = {&w.reason, &w.rhs, &w.owner, &w.user, &w.home, &w.mailbox, &w.extension};

	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		if (arena_sv(&r->job->arena, *keep[i], keep[i]) < 0)
			return false;
	}
	r->who = w;
	return true;
}

static void found(struct rcpt *r, const struct rw_local *who)
{
	if (!rcpt_keep_who(r, who))
		rcpt_finish(r, DV_DEFERRED, "4.3.0", "too much for one delivery");
	else if (who->status == ERR_NOT_FOUND)
		unknown_user(r);
	else if (who->status < 0)
		rcpt_finish(r, DV_DEFERRED, "4.3.0", "cannot tell whose mail this is: " SV_FMT,
		    SV_ARG(r->who.reason.n > 0 ? r->who.reason : sv_str(err_name(who->status))));
	else
		begin(r);
}

static void resolved(void *arg, int status, struct msg *reply)
{
	struct rcpt *r = arg;
	struct rw_local who = {.status = 0};

	if (status < 0 || rw_local_get(reply, &who) < 0) {
		rcpt_finish(r, DV_DEFERRED, "4.3.0", "address resolver failure");
		return;
	}
	who_keep(r->job->c, r->in->rcpt.addr, &who);
	found(r, &who);
}

static void start_rcpt(struct job *j, struct rcpt *r)
{
	struct msg_out m = MSG_OUT_INIT;
	struct rw_local who;

	if (job_loops(j, r->in->rcpt.addr)) {
		rcpt_finish(r, DV_BOUNCED, "5.4.6", "mail forwarding loop for " SV_FMT, SV_ARG(r->in->rcpt.addr));
	} else if (who_find(j->c, r->in->rcpt.addr, &who)) {
		found(r, &who);
	} else {
		rw_address_put(&m, r->in->rcpt.addr);
		peer_call(j->c->rewrite, RW_LOCAL, &m, RW_MS, resolved, r);
		msg_out_free(&m);
	}
}

/* The message dies with the handler: the job decodes a copy of its own. */
static bool job_decode(struct job *j, struct msg *m)
{
	struct msg copy = *m;
	bool ok;

	j->body = xmalloc(m->body.n + 1);
	memcpy(j->body, m->body.p, m->body.n);
	copy.body.p = j->body;
	ok = dv_deliver_get(&copy, &j->arena, &j->d) && mail_qid_valid(j->d.qid) && j->d.nrcpt > 0;
	m->nextfd = copy.nextfd;
	m->body = sv_skip(m->body, m->body.n);
	return ok;
}

static int on_deliver(struct serve_conn *conn, struct msg *m)
{
	struct coord *c = daemon_state(conn->d);
	struct conn_state *s = conn->state;
	struct job *j = xcalloc(1, sizeof(*j));

	j->c = c;
	j->d.fd = -1;
	arena_init(&j->arena, JOB_ARENA);
	if (!job_decode(j, m)) {
		fd_close(&j->d.fd);
		arena_clear(&j->arena);
		free(j->body);
		free(j);
		return ERR_PROTOCOL;
	}
	j->conn = conn;
	DL_APPEND(s->jobs, j);
	if (++s->n == JOBS_MAX)
		chan_pause(conn->chan, true);
	daemon_busy(c->d, 1);
	j->start_us = clock_mono_us();
	j->start_wall = clock_wall_us();
	j->open = j->d.nrcpt;
	j->rcpt = arena_alloc(&j->arena, j->d.nrcpt * sizeof(*j->rcpt));
	BUG_ON(!j->rcpt); /* DV_RCPTS_MAX of them fit beside the largest message */
	job_read_loops(j);
	for (size_t i = 0; i < j->d.nrcpt; i++) {
		struct rcpt *r = &j->rcpt[i];

		r->job = j;
		r->in = &j->d.rcpt[i];
		r->step_tail = &r->steps;
		r->member_tail = &r->members;
	}
	for (size_t i = 0; i < j->d.nrcpt; i++)
		start_rcpt(j, &j->rcpt[i]);
	return 0;
}

static const struct serve_entry table[] = {
    {DV_DELIVER, "DV_DELIVER", "qmgr", on_deliver},
};

/* What is in progress is finished: a delivery that was begun is not left half done, only its result is lost. */
static void conn_closed(struct serve_conn *conn)
{
	struct conn_state *s = conn->state;
	struct job *j, *tmp;

	DL_FOREACH_SAFE (s->jobs, j, tmp)
		j->conn = NULL;
	free(s);
}

void coord_peer(struct daemon *d, int fd, const struct caller *who)
{
	struct serve_conn *conn = serve_attach(d, fd, who, table, ARRAY_LEN(table), conn_closed);

	conn->state = xcalloc(1, sizeof(struct conn_state));
}

static bool has_word(const char *list, const char *word)
{
	struct sv rest = sv_str(list), w;

	while (sv_token(&rest, " ,\t\n", &w)) {
		if (sv_ieqs(w, word))
			return true;
	}
	return false;
}

static void read_conf(struct coord_conf *c, const struct conf *conf)
{
	const char *commands = conf_str(conf, "allow_mail_to_commands"), *files = conf_str(conf, "allow_mail_to_files");
	const char *delivered = conf_str(conf, "prepend_delivered_header");

	*c = (struct coord_conf){
	    .hostname = conf_str(conf, "myhostname"),
	    .origin = conf_str(conf, "myorigin"),
	    .delimiter = conf_str(conf, "recipient_delimiter"),
	    .forward_path = conf_str(conf, "forward_path"),
	    .mailbox_command = conf_str(conf, "mailbox_command"),
	    .luser_relay = conf_str(conf, "luser_relay"),
	    .virtual_base = conf_str(conf, "virtual_mailbox_base"),
	    .export_env = conf_str(conf, "export_environment"),
	    .commands_alias = has_word(commands, "alias"),
	    .commands_forward = has_word(commands, "forward"),
	    .commands_include = has_word(commands, "include"),
	    .files_alias = has_word(files, "alias"),
	    .files_forward = has_word(files, "forward"),
	    .files_include = has_word(files, "include"),
	    .delivered_command = has_word(delivered, "command"),
	    .delivered_file = has_word(delivered, "file"),
	    .delivered_forward = has_word(delivered, "forward"),
	    .first_uid = conf_int(conf, "first_valid_uid"),
	    .first_gid = conf_int(conf, "first_valid_gid"),
	    .mailbox_limit = conf_int(conf, "mailbox_size_limit"),
	    .virtual_limit = conf_int(conf, "virtual_mailbox_limit"),
	    .command_time = conf_time(conf, "command_time_limit"),
	    .digits = (unsigned)conf_int(conf, "delay_logging_resolution_limit"),
	};
}

int coord_start(struct daemon *d, struct err *err ATTR_UNUSED)
{
	struct coord *c = xcalloc(1, sizeof(*c));

	c->d = d;
	read_conf(&c->conf, daemon_conf(d));
	c->rewrite = peer_new(d, "rewrite", NULL);
	c->cleanup = peer_new(d, "cleanup", NULL);
	c->pool = ev_pool_new(daemon_ev(d), POOL_THREADS);
	kids_init(c);
	daemon_set_state(d, c);
	return 0;
}
