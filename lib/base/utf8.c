/* utf8.c - UTF-8 checks; see utf8.h. */
#include "base/utf8.h"
#include "base/err.h"

size_t utf8_next(struct sv s, uint32_t *cp)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len;
	uint32_t v;

	if (s.n == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		len = 2;
		v = p[0] & 0x1f;
	} else if ((p[0] & 0xf0) == 0xe0) {
		len = 3;
		v = p[0] & 0x0f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		len = 4;
		v = p[0] & 0x07;
	} else {
		return 0;
	}
	if (s.n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return len;
}

bool utf8_valid(struct sv s)
{
	while (s.n > 0) {
		uint32_t cp;
		size_t used = utf8_next(s, &cp);
		if (used == 0)
			return false;
		s = sv_skip(s, used);
	}
	return true;
}

bool ascii_only(struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= 0)
			return false;
	}
	return true;
}

int utf8_put(struct buf *out, uint32_t cp)
{
	char c[4];
	size_t n;

	if (cp < 0x80) {
		c[0] = (char)cp;
		n = 1;
	} else if (cp < 0x800) {
		c[0] = (char)(0xc0 | cp >> 6);
		c[1] = (char)(0x80 | (cp & 0x3f));
		n = 2;
	} else if (cp < 0x10000) {
		if (cp >= 0xd800 && cp <= 0xdfff)
			return ERR_SYNTAX;
		c[0] = (char)(0xe0 | cp >> 12);
		c[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		c[2] = (char)(0x80 | (cp & 0x3f));
		n = 3;
	} else {
		if (cp > 0x10ffff)
			return ERR_SYNTAX;
		c[0] = (char)(0xf0 | cp >> 18);
		c[1] = (char)(0x80 | (cp >> 12 & 0x3f));
		c[2] = (char)(0x80 | (cp >> 6 & 0x3f));
		c[3] = (char)(0x80 | (cp & 0x3f));
		n = 4;
	}
	return buf_add(out, c, n);
}

int text_printable(struct buf *out, struct sv s)
{
	while (s.n > 0) {
		uint32_t cp;
		size_t used = utf8_next(s, &cp);
		bool ok = used > 0 && cp >= 32 && cp != 127 && !(cp >= 0x80 && cp < 0xa0);
		if ((ok ? buf_add(out, s.p, used) : buf_addc(out, '?')) < 0)
			return ERR_LIMIT;
		s = sv_skip(s, used ? used : 1);
	}
	return 0;
}
