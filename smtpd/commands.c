/* commands.c - what a client may say: the table of commands and those that need no file of their own. */
#include "base/utf8.h"
#include "proto/smtp_ext.h"
#include "smtpd/access.h"
#include "smtpd/smtpd.h"

enum {
	CMD_LIMIT = 1,	 /* counts as junk when repeated (smtpd_junk_command_limit) */
	CMD_PRE_TLS = 2, /* allowed before STARTTLS where TLS is required */
	CMD_LAST = 4	 /* nothing may be pipelined behind it (RFC 2920 section 3.1) */
};

static void forget_helo(struct session *s)
{
	txn_free(s);
	free(s->helo);
	s->helo = NULL;
}

static void helo_done(struct session *s);
static void ehlo_done(struct session *s);

/* Restrictions that are asked at once where smtpd_delay_reject is off.  True when the command may go on. */
static bool helo_checked(struct session *s, void (*resume)(struct session *))
{
	char text[1024];
	enum verdict v;

	if (s->g->conf.delay_reject || s->local)
		return true;
	if (s->txn == NULL)
		txn_new(s);
	v = access_check(s, STAGE_CLIENT, STAGE_HELO, text, sizeof(text));
	if (v == VERDICT_WAIT) {
		s->resume = resume;
		return false;
	}
	if (v == VERDICT_REJECT) {
		access_log(s, "reject", smtp_verb_name(s->verb), text);
		forget_helo(s);
		reply_text(s, text);
		return false;
	}
	txn_free(s);
	return true;
}

static bool take_helo(struct session *s, struct sv args, const char *name)
{
	struct sv host = args;

	if (args.n == 0) {
		reply(s, 501, NULL, "Syntax: %s hostname", name);
		return false;
	}
	sv_token(&args, " \t", &host);
	forget_helo(s);
	s->helo = sv_dup(sv_head(host, SMTPD_HELO_MAX));
	for (char *p = s->helo; *p != '\0'; p++) { /* it goes into a header and the log */
		if ((unsigned char)*p < 33 || *p == 127 || strchr("()<>\\,;\"", *p) != NULL)
			*p = '?';
	}
	return true;
}

static void cmd_helo(struct session *s, struct sv args)
{
	if (s->g->conf.lmtp) {
		reply(s, 500, "5.5.1", "Error: this is LMTP: send LHLO");
		return;
	}
	if (!take_helo(s, args, "HELO"))
		return;
	s->esmtp = false;
	helo_done(s);
}

static void helo_done(struct session *s)
{
	if (helo_checked(s, helo_done))
		reply_ok(s, 250, NULL, "%s", s->g->conf.myhostname);
}

static void cmd_ehlo(struct session *s, struct sv args)
{
	bool lhlo = s->verb == SMTP_LHLO;

	if (lhlo != s->g->conf.lmtp) {
		reply(s, 500, "5.5.1", lhlo ? "Error: command not recognized" : "Error: this is LMTP: send LHLO");
		return;
	}
	if (!take_helo(s, args, lhlo ? "LHLO" : "EHLO"))
		return;
	s->esmtp = true;
	ehlo_done(s);
}

static void announce(struct session *s, const char *mechs)
{
	const struct smtpd_conf *c = &s->g->conf;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(4096);

	buf_printf(&b, "%s", c->myhostname);
	if (!(c->discard & SMTP_EXT_PIPELINING))
		buf_adds(&b, "\nPIPELINING");
	if (!(c->discard & SMTP_EXT_SIZE)) {
		if (c->size_limit > 0)
			buf_printf(&b, "\nSIZE %llu", (unsigned long long)c->size_limit);
		else
			buf_adds(&b, "\nSIZE");
	}
	if (!c->no_vrfy && !(c->discard & SMTP_EXT_VRFY))
		buf_adds(&b, "\nVRFY");
	if (tls_offered(s) && !(c->discard & SMTP_EXT_STARTTLS))
		buf_adds(&b, "\nSTARTTLS");
	if (mechs[0] != '\0' && !(c->discard & SMTP_EXT_AUTH))
		buf_printf(&b, "\nAUTH %s", mechs);
	if (!(c->discard & SMTP_EXT_ENHANCEDSTATUSCODES))
		buf_adds(&b, "\nENHANCEDSTATUSCODES");
	if (!(c->discard & SMTP_EXT_8BITMIME))
		buf_adds(&b, "\n8BITMIME");
	if (!(c->discard & SMTP_EXT_DSN))
		buf_adds(&b, "\nDSN");
	if (c->smtputf8 && !(c->discard & SMTP_EXT_SMTPUTF8))
		buf_adds(&b, "\nSMTPUTF8");
	if (!(c->discard & SMTP_EXT_CHUNKING))
		buf_adds(&b, "\nCHUNKING");
	reply_ok(s, 250, NULL, "%s", buf_cstr(&b));
}

static void ehlo_done(struct session *s)
{
	const char *mechs = "";

	if (!helo_checked(s, ehlo_done))
		return;
	if (!tls_known(s, ehlo_done))
		return;
	if (auth_offered(s) && s->sasl_user == NULL && !auth_mechs(s, ehlo_done, &mechs))
		return;
	announce(s, mechs);
}

static void cmd_rset(struct session *s, struct sv args)
{
	if (args.n > 0) {
		reply(s, 501, "5.5.4", "Syntax: RSET");
		return;
	}
	txn_free(s);
	reply_ok(s, 250, "2.0.0", "Ok");
}

static void cmd_noop(struct session *s, struct sv args ATTR_UNUSED)
{
	reply_ok(s, 250, "2.0.0", "Ok");
}

static void cmd_help(struct session *s, struct sv args ATTR_UNUSED)
{
	reply_ok(
	    s, 214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT; see RFC 5321");
}

static void cmd_quit(struct session *s, struct sv args ATTR_UNUSED)
{
	reply_ok(s, 221, "2.0.0", "Bye");
}

static void unimplemented(struct session *s, struct sv args ATTR_UNUSED)
{
	reply(s, 502, "5.5.1", "Error: command not implemented");
}

static const struct {
	void (*run)(struct session *s, struct sv args);
	unsigned flags;
} table[SMTP_VERBS] = {
    [SMTP_HELO] = {cmd_helo, CMD_LIMIT | CMD_PRE_TLS | CMD_LAST},
    [SMTP_EHLO] = {cmd_ehlo, CMD_LIMIT | CMD_PRE_TLS | CMD_LAST},
    [SMTP_LHLO] = {cmd_ehlo, CMD_LIMIT | CMD_PRE_TLS | CMD_LAST},
    [SMTP_MAIL] = {cmd_mail, 0},
    [SMTP_RCPT] = {cmd_rcpt, 0},
    [SMTP_DATA] = {cmd_data, CMD_LAST},
    [SMTP_BDAT] = {cmd_bdat, 0},
    [SMTP_RSET] = {cmd_rset, CMD_LIMIT},
    [SMTP_NOOP] = {cmd_noop, CMD_LIMIT | CMD_PRE_TLS | CMD_LAST},
    [SMTP_VRFY] = {cmd_vrfy, CMD_LIMIT | CMD_LAST},
    [SMTP_EXPN] = {unimplemented, CMD_LIMIT},
    [SMTP_HELP] = {cmd_help, CMD_LIMIT | CMD_PRE_TLS},
    [SMTP_ETRN] = {unimplemented, CMD_LIMIT},
    [SMTP_AUTH] = {cmd_auth, CMD_LAST},
    [SMTP_STARTTLS] = {cmd_starttls, CMD_PRE_TLS | CMD_LAST},
    [SMTP_QUIT] = {cmd_quit, CMD_PRE_TLS},
};

/* A browser, or something else that speaks no SMTP (smtpd_forbidden_commands). */
static bool other_protocol(struct session *s, struct sv word, struct sv line)
{
	static const char *const names[] = {"CONNECT", "GET", "POST"};
	bool found = word.n > 1 && word.p[word.n - 1] == ':';

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		found = found || sv_ieqs(word, names[i]);
	found = found || (word.n > 0 && !ascii_isalpha((unsigned char)word.p[0]));
	if (!found)
		return false;
	log_warn("non-SMTP command from %s: " SV_FMT, namaddr(s), SV_ARG(sv_head(line, 100)));
	reply(s, 221, "2.7.0", "Error: I can break rules, too. Goodbye.");
	session_end(s, NULL);
	return true;
}

/* Input behind a command that must be the last of a group, or behind any command after HELO (RFC 2920). */
static bool bad_pipelining(struct session *s, unsigned flags)
{
	struct sv more = stream_in(s->stream);
	bool may = (s->esmtp && !(flags & CMD_LAST)) || s->local;

	if (may || more.n == 0 || s->verb == SMTP_QUIT || s->ill_pipelining)
		return false;
	log_info("improper command pipelining after %s from %s: " SV_FMT, smtp_verb_name(s->verb), namaddr(s),
	    SV_ARG(sv_head(more, 100)));
	s->ill_pipelining = true;
	/* RFC 3207 section 4.2: what stood behind STARTTLS is dropped, not obeyed. */
	if (!s->g->conf.forbid_pipelining || s->verb == SMTP_STARTTLS)
		return false;
	reply(s, 554, "5.5.0", "Error: SMTP protocol synchronization");
	session_end(s, NULL);
	return true;
}

static bool allowed(struct session *s, unsigned flags)
{
	if (!s->tls && !s->local && s->g->conf.tls_level == TLS_LEVEL_ENCRYPT && !(flags & CMD_PRE_TLS)) {
		reply(s, 530, "5.7.0", "Must issue a STARTTLS command first");
		return false;
	}
	return true;
}

static void count(struct session *s, unsigned flags)
{
	if (s->count[s->verb][0] < UINT16_MAX)
		s->count[s->verb][0]++;
	if ((flags & CMD_LIMIT) && s->junk < UINT32_MAX)
		s->junk++;
}

void command_line(struct session *s, struct sv line)
{
	struct smtp_cmd cmd;

	smtp_cmd_parse(line, &cmd);
	s->verb = cmd.verb;
	s->failed = false;
	s->where = smtp_verb_name(cmd.verb);
	count(s, table[cmd.verb].flags);
	if (sv_has_nul(line)) {
		reply(s, 500, "5.5.2", "Error: bad syntax: NUL byte");
		return;
	}
	if (!ascii_only(line) && !utf8_valid(line)) {
		reply(s, 500, "5.5.2", "Error: bad UTF-8 syntax");
		return;
	}
	if (cmd.verb == SMTP_UNKNOWN) {
		if (cmd.word.n == 0)
			reply(s, 500, "5.5.2", "Error: bad syntax");
		else if (!other_protocol(s, cmd.word, line))
			reply(s, 500, "5.5.2", "Error: command not recognized");
		return;
	}
	if (bad_pipelining(s, table[cmd.verb].flags) || !allowed(s, table[cmd.verb].flags))
		return;
	table[cmd.verb].run(s, cmd.args);
	if (!s->dead && s->resume == NULL)
		command_over(s);
}

void command_over(struct session *s)
{
	if (!s->failed && s->mode != MODE_AUTH && s->mode != MODE_DATA && s->mode != MODE_BDAT &&
	    s->count[s->verb][1] < s->count[s->verb][0])
		s->count[s->verb][1]++;
	if (s->verb == SMTP_QUIT && !s->failed)
		session_end(s, NULL);
}
