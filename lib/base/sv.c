/* sv.c - string views; see sv.h. */
#include "base/sv.h"

bool sv_eq(struct sv a, struct sv b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool sv_ieq(struct sv a, struct sv b)
{
	return a.n == b.n && sv_icmp(a, b) == 0;
}

bool sv_eqs(struct sv a, const char *s)
{
	return sv_eq(a, sv_str(s));
}

bool sv_ieqs(struct sv a, const char *s)
{
	return sv_ieq(a, sv_str(s));
}

int sv_cmp(struct sv a, struct sv b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int d = n ? memcmp(a.p, b.p, n) : 0;
	return d != 0 ? d : (a.n > b.n) - (a.n < b.n);
}

int sv_icmp(struct sv a, struct sv b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	for (size_t i = 0; i < n; i++) {
		int d = ascii_lower((unsigned char)a.p[i]) - ascii_lower((unsigned char)b.p[i]);
		if (d != 0)
			return d;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool sv_starts(struct sv s, struct sv prefix)
{
	return s.n >= prefix.n && sv_eq(sv_head(s, prefix.n), prefix);
}

bool sv_istarts(struct sv s, struct sv prefix)
{
	return s.n >= prefix.n && sv_ieq(sv_head(s, prefix.n), prefix);
}

bool sv_ends(struct sv s, struct sv suffix)
{
	return s.n >= suffix.n && sv_eq(sv_skip(s, s.n - suffix.n), suffix);
}

bool sv_iends(struct sv s, struct sv suffix)
{
	return s.n >= suffix.n && sv_ieq(sv_skip(s, s.n - suffix.n), suffix);
}

ssize_t sv_chr(struct sv s, char c)
{
	const char *p = s.n ? memchr(s.p, c, s.n) : NULL;
	return p ? p - s.p : -1;
}

ssize_t sv_rchr(struct sv s, char c)
{
	const char *p = s.n ? memrchr(s.p, c, s.n) : NULL;
	return p ? p - s.p : -1;
}

ssize_t sv_find(struct sv s, struct sv needle)
{
	if (needle.n == 0)
		return 0;
	const char *p = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
	return p ? p - s.p : -1;
}

struct sv sv_trim(struct sv s)
{
	while (s.n && ascii_isspace((unsigned char)s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && ascii_isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool in_set(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

struct sv sv_cut(struct sv *rest, const char *seps)
{
	struct sv all = *rest;
	for (size_t i = 0; i < all.n; i++) {
		if (in_set(all.p[i], seps)) {
			*rest = sv_skip(all, i + 1);
			return sv_head(all, i);
		}
	}
	*rest = SV_NONE;
	return all;
}

bool sv_token(struct sv *rest, const char *seps, struct sv *token)
{
	size_t i = 0, start;
	while (i < rest->n && in_set(rest->p[i], seps))
		i++;
	start = i;
	while (i < rest->n && !in_set(rest->p[i], seps))
		i++;
	if (i == start)
		return false;
	*token = sv_of(rest->p + start, i - start);
	*rest = sv_skip(*rest, i);
	return true;
}

char *sv_dup(struct sv s)
{
	char *p = xmalloc(s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}

bool sv_has_nul(struct sv s)
{
	return sv_chr(s, '\0') >= 0;
}
