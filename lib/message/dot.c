/* dot.c - dot-stuffing and line ends; see dot.h. */
#include "message/dot.h"

/* Appends bytes that hold no LF, a bare CR as a blank: a reader could take it for a line end. */
static void text(struct dot *d, struct buf *out, const char *p, size_t n)
{
	char *to = buf_reserve(out, n);

	if (to == NULL || n == 0)
		return;
	memcpy(to, p, n);
	out->n += n;
	for (char *cr = to; (cr = memchr(cr, '\r', n - (size_t)(cr - to))) != NULL; cr++) {
		*cr = ' ';
		d->bare_cr = true;
		if ((size_t)(cr + 1 - to) == n)
			break;
	}
}

/*
 * At the beginning of a line that starts with a dot.  1: the end; 0: the dot was dropped; -1: cannot tell yet.
 */
static int dot_line(struct dot *d, struct sv *in)
{
	bool crlf = in->n >= 3 && in->p[1] == '\r' && in->p[2] == '\n';
	bool lf = in->n >= 2 && in->p[1] == '\n';

	if (in->n < 2 || (in->p[1] == '\r' && in->n < 3))
		return -1;
	if (crlf && !(d->lf_before && (d->flags & DOT_STRICT))) {
		*in = sv_skip(*in, 3);
		return 1;
	}
	if (lf && !(d->flags & DOT_STRICT)) {
		d->bare_lf = true;
		*in = sv_skip(*in, 2);
		return 1;
	}
	*in = sv_skip(*in, 1);
	d->mid_line = true;
	return 0;
}

/* One line, or what is there of it, at most `room` bytes of output.  False when nothing more can be done with the
 * input. */
static bool piece(struct dot *d, struct sv *in, struct buf *out, size_t room, bool last)
{
	size_t scan = in->n < room ? in->n : room;
	const char *lf = memchr(in->p, '\n', scan);

	if (lf != NULL) {
		size_t n = (size_t)(lf - in->p);
		bool crlf = n > 0 && lf[-1] == '\r';
		text(d, out, in->p, crlf ? n - 1 : n);
		buf_addc(out, '\n');
		d->mid_line = false;
		d->lf_before = !crlf;
		d->bare_lf = d->bare_lf || !crlf;
		*in = sv_skip(*in, n + 1);
		return true;
	}
	/* A CR at the end of the piece may be half of a CRLF. */
	size_t keep = in->p[scan - 1] == '\r' && !(last && scan == in->n);
	if (scan == keep)
		return false;
	text(d, out, in->p, scan - keep);
	d->mid_line = true;
	*in = sv_skip(*in, scan - keep);
	return true;
}

bool dot_decode(struct dot *d, struct sv *in, struct buf *out, size_t room, bool last)
{
	size_t end = out->n + room;

	if (!d->nul && in->n > 0 && memchr(in->p, 0, in->n) != NULL)
		d->nul = true;
	while (in->n > 0 && out->n + 3 < end) {
		if (!d->mid_line && in->p[0] == '.' && !(d->flags & DOT_RAW)) {
			int rc = dot_line(d, in);
			if (rc != 0)
				return rc > 0;
			continue;
		}
		if (!piece(d, in, out, end - out->n - 1, last))
			break;
	}
	return false;
}

int dot_encode(struct dot_enc *e, struct sv in, struct buf *out)
{
	while (in.n > 0) {
		const char *lf = memchr(in.p, '\n', in.n);
		size_t n = lf ? (size_t)(lf - in.p) : in.n;

		if (!e->mid_line && in.p[0] == '.')
			buf_addc(out, '.');
		buf_add(out, in.p, n);
		if (n > 0)
			e->cr = in.p[n - 1] == '\r';
		e->mid_line = lf == NULL;
		if (lf != NULL) {
			buf_add(out, "\r\n", 2);
			if (e->cr) { /* the content has CRLF itself */
				out->n -= 2;
				buf_addc(out, '\n');
			}
			e->cr = false;
			n++;
		}
		in = sv_skip(in, n);
	}
	return out->overflow ? ERR_LIMIT : 0;
}

int dot_encode_end(struct dot_enc *e, struct buf *out)
{
	if (e->mid_line)
		buf_adds(out, e->cr ? "\n" : "\r\n");
	*e = (struct dot_enc){0};
	buf_adds(out, ".\r\n");
	return out->overflow ? ERR_LIMIT : 0;
}
