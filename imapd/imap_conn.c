/* imap_conn.c - bytes in and out of a session, and its end; see imap.h. */
#include "imapd/imap.h"

#include <malloc.h>

#define READ_SIZE 4000 /* with buf's spare byte less than a page */
#define READ_SIZE_BULK 65536

static void on_input(struct ev_io *io, uint32_t events);
static void on_timer(struct ev_timer *t);

/* ---- output ---- */

static void lost(struct imap *s, const char *why)
{
	s->broken = true;
	s->out_n = 0;
	if (s->why == NULL)
		s->why = why;
	s->state = IMAP_OVER;
}

static void wait_for_client(struct imap *s)
{
	int r = session_wait_writable(s->zs, IMAP_WRITE_TIMEOUT_MS);
	if (r != 0)
		lost(s, r == ERR_CLOSED ? "Server shutting down" : "Client reads nothing");
}

void imap_flush(struct imap *s)
{
	size_t done = 0;
	while (done < s->out_n && !s->broken) {
		ssize_t n = write(s->zs->fd, s->out + done, s->out_n - done);
		if (n > 0) {
			done += (size_t)n;
			s->stats.out += (uint64_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			wait_for_client(s);
		} else if (n == 0 || errno != EINTR) {
			lost(s, "Connection closed");
		}
	}
	s->out_n = 0;
}

char *imap_room(struct imap *s, size_t need, size_t *room)
{
	BUG_ON(need > IMAP_OUT_SIZE / 2);
	if (s->out == NULL)
		s->out = xmalloc(IMAP_OUT_SIZE);
	if (IMAP_OUT_SIZE - s->out_n < need)
		imap_flush(s);
	*room = IMAP_OUT_SIZE - s->out_n;
	return s->out + s->out_n;
}

void imap_advance(struct imap *s, size_t n)
{
	s->out_n += n;
	if (s->broken)
		s->out_n = 0;
}

void imap_write(struct imap *s, const void *p, size_t n)
{
	const char *from = p;
	while (n > 0) {
		size_t room;
		char *to = imap_room(s, 1, &room);
		size_t take = n < room ? n : room;
		memcpy(to, from, take);
		imap_advance(s, take);
		from += take;
		n -= take;
	}
}

void imap_writes(struct imap *s, const char *text)
{
	imap_write(s, text, strlen(text));
}

void imap_number(struct imap *s, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);
	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	imap_write(s, digits + at, sizeof(digits) - at);
}

void imap_printf(struct imap *s, const char *fmt, ...)
{
	va_list ap;
	size_t room;
	char *to = imap_room(s, 4096, &room);
	va_start(ap, fmt);
	int n = vsnprintf(to, room, fmt, ap);
	va_end(ap);
	BUG_ON(n < 0 || (size_t)n >= room);
	imap_advance(s, (size_t)n);
}

/* ---- the end ---- */

/* At the end of the turn, when no command runs any more: what the store keeps in memory is written, the line logged. */
static void on_over(struct ev_defer *d)
{
	struct imap *s = container_of(d, struct imap, over);
	struct session *zs = s->zs;
	imap_free(&s);
	zs->state = NULL;
	session_end(zs);
}

void imap_end(struct imap *s, const char *why)
{
	if (s->why == NULL)
		s->why = why;
	s->state = IMAP_OVER;
	imap_flush(s);
	ev_io_stop(&s->io);
	ev_timer_stop(&s->timer);
	ev_defer(s->zs->ev, &s->over, on_over);
}

void imap_bye(struct imap *s, const char *why, const char *text)
{
	imap_printf(s, "* BYE %s\r\n", text);
	imap_end(s, why);
}

void imap_free(struct imap **sp)
{
	struct imap *s = *sp;
	if (s == NULL)
		return;
	log_info("user=<%s>, rip=%s, disconnected: %s, in=%llu out=%llu deleted=%llu expunged=%llu appended=%llu "
		 "hdr_count=%llu hdr_bytes=%llu body_count=%llu body_bytes=%llu",
	    s->zs->user, s->zs->client, s->why ? s->why : "Connection closed", (unsigned long long)s->stats.in,
	    (unsigned long long)s->stats.out, (unsigned long long)s->stats.deleted,
	    (unsigned long long)s->stats.expunged, (unsigned long long)s->stats.appended,
	    (unsigned long long)s->stats.hdr_count, (unsigned long long)s->stats.hdr_bytes,
	    (unsigned long long)s->stats.body_count, (unsigned long long)s->stats.body_bytes);
	append_free(s);
	mailbox_close(&s->mb);
	store_close(&s->store);
	ev_io_stop(&s->io);
	ev_timer_stop(&s->timer);
	arena_clear(&s->arena);
	buf_free(&s->in);
	buf_free(&s->scratch);
	free(s->bodies);
	free(s->out);
	free(s);
	*sp = NULL;
}

/* ---- input ---- */

/* Nothing to do until the client speaks: what a busy session needed goes back to the system. */
static void relax(struct imap *s)
{
	bool big = s->out != NULL || s->in.cap > READ_SIZE || s->scratch.cap > READ_SIZE;
	if (s->in.n == 0)
		buf_free(&s->in);
	buf_free(&s->scratch);
	free(s->out);
	s->out = NULL;
	free(s->bodies);
	s->bodies = NULL;
	store_relax(s->store);
	if (big)
		malloc_trim(0);
}

void imap_timer_restart(struct imap *s)
{
	s->relaxed = s->state == IMAP_IDLE;
	if (s->state != IMAP_OVER)
		ev_timer_start(s->zs->ev, &s->timer, s->relaxed ? IMAP_STILL_HERE_MS : IMAP_RELAX_MS, on_timer);
}

static void on_timer(struct ev_timer *t)
{
	struct imap *s = container_of(t, struct imap, timer);
	if (s->state == IMAP_IDLE) {
		idle_timer(s);
	} else if (!s->relaxed) {
		relax(s);
		s->relaxed = true;
		ev_timer_start(s->zs->ev, t, s->timeout_ms, on_timer);
	} else {
		imap_bye(s, "Inactivity", "Disconnected for inactivity.");
	}
}

/* The command at the front of the input was answered: its bytes go. */
static void command_over(struct imap *s, size_t n)
{
	buf_consume(&s->in, n);
	s->scan = (struct imap_scan){0};
	s->literals = 0;
	arena_clear(&s->arena);
}

/* The tag of what came so far, for answers to commands that cannot be read whole. */
static void guess_tag(struct imap *s)
{
	struct imap_lex l;
	imap_lex_init(&l, sv_head(buf_sv(&s->in), IMAP_TAG_MAX), &s->arena);
	if (!imap_lex_tag(&l, &s->tag) || !imap_lex_peek(&l, ' '))
		s->tag = SV("*");
}

static bool literal(struct imap *s)
{
	struct sv prefix = sv_head(buf_sv(&s->in), s->scan.end);
	switch (imap_literal(s, prefix, s->scan.literal, s->scan.nonsync)) {
	case LITERAL_TAKE:
		s->literals += (size_t)s->scan.literal;
		if (!s->scan.nonsync) {
			imap_writes(s, "+ OK\r\n");
			imap_flush(s);
		}
		imap_scan_accept(&s->scan);
		return true;
	case LITERAL_APPEND:
	case LITERAL_REFUSED: command_over(s, prefix.n); return true;
	}
	return false;
}

static void too_long(struct imap *s)
{
	guess_tag(s);
	imap_reply(s, "BAD", "[TOOBIG] Command line too long");
	command_over(s, s->in.n < s->scan.at ? s->in.n : s->scan.at);
	s->skipped = 0;
	s->state = IMAP_SKIP;
}

static void skip(struct imap *s)
{
	ssize_t lf = sv_chr(buf_sv(&s->in), '\n');
	size_t n = lf < 0 ? s->in.n : (size_t)lf + 1;
	s->skipped += n;
	buf_consume(&s->in, n);
	if (lf >= 0)
		s->state = IMAP_READY;
	else if (s->skipped > IMAP_SKIP_MAX)
		imap_bye(s, "Too long line", "Line too long");
}

/* Does one step with what is in the input; false when more bytes are needed. */
static bool step(struct imap *s)
{
	size_t before = s->in.n;
	switch (s->state) {
	case IMAP_OVER: return false;
	case IMAP_SKIP: skip(s); return s->in.n > 0;
	case IMAP_IDLE: idle_input(s); return s->in.n > 0 && (s->in.n != before || s->state != IMAP_IDLE);
	case IMAP_LITERAL: append_input(s); return s->in.n > 0 || s->state != IMAP_LITERAL;
	case IMAP_TAIL: append_tail(s); return s->in.n > 0 && s->state != IMAP_TAIL;
	case IMAP_READY: break;
	}
	switch (imap_scan(&s->scan, buf_sv(&s->in), IMAP_LINE_MAX)) {
	case IMAP_SCAN_MORE: return false;
	case IMAP_SCAN_LITERAL: return literal(s);
	case IMAP_SCAN_DONE: {
		size_t end = s->scan.end;
		imap_command(s, sv_head(buf_sv(&s->in), end));
		command_over(s, end);
		return s->in.n > 0;
	}
	case IMAP_SCAN_TOO_LONG: too_long(s); return true;
	case IMAP_SCAN_BAD:
		guess_tag(s);
		imap_reply(s, "BAD", "Invalid literal size");
		command_over(s, s->scan.end);
		return s->in.n > 0;
	}
	return false;
}

static void process(struct imap *s)
{
	while (step(s) && s->state != IMAP_OVER)
		;
	if (s->broken)
		imap_end(s, "Connection closed");
	if (s->state == IMAP_OVER)
		return;
	imap_flush(s);
	if (s->broken) {
		imap_end(s, "Connection closed");
		return;
	}
	imap_timer_restart(s);
	if (s->state == IMAP_IDLE)
		relax(s);
}

static void on_input(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct imap *s = container_of(io, struct imap, io);
	size_t size = s->state == IMAP_LITERAL ? READ_SIZE_BULK : READ_SIZE;
	char *to = buf_reserve(&s->in, size);
	if (to == NULL) { /* cannot be: lines, literals and skipping are bounded below the buffer's bound */
		imap_bye(s, "Too much input", "Too much input");
		return;
	}
	ssize_t n = read(s->zs->fd, to, size);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		s->broken = true;
		imap_end(s, "Connection closed");
		return;
	}
	s->stats.in += (uint64_t)n;
	s->in.n += (size_t)n;
	process(s);
}

void imap_start(struct imap *s)
{
	buf_init(&s->in, IMAP_COMMAND_MAX + READ_SIZE_BULK);
	buf_init(&s->scratch, 16u << 20);
	arena_init(&s->arena, IMAP_ARENA_MAX);
	ev_io_start(s->zs->ev, &s->io, s->zs->fd, EPOLLIN, on_input);
	imap_greet(s);
	if (s->zs->early.n > 0) {
		s->stats.in += s->zs->early.n;
		buf_addsv(&s->in, s->zs->early);
	}
	process(s);
}
