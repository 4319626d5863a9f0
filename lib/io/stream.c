/* stream.c - buffered non-blocking streams; see stream.h. */
#include "io/stream.h"

#include <fcntl.h>
#include <sys/socket.h>

#define STREAM_READ 16384	/* bytes asked for at a time */
#define STREAM_TURN (4 * 16384) /* bytes read per wake-up before others get their turn */

struct stream {
	struct ev *ev;
	struct ev_io io;
	struct ev_defer flush, input;
	struct ev_timer timer;
	struct stream_cb cb;
	void *arg;
	const struct stream_ops *ops;
	void *ctx;
	struct buf in, out;
	size_t in_at, out_at; /* consumed, sent */
	size_t in_max, out_max;
	uint64_t timeout_ms;
	bool eof, paused, closing, failed, was_full;
	bool *gone; /* told when freed inside a callback */
};

static void stream_ready(struct ev_io *io, uint32_t events);

/* --- the plain transport --- */

static ssize_t plain_read(void *ctx ATTR_UNUSED, int fd, void *p, size_t n)
{
	return recv(fd, p, n, 0);
}

static ssize_t plain_write(void *ctx ATTR_UNUSED, int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL);
}

static uint32_t plain_want(void *ctx ATTR_UNUSED, uint32_t wish)
{
	return wish;
}

static size_t plain_pending(void *ctx ATTR_UNUSED)
{
	return 0;
}

static void plain_nothing(void *ctx ATTR_UNUSED, int fd ATTR_UNUSED)
{
}

static void plain_free(void *ctx ATTR_UNUSED)
{
}

static const struct stream_ops plain_ops = {
    plain_read, plain_write, plain_want, plain_pending, plain_nothing, plain_free};

/* --- life --- */

struct stream *stream_new(struct ev *ev, int fd, size_t in_max, size_t out_max, const struct stream_cb *cb, void *arg)
{
	struct stream *s = xcalloc(1, sizeof(*s));
	int flags = fcntl(fd, F_GETFL);
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	s->ev = ev;
	s->cb = *cb;
	s->arg = arg;
	s->ops = &plain_ops;
	s->in_max = in_max;
	s->out_max = out_max;
	buf_init(&s->in, in_max);
	buf_init(&s->out, out_max);
	BUG_ON(ev_io_start(ev, &s->io, fd, EPOLLIN, stream_ready) < 0);
	return s;
}

void stream_free(struct stream **sp)
{
	struct stream *s = *sp;
	if (s == NULL)
		return;
	*sp = NULL;
	if (s->gone != NULL)
		*s->gone = true;
	ev_io_stop(&s->io);
	ev_timer_stop(&s->timer);
	ev_defer_cancel(s->ev, &s->flush);
	ev_defer_cancel(s->ev, &s->input);
	s->ops->free(s->ctx);
	close(s->io.fd);
	buf_free(&s->in);
	buf_free(&s->out);
	free(s);
}

void stream_set_cb(struct stream *s, const struct stream_cb *cb, void *arg)
{
	s->cb = *cb;
	s->arg = arg;
}

static size_t in_len(const struct stream *s)
{
	return s->in.n - s->in_at;
}

size_t stream_out_len(const struct stream *s)
{
	return s->out.n - s->out_at;
}

bool stream_full(const struct stream *s)
{
	return stream_out_len(s) > s->out_max / 2;
}

static void update_events(struct stream *s)
{
	uint32_t wish = 0;
	if (s->failed)
		return;
	if (!s->paused && !s->eof && !s->closing && in_len(s) < s->in_max)
		wish |= EPOLLIN;
	/* While a flush is due at the end of this turn it asks for EPOLLOUT itself if it must: two system calls less a
	 * reply. */
	if ((stream_out_len(s) > 0 && !s->flush.queued) || (s->was_full && !s->closing && s->cb.on_drained != NULL))
		wish |= EPOLLOUT; /* an owner that stopped at "full" is told even when one flush sent all */
	ev_io_set(&s->io, s->ops->want(s->ctx, wish));
}

/* --- failure and timeout --- */

static void tell_failure(struct ev_defer *d)
{
	struct stream *s = container_of(d, struct stream, input);
	struct err err;
	if (s->closing) {
		stream_free(&s);
		return;
	}
	err_set(&err, s->timeout_ms == UINT64_MAX ? ERR_TIMEOUT : ERR_CLOSED,
	    s->timeout_ms == UINT64_MAX ? "timeout" : "lost connection");
	s->cb.on_close(s, &err, s->arg);
}

/* The owner hears of it from the loop, never from inside its own call. */
static void stream_fail(struct stream *s, bool timed_out)
{
	if (s->failed)
		return;
	s->failed = true;
	ev_io_stop(&s->io);
	ev_timer_stop(&s->timer);
	if (timed_out)
		s->timeout_ms = UINT64_MAX; /* remembered until tell_failure */
	ev_defer_cancel(s->ev, &s->input);
	ev_defer(s->ev, &s->input, tell_failure);
}

static void timed_out(struct ev_timer *t)
{
	stream_fail(container_of(t, struct stream, timer), true);
}

void stream_touch(struct stream *s)
{
	if (s->timeout_ms > 0 && !s->failed)
		ev_timer_start(s->ev, &s->timer, s->timeout_ms, timed_out);
}

void stream_set_timeout(struct stream *s, uint64_t ms)
{
	if (s->failed)
		return;
	s->timeout_ms = ms;
	if (ms == 0)
		ev_timer_stop(&s->timer);
	else
		stream_touch(s);
}

/* --- output --- */

int stream_flush(struct stream *s)
{
	bool progress = false;

	while (!s->failed && stream_out_len(s) > 0) {
		ssize_t w = s->ops->write(s->ctx, s->io.fd, s->out.p + s->out_at, stream_out_len(s));
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (w < 0) {
			stream_fail(s, false);
			return ERR_CLOSED;
		}
		s->out_at += (size_t)w;
		progress = true;
	}
	if (stream_out_len(s) == 0) {
		s->out_at = 0;
		if (s->out.cap > STREAM_READ)
			buf_free(&s->out); /* an idle connection costs little */
		else
			buf_reset(&s->out);
		if (s->closing && !s->failed) {
			s->ops->shutdown(s->ctx, s->io.fd);
			stream_fail(s, false); /* frees it, since it is closing */
			return 0;
		}
	}
	if (progress && !s->closing)
		stream_touch(s);
	update_events(s);
	return 0;
}

static void flush_deferred(struct ev_defer *d)
{
	stream_flush(container_of(d, struct stream, flush));
}

static int reserve_out(struct stream *s, size_t n)
{
	if (s->failed || s->closing)
		return ERR_CLOSED;
	if (n > s->out_max - stream_out_len(s))
		return ERR_LIMIT;
	if (s->out.n + n > s->out_max) {
		buf_consume(&s->out, s->out_at);
		s->out_at = 0;
	}
	return 0;
}

int stream_write(struct stream *s, const void *p, size_t n)
{
	int r = reserve_out(s, n);
	if (r < 0)
		return r;
	buf_add(&s->out, p, n);
	if (stream_full(s))
		s->was_full = true;
	ev_defer(s->ev, &s->flush, flush_deferred);
	return 0;
}

int stream_printf(struct stream *s, const char *fmt, ...)
{
	struct buf line = BUF_INIT(s->out_max);
	va_list ap;
	va_start(ap, fmt);
	int r = buf_vprintf(&line, fmt, ap);
	va_end(ap);
	if (r == 0)
		r = stream_write(s, line.p, line.n);
	buf_free(&line);
	return r;
}

void stream_close_after_flush(struct stream *s, uint64_t within_ms)
{
	if (s->failed) {
		s->closing = true; /* tell_failure frees it */
		ev_defer(s->ev, &s->input, tell_failure);
		return;
	}
	ev_defer_cancel(s->ev, &s->input);
	s->closing = true;
	s->timeout_ms = within_ms ? within_ms : 1;
	ev_timer_start(s->ev, &s->timer, s->timeout_ms, timed_out);
	ev_defer(s->ev, &s->flush, flush_deferred);
}

/* --- input --- */

struct sv stream_in(const struct stream *s)
{
	return s->in.p != NULL ? sv_of(s->in.p + s->in_at, in_len(s)) : SV("");
}

/* Gives the memory of a drained input buffer back; views of lines live on until the next call, so only from the loop.
 */
static void compact_in(struct stream *s)
{
	if (in_len(s) == 0) {
		s->in_at = 0;
		buf_free(&s->in);
	} else if (s->in_at > 0) {
		buf_consume(&s->in, s->in_at);
		s->in_at = 0;
	}
}

void stream_consume(struct stream *s, size_t n)
{
	s->in_at += n < in_len(s) ? n : in_len(s);
}

bool stream_ended(const struct stream *s)
{
	return s->eof;
}

bool stream_eof(const struct stream *s)
{
	return s->eof && in_len(s) == 0;
}

void stream_drop_input(struct stream *s)
{
	s->in_at = s->in.n;
}

/* Reads what there is; true when something came or the end was reached. */
static bool fill(struct stream *s)
{
	bool any = false;

	compact_in(s);
	for (size_t total = 0; total < STREAM_TURN && !s->eof && s->in.n < s->in_max;) {
		size_t room = s->in_max - s->in.n;
		size_t ask = room < STREAM_READ ? room : STREAM_READ;
		char *to = buf_reserve(&s->in, ask);
		BUG_ON(to == NULL);
		ssize_t r = s->ops->read(s->ctx, s->io.fd, to, ask);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (r < 0) {
			stream_fail(s, false);
			return false;
		}
		any = true;
		if (r == 0)
			s->eof = true;
		s->in.n += (size_t)r;
		total += (size_t)r;
		if ((size_t)r < ask && s->ops->pending(s->ctx) == 0)
			break;
	}
	if (s->in.n == 0)
		buf_free(&s->in);
	return any;
}

/* Runs the owner's on_input; false when it freed the stream. */
static bool tell_input(struct stream *s)
{
	bool gone = false;
	/* cppcheck-suppress autoVariables ; cleared below, unless s is freed */
	s->gone = &gone;
	s->cb.on_input(s, s->arg);
	if (gone)
		return false;
	s->gone = NULL;
	return true;
}

static void input_deferred(struct ev_defer *d)
{
	struct stream *s = container_of(d, struct stream, input);
	if (s->failed || s->closing || s->paused)
		return;
	if (s->ops->pending(s->ctx) > 0 && in_len(s) < s->in_max)
		fill(s);
	if ((in_len(s) > 0 || s->eof) && !s->failed && !tell_input(s))
		return;
	update_events(s);
}

void stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
	/* What is buffered here or in the transport makes no descriptor ready: hand it on from the loop. */
	if (!paused && !s->failed && (in_len(s) > 0 || s->eof || s->ops->pending(s->ctx) > 0))
		ev_defer(s->ev, &s->input, input_deferred);
	update_events(s);
}

static void stream_ready(struct ev_io *io, uint32_t events)
{
	struct stream *s = container_of(io, struct stream, io);

	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		stream_flush(s);
		if (s->failed)
			return;
		if (s->was_full && !stream_full(s) && !s->closing && s->cb.on_drained != NULL) {
			bool gone = false;
			s->was_full = false;
			s->gone = &gone;
			s->cb.on_drained(s, s->arg);
			if (gone)
				return;
			s->gone = NULL;
		}
	}
	if (s->closing || s->failed)
		return;
	if (events & (EPOLLERR | EPOLLHUP) && (s->paused || s->eof || in_len(s) >= s->in_max)) {
		stream_fail(s, false); /* both directions are gone and the owner does not read */
		return;
	}
	if (!s->paused && fill(s) && !s->failed) {
		if (!s->eof)
			stream_touch(s);
		if (!tell_input(s))
			return;
	}
	if (!s->failed)
		update_events(s);
}

/* --- lines --- */

int stream_line(struct stream *s, size_t max, struct sv *line, int *ending)
{
	struct sv in = stream_in(s);
	ssize_t lf = sv_chr(sv_head(in, max + 2), '\n');

	if (lf < 0)
		return in.n >= max + 2 || in.n >= s->in_max ? ERR_LIMIT : 0;
	size_t n = (size_t)lf;
	int kind = 1;
	if (n > 0 && in.p[n - 1] == '\r') {
		n--;
		kind = 2;
	}
	if (n > max)
		return ERR_LIMIT;
	*line = sv_of(in.p, n);
	if (ending != NULL)
		*ending = kind;
	stream_consume(s, (size_t)lf + 1);
	return 1;
}

bool stream_skip_line(struct stream *s)
{
	struct sv in = stream_in(s);
	ssize_t lf = sv_chr(in, '\n');
	stream_consume(s, lf < 0 ? in.n : (size_t)lf + 1);
	return lf >= 0;
}

/* --- transport --- */

int stream_fd(const struct stream *s)
{
	return s->io.fd;
}

void stream_set_transport(struct stream *s, const struct stream_ops *ops, void *ctx)
{
	s->ops->free(s->ctx);
	s->ops = ops != NULL ? ops : &plain_ops;
	s->ctx = ctx;
	update_events(s);
}

void *stream_transport_ctx(const struct stream *s, const struct stream_ops *ops)
{
	return s->ops == ops ? s->ctx : NULL;
}

void stream_update(struct stream *s)
{
	if (!s->failed && !s->closing && !s->paused)
		ev_defer(s->ev, &s->input, input_deferred);
	if (!s->failed && stream_out_len(s) > 0)
		ev_defer(s->ev, &s->flush, flush_deferred);
	update_events(s);
}

int stream_steal_fd(struct stream **sp, struct buf *unread)
{
	struct stream *s = *sp;
	BUG_ON(s->ops != &plain_ops);
	int fd = dup(s->io.fd);
	if (fd >= 0 && unread != NULL)
		buf_addsv(unread, stream_in(s));
	stream_free(sp);
	return fd;
}
