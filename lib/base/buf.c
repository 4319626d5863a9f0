/* buf.c - bounded byte buffers; see buf.h. */
#include "base/buf.h"
#include "base/err.h"

#define BUF_FIRST 64 /* bytes of the first allocation */

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void buf_freep(struct buf *b)
{
	buf_free(b);
}

void buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_free(b);
}

/* One byte more than asked for is always there, for buf_cstr. */
static void grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	while (cap < need + 1)
		cap *= 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
}

char *buf_reserve(struct buf *b, size_t more)
{
	if (more > b->max || b->n > b->max - more) {
		b->overflow = true;
		return NULL;
	}
	if (b->n + more + 1 > b->cap)
		grow(b, b->n + more);
	return b->p + b->n;
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);
	if (to == NULL)
		return ERR_LIMIT;
	if (n)
		memcpy(to, p, n);
	b->n += n;
	return 0;
}

int buf_addsv(struct buf *b, struct sv s)
{
	return buf_add(b, s.p, s.n);
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	size_t room = b->cap > b->n ? b->cap - b->n : 0;
	int len = vsnprintf(room ? b->p + b->n : NULL, room, fmt, ap);
	BUG_ON(len < 0);
	if ((size_t)len >= room || b->n + (size_t)len > b->max) {
		char *to = buf_reserve(b, (size_t)len);
		if (to == NULL) {
			va_end(again);
			return ERR_LIMIT;
		}
		vsnprintf(to, (size_t)len + 1, fmt, again);
	}
	va_end(again);
	b->n += (size_t)len;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return r;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
	if (b->p == NULL)
		return "";
	b->p[b->n] = '\0';
	return b->p;
}

char *buf_steal(struct buf *b)
{
	if (b->p == NULL)
		grow(b, 0);
	char *p = b->p;
	p[b->n] = '\0';
	*b = (struct buf){.max = b->max};
	return p;
}
