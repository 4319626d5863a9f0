/* mime_text.c - reading the IMAP texts that stand in summaries: is it one, and BODY out of BODYSTRUCTURE. */
#include "base/err.h"
#include "base/num.h"
#include "message/mime_tree.h"

#define BODY_FIELDS 7 /* type, subtype, parameters, id, description, encoding, octets (RFC 3501: body-type-basic) */

/* Length of the quoted string, literal, NIL or number at the front; 0 when there is none. */
static size_t atom_length(struct sv s)
{
	if (s.n == 0)
		return 0;
	if (s.p[0] == '"') {
		for (size_t i = 1; i < s.n; i++) {
			unsigned char c = (unsigned char)s.p[i];
			if (c == '"')
				return i + 1;
			if (c == '\\' && (++i == s.n || (s.p[i] != '"' && s.p[i] != '\\')))
				return 0;
			if (c == '\r' || c == '\n' || c == 0 || c >= 0x80)
				return 0;
		}
		return 0;
	}
	if (s.p[0] == '{') {
		ssize_t close = sv_chr(sv_head(s, 16), '}');
		uint64_t n;
		if (close < 0 || num_u64(sv_of(s.p + 1, (size_t)close - 1), &n) != 0)
			return 0;
		size_t head = (size_t)close + 3;
		if (head > s.n || s.p[close + 1] != '\r' || s.p[close + 2] != '\n' || n > s.n - head)
			return 0;
		return memchr(s.p + head, '\0', (size_t)n) == NULL ? head + (size_t)n : 0;
	}
	if (sv_starts(s, SV("NIL")))
		return 3;
	size_t n = 0;
	while (n < s.n && n < 20 && ascii_isdigit(s.p[n]))
		n++;
	return n;
}

/* Length of the list or atom at the front, 0 when it is not well formed. */
static size_t item_length(struct sv s)
{
	size_t i = 0, depth = 0;
	bool separated = true; /* an atom may follow */
	do {
		struct sv at = sv_skip(s, i);
		if (at.n == 0)
			return 0;
		if (at.p[0] == '(') {
			if (++depth > MIME_TEXT_DEPTH_MAX)
				return 0;
			i++;
			separated = true;
		} else if (at.p[0] == ')') {
			if (depth == 0)
				return 0;
			depth--;
			i++;
			separated = false;
		} else if (at.p[0] == ' ') {
			if (separated || depth == 0)
				return 0;
			separated = true;
			i++;
		} else {
			size_t n = separated ? atom_length(at) : 0;
			if (n == 0)
				return 0;
			i += n;
			separated = false;
		}
	} while (depth > 0);
	return i;
}

bool mime_text_ok(struct sv s)
{
	return s.n > 0 && s.p[0] == '(' && item_length(s) == s.n;
}

/* Copies one item and the blank in front of it. */
static bool copy_item(struct sv *s, struct buf *out)
{
	if (s->n > 0 && s->p[0] == ' ') {
		buf_addc(out, ' ');
		*s = sv_skip(*s, 1);
	}
	size_t n = item_length(*s);
	if (n == 0)
		return false;
	buf_add(out, s->p, n);
	*s = sv_skip(*s, n);
	return true;
}

static bool copy_body(struct sv *s, struct buf *out, unsigned depth);

/* Basic, text or message part behind its '('; what follows the fields of BODY is dropped. */
static bool copy_single(struct sv *s, struct buf *out, unsigned depth)
{
	struct sv type = sv_head(*s, item_length(*s));
	struct sv rest = sv_skip(*s, type.n + 1);
	struct sv subtype = sv_head(rest, item_length(rest));
	for (unsigned i = 0; i < BODY_FIELDS; i++)
		if (!copy_item(s, out))
			return false;
	if (sv_ieqs(type, "\"message\"") && sv_ieqs(subtype, "\"rfc822\"")) {
		if (!copy_item(s, out) || s->n == 0 || s->p[0] != ' ')
			return false;
		buf_addc(out, ' ');
		*s = sv_skip(*s, 1);
		return copy_body(s, out, depth + 1) && copy_item(s, out);
	}
	return !sv_ieqs(type, "\"text\"") || copy_item(s, out);
}

static bool copy_body(struct sv *s, struct buf *out, unsigned depth)
{
	size_t whole = item_length(*s);
	if (depth > 2 * MIME_DEPTH_MAX || whole < 2 || s->p[0] != '(')
		return false;
	struct sv in = sv_of(s->p + 1, whole - 2);
	*s = sv_skip(*s, whole);
	buf_addc(out, '(');
	if (in.n > 0 && in.p[0] == '(') {
		while (in.n > 0 && in.p[0] == '(')
			if (!copy_body(&in, out, depth + 1))
				return false;
		if (!copy_item(&in, out))
			return false;
	} else if (!copy_single(&in, out, depth)) {
		return false;
	}
	buf_addc(out, ')');
	return true;
}

int mime_body_of_structure(struct sv bodystructure, struct buf *out)
{
	size_t mark = out->n;
	if (copy_body(&bodystructure, out, 0) && bodystructure.n == 0)
		return 0;
	out->n = mark;
	return ERR_CORRUPT;
}
