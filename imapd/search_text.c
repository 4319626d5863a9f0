/* search_text.c - header fields and decoded body parts; see search_text.h. */
#include "imapd/search_text.h"

#include "message/charset.h"
#include "message/hdr.h"
#include "message/qp.h"
#include "message/rfc2047.h"
#include "message/rfc2231.h"

#define DECODED_MAX (64u << 20) /* bound of a decoded block: FETCH_BLOCK times what a converter may make of a byte */

/* Header text that holds all fields of that name: from the summary when it has them, else the file's header. */
static int header_with(struct view *v, struct sv name, struct sv *text)
{
	struct mime_part p;
	int r = view_summary(v);
	if (r != 0)
		return r;
	if (summary_has_field(name) && (v->summary.flags & SUMMARY_F_FIELDS)) {
		*text = v->summary.fields;
		return 0;
	}
	summary_part(&v->summary, 0, &p);
	r = view_read(v, p.hdr_off, p.hdr_len);
	*text = buf_sv(&v->text);
	return r;
}

/* The next field; lines that are none are skipped. */
static bool next_field(struct sv *text, struct hdr_field *f)
{
	for (;;) {
		enum hdr_result r = hdr_next(text, f);
		if (r == HDR_FIELD)
			return true;
		if (r != HDR_BODY || text->n == 0)
			return false;
		ssize_t lf = sv_chr(*text, '\n');
		*text = sv_skip(*text, lf < 0 ? text->n : (size_t)lf + 1);
	}
}

static bool find_in_value(struct sv value, struct sv needle)
{
	CLEANUP(buf_freep)
	struct buf text = BUF_INIT(4 * FETCH_HEADER_MAX), folded = BUF_INIT(8 * (size_t)FETCH_HEADER_MAX);
	rfc2047_decode(&text, value);
	text_fold(&folded, buf_sv(&text));
	return needle.n == 0 || (folded.n > 0 && memmem(folded.p, folded.n, needle.p, needle.n) != NULL);
}

int search_field(struct view *v, struct sv name, struct sv needle)
{
	struct hdr_field f;
	struct sv text;
	int r = header_with(v, name, &text);
	if (r != 0)
		return r;
	while (next_field(&text, &f))
		if (sv_ieq(f.name, name) && find_in_value(f.value, needle))
			return 1;
	return 0;
}

int search_get_field(struct view *v, const char *name, struct sv *value)
{
	struct hdr_field f;
	struct sv text;
	int r = header_with(v, sv_str(name), &text);
	if (r != 0)
		return r;
	while (next_field(&text, &f)) {
		if (sv_ieqs(f.name, name)) {
			*value = f.value;
			return 1;
		}
	}
	return 0;
}

/* ---- bodies ---- */

struct body_search {
	struct view *v;
	struct text_find find;
	struct part_decoder decoder;
	struct charset charset;
	struct buf decoded, utf8;
};

/* Encoding and character set of a part, from its header; part 0's and messages' headers count as theirs. */
static void part_setup(struct body_search *b, struct sv header)
{
	struct hdr_field f;
	struct sv charset = SV_NONE, type, subtype, params, name, value;
	struct arena arena;
	arena_init(&arena, 1u << 20);
	b->decoder = (struct part_decoder){.encoding = PART_IDENTITY};
	while (next_field(&header, &f)) {
		if (sv_ieqs(f.name, "content-transfer-encoding"))
			b->decoder.encoding = part_encoding(f.value);
		if (!sv_ieqs(f.name, "content-type") || !mime_type(f.value, &type, &subtype, &params))
			continue;
		while (mime_param(&params, &arena, &name, &value))
			if (sv_ieqs(name, "charset"))
				charset = value;
	}
	charset_open(&b->charset, charset);
	arena_clear(&arena);
}

static void feed(struct body_search *b, struct sv in)
{
	if (b->decoder.encoding != PART_IDENTITY) {
		buf_reset(&b->decoded);
		part_decode(&b->decoder, in, &b->decoded);
		in = buf_sv(&b->decoded);
	}
	if (b->charset.cd != (iconv_t)-1) {
		buf_reset(&b->utf8);
		charset_convert(&b->charset, in, &b->utf8);
		in = buf_sv(&b->utf8);
	}
	text_find_feed(&b->find, in);
}

static int search_part(struct body_search *b, const struct mime_part *p)
{
	struct view *v = b->v;
	int r = view_read(v, p->hdr_off, p->hdr_len);
	if (r != 0)
		return r;
	part_setup(b, buf_sv(&v->text));
	text_find_restart(&b->find);
	uint64_t at = 0;
	while (at < p->body_len && !b->find.found) {
		size_t want = p->body_len - at < FETCH_BLOCK ? (size_t)(p->body_len - at) : FETCH_BLOCK;
		ssize_t n = pread(v->fd, v->block, want, (off_t)(p->body_off + at));
		if (n <= 0)
			break;
		feed(b, sv_of(v->block, (size_t)n));
		at += (uint64_t)n;
	}
	charset_close(&b->charset);
	return 0;
}

/* Names of attachments, which stand in parameters. */
static void search_params(struct body_search *b, const struct hdr_field *f)
{
	static const struct {
		const char *field, *param;
	} names[] = {{"content-type", "name"}, {"content-disposition", "filename"}};
	ssize_t semi = sv_chr(f->value, ';');
	for (size_t i = 0; i < ARRAY_LEN(names) && semi >= 0 && !b->find.found; i++) {
		if (!sv_ieqs(f->name, names[i].field))
			continue;
		buf_reset(&b->utf8);
		if (!rfc2231_param(&b->utf8, sv_skip(f->value, (size_t)semi), names[i].param))
			continue;
		text_find_restart(&b->find);
		text_find_feed(&b->find, buf_sv(&b->utf8));
	}
}

/* The header of a part or an embedded message, decoded field by field. */
static int search_header(struct body_search *b, const struct mime_part *p)
{
	struct hdr_field f;
	int r = view_read(b->v, p->hdr_off, p->hdr_len);
	if (r != 0)
		return r;
	struct sv text = buf_sv(&b->v->text);
	while (!b->find.found && next_field(&text, &f)) {
		text_find_restart(&b->find);
		text_find_feed(&b->find, f.name);
		text_find_feed(&b->find, SV(": "));
		buf_reset(&b->utf8);
		rfc2047_decode(&b->utf8, f.value);
		text_find_feed(&b->find, buf_sv(&b->utf8));
		search_params(b, &f);
	}
	return 0;
}

int search_body(struct view *v, struct sv needle, bool header)
{
	struct body_search b = {.v = v, .decoded = BUF_INIT(DECODED_MAX), .utf8 = BUF_INIT(DECODED_MAX)};
	struct mime_part p;
	int r = view_summary(v);
	if (r == 0)
		r = view_file(v);
	if (r != 0)
		return r;
	if (v->block == NULL)
		v->block = xmalloc(FETCH_BLOCK);
	text_find_init(&b.find, needle);
	for (size_t i = 0; i < v->summary.nparts && r == 0 && !b.find.found; i++) {
		summary_part(&v->summary, i, &p);
		if (i > 0 || header)
			r = search_header(&b, &p);
		if (r == 0 && p.kind == MIME_LEAF && p.text && !b.find.found)
			r = search_part(&b, &p);
	}
	bool found = b.find.found;
	text_find_free(&b.find);
	buf_free(&b.decoded);
	buf_free(&b.utf8);
	return found ? 1 : r;
}
