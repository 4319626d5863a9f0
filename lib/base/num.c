/* num.c - strict numbers; see num.h. */
#include "base/num.h"
#include "base/err.h"

static int digit_of(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	int l = ascii_lower((unsigned char)c);
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : 99;
}

static int parse_base(struct sv s, unsigned base, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)digit_of(s.p[i]);
		if (d >= base)
			return ERR_SYNTAX;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return ERR_LIMIT;
	}
	*out = v;
	return 0;
}

int num_u64(struct sv s, uint64_t *out)
{
	return parse_base(s, 10, out);
}

int num_octal(struct sv s, uint64_t *out)
{
	return parse_base(s, 8, out);
}

int num_hex(struct sv s, uint64_t *out)
{
	return parse_base(s, 16, out);
}

int num_range(struct sv s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v;
	int r = num_u64(s, &v);
	if (r < 0)
		return r;
	if (v < min || v > max)
		return ERR_LIMIT;
	*out = v;
	return 0;
}

int num_u32(struct sv s, uint32_t *out)
{
	uint64_t v;
	int r = num_range(s, 0, UINT32_MAX, &v);
	if (r == 0)
		*out = (uint32_t)v;
	return r;
}

int num_i64(struct sv s, int64_t *out)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t v;
	int r = num_u64(negative ? sv_skip(s, 1) : s, &v);
	if (r < 0)
		return r;
	if (v > (uint64_t)INT64_MAX)
		return ERR_LIMIT;
	*out = negative ? -(int64_t)v : (int64_t)v;
	return 0;
}

int num_duration(struct sv s, char unit, uint64_t *seconds)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
	uint64_t v;

	if (s.n && ascii_isalpha((unsigned char)s.p[s.n - 1])) {
		unit = (char)ascii_lower((unsigned char)s.p[s.n - 1]);
		s.n--;
	}
	int r = num_u64(s, &v);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (units[i].unit != unit)
			continue;
		if (__builtin_mul_overflow(v, units[i].seconds, &v))
			return ERR_LIMIT;
		*seconds = v;
		return 0;
	}
	return ERR_SYNTAX;
}
