/*
 * keyd.c - owns the private keys.  Each class of callers (smtpd; login) sees only the certificates that main.cf gives
 * to it, and gets nothing signed but what has the form of a TLS signature.  It never sends a key.
 */
#include <sys/stat.h>

#include "base/clock.h"
#include "crypto/secret.h"
#include "daemon/daemon.h"
#include "ipc/api_keyd.h"
#include "keyd/keys.h"
#include "keyd/tickets.h"

#define REFRESH_MS 10000 /* between two looks at the files */

struct class
{
	const char *program;		      /* of the caller */
	const char *chain, *cert[2], *key[2]; /* names of parameters */
	struct key_ring *ring;		      /* NULL: no usable certificate */
	struct kd_tickets tickets;
};

struct client {
	struct serve_conn *conn;
	struct class *class;
	struct client *next, **prev;
};

static struct {
	struct daemon *d;
	struct class classes[2];
	struct client *clients;
	struct ev_timer timer;
	uint64_t ticket_lifetime;
} keyd = {
    .classes =
	{
	    {.program = "smtpd",
		.chain = "smtpd_tls_chain_files",
		.cert = {"smtpd_tls_cert_file", "smtpd_tls_eccert_file"},
		.key = {"smtpd_tls_key_file", "smtpd_tls_eckey_file"}},
	    {.program = "login",
		.chain = "login_tls_chain_files",
		.cert = {"login_tls_cert_file", "login_tls_eccert_file"},
		.key = {"login_tls_key_file", "login_tls_eckey_file"}},
	},
};

static int on_certs(struct serve_conn *c, struct msg *m)
{
	const struct client *client = c->state;
	struct msg_out out = MSG_OUT_INIT;
	struct kd_certs reply = {.status = ERR_NOT_FOUND};
	const struct key_set *set = client->class->ring ? key_ring_now(client->class->ring) : NULL;

	if (!msg_end(m))
		return ERR_PROTOCOL;
	if (set && set->n) {
		reply.status = 0;
		reply.generation = set->generation;
		for (; reply.n < set->n && reply.n < KD_MAX_CERTS; reply.n++) {
			struct kd_cert *k = &reply.certs[reply.n];

			k->key = (uint32_t)reply.n;
			k->names = sv_str(set->pairs[reply.n].names);
			k->chain = sv_str(set->pairs[reply.n].chain);
		}
	}
	kd_certs_encode(&out, &reply);
	chan_reply(c->chan, m, KD_CERTS, &out);
	msg_out_free(&out);
	return 0;
}

static int on_tickets(struct serve_conn *c, struct msg *m)
{
	const struct client *client = c->state;
	struct msg_out out = MSG_OUT_INIT;

	if (!msg_end(m))
		return ERR_PROTOCOL;
	kd_tickets_encode(&out, &client->class->tickets);
	chan_reply(c->chan, m, KD_TICKET, &out);
	buf_wipe(&out.b);
	msg_out_free(&out);
	return 0;
}

static int sign(const struct sign_key *key, const struct kd_sign *req, struct buf *out, struct err *err)
{
	static const struct {
		uint32_t scheme;
		enum sign_hash hash;
	} pkcs1[] = {{KD_RSA_PKCS1_SHA1, SIGN_SHA1}, {KD_RSA_PKCS1_SHA224, SIGN_SHA224},
	    {KD_RSA_PKCS1_SHA256, SIGN_SHA256}, {KD_RSA_PKCS1_SHA384, SIGN_SHA384}, {KD_RSA_PKCS1_SHA512, SIGN_SHA512}};

	if (req->form == KD_FORM_PSS && req->scheme == KD_RSA_PSS)
		return sign_pss(key, req->data, out, err);
	if (req->form != KD_FORM_DIGEST)
		return err_set(err, ERR_DENIED, "unknown form %u", req->form);
	if (req->scheme == KD_ECDSA)
		return sign_ecdsa(key, req->data, out, err);
	for (size_t i = 0; i < ARRAY_LEN(pkcs1); i++) {
		if (req->scheme == pkcs1[i].scheme)
			return sign_pkcs1(key, pkcs1[i].hash, req->data, out, err);
	}
	return err_set(err, ERR_DENIED, "unknown signature scheme %#x", req->scheme);
}

static int on_sign(struct serve_conn *c, struct msg *m)
{
	const struct client *client = c->state;
	struct msg_out out = MSG_OUT_INIT;
	struct buf signature = BUF_INIT(2 * KD_MAX_SIGNATURE);
	const struct key_set *set = NULL;
	int status = ERR_NOT_FOUND;
	struct kd_sign req;
	struct err err;

	if (!kd_sign_decode(m, &req))
		return ERR_PROTOCOL;
	if (client->class->ring)
		set = key_ring_find(client->class->ring, req.generation);
	if (set && req.key < set->n) {
		status = sign(set->pairs[req.key].key, &req, &signature, &err);
		if (status)
			log_warn("%s[%d]: signature refused: %s", c->who.program, (int)c->who.pid, err.text);
	}
	kd_signed_encode(&out, status, buf_sv(&signature));
	chan_reply(c->chan, m, KD_SIGN, &out);
	msg_out_free(&out);
	buf_free(&signature);
	return 0;
}

static const struct serve_entry requests[] = {
    {KD_CERTS, "KD_CERTS", "smtpd login", on_certs},
    {KD_SIGN, "KD_SIGN", "smtpd login", on_sign},
    {KD_TICKET, "KD_TICKET", "smtpd login", on_tickets},
};

static void on_closed(struct serve_conn *c)
{
	struct client *client = c->state;

	*client->prev = client->next;
	if (client->next)
		client->next->prev = client->prev;
	free(client);
}

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	struct client *client = NULL;

	for (size_t i = 0; i < ARRAY_LEN(keyd.classes); i++) {
		if (strcmp(keyd.classes[i].program, who->program) != 0)
			continue;
		client = xcalloc(1, sizeof(*client));
		client->class = &keyd.classes[i];
	}
	if (!client) {
		log_warn("%s[%d] has no keys here", who->program, (int)who->pid);
		close(fd);
		return;
	}
	client->next = keyd.clients;
	client->prev = &keyd.clients;
	if (client->next)
		client->next->prev = &client->next;
	keyd.clients = client;
	client->conn = serve_attach(d, fd, who, requests, ARRAY_LEN(requests), on_closed);
	client->conn->state = client;
}

static void tell(const struct class *class)
{
	struct msg_out out = MSG_OUT_INIT;

	for (struct client *c = keyd.clients; c; c = c->next) {
		if (c->class == class)
			chan_send(c->conn->chan, KD_RENEWED, KD_VERSION, 0, &out);
	}
	msg_out_free(&out);
}

static void sources(const struct class *class, struct key_sources *src)
{
	const struct conf *conf = daemon_conf(keyd.d);

	src->chain_files = conf_str(conf, class->chain);
	for (int i = 0; i < 2; i++) {
		src->cert_file[i] = conf_str(conf, class->cert[i]);
		src->key_file[i] = conf_str(conf, class->key[i]);
	}
}

static void open_class(struct class *class)
{
	struct key_sources src;
	struct err err;

	sources(class, &src);
	if (key_ring_open(&src, &class->ring, &err))
		log_warn("no TLS for %s: %s", class->program, err.text);
}

static bool refresh_class(struct class *class)
{
	bool changed = tickets_rotate(&class->tickets, clock_wall(), keyd.ticket_lifetime);
	struct err err;
	int r;

	if (!class->ring) { /* perhaps the file is there now */
		struct key_sources src;

		sources(class, &src);
		return !key_ring_open(&src, &class->ring, &err) || changed;
	}
	r = key_ring_refresh(class->ring, &err);
	if (r < 0)
		log_warn("%s: the certificate files have changed but cannot be used, the old ones stay: %s",
		    class->program, err.text);
	else if (r > 0)
		log_info("%s: certificates were renewed", class->program);
	return r > 0 || changed;
}

static void on_timer(struct ev_timer *t)
{
	for (size_t i = 0; i < ARRAY_LEN(keyd.classes); i++) {
		if (refresh_class(&keyd.classes[i]))
			tell(&keyd.classes[i]);
	}
	ev_timer_start(daemon_ev(keyd.d), t, REFRESH_MS, on_timer);
}

static int start(struct daemon *d, struct err *err)
{
	(void)err;
	keyd.d = d;
	keyd.ticket_lifetime = conf_time(daemon_conf(d), "smtpd_tls_session_cache_timeout");
	for (size_t i = 0; i < ARRAY_LEN(keyd.classes); i++) {
		open_class(&keyd.classes[i]);
		tickets_rotate(&keyd.classes[i].tickets, clock_wall(), keyd.ticket_lifetime);
	}
	ev_timer_start(daemon_ev(d), &keyd.timer, REFRESH_MS, on_timer);
	return 0;
}

/* In place, so that ticket keys go on and no handshake that waits for its signature is cut off. */
static int on_reload(struct daemon *d, struct err *err)
{
	(void)err;
	keyd.ticket_lifetime = conf_time(daemon_conf(d), "smtpd_tls_session_cache_timeout");
	for (size_t i = 0; i < ARRAY_LEN(keyd.classes); i++) {
		struct class *class = &keyd.classes[i];
		struct key_ring *fresh = NULL;
		struct key_sources src;
		struct err why;

		sources(class, &src);
		if (key_ring_open(&src, &fresh, &why)) {
			log_warn("%s: the old certificates stay: %s", class->program, why.text);
			continue;
		}
		key_ring_free(&class->ring);
		class->ring = fresh;
		if (!keyd.ticket_lifetime)
			class->tickets.n = 0;
		tickets_rotate(&class->tickets, clock_wall(), keyd.ticket_lifetime);
		tell(class);
	}
	return 0;
}

static const struct sandbox_path paths[] = {
    {"/etc", SANDBOX_READ},
    {"$config_directory", SANDBOX_READ},
    {"$smtpd_tls_cert_file", SANDBOX_READ},
    {"$smtpd_tls_key_file", SANDBOX_READ},
    {"$smtpd_tls_eccert_file", SANDBOX_READ},
    {"$smtpd_tls_eckey_file", SANDBOX_READ},
    {"$login_tls_cert_file", SANDBOX_READ},
    {"$login_tls_key_file", SANDBOX_READ},
    {"$login_tls_eccert_file", SANDBOX_READ},
    {"$login_tls_eckey_file", SANDBOX_READ},
    {NULL, 0},
};

static const struct sandbox_profile profile = {.paths = paths, .net = SANDBOX_NET_NONE, .memory = 128};

static const struct daemon_def def = {
    .program = "keyd",
    .profile = &profile,
    .start = start,
    .on_peer = on_peer,
    .on_reload = on_reload,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &def);
}
