/*
 * sv.h - string views: pointer and length, never owned, not NUL-terminated.  All text from outside is a view, so that a
 * NUL byte is a byte like any other.  ASCII only: no locale.
 */
#ifndef MERPATI_SV_H
#define MERPATI_SV_H

#include "base/base.h"

struct sv {
	const char *p;
	size_t n;
};

#define SV(lit) ((struct sv){(lit), sizeof(lit) - 1}) /* of a string literal */
#define SV_NONE ((struct sv){NULL, 0})
#define SV_FMT "%.*s"
#define SV_ARG(s) (int)(s).n, (s).p

static inline struct sv sv_of(const char *p, size_t n)
{
	return (struct sv){p, n};
}

static inline struct sv sv_str(const char *s)
{
	return (struct sv){s, s ? strlen(s) : 0};
}

static inline int ascii_lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static inline bool ascii_isdigit(int c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_isalpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_isalnum(int c)
{
	return ascii_isdigit(c) || ascii_isalpha(c);
}

static inline bool ascii_isspace(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool sv_eq(struct sv a, struct sv b);	 /* bytes equal */
bool sv_ieq(struct sv a, struct sv b);	 /* equal but for ASCII case */
bool sv_eqs(struct sv a, const char *s); /* sv_eq with a C string */
bool sv_ieqs(struct sv a, const char *s);
int sv_cmp(struct sv a, struct sv b); /* like memcmp, shorter first */
int sv_icmp(struct sv a, struct sv b);
bool sv_starts(struct sv s, struct sv prefix);
bool sv_istarts(struct sv s, struct sv prefix);
bool sv_ends(struct sv s, struct sv suffix);
bool sv_iends(struct sv s, struct sv suffix);
ssize_t sv_chr(struct sv s, char c);		/* index of the first c, -1 if none */
ssize_t sv_rchr(struct sv s, char c);		/* index of the last c, -1 if none */
ssize_t sv_find(struct sv s, struct sv needle); /* index of the first occurrence, -1 if none */

static inline struct sv sv_skip(struct sv s, size_t n) /* without the first n bytes */
{
	if (n > s.n)
		n = s.n;
	return n > 0 ? (struct sv){s.p + n, s.n - n} : s; /* NULL + 0 is undefined in C */
}

static inline struct sv sv_head(struct sv s, size_t n) /* at most the first n bytes */
{
	return (struct sv){s.p, n < s.n ? n : s.n};
}

struct sv sv_trim(struct sv s); /* without ASCII white space at both ends */

/*
 * Cuts *rest at the first byte that is in `seps`: returns what is before it, leaves in *rest what is behind it. Without
 * such a byte returns all and leaves *rest empty with p == NULL, so that `while (rest.p)` visits empty last fields too.
 */
struct sv sv_cut(struct sv *rest, const char *seps);

/* The next run of bytes not in `seps`, skipping leading separators; false at the end.  For white-space/comma lists. */
bool sv_token(struct sv *rest, const char *seps, struct sv *token);

char *sv_dup(struct sv s); /* NUL-terminated copy; the caller frees it */
bool sv_has_nul(struct sv s);

#endif
