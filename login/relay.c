/* relay.c - from the grant to the session: master makes it, then bytes go both ways until one end closes. */
#include "ipc/api_session.h"
#include "login/login.h"

/* Moves what fits; reading pauses while the other side is full.  True when all of it was moved. */
static bool move(struct stream *from, struct stream *to, uint64_t *count)
{
	struct sv in = stream_in(from);
	size_t room = RELAY_OUT_MAX - stream_out_len(to), n = in.n < room ? in.n : room;

	if (n && !stream_write(to, in.p, n)) {
		stream_consume(from, n);
		*count += n;
	}
	return n == in.n;
}

/* The session has said its last words: they still go out.  One that never said any could not start. */
static void finish_client(struct login_conn *c)
{
	if (!c->bytes_out) {
		log_warn("the session of %s ended before it began", c->user);
		c->proto->auth_failed(c, true);
	}
	conn_end(c);
}

void relay_pump(struct login_conn *c)
{
	bool all_in = move(c->s, c->session, &c->bytes_in);
	bool all_out = move(c->session, c->s, &c->bytes_out);

	if (c->tag && c->bytes_out) { /* the session has answered the login */
		free(c->tag);
		c->tag = NULL;
	}
	stream_pause(c->s, !all_in);
	stream_pause(c->session, !all_out);
	if (all_out && stream_eof(c->session)) {
		finish_client(c);
		return;
	}
	if (all_in && stream_eof(c->s)) {
		struct stream *session = c->session;

		c->session = NULL; /* what the client sent last still reaches the session */
		stream_close_after_flush(session, FLUSH_MS);
		conn_close(c);
	}
}

void relay_on_drained(struct stream *s, void *arg)
{
	struct login_conn *c = arg;

	(void)s;
	if (c->phase == PHASE_RELAY)
		relay_pump(c);
}

static void on_input(struct stream *s, void *arg)
{
	(void)s;
	relay_pump(arg);
}

static void on_close(struct stream *s, const struct err *why, void *arg)
{
	struct login_conn *c = arg;

	(void)s;
	(void)why;
	finish_client(c);
}

static const struct stream_cb session_cb = {.on_input = on_input, .on_drained = relay_on_drained, .on_close = on_close};

/* What the client had sent behind its login goes first, in the preface. */
static void write_preface(struct login_conn *c)
{
	struct sv early = sv_head(stream_in(c->s), SE_MAX_EARLY);
	struct se_preface p = {.tag = sv_str(c->tag ? c->tag : ""),
	    .client = sv_str(c->client),
	    .local = sv_str(c->server),
	    .secure = conn_secure(c),
	    .early = early};
	struct buf frame = BUF_INIT(SE_MAX_FRAME);

	if (!se_preface_frame(&frame, &p) && !stream_write(c->session, frame.p, frame.n))
		stream_consume(c->s, early.n);
	c->bytes_in += early.n;
	buf_free(&frame);
}

static void on_connected(void *arg, int status, int fd)
{
	struct login_conn *c = arg;

	if (c->phase == PHASE_CLOSED) { /* the client went meanwhile */
		if (fd >= 0)
			close(fd);
		conn_release(c);
		return;
	}
	c->holds--;
	if (status || fd < 0) {
		log_warn("no session for %s: %s", c->user, err_name(status));
		c->phase = PHASE_COMMAND;
		c->proto->auth_failed(c, true);
		conn_input(c);
		return;
	}
	ev_timer_stop(&c->timer);
	c->phase = PHASE_RELAY;
	c->session = stream_new(daemon_ev(login.d), fd, RELAY_IN_MAX, RELAY_OUT_MAX, &session_cb, c);
	write_preface(c);
	relay_pump(c);
}

static void on_start_timeout(struct ev_timer *t)
{
	struct login_conn *c = container_of(t, struct login_conn, timer);

	log_warn("the session for %s does not start", c->user);
	c->proto->auth_failed(c, true);
	conn_end(c);
}

void relay_begin(struct login_conn *c)
{
	log_info("client=unknown[%s], service=%s, sasl_method=%s, sasl_username=%s%s", c->client, c->proto->name,
	    c->mech, c->user, c->tls ? ", tls=yes" : "");
	c->phase = PHASE_START;
	conn_hold(c);
	ev_timer_start(daemon_ev(login.d), &c->timer, START_MS, on_start_timeout);
	daemon_connect(login.d, "session", sv_of(c->grant, AU_GRANT), on_connected, c);
}
