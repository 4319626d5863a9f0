/* imap_mutf7.c - modified UTF-7; see imap_mutf7.h. */
#include "proto/imap_mutf7.h"

#include "base/utf8.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool direct(uint32_t cp)
{
	return cp >= 0x20 && cp <= 0x7e;
}

/* Bits that wait to be written as base64 digits. */
struct bits {
	uint32_t v;
	unsigned n;
};

static void put_unit(struct buf *out, struct bits *b, uint32_t unit)
{
	b->v = b->v << 16 | unit;
	b->n += 16;
	while (b->n >= 6) {
		b->n -= 6;
		buf_addc(out, digits[b->v >> b->n & 63]);
	}
	b->v &= (1u << b->n) - 1;
}

int imap_mutf7_encode(struct buf *out, struct sv s)
{
	struct bits b = {0, 0};
	bool shifted = false;
	while (s.n > 0) {
		uint32_t cp;
		size_t n = utf8_next(s, &cp);
		if (n == 0 || cp < 0x20 || cp == 0x7f)
			return ERR_SYNTAX;
		s = sv_skip(s, n);
		if (direct(cp)) {
			if (shifted && b.n > 0)
				buf_addc(out, digits[b.v << (6 - b.n) & 63]);
			if (shifted)
				buf_addc(out, '-');
			shifted = false;
			b = (struct bits){0, 0};
			buf_addc(out, (char)cp);
			if (cp == '&')
				buf_addc(out, '-');
			continue;
		}
		if (!shifted)
			buf_addc(out, '&');
		shifted = true;
		if (cp >= 0x10000) {
			put_unit(out, &b, 0xd800 + ((cp - 0x10000) >> 10));
			put_unit(out, &b, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		} else {
			put_unit(out, &b, cp);
		}
	}
	if (shifted && b.n > 0)
		buf_addc(out, digits[b.v << (6 - b.n) & 63]);
	if (shifted)
		buf_addc(out, '-');
	return out->overflow ? ERR_LIMIT : 0;
}

/* One shifted run without '&' and '-'. */
static int decode_run(struct buf *out, struct sv run)
{
	struct bits b = {0, 0};
	uint32_t high = 0;
	for (size_t i = 0; i < run.n; i++) {
		const char *d = run.p[i] ? strchr(digits, run.p[i]) : NULL;
		if (d == NULL)
			return ERR_SYNTAX;
		b.v = b.v << 6 | (uint32_t)(d - digits);
		b.n += 6;
		if (b.n < 16)
			continue;
		b.n -= 16;
		uint32_t unit = b.v >> b.n & 0xffff;
		b.v &= (1u << b.n) - 1;
		if (high != 0) {
			if (unit < 0xdc00 || unit > 0xdfff)
				return ERR_SYNTAX;
			utf8_put(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
			high = 0;
		} else if (unit >= 0xd800 && unit <= 0xdbff) {
			high = unit;
		} else if (direct(unit) || unit < 0x20 || unit == 0x7f || utf8_put(out, unit) == ERR_SYNTAX) {
			return ERR_SYNTAX;
		}
	}
	return high != 0 || b.n >= 6 || b.v != 0 ? ERR_SYNTAX : 0;
}

int imap_mutf7_decode(struct buf *out, struct sv s)
{
	bool after_run = false;
	while (s.n > 0) {
		unsigned char c = (unsigned char)s.p[0];
		if (!direct(c))
			return ERR_SYNTAX;
		s = sv_skip(s, 1);
		if (c != '&') {
			buf_addc(out, (char)c);
			after_run = false;
			continue;
		}
		ssize_t end = sv_chr(s, '-');
		if (end < 0 || (end > 0 && after_run)) /* two runs would have been written as one */
			return ERR_SYNTAX;
		after_run = end > 0;
		if (end == 0)
			buf_addc(out, '&');
		else if (decode_run(out, sv_head(s, (size_t)end)) != 0)
			return ERR_SYNTAX;
		s = sv_skip(s, (size_t)end + 1);
	}
	return out->overflow ? ERR_LIMIT : 0;
}
