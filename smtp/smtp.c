/* smtp.c - outbound SMTP and LMTP: takes deliveries from qmgr, hundreds at a time in one process. */
#include "smtp/smtp.h"

static struct smtp smtp;

static const struct serve_entry requests[] = {
    {DV_DELIVER, "DV_DELIVER", "qmgr", job_deliver},
};

static void smtp_peer(struct daemon *d, int fd, const struct caller *who)
{
	struct serve_conn *c = serve_attach(d, fd, who, requests, ARRAY_LEN(requests), job_agent_closed);
	struct agent *a;

	if (!c)
		return;
	a = xcalloc(1, sizeof(*a));
	a->serve = c;
	c->state = a;
}

static int smtp_start(struct daemon *d, struct err *err)
{
	smtp.d = d;
	smtp.ev = daemon_ev(d);
	daemon_set_state(d, &smtp);
	if (cfg_load(&smtp.cfg, d, err) < 0)
		return err->code;
	smtp.dns = dns_new(d);
	if (smtp.cfg.tls_policy_maps[0])
		smtp.rewrite = peer_new(d, "rewrite", NULL);
	if (smtp.cfg.sasl)
		smtp.auth = peer_new(d, "auth", NULL);
	return 0;
}

/* No new work: connections that wait for some are ended. */
static void smtp_drain(struct daemon *d)
{
	struct dest *dest, *next;

	(void)d;
	HASH_ITER (hh, smtp.dests, dest, next) {
		while (dest->idle) {
			struct conn *c = dest->idle;
			bool last = dest->refs == 1;

			DL_DELETE(dest->idle, c);
			conn_close(c, true);
			if (last)
				break; /* dest went with it */
		}
	}
}

static const struct sandbox_path smtp_paths[] = {
    {"$smtp_tls_CApath", SANDBOX_READ},
    {"$lmtp_tls_CApath", SANDBOX_READ},
    {NULL, 0},
};

static const struct sandbox_profile smtp_profile = {
    .paths = smtp_paths,
    .net = SANDBOX_NET_OUT_TCP,
    .nofile = 8192,
    .memory = 1024,
};

static const struct daemon_def smtp_def = {
    .program = "smtp",
    .profile = &smtp_profile,
    .start = smtp_start,
    .on_peer = smtp_peer,
    .on_drain = smtp_drain,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &smtp_def);
}
