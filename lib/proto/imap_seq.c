/* imap_seq.c - sequence and UID sets; see imap_seq.h. */
#include "proto/imap_seq.h"

#include "base/num.h"

static bool take_number(struct sv *s, uint32_t *n)
{
	if (s->n > 0 && s->p[0] == '*') {
		*n = IMAP_STAR;
		*s = sv_skip(*s, 1);
		return true;
	}
	size_t k = 0;
	while (k < s->n && ascii_isdigit(s->p[k]))
		k++;
	uint32_t v;
	if (num_u32(sv_head(*s, k), &v) != 0 || v == 0)
		return false;
	*n = v;
	*s = sv_skip(*s, k);
	return true;
}

int imap_set_parse(struct arena *a, struct sv text, struct imap_set *out)
{
	size_t commas = 0, n = 0;
	for (size_t i = 0; i < text.n; i++)
		commas += text.p[i] == ',';
	if (commas >= IMAP_SET_RANGES_MAX)
		return ERR_LIMIT;
	struct imap_range *v = arena_alloc(a, (commas + 1) * sizeof(*v));
	if (v == NULL)
		return ERR_LIMIT;
	for (;;) {
		if (!take_number(&text, &v[n].lo))
			return ERR_SYNTAX;
		v[n].hi = v[n].lo;
		if (text.n > 0 && text.p[0] == ':') {
			text = sv_skip(text, 1);
			if (!take_number(&text, &v[n].hi))
				return ERR_SYNTAX;
		}
		n++;
		if (text.n == 0)
			break;
		if (text.p[0] != ',')
			return ERR_SYNTAX;
		text = sv_skip(text, 1);
	}
	*out = (struct imap_set){v, n};
	return 0;
}

static int by_start(const void *pa, const void *pb)
{
	const struct imap_range *a = pa, *b = pb;
	return a->lo < b->lo ? -1 : a->lo > b->lo;
}

void imap_set_resolve(struct imap_set *s, uint32_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct imap_range r = s->v[i];
		r.lo = r.lo == IMAP_STAR ? max : r.lo;
		r.hi = r.hi == IMAP_STAR ? max : r.hi;
		if (r.lo > r.hi)
			r = (struct imap_range){r.hi, r.lo};
		if (r.hi > 0)
			s->v[n++] = r;
	}
	qsort(s->v, n, sizeof(*s->v), by_start);
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		if (k > 0 && s->v[i].lo <= (uint64_t)s->v[k - 1].hi + 1) {
			if (s->v[i].hi > s->v[k - 1].hi)
				s->v[k - 1].hi = s->v[i].hi;
		} else {
			s->v[k++] = s->v[i];
		}
	}
	s->n = k;
}

bool imap_set_has(const struct imap_set *s, uint32_t n)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (n < s->v[mid].lo)
			hi = mid;
		else if (n > s->v[mid].hi)
			lo = mid + 1;
		else
			return true;
	}
	return false;
}

int imap_set_put(struct buf *out, const uint32_t *v, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t k = i;
		while (k + 1 < n && v[k + 1] == v[k] + 1)
			k++;
		int r = k > i ? buf_printf(out, "%s%u:%u", i ? "," : "", v[i], v[k])
			      : buf_printf(out, "%s%u", i ? "," : "", v[i]);
		if (r != 0)
			return r;
		i = k + 1;
	}
	return 0;
}
