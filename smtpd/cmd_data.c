/* cmd_data.c - DATA and BDAT: the content into a spool descriptor, and the commit; 250 only when cleanup says it is on
 * disk. */
#include "message/received.h"
#include "smtpd/access.h"
#include "smtpd/smtpd.h"

static void data_checked(struct session *s);
static void message_end(struct session *s);
static void message_checked(struct session *s);

/* "ESMTPSA" (RFC 3848), "UTF8SMTP". */
static void with_protocol(const struct session *s, char out[16])
{
	bool ext = s->esmtp || s->g->conf.lmtp;
	bool utf8 = s->txn->args.smtputf8;
	const char *name = !utf8	     ? session_proto(s)
			   : s->g->conf.lmtp ? "UTF8LMTP"
					     : "UTF8SMTP"; /* RFC 6531 section 4.3 */

	snprintf(out, 16, "%s%s%s", name, ext && s->tls ? "S" : "", ext && s->sasl_user != NULL ? "A" : "");
}

static void begin_content(struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;
	struct txn *t = s->txn;
	CLEANUP(buf_freep) struct buf trace = BUF_INIT(8192), rcpt = BUF_INIT(4096);
	char with[16], addr[80];
	bool deliver = false, v6 = s->from.ss_family == AF_INET6 && strchr(s->addr, ':') != NULL;
	struct received r = {.local = s->local,
	    .uid = s->uid,
	    .helo = sv_str(s->helo != NULL ? s->helo : s->name),
	    .name = sv_str(s->name),
	    .tls = sv_str(s->tls && c->tls_header ? s->tls_text : ""),
	    .user = sv_str(s->sasl_user != NULL && c->sasl_header ? s->sasl_user : ""),
	    .by = sv_str(c->myhostname),
	    .software = sv_str(c->mail_name),
	    .with = sv_of(with, 0),
	    .qid = sv_str(t->item.qid),
	    .date = sv_str(smtpd_date(s->g))};

	with_protocol(s, with);
	r.with = sv_str(with);
	snprintf(addr, sizeof(addr), "%s%s", v6 ? "IPv6:" : "", s->addr);
	r.addr = sv_str(addr);
	if (t->nrcpt == 1) {
		smtp_path_quote(&rcpt, t->rcpt[0].addr);
		r.rcpt = buf_sv(&rcpt);
	}
	received_format(&trace, &r);
	for (size_t i = 0; i < t->nrcpt; i++)
		deliver = deliver || t->rcpt[i].cls <= MAIL_CLASS_VIRTUAL_MAILBOX;
	t->content = content_new(&c->content,
	    &(struct content_start){.qid = t->item.qid,
		.now = t->arrival / 1000000,
		.received = buf_sv(&trace),
		.complete = session_local_rewrite(s),
		.sender = t->sender,
		.summary = deliver},
	    t->item.fd);
}

static bool strict_newlines(const struct session *s)
{
	return s->g->conf.bare != BARE_NO && !s->local && !netlist_match(&s->g->conf.bare_exclusions, &s->from);
}

/* ---- DATA ---- */

static const char *not_ready(const struct session *s)
{
	if (s->txn == NULL || !s->txn->mail || (s->txn->nrcpt == 0 && s->count[SMTP_RCPT][0] == 0))
		return "503 5.5.1 Error: need RCPT command";
	if (s->txn->nrcpt == 0)
		return "554 5.5.1 Error: no valid recipients";
	return NULL;
}

void cmd_data(struct session *s, struct sv args)
{
	const char *problem = not_ready(s);

	if (problem == NULL && s->txn->bdat)
		problem = "503 5.5.1 Error: DATA is not allowed after BDAT";
	if (problem == NULL && args.n > 0)
		problem = "501 5.5.4 Syntax: DATA";
	if (problem != NULL) {
		reply_text(s, problem);
		return;
	}
	data_checked(s);
}

/* True when the restrictions of this stage permit. */
static bool checked(struct session *s, enum stage stage, const char *where, void (*resume)(struct session *))
{
	char text[1024];
	enum verdict v;

	if (s->local || s->g->conf.rules[stage].n == 0)
		return true;
	s->txn->now = s->txn->nrcpt == 1 ? s->txn->rcpt[0] : (struct rcpt){0};
	v = access_check(s, stage, stage, text, sizeof(text));
	if (v == VERDICT_WAIT) {
		s->resume = resume;
		return false;
	}
	if (v == VERDICT_PERMIT)
		return true;
	access_log(s, "reject", where, text);
	size_t replies = stage == STAGE_EOD && s->g->conf.lmtp ? s->txn->nrcpt : 1;
	if (stage == STAGE_EOD)
		txn_free(s);
	while (replies-- > 0)
		reply_text(s, text);
	return false;
}

static void data_checked(struct session *s)
{
	if (!checked(s, STAGE_DATA, "DATA", data_checked))
		return;
	begin_content(s);
	s->txn->dot = (struct dot){.flags = strict_newlines(s) ? DOT_STRICT : 0};
	reply_ok(s, 354, NULL, "End data with <CR><LF>.<CR><LF>");
	s->mode = MODE_DATA;
}

/* ---- BDAT (RFC 3030) ---- */

void cmd_bdat(struct session *s, struct sv args)
{
	const struct smtpd_conf *c = &s->g->conf;
	uint64_t size;
	bool last;

	if (smtp_bdat_args(args, &size, &last) < 0) {
		/* Nobody knows how many bytes follow. */
		reply(s, 501, "5.5.4", "Syntax: BDAT count [LAST]");
		session_end(s, "bad BDAT");
		return;
	}
	s->chunk_error = not_ready(s);
	if (s->chunk_error == NULL && s->txn->bdat_bad)
		s->chunk_error = "503 5.5.1 Error: a chunk failed: need RSET";
	if (s->chunk_error == NULL && c->size_limit > 0 &&
	    (size > c->size_limit ||
		(s->txn->content != NULL && content_bytes(s->txn->content) + size > c->size_limit + 8192)))
		s->chunk_error = "552 5.3.4 Message size exceeds fixed limit";
	if (s->chunk_error != NULL && s->txn != NULL)
		s->txn->bdat_bad = true;
	s->chunk_left = s->chunk_size = size;
	s->chunk_last = last;
	if (s->chunk_error == NULL && s->txn->content == NULL) {
		begin_content(s);
		s->txn->bdat = true;
		s->txn->dot = (struct dot){.flags = DOT_RAW};
	}
	s->mode = MODE_BDAT;
}

/* Decodes one piece; true when something was used or the end was reached. */
static bool decode(struct txn *t, struct sv *in, bool last, bool *end)
{
	size_t before = in->n;

	*end = dot_decode(&t->dot, in, content_buf(t->content), content_room(t->content), last);
	content_added(t->content);
	return *end || in->n < before;
}

/* The CR that ended the last chunk, together with the first byte of this one. */
static void chunk_cr(struct session *s, struct sv *in)
{
	struct txn *t = s->txn;
	bool crlf = in->n > 0 && in->p[0] == '\n', end;
	struct sv pair = crlf ? SV("\r\n") : SV("\r");

	t->held_cr = false;
	decode(t, &pair, true, &end);
	if (crlf) {
		*in = sv_skip(*in, 1);
		s->chunk_left--;
	}
}

static void chunk_end(struct session *s)
{
	char problem[128];

	s->mode = MODE_COMMAND;
	if (s->chunk_error != NULL) {
		snprintf(problem, sizeof(problem), "%s", s->chunk_error);
		s->chunk_error = NULL;
		if (s->chunk_last)
			txn_free(s);
		reply_text(s, problem);
		command_over(s);
		return;
	}
	if (s->chunk_last) {
		struct sv none = SV("");
		if (s->txn->held_cr)
			chunk_cr(s, &none);
		message_end(s);
		return;
	}
	reply_ok(s, 250, "2.0.0", "Ok: %llu bytes", (unsigned long long)s->chunk_size);
	command_over(s);
}

static void bdat_input(struct session *s)
{
	struct sv in = sv_head(stream_in(s->stream), s->chunk_left);
	size_t all = in.n;
	bool end;

	if (s->chunk_error != NULL) {
		stream_consume(s->stream, in.n);
		s->chunk_left -= in.n;
	} else {
		struct txn *t = s->txn;
		if (t->held_cr && in.n > 0)
			chunk_cr(s, &in);
		size_t left = in.n;
		while (in.n > 0 && decode(t, &in, false, &end))
			;
		s->chunk_left -= left - in.n;
		if (s->chunk_left == 1 && in.n == 1) { /* a CR at the end of the chunk */
			t->held_cr = true;
			s->chunk_left = 0;
			in.n = 0;
		}
		stream_consume(s->stream, all - in.n);
	}
	if (s->chunk_left == 0)
		chunk_end(s);
}

void data_input(struct session *s)
{
	size_t budget = SMTPD_TURN_BYTES;
	bool end = false;

	s->where = s->mode == MODE_DATA ? "DATA" : "BDAT";
	if (stream_in(s->stream).n > 0)
		session_touch(s);
	if (s->mode == MODE_BDAT) {
		bdat_input(s);
		return;
	}
	while (!end && budget > 0) {
		struct sv in = stream_in(s->stream);
		size_t before = in.n;
		if (before == 0 || !decode(s->txn, &in, false, &end))
			break;
		stream_consume(s->stream, before - in.n);
		budget -= before - in.n < budget ? before - in.n : budget;
	}
	if (end) {
		s->mode = MODE_COMMAND;
		message_end(s);
	}
}

/* ---- the end of the content ---- */

/* One reply, or in LMTP one for each recipient (RFC 2033 section 4.2). */
static void final_reply(struct session *s, size_t nrcpt, int code, const char *dsn, const char *text)
{
	size_t n = s->g->conf.lmtp && nrcpt > 0 ? nrcpt : 1;

	for (size_t i = 0; i < n; i++) {
		if (code < 400)
			reply_ok(s, code, dsn, "%s", text);
		else
			reply(s, code, dsn, "%s", text);
	}
}

static void refuse(struct session *s, int code, const char *dsn, const char *text, bool log)
{
	size_t nrcpt = s->txn->nrcpt;

	if (log) {
		char line[512];
		snprintf(line, sizeof(line), "%d %s %s", code, dsn, text);
		access_log(s, "reject", "END-OF-MESSAGE", line);
	}
	txn_free(s);
	final_reply(s, nrcpt, code, dsn, text);
	command_over(s);
}

static void message_end(struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;
	struct txn *t = s->txn;
	struct err err;
	int rc;

	s->where = "END-OF-MESSAGE";
	if (c->bare == BARE_REJECT && strict_newlines(s) && (t->dot.bare_lf || t->dot.bare_cr)) {
		refuse(s, c->bare_code, c->bare_code >= 500 ? "5.5.2" : "4.5.2",
		    t->dot.bare_lf ? "Error: bare <LF> received" : "Error: bare <CR> received", true);
		return;
	}
	rc = content_finish(t->content, &err);
	if (rc == ERR_LIMIT && content_too_large(t->content)) {
		refuse(s, 552, "5.3.4", "Error: message file too big", true);
	} else if (rc == ERR_LIMIT) {
		log_qid(t->item.qid, "message rejected: hopcount exceeded");
		refuse(s, 554, "5.4.0", "Error: too many hops", false);
	} else if (rc < 0) {
		log_warn("%s: cannot write: %s", t->item.qid, err.text);
		bool full = err.sys == ENOSPC || err.sys == EDQUOT;
		if (full)
			refuse(s, 452, "4.3.1", "Error: insufficient system storage", false);
		else
			refuse(s, 451, "4.3.0", "Error: queue file write error", false);
	} else {
		message_checked(s);
	}
}

static void on_committed(void *arg, int status, struct msg *m)
{
	struct session *s = arg;
	struct txn *t = s->txn;
	struct cl_done done = {.status = ERR_TEMP};
	char text[MAIL_TEXT_MAX + 1], dsn[SMTP_DSN_MAX] = "";
	int code = 451;
	size_t nrcpt = t->nrcpt;

	t->call = 0;
	if (status != 0 || m->type != CL_COMMIT || !cl_done_get(m, &done))
		done = (struct cl_done){.status = ERR_TEMP, .text = SV("4.3.0 Error: queue file write error")};
	if (done.status == 0) {
		snprintf(text, sizeof(text), "Ok: queued as %s", t->item.qid);
		snprintf(dsn, sizeof(dsn), "2.0.0");
		code = 250;
		s->errors = s->junk = 0; /* who gets mail through is no nuisance */
	} else {
		size_t n = smtp_dsn_prefix(done.text, dsn);
		struct sv rest = sv_trim(sv_skip(done.text, n));
		if (done.status == ERR_LIMIT)
			code = 452;
		if (done.status == ERR_SYNTAX || done.status == ERR_NOT_FOUND || done.status == ERR_DENIED)
			code = 550;
		if (n == 0)
			snprintf(dsn, sizeof(dsn), code >= 500 ? "5.0.0" : "4.3.0");
		dsn[0] = code >= 500 ? '5' : '4';
		snprintf(text, sizeof(text), SV_FMT, SV_ARG(rest.n > 0 ? rest : SV("Error: queue file write error")));
	}
	s->resume = NULL;
	t->item.fd = -1;
	txn_free(s);
	session_touch(s);
	final_reply(s, nrcpt, code, dsn, text);
	command_over(s);
	session_go_on(s);
}

static void waiting(struct session *s ATTR_UNUSED)
{
}

static void envelope(struct session *s, struct mail_envelope *e)
{
	struct txn *t = s->txn;
	unsigned flags = 0;

	flags |= t->args.body == SMTP_BODY_8BITMIME ? MAIL_8BITMIME : 0;
	flags |= t->args.smtputf8 ? MAIL_SMTPUTF8 : 0;
	flags |= t->args.ret == SMTP_RET_FULL ? MAIL_RET_FULL : t->args.ret == SMTP_RET_HDRS ? MAIL_RET_HDRS : 0;
	flags |= s->local ? MAIL_LOCAL : 0;
	flags |= s->sasl_user != NULL ? MAIL_AUTH : 0;
	*e = (struct mail_envelope){.sender = t->sender,
	    .envid = t->envid,
	    .flags = flags,
	    .arrival = t->arrival,
	    .size = content_bytes(t->content),
	    .client_name = sv_str(s->local ? "" : s->name),
	    .client_addr = sv_str(s->local ? "" : s->addr),
	    .helo = sv_str(s->helo != NULL ? s->helo : ""),
	    .protocol = sv_str(s->local ? "" : session_proto(s)),
	    .sasl_method = sv_str(s->sasl_method != NULL ? s->sasl_method : ""),
	    .sasl_user = sv_str(s->sasl_user != NULL ? s->sasl_user : ""),
	    .message_id = content_msgid(t->content),
	    .summary = content_summary(t->content)};
	content_extents(t->content, &e->content);
}

static void message_checked(struct session *s)
{
	struct txn *t = s->txn;
	struct msg_out m = MSG_OUT_INIT;
	struct cl_commit commit = {.qid = sv_str(t->item.qid), .nrcpt = t->nrcpt};

	if (!checked(s, STAGE_EOD, "END-OF-MESSAGE", message_checked)) {
		if (!s->dead && s->resume == NULL)
			command_over(s);
		return;
	}
	/* Closed first: cleanup takes a lease that no other writer may stand in the way of. */
	close(t->item.fd);
	t->item.fd = -1;
	envelope(s, &commit.env);
	commit.rcpt = xcalloc(t->nrcpt, sizeof(*commit.rcpt));
	for (size_t i = 0; i < t->nrcpt; i++) {
		commit.rcpt[i] = (struct mail_rcpt){.addr = t->rcpt[i].addr,
		    .orig = t->rcpt[i].addr,
		    .orcpt = t->rcpt[i].orcpt,
		    .notify = t->rcpt[i].notify};
	}
	cl_commit_put(&m, &commit);
	t->call = peer_call(s->g->cleanup, CL_COMMIT, &m, CL_TIMEOUT_MS, on_committed, s);
	free(commit.rcpt);
	msg_out_free(&m);
	s->resume = waiting;
}
