#include "smtp/content.h"

void content_start(struct content *c, int fd, const struct mail_content *where, size_t line_limit)
{
	*c = (struct content){.fd = fd, .where = where, .line_limit = line_limit};
}

/* A run of bytes without line end; breaks lines that are too long by CRLF and a blank, as RFC 5322 folding does. */
static void add_text(struct content *c, struct sv run, struct buf *out)
{
	size_t from = out->n;

	if (run.n == 0)
		return;
	if (c->line == 0 && run.p[0] == '.')
		buf_addc(out, '.');
	while (c->line_limit > 0 && c->line + run.n > c->line_limit) {
		size_t head = c->line_limit - c->line;

		buf_addsv(out, sv_head(run, head));
		buf_add(out, "\r\n ", 3);
		run = sv_skip(run, head);
		c->line = 1;
	}
	buf_addsv(out, run);
	c->line += run.n;
	if (!out->p || !memchr(out->p + from, '\r', out->n - from))
		return;
	for (size_t i = from; i < out->n; i++)
		if (out->p[i] == '\r' && (i + 2 >= out->n || out->p[i + 1] != '\n'))
			out->p[i] = ' ';
}

void content_encode(struct content *c, struct sv in, struct buf *out)
{
	while (in.n > 0) {
		const char *lf = memchr(in.p, '\n', in.n);
		size_t n = lf ? (size_t)(lf - in.p) : in.n;

		add_text(c, sv_of(in.p, n), out);
		if (!lf)
			return;
		buf_add(out, "\r\n", 2);
		c->line = 0;
		in = sv_skip(in, n + 1);
	}
}

static struct mail_extent piece_of(const struct content *c, size_t piece)
{
	return piece < c->where->nheader ? c->where->header[piece] : c->where->body;
}

/* Bytes that can be read in one go: pieces that follow each other in the file are usual. */
static uint64_t contiguous(const struct content *c)
{
	struct mail_extent e = piece_of(c, c->piece);
	uint64_t n = e.len - c->at, end = e.at + e.len;

	for (size_t p = c->piece + 1; p <= c->where->nheader; p++) {
		e = piece_of(c, p);
		if (e.at != end)
			break;
		n += e.len;
		end += e.len;
	}
	return n;
}

static void advance(struct content *c, uint64_t n)
{
	while (c->piece <= c->where->nheader) {
		uint64_t left = piece_of(c, c->piece).len - c->at;

		if (n < left) {
			c->at += n;
			return;
		}
		n -= left;
		c->piece++;
		c->at = 0;
	}
}

int content_next(struct content *c, struct buf *out, struct err *err)
{
	char chunk[CONTENT_CHUNK];
	size_t have = 0;

	/* Small pieces are gathered, so that a usual message is one write. */
	advance(c, 0); /* past empty pieces */
	while (c->piece <= c->where->nheader && have < sizeof(chunk)) {
		uint64_t run = contiguous(c);
		size_t ask = run < sizeof(chunk) - have ? (size_t)run : sizeof(chunk) - have;
		ssize_t n;

		do
			n = pread(c->fd, chunk + have, ask, (off_t)(piece_of(c, c->piece).at + c->at));
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return err_sys(err, "read queue file");
		if (n == 0)
			return err_set(err, ERR_CORRUPT, "queue file is shorter than its content");
		have += (size_t)n;
		advance(c, (uint64_t)n);
	}
	content_encode(c, sv_of(chunk, have), out);
	if (c->piece > c->where->nheader) {
		if (c->line > 0)
			buf_add(out, "\r\n", 2);
		buf_add(out, ".\r\n", 3);
		c->done = true;
	}
	return out->overflow ? err_set(err, ERR_LIMIT, "content grows beyond its buffer") : 0;
}
