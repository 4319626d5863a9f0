/* sasl.c - AUTH towards a relay (RFC 4954): credentials from `auth`, the mechanism from lib/auth/sasl_client. */
#include "auth/sasl_client.h"
#include "base/codec.h"
#include "ipc/api_auth.h"
#include "smtp/smtp.h"

#define SASL_ASK_MS 30000
#define SASL_STEPS 10	    /* challenges of one exchange */
#define SASL_LINE_MAX 16384 /* RFC 4954 section 4: 12,288 bytes; with room */

void sasl_clear(struct conn *c)
{
	if (c->auth_call)
		peer_cancel(c->smtp->auth, c->auth_call);
	c->auth_call = 0;
	sasl_client_free(&c->sasl);
}

static void failed(struct conn *c, const char *text)
{
	const char *dsn = c->smtp->cfg.sasl_soft_bounce ? "4.7.8" : "5.7.8";

	conn_fail(c, dsn, "SASL authentication failed; cannot authenticate to server %s: %s", c->host, text);
}

/* Appends one response in base64 and wipes the raw one. */
static int add_response(struct conn *c, struct sv challenge, bool initial, struct err *err)
{
	struct buf raw = BUF_INIT(SASL_LINE_MAX);
	int rc = sasl_client_step(c->sasl, challenge, &raw, err);

	if (rc == 0) {
		if (initial && raw.n == 0)
			buf_addc(&c->out, '=');
		else
			rc = base64_encode(&c->out, buf_sv(&raw));
		buf_adds(&c->out, "\r\n");
	}
	buf_wipe(&raw);
	return rc;
}

static void start(struct conn *c, struct sv user, struct sv password)
{
	const struct cfg *cfg = &c->smtp->cfg;
	struct sasl_client_opts opts = {
	    .offered = sv_str(c->ext.mechs),
	    .filter = cfg->sasl_filter,
	    .security = c->tls_up ? cfg->sasl_tls_security : cfg->sasl_security,
	    .user = user,
	    .password = password,
	    .service = cfg->lmtp ? "lmtp" : "smtp",
	    .host = c->addr.name,
	};
	struct err err;

	if (sasl_client_new(&opts, &c->sasl, &err) < 0) {
		failed(c, err.text);
		return;
	}
	buf_printf(&c->out, "AUTH %s", sasl_client_mech(c->sasl));
	if (sasl_client_first(c->sasl)) {
		buf_addc(&c->out, ' ');
		if (add_response(c, SV(""), true, &err) < 0) {
			failed(c, err.text);
			return;
		}
	} else {
		buf_adds(&c->out, "\r\n");
	}
	conn_send(c);
	conn_expect(c, PH_AUTH, c->smtp->cfg.helo_timeout);
}

static void on_credentials(void *arg, int status, struct msg *reply)
{
	struct conn *c = arg;
	struct sv user, password;
	int found = ERR_TEMP;

	c->auth_call = 0;
	if (status == 0 && (reply->type != AU_CLIENT || !au_client_decode(reply, &found, &user, &password)))
		found = ERR_TEMP;
	if (found == 0)
		start(c, user, password);
	else if (found == ERR_NOT_FOUND)
		conn_ready(c);
	else
		failed(c, "no credentials now");
}

void sasl_begin(struct conn *c)
{
	const struct cfg *cfg = &c->smtp->cfg;
	struct msg_out m = MSG_OUT_INIT;
	struct au_client ask = {.transport = sv_str(daemon_service(c->smtp->d))};
	const char *domain = strchr(c->addr.name, '.');

	if (!cfg->sasl || !c->smtp->auth || !(c->ext.mask & SMTP_EXT_AUTH)) {
		conn_ready(c);
		return;
	}
	if (cfg->sasl_sender_dependent && c->job->d.env.sender.n > 0) {
		ask.keys[ask.nkeys++] = c->job->d.env.sender;
		c->no_reuse = true; /* this connection speaks for one sender */
	}
	ask.keys[ask.nkeys++] = sv_str(c->dest->nexthop);
	ask.keys[ask.nkeys++] = sv_str(c->job->hop.host);
	ask.keys[ask.nkeys++] = sv_str(c->addr.name);
	if (domain)
		ask.keys[ask.nkeys++] = sv_str(domain + 1);
	au_client_ask_encode(&m, &ask);
	c->phase = PH_CREDENTIALS;
	c->auth_call = peer_call(c->smtp->auth, AU_CLIENT, &m, SASL_ASK_MS, on_credentials, c);
	msg_out_free(&m);
}

void sasl_reply(struct conn *c)
{
	struct buf challenge = BUF_INIT(SASL_LINE_MAX), text = BUF_INIT(MAIL_TEXT_MAX);
	struct err err = {0};

	if (c->reply.code == 334 && ++c->auth_steps > SASL_STEPS) {
		failed(c, "endless challenges");
	} else if (c->reply.code == 334) {
		if (base64_decode(&challenge, sv_trim(buf_sv(&c->reply.text))) < 0 ||
		    add_response(c, buf_sv(&challenge), false, &err) < 0) {
			buf_reset(&c->out);
			buf_adds(&c->out, "*\r\n");
		}
		conn_send(c);
		conn_expect(c, PH_AUTH, c->smtp->cfg.helo_timeout);
	} else if (c->reply.code / 100 == 2 && sasl_client_complete(c->sasl)) {
		c->authenticated = true;
		sasl_clear(c);
		conn_ready(c);
	} else if (c->reply.code / 100 == 2) {
		failed(c, "the server did not prove that it knows the password");
	} else {
		char dsn[SMTP_DSN_MAX];

		conn_reply_text(c, &text);
		conn_reply_dsn(c, dsn);
		if (c->smtp->cfg.sasl_soft_bounce)
			dsn[0] = '4';
		conn_fail(c, dsn, "SASL authentication failed; server %s said: %s", c->host, buf_cstr(&text));
	}
	buf_wipe(&challenge);
	buf_free(&text);
}
