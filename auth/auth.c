/*
 * auth.c - the only reader of credentials.  smtpd and login bring it the SASL messages of their clients; it says who
 * they are, and for a mail session leaves a grant with master that only that login process can use, once.
 */
#include "auth/auth.h"

#include "crypto/rng.h"

struct auth auth;

static const struct serve_entry requests[] = {
    {AU_MECHS, "AU_MECHS", "smtpd login", exchange_mechs},
    {AU_START, "AU_START", "smtpd login", exchange_start},
    {AU_NEXT, "AU_NEXT", "smtpd login", exchange_next},
    {AU_ABORT, "AU_ABORT", "smtpd login", exchange_abort},
    {AU_CLIENT, "AU_CLIENT", "smtp", relay_client},
};

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	serve_attach(d, fd, who, requests, ARRAY_LEN(requests), exchange_closed);
}

static bool has_source(const char *sources, const char *name)
{
	struct sv rest = sv_str(sources), tok;

	while (sv_token(&rest, " \t\r\n,", &tok)) {
		if (sv_eqs(tok, name))
			return true;
	}
	return false;
}

static void read_parameters(const struct conf *conf)
{
	auth.realm = conf_str(conf, "auth_default_realm");
	auth.mail = conf_str(conf, "virtual_mailbox_base");
	auth.first_uid = (uint32_t)conf_int(conf, "first_valid_uid");
	auth.first_gid = (uint32_t)conf_int(conf, "first_valid_gid");
	auth.iterations = (uint32_t)conf_int(conf, "auth_scram_iterations");
	auth.delay_ms = conf_time(conf, "auth_failure_delay") * 1000;
	auth.delay_limit_ms = conf_time(conf, "auth_failure_delay_limit") * 1000;
	auth.grant_ms = conf_time(conf, "auth_grant_lifetime") * 1000;
	if (auth.cache && auth.cache_size == conf_int(conf, "auth_cache_size") &&
	    auth.cache_ttl == conf_time(conf, "auth_cache_ttl"))
		return;
	auth.cache_size = conf_int(conf, "auth_cache_size");
	auth.cache_ttl = conf_time(conf, "auth_cache_ttl");
	auth_cache_free(&auth.cache);
	auth.cache = auth_cache_new((size_t)auth.cache_size, auth.cache_ttl * 1000);
}

static int open_sources(const struct conf *conf, struct err *err)
{
	const char *sources = conf_str(conf, "auth_sources");
	CLEANUP(freep) char *path = xasprintf("%s/auth/users.lmdb", conf_str(conf, "data_directory"));

	auth.pam = has_source(sources, "pam");
	if (!has_source(sources, "lmdb"))
		return 0;
	return user_table_open(path, &auth.users, err);
}

static int start(struct daemon *d, struct err *err)
{
	const struct conf *conf = daemon_conf(d);
	struct sasl_server_cb cb = {.verifier = verify_scram};
	struct buf hash = BUF_INIT(ACCOUNT_MAX_CRYPT);
	int r;

	auth.d = d;
	read_parameters(conf);
	rng_bytes(auth.secret, sizeof(auth.secret));
	if (pwhash_make(SV("nobody's password"), &hash, err))
		return err->code;
	auth.dummy_hash = buf_steal(&hash);
	/* before the sources are open: the workers must not inherit them */
	r = workers_start(d, (unsigned)conf_int(conf, "auth_worker_processes"),
	    has_source(conf_str(conf, "auth_sources"), "pam") ? conf_str(conf, "auth_pam_service") : NULL,
	    (size_t)conf_int(conf, "auth_queue_limit"), &auth.workers, err);
	if (!r)
		r = open_sources(conf, err);
	if (!r)
		r = sasl_server_new(&cb, &auth.sasl, err);
	if (!r)
		r = relay_open(err);
	auth.anvil = peer_new(d, "anvil", NULL);
	return r;
}

/* In place, so that no login is cut off.  The workers stay as they are: what they do hangs on them alone. */
static int on_reload(struct daemon *d, struct err *err)
{
	const struct conf *conf = daemon_conf(d);
	int r;

	if (has_source(conf_str(conf, "auth_sources"), "pam") != auth.pam)
		return err_set(
		    err, ERR_UNSUPPORTED, "auth_sources: to add or remove pam, stop and start the mail system");
	r = relay_open(err);
	if (r)
		return r;
	read_parameters(conf);
	user_table_close(&auth.users);
	if (open_sources(conf, err)) {
		log_error("%s", err->text);
		daemon_stop(d, 1); /* a new process tries again */
	}
	return 0;
}

static const struct sandbox_path paths[] = {
    {"/etc", SANDBOX_READ}, {"$config_directory", SANDBOX_READ}, {"$data_directory", SANDBOX_READ}, {NULL, 0}};

static const struct sandbox_profile profile = {.paths = paths, .net = SANDBOX_NET_NONE, .memory = 512};

static const struct daemon_def def = {
    .program = "auth",
    .profile = &profile,
    .start = start,
    .on_peer = on_peer,
    .on_reload = on_reload,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &def);
}
