/* access.c - reads and runs restriction lists; the rules themselves are in access_rules.c. */
#include "smtpd/access.h"

#include "base/num.h"

#define LIST_MAX 1000 /* rules of one list */

static const struct rule *find(struct sv word)
{
	for (size_t i = 0; i < access_nrules; i++) {
		if (sv_ieqs(word, access_rules[i].name))
			return &access_rules[i];
	}
	return NULL;
}

const struct rule *access_rule(const char *name)
{
	const struct rule *r = find(sv_str(name));
	BUG_ON(r == NULL);
	return r;
}

bool access_is(const struct rule_use *use, const char *name)
{
	return strcmp(use->rule->name, name) == 0;
}

static int read_one(struct sv word, struct sv *rest, struct rule_use *use, struct err *err)
{
	struct sv arg = SV("");

	if (sv_chr(word, ':') > 0 && find(word) == NULL) { /* "type:table": check_*_access of the list's own kind */
		use->rule = find(SV("check_access"));
		arg = word;
	} else {
		use->rule = find(word);
		if (use->rule == NULL)
			return err_set(err, ERR_SYNTAX, "unknown smtpd restriction: \"" SV_FMT "\"", SV_ARG(word));
		if ((use->rule->arg == ARG_TABLE || use->rule->arg == ARG_DOMAIN) && !sv_token(rest, " \t\r\n,", &arg))
			return err_set(err, ERR_SYNTAX, "restriction " SV_FMT " requires an argument", SV_ARG(word));
		if (use->rule->arg == ARG_TABLE && sv_chr(arg, ':') < 1)
			return err_set(err, ERR_SYNTAX,
			    "restriction " SV_FMT " requires type:table, not \"" SV_FMT "\"", SV_ARG(word),
			    SV_ARG(arg));
	}
	use->arg = sv_dup(arg);
	return 0;
}

int access_parse(const char *text, struct rule_list *out, struct err *err)
{
	struct rule_list l = {0};
	struct sv rest = sv_str(text), word;

	while (sv_token(&rest, " \t\r\n,", &word)) {
		int rc = l.n < LIST_MAX ? 0 : err_set(err, ERR_LIMIT, "too many restrictions");
		l.use = xreallocarray(l.use, l.n + 1, sizeof(*l.use));
		l.use[l.n].arg = NULL;
		if (rc == 0)
			rc = read_one(word, &rest, &l.use[l.n], err);
		if (rc < 0) {
			access_list_free(&l);
			return rc;
		}
		l.n++;
	}
	*out = l;
	return 0;
}

void access_list_free(struct rule_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((char *)(uintptr_t)l->use[i].arg);
	free(l->use);
	*l = (struct rule_list){0};
}

enum verdict access_refuse(struct access_ctx *c, int code, const char *dsn, const char *fmt, ...)
{
	va_list ap;
	size_t n = (size_t)snprintf(c->reply, c->room, "%d %c%s ", code, code >= 500 ? '5' : '4', dsn + 1);

	if (n < c->room) {
		va_start(ap, fmt);
		vsnprintf(c->reply + n, c->room - n, fmt, ap);
		va_end(ap);
	}
	return VERDICT_REJECT;
}

enum verdict access_defer_if_permit(struct access_ctx *c, const char *dsn, const char *fmt, ...)
{
	struct access_run *run = &c->s->access;
	va_list ap;
	size_t n;

	if (run->defer[0] != '\0')
		return VERDICT_DUNNO;
	n = (size_t)snprintf(run->defer, sizeof(run->defer), "450 4%s ", dsn + 1);
	va_start(ap, fmt);
	vsnprintf(run->defer + n, sizeof(run->defer) - n, fmt, ap);
	va_end(ap);
	return VERDICT_DUNNO;
}

void access_reset(struct session *s)
{
	s->access = (struct access_run){0};
}

const char *access_where(const struct session *s)
{
	switch (s->access.stage) {
	case STAGE_EOD: return "END-OF-MESSAGE";
	case STAGE_DATA: return "DATA";
	default: return s->verb == SMTP_UNKNOWN ? "CONNECT" : smtp_verb_name(s->verb);
	}
}

/* One list from where the run stands.  PERMIT also when it ended without a decision. */
static enum verdict run_list(struct session *s, char *text, size_t room)
{
	struct access_run *run = &s->access;
	const struct rule_list *list = &s->g->conf.rules[run->stage];

	for (; run->at < list->n; run->at++) {
		const struct rule_use *use = &list->use[run->at];
		struct access_ctx c = {.s = s, .stage = run->stage, .arg = use->arg, .reply = text, .room = room};
		enum verdict v = use->rule->ask(&c);
		if (use->rule->arg == ARG_WARN) {
			run->warn = true;
			continue;
		}
		if (v == VERDICT_REJECT && run->warn) {
			access_log(s, "reject_warning", access_where(s), text);
			v = VERDICT_DUNNO;
		}
		if (v != VERDICT_DUNNO)
			return v;
		run->warn = false;
	}
	return VERDICT_PERMIT;
}

enum verdict access_check(struct session *s, enum stage first, enum stage last, char *text, size_t room)
{
	struct access_run *run = &s->access;

	if (!run->active) {
		*run = (struct access_run){.active = true, .stage = first, .last = last};
	}
	while (run->stage <= run->last) {
		enum verdict v = run_list(s, text, room);
		if (v == VERDICT_WAIT)
			return v;
		if (v == VERDICT_REJECT) {
			access_reset(s);
			return v;
		}
		run->stage = (enum stage)(run->stage + 1);
		run->at = 0;
	}
	if (run->defer[0] != '\0') {
		snprintf(text, room, "%s", run->defer);
		access_reset(s);
		return VERDICT_REJECT;
	}
	access_reset(s);
	return VERDICT_PERMIT;
}

void access_log(struct session *s, const char *what, const char *where, const char *text)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(8192);
	struct txn *t = s->txn;
	const char *qid = t != NULL && t->item.fd >= 0 ? t->item.qid : "NOQUEUE";

	buf_printf(&b, "%s: %s from %s: %s;", what, where, namaddr(s), text);
	if (t != NULL && t->sender.p != NULL)
		buf_printf(&b, " from=<" SV_FMT ">", SV_ARG(t->sender));
	if (t != NULL && t->now.addr.n > 0)
		buf_printf(&b, " to=<" SV_FMT ">", SV_ARG(t->now.addr));
	buf_printf(&b, " proto=%s", session_proto(s));
	if (s->helo != NULL)
		buf_printf(&b, " helo=<%s>", s->helo);
	if (s->sasl_user != NULL)
		buf_printf(&b, " sasl_username=<%s>", s->sasl_user);
	log_qid(qid, "%s", buf_cstr(&b));
}

/* ---- actions of access tables ---- */

static bool all_digits(struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_isdigit((unsigned char)s.p[i]))
			return false;
	}
	return s.n > 0;
}

/* "550 5.7.1 text", "450 text": the code and text as they stand. */
static enum verdict coded(struct access_ctx *c, struct sv code, struct sv text, const char *kind, struct sv subject)
{
	char dsn[SMTP_DSN_MAX] = "";
	uint64_t n = 0;
	size_t used = smtp_dsn_prefix(text, dsn);

	if (num_range(code, 400, 599, &n) < 0)
		return VERDICT_DUNNO;
	text = sv_trim(sv_skip(text, used));
	if (text.n == 0)
		text = SV("Access denied");
	return access_refuse(c, (int)n, dsn[0] != '\0' ? dsn : "5.7.1", "<" SV_FMT ">: %s rejected: " SV_FMT,
	    SV_ARG(subject), kind, SV_ARG(text));
}

enum verdict access_action(struct access_ctx *c, struct sv value, const char *kind, struct sv subject)
{
	const struct smtpd_conf *conf = &c->s->g->conf;
	struct sv rest = value, word;
	char dsn[SMTP_DSN_MAX] = "";

	if (!sv_token(&rest, " \t", &word))
		return VERDICT_DUNNO;
	rest = sv_trim(rest);
	if (sv_ieqs(word, "OK") || sv_ieqs(word, "RELAY") || sv_ieqs(word, "permit"))
		return VERDICT_PERMIT;
	if (sv_ieqs(word, "DUNNO"))
		return VERDICT_DUNNO;
	if (word.n == 3 && all_digits(word) && (word.p[0] == '4' || word.p[0] == '5'))
		return coded(c, word, rest, kind, subject);
	if (all_digits(word))
		return VERDICT_PERMIT;
	bool reject = sv_ieqs(word, "REJECT"), defer = sv_ieqs(word, "DEFER"),
	     if_permit = sv_ieqs(word, "DEFER_IF_PERMIT");
	if (reject || defer || if_permit) {
		size_t used = smtp_dsn_prefix(rest, dsn);
		struct sv text = sv_trim(sv_skip(rest, used));
		if (text.n == 0)
			text = reject ? SV("Access denied") : SV("Service unavailable - try again later");
		if (if_permit)
			return access_defer_if_permit(c, dsn[0] != '\0' ? dsn : "4.7.1",
			    "<" SV_FMT ">: %s rejected: " SV_FMT, SV_ARG(subject), kind, SV_ARG(text));
		return access_refuse(c, reject ? conf->access_code : conf->defer_code, dsn[0] != '\0' ? dsn : "5.7.1",
		    "<" SV_FMT ">: %s rejected: " SV_FMT, SV_ARG(subject), kind, SV_ARG(text));
	}
	if (sv_ieqs(word, "WARN") || sv_ieqs(word, "INFO")) {
		CLEANUP(freep) char *text = xasprintf("<" SV_FMT ">: " SV_FMT, SV_ARG(subject), SV_ARG(rest));
		access_log(c->s, sv_ieqs(word, "WARN") ? "warn" : "info", smtp_verb_name(c->s->verb), text);
		return VERDICT_DUNNO;
	}
	const struct rule *rule = find(word);
	if (rule != NULL && rule->arg == ARG_NONE)
		return rule->ask(c);
	log_warn("access table entry for " SV_FMT " has an action that is not supported: " SV_FMT, SV_ARG(subject),
	    SV_ARG(word));
	return VERDICT_DUNNO;
}
