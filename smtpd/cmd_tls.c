/* cmd_tls.c - STARTTLS (RFC 3207) and ports that begin with TLS; the handshake itself is lib/tls's. */
#include "proto/smtp_ext.h"
#include "smtpd/smtpd.h"

bool tls_offered(const struct session *s)
{
	return s->g->tls != NULL && !s->tls && !s->local && tls_server_ctx(s->g->tls) != NULL;
}

static void now_known(struct tls_server_wait *w)
{
	session_wake(container_of(w, struct session, tls_wait));
}

bool tls_known(struct session *s, void (*resume)(struct session *))
{
	if (s->g->tls == NULL || s->local || tls_server_known(s->g->tls))
		return true;
	s->resume = resume;
	s->tls_wait.cb = now_known;
	tls_server_wait(s->g->tls, &s->tls_wait);
	return s->resume == NULL;
}

/* RFC 3207 section 4.2: what the client said in the clear is forgotten. */
static void forget_plain(struct session *s)
{
	txn_free(s);
	free(s->helo);
	s->helo = NULL;
	s->esmtp = false;
	free(s->sasl_user);
	free(s->sasl_method);
	s->sasl_user = s->sasl_method = NULL;
}

static void established(struct session *s)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(1024);
	struct tls_info info;

	s->tls = true;
	if (tls_info(s->stream, &info) && tls_info_text(&text, &info) == 0) {
		snprintf(s->tls_text, sizeof(s->tls_text), "%s", buf_cstr(&text));
		if (s->g->conf.tls_loglevel >= 1)
			log_info("%s TLS connection established from %s: %s", tls_trust_word(info.trust), namaddr(s),
			    buf_cstr(&text));
	}
}

static void on_tls(struct stream *st ATTR_UNUSED, void *arg, const struct err *err)
{
	struct session *s = arg;

	s->mode = MODE_COMMAND;
	if (err != NULL) {
		log_info("SSL_accept error from %s: %s", namaddr(s), err->text);
		session_end(s, "lost connection");
		return;
	}
	established(s);
	if (!s->greeted) {
		session_greet(s);
		return;
	}
	forget_plain(s);
	session_touch(s);
	session_go_on(s);
}

static void wrapper_known(struct session *s)
{
	tls_begin(s);
}

void tls_begin(struct session *s)
{
	struct tls_ctx *ctx;
	struct err err;

	if (!s->greeted && !tls_known(s, wrapper_known))
		return;
	ctx = s->g->tls != NULL ? tls_server_ctx(s->g->tls) : NULL;
	if (ctx == NULL) {
		log_warn("no certificate for service %s: TLS is not possible", daemon_service(s->g->d));
		session_end(s, NULL);
		return;
	}
	s->mode = MODE_HANDSHAKE;
	stream_pause(s->stream, false);
	if (tls_accept(ctx, s->g->ev, s->stream, on_tls, s, &err) < 0) {
		log_warn("cannot start TLS with %s: %s", namaddr(s), err.text);
		session_end(s, NULL);
	}
}

void cmd_starttls(struct session *s, struct sv args)
{
	if (args.n > 0) {
		reply(s, 501, "5.5.4", "Syntax: STARTTLS");
	} else if (s->tls) {
		reply(s, 554, "5.5.1", "Error: TLS already active");
	} else if (s->g->tls == NULL || s->local || (s->g->conf.discard & SMTP_EXT_STARTTLS)) {
		reply(s, 502, "5.5.1", "Error: command not implemented");
	} else if (s->helo == NULL) {
		reply(s, 503, "5.5.1", "Error: send HELO/EHLO first");
	} else if (!tls_offered(s)) {
		reply(s, 454, "4.7.0", "TLS not available due to local problem");
	} else {
		reply_ok(s, 220, "2.0.0", "Ready to start TLS");
		tls_begin(s);
	}
}
