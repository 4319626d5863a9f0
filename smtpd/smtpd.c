/* smtpd.c - the program: parameters, connections to the other programs, and one session for each client accepted. */
#include "smtpd/smtpd.h"

#include "message/date.h"
#include "smtpd/smtpd_conf.h"

static struct smtpd smtpd;

/* No file, no socket of its own making: what it has are accepted clients, the switchboard's connections, spool
 * descriptors. */
static const struct sandbox_profile profile = {
    .net = SANDBOX_NET_NONE, .nofile = 16384, .memory = 1024, .fsize = 1ul << 40};

const char *smtpd_date(struct smtpd *g)
{
	time_t now = clock_wall();

	if (now != g->date_at || g->date[0] == '\0') {
		date_rfc5322_local(g->date, now);
		g->date_at = now;
	}
	return g->date;
}

static int start_tls(struct smtpd *g, const struct conf *c)
{
	bool mandatory = g->conf.tls_level == TLS_LEVEL_ENCRYPT;
	struct tls_conf tls = {
	    .protocols = conf_str(c, mandatory ? "smtpd_tls_mandatory_protocols" : "smtpd_tls_protocols"),
	    .ciphers = conf_str(c, mandatory ? "smtpd_tls_mandatory_ciphers" : "smtpd_tls_ciphers"),
	    .exclude = conf_str(c, "smtpd_tls_exclude_ciphers"),
	    .prefer_server = conf_bool(c, "tls_preempt_cipherlist"),
	    .session_id = daemon_service(g->d)};

	if (g->conf.tls_level != TLS_LEVEL_NONE)
		g->tls = tls_server_new(g->d, &tls);
	return 0;
}

static int start(struct daemon *d, struct err *err)
{
	struct smtpd *g = &smtpd;
	int rc;

	g->d = d;
	g->ev = daemon_ev(d);
	rc = smtpd_conf_load(&g->conf, daemon_conf(d), err);
	if (rc < 0)
		return rc;
	smtpd_date(g); /* reads the time zone while files can be read */
	g->cleanup = peer_new(d, "cleanup", NULL);
	g->rewrite = peer_new(d, "rewrite", NULL);
	g->auth = peer_new(d, "auth", NULL);
	g->anvil = peer_new(d, "anvil", NULL);
	g->dns = dns_new(d);
	stock_init(g);
	auth_mechs_init(g);
	daemon_set_state(d, g);
	return start_tls(g, daemon_conf(d));
}

static void on_accept(struct daemon *d, const struct listener *l, int fd, const struct sockaddr_storage *from)
{
	static const char busy[] = "421 4.3.2 All server ports are busy\r\n";
	struct smtpd *g = daemon_state(d);

	if (g->sessions >= g->conf.session_limit) {
		(void)send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		return;
	}
	session_new(g, fd, from, !l->is_inet && !g->conf.lmtp);
}

/* At a reload clients go on to their end beside the next generation; when everything stops they are told to come back.
 */
static void on_drain(struct daemon *d)
{
	if (daemon_stopping(d))
		session_shutdown(daemon_state(d));
}

static const struct daemon_def def = {
    .program = "smtpd",
    .profile = &profile,
    .start = start,
    .on_accept = on_accept,
    .on_drain = on_drain,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &def);
}
