/* qid.c - see qid.h. */
#include "spool/qid.h"

#include "base/err.h"

#define BASE_TIME 52
#define BASE_INODE 51
#define SEC_MIN 6
#define USEC_LEN 4

static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

/* Writes v with at least `min` digits; returns how many. */
static size_t put_base(char *out, uint64_t v, unsigned base, size_t min)
{
	char tmp[16];
	size_t n = 0;
	while (v > 0 || n < min) {
		/* cppcheck-suppress zerodivcond ; divides by base, which is 51 or 52 */
		tmp[n++] = digits[v % base];
		v /= base;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

void qid_make(char out[QID_MAX + 1], int64_t wall_us, uint64_t inode)
{
	uint64_t us = wall_us > 0 ? (uint64_t)wall_us : 0;
	size_t n = put_base(out, us / 1000000, BASE_TIME, SEC_MIN);
	n += put_base(out + n, us % 1000000, BASE_TIME, USEC_LEN);
	out[n++] = 'z';
	n += put_base(out + n, inode, BASE_INODE, 1);
	out[n] = '\0';
}

static bool get_base(struct sv s, uint64_t *v)
{
	uint64_t r = 0;
	for (size_t i = 0; i < s.n; i++) {
		const char *d = s.p[i] ? strchr(digits, s.p[i]) : NULL;
		if (!d || __builtin_mul_overflow(r, BASE_TIME, &r) ||
		    __builtin_add_overflow(r, (uint64_t)(d - digits), &r))
			return false;
	}
	*v = r;
	return true;
}

int qid_time(struct sv qid, int64_t *wall_us)
{
	uint64_t sec, us;
	/* 'z' may be a digit of the time, but the time is at least ten digits, and the inode has no z. */
	ssize_t z = sv_rchr(qid, 'z');
	if (z < SEC_MIN + USEC_LEN || z > 14)
		return ERR_SYNTAX;
	size_t nsec = (size_t)z - USEC_LEN;
	if (!get_base(sv_head(qid, nsec), &sec) || !get_base(sv_of(qid.p + nsec, USEC_LEN), &us) ||
	    sec > INT64_MAX / 2000000 || us > 999999)
		return ERR_SYNTAX;
	*wall_us = (int64_t)(sec * 1000000 + us);
	return 0;
}
