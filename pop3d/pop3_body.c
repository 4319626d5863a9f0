/* pop3_body.c - a message on its way to the client: CRLF line ends, dots stuffed, TOP cut. */
#include "pop3d/pop3.h"

#include <fcntl.h>

int pop3_body_start(struct pop3 *p, size_t i, bool top, uint32_t lines, struct err *err)
{
	int fd = mailbox_body(p->mb, i, err);

	if (fd < 0)
		return fd;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	p->body = (struct pop3_body){
	    .fd = fd, .bol = true, .top = top, .in_header = true, .line_empty = true, .lines = lines};
	p->task = TASK_BODY;
	return 0;
}

/* How many of these bytes TOP sends; *end when the rest of the message is not wanted. */
static size_t top_cut(struct pop3_body *b, struct sv in, bool *end)
{
	size_t at = 0;

	while (at < in.n) {
		const char *lf;
		size_t n;

		if (!b->in_header && !b->lines) {
			*end = true;
			return at;
		}
		lf = memchr(in.p + at, '\n', in.n - at);
		n = lf ? (size_t)(lf - in.p) + 1 - at : in.n - at;
		for (size_t i = 0; i < n && b->line_empty; i++)
			b->line_empty = in.p[at + i] == '\r' || in.p[at + i] == '\n';
		at += n;
		if (!lf)
			break;
		if (!b->in_header)
			b->lines--;
		else if (b->line_empty)
			b->in_header = false;
		b->line_empty = true;
	}
	return at;
}

static void body_end(struct pop3 *p)
{
	if (!p->body.bol)
		(void)stream_write(p->stream, "\r\n", 2);
	(void)stream_write(p->stream, ".\r\n", 3);
	fd_close(&p->body.fd);
}

int pop3_body_run(struct pop3 *p)
{
	CLEANUP(freep) char *raw = xmalloc(POP3_CHUNK);
	CLEANUP(buf_freep) struct buf crlf = BUF_INIT(2 * POP3_CHUNK + 2);
	CLEANUP(buf_freep) struct buf out = BUF_INIT(4 * POP3_CHUNK + 4);
	struct pop3_body *b = &p->body;

	for (;;) {
		bool end = false;
		ssize_t n;

		if (stream_full(p->stream)) {
			if (stream_flush(p->stream))
				return 0; /* the client has gone; on_close comes */
			if (stream_full(p->stream))
				return 0;
		}
		n = pread(b->fd, raw, POP3_CHUNK, b->at);
		if (n < 0)
			return ERR_SYS;
		b->at += n;
		if (b->top)
			n = (ssize_t)top_cut(b, sv_of(raw, (size_t)n), &end);
		buf_reset(&crlf);
		buf_reset(&out);
		if (mail_crlf(&crlf, sv_of(raw, (size_t)n), &b->last) || pop3_stuff(&out, buf_sv(&crlf), &b->bol))
			return ERR_LIMIT;
		if (out.n && stream_write(p->stream, out.p, out.n))
			return 0;
		p->sent_bytes += out.n;
		if (end || (n == 0 && !end)) {
			body_end(p);
			return 1;
		}
	}
}
