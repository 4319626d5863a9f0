/*
 * login.c - the face of IMAP and POP3: TLS and everything before authentication, then the relay between the client and
 * its session.  It holds no key, reads no file, and makes no connection of its own.
 */
#include "login/login.h"

#define MECHS_MS 60000 /* between two questions what auth offers */
#define MECHS_RETRY_MS 1000

struct login login;

static void ask_mechs(struct ev_timer *t);

static void on_mechs(void *arg, int status, struct msg *reply)
{
	struct sv mechs;

	(void)arg;
	if (!status && (reply->type != AU_MECHS || !au_mechs_decode(reply, &status, &mechs)))
		status = ERR_PROTOCOL;
	if (!status) {
		free(login.mechs);
		login.mechs = sv_dup(mechs);
	}
	ev_timer_start(daemon_ev(login.d), &login.mechs_timer, status ? MECHS_RETRY_MS : MECHS_MS, ask_mechs);
}

static void ask_mechs(struct ev_timer *t)
{
	struct msg_out m = MSG_OUT_INIT;

	(void)t;
	au_mechs_ask_encode(&m, sv_str(login.proto->name), true);
	peer_call(login.auth, AU_MECHS, &m, AUTH_MS, on_mechs, NULL);
	msg_out_free(&m);
}

static void on_accept(struct daemon *d, const struct listener *l, int fd, const struct sockaddr_storage *from)
{
	(void)d;
	(void)l;
	conn_new(fd, from);
}

/* Clients that are about to log in still can; sessions go on until they end. */
static void on_drain(struct daemon *d)
{
	(void)d;
	for (struct login_conn *c = login.conns; c; c = c->next)
		conn_drain(c);
}

static int start(struct daemon *d, struct err *err)
{
	const struct conf *conf = daemon_conf(d);
	const char *level = conf_str(conf, "login_tls_security_level");
	struct tls_conf tls = {.protocols = conf_str(conf, "login_tls_protocols"),
	    .ciphers = conf_str(conf, "login_tls_ciphers"),
	    .exclude = conf_str(conf, "login_tls_exclude_ciphers"),
	    .prefer_server = conf_bool(conf, "tls_preempt_cipherlist"),
	    .session_id = "login"};
	int min, max;

	login.d = d;
	login.proto = !strcmp(conf_str(conf, "login_protocol"), "pop3") ? &login_pop3 : &login_imap;
	login.wrapper = conf_bool(conf, "login_tls_wrappermode");
	login.offer_tls = strcmp(level, "none") != 0;
	login.plaintext = conf_bool(conf, "login_plaintext_auth");
	login.limit_per_client = (unsigned)conf_int(conf, "login_connection_limit");
	login.failures_limit = (unsigned)conf_int(conf, "login_failures_limit");
	login.timeout_ms = conf_time(conf, "login_timeout") * 1000;
	/* until auth has said it itself; PAM has no SCRAM verifiers */
	login.mechs =
	    xstrdup(sv_find(sv_str(conf_str(conf, "auth_sources")), SV("pam")) >= 0 ? "PLAIN LOGIN"
										    : "PLAIN LOGIN SCRAM-SHA-256");
	if (tls_protocols_parse(tls.protocols, &min, &max, err))
		return ERR_SYNTAX;
	login.auth = peer_new(d, "auth", NULL);
	login.anvil = peer_new(d, "anvil", NULL);
	login.tls = tls_server_new(d, &tls);
	ev_timer_start(daemon_ev(d), &login.mechs_timer, 0, ask_mechs);
	return 0;
}

static const struct sandbox_profile profile = {.net = SANDBOX_NET_NONE, .nofile = 65536, .memory = 2048};

static const struct daemon_def def = {
    .program = "login",
    .profile = &profile,
    .start = start,
    .on_accept = on_accept,
    .on_drain = on_drain,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &def);
}
