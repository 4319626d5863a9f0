/* cmd_mail.c - MAIL, RCPT, VRFY, and the life of a mail transaction. */
#include "base/codec.h"
#include "base/utf8.h"
#include "proto/smtp_ext.h"
#include "smtpd/access.h"
#include "smtpd/facts.h"
#include "smtpd/smtpd.h"

static void mail_checked(struct session *s);
static void mail_counted(struct session *s);
static void rcpt_checked(struct session *s);
static void rcpt_counted(struct session *s);
static void rcpt_stored(struct session *s);

struct txn *txn_new(struct session *s)
{
	struct txn *t = xcalloc(1, sizeof(*t));

	t->item.fd = -1;
	t->arrival = clock_wall_us();
	arena_init(&t->arena, s->local ? SMTPD_TXN_LOCAL : SMTPD_TXN_ARENA);
	s->txn = t;
	return t;
}

void txn_free(struct session *s)
{
	struct txn *t = s->txn;

	if (t == NULL)
		return;
	s->txn = NULL;
	s->access_passed = false;
	access_reset(s);
	facts_free(t);
	if (t->call != 0)
		peer_cancel(s->g->cleanup, t->call);
	content_free(&t->content);
	stock_drop(s->g, &t->item);
	free(t->rcpt);
	arena_clear(&t->arena);
	free(t);
}

/* ---- MAIL ---- */

static void args_error(struct session *s, enum smtp_args_fault fault, struct sv what)
{
	static const char *const text[] = {[SMTP_ARGS_SIZE] = "Bad message size syntax",
	    [SMTP_ARGS_BODY] = "Error: Bad BODY parameter syntax",
	    [SMTP_ARGS_RET] = "Error: Bad RET parameter syntax",
	    [SMTP_ARGS_ENVID] = "Error: Bad ENVID parameter syntax",
	    [SMTP_ARGS_NOTIFY] = "Error: Bad NOTIFY parameter syntax",
	    [SMTP_ARGS_ORCPT] = "Error: Bad ORCPT parameter syntax",
	    [SMTP_ARGS_TWICE] = "Error: parameter given twice",
	    [SMTP_ARGS_MANY] = "Error: too many parameters"};

	if (fault == SMTP_ARGS_UNKNOWN)
		reply(s, 555, "5.5.4", "Unsupported option: " SV_FMT, SV_ARG(sv_head(what, 100)));
	else
		reply(s, 501, "5.5.4", "%s", text[fault]);
}

/* The address as it goes on: completed with $myorigin where it has no domain. */
static int keep_address(struct session *s, const struct smtp_path *p, struct sv *out)
{
	struct sv addr = smtp_path_sv(p);
	char text[SMTP_ADDR_MAX + 300];

	if (!p->null && sv_chr(addr, '@') < 0) {
		/* RFC 5321 section 4.5.1: "postmaster" alone is always there, and is the one of this host. */
		bool postmaster = s->verb == SMTP_RCPT && sv_ieqs(addr, "postmaster");
		const struct smtpd_conf *c = &s->g->conf;
		int n = snprintf(text, sizeof(text), "%s@%s", p->addr, postmaster ? c->myhostname : c->myorigin);
		addr = sv_of(text, (size_t)n);
	}
	return arena_sv(&s->txn->arena, addr, out);
}

static int keep_xtext(struct txn *t, struct sv prefix, struct sv xtext, struct sv *out)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(2048);

	buf_addsv(&b, prefix);
	if (xtext_decode(&b, xtext) < 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < b.n; i++) {
		if ((unsigned char)b.p[i] < 32 || b.p[i] == 127)
			return ERR_SYNTAX;
	}
	return arena_sv(&t->arena, buf_sv(&b), out);
}

static bool utf8_refused(struct session *s, const struct smtp_path *p, bool declared)
{
	if (!p->utf8 || declared)
		return false;
	reply(s, 553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
	return true;
}

static bool mail_in_order(struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;

	if (s->helo == NULL && !s->local && (c->helo_required || c->lmtp)) {
		reply(s, 503, "5.5.1", "Error: send %s first", c->lmtp ? "LHLO" : "HELO/EHLO");
		return false;
	}
	if (s->txn != NULL && s->txn->mail) {
		reply(s, 503, "5.5.1", "Error: nested MAIL command");
		return false;
	}
	return true;
}

void cmd_mail(struct session *s, struct sv args)
{
	const struct smtpd_conf *c = &s->g->conf;
	struct smtp_path path;
	struct smtp_mail_args a;
	enum smtp_args_fault fault;
	struct sv rest, what;

	if (!mail_in_order(s))
		return;
	if (smtp_cmd_keyword(args, SV("FROM"), &rest) < 0 || rest.n == 0) {
		reply(s, 501, "5.5.4", "Syntax: MAIL FROM:<address>");
		return;
	}
	if (smtp_path_parse(rest, SMTP_PATH_NULL | (c->strict_paths ? SMTP_PATH_STRICT : 0), &path, &rest) < 0) {
		log_warn(
		    "Illegal address syntax from %s in MAIL command: " SV_FMT, namaddr(s), SV_ARG(sv_head(args, 200)));
		reply(s, 501, "5.1.7", "Bad sender address syntax");
		return;
	}
	if (smtp_mail_args(rest, &a, &fault, &what) < 0) {
		args_error(s, fault, what);
		return;
	}
	if (a.smtputf8 && !c->smtputf8) {
		reply(s, 555, "5.5.4", "Unsupported option: SMTPUTF8");
		return;
	}
	if (utf8_refused(s, &path, a.smtputf8))
		return;
	if (c->size_limit > 0 && a.size > c->size_limit) {
		reply(s, 552, "5.3.4", "Message size exceeds fixed limit");
		return;
	}
	txn_free(s);
	struct txn *t = txn_new(s);
	t->args = a;
	t->args.envid = t->args.auth = SV_NONE; /* views of the input line */
	if (keep_address(s, &path, &t->sender) < 0 ||
	    (a.envid.p != NULL && keep_xtext(t, SV(""), a.envid, &t->envid) < 0)) {
		txn_free(s);
		reply(s, 501, "5.5.4", "Error: Bad ENVID parameter syntax");
		return;
	}
	mail_counted(s);
}

static void mail_counted(struct session *s)
{
	int rc = limits_event(s, LIMIT_MESSAGE, mail_counted);

	if (rc == ERR_TEMP)
		return;
	if (rc == ERR_LIMIT) {
		txn_free(s);
		reply(s, 450, "4.7.1", "Error: too much mail from %s", s->addr);
		return;
	}
	mail_checked(s);
}

static void mail_checked(struct session *s)
{
	char text[1024];
	enum verdict v = VERDICT_PERMIT;

	if (!s->g->conf.delay_reject && !s->local)
		v = access_check(s, STAGE_CLIENT, STAGE_SENDER, text, sizeof(text)); /* perhaps nobody said HELO */
	if (v == VERDICT_WAIT) {
		s->resume = mail_checked;
		return;
	}
	if (v == VERDICT_REJECT) {
		access_log(s, "reject", "MAIL", text);
		txn_free(s);
		reply_text(s, text);
		return;
	}
	s->txn->mail = true;
	reply_ok(s, 250, "2.1.0", "Ok");
}

/* ---- RCPT ---- */

/* The order and the number of recipients; refused ones past the limit count as errors beyond the overshoot. */
static bool rcpt_in_order(struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;

	if (s->txn == NULL || !s->txn->mail) {
		reply(s, 503, "5.5.1", "Error: need MAIL command");
		return false;
	}
	if (s->txn->content != NULL) {
		reply(s, 503, "5.5.1", "Error: RCPT is not allowed after BDAT");
		return false;
	}
	if (s->txn->nrcpt >= (s->local ? MAIL_RCPTS_MAX : c->rcpt_limit)) {
		if (++s->txn->refused > c->rcpt_overshoot)
			s->errors++;
		reply_ok(s, 452, "4.5.3", "Error: too many recipients");
		s->failed = true;
		return false;
	}
	return true;
}

void cmd_rcpt(struct session *s, struct sv args)
{
	const struct smtpd_conf *c = &s->g->conf;
	struct smtp_path path;
	struct smtp_rcpt_args a;
	enum smtp_args_fault fault;
	struct sv rest, what;

	if (!rcpt_in_order(s))
		return;
	struct txn *t = s->txn;
	if (smtp_cmd_keyword(args, SV("TO"), &rest) < 0 || rest.n == 0) {
		reply(s, 501, "5.5.4", "Syntax: RCPT TO:<address>");
		return;
	}
	if (smtp_path_parse(rest, c->strict_paths ? SMTP_PATH_STRICT : 0, &path, &rest) < 0) {
		log_warn(
		    "Illegal address syntax from %s in RCPT command: " SV_FMT, namaddr(s), SV_ARG(sv_head(args, 200)));
		reply(s, 501, "5.1.3", "Bad recipient address syntax");
		return;
	}
	if (smtp_rcpt_args(rest, &a, &fault, &what) < 0) {
		args_error(s, fault, what);
		return;
	}
	if (utf8_refused(s, &path, t->args.smtputf8))
		return;
	t->now = (struct rcpt){.notify = a.notify};
	if (a.orcpt.p != NULL) {
		char type[64];
		int n = snprintf(type, sizeof(type), SV_FMT ";", SV_ARG(sv_head(a.orcpt_type, 60)));
		if (keep_xtext(t, sv_of(type, (size_t)n), a.orcpt, &t->now.orcpt) < 0) {
			reply(s, 501, "5.5.4", "Error: Bad ORCPT parameter syntax");
			return;
		}
	}
	if (keep_address(s, &path, &t->now.addr) < 0) {
		reply(s, 452, "4.5.3", "Error: too many recipients");
		return;
	}
	rcpt_counted(s);
}

static void rcpt_counted(struct session *s)
{
	int rc = limits_event(s, LIMIT_RCPT, rcpt_counted);

	if (rc == ERR_TEMP)
		return;
	if (rc == ERR_LIMIT) {
		reply(s, 450, "4.7.1", "Error: too many recipients from %s", s->addr);
		return;
	}
	rcpt_checked(s);
}

/* All lists, then whether the recipient exists.  Mail of local users is taken as it is: what cannot be delivered comes
 * back. */
static enum verdict judge(struct session *s, char *text, size_t room)
{
	const struct smtpd_conf *c = &s->g->conf;
	struct access_ctx ctx = {.s = s, .stage = STAGE_RCPT, .arg = "", .reply = text, .room = room};
	enum verdict v;

	if (s->local && s->verb != SMTP_VRFY)
		return VERDICT_PERMIT;
	if (!s->access_passed && !s->local) {
		v = access_check(s, c->delay_reject ? STAGE_CLIENT : STAGE_RELAY, STAGE_RCPT, text, room);
		if (v != VERDICT_PERMIT)
			return v;
		s->access_passed = true;
	}
	if (c->unlisted_sender) {
		ctx.stage = STAGE_SENDER;
		v = access_rule("reject_unlisted_sender")->ask(&ctx);
		if (v != VERDICT_DUNNO)
			return v;
	}
	ctx.stage = STAGE_RCPT;
	return c->unlisted_rcpt ? access_rule("reject_unlisted_recipient")->ask(&ctx) : VERDICT_PERMIT;
}

static void rcpt_checked(struct session *s)
{
	char text[1024];
	enum verdict v = judge(s, text, sizeof(text));

	if (v == VERDICT_WAIT) {
		s->resume = rcpt_checked;
		return;
	}
	s->access_passed = false;
	if (v == VERDICT_REJECT) {
		access_log(s, "reject", "RCPT", text);
		reply_text(s, text);
		return;
	}
	rcpt_stored(s);
}

/* "QUEUEID: client=host[addr], sasl_method=PLAIN, sasl_username=alice", or what pickup logs. */
void log_client(struct session *s)
{
	const char *qid = s->txn->item.qid, *client = namaddr(s);
	struct log_field fields[] = {{"CLIENT", sv_str(client)}, {"SASL_USERNAME", sv_str(s->sasl_user)}};

	if (s->local)
		log_qid(qid, "uid=%u from=<" SV_FMT ">", s->uid, SV_ARG(s->txn->sender));
	else if (s->sasl_user != NULL)
		log_line(LOG_LVL_INFO, qid, fields, 2, "client=%s, sasl_method=%s, sasl_username=%s", client,
		    s->sasl_method, s->sasl_user);
	else
		log_line(LOG_LVL_INFO, qid, fields, 1, "client=%s", client);
}

static void rcpt_stored(struct session *s)
{
	struct txn *t = s->txn;

	if (t->item.fd < 0) {
		int rc = stock_take(s, &t->item);
		if (rc == ERR_TEMP) {
			s->resume = rcpt_stored;
			return;
		}
		if (rc < 0) {
			reply(s, 451, "4.3.0", "Error: queue file write error");
			return;
		}
		log_client(s);
	}
	if (t->nrcpt == t->rcpt_room) {
		t->rcpt_room = t->rcpt_room ? 2 * t->rcpt_room : 4;
		t->rcpt = xreallocarray(t->rcpt, t->rcpt_room, sizeof(*t->rcpt));
	}
	t->now.cls = s->local ? 0 : fact_class(t, t->now.addr);
	t->rcpt[t->nrcpt++] = t->now;
	reply_ok(s, 250, "2.1.5", "Ok");
}

/* ---- VRFY ---- */

static void vrfy_checked(struct session *s)
{
	char text[1024];
	enum verdict v;

	v = judge(s, text, sizeof(text));
	if (v == VERDICT_WAIT) {
		s->resume = vrfy_checked;
		return;
	}
	s->access_passed = false;
	if (v == VERDICT_REJECT) {
		access_log(s, "reject", "VRFY", text);
		txn_free(s);
		reply_text(s, text);
		return;
	}
	CLEANUP(buf_freep) struct buf b = BUF_INIT(4096);
	smtp_path_quote(&b, s->txn->now.addr);
	txn_free(s);
	reply_ok(s, 252, "2.0.0", "%s", buf_cstr(&b));
}

void cmd_vrfy(struct session *s, struct sv args)
{
	struct smtp_path path;
	struct sv rest;

	if (s->g->conf.no_vrfy) {
		reply(s, 502, "5.5.1", "VRFY command is disabled");
		return;
	}
	if (s->txn != NULL && s->txn->mail) {
		reply(s, 503, "5.5.1", "Error: MAIL transaction in progress");
		return;
	}
	if (args.n == 0 || smtp_path_parse(args, 0, &path, &rest) < 0) {
		reply(s, 501, "5.5.4", "Syntax: VRFY address");
		return;
	}
	struct txn *t = txn_new(s);
	if (keep_address(s, &path, &t->now.addr) < 0) {
		txn_free(s);
		reply(s, 501, "5.1.3", "Bad recipient address syntax");
		return;
	}
	vrfy_checked(s);
}
