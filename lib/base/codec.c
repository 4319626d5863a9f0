/* codec.c - base64, hex, xtext, CRC-32C; see codec.h. */
#include "base/codec.h"
#include "base/err.h"

static const char b64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_lower[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

int base64_encode(struct buf *out, struct sv in)
{
	const unsigned char *s = (const unsigned char *)in.p;
	size_t len = (in.n + 2) / 3 * 4;
	char *to = buf_reserve(out, len);

	if (to == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v =
		    (uint32_t)s[i] << 16 | (left > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (left > 2 ? s[i + 2] : 0u);
		*to++ = b64_digits[v >> 18];
		*to++ = b64_digits[v >> 12 & 63];
		*to++ = left > 1 ? b64_digits[v >> 6 & 63] : '=';
		*to++ = left > 2 ? b64_digits[v & 63] : '=';
	}
	out->n += len;
	return 0;
}

static int b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_isdigit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct buf *out, struct sv in)
{
	size_t pad = 0, before = out->n;

	if (in.n % 4 != 0)
		return ERR_SYNTAX;
	while (pad < 2 && pad < in.n && in.p[in.n - 1 - pad] == '=')
		pad++;
	char *to = buf_reserve(out, in.n / 4 * 3);
	if (to == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i < in.n; i += 4) {
		uint32_t v = 0;
		size_t fill = i + 4 == in.n ? pad : 0; /* '=' counts as zero bits only at the very end */
		for (size_t k = 0; k < 4; k++) {
			int d = k >= 4 - fill ? 0 : b64_value(in.p[i + k]);
			if (d < 0) {
				out->n = before;
				return ERR_SYNTAX;
			}
			v = v << 6 | (uint32_t)d;
		}
		/* RFC 4648 section 3.5: the bits that padding leaves over must be zero. */
		if ((fill == 1 && (v & 0xff)) || (fill == 2 && (v & 0xffff))) {
			out->n = before;
			return ERR_SYNTAX;
		}
		*to++ = (char)(v >> 16);
		*to++ = (char)(v >> 8);
		*to++ = (char)v;
		out->n += 3 - fill;
	}
	return 0;
}

int hex_encode(struct buf *out, struct sv in)
{
	char *to = in.n > SIZE_MAX / 2 ? NULL : buf_reserve(out, in.n * 2);
	if (to == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i < in.n; i++) {
		*to++ = hex_lower[(unsigned char)in.p[i] >> 4];
		*to++ = hex_lower[(unsigned char)in.p[i] & 15];
	}
	out->n += in.n * 2;
	return 0;
}

static int hex_value(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	int l = ascii_lower((unsigned char)c);
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

int hex_decode(struct buf *out, struct sv in)
{
	if (in.n % 2 != 0)
		return ERR_SYNTAX;
	char *to = buf_reserve(out, in.n / 2);
	if (to == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i < in.n; i += 2) {
		int hi = hex_value(in.p[i]), lo = hex_value(in.p[i + 1]);
		if (hi < 0 || lo < 0)
			return ERR_SYNTAX;
		*to++ = (char)(hi << 4 | lo);
	}
	out->n += in.n / 2;
	return 0;
}

int xtext_encode(struct buf *out, struct sv in)
{
	size_t before = out->n;
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = (unsigned char)in.p[i];
		bool plain = c > 32 && c < 127 && c != '+' && c != '=';
		char coded[3] = {'+', hex_upper[c >> 4], hex_upper[c & 15]};
		if (buf_add(out, plain ? (const char *)&c : coded, plain ? 1 : 3) < 0) {
			out->n = before;
			return ERR_LIMIT;
		}
	}
	return 0;
}

int xtext_decode(struct buf *out, struct sv in)
{
	size_t before = out->n;
	int r = 0;
	for (size_t i = 0; i < in.n && r == 0; i++) {
		char c = in.p[i];
		if (c == '+') {
			int hi = i + 2 < in.n ? hex_value(in.p[i + 1]) : -1;
			int lo = i + 2 < in.n ? hex_value(in.p[i + 2]) : -1;
			if (hi < 0 || lo < 0) {
				r = ERR_SYNTAX;
				break;
			}
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c <= 32 || c == 127 || c == '=') {
			r = ERR_SYNTAX;
			break;
		}
		r = buf_addc(out, c);
	}
	if (r < 0)
		out->n = before;
	return r;
}

/* Slicing by one byte with a table made of the reflected polynomial 0x82f63b78; SSE 4.2 where the compiler may use it.
 */
#if defined(__x86_64__)
#include <cpuid.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(uint32_t crc, const unsigned char *p, size_t n)
{
	uint64_t c = crc;
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		c = __builtin_ia32_crc32di(c, v);
	}
	for (; n > 0; p++, n--)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return (uint32_t)c;
}
#endif

static uint32_t crc32c_bits(uint32_t crc, const unsigned char *p, size_t n)
{
	for (; n > 0; p++, n--) {
		crc ^= *p;
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0x82f63b78u & -(crc & 1));
	}
	return crc;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	crc = ~crc;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc32c_sse(crc, p, n);
#endif
	return ~crc32c_bits(crc, p, n);
}
