/* fetch_body.c - bytes of messages to the client: CRLF line ends, partial fetches, sections; see fetch.h. */
#include "imapd/fetch.h"

#include "message/hdr.h"

/* Where a partial fetch ended, so that the next piece need not read the file from the start. */
struct body_cache {
	uint32_t uid;
	uint64_t off;  /* of the span */
	uint64_t sent; /* CRLF bytes from the start of the span ... */
	uint64_t read; /* ... are these bytes of the file */
	char last;
};

/* LF to CRLF; *last is the byte before.  `to` has room for twice n.  NUL may not be sent (RFC 3501 section 4.3). */
static size_t crlf(char *to, const char *from, size_t n, char *last)
{
	const char *p = from, *end = from + n;
	char *w = to;
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf : end;
		size_t k = (size_t)(stop - p);
		memcpy(w, p, k);
		w += k;
		if (lf == NULL)
			break;
		if ((p < lf ? lf[-1] : p > from ? p[-1] : *last) != '\r')
			*w++ = '\r';
		*w++ = '\n';
		p = lf + 1;
	}
	if (n > 0)
		*last = end[-1];
	size_t out = (size_t)(w - to);
	for (char *z = to; (z = memchr(z, '\0', out - (size_t)(z - to))) != NULL;)
		*z = (char)0x80;
	return out;
}

struct sender {
	struct view *v;
	struct span span;
	uint64_t skip; /* CRLF bytes to drop first */
	uint64_t left; /* bytes to send */
	uint64_t read; /* bytes of the file done */
	uint64_t made; /* CRLF bytes made of them */
	char last;
};

static void range_of(const struct imap_item *it, uint64_t total, uint64_t *start, uint64_t *n)
{
	*start = 0;
	*n = total;
	if (it->partial) {
		*start = it->offset < total ? it->offset : total;
		*n = it->length < total - *start ? it->length : total - *start;
	}
}

static void send_label(struct imap *s, const struct imap_item *it, uint64_t n)
{
	imap_write(s, it->label.p, it->label.n);
	imap_printf(s, " {%llu}\r\n", (unsigned long long)n);
	bool header = it->section == IMAP_SEC_HEADER || it->section == IMAP_SEC_FIELDS ||
		      it->section == IMAP_SEC_FIELDS_NOT || it->section == IMAP_SEC_MIME;
	if (header) {
		s->stats.hdr_count++;
		s->stats.hdr_bytes += n;
	} else {
		s->stats.body_count++;
		s->stats.body_bytes += n;
	}
}

/* Starts where an earlier partial fetch of the same span left off, when that is not behind what is wanted. */
static void resume(struct sender *d, uint64_t start)
{
	struct body_cache *c = d->v->s->bodies;
	d->skip = start;
	if (c == NULL || c->uid != mailbox_msg(d->v->s->mb, d->v->i)->uid || c->off != d->span.off || c->sent > start)
		return;
	d->read = c->read;
	d->made = c->sent;
	d->last = c->last;
	d->skip = start - c->sent;
}

static void remember(const struct sender *d)
{
	struct imap *s = d->v->s;
	if (s->bodies == NULL)
		s->bodies = xcalloc(1, sizeof(*s->bodies));
	*s->bodies = (struct body_cache){
	    .uid = mailbox_msg(s->mb, d->v->i)->uid,
	    .off = d->span.off,
	    .sent = d->made,
	    .read = d->read,
	    .last = d->last,
	};
}

/* One block of the file; false at its end. */
static bool send_block(struct sender *d, bool keep)
{
	struct imap *s = d->v->s;
	uint64_t rest = d->span.len - d->read;
	size_t want = rest < FETCH_BLOCK ? (size_t)rest : FETCH_BLOCK, room;
	ssize_t n = want ? pread(d->v->fd, d->v->block, want, (off_t)(d->span.off + d->read)) : 0;
	if (n <= 0)
		return false;
	if (keep)
		remember(d); /* the next piece begins in this block or behind it */
	char *to = imap_room(s, 2 * FETCH_BLOCK, &room);
	size_t out = crlf(to, d->v->block, (size_t)n, &d->last);
	d->read += (uint64_t)n;
	d->made += out;
	size_t drop = d->skip < out ? (size_t)d->skip : out;
	d->skip -= drop;
	size_t send = out - drop < d->left ? out - drop : (size_t)d->left;
	if (drop > 0)
		memmove(to, to + drop, send);
	imap_advance(s, send);
	d->left -= send;
	return true;
}

void fetch_send_span(struct view *v, const struct imap_item *it, struct span span)
{
	struct sender d = {.v = v, .span = span};
	uint64_t start, n;
	range_of(it, span.crlf, &start, &n);
	send_label(v->s, it, n);
	if (v->block == NULL)
		v->block = xmalloc(FETCH_BLOCK);
	d.left = n;
	if (it->partial)
		resume(&d, start);
	while (d.left > 0 && !v->s->broken && send_block(&d, it->partial))
		;
	if (v->s->broken)
		return;
	if (d.left == 0 && (it->partial || d.read == span.len))
		return;
	/* The sizes that were announced are not those of the file: what was promised is sent, and the summary made
	 * anew. */
	log_warn(
	    "user=<%s>: uid %u: size in name or summary is wrong", v->s->zs->user, mailbox_msg(v->s->mb, v->i)->uid);
	for (; d.left > 0; d.left--)
		imap_write(v->s, " ", 1);
	view_rebuild(v);
}

void fetch_send_text(struct view *v, const struct imap_item *it, struct sv text)
{
	struct buf out = BUF_INIT(2 * (size_t)FETCH_HEADER_MAX + 16);
	uint64_t start, n;
	char last = '\0';
	char *to = buf_reserve(&out, 2 * text.n);
	if (to != NULL)
		out.n = crlf(to, text.p, text.n, &last);
	range_of(it, out.n, &start, &n);
	send_label(v->s, it, n);
	imap_write(v->s, out.p + start, (size_t)n);
	buf_free(&out);
}

/* ---- sections ---- */

static bool child(const struct summary *sum, size_t node, uint32_t k, size_t *out)
{
	struct mime_part p;
	for (size_t i = node + 1; i < sum->nparts; i++) {
		summary_part(sum, i, &p);
		if (p.parent == node && --k == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

/* RFC 3501 section 6.4.5: part 1 of a message that is no multipart is its body. */
static bool walk(const struct summary *sum, const struct imap_item *it, size_t *node)
{
	bool at_message = true;
	struct mime_part p;
	size_t n = 0;
	for (unsigned i = 0; i < it->npath; i++) {
		summary_part(sum, n, &p);
		if (!at_message && p.kind == MIME_MESSAGE) {
			if (n + 1 >= sum->nparts)
				return false;
			summary_part(sum, ++n, &p);
			at_message = true;
		}
		if (p.kind == MIME_MULTIPART) {
			if (!child(sum, n, it->path[i], &n))
				return false;
		} else if (!at_message || it->path[i] != 1) {
			return false;
		}
		at_message = false;
	}
	*node = n;
	return true;
}

int fetch_resolve(const struct summary *sum, const struct imap_item *it, struct span *span)
{
	struct mime_part p;
	size_t node;
	if (!walk(sum, it, &node))
		return 0;
	summary_part(sum, node, &p);
	bool header = it->section == IMAP_SEC_MIME;
	if (it->section != IMAP_SEC_MIME && it->section != IMAP_SEC_ALL) {
		if (it->npath > 0) {
			if (p.kind != MIME_MESSAGE || node + 1 >= sum->nparts)
				return 0;
			summary_part(sum, node + 1, &p);
		}
		header = it->section != IMAP_SEC_TEXT;
	}
	if (it->section == IMAP_SEC_ALL && it->npath == 0)
		*span = (struct span){0, sum->size, sum->size_crlf};
	else if (header)
		*span = (struct span){p.hdr_off, p.hdr_len, p.hdr_crlf};
	else
		*span = (struct span){p.body_off, p.body_len, p.body_crlf};
	return 1;
}

static bool wanted(const struct imap_item *it, struct sv name)
{
	for (size_t i = 0; i < it->nfields; i++)
		if (sv_ieq(it->fields[i], name))
			return it->section == IMAP_SEC_FIELDS;
	return it->section == IMAP_SEC_FIELDS_NOT;
}

void fetch_filter_fields(const struct imap_item *it, struct sv header, struct buf *out)
{
	struct hdr_field f;
	enum hdr_result r;
	while ((r = hdr_next(&header, &f)) == HDR_FIELD || (r == HDR_BODY && header.n > 0)) {
		if (r == HDR_BODY) { /* a line that is no field: the header goes on behind it, as our parser has it */
			ssize_t lf = sv_chr(header, '\n');
			header = lf < 0 ? sv_skip(header, header.n) : sv_skip(header, (size_t)lf + 1);
			continue;
		}
		if (!wanted(it, f.name))
			continue;
		buf_addsv(out, f.raw);
		if (f.raw.p[f.raw.n - 1] != '\n')
			buf_addc(out, '\n');
	}
	buf_adds(out, "\r\n");
}
