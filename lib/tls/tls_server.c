/* tls_server.c - certificates, ticket keys and signatures from keyd. */
#include "tls/tls_server.h"

#include "base/clock.h"

#define KEYD_TIMEOUT_MS 10000 /* for certificates and tickets */
#define SIGN_TIMEOUT_MS 8000  /* a handshake does not wait longer for its signature */
#define RETRY_MS 2000	      /* before keyd is asked again after it could not answer */
#define REFRESH_MS 3600000    /* ticket keys are asked for again even when no notice came */
#define MAX_SIGNING 4096      /* signatures under way */

struct signing {
	struct tls_server *server;
	tls_signed_fn *done;
	void *arg;
	uint32_t call;	   /* number for the handshake: never 0 */
	uint32_t peercall; /* number of lib/daemon */
	struct signing *next, **prev;
};

struct tls_server {
	struct tls_signer signer; /* first: contexts know the server by it */
	struct daemon *d;
	struct peer *keyd;
	char *protocols, *ciphers, *exclude, *session_id;
	bool prefer_server;
	struct tls_ctx *ctx;
	struct kd_tickets tickets;
	uint64_t generation;
	bool known, asking;
	struct ev_timer timer;
	struct tls_server_wait *waits;
	struct signing *signing;
	unsigned nsigning;
	uint32_t last_call;
};

static void ask(struct tls_server *s);

static void unlink_signing(struct signing *g)
{
	*g->prev = g->next;
	if (g->next)
		g->next->prev = g->prev;
	g->server->nsigning--;
}

static void on_signature(void *arg, int status, struct msg *reply)
{
	struct signing *g = arg;
	struct sv signature = SV_NONE;

	if (!status && (reply->type != KD_SIGN || !kd_signed_decode(reply, &status, &signature)))
		status = ERR_PROTOCOL;
	unlink_signing(g);
	g->done(g->arg, status, signature);
	free(g);
}

static void refused(struct ev_timer *t);

/* A signature that cannot even be asked for fails on the next turn: done is never called from inside sign(). */
struct refusal {
	struct ev_timer timer;
	struct signing g;
};

static void refused(struct ev_timer *t)
{
	struct refusal *r = container_of(t, struct refusal, timer);

	unlink_signing(&r->g);
	r->g.done(r->g.arg, ERR_LIMIT, SV_NONE);
	free(r);
}

static void link_signing(struct tls_server *s, struct signing *g, tls_signed_fn *done, void *arg)
{
	if (++s->last_call == 0)
		s->last_call = 1;
	g->server = s;
	g->done = done;
	g->arg = arg;
	g->call = s->last_call;
	g->next = s->signing;
	g->prev = &s->signing;
	if (g->next)
		g->next->prev = &g->next;
	s->signing = g;
	s->nsigning++;
}

static uint32_t sign(struct tls_signer *signer, const struct kd_sign *what, tls_signed_fn *done, void *arg)
{
	struct tls_server *s = container_of(signer, struct tls_server, signer);
	struct msg_out m = MSG_OUT_INIT;
	struct signing *g;

	if (s->nsigning >= MAX_SIGNING) {
		struct refusal *r = xcalloc(1, sizeof(*r));

		link_signing(s, &r->g, done, arg);
		ev_timer_start(daemon_ev(s->d), &r->timer, 0, refused);
		return r->g.call;
	}
	g = xcalloc(1, sizeof(*g));
	link_signing(s, g, done, arg);
	kd_sign_encode(&m, what);
	g->peercall = peer_call(s->keyd, KD_SIGN, &m, SIGN_TIMEOUT_MS, on_signature, g);
	msg_out_free(&m);
	return g->call;
}

static void cancel(struct tls_signer *signer, uint32_t call)
{
	struct tls_server *s = container_of(signer, struct tls_server, signer);
	struct signing *g = s->signing;

	while (g && g->call != call)
		g = g->next;
	if (!g)
		return;
	unlink_signing(g);
	if (g->peercall) {
		peer_cancel(s->keyd, g->peercall);
		free(g);
	} else {
		struct refusal *r = container_of(g, struct refusal, g);

		ev_timer_stop(&r->timer);
		free(r);
	}
}

static void known(struct tls_server *s)
{
	s->known = true;
	while (s->waits) {
		struct tls_server_wait *w = s->waits;

		tls_server_wait_cancel(w);
		w->cb(w);
	}
}

static void on_timer(struct ev_timer *t)
{
	struct tls_server *s = container_of(t, struct tls_server, timer);

	ask(s);
}

static void settle(struct tls_server *s, uint64_t again_ms)
{
	s->asking = false;
	ev_timer_start(daemon_ev(s->d), &s->timer, again_ms, on_timer);
}

static void on_tickets(void *arg, int status, struct msg *reply)
{
	struct tls_server *s = arg;
	struct kd_tickets t;

	if (!status && (reply->type != KD_TICKET || !kd_tickets_decode(reply, &t)))
		status = ERR_PROTOCOL;
	if (!status && !t.status) {
		s->tickets = t;
		if (s->ctx)
			tls_ctx_tickets(s->ctx, &s->tickets);
	}
	settle(s, status ? RETRY_MS : REFRESH_MS);
	known(s); /* with tickets from the first connection on; without them if keyd has none */
}

static void ask_tickets(struct tls_server *s)
{
	struct msg_out m = MSG_OUT_INIT;

	peer_call(s->keyd, KD_TICKET, &m, KEYD_TIMEOUT_MS, on_tickets, s);
	msg_out_free(&m);
}

static int use_certs(struct tls_server *s, const struct kd_certs *c)
{
	struct tls_conf conf = {.protocols = s->protocols,
	    .ciphers = s->ciphers,
	    .exclude = s->exclude,
	    .prefer_server = s->prefer_server,
	    .session_id = s->session_id};
	struct tls_ctx *ctx = NULL;
	struct err err;

	if (s->ctx && s->generation == c->generation)
		return 0;
	if (tls_ctx_server(&conf, c, &s->signer, &ctx, &err)) {
		log_warn("TLS: %s", err.text);
		return ERR_NOT_FOUND;
	}
	tls_ctx_tickets(ctx, &s->tickets);
	tls_ctx_unref(&s->ctx);
	s->ctx = ctx;
	s->generation = c->generation;
	return 0;
}

static void on_certs(void *arg, int status, struct msg *reply)
{
	struct tls_server *s = arg;
	struct kd_certs c;

	if (!status && (reply->type != KD_CERTS || !kd_certs_decode(reply, &c)))
		status = ERR_PROTOCOL;
	if (!status)
		status = c.status;
	if (!status && !use_certs(s, &c)) {
		ask_tickets(s);
		return;
	}
	settle(s, status == ERR_NOT_FOUND ? REFRESH_MS : RETRY_MS);
	if (status == ERR_NOT_FOUND || !status)
		known(s);
}

static void ask(struct tls_server *s)
{
	struct msg_out m = MSG_OUT_INIT;

	if (s->asking)
		return;
	s->asking = true;
	peer_call(s->keyd, KD_CERTS, &m, KEYD_TIMEOUT_MS, on_certs, s);
	msg_out_free(&m);
}

static void on_notice(void *arg, struct msg *m)
{
	if (m->type == KD_RENEWED)
		ask(arg);
}

/* A keyd that was started again numbers its generations anew. */
static void on_state(void *arg, bool up)
{
	struct tls_server *s = arg;

	if (!up) {
		s->generation = 0;
		ev_timer_start(daemon_ev(s->d), &s->timer, RETRY_MS, on_timer);
	}
}

struct tls_server *tls_server_new(struct daemon *d, const struct tls_conf *conf)
{
	struct tls_server *s = xcalloc(1, sizeof(*s));

	s->signer.sign = sign;
	s->signer.cancel = cancel;
	s->d = d;
	s->protocols = xstrdup(conf->protocols ? conf->protocols : "");
	s->ciphers = xstrdup(conf->ciphers ? conf->ciphers : "");
	s->exclude = xstrdup(conf->exclude ? conf->exclude : "");
	s->session_id = xstrdup(conf->session_id ? conf->session_id : "");
	s->prefer_server = conf->prefer_server;
	s->keyd = peer_new(d, "keyd", NULL);
	peer_on_msg(s->keyd, on_notice, s);
	peer_on_state(s->keyd, on_state, s);
	ev_timer_start(daemon_ev(d), &s->timer, 0, on_timer);
	return s;
}

void tls_server_free(struct tls_server **ps)
{
	struct tls_server *s = *ps;

	*ps = NULL;
	if (!s)
		return;
	ev_timer_stop(&s->timer);
	while (s->waits)
		tls_server_wait_cancel(s->waits);
	while (s->signing)
		cancel(&s->signer, s->signing->call);
	peer_free(&s->keyd);
	tls_ctx_unref(&s->ctx);
	free(s->protocols);
	free(s->ciphers);
	free(s->exclude);
	free(s->session_id);
	free(s);
}

struct tls_ctx *tls_server_ctx(struct tls_server *s)
{
	return s->ctx;
}

bool tls_server_known(const struct tls_server *s)
{
	return s->known;
}

void tls_server_wait(struct tls_server *s, struct tls_server_wait *w)
{
	w->next = NULL;
	w->prev = NULL;
	if (s->known) {
		w->cb(w);
		return;
	}
	w->next = s->waits;
	w->prev = &s->waits;
	if (w->next)
		w->next->prev = &w->next;
	s->waits = w;
}

void tls_server_wait_cancel(struct tls_server_wait *w)
{
	if (!w->prev)
		return;
	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->next = NULL;
	w->prev = NULL;
}
