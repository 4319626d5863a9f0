#include "message/hdr.h"

enum { ST_START, ST_FIRST, ST_MORE, ST_LOOK, ST_OUT, ST_DONE };

/* Least bound of a field: the name must fit, so that a line that is no field is known in time. */
#define FIELD_MIN 2048

bool hdr_name_valid(struct sv name)
{
	if (name.n == 0 || name.n > HDR_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= 32 || c >= 127 || c == ':')
			return false;
	}
	return true;
}

bool hdr_split(struct sv raw, struct hdr_field *f)
{
	ssize_t colon = sv_chr(raw, ':');

	*f = (struct hdr_field){.raw = raw};
	if (colon >= 0) {
		struct sv name = sv_head(raw, (size_t)colon);

		while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
			name.n--;
		if (hdr_name_valid(name)) {
			f->name = name;
			f->value = sv_trim(sv_skip(raw, (size_t)colon + 1));
			return true;
		}
	}
	f->name = sv_head(raw, 0);
	f->value = sv_trim(raw);
	return false;
}

/* Length of the line at the beginning of s, with its LF. */
static size_t line_len(struct sv s)
{
	ssize_t lf = sv_chr(s, '\n');

	return lf < 0 ? s.n : (size_t)lf + 1;
}

static bool is_blank_line(struct sv line)
{
	return (line.n == 1 && line.p[0] == '\n') || (line.n == 2 && line.p[0] == '\r' && line.p[1] == '\n');
}

enum hdr_result hdr_next(struct sv *in, struct hdr_field *f)
{
	size_t n = line_len(*in);

	*f = (struct hdr_field){.raw = sv_head(*in, 0), .name = sv_head(*in, 0), .value = sv_head(*in, 0)};
	if (n == 0)
		return HDR_END;
	if (is_blank_line(sv_head(*in, n))) {
		*in = sv_skip(*in, n);
		return HDR_END;
	}
	if (!hdr_split(sv_head(*in, n), f)) {
		f->raw = sv_head(*in, 0);
		return HDR_BODY;
	}
	while (n < in->n && (in->p[n] == ' ' || in->p[n] == '\t'))
		n += line_len(sv_skip(*in, n));
	hdr_split(sv_head(*in, n), f);
	*in = sv_skip(*in, n);
	return HDR_FIELD;
}

bool hdr_find(struct sv text, const char *name, struct sv *value)
{
	struct hdr_field f;

	while (hdr_next(&text, &f) == HDR_FIELD) {
		if (sv_ieqs(f.name, name)) {
			*value = f.value;
			return true;
		}
	}
	return false;
}

size_t hdr_length(struct sv text)
{
	struct sv rest = text;
	struct hdr_field f;

	while (hdr_next(&rest, &f) == HDR_FIELD)
		;
	return text.n - rest.n;
}

int hdr_unfold(struct buf *out, struct sv value)
{
	while (value.n > 0) {
		size_t i = 0;

		while (i < value.n && value.p[i] != '\r' && value.p[i] != '\n')
			i++;
		if (buf_add(out, value.p, i) < 0)
			return ERR_LIMIT;
		value = sv_skip(value, i);
		while (value.n > 0 && (value.p[0] == '\r' || value.p[0] == '\n'))
			value = sv_skip(value, 1);
	}
	return 0;
}

/* End of the piece of s that begins at `at` and may not be broken inside: up to the next white space outside quotes. */
static size_t word_end(struct sv s, size_t at)
{
	bool quoted = false;
	size_t i = at;

	while (i < s.n && ascii_isspace((unsigned char)s.p[i]))
		i++;
	for (; i < s.n; i++) {
		char c = s.p[i];

		if (quoted && c == '\\' && i + 1 < s.n)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && ascii_isspace((unsigned char)c))
			break;
	}
	return i;
}

static int add_clean(struct buf *out, struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (buf_addc(out, c == '\r' || c == '\n' ? ' ' : c) < 0)
			return ERR_LIMIT;
	}
	return 0;
}

int hdr_fold(struct buf *out, const char *name, struct sv value, const char *eol)
{
	size_t mark = out->n, column;

	value = sv_trim(value);
	column = strlen(name) + 1;
	if (buf_printf(out, "%s:", name) < 0)
		return ERR_LIMIT;
	for (size_t at = 0, end; at < value.n; at = end) {
		bool first = at == 0;

		end = word_end(value, at);
		if (first && buf_addc(out, ' ') < 0)
			goto full;
		column += first;
		if (!first && column + (end - at) > HDR_FOLD_WIDTH) {
			/* The white space before the word begins the new line. */
			if (buf_adds(out, eol) < 0)
				goto full;
			column = 0;
		}
		if (add_clean(out, sv_of(value.p + at, end - at)) < 0)
			goto full;
		column += end - at;
	}
	if (buf_adds(out, eol) == 0)
		return 0;
full:
	out->n = mark;
	return ERR_LIMIT;
}

void hdr_reader_init(struct hdr_reader *r, size_t field_max)
{
	*r = (struct hdr_reader){.state = ST_START};
	if (field_max == 0)
		field_max = HDR_FIELD_MAX;
	buf_init(&r->field, field_max < FIELD_MIN ? FIELD_MIN : field_max);
}

void hdr_reader_free(struct hdr_reader *r)
{
	buf_free(&r->field);
}

/* Keeps what fits; the last byte of the bound is for the line end of a field that was cut. */
static void collect(struct hdr_reader *r, struct sv piece)
{
	size_t room = r->field.max - 1 - r->field.n;

	r->total += piece.n;
	if (r->cut || piece.n > room) {
		if (!r->cut)
			buf_add(&r->field, piece.p, room);
		r->cut = true;
	} else {
		buf_addsv(&r->field, piece);
	}
}

static enum hdr_result hand_out(struct hdr_reader *r, struct hdr_field *f)
{
	if (r->cut)
		buf_addc(&r->field, '\n');
	hdr_split(buf_sv(&r->field), f);
	f->truncated = r->cut;
	r->state = ST_OUT;
	return HDR_FIELD;
}

static enum hdr_result finish(struct hdr_reader *r, struct hdr_field *f, enum hdr_result res)
{
	*f = (struct hdr_field){.raw = res == HDR_BODY ? buf_sv(&r->field) : sv_head(buf_sv(&r->field), 0)};
	if (res == HDR_BODY)
		r->total -= r->field.n;
	r->state = ST_DONE;
	return res;
}

/*
 * Is the line that is being collected, the first of a field, still possible as one?  Asked after every piece, so that
 * not more than FIELD_MIN bytes of a line that belongs to the body are ever taken.
 */
static bool first_line_bad(const struct hdr_reader *r, bool whole)
{
	struct sv s = buf_sv(&r->field);
	struct hdr_field f;

	if (sv_chr(s, ':') >= 0)
		return !hdr_split(s, &f);
	return whole || s.n > HDR_NAME_MAX;
}

/* Takes bytes up to the end of the line; true when the line is whole. */
static bool take_line(struct hdr_reader *r, struct sv *in)
{
	size_t n = line_len(*in),
	       most = r->state == ST_FIRST && r->field.n <= HDR_NAME_MAX ? HDR_NAME_MAX + 1 - r->field.n : n;
	struct sv piece = sv_head(*in, n < most ? n : most);

	collect(r, piece);
	*in = sv_skip(*in, piece.n);
	return piece.n > 0 && piece.p[piece.n - 1] == '\n';
}

static enum hdr_result at_end(struct hdr_reader *r, struct hdr_field *f)
{
	if (r->field.n == 0)
		return finish(r, f, HDR_END);
	if (r->state == ST_FIRST && first_line_bad(r, true))
		return finish(r, f, HDR_BODY);
	return hand_out(r, f);
}

enum hdr_result hdr_reader_feed(struct hdr_reader *r, struct sv *in, bool last, struct hdr_field *f)
{
	BUG_ON(r->state == ST_DONE);
	if (r->state == ST_OUT || r->state == ST_START) {
		buf_reset(&r->field);
		r->cut = false;
		r->state = ST_FIRST;
	}
	while (in->n > 0) {
		if (r->state == ST_LOOK) {
			if (in->p[0] != ' ' && in->p[0] != '\t')
				return hand_out(r, f);
			r->state = ST_MORE;
		}
		bool whole = take_line(r, in);

		if (r->state == ST_FIRST) {
			if (whole && is_blank_line(buf_sv(&r->field)))
				return finish(r, f, HDR_END);
			if (first_line_bad(r, whole))
				return finish(r, f, HDR_BODY);
			if (!whole && r->field.n > HDR_NAME_MAX)
				r->state =
				    ST_MORE; /* the name is there; the rest of the line needs no more looking at */
		}
		if (whole)
			r->state = ST_LOOK;
	}
	return last ? at_end(r, f) : HDR_MORE;
}
