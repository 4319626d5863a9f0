/*
 * exchange.c - one SASL conversation per connection of a caller: the order of its requests, the delay after a failure,
 * and the grant that lets a session start.
 */
#include "auth/auth.h"
#include "base/htable.h"
#include "crypto/rng.h"
#include "ipc/api_anvil.h"
#include "ipc/api_master.h"

#define EXCHANGES_MAX 5000 /* open conversations of one caller */
#define FAIL_WINDOW 600	   /* seconds for which failures of a client count */
#define ANVIL_MS 1000

enum state { STATE_CLIENT, STATE_BUSY }; /* whose turn it is */

struct exchange {
	UT_hash_handle hh;
	uint64_t connection;
	struct client *client; /* NULL: given up by the caller while something was under way */
	struct sasl_exchange *sasl;
	enum state state;
	struct serve_ticket ticket;
	char service[AU_MAX_SERVICE + 1], address[AU_MAX_ADDR + 1], mech[AU_MAX_MECH + 1];
	uint64_t login; /* process number of the caller */
	char *user;	/* normalised */
	struct buf final;
	char grant[AU_GRANT];
	bool temporary;
	struct ev_timer delay;
};

struct client {
	struct exchange *table;
};

static void forget(struct exchange *x)
{
	if (x->client)
		HASH_DEL(x->client->table, x);
	x->client = NULL;
}

static void exchange_free(struct exchange *x)
{
	forget(x);
	ev_timer_stop(&x->delay);
	sasl_exchange_free(&x->sasl);
	free(x->user);
	buf_wipe(&x->final);
	free(x);
	daemon_busy(auth.d, -1);
}

static void answer(struct exchange *x, uint16_t type, struct msg_out *m)
{
	if (x->client)
		serve_answer(auth.d, x->ticket, type, m);
	buf_wipe(&m->b);
	msg_out_free(m);
}

static void answer_fail(struct exchange *x)
{
	struct msg_out m = MSG_OUT_INIT;
	struct buf text = BUF_INIT(AU_MAX_TEXT);

	buf_adds(&text, x->temporary ? "temporary authentication failure" : "authentication failure");
	if (x->user)
		buf_printf(&text, ", sasl_username=%.180s", x->user);
	au_fail_encode(&m, x->temporary, buf_sv(&text));
	answer(x, AU_FAIL, &m);
	buf_free(&text);
	exchange_free(x);
}

static void on_delay(struct ev_timer *t)
{
	answer_fail(container_of(t, struct exchange, delay));
}

/* The delay doubles with each failure of this client that anvil remembers. */
static void on_counted(void *arg, int status, struct msg *reply)
{
	struct exchange *x = arg;
	uint64_t ms = auth.delay_ms;
	struct an_counted n;

	if (!status && reply->type == AN_COUNT && an_counted_decode(reply, &n) && !n.status) {
		for (uint32_t i = 1; i < n.rate && ms < auth.delay_limit_ms; i++)
			ms *= 2;
	}
	if (ms > auth.delay_limit_ms)
		ms = auth.delay_limit_ms;
	if (!x->client)
		exchange_free(x);
	else
		ev_timer_start(daemon_ev(auth.d), &x->delay, ms, on_delay);
}

static void fail(struct exchange *x)
{
	struct an_count ask = {.kind = SV("auth_fail"), .key = sv_str(x->address), .add = 1, .window = FAIL_WINDOW};
	struct msg_out m = MSG_OUT_INIT;

	x->state = STATE_BUSY;
	if (!x->client || !auth.delay_ms) {
		answer_fail(x);
		return;
	}
	if (!ask.key.n) {
		ev_timer_start(daemon_ev(auth.d), &x->delay, auth.delay_ms, on_delay);
		return;
	}
	an_count_encode(&m, &ask);
	peer_call(auth.anvil, AN_COUNT, &m, ANVIL_MS, on_counted, x);
	msg_out_free(&m);
}

static void fail_temporary(struct exchange *x)
{
	x->temporary = true;
	answer_fail(x);
}

static void answer_done(struct exchange *x, bool with_grant)
{
	struct msg_out m = MSG_OUT_INIT;
	struct au_done done = {.user = sv_str(x->user), .account = sv_str(x->user), .final = buf_sv(&x->final)};

	done.grant = with_grant ? sv_of(x->grant, AU_GRANT) : SV("");
	au_done_encode(&m, &done);
	answer(x, AU_DONE, &m);
	exchange_free(x);
}

static void on_granted(void *arg, int status, int fd)
{
	struct exchange *x = arg;

	if (fd >= 0)
		close(fd);
	if (!x->client) {
		exchange_free(x);
		return;
	}
	if (status) {
		log_warn("master refused a session for %s: %s", x->user, err_name(status));
		fail_temporary(x);
		return;
	}
	answer_done(x, true);
}

static void succeed(struct exchange *x, const struct identity *id)
{
	bool imap = !strcmp(x->service, "imap");
	struct msg_out m = MSG_OUT_INIT;
	struct ma_grant g;

	if (!imap && strcmp(x->service, "pop3") != 0) {
		answer_done(x, false);
		return;
	}
	if (id->uid < auth.first_uid || id->gid < auth.first_gid) {
		log_warn("%s: uid %u or gid %u is below first_valid_uid or first_valid_gid", x->user, id->uid, id->gid);
		fail(x);
		return;
	}
	rng_bytes(x->grant, sizeof(x->grant));
	g = (struct ma_grant){.grant = sv_of(x->grant, AU_GRANT),
	    .login = x->login,
	    .service = imap ? SV("imapd") : SV("pop3d"),
	    .user = sv_str(x->user),
	    .uid = id->uid,
	    .gid = id->gid,
	    .folder = sv_str(id->folder),
	    .lifetime_ms = auth.grant_ms};
	x->state = STATE_BUSY;
	ma_put_grant(&m, &g);
	daemon_request(auth.d, MA_GRANT, &m, on_granted, x);
	msg_out_free(&m);
}

static void on_verified(void *arg, int status, struct identity *id)
{
	struct exchange *x = arg;

	if (!x->client)
		exchange_free(x);
	else if (status == ERR_TEMP)
		fail_temporary(x);
	else if (status)
		fail(x);
	else
		succeed(x, id);
	if (id)
		free(id->folder);
}

/* Name and authorization identity in their one form: nobody acts for somebody else. */
static bool take_names(struct exchange *x)
{
	struct sv name = sasl_exchange_name(x->sasl), authzid = sasl_exchange_authzid(x->sasl);
	struct buf a = BUF_INIT(ACCOUNT_MAX_NAME + 1), b = BUF_INIT(ACCOUNT_MAX_NAME + 1);
	bool ok = !account_normalize(name, sv_str(auth.realm), &a);

	if (ok && authzid.n)
		ok = !account_normalize(authzid, sv_str(auth.realm), &b) && sv_eq(buf_sv(&a), buf_sv(&b));
	free(x->user);
	x->user = a.n ? buf_steal(&a) : sv_dup(sv_head(name, 64));
	buf_free(&a);
	buf_free(&b);
	return ok;
}

static void check_password(struct exchange *x)
{
	struct verify_request r = {.given = sasl_exchange_name(x->sasl),
	    .password = sasl_exchange_password(x->sasl),
	    .client = sv_str(x->address)};

	if (!take_names(x)) {
		fail(x);
		return;
	}
	r.user = sv_str(x->user);
	verify(&r, on_verified, x);
}

static void proved(struct exchange *x)
{
	struct identity id;
	int status;

	if (!take_names(x)) {
		fail(x);
		return;
	}
	status = verify_identity(sv_str(x->user), &id);
	on_verified(x, status == ERR_NOT_FOUND ? ERR_DENIED : status, status ? NULL : &id);
}

static void step(struct exchange *x, bool has, struct sv response)
{
	struct msg_out m = MSG_OUT_INIT;
	enum sasl_result r;

	buf_reset(&x->final);
	r = sasl_exchange_step(x->sasl, has, response, &x->final);
	x->state = STATE_BUSY;
	switch (r) {
	case SASL_MORE:
		x->state = STATE_CLIENT;
		au_more_encode(&m, buf_sv(&x->final));
		answer(x, AU_MORE, &m);
		break;
	case SASL_CHECK: check_password(x); break;
	case SASL_OK: proved(x); break;
	case SASL_FAILED:
		if (sasl_exchange_name(x->sasl).n)
			take_names(x);
		fail(x);
		break;
	}
}

static struct client *client_of(struct serve_conn *c)
{
	if (!c->state)
		c->state = xcalloc(1, sizeof(struct client));
	return c->state;
}

static struct exchange *find(struct client *client, uint64_t connection)
{
	struct exchange *x;

	HASH_FIND(hh, client->table, &connection, sizeof(connection), x);
	return x;
}

static void copy(char *out, size_t size, struct sv s)
{
	snprintf(out, size, SV_FMT, SV_ARG(s));
}

static bool mech_offered(struct sv mech)
{
	return sasl_server_known(mech) && !(auth.pam && sasl_server_needs_verifier(mech));
}

/* Only login may have mail sessions made. */
static bool service_ok(const struct serve_conn *c, struct sv service)
{
	if (!strcmp(c->who.program, "login"))
		return sv_eqs(service, "imap") || sv_eqs(service, "pop3");
	return sv_eqs(service, "smtp");
}

static void refuse(struct serve_conn *c, const struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;

	au_fail_encode(&out, true, SV("too many logins at once"));
	chan_reply(c->chan, m, AU_FAIL, &out);
	msg_out_free(&out);
}

int exchange_start(struct serve_conn *c, struct msg *m)
{
	struct client *client = client_of(c);
	struct exchange *x;
	struct au_start s;

	if (!au_start_decode(m, &s) || find(client, s.connection) || !service_ok(c, s.service))
		return ERR_PROTOCOL;
	if (HASH_COUNT(client->table) >= EXCHANGES_MAX) {
		refuse(c, m);
		return 0;
	}
	x = xcalloc(1, sizeof(*x));
	daemon_busy(auth.d, 1);
	buf_init(&x->final, AU_MAX_RESPONSE);
	x->connection = s.connection;
	x->client = client;
	x->login = c->who.process;
	x->ticket = serve_ticket(c, m);
	copy(x->service, sizeof(x->service), s.service);
	copy(x->address, sizeof(x->address), s.client);
	copy(x->mech, sizeof(x->mech), s.mech);
	HASH_ADD(hh, client->table, connection, sizeof(x->connection), x);
	if (!mech_offered(s.mech) || sasl_exchange_new(auth.sasl, s.mech, &x->sasl, NULL)) {
		answer_fail(x);
		return 0;
	}
	step(x, s.has_initial, s.initial);
	return 0;
}

int exchange_next(struct serve_conn *c, struct msg *m)
{
	struct exchange *x;
	uint64_t connection;
	struct sv response;

	if (!au_next_decode(m, &connection, &response))
		return ERR_PROTOCOL;
	x = find(client_of(c), connection);
	if (!x || x->state != STATE_CLIENT)
		return ERR_PROTOCOL;
	x->ticket = serve_ticket(c, m);
	step(x, true, response);
	return 0;
}

static void give_up(struct exchange *x)
{
	if (x->state == STATE_CLIENT || ev_timer_active(&x->delay))
		exchange_free(x);
	else
		forget(x); /* freed when what is under way comes back */
}

/* The answer and the abort may cross: nothing to abort is no mistake. */
int exchange_abort(struct serve_conn *c, struct msg *m)
{
	struct exchange *x;
	uint64_t connection;

	if (!au_abort_decode(m, &connection))
		return ERR_PROTOCOL;
	x = find(client_of(c), connection);
	if (x)
		give_up(x);
	return 0;
}

int exchange_mechs(struct serve_conn *c, struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;
	struct sv service;
	bool secure;

	if (!au_mechs_ask_decode(m, &service, &secure))
		return ERR_PROTOCOL;
	au_mechs_encode(&out, 0, auth.pam ? SV("PLAIN LOGIN") : SV("PLAIN LOGIN SCRAM-SHA-256"));
	chan_reply(c->chan, m, AU_MECHS, &out);
	msg_out_free(&out);
	return 0;
}

void exchange_closed(struct serve_conn *c)
{
	struct client *client = c->state;
	struct exchange *x, *next;

	if (!client)
		return;
	HASH_ITER (hh, client->table, x, next)
		give_up(x);
	free(client);
	c->state = NULL;
}
