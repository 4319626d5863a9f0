/* text_find.c - caseless search; see text_find.h. */
#include "message/text_find.h"

#include <unicase.h>

#include "base/err.h"
#include "base/utf8.h"

/* Eight bytes at a time: bit 7 of each byte of `upper` says that it is one of A to Z. */
static size_t fold_ascii(char *to, const char *from, size_t n)
{
	const uint64_t ones = 0x0101010101010101u;
	size_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t v;
		memcpy(&v, from + i, 8);
		uint64_t low = v & 0x7f * ones;
		uint64_t upper = (low + (0x80 - 'A') * ones) & ~(low + (0x7f - 'Z') * ones) & ~v & 0x80 * ones;
		v |= upper >> 2;
		memcpy(to + i, &v, 8);
	}
	for (; i < n; i++) {
		unsigned char c = (unsigned char)from[i];
		to[i] = (char)(c + ((unsigned)(c - 'A') < 26 ? 32 : 0));
	}
	return n;
}

int text_fold(struct buf *out, struct sv s)
{
	while (s.n > 0) {
		uint32_t cp;
		size_t n = 0;
		while (n < s.n && (unsigned char)s.p[n] < 0x80)
			n++;
		char *to = buf_reserve(out, n + 4);
		if (to == NULL)
			return ERR_LIMIT;
		out->n += fold_ascii(to, s.p, n);
		s = sv_skip(s, n);
		if (s.n == 0)
			break;
		n = utf8_next(s, &cp);
		if (n == 0)
			buf_addc(out, s.p[0]);
		else
			utf8_put(out, uc_tolower(cp));
		s = sv_skip(s, n ? n : 1);
	}
	return out->overflow ? ERR_LIMIT : 0;
}

void text_find_init(struct text_find *f, struct sv needle)
{
	*f = (struct text_find){.needle = needle, .ascii = true, .found = needle.n == 0};
	for (size_t i = 0; i < needle.n; i++)
		f->ascii = f->ascii && (unsigned char)needle.p[i] < 0x80;
}

void text_find_free(struct text_find *f)
{
	free(f->window);
	f->window = NULL;
}

void text_find_restart(struct text_find *f)
{
	f->n = 0;
	f->nheld = 0;
}

/* Looks through the window and keeps the end of it, where the needle may begin. */
static void look(struct text_find *f)
{
	if (memmem(f->window, f->n, f->needle.p, f->needle.n) != NULL) {
		f->found = true;
		return;
	}
	size_t keep = f->needle.n - 1 < f->n ? f->needle.n - 1 : f->n;
	memmove(f->window, f->window + f->n - keep, keep);
	f->n = keep;
}

static void feed_folded(struct text_find *f, struct sv in)
{
	while (in.n > 0 && !f->found) {
		size_t room = TEXT_FIND_WINDOW - f->n, n = in.n < room ? in.n : room;
		memcpy(f->window + f->n, in.p, n);
		f->n += n;
		look(f);
		in = sv_skip(in, n);
	}
}

bool text_find_feed(struct text_find *f, struct sv in)
{
	if (f->found || f->needle.n > TEXT_FIND_MAX)
		return f->found;
	if (f->window == NULL)
		f->window = xmalloc(TEXT_FIND_WINDOW);
	while (f->ascii && in.n > 0 && !f->found) {
		size_t room = TEXT_FIND_WINDOW - f->n, n = in.n < room ? in.n : room;
		f->n += fold_ascii(f->window + f->n, in.p, n);
		look(f);
		in = sv_skip(in, n);
	}
	if (f->ascii)
		return f->found;
	CLEANUP(buf_freep) struct buf text = BUF_INIT(SIZE_MAX / 4), folded = BUF_INIT(SIZE_MAX / 4);
	buf_add(&text, f->held, f->nheld);
	buf_addsv(&text, in);
	/* An incomplete character at the end waits for the next piece. */
	size_t cut = text.n, back = 0;
	while (back < 3 && cut > 0 && ((unsigned char)text.p[cut - 1] & 0xc0) == 0x80) {
		cut--;
		back++;
	}
	if (cut > 0 && (unsigned char)text.p[cut - 1] >= 0xc0) {
		unsigned char lead = (unsigned char)text.p[cut - 1];
		size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
		cut = back + 1 < need ? cut - 1 : text.n;
	} else {
		cut = text.n;
	}
	f->nheld = text.n - cut;
	if (f->nheld > 0)
		memcpy(f->held, text.p + cut, f->nheld);
	text_fold(&folded, sv_of(text.p, cut));
	feed_folded(f, buf_sv(&folded));
	return f->found;
}
