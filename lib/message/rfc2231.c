/* rfc2231.c - extended parameters; see rfc2231.h. */
#include "message/rfc2231.h"

#include "base/num.h"
#include "message/charset.h"
#include "message/mime.h"
#include "message/rfc2047.h"

#define PARAM_ARENA (256u << 10)

struct piece {
	struct sv value;
	bool there, encoded;
};

/* "", "*", "*7", "*7*" behind the name: section number and whether it is percent-encoded. */
static bool take_suffix(struct sv s, uint64_t *section, bool *encoded)
{
	*section = 0;
	*encoded = s.n > 0 && s.p[s.n - 1] == '*';
	if (*encoded)
		s.n--;
	if (s.n == 0)
		return true;
	return s.p[0] == '*' && num_range(sv_skip(s, 1), 0, RFC2231_SECTIONS_MAX - 1, section) == 0;
}

static int hex(char c)
{
	int l = ascii_lower(c);
	return ascii_isdigit(c) ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static void put_decoded(struct buf *out, struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
			buf_addc(out, (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2])));
			i += 2;
		} else {
			buf_addc(out, s.p[i]);
		}
	}
}

/* The first piece of an encoded value begins with charset'language'. */
static struct sv take_charset(struct sv *value)
{
	struct sv rest = *value;
	ssize_t a = sv_chr(rest, '\'');
	if (a < 0)
		return SV_NONE;
	struct sv charset = sv_head(rest, (size_t)a);
	rest = sv_skip(rest, (size_t)a + 1);
	ssize_t b = sv_chr(rest, '\'');
	if (b < 0)
		return SV_NONE;
	*value = sv_skip(rest, (size_t)b + 1);
	return charset;
}

static void put_pieces(struct buf *out, struct piece *pieces)
{
	CLEANUP(buf_freep) struct buf raw = BUF_INIT(PARAM_ARENA);
	struct charset c;
	charset_open(&c, pieces[0].encoded ? take_charset(&pieces[0].value) : SV_NONE);
	for (size_t i = 0; i < RFC2231_SECTIONS_MAX && pieces[i].there; i++) {
		if (pieces[i].encoded)
			put_decoded(&raw, pieces[i].value);
		else
			buf_addsv(&raw, pieces[i].value);
	}
	charset_convert(&c, buf_sv(&raw), out);
	charset_close(&c);
}

bool rfc2231_param(struct buf *out, struct sv params, const char *name)
{
	struct arena arena;
	struct piece *pieces;
	struct sv plain = SV_NONE, n, value, wanted = sv_str(name);
	bool found = false;

	arena_init(&arena, PARAM_ARENA);
	pieces = arena_alloc(&arena, RFC2231_SECTIONS_MAX * sizeof(*pieces));
	for (size_t i = 0; i < MIME_PARAMS_MAX + RFC2231_SECTIONS_MAX && mime_param(&params, &arena, &n, &value); i++) {
		uint64_t section;
		bool encoded;
		if (!sv_istarts(n, wanted) || !take_suffix(sv_skip(n, wanted.n), &section, &encoded))
			continue;
		if (n.n == wanted.n)
			plain = plain.p != NULL ? plain : sv_of(value.p ? value.p : "", value.n);
		else if (!pieces[section].there)
			pieces[section] = (struct piece){value, true, encoded};
	}
	if (pieces[0].there) {
		put_pieces(out, pieces);
		found = true;
	} else if (plain.p != NULL) {
		found = rfc2047_decode(out, plain) == 0;
	}
	arena_clear(&arena);
	return found && !out->overflow;
}
