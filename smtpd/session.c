/* session.c - the life of one client: greeting, input, replies, errors, timeouts, the lines that the log keeps of it.
 */
#include <arpa/inet.h>

#include "base/htable.h"
#include "smtpd/facts.h"
#include "smtpd/smtpd.h"

#define REPLY_MAX 2048 /* bytes of one reply's text */
#define NAME_MS 10000u /* the greeting does not wait longer for the client's name */
#define CLOSE_MS 5000  /* time to send the last reply */

static void on_input(struct stream *st, void *arg);
static void on_drained(struct stream *st, void *arg);
static void on_close(struct stream *st, const struct err *why, void *arg);
static const struct stream_cb callbacks = {on_input, on_drained, on_close};

const char *namaddr(const struct session *s)
{
	static char text[sizeof(s->name) + sizeof(s->addr) + 4];

	snprintf(text, sizeof(text), "%s[%s]", s->name, s->addr);
	return text;
}

const char *session_proto(const struct session *s)
{
	if (s->g->conf.lmtp)
		return "LMTP";
	return s->esmtp ? "ESMTP" : "SMTP";
}

bool session_local_rewrite(const struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;

	if (s->local || c->always_headers || (c->rewrite_sasl && s->sasl_user != NULL))
		return true;
	if (c->rewrite_networks && s->in_networks)
		return true;
	return c->rewrite_local && netlist_match(&c->own, &s->from);
}

static void on_timeout(struct ev_timer *t)
{
	struct session *s = container_of(t, struct session, timer);

	if (s->resume != NULL) { /* the client waits for us, not we for it */
		session_touch(s);
		return;
	}
	if (s->mode == MODE_HANDSHAKE) {
		session_end(s, "timeout");
		return;
	}
	reply_ok(s, 421, "4.4.2", "%s Error: timeout exceeded", s->g->conf.myhostname);
	session_end(s, "timeout");
}

void session_touch(struct session *s)
{
	ev_timer_start(s->g->ev, &s->timer, s->g->conf.timeout_s * 1000, on_timeout);
}

/* ---- end ---- */

static void log_counts(const struct session *s)
{
	static const enum smtp_verb order[] = {SMTP_HELO, SMTP_EHLO, SMTP_LHLO, SMTP_STARTTLS, SMTP_AUTH, SMTP_MAIL,
	    SMTP_RCPT, SMTP_DATA, SMTP_BDAT, SMTP_RSET, SMTP_NOOP, SMTP_VRFY, SMTP_EXPN, SMTP_HELP, SMTP_ETRN,
	    SMTP_QUIT, SMTP_UNKNOWN};
	char text[512];
	size_t n = 0;
	unsigned all = 0, good = 0;

	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(order) && n < sizeof(text) - 64; i++) {
		unsigned total = s->count[order[i]][0], ok = s->count[order[i]][1];
		char name[16];
		size_t k = 0;
		if (total == 0)
			continue;
		for (const char *p = smtp_verb_name(order[i]); *p != '\0' && k + 1 < sizeof(name); p++)
			name[k++] = (char)ascii_lower(*p);
		name[k] = '\0';
		if (ok == total)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%u", name, total);
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s=%u/%u", name, ok, total);
		all += total;
		good += ok;
	}
	if (all == good)
		log_info("disconnect from %s%s commands=%u", namaddr(s), text, all);
	else
		log_info("disconnect from %s%s commands=%u/%u", namaddr(s), text, good, all);
}

static void log_reason(const struct session *s, const char *reason)
{
	if (s->mode == MODE_DATA || s->mode == MODE_BDAT) {
		uint64_t bytes = s->txn != NULL && s->txn->content != NULL ? content_bytes(s->txn->content) : 0;
		log_info("%s after %s (%llu bytes) from %s", reason, s->mode == MODE_DATA ? "DATA" : "BDAT",
		    (unsigned long long)bytes, namaddr(s));
		return;
	}
	log_info("%s after %s from %s", reason, s->where, namaddr(s));
}

static void session_free(struct session *s)
{
	struct smtpd *g = s->g;

	auth_abort(s);
	txn_free(s);
	stock_cancel(s);
	limits_release(s);
	dns_peer_cancel(&s->peer_query);
	tls_server_wait_cancel(&s->tls_wait);
	ev_timer_stop(&s->timer);
	ev_timer_stop(&s->pause);
	ev_defer_cancel(g->ev, &s->again);
	stream_free(&s->stream);
	g->sessions--;
	DL_DELETE(g->all, s);
	free(s->helo);
	free(s->sasl_user);
	free(s->sasl_method);
	daemon_busy(g->d, -1);
	ev_free_later(g->ev, s);
}

void session_end(struct session *s, const char *reason)
{
	struct stream *st = s->stream;

	if (s->dead)
		return;
	s->dead = true;
	if (!s->local) {
		if (reason != NULL)
			log_reason(s, reason);
		log_counts(s);
	}
	s->mode = MODE_CLOSING;
	s->stream = NULL;
	if (st != NULL)
		stream_close_after_flush(st, CLOSE_MS);
	session_free(s);
}

/* ---- replies ---- */

static void send_reply(struct session *s, int code, const char *dsn, struct sv text)
{
	CLEANUP(buf_freep) struct buf out = BUF_INIT(4 * REPLY_MAX);

	char soft[SMTP_DSN_MAX];

	if (s->stream == NULL || s->dead)
		return;
	if (code >= 500 && s->g->conf.soft_bounce) {
		code -= 100;
		if (dsn != NULL && dsn[0] == '5') {
			snprintf(soft, sizeof(soft), "4%s", dsn + 1);
			dsn = soft;
		}
	}
	smtp_reply_format(&out, code, dsn, text);
	/* A stream that failed says so through on_close; output that does not fit cannot be: no command is read then.
	 */
	(void)stream_write(s->stream, out.p, out.n);
}

static void note_error(struct session *s)
{
	s->errors++;
	s->failed = true;
}

void reply(struct session *s, int code, const char *dsn, const char *fmt, ...)
{
	char text[REPLY_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if (code >= 400)
		note_error(s);
	send_reply(s, code, dsn, sv_of(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

void reply_ok(struct session *s, int code, const char *dsn, const char *fmt, ...)
{
	char text[REPLY_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	send_reply(s, code, dsn, sv_of(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

void reply_text(struct session *s, const char *text)
{
	struct sv t = sv_str(text);
	int code = 451;
	char dsn[SMTP_DSN_MAX] = "";

	if (t.n >= 3 && ascii_isdigit(t.p[0]) && ascii_isdigit(t.p[1]) && ascii_isdigit(t.p[2])) {
		code = (t.p[0] - '0') * 100 + (t.p[1] - '0') * 10 + (t.p[2] - '0');
		t = sv_trim(sv_skip(t, 3));
	}
	if (code < 400 || code > 599)
		code = 451;
	t = sv_trim(sv_skip(t, smtp_dsn_prefix(t, dsn)));
	note_error(s);
	send_reply(s, code, dsn, t);
}

/* ---- input ---- */

/* From outside the stream's callbacks: goes on, and has the stream read again where its buffer was full. */
static void run_on(struct session *s)
{
	session_run(s);
	if (!s->dead && s->stream != NULL && s->resume == NULL && s->mode != MODE_HANDSHAKE)
		stream_update(s->stream);
}

static void again(struct ev_defer *d)
{
	run_on(container_of(d, struct session, again));
}

static void pause_over(struct ev_timer *t)
{
	struct session *s = container_of(t, struct session, pause);

	s->paused = false;
	run_on(s);
}

/* One line too long: the rest of it is dropped, it counts as a command. */
static bool overlong(struct session *s)
{
	s->where = "UNKNOWN";
	s->count[SMTP_UNKNOWN][0]++;
	if (s->mode == MODE_AUTH) {
		auth_abort(s);
		s->mode = MODE_COMMAND;
	}
	reply(s, 500, "5.5.2", "Error: line too long");
	return !s->dead;
}

/* A reply to an error is followed by a pause once there were many (smtpd_error_sleep_time), and by the end past the
 * hard limit. */
static bool after_command(struct session *s)
{
	const struct smtpd_conf *c = &s->g->conf;

	if (s->dead)
		return false;
	if (s->errors + (s->junk > c->junk_limit ? s->junk - c->junk_limit : 0) >= c->hard_errors && !s->local) {
		reply_ok(s, 421, "4.7.0", "%s Error: too many errors", c->myhostname);
		session_end(s, "too many errors");
		return false;
	}
	if (s->failed && s->errors >= c->soft_errors && c->error_sleep_s > 0 && !s->local) {
		s->failed = false;
		s->paused = true;
		ev_timer_start(s->g->ev, &s->pause, c->error_sleep_s * 1000, pause_over);
		return false;
	}
	return true;
}

/* True when a line was handled and the next may follow. */
static bool one_line(struct session *s)
{
	struct sv line;
	int ending, rc;
	size_t max = s->mode == MODE_AUTH ? AU_LINE_MAX : s->g->conf.line_limit;

	if (s->skipping) {
		s->skipping = !stream_skip_line(s->stream);
		return !s->skipping;
	}
	rc = stream_line(s->stream, max, &line, &ending);
	if (rc == 0)
		return false;
	session_touch(s);
	if (rc < 0) {
		s->skipping = true;
		return overlong(s) && after_command(s);
	}
	if (ending == 1 && s->g->conf.bare == BARE_REJECT && !s->local &&
	    !netlist_match(&s->g->conf.bare_exclusions, &s->from)) {
		log_info("bare <LF> received after %s from %s", s->where, namaddr(s));
		reply(s, s->g->conf.bare_code, s->g->conf.bare_code >= 500 ? "5.5.2" : "4.5.2",
		    "%s Error: bare <LF> received", s->g->conf.myhostname);
		session_end(s, "bare <LF>");
		return false;
	}
	if (s->mode == MODE_AUTH)
		auth_line(s, line);
	else
		command_line(s, line);
	return s->resume == NULL && after_command(s);
}

void session_run(struct session *s)
{
	uint64_t budget = 200; /* commands in one turn */

	if (s->running || s->dead)
		return;
	s->running = true;
	while (!s->dead && s->resume == NULL && !s->paused && s->greeted && s->mode != MODE_HANDSHAKE) {
		if (budget-- == 0) {
			ev_defer(s->g->ev, &s->again, again);
			break;
		}
		if (s->mode == MODE_DATA || s->mode == MODE_BDAT) {
			size_t before = stream_in(s->stream).n;
			enum session_mode mode = s->mode;
			data_input(s);
			if (!s->dead && s->stream != NULL && s->mode == mode && stream_in(s->stream).n == before)
				break;
			if (!s->dead && s->mode == MODE_COMMAND && s->resume == NULL && !after_command(s))
				break;
			continue;
		}
		if (s->g->stopping && s->mode == MODE_COMMAND) {
			reply(s, 421, "4.3.2", "Service shutting down, closing transmission channel");
			session_end(s, NULL);
			break;
		}
		if (stream_full(s->stream) || !one_line(s))
			break;
	}
	s->running = false;
	/* All replies of this turn in one packet, before the loop asks the kernel to tell when there is room for them.
	 */
	if (!s->dead && s->stream != NULL)
		stream_flush(s->stream);
	/* Nothing more can be made of what is there. */
	if (!s->dead && s->resume == NULL && s->stream != NULL && stream_ended(s->stream) &&
	    s->mode != MODE_HANDSHAKE && !s->paused && !s->again.queued && s->greeted && !stream_full(s->stream))
		session_end(s, "lost connection");
}

void session_shutdown(struct smtpd *g)
{
	struct session *s;

	g->stopping = true;
	DL_FOREACH (g->all, s) {
		session_go_on(s);
	}
}

void session_wake(struct session *s)
{
	void (*fn)(struct session *) = s->resume;

	if (s->dead || fn == NULL)
		return;
	s->resume = NULL;
	session_touch(s);
	fn(s);
	if (!s->dead && s->resume == NULL && s->greeted)
		command_over(s);
	session_go_on(s);
}

void session_go_on(struct session *s)
{
	if (!s->dead && s->resume == NULL && !s->running && after_command(s))
		ev_defer(s->g->ev, &s->again, again);
}

static void on_input(struct stream *st ATTR_UNUSED, void *arg)
{
	session_run(arg);
}

static void on_drained(struct stream *st ATTR_UNUSED, void *arg)
{
	session_run(arg);
}

static void on_close(struct stream *st ATTR_UNUSED, const struct err *why, void *arg)
{
	struct session *s = arg;

	if (s->dead)
		return;
	stream_free(&s->stream);
	session_end(s, why != NULL && why->code == ERR_TIMEOUT ? "timeout" : "lost connection");
}

/* ---- beginning ---- */

void session_greet(struct session *s)
{
	s->greeted = true;
	session_touch(s);
	reply_ok(s, 220, NULL, "%s", s->g->conf.banner);
	session_run(s);
}

static void counted(struct session *s, const char *refusal)
{
	if (s->dead)
		return;
	if (refusal != NULL) {
		s->greeted = true;
		reply_ok(s, 421, "4.7.0", "%s Error: %s from %s", s->g->conf.myhostname, refusal, s->addr);
		log_warn("%s: %s", refusal, namaddr(s));
		session_end(s, NULL);
		return;
	}
	if (s->g->conf.wrapper && !s->tls) {
		tls_begin(s);
		return;
	}
	session_greet(s);
}

static void named(struct session *s)
{
	log_info("connect from %s", namaddr(s));
	if (!limits_connect(s, counted))
		counted(s, NULL);
}

static void on_name(void *arg, const struct dns_peer *p)
{
	struct session *s = arg;

	s->peer_query = NULL;
	s->name_status = p->status;
	s->reverse_status = p->reverse_status;
	snprintf(s->name, sizeof(s->name), "%s", p->name);
	snprintf(s->reverse, sizeof(s->reverse), "%s", p->reverse);
	if (p->status != 0 && p->reverse_status == 0)
		log_warn("hostname %s does not resolve to address %s", s->reverse, s->addr);
	named(s);
}

static void local_peer(struct session *s, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	snprintf(s->addr, sizeof(s->addr), "local");
	snprintf(s->name, sizeof(s->name), "localhost");
	s->uid = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? cred.uid : (unsigned)-1;
}

struct session *session_new(struct smtpd *g, int fd, const struct sockaddr_storage *from, bool local)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->g = g;
	s->id = ++g->next_session;
	s->local = local;
	s->where = "CONNECT";
	s->from = *from;
	s->tls_text[0] = '\0';
	snprintf(s->name, sizeof(s->name), "unknown");
	snprintf(s->reverse, sizeof(s->reverse), "unknown");
	s->name_status = s->reverse_status = ERR_NOT_FOUND;
	s->stream = stream_new(g->ev, fd, SMTPD_IN_MAX, SMTPD_OUT_MAX, &callbacks, s);
	daemon_busy(g->d, 1);
	g->sessions++;
	DL_APPEND(g->all, s);
	session_touch(s);
	if (from->ss_family != AF_INET && from->ss_family != AF_INET6) {
		local_peer(s, fd);
		if (local)
			session_greet(s);
		else
			counted(s, NULL);
		return s;
	}
	if (g->conf.wrapper) /* the client speaks first, and what it says is for TLS */
		stream_pause(s->stream, true);
	dns_addr_text(from, s->addr);
	s->in_networks = netlist_match(&g->conf.mynetworks, from);
	if (!g->conf.peername) {
		named(s);
		return s;
	}
	s->peer_query = dns_peer_query(g->dns, from, NAME_MS, on_name, s);
	return s;
}
