/* conn.c - one client from its connection to its session: phases, TLS, limits, farewells. */
#include <netinet/in.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "ipc/api_anvil.h"
#include "login/login.h"

#define ANVIL_MS 5000

static void unlink_conn(struct login_conn *c)
{
	if (!c->prev)
		return;
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->prev = NULL;
}

static void uncount(struct login_conn *c)
{
	struct msg_out m = MSG_OUT_INIT;

	if (!c->counted)
		return;
	an_release_encode(&m, SV("login_conn"), sv_str(c->client), 1);
	peer_send(login.anvil, AN_RELEASE, &m);
	msg_out_free(&m);
	c->counted = false;
}

static void conn_free(struct login_conn *c)
{
	unlink_conn(c);
	free(c->tag);
	free(c->user);
	free(c);
	daemon_busy(login.d, -1);
}

void conn_close(struct login_conn *c)
{
	if (c->phase != PHASE_CLOSED) {
		log_info("disconnect from unknown[%s]%s%s in=%llu out=%llu", c->client,
		    c->phase == PHASE_RELAY ? " user=" : "", c->phase == PHASE_RELAY && c->user ? c->user : "",
		    (unsigned long long)c->bytes_in, (unsigned long long)c->bytes_out);
		sasl_give_up(c);
		tls_server_wait_cancel(&c->wait);
		ev_timer_stop(&c->timer);
		uncount(c);
		stream_free(&c->s);
		stream_free(&c->session);
		c->phase = PHASE_CLOSED;
	}
	if (!c->holds)
		conn_free(c);
}

void conn_hold(struct login_conn *c)
{
	c->holds++;
}

void conn_release(struct login_conn *c)
{
	c->holds--;
	if (!c->holds && c->phase == PHASE_CLOSED)
		conn_free(c);
}

void conn_end(struct login_conn *c)
{
	struct stream *s = c->s;

	c->s = NULL;
	stream_close_after_flush(s, FLUSH_MS);
	conn_close(c);
}

void conn_end_with(struct login_conn *c, const char *why)
{
	c->proto->bye(c, why);
	conn_end(c);
}

bool conn_secure(const struct login_conn *c)
{
	return c->tls || c->local;
}

bool conn_plaintext_ok(const struct login_conn *c)
{
	return login.plaintext || conn_secure(c);
}

bool conn_starttls_offered(const struct login_conn *c)
{
	return !c->tls && login.offer_tls && tls_server_ctx(login.tls) != NULL;
}

void conn_mechs(const struct login_conn *c, const char *prefix, struct buf *out)
{
	struct sv rest = sv_str(login.mechs), mech;

	while (sv_token(&rest, " ", &mech)) {
		if (sasl_mech_ok(c, mech))
			buf_printf(out, "%s" SV_FMT " ", prefix, SV_ARG(mech));
	}
}

void conn_bad(struct login_conn *c)
{
	if (c->bad < LOGIN_BAD_MAX)
		c->bad++;
}

/* --- input --- */

static void handle_input(struct login_conn *c)
{
	bool more = true;

	while (more) {
		switch ((enum phase)c->phase) {
		case PHASE_COMMAND:
			if (c->bad >= LOGIN_BAD_MAX) {
				conn_end_with(c, "Too many errors");
				return;
			}
			more = c->proto->command(c);
			break;
		case PHASE_RESPONSE:
		case PHASE_FINAL: more = sasl_line(c); break;
		case PHASE_RELAY: relay_pump(c); return;
		default: more = false; break;
		}
		if (c->phase == PHASE_CLOSED)
			return;
	}
	/* Half a command that will never be whole ends here too. */
	if (stream_eof(c->s) || (stream_ended(c->s) && (c->phase == PHASE_COMMAND || c->phase == PHASE_RESPONSE)))
		conn_close(c);
}

void conn_input(struct login_conn *c)
{
	conn_hold(c); /* a handler may close it */
	if (c->phase != PHASE_CLOSED)
		handle_input(c);
	conn_release(c);
}

static void on_input(struct stream *s, void *arg)
{
	(void)s;
	conn_input(arg);
}

static void on_close(struct stream *s, const struct err *why, void *arg)
{
	struct login_conn *c = arg;

	(void)s;
	(void)why;
	conn_close(c);
}

static const struct stream_cb client_cb = {.on_input = on_input, .on_drained = relay_on_drained, .on_close = on_close};

static void on_timeout(struct ev_timer *t)
{
	struct login_conn *c = container_of(t, struct login_conn, timer);

	if (c->phase == PHASE_TLS) {
		conn_close(c);
	} else if (c->phase == PHASE_AUTH) { /* auth, not the client, is slow */
		c->proto->auth_failed(c, true);
		conn_end(c);
	} else {
		conn_end_with(c, daemon_draining(login.d) ? "Server shutting down" : "Disconnected for inactivity");
	}
}

void conn_drain(struct login_conn *c)
{
	uint64_t soon = ev_now(daemon_ev(login.d)) + DRAIN_MS;

	if (c->phase < PHASE_START && c->timer.due > soon)
		ev_timer_start(daemon_ev(login.d), &c->timer, DRAIN_MS, on_timeout);
}

/* --- TLS --- */

static void on_tls(struct stream *s, void *arg, const struct err *err)
{
	struct login_conn *c = arg;
	struct buf text = BUF_INIT(400);
	struct tls_info info;

	if (err) {
		log_info("%s error from unknown[%s]: %s", "TLS", c->client, err->text);
		conn_close(c);
		return;
	}
	c->tls = true;
	if (tls_info(s, &info) && !tls_info_text(&text, &info))
		log_info("%s TLS connection established from unknown[%s]: %s", tls_trust_word(info.trust), c->client,
		    buf_cstr(&text));
	buf_free(&text);
	c->phase = PHASE_COMMAND;
	if (login.wrapper)
		c->proto->greet(c);
	conn_input(c);
}

static void handshake(struct login_conn *c)
{
	struct tls_ctx *ctx = tls_server_ctx(login.tls);
	struct err err;

	c->phase = PHASE_TLS;
	if (!ctx) {
		log_warn("no certificate: connection from unknown[%s] closed", c->client);
		conn_close(c);
		return;
	}
	if (tls_accept(ctx, daemon_ev(login.d), c->s, on_tls, c, &err)) {
		log_warn("unknown[%s]: %s", c->client, err.text);
		conn_close(c);
	}
}

void conn_starttls(struct login_conn *c)
{
	free(c->user); /* RFC 2595 section 4: nothing said before TLS counts */
	c->user = NULL;
	handshake(c);
}

static void on_certificates(struct tls_server_wait *w)
{
	struct login_conn *c = container_of(w, struct login_conn, wait);

	stream_pause(c->s, false);
	handshake(c);
}

/* --- a new client --- */

static void on_counted(void *arg, int status, struct msg *reply)
{
	uint64_t number = (uint64_t)(uintptr_t)arg;
	struct login_conn *c = login.conns;
	struct an_counted n;

	if (status || reply->type != AN_COUNT || !an_counted_decode(reply, &n) || n.open <= login.limit_per_client)
		return;
	while (c && c->number != number)
		c = c->next;
	if (!c || c->phase >= PHASE_START)
		return;
	log_warn("Connection concurrency limit exceeded: %u from unknown[%s]", n.open, c->client);
	if (c->phase == PHASE_TLS)
		conn_close(c);
	else
		conn_end_with(c, "Too many connections");
}

static void count(struct login_conn *c)
{
	struct an_count ask = {.kind = SV("login_conn"), .key = sv_str(c->client), .hold = 1};
	struct msg_out m = MSG_OUT_INIT;

	if (!login.limit_per_client || c->local)
		return;
	an_count_encode(&m, &ask);
	peer_call(login.anvil, AN_COUNT, &m, ANVIL_MS, on_counted, (void *)(uintptr_t)c->number);
	msg_out_free(&m);
	c->counted = true;
}

/* Numeric text; an IPv4 address in IPv6 clothes is written as IPv4. */
static void address_text(const struct sockaddr_storage *a, char out[46], bool *loopback)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in *four = (const struct sockaddr_in *)a;
	struct in_addr mapped;

	out[0] = '\0';
	if (a->ss_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, out, 46);
		*loopback = ntohl(four->sin_addr.s_addr) >> 24 == 127;
	} else if (a->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(&mapped, &six->sin6_addr.s6_addr[12], sizeof(mapped));
		inet_ntop(AF_INET, &mapped, out, 46);
		*loopback = ntohl(mapped.s_addr) >> 24 == 127;
	} else if (a->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, out, 46);
		*loopback = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
	}
}

void conn_new(int fd, const struct sockaddr_storage *from)
{
	struct login_conn *c = xcalloc(1, sizeof(*c));
	struct sockaddr_storage here = {0};
	socklen_t len = sizeof(here);
	bool unused = false;
	int one = 1;

	daemon_busy(login.d, 1);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	c->proto = login.proto;
	c->number = ++login.last_number;
	c->next = login.conns;
	c->prev = &login.conns;
	if (c->next)
		c->next->prev = &c->next;
	login.conns = c;
	address_text(from, c->client, &c->local);
	if (!getsockname(fd, (struct sockaddr *)&here, &len))
		address_text(&here, c->server, &unused);
	c->local = c->local || (c->client[0] && !strcmp(c->client, c->server));
	c->s = stream_new(daemon_ev(login.d), fd, LOGIN_IN_MAX, RELAY_OUT_MAX, &client_cb, c);
	ev_timer_start(daemon_ev(login.d), &c->timer, login.timeout_ms, on_timeout);
	log_debug("connect from unknown[%s]", c->client);
	count(c);
	if (!login.wrapper) {
		c->phase = PHASE_COMMAND;
		c->proto->greet(c);
	} else if (tls_server_known(login.tls)) {
		handshake(c);
	} else {
		c->phase = PHASE_TLS;
		c->wait.cb = on_certificates;
		stream_pause(c->s, true);
		tls_server_wait(login.tls, &c->wait);
	}
}
