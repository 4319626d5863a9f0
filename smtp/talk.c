/* talk.c - the session before the first transaction: greeting, EHLO or HELO or LHLO, STARTTLS. */
#include "smtp/smtp.h"

#define TLS_NAMES 16 /* names that a certificate may bear */

/* "host X refused to talk to me: 554 ..." */
static void refused(struct conn *c, bool soft)
{
	struct buf text = BUF_INIT(MAIL_TEXT_MAX);
	char dsn[SMTP_DSN_MAX];

	conn_reply_text(c, &text);
	conn_reply_dsn(c, dsn);
	if (soft || (dsn[0] != '4' && dsn[0] != '5'))
		dsn[0] = '4';
	conn_fail(c, dsn, "host %s refused to talk to me: %s", c->host, buf_cstr(&text));
	buf_free(&text);
}

static void say_hello(struct conn *c, const char *verb, enum phase phase)
{
	buf_printf(&c->out, "%s %s\r\n", verb, c->smtp->cfg.helo_name);
	conn_send(c);
	conn_expect(c, phase, c->smtp->cfg.helo_timeout);
}

/* --- TLS --- */

/* The certificate must bear one of these; "hostname" and "nexthop" stand for the names of this connection. */
static size_t match_names(struct conn *c, const char *out[TLS_NAMES], char store[TLS_NAMES][256])
{
	struct sv rest = sv_str(c->dest->policy.match), word;
	size_t n = 0;

	while (n < TLS_NAMES && sv_token(&rest, " \t\r\n,:", &word)) {
		if (sv_ieqs(word, "hostname"))
			word = sv_str(c->addr.name);
		else if (sv_ieqs(word, "nexthop") || sv_ieqs(word, "dot-nexthop"))
			snprintf(store[n], 256, "%s%.254s", sv_ieqs(word, "nexthop") ? "" : ".", c->job->hop.host);
		if (!sv_ieqs(word, "nexthop") && !sv_ieqs(word, "dot-nexthop"))
			snprintf(store[n], 256, SV_FMT, SV_ARG(sv_head(word, 255)));
		out[n] = store[n];
		n++;
	}
	return n;
}

static void log_tls(struct conn *c)
{
	struct buf text = BUF_INIT(1024);
	struct tls_info info;

	if (c->smtp->cfg.tls_loglevel == 0 || !tls_info(c->stream, &info))
		return;
	tls_info_text(&text, &info);
	log_info("%s TLS connection established to %s: %s", tls_trust_word(info.trust), c->relay, buf_cstr(&text));
	buf_free(&text);
}

/* Opportunistic TLS that fails is no TLS: the same host once more, in the clear. */
static void tls_failed(struct conn *c, const char *why)
{
	struct job *j = c->job;
	const char *error;

	log_info("SSL_connect error to %s: %s", c->relay, why);
	if (c->dest->policy.level > TLS_LVL_MAY || c->smtp->cfg.tls_wrapper) {
		bool verify = c->dest->policy.level >= TLS_LVL_VERIFY;

		conn_fail(c, "4.7.5",
		    verify ? "Server certificate not verified, or cannot start TLS: %s"
			   : "Cannot start TLS: handshake failure (%s)",
		    why);
		return;
	}
	c->job = NULL;
	conn_close(c, false);
	if (!conn_open(j, &j->addr[j->at - 1], true, &error)) {
		char *line = xasprintf("Cannot start TLS: handshake failure (%s)", why);

		job_site_failed(j, "", "4.7.5", line);
		free(line);
	}
}

static void on_tls(struct stream *s, void *arg, const struct err *err)
{
	struct conn *c = arg;

	(void)s;
	if (err) {
		tls_failed(c, err->text);
		return;
	}
	ev_timer_stop(&c->deadline);
	stream_set_timeout(c->stream, 0);
	c->tls_up = true;
	log_tls(c);
	memset(&c->ext, 0, sizeof(c->ext)); /* RFC 3207 section 4.2: what was said before does not count */
	if (c->smtp->cfg.tls_wrapper)
		conn_expect(c, PH_GREETING, c->smtp->cfg.greet_timeout);
	else
		say_hello(c, c->smtp->cfg.lmtp ? "LHLO" : "EHLO", PH_EHLO);
}

/* SNI; never an address (RFC 6066 section 3). */
static const char *server_name(const struct conn *c)
{
	const char *name = c->dest->policy.servername;
	struct sockaddr_storage ss;
	socklen_t len;

	if (strcmp(name, "hostname") == 0)
		name = c->addr.name;
	else if (strcmp(name, "nexthop") == 0)
		name = c->job->hop.host;
	return name[0] && !dns_addr_parse(sv_str(name), &ss, &len) ? name : NULL;
}

static void start_tls(struct conn *c)
{
	const struct cfg *cfg = &c->smtp->cfg;
	const struct tls_policy *policy = &c->dest->policy;
	const char *match[TLS_NAMES];
	char names[TLS_NAMES][256];
	struct tls_client_opts opts = {
	    .servername = server_name(c),
	    .match = match,
	    .verify = policy->level >= TLS_LVL_VERIFY,
	};
	struct err err;

	opts.nmatch = match_names(c, match, names);
	conn_expect(c, PH_HANDSHAKE, cfg->starttls_timeout);
	stream_set_timeout(c->stream, cfg->starttls_timeout);
	if (tls_connect(policy->level > TLS_LVL_MAY ? cfg->tls_must : cfg->tls_may, c->smtp->ev, c->stream, &opts,
		on_tls, c, &err) < 0)
		tls_failed(c, err.text);
}

void talk_starttls(struct conn *c)
{
	struct buf text = BUF_INIT(MAIL_TEXT_MAX);

	if (c->reply.code == 220) {
		start_tls(c);
		return;
	}
	if (c->dest->policy.level <= TLS_LVL_MAY && c->reply.code != 421) { /* RFC 3207: go on without */
		c->no_tls = true;
		sasl_begin(c);
		return;
	}
	conn_reply_text(c, &text);
	conn_fail(c, "4.7.4", "TLS is required, but host %s refused to start TLS: %s", c->host, buf_cstr(&text));
	buf_free(&text);
}

/* --- greeting and hello --- */

void talk_connected(struct conn *c)
{
	if (c->smtp->cfg.tls_wrapper)
		start_tls(c);
	else
		conn_expect(c, PH_GREETING, c->smtp->cfg.greet_timeout);
}

void talk_greeting(struct conn *c)
{
	const struct cfg *cfg = &c->smtp->cfg;
	bool esmtp = sv_find(buf_sv(&c->reply.text), SV("ESMTP")) >= 0;

	if (c->reply.code / 100 != 2) {
		refused(c, cfg->skip_5xx_greeting);
		return;
	}
	if (cfg->lmtp)
		say_hello(c, "LHLO", PH_EHLO);
	else if (!cfg->never_ehlo && (cfg->always_ehlo || esmtp))
		say_hello(c, "EHLO", PH_EHLO);
	else
		say_hello(c, "HELO", PH_HELO);
}

/* The session is set up as far as the server lets us: is that enough for this job? */
static void hello_done(struct conn *c)
{
	const struct cfg *cfg = &c->smtp->cfg;
	enum tls_level level = c->dest->policy.level;
	bool offered = c->ext.mask & SMTP_EXT_STARTTLS;

	if (offered && !c->tls_up && level == TLS_LVL_NONE && cfg->tls_note_offer)
		log_info("Host offered STARTTLS: [%s]", c->addr.name);
	if (offered && !c->tls_up && !c->no_tls && level > TLS_LVL_NONE) {
		buf_adds(&c->out, "STARTTLS\r\n");
		conn_send(c);
		conn_expect(c, PH_STARTTLS, cfg->starttls_timeout);
		return;
	}
	if (!c->tls_up && level > TLS_LVL_MAY) {
		conn_fail(c, "4.7.4", "TLS is required, but was not offered by host %s", c->host);
		return;
	}
	sasl_begin(c);
}

static bool greets_with_our_name(const struct conn *c)
{
	struct sv line = buf_sv(&c->reply.text), word;

	return c->port == 25 && !c->smtp->cfg.lmtp && sv_token(&line, " \n", &word) &&
	       sv_ieqs(word, c->smtp->cfg.myhostname);
}

void talk_ehlo(struct conn *c)
{
	struct sv rest = buf_sv(&c->reply.text);
	bool first = true;

	if (c->reply.code / 100 != 2) {
		if (c->reply.code / 100 == 5 && !c->smtp->cfg.lmtp && !c->tls_up)
			say_hello(c, "HELO", PH_HELO);
		else
			refused(c, false);
		return;
	}
	if (greets_with_our_name(c)) {
		log_warn("host %s replied to EHLO with my own hostname %s", c->host, c->smtp->cfg.myhostname);
		conn_fail(c, "5.4.6", "mail for %s loops back to myself", c->dest->nexthop);
		return;
	}
	memset(&c->ext, 0, sizeof(c->ext));
	while (rest.p) {
		struct sv line = sv_cut(&rest, "\n");

		if (!first)
			smtp_ext_line(&c->ext, line);
		first = false;
	}
	c->ext.mask &= ~c->smtp->cfg.discard;
	hello_done(c);
}

void talk_helo(struct conn *c)
{
	if (c->reply.code / 100 != 2) {
		refused(c, false);
		return;
	}
	memset(&c->ext, 0, sizeof(c->ext));
	hello_done(c);
}
