/*
 * tls_stream.c - the transport: OpenSSL under lib/io/stream.  What only the handshake needs lives in struct handshake
 * and is freed with it, since an idle connection should cost little more than OpenSSL's own 14 KiB.
 */
#include "tls/tls_priv.h"

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#define MATCH_MAX 16   /* names of one certificate check */
#define STACKS_KEPT 64 /* of handshakes, 32 KiB each */

enum conn_state {
	CONN_HANDSHAKE, /* waits for the socket */
	CONN_SIGNING,	/* waits for the signer */
	CONN_REPORTING, /* done() is due at the end of this turn */
	CONN_OPEN,
	CONN_FAILED
};

struct handshake {
	tls_done_fn *done;
	void *arg;
	struct ev *ev;
	struct ev_defer report;
	struct tls_conn *conn;
	struct err err;
	bool failed;
	uint32_t call; /* of the signer */
	int sign_status;
	size_t sig_len;
	unsigned char sig[KD_MAX_SIGNATURE];
	bool verify;
	char *match[MATCH_MAX];
	size_t nmatch;
};

struct tls_conn {
	SSL *ssl;
	struct tls_ctx *ctx;
	struct stream *s;
	struct handshake *hs; /* NULL once open */
	size_t plain;	      /* bytes of output that still go out in the clear */
	uint8_t state;	      /* enum conn_state */
	bool server;
	bool want_write; /* the handshake or a read waits for room in the socket */
	uint8_t trust;	 /* enum tls_trust */
};

static void report(struct ev_defer *d)
{
	struct handshake *hs = container_of(d, struct handshake, report);
	struct tls_conn *c = hs->conn;
	tls_done_fn *done = hs->done;
	struct stream *s = c->s;
	struct err err = hs->err;
	bool failed = hs->failed;
	void *arg = hs->arg;

	c->state = failed ? CONN_FAILED : CONN_OPEN;
	for (size_t i = 0; i < hs->nmatch; i++)
		free(hs->match[i]);
	free(hs);
	c->hs = NULL;
	if (!failed)
		stream_pause(s, false);	    /* has the stream ask for its events anew */
	done(s, arg, failed ? &err : NULL); /* may free the stream, and c with it */
}

static void conclude(struct tls_conn *c, bool failed)
{
	c->hs->failed = failed;
	c->state = CONN_REPORTING;
	ev_defer(c->hs->ev, &c->hs->report, report);
}

/* Client: how far the server's certificate is to be believed (RFC 6125 names, RFC 7672 wording). */
static void judge(struct tls_conn *c)
{
	struct handshake *hs = c->hs;
	X509 *leaf = SSL_get0_peer_certificate(c->ssl);
	long result = SSL_get_verify_result(c->ssl);
	bool match = false;

	c->trust = TLS_TRUST_ANONYMOUS;
	if (!leaf)
		return;
	for (size_t i = 0; i < hs->nmatch && !match; i++)
		match = X509_check_host(leaf, hs->match[i], 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
	c->trust = TLS_TRUST_UNTRUSTED;
	if (result == X509_V_OK)
		c->trust = match ? TLS_TRUST_VERIFIED : TLS_TRUST_TRUSTED;
}

static void complete(struct tls_conn *c)
{
	struct handshake *hs = c->hs;

	SSL_clear_mode(c->ssl, SSL_MODE_ASYNC);
	if (!c->server)
		judge(c);
	if (hs->verify && c->trust != TLS_TRUST_VERIFIED) {
		long result = SSL_get_verify_result(c->ssl);

		err_set(&hs->err, ERR_DENIED, "server certificate not verified: %s",
		    c->trust == TLS_TRUST_TRUSTED ? "host name mismatch" : X509_verify_cert_error_string(result));
		conclude(c, true);
		return;
	}
	conclude(c, false);
}

static void handshake_failed(struct tls_conn *c, int why)
{
	struct err *err = &c->hs->err;
	int e = errno;

	if (why == SSL_ERROR_SSL)
		tls_err(err, ERR_PROTOCOL, c->server ? "SSL_accept error" : "SSL_connect error");
	else if (why == SSL_ERROR_SYSCALL && e)
		err_set(err, ERR_CLOSED, "%s", strerror(e));
	else
		err_set(err, ERR_CLOSED, "lost connection");
	ERR_clear_error();
	conclude(c, true);
}

/*
 * Runs the handshake on, in its own stack if it was put aside there.  OpenSSL keeps those stacks for the next
 * handshakes; after a rush of clients they are given back as soon as none is in use.
 */
static int run_handshake(struct tls_conn *c)
{
	struct tls_signer *signer = c->server ? c->ctx->signer : NULL;
	bool waited = c->state == CONN_SIGNING;
	int r;

	c->ctx->current = c;
	r = SSL_do_handshake(c->ssl);
	c->ctx->current = NULL;
	if (!signer)
		return r;
	signer->waiting -= waited;
	if (r != 1 && SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_ASYNC && ++signer->waiting > signer->peak)
		signer->peak = signer->waiting;
	if (!signer->waiting && signer->peak > STACKS_KEPT) {
		ASYNC_cleanup_thread();
		signer->peak = 0;
	}
	return r;
}

/* Advances the handshake as far as the socket and the signer allow. */
static void step(struct tls_conn *c)
{
	int r, why;

	ERR_clear_error();
	errno = 0;
	r = run_handshake(c);
	c->want_write = false;
	if (r == 1) {
		complete(c);
		return;
	}
	why = SSL_get_error(c->ssl, r);
	switch (why) {
	case SSL_ERROR_WANT_READ: c->state = CONN_HANDSHAKE; break;
	case SSL_ERROR_WANT_WRITE:
		c->state = CONN_HANDSHAKE;
		c->want_write = true;
		break;
	case SSL_ERROR_WANT_ASYNC: c->state = CONN_SIGNING; break;
	default: handshake_failed(c, why); break;
	}
}

static void on_signed(void *arg, int status, struct sv signature)
{
	struct tls_conn *c = arg;
	struct handshake *hs = c->hs;

	hs->call = 0;
	hs->sign_status = status;
	if (!status && (signature.n == 0 || signature.n > sizeof(hs->sig)))
		hs->sign_status = ERR_PROTOCOL;
	if (!hs->sign_status) {
		memcpy(hs->sig, signature.p, signature.n);
		hs->sig_len = signature.n;
	}
	step(c);
	stream_update(c->s);
}

int tls_conn_sign(
    struct tls_conn *c, const struct tls_key *key, const struct kd_sign *what, unsigned char *out, size_t max)
{
	struct kd_sign req = *what;
	struct handshake *hs;

	if (!c || !c->hs || !c->ctx->signer || !ASYNC_get_current_job())
		return -1;
	hs = c->hs;
	req.key = key->number;
	req.generation = c->ctx->generation;
	hs->sign_status = 1;
	hs->call = c->ctx->signer->sign(c->ctx->signer, &req, on_signed, c);
	while (hs->sign_status == 1) {
		if (!ASYNC_pause_job())
			return -1;
	}
	if (hs->sign_status || hs->sig_len > max)
		return -1;
	memcpy(out, hs->sig, hs->sig_len);
	return (int)hs->sig_len;
}

static int again(void)
{
	errno = EAGAIN;
	return -1;
}

/* While the signer is at work no event is asked for, but a broken connection is reported without end. */
static bool peer_has_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP));
}

static ssize_t op_read(void *ctx, int fd, void *p, size_t n)
{
	struct tls_conn *c = ctx;
	size_t got = 0;
	int why;

	if (c->state == CONN_HANDSHAKE)
		step(c);
	if (c->state == CONN_SIGNING && peer_has_gone(fd)) {
		errno = ECONNRESET;
		return -1;
	}
	if (c->state != CONN_OPEN)
		return again();
	ERR_clear_error();
	errno = 0;
	c->want_write = false;
	if (SSL_read_ex(c->ssl, p, n, &got))
		return (ssize_t)got;
	why = SSL_get_error(c->ssl, 0);
	switch (why) {
	case SSL_ERROR_WANT_READ: return again();
	case SSL_ERROR_WANT_WRITE: c->want_write = true; return again();
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_SYSCALL:
		if (!errno)
			return 0;
		c->state = CONN_FAILED;
		return -1;
	default:
		ERR_clear_error();
		c->state = CONN_FAILED;
		errno = EPROTO;
		return -1;
	}
}

static ssize_t write_plain(struct tls_conn *c, int fd, const void *p, size_t n)
{
	ssize_t r = send(fd, p, n < c->plain ? n : c->plain, MSG_NOSIGNAL);

	if (r > 0)
		c->plain -= (size_t)r;
	return r;
}

static ssize_t op_write(void *ctx, int fd, const void *p, size_t n)
{
	struct tls_conn *c = ctx;
	size_t done = 0;
	int why;

	if (c->plain)
		return write_plain(c, fd, p, n);
	if (c->state == CONN_HANDSHAKE && c->want_write)
		step(c);
	if (c->state != CONN_OPEN)
		return again();
	ERR_clear_error();
	errno = 0;
	if (SSL_write_ex(c->ssl, p, n, &done))
		return (ssize_t)done;
	why = SSL_get_error(c->ssl, 0);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return again();
	c->state = CONN_FAILED;
	if (why != SSL_ERROR_SYSCALL || !errno)
		errno = EPIPE;
	ERR_clear_error();
	return -1;
}

static uint32_t op_want(void *ctx, uint32_t wish)
{
	const struct tls_conn *c = ctx;

	switch (c->state) {
	case CONN_HANDSHAKE: return (wish & EPOLLIN) | (c->plain || c->want_write ? (uint32_t)EPOLLOUT : 0);
	case CONN_OPEN: return wish | (c->want_write ? (uint32_t)EPOLLOUT : 0);
	default: return c->plain ? (uint32_t)EPOLLOUT : 0;
	}
}

static size_t op_pending(void *ctx)
{
	const struct tls_conn *c = ctx;

	return c->state == CONN_OPEN ? (size_t)SSL_pending(c->ssl) : 0;
}

static void op_shutdown(void *ctx, int fd)
{
	struct tls_conn *c = ctx;

	(void)fd;
	if (c->state != CONN_OPEN)
		return;
	ERR_clear_error();
	SSL_shutdown(c->ssl);
	ERR_clear_error();
}

/* A handshake that waits for its signature has a stack of its own, which must run to its end before it can be freed. */
static void unwind(struct tls_conn *c)
{
	struct handshake *hs = c->hs;

	if (hs->call)
		c->ctx->signer->cancel(c->ctx->signer, hs->call);
	hs->sign_status = ERR_CLOSED;
	run_handshake(c);
	ERR_clear_error();
}

static void op_free(void *ctx)
{
	struct tls_conn *c = ctx;

	if (c->state == CONN_SIGNING)
		unwind(c);
	if (c->hs) {
		ev_defer_cancel(c->hs->ev, &c->hs->report);
		for (size_t i = 0; i < c->hs->nmatch; i++)
			free(c->hs->match[i]);
		free(c->hs);
	}
	SSL_free(c->ssl);
	tls_ctx_unref(&c->ctx);
	free(c);
}

static const struct stream_ops tls_ops = {
    .read = op_read,
    .write = op_write,
    .want = op_want,
    .pending = op_pending,
    .shutdown = op_shutdown,
    .free = op_free,
};

static struct tls_conn *conn_new(
    struct tls_ctx *ctx, struct ev *ev, struct stream *s, tls_done_fn *done, void *arg, struct err *err)
{
	SSL *ssl = SSL_new(ctx->sites[0].ssl);
	struct tls_conn *c;

	if (!ssl || !SSL_set_fd(ssl, stream_fd(s))) {
		SSL_free(ssl);
		tls_err(err, ERR_TEMP, "TLS connection");
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	c->ssl = ssl;
	c->ctx = tls_ctx_ref(ctx);
	c->s = s;
	c->hs = xcalloc(1, sizeof(*c->hs));
	c->hs->conn = c;
	c->hs->ev = ev;
	c->hs->done = done;
	c->hs->arg = arg;
	return c;
}

static void take_over(struct tls_conn *c)
{
	struct stream *s = c->s;

	stream_flush(s);
	c->plain = stream_out_len(s);
	stream_drop_input(s);
	stream_set_transport(s, &tls_ops, c);
}

int tls_accept(struct tls_ctx *ctx, struct ev *ev, struct stream *s, tls_done_fn *done, void *arg, struct err *err)
{
	struct tls_conn *c = conn_new(ctx, ev, s, done, arg, err);

	if (!c)
		return ERR_TEMP;
	c->server = true;
	SSL_set_accept_state(c->ssl);
	take_over(c);
	return 0;
}

int tls_connect(struct tls_ctx *ctx, struct ev *ev, struct stream *s, const struct tls_client_opts *opts,
    tls_done_fn *done, void *arg, struct err *err)
{
	struct tls_conn *c = conn_new(ctx, ev, s, done, arg, err);

	if (!c)
		return ERR_TEMP;
	SSL_set_connect_state(c->ssl);
	if (opts->servername && *opts->servername)
		SSL_set_tlsext_host_name(c->ssl, opts->servername);
	c->hs->verify = opts->verify;
	for (size_t i = 0; i < opts->nmatch && i < MATCH_MAX; i++)
		c->hs->match[c->hs->nmatch++] = xstrdup(opts->match[i]);
	take_over(c);
	step(c);
	stream_update(s);
	return 0;
}

static struct tls_conn *conn_of(const struct stream *s)
{
	return stream_transport_ctx(s, &tls_ops);
}

bool tls_active(const struct stream *s)
{
	const struct tls_conn *c = conn_of(s);

	return c && c->state == CONN_OPEN;
}

bool tls_info(const struct stream *s, struct tls_info *out)
{
	const struct tls_conn *c = conn_of(s);

	if (!c || c->state != CONN_OPEN)
		return false;
	tls_info_fill(c->ssl, c->server, out);
	out->trust = c->trust;
	return true;
}

size_t tls_binding(const struct stream *s, unsigned char out[TLS_BINDING])
{
	static const char label[] = "EXPORTER-Channel-Binding";
	const struct tls_conn *c = conn_of(s);

	if (!c || c->state != CONN_OPEN || SSL_version(c->ssl) < TLS1_3_VERSION)
		return 0;
	if (SSL_export_keying_material(c->ssl, out, TLS_BINDING, label, sizeof(label) - 1, NULL, 0, 0) != 1) {
		ERR_clear_error();
		return 0;
	}
	return TLS_BINDING;
}
