/* summary.c - the record of a message; see summary.h. */
#include "message/summary.h"

#include <endian.h>

#include "base/codec.h"
#include "message/mime_tree.h"

#define HEADER_SIZE 16
#define FIXED_SIZE 24	     /* sizes, lines, number of parts */
#define SUMMARY_PART_SIZE 36 /* u16 parent, u8 kind, u8 text, 8 × u32 */
#define READ_SIZE 65536

struct summary_builder {
	struct mime_parser *mime;
	struct buf fields;
	bool fields_cut;
};

/* What mail clients ask for in lists: Thunderbird, mutt, Roundcube, Apple's and Microsoft's, K-9. */
static const char *const kept_fields[] = {"bcc", "cc", "content-class", "content-description", "content-language",
    "content-transfer-encoding", "content-type", "date", "delivered-to", "disposition-notification-to", "from",
    "importance", "in-reply-to", "lines", "list-id", "list-post", "list-unsubscribe", "mail-followup-to",
    "mail-reply-to", "message-id", "mime-version", "newsgroups", "priority", "received-spf", "references", "reply-to",
    "resent-date", "resent-from", "return-path", "sender", "subject", "thread-topic", "to", "x-label", "x-original-to",
    "x-priority", "x-spam-flag", "x-spam-status"};

bool summary_has_field(struct sv name)
{
	size_t lo = 0, hi = ARRAY_LEN(kept_fields);
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = sv_icmp(name, sv_str(kept_fields[mid]));
		if (c == 0)
			return true;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

static void on_field(void *arg, struct sv name, struct sv raw, bool cut)
{
	struct summary_builder *b = arg;
	if (b->fields_cut || !summary_has_field(name))
		return;
	if (cut || buf_addsv(&b->fields, raw) != 0)
		b->fields_cut = true;
	else if (raw.p[raw.n - 1] != '\n' && buf_addc(&b->fields, '\n') != 0)
		b->fields_cut = true;
}

struct summary_builder *summary_builder_new(void)
{
	struct summary_builder *b = xcalloc(1, sizeof(*b));
	b->mime = mime_parser_new(on_field, b);
	buf_init(&b->fields, SUMMARY_FIELDS_MAX);
	return b;
}

void summary_builder_free(struct summary_builder **bp)
{
	struct summary_builder *b = *bp;
	if (b == NULL)
		return;
	mime_parser_free(&b->mime);
	buf_free(&b->fields);
	free(b);
	*bp = NULL;
}

void summary_builder_feed(struct summary_builder *b, struct sv bytes)
{
	mime_parser_feed(b->mime, bytes);
}

/* ---- encoding ---- */

static void put16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	buf_add(b, &v, sizeof(v));
}

static void put32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	buf_add(b, &v, sizeof(v));
}

static void put64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	buf_add(b, &v, sizeof(v));
}

static void put_text(struct buf *b, struct sv s)
{
	put32(b, (uint32_t)s.n);
	buf_addsv(b, s);
}

static void put_part(struct buf *b, const struct mime_part *p)
{
	put16(b, p->parent);
	buf_addc(b, (char)p->kind);
	buf_addc(b, (char)p->text);
	put32(b, p->hdr_off);
	put32(b, p->hdr_len);
	put32(b, p->hdr_crlf);
	put32(b, p->body_off);
	put32(b, p->body_len);
	put32(b, p->body_crlf);
	put32(b, p->hdr_lines);
	put32(b, p->body_lines);
}

/* Puts the header in front of `body` and the whole behind out. */
static int seal(struct buf *out, uint16_t flags, const struct buf *body, size_t bound, struct err *err)
{
	if (body->overflow || body->n > bound - HEADER_SIZE)
		return err_set(err, ERR_LIMIT, "summary larger than %zu bytes", bound);
	struct buf h = BUF_INIT(HEADER_SIZE);
	buf_add(&h, "MSUM", 4);
	put16(&h, SUMMARY_VERSION);
	put16(&h, flags);
	put32(&h, (uint32_t)(HEADER_SIZE + body->n));
	put32(&h, crc32c(crc32c(0, h.p, h.n), body->p, body->n));
	int r = buf_reserve(out, HEADER_SIZE + body->n) ? 0 : err_set(err, ERR_LIMIT, "no room for a summary");
	if (r == 0) {
		buf_add(out, h.p, h.n);
		buf_add(out, body->p, body->n);
	}
	buf_free(&h);
	return r;
}

static int finish(struct summary_builder *b, size_t bound, struct buf *out, struct err *err)
{
	const struct mime_parser *m = b->mime;
	mime_parser_finish(b->mime);
	if (mime_parser_size_crlf(m) > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "message larger than 4 GiB");

	CLEANUP(buf_freep) struct buf body = BUF_INIT(bound), text = BUF_INIT(bound);
	put64(&body, mime_parser_size(m));
	put64(&body, mime_parser_size_crlf(m));
	put32(&body, (uint32_t)mime_parser_lines(m));
	put16(&body, (uint16_t)mime_parser_count(m));
	put16(&body, 0);
	for (size_t i = 0; i < mime_parser_count(m); i++)
		put_part(&body, &mime_parser_node(m, i)->part);
	put_text(&body, b->fields_cut ? SV_NONE : buf_sv(&b->fields));
	mime_put_envelope(m, 0, &text);
	put_text(&body, buf_sv(&text));
	body.overflow |= text.overflow;
	buf_reset(&text);
	mime_put_bodystructure(m, 0, &text);
	put_text(&body, buf_sv(&text));
	body.overflow |= text.overflow;
	return seal(out, b->fields_cut ? 0 : SUMMARY_F_FIELDS, &body, bound, err);
}

int summary_builder_finish(struct summary_builder *b, struct buf *out, struct err *err)
{
	return finish(b, SUMMARY_MAX, out, err);
}

/* ---- decoding ---- */

static uint16_t le16(const char *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t le32(const char *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t le64(const char *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static void get_part(const char *p, struct mime_part *part)
{
	*part = (struct mime_part){
	    .parent = le16(p),
	    .kind = (uint8_t)p[2],
	    .text = (uint8_t)p[3],
	    .hdr_off = le32(p + 4),
	    .hdr_len = le32(p + 8),
	    .hdr_crlf = le32(p + 12),
	    .body_off = le32(p + 16),
	    .body_len = le32(p + 20),
	    .body_crlf = le32(p + 24),
	    .hdr_lines = le32(p + 28),
	    .body_lines = le32(p + 32),
	};
}

void summary_part(const struct summary *s, size_t i, struct mime_part *part)
{
	BUG_ON(i >= s->nparts);
	get_part(s->parts + i * SUMMARY_PART_SIZE, part);
}

/* A length with line ends as CRLF lies between the length and twice the length. */
static bool crlf_ok(uint32_t len, uint32_t crlf)
{
	return crlf >= len && crlf <= 2 * (uint64_t)len;
}

static bool part_ok(const struct summary *s, size_t i)
{
	struct mime_part p, parent;
	summary_part(s, i, &p);
	if (p.kind > MIME_MESSAGE || p.text > 1 || !crlf_ok(p.hdr_len, p.hdr_crlf) || !crlf_ok(p.body_len, p.body_crlf))
		return false;
	if ((uint64_t)p.hdr_off + p.hdr_len != p.body_off || (uint64_t)p.body_off + p.body_len > s->size)
		return false;
	if (i == 0)
		return p.parent == 0 && p.hdr_off == 0;
	if (p.parent >= i)
		return false;
	summary_part(s, p.parent, &parent);
	return parent.kind != MIME_LEAF && p.hdr_off >= parent.body_off &&
	       (parent.kind != MIME_MESSAGE || p.parent == i - 1);
}

/* Whole lines of text, each field's first line with a colon; no CR at line ends, no NUL needed to be looked for. */
static bool fields_ok(struct sv s)
{
	return s.n == 0 || s.p[s.n - 1] == '\n';
}

static bool take_text(struct sv *rest, struct sv *out)
{
	if (rest->n < 4)
		return false;
	uint32_t n = le32(rest->p);
	if (n > rest->n - 4)
		return false;
	*out = sv_of(rest->p + 4, n);
	*rest = sv_skip(*rest, 4 + (size_t)n);
	return true;
}

static int corrupt(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "summary: %s", what);
}

int summary_decode(struct sv r, struct summary *out, struct err *err)
{
	if (r.n < HEADER_SIZE + FIXED_SIZE || r.n > SUMMARY_LARGE_MAX || memcmp(r.p, "MSUM", 4) != 0)
		return corrupt(err, "not one");
	if (le16(r.p + 4) != SUMMARY_VERSION)
		return err_set(err, ERR_UNSUPPORTED, "summary of version %u", le16(r.p + 4));
	if (le32(r.p + 8) != r.n)
		return corrupt(err, "wrong length");
	if (le32(r.p + 12) != crc32c(crc32c(0, r.p, 12), r.p + HEADER_SIZE, r.n - HEADER_SIZE))
		return corrupt(err, "wrong checksum");
	const char *fixed = r.p + HEADER_SIZE;
	struct summary s = {
	    .flags = le16(r.p + 6),
	    .size = le64(fixed),
	    .size_crlf = le64(fixed + 8),
	    .lines = le32(fixed + 16),
	    .nparts = le16(fixed + 20),
	    .parts = fixed + FIXED_SIZE,
	};
	if (s.nparts == 0 || s.nparts > MIME_PARTS_MAX || le16(fixed + 22) != 0 || (s.flags & ~SUMMARY_F_FIELDS) != 0 ||
	    s.size > UINT32_MAX || s.size_crlf > UINT32_MAX || !crlf_ok((uint32_t)s.size, (uint32_t)s.size_crlf))
		return corrupt(err, "impossible values");
	struct sv rest = sv_skip(r, HEADER_SIZE + FIXED_SIZE);
	if (s.nparts * SUMMARY_PART_SIZE > rest.n)
		return corrupt(err, "parts missing");
	for (size_t i = 0; i < s.nparts; i++)
		if (!part_ok(&s, i))
			return corrupt(err, "impossible part");
	rest = sv_skip(rest, s.nparts * SUMMARY_PART_SIZE);
	if (!take_text(&rest, &s.fields) || !take_text(&rest, &s.envelope) || !take_text(&rest, &s.bodystructure) ||
	    rest.n != 0)
		return corrupt(err, "texts missing");
	if (s.fields.n > SUMMARY_FIELDS_MAX || !fields_ok(s.fields) || !mime_text_ok(s.envelope) ||
	    !mime_text_ok(s.bodystructure))
		return corrupt(err, "texts malformed");
	*out = s;
	return 0;
}

/* ---- lines in front ---- */

static uint32_t count_lf(struct sv s, uint32_t *without_cr)
{
	uint32_t n = 0, bare = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\n')
			continue;
		n++;
		bare += i == 0 || s.p[i - 1] != '\r';
	}
	*without_cr = bare;
	return n;
}

int summary_prefix(struct sv record, struct sv prefix, struct buf *out, struct err *err)
{
	struct summary s = {0};
	int r = summary_decode(record, &s, err);
	if (r != 0)
		return r;
	if (prefix.n > SUMMARY_FIELDS_MAX || s.size_crlf + 2 * prefix.n > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "message too large for a summary");
	uint32_t bare, lines = count_lf(prefix, &bare), n = (uint32_t)prefix.n;

	/* The fields of the prefix, collected by the same code as those of a message. */
	struct summary_builder *b = summary_builder_new();
	summary_builder_feed(b, prefix);
	mime_parser_finish(b->mime);
	bool keep = (s.flags & SUMMARY_F_FIELDS) != 0 && !b->fields_cut && buf_addsv(&b->fields, s.fields) == 0;

	CLEANUP(buf_freep) struct buf body = BUF_INIT(SUMMARY_MAX);
	put64(&body, s.size + n);
	put64(&body, s.size_crlf + n + bare);
	put32(&body, s.lines + lines);
	put16(&body, (uint16_t)s.nparts);
	put16(&body, 0);
	for (size_t i = 0; i < s.nparts; i++) {
		struct mime_part p;
		summary_part(&s, i, &p);
		if (i == 0) {
			p.hdr_len += n;
			p.hdr_crlf += n + bare;
			p.hdr_lines += lines;
		} else {
			p.hdr_off += n;
		}
		p.body_off += n;
		put_part(&body, &p);
	}
	put_text(&body, keep ? buf_sv(&b->fields) : SV_NONE);
	put_text(&body, s.envelope);
	put_text(&body, s.bodystructure);
	summary_builder_free(&b);
	return seal(out, keep ? SUMMARY_F_FIELDS : 0, &body, SUMMARY_MAX, err);
}

/* ---- from a file ---- */

int summary_of_sv(struct sv message, struct buf *out, struct err *err)
{
	struct summary_builder *b = summary_builder_new();
	summary_builder_feed(b, message);
	int r = finish(b, SUMMARY_LARGE_MAX, out, err);
	summary_builder_free(&b);
	return r;
}

int summary_of_fd(int fd, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *block = xmalloc(READ_SIZE);
	struct summary_builder *b = summary_builder_new();
	off_t at = 0;
	int r = 0;
	for (;;) {
		ssize_t n = pread(fd, block, READ_SIZE, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = err_sys(err, "read of a message");
		if (n <= 0)
			break;
		summary_builder_feed(b, sv_of(block, (size_t)n));
		at += n;
	}
	if (r == 0)
		r = finish(b, SUMMARY_LARGE_MAX, out, err);
	summary_builder_free(&b);
	return r;
}
