/* rfc2047.c - encoded words; see rfc2047.h. */
#include "message/rfc2047.h"

#include "base/err.h"
#include "message/charset.h"
#include "message/qp.h"

struct word {
	struct sv charset, text;
	bool q;
	size_t length; /* bytes of the whole word */
};

/* "=?charset?B?text?=" at the front. */
static bool take_word(struct sv in, struct word *w)
{
	if (in.n < 8 || in.p[0] != '=' || in.p[1] != '?')
		return false;
	in = sv_head(in, RFC2047_WORD_MAX);
	struct sv rest = sv_skip(in, 2);
	ssize_t q1 = sv_chr(rest, '?');
	if (q1 <= 0 || rest.n < (size_t)q1 + 4 || rest.p[q1 + 2] != '?')
		return false;
	w->charset = sv_head(rest, (size_t)q1);
	ssize_t star = sv_chr(w->charset, '*'); /* RFC 2231 section 5: language */
	if (star >= 0)
		w->charset.n = (size_t)star;
	int enc = ascii_lower(rest.p[q1 + 1]);
	if (enc != 'q' && enc != 'b')
		return false;
	w->q = enc == 'q';
	rest = sv_skip(rest, (size_t)q1 + 3);
	ssize_t end = sv_find(rest, SV("?="));
	if (end < 0)
		return false;
	w->text = sv_head(rest, (size_t)end);
	if (sv_chr(w->text, '\n') >= 0)
		return false;
	w->length = in.n - rest.n + (size_t)end + 2;
	return true;
}

static void put_word(struct buf *out, const struct word *w, struct charset *c)
{
	CLEANUP(buf_freep) struct buf raw = BUF_INIT(2 * RFC2047_WORD_MAX);
	struct part_decoder d = {.encoding = w->q ? PART_QP : PART_BASE64};
	if (w->q) {
		for (size_t i = 0; i < w->text.n; i++) {
			char ch = w->text.p[i] == '_' ? ' ' : w->text.p[i];
			part_decode(&d, sv_of(&ch, 1), &raw);
		}
	} else {
		part_decode(&d, w->text, &raw);
	}
	part_decode_end(&d, &raw);
	charset_convert(c, buf_sv(&raw), out);
}

int rfc2047_decode(struct buf *out, struct sv s)
{
	struct charset c;
	struct sv open = SV_NONE; /* the set that c converts from */
	size_t blanks = 0;	  /* white space behind the last encoded word, not written yet */
	while (s.n > 0 && !out->overflow) {
		struct word w;
		if (take_word(s, &w)) {
			/* Neighbours of one set are one text: a character may be split between them. */
			if (open.p == NULL || !sv_ieq(open, w.charset)) {
				if (open.p != NULL)
					charset_close(&c);
				charset_open(&c, w.charset);
				open = w.charset;
			}
			put_word(out, &w, &c);
			s = sv_skip(s, w.length);
			blanks = 0;
			while (blanks < s.n && ascii_isspace(s.p[blanks]))
				blanks++;
			if (take_word(sv_skip(s, blanks), &w))
				s = sv_skip(s, blanks);
			continue;
		}
		if (open.p != NULL) {
			charset_close(&c);
			open = SV_NONE;
		}
		size_t n = 1;
		while (n < s.n && !(s.p[n] == '=' && n + 1 < s.n && s.p[n + 1] == '?'))
			n++;
		for (size_t i = 0; i < n; i++)
			if (s.p[i] != '\r' && s.p[i] != '\n')
				buf_addc(out, s.p[i]);
		s = sv_skip(s, n);
	}
	if (open.p != NULL)
		charset_close(&c);
	return out->overflow ? ERR_LIMIT : 0;
}
