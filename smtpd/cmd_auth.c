/* cmd_auth.c - AUTH (RFC 4954): base64 here, the mechanisms in `auth`; no password is looked at in this process. */
#include "base/codec.h"
#include "ipc/api_auth.h"
#include "smtpd/smtpd.h"

#define MECHS_MS 5000u	     /* EHLO does not wait longer for auth: it is answered without AUTH then */
#define MECHS_KEEP_MS 60000u /* how long the list of mechanisms is taken as known */

struct mechs {
	struct smtpd *g;
	struct {
		char text[512];
		uint64_t until;
		bool asked;
	} of[2]; /* in the clear, under TLS */
};

/* An exchange in progress. */
struct sasl {
	uint32_t call;	/* open call to auth, 0: the client has the turn */
	bool started;	/* auth knows of it */
	bool finishing; /* the last challenge was sent: an empty response completes it */
	char mech[AU_MAX_MECH + 1];
	char user[AU_MAX_USER + 1]; /* after success */
};

void auth_mechs_init(struct smtpd *g)
{
	g->mechs = xcalloc(1, sizeof(*g->mechs));
	g->mechs->g = g;
}

static bool secure(const struct session *s)
{
	return s->tls;
}

bool auth_offered(const struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;

	return c->sasl && !s->local && (s->tls || (!c->auth_only && c->tls_level != TLS_LEVEL_ENCRYPT));
}

static void mechs_known(void *arg, int status, struct msg *m)
{
	struct session *s = arg;
	struct mechs *k = s->g->mechs;
	struct sv list = SV("");
	int rc = ERR_TEMP;

	s->mechs_call = 0;
	if (status == 0 && m->type == AU_MECHS && au_mechs_decode(m, &rc, &list) && rc == 0) {
		snprintf(k->of[secure(s)].text, sizeof(k->of[0].text), SV_FMT, SV_ARG(list));
		k->of[secure(s)].until = ev_now(s->g->ev) + MECHS_KEEP_MS;
	} else {
		log_warn("cannot ask auth for SASL mechanisms: %s", err_name(status != 0 ? status : rc));
		k->of[secure(s)].text[0] = '\0';
		k->of[secure(s)].until = ev_now(s->g->ev) + 1000;
	}
	session_wake(s);
}

bool auth_mechs(struct session *s, void (*resume)(struct session *), const char **out)
{
	struct mechs *k = s->g->mechs;
	struct msg_out m = MSG_OUT_INIT;

	if (k->of[secure(s)].until > ev_now(s->g->ev)) {
		*out = k->of[secure(s)].text;
		return true;
	}
	au_mechs_ask_encode(&m, SV("smtp"), secure(s));
	s->mechs_call = peer_call(s->g->auth, AU_MECHS, &m, MECHS_MS, mechs_known, s);
	msg_out_free(&m);
	s->resume = resume;
	return false;
}

/* The exchange is over. */
static void drop(struct session *s)
{
	if (s->sasl == NULL)
		return;
	explicit_bzero(s->sasl, sizeof(*s->sasl));
	free(s->sasl);
	s->sasl = NULL;
	if (s->mode == MODE_AUTH)
		s->mode = MODE_COMMAND;
}

/* auth forgets the conversation, so that this client may begin another. */
static void tell_abort(const struct session *s)
{
	struct msg_out m = MSG_OUT_INIT;

	au_abort_encode(&m, s->id);
	peer_send(s->g->auth, AU_ABORT, &m);
	msg_out_free(&m);
}

void auth_abort(struct session *s)
{
	if (s->mechs_call != 0)
		peer_cancel(s->g->auth, s->mechs_call);
	s->mechs_call = 0;
	buf_wipe(&s->auth_args);
	if (s->sasl == NULL)
		return;
	if (s->sasl->call != 0)
		peer_cancel(s->g->auth, s->sasl->call);
	if (s->sasl->started)
		tell_abort(s);
	drop(s);
}

static void challenge(struct session *s, struct sv data)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(2 * AU_MAX_RESPONSE);

	base64_encode(&b, data);
	buf_adds(&b, "\r\n");
	s->mode = MODE_AUTH;
	if (stream_write(s->stream, "334 ", 4) == 0)
		(void)stream_write(s->stream, b.p, b.n);
}

static void success(struct session *s)
{
	s->sasl_user = xstrdup(s->sasl->user);
	s->sasl_method = xstrdup(s->sasl->mech);
	drop(s);
	reply_ok(s, 235, "2.7.0", "Authentication successful");
}

static void failure(struct session *s, bool temporary, struct sv why)
{
	log_warn("%s: SASL %s authentication failed: " SV_FMT, namaddr(s), s->sasl->mech, SV_ARG(why));
	drop(s);
	if (temporary)
		reply(s, 454, "4.7.0", "Temporary authentication failure: " SV_FMT, SV_ARG(SV("please try again")));
	else
		reply(s, 535, "5.7.8", "Error: authentication failed: " SV_FMT, SV_ARG(SV("credentials not accepted")));
}

static void take_done(struct session *s, struct msg *m)
{
	struct au_done d;

	if (!au_done_decode(m, &d)) {
		failure(s, true, SV("bad answer from auth"));
		return;
	}
	snprintf(s->sasl->user, sizeof(s->sasl->user), SV_FMT, SV_ARG(d.user));
	s->sasl->started = false;
	if (d.final.n >
	    0) { /* SMTP has no data with success: a challenge that wants an empty answer (RFC 4954 section 4) */
		s->sasl->finishing = true;
		challenge(s, d.final);
		return;
	}
	success(s);
}

static void on_answer(void *arg, int status, struct msg *m)
{
	struct session *s = arg;
	struct sv text = SV("");
	bool temporary = true;

	s->sasl->call = 0;
	s->resume = NULL;
	if (status != 0) {
		if (status == ERR_TIMEOUT)
			tell_abort(s);
		s->sasl->started = false;
		failure(s, true, SV("connection lost to authentication server"));
	} else if (m->type == AU_MORE && au_more_decode(m, &text)) {
		challenge(s, text);
	} else if (m->type == AU_DONE) {
		take_done(s, m);
	} else {
		s->sasl->started = false;
		if (m->type != AU_FAIL || !au_fail_decode(m, &temporary, &text))
			text = SV("bad answer from auth");
		failure(s, temporary, text);
	}
	if (s->mode != MODE_AUTH)
		command_over(s);
	session_go_on(s);
}

static void waiting(struct session *s ATTR_UNUSED)
{
}

static void start(struct session *s, bool has_initial, struct sv initial)
{
	struct msg_out m = MSG_OUT_INIT;
	unsigned char binding[TLS_BINDING];
	size_t n = s->tls ? tls_binding(s->stream, binding) : 0;

	au_start_encode(&m, &(struct au_start){.service = SV("smtp"),
				.mech = sv_str(s->sasl->mech),
				.connection = s->id,
				.client = sv_str(s->addr),
				.local = SV(""),
				.secure = secure(s),
				.binding = sv_of((const char *)binding, n),
				.has_initial = has_initial,
				.initial = initial});
	s->sasl->started = true;
	s->sasl->call = peer_call(s->g->auth, AU_START, &m, SMTPD_ASK_MS, on_answer, s);
	buf_wipe(&m.b);
	msg_out_free(&m);
	s->mode = MODE_AUTH;
	s->resume = waiting;
}

static const char *refused(const struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;

	if (s->helo == NULL || !s->esmtp)
		return "503 5.5.1 Error: send EHLO first";
	if (!c->sasl || s->local)
		return "503 5.5.1 Error: authentication not enabled";
	if (!auth_offered(s))
		return "538 5.7.11 Encryption required for requested authentication mechanism";
	if (s->sasl_user != NULL)
		return "503 5.5.1 Error: already authenticated";
	if (s->txn != NULL && s->txn->mail)
		return "503 5.5.1 Error: MAIL transaction in progress";
	return NULL;
}

static void begin(struct session *s, struct sv args)
{
	CLEANUP(buf_freep) struct buf initial = BUF_INIT(AU_MAX_RESPONSE);
	struct sv rest = args, mech, text, more;
	bool has_initial;

	if (!sv_token(&rest, " \t", &mech) || mech.n > AU_MAX_MECH) {
		reply(s, 501, "5.5.4", "Syntax: AUTH mechanism");
		return;
	}
	has_initial = sv_token(&rest, " \t", &text);
	if (has_initial && sv_token(&rest, " \t", &more)) {
		reply(s, 501, "5.5.4", "Syntax: AUTH mechanism");
		return;
	}
	if (has_initial && !sv_eqs(text, "=") && base64_decode(&initial, text) < 0) {
		reply(s, 501, "5.5.2", "Error: Bad base64 in initial response");
		return;
	}
	s->sasl = xcalloc(1, sizeof(*s->sasl));
	for (size_t i = 0; i < mech.n; i++)
		s->sasl->mech[i] = (char)(mech.p[i] >= 'a' && mech.p[i] <= 'z' ? mech.p[i] - 32 : mech.p[i]);
	start(s, has_initial, buf_sv(&initial));
	buf_wipe(&initial);
}

/* The line is kept while anvil is asked, and cleared after it. */
static void auth_counted(struct session *s)
{
	CLEANUP(buf_freep) struct buf args = s->auth_args;
	int rc = limits_event(s, LIMIT_AUTH, auth_counted);

	if (rc == ERR_TEMP) {
		args = (struct buf){0};
		return;
	}
	s->auth_args = (struct buf)BUF_INIT(AU_LINE_MAX);
	if (rc == ERR_LIMIT)
		reply(s, 450, "4.7.1", "Error: too many AUTH commands from %s", s->addr);
	else
		begin(s, buf_sv(&args));
	buf_wipe(&args);
}

void cmd_auth(struct session *s, struct sv args)
{
	const char *problem = refused(s);

	if (problem != NULL) {
		reply_text(s, problem);
	} else if (s->g->conf.auth_rate == 0) {
		begin(s, args);
	} else {
		buf_init(&s->auth_args, AU_LINE_MAX);
		buf_addsv(&s->auth_args, args);
		auth_counted(s);
	}
}

void auth_line(struct session *s, struct sv line)
{
	CLEANUP(buf_freep) struct buf data = BUF_INIT(AU_MAX_RESPONSE);
	struct msg_out m = MSG_OUT_INIT;

	if (sv_eqs(line, "*")) {
		auth_abort(s);
		s->mode = MODE_COMMAND;
		reply(s, 501, "5.7.0", "Authentication aborted");
		command_over(s);
		return;
	}
	if (base64_decode(&data, line) < 0) {
		auth_abort(s);
		s->mode = MODE_COMMAND;
		reply(s, 501, "5.5.2", "Error: Bad base64 in response");
		command_over(s);
		return;
	}
	if (s->sasl->finishing) {
		success(s);
		command_over(s);
		return;
	}
	au_next_encode(&m, s->id, buf_sv(&data));
	s->sasl->call = peer_call(s->g->auth, AU_NEXT, &m, SMTPD_ASK_MS, on_answer, s);
	buf_wipe(&m.b);
	msg_out_free(&m);
	buf_wipe(&data);
	s->resume = waiting;
}
