/*
 * pop3d.c - POP3 after login (RFC 1939): a warm zygote (lib/daemon/zygote), one forked child a session.  Several
 * sessions of one mailbox run at once; each works on the messages that were there when it began, and removes only at
 * QUIT.
 */
#include "pop3d/pop3.h"

#define CLOSE_POLL_MS 20

static void pump(struct pop3 *p);

void pop3_say(struct pop3 *p, const char *fmt, ...)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1024);
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	buf_adds(&b, "\r\n");
	(void)stream_write(p->stream, b.p, b.n);
}

static void end_session(struct pop3 *p)
{
	log_info("user=<%s>, rip=%s, %s, top=%llu, retr=%llu/%llu, del=%llu/%zu", p->s->user, p->s->client,
	    p->quit ? "logged out" : "disconnected", (unsigned long long)p->tops, (unsigned long long)p->retrs,
	    (unsigned long long)p->sent_bytes, (unsigned long long)p->removed, p->count);
	fd_close(&p->body.fd);
	ev_timer_stop(&p->flush_timer);
	stream_free(&p->stream);
	mailbox_close(&p->mb);
	store_close(&p->store);
	buf_free(&p->in);
	free(p->deleted);
	free(p->seen);
	session_end(p->s);
	p->s->state = NULL;
	p->s->on_end = NULL;
	free(p);
}

static void flush_due(struct ev_timer *t)
{
	struct pop3 *p = container_of(t, struct pop3, flush_timer);

	if (!stream_flush(p->stream) && stream_out_len(p->stream))
		ev_timer_start(p->s->ev, t, CLOSE_POLL_MS, flush_due);
	else
		end_session(p);
}

void pop3_finish(struct pop3 *p)
{
	if (p->closing)
		return;
	p->closing = true;
	stream_pause(p->stream, true);
	stream_set_timeout(p->stream, POP3_FLUSH_MS);
	ev_timer_start(p->s->ev, &p->flush_timer, 0, flush_due);
}

/* One command line from p->in; false when none is complete. */
static bool next_line(struct pop3 *p)
{
	struct sv in = sv_skip(buf_sv(&p->in), p->in_at);
	ssize_t lf = sv_chr(in, '\n');
	struct sv line;

	if (lf < 0) {
		if (in.n > 4 * POP3_LINE_MAX) {
			if (!p->skipping)
				pop3_say(p, "-ERR Line too long.");
			p->skipping = true;
			buf_reset(&p->in);
			p->in_at = 0;
		}
		return false;
	}
	line = sv_head(in, (size_t)lf);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (p->skipping)
		p->skipping = false;
	else if (line.n > 4 * POP3_LINE_MAX)
		pop3_say(p, "-ERR Line too long.");
	else
		pop3_command(p, line);
	p->in_at += (size_t)lf + 1;
	return true;
}

/* Takes input up to the bound; what does not fit stays in the stream, which then stops reading. */
static void take_input(struct pop3 *p)
{
	struct sv in = stream_in(p->stream);
	size_t n;

	buf_consume(&p->in, p->in_at);
	p->in_at = 0;
	n = POP3_IN_MAX - p->in.n;
	if (n > in.n)
		n = in.n;
	if (n && !buf_add(&p->in, in.p, n))
		stream_consume(p->stream, n);
}

static void pump(struct pop3 *p)
{
	do {
		take_input(p);
		do {
			if (!pop3_task_run(p))
				return;
			if (p->closing)
				return;
			if (stream_full(p->stream) && (stream_flush(p->stream) || stream_full(p->stream)))
				return;
		} while (next_line(p) && !p->closing);
	} while (!p->closing && stream_in(p->stream).n);
	if (!p->closing && stream_eof(p->stream))
		pop3_finish(p);
}

static void on_input(struct stream *st, void *arg)
{
	(void)st;
	pump(arg);
}

static void on_drained(struct stream *st, void *arg)
{
	struct pop3 *p = arg;

	(void)st;
	if (!p->closing)
		pump(p);
}

static void on_close(struct stream *st, const struct err *why, void *arg)
{
	(void)st;
	(void)why;
	end_session(arg);
}

static const struct stream_cb stream_cb = {.on_input = on_input, .on_drained = on_drained, .on_close = on_close};

static void on_end(struct session *s)
{
	struct pop3 *p = s->state;

	if (!p->closing && p->task == TASK_NONE)
		pop3_say(p, "-ERR [SYS/TEMP] The server is shutting down.");
	pop3_finish(p);
	stream_set_timeout(p->stream, SESSION_FINISH_MS);
}

/* The answer to login's PASS or AUTH is ours, since only now it is known whether the mailbox can be opened. */
static int open_mailbox(struct pop3 *p)
{
	struct err err = {0};
	int rc = store_open(p->s->folder, &p->store, &err);

	if (!rc)
		rc = mailbox_open(p->store, SV("INBOX"), 0, &p->mb, &err);
	if (rc) {
		log_error("user=<%s>: %s", p->s->user, err.text);
		pop3_say(p, rc == ERR_TEMP ? "-ERR [IN-USE] The mailbox is in use."
					   : "-ERR [SYS/TEMP] The mailbox cannot be opened.");
		return rc;
	}
	p->count = mailbox_count(p->mb);
	p->deleted = xcalloc(p->count + 1, sizeof(*p->deleted));
	p->seen = xcalloc(p->count + 1, sizeof(*p->seen));
	pop3_say(p, "+OK Logged in, %zu messages.", p->count);
	return 0;
}

int pop3_start(struct session *s, struct err *err)
{
	struct pop3 *p = xcalloc(1, sizeof(*p));

	(void)err;
	p->s = s;
	p->body.fd = -1;
	p->uidl_format = conf_str(s->conf, "pop3_uidl_format");
	p->keep_flags = conf_bool(s->conf, "pop3_no_flag_updates");
	buf_init(&p->in, POP3_IN_MAX);
	buf_addsv(&p->in, s->early);
	s->state = p;
	s->on_end = on_end;
	p->stream = stream_new(s->ev, s->fd, POP3_IN_MAX, POP3_OUT_MAX, &stream_cb, p);
	stream_set_timeout(p->stream, conf_time(s->conf, "pop3d_timeout") * 1000);
	if (open_mailbox(p))
		pop3_finish(p);
	else
		pump(p);
	return 0;
}
