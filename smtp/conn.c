/* conn.c - one connection: dialling, the pump that puts replies together, deadlines, failure, the end. */
#include "smtp/smtp.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

/* What the program was doing, in the words of Postfix's log. */
static const char *const doing[PH_COUNT] = {
    [PH_GREETING] = "receiving the initial server greeting",
    [PH_EHLO] = "performing the EHLO handshake",
    [PH_HELO] = "performing the HELO handshake",
    [PH_STARTTLS] = "performing the EHLO handshake",
    [PH_HANDSHAKE] = "performing the TLS handshake",
    [PH_CREDENTIALS] = "performing SASL authentication",
    [PH_AUTH] = "performing SASL authentication",
    [PH_RSET] = "sending RSET",
    [PH_MAIL] = "sending MAIL FROM",
    [PH_RCPT] = "sending RCPT TO",
    [PH_DATA] = "sending DATA command",
    [PH_BODY] = "sending message body",
    [PH_FINAL] = "sending end of data -- message may be sent more than once",
};

/* Who takes a complete reply in each phase; phases without one expect none. */
static void (*const takes_reply[PH_COUNT])(struct conn *) = {
    [PH_GREETING] = talk_greeting,
    [PH_EHLO] = talk_ehlo,
    [PH_HELO] = talk_helo,
    [PH_STARTTLS] = talk_starttls,
    [PH_AUTH] = sasl_reply,
    [PH_RSET] = xfer_reply,
    [PH_MAIL] = xfer_reply,
    [PH_RCPT] = xfer_reply,
    [PH_DATA] = xfer_reply,
    [PH_FINAL] = xfer_reply,
};

void conn_close(struct conn *c, bool quit)
{
	struct smtp *s = c->smtp;
	int fd = c->dial.fd;

	if (c->phase == PH_CLOSED)
		return;
	ev_timer_stop(&c->deadline);
	if (c->dial.ev) {
		ev_io_stop(&c->dial);
		close(fd);
	}
	if (c->stream && quit && c->phase > PH_GREETING && c->phase != PH_HANDSHAKE && c->phase != PH_BODY) {
		stream_write(c->stream, "QUIT\r\n", 6);
		stream_close_after_flush(c->stream, s->cfg.quit_timeout < 5000 ? s->cfg.quit_timeout : 5000);
		c->stream = NULL;
	} else {
		stream_free(&c->stream);
	}
	c->phase = PH_CLOSED;
	sasl_clear(c);
	smtp_reply_free(&c->reply);
	buf_free(&c->out);
	free(c->addr.name);
	free(c->host);
	free(c->relay);
	dest_put(s, &c->dest);
	ev_free_later(s->ev, c);
}

void conn_fail(struct conn *c, const char *dsn, const char *fmt, ...)
{
	struct job *j = c->job;
	enum phase phase = c->phase;
	char *relay = phase == PH_CONNECTING ? xstrdup("") : xstrdup(c->relay);
	struct buf text = BUF_INIT(MAIL_TEXT_MAX);
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	c->job = NULL;
	conn_close(c, true);
	if (!j) {
		buf_free(&text);
		free(relay);
		return;
	}
	j->conn = NULL;
	if (phase == PH_FINAL) {
		j->in_doubt = true;
		j->at = j->naddr;
	}
	job_site_failed(j, relay, dsn, buf_cstr(&text));
	buf_free(&text);
	free(relay);
}

/* One step of the pump: 1 a complete reply is in c->reply, 0 more bytes are needed, <0 the server talks nonsense. */
static int next_reply(struct conn *c)
{
	for (;;) {
		struct sv line;
		int rc = stream_line(c->stream, SMTP_REPLY_LINE_MAX, &line, NULL);

		if (rc <= 0)
			return rc == ERR_LIMIT ? ERR_PROTOCOL : rc;
		if (c->reply.lines == 0)
			smtp_reply_reset(&c->reply);
		rc = smtp_reply_line(&c->reply, line);
		if (rc != 0)
			return rc;
	}
}

/* A host that closes while the content is on its way may have said why. */
static bool early_verdict(struct conn *c)
{
	if (next_reply(c) != 1 || c->reply.code < 400)
		return false;
	c->no_reuse = true;
	c->phase = PH_FINAL;
	xfer_reply(c);
	return true;
}

/* The connection broke, or nothing came in time. */
static void conn_lost(struct conn *c, bool timed_out)
{
	struct job *j = c->job;

	if (c->phase == PH_IDLE) {
		DL_DELETE(c->dest->idle, c);
		conn_close(c, false);
		return;
	}
	if (c->phase == PH_BODY && early_verdict(c))
		return;
	if (j && c->uses > 1 && !c->heard && !timed_out) {
		c->job = NULL;
		conn_close(c, false);
		job_conn_stale(j);
		return;
	}
	if (c->phase == PH_CONNECTING)
		conn_fail(c, "4.4.1", "connect to %s:%u: Connection timed out", c->host, c->port);
	else if (timed_out)
		conn_fail(c, "4.4.2", "conversation with %s timed out while %s", c->host, doing[c->phase]);
	else
		conn_fail(c, "4.4.2", "lost connection with %s while %s", c->host, doing[c->phase]);
}

static void on_deadline(struct ev_timer *t)
{
	conn_lost(container_of(t, struct conn, deadline), true);
}

void conn_expect(struct conn *c, enum phase phase, uint64_t timeout_ms)
{
	c->phase = phase;
	ev_timer_start(c->smtp->ev, &c->deadline, timeout_ms, on_deadline);
}

void conn_send(struct conn *c)
{
	if (c->out.n == 0)
		return;
	/* What does not fit, or cannot be sent any more, is told by on_close or the deadline. */
	(void)!stream_write(c->stream, c->out.p, c->out.n);
	if (c->out.cap > CONTENT_CHUNK)
		buf_free(&c->out);
	else
		buf_reset(&c->out);
}

/* --- replies --- */

void conn_reply_text(const struct conn *c, struct buf *out)
{
	size_t from = out->n;

	buf_printf(out, "%d ", c->reply.code);
	(void)!buf_addsv(out, sv_head(buf_sv(&c->reply.text), 1000));
	for (size_t i = from; i < out->n; i++) /* it goes into the log, into notices and into the queue file */
		if (out->p[i] == '\n')
			out->p[i] = ' ';
		else if ((unsigned char)out->p[i] < ' ' || out->p[i] == 127)
			out->p[i] = '?';
}

const char *conn_reply_dsn(const struct conn *c, char out[SMTP_DSN_MAX])
{
	if (c->reply.dsn[0])
		snprintf(out, SMTP_DSN_MAX, "%s", c->reply.dsn);
	else
		snprintf(out, SMTP_DSN_MAX, "%d.0.0", c->reply.code / 100);
	return out;
}

void conn_said(const struct conn *c, const char *command, struct buf *out)
{
	buf_printf(out, "host %s said: ", c->host);
	conn_reply_text(c, out);
	buf_printf(out, " (in reply to %s)", command);
}

static void on_input(struct stream *s, void *arg)
{
	struct conn *c = arg;

	if (c->phase == PH_IDLE) { /* a farewell, the end, or nonsense: in each case of no more use */
		DL_DELETE(c->dest->idle, c);
		conn_close(c, false);
		return;
	}
	while (c->phase != PH_CLOSED && c->phase != PH_BODY && c->phase != PH_CREDENTIALS && c->phase != PH_HANDSHAKE) {
		int rc;

		if (c->phase == PH_IDLE) { /* more than was asked for */
			if (stream_in(s).n > 0 || stream_eof(s)) {
				DL_DELETE(c->dest->idle, c);
				conn_close(c, false);
			}
			return;
		}
		rc = next_reply(c);
		if (rc < 0) {
			conn_fail(
			    c, "4.5.0", "protocol error: unexpected reply from %s while %s", c->host, doing[c->phase]);
			return;
		}
		if (rc == 0)
			break;
		c->heard = true;
		if (c->reply.code == 421)
			c->no_reuse = true;
		ev_timer_stop(&c->deadline);
		takes_reply[c->phase](c);
		c->reply.lines = 0;
	}
	if (c->phase != PH_CLOSED && stream_eof(s))
		conn_lost(c, false);
}

static void on_drained(struct stream *s, void *arg)
{
	(void)s;
	xfer_drained(arg);
}

static void on_close(struct stream *s, const struct err *why, void *arg)
{
	struct conn *c = arg;

	(void)s;
	conn_lost(c, why->code == ERR_TIMEOUT);
}

/* --- dialling --- */

static void dial_failed(struct conn *c, int error)
{
	conn_fail(c, "4.4.1", "connect to %s:%u: %s", c->host, c->port, strerror(error));
}

static void on_connected(struct ev_io *io, uint32_t events)
{
	static const struct stream_cb cb = {.on_input = on_input, .on_drained = on_drained, .on_close = on_close};
	struct conn *c = container_of(io, struct conn, dial);
	int error = 0, fd = io->fd, on = 1;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0) {
		dial_failed(c, error);
		return;
	}
	ev_io_stop(io);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->stream = stream_new(c->smtp->ev, fd, SMTP_IN_MAX, SMTP_OUT_MAX, &cb, c);
	talk_connected(c);
}

static int dial(struct conn *c, const struct mx_addr *a)
{
	const struct cfg *cfg = &c->smtp->cfg;
	bool four = a->addr.ss_family == AF_INET;
	const struct sockaddr_storage *from = four ? &cfg->bind4 : &cfg->bind6;
	int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	if (((four && cfg->has_bind4) || (!four && cfg->has_bind6)) &&
	    bind(fd, (const struct sockaddr *)from, four ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) <
		0)
		goto failed;
	if (connect(fd, (const struct sockaddr *)&a->addr, a->len) < 0 && errno != EINPROGRESS)
		goto failed;
	if (ev_io_start(c->smtp->ev, &c->dial, fd, EPOLLOUT, on_connected) == 0)
		return 0;
failed : {
	int error = errno;

	close(fd);
	return -error;
}
}

bool conn_open(struct job *j, const struct mx_addr *a, bool no_tls, const char **why)
{
	struct smtp *s = j->smtp;
	struct conn *c = xcalloc(1, sizeof(*c));
	int rc;

	c->smtp = s;
	c->dial.fd = -1;
	rc = dial(c, a);
	if (rc < 0) {
		*why = strerror(-rc);
		free(c);
		return false;
	}
	c->dest = j->dest;
	c->dest->refs++;
	c->job = j;
	j->conn = c;
	c->addr = *a;
	c->addr.name = xstrdup(a->name);
	c->port = j->hop.port;
	dns_addr_text(&a->addr, c->addr_text);
	c->host = xasprintf("%s[%s]", a->name, c->addr_text);
	c->relay = xasprintf("%s:%u", c->host, c->port);
	c->no_tls = no_tls;
	c->no_reuse = j->fallbacks > 0; /* the connection does not lead to the next hop that it is filed under */
	c->born = ev_now(s->ev);
	smtp_reply_init(&c->reply);
	buf_init(&c->out, SMTP_OUT_MAX);
	conn_expect(c, PH_CONNECTING, s->cfg.connect_timeout ? s->cfg.connect_timeout : 3600 * 1000);
	return true;
}

void conn_ready(struct conn *c)
{
	ev_timer_stop(&c->deadline);
	job_conn_ready(c->job);
	xfer_begin(c);
}
