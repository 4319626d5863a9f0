/* sasl.c - the conversation between a client and auth. */
#include "base/codec.h"
#include "crypto/secret.h"
#include "login/login.h"

bool sasl_mech_ok(const struct login_conn *c, struct sv mech)
{
	bool plaintext = sv_ieqs(mech, "PLAIN") || sv_ieqs(mech, "LOGIN");
	struct sv rest = sv_str(login.mechs), tok;

	if (plaintext && !conn_plaintext_ok(c))
		return false;
	while (sv_token(&rest, " ", &tok)) {
		if (sv_ieq(tok, mech))
			return true;
	}
	return false;
}

static void failed(struct login_conn *c, bool temporary, struct sv text)
{
	c->phase = PHASE_COMMAND;
	log_warn("unknown[%s]: SASL %s authentication failed: " SV_FMT, c->client, c->mech, SV_ARG(text));
	c->proto->auth_failed(c, temporary);
	if (!temporary && ++c->failures >= login.failures_limit)
		conn_end_with(c, "Too many authentication failures");
}

static void challenge(struct login_conn *c, struct sv raw, enum phase next)
{
	struct buf text = BUF_INIT(SASL_LINE_MAX);

	base64_encode(&text, raw);
	c->phase = (uint8_t)next;
	c->proto->challenge(c, buf_sv(&text));
	buf_wipe(&text);
}

static void done(struct login_conn *c, const struct au_done *d)
{
	if (d->grant.n != AU_GRANT) {
		failed(c, true, SV("auth gave no grant"));
		return;
	}
	memcpy(c->grant, d->grant.p, AU_GRANT);
	free(c->user);
	c->user = sv_dup(d->user);
	if (d->final.n)
		challenge(c, d->final, PHASE_FINAL);
	else
		relay_begin(c);
}

/* auth forgets the conversation, so that this connection may begin another. */
static void tell_abort(const struct login_conn *c)
{
	struct msg_out m = MSG_OUT_INIT;

	au_abort_encode(&m, c->number);
	peer_send(login.auth, AU_ABORT, &m);
	msg_out_free(&m);
}

static void on_answer(void *arg, int status, struct msg *reply)
{
	struct login_conn *c = arg;
	struct sv text = SV_NONE;
	struct au_done d;
	bool temporary;

	c->call = 0;
	if (status == ERR_TIMEOUT)
		tell_abort(c);
	if (status)
		failed(c, true, sv_str(status == ERR_TIMEOUT ? "auth does not answer" : "auth is not there"));
	else if (reply->type == AU_MORE && au_more_decode(reply, &text))
		challenge(c, text, PHASE_RESPONSE);
	else if (reply->type == AU_DONE && au_done_decode(reply, &d))
		done(c, &d);
	else if (reply->type == AU_FAIL && au_fail_decode(reply, &temporary, &text))
		failed(c, temporary, text);
	else
		failed(c, true, SV("nonsense from auth"));
}

static void on_reply(void *arg, int status, struct msg *reply)
{
	struct login_conn *c = arg;

	conn_hold(c);
	on_answer(c, status, reply);
	if (c->phase != PHASE_CLOSED)
		conn_input(c); /* what the client has sent meanwhile */
	conn_release(c);
}

void sasl_begin(struct login_conn *c, struct sv mech, bool has_initial, struct sv initial)
{
	struct au_start start = {.service = sv_str(c->proto->name), .mech = mech, .connection = c->number};
	unsigned char binding[TLS_BINDING];
	struct msg_out m = MSG_OUT_INIT;

	snprintf(c->mech, sizeof(c->mech), SV_FMT, SV_ARG(mech));
	for (char *p = c->mech; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	start.client = sv_str(c->client);
	start.local = sv_str(c->server);
	start.secure = conn_secure(c);
	start.binding = sv_of((const char *)binding, tls_binding(c->s, binding));
	start.has_initial = has_initial;
	start.initial = initial;
	au_start_encode(&m, &start);
	c->phase = PHASE_AUTH;
	c->call = peer_call(login.auth, AU_START, &m, AUTH_MS, on_reply, c);
	buf_wipe(&m.b);
	msg_out_free(&m);
}

void sasl_plain(struct login_conn *c, struct sv user, struct sv password)
{
	struct buf b = BUF_INIT(AU_MAX_RESPONSE);

	buf_addc(&b, '\0');
	buf_addsv(&b, user);
	buf_addc(&b, '\0');
	buf_addsv(&b, password);
	if (b.overflow || sv_has_nul(user) || sv_has_nul(password)) {
		snprintf(c->mech, sizeof(c->mech), "PLAIN");
		failed(c, false, SV("name or password too long or with a NUL byte"));
	} else {
		sasl_begin(c, SV("PLAIN"), true, buf_sv(&b));
	}
	buf_wipe(&b);
}

void sasl_give_up(struct login_conn *c)
{
	if (c->call)
		peer_cancel(login.auth, c->call);
	if (c->call || c->phase == PHASE_RESPONSE)
		tell_abort(c);
	c->call = 0;
}

static void answer(struct login_conn *c, struct sv raw)
{
	struct msg_out m = MSG_OUT_INIT;

	au_next_encode(&m, c->number, raw);
	c->phase = PHASE_AUTH;
	c->call = peer_call(login.auth, AU_NEXT, &m, AUTH_MS, on_reply, c);
	buf_wipe(&m.b);
	msg_out_free(&m);
}

bool sasl_line(struct login_conn *c)
{
	struct buf raw = BUF_INIT(SASL_LINE_MAX);
	struct sv line;
	int ending, r = stream_line(c->s, SASL_LINE_MAX - 2, &line, &ending);

	if (r == 0)
		return false;
	if (r < 0) {
		conn_end_with(c, "Line too long");
		return false;
	}
	if (sv_eqs(line, "*") || base64_decode(&raw, line)) {
		sasl_give_up(c);
		c->phase = PHASE_COMMAND;
		c->proto->auth_aborted(c);
		conn_bad(c);
	} else if (c->phase == PHASE_FINAL) {
		relay_begin(c); /* what the acknowledgement says does not matter: RFC 4422 section 3.6 wants it empty */
	} else {
		answer(c, buf_sv(&raw));
	}
	buf_wipe(&raw);
	return true;
}
