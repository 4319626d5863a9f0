/*
 * buf.h - a growable byte buffer with an upper bound.  Reaching the bound does not end anything: the append is dropped
 * whole, `overflow` stays set, and the owner checks it once at the end.  Initialise with BUF_INIT(max) or buf_init.
 */
#ifndef MERPATI_BUF_H
#define MERPATI_BUF_H

#include "base/sv.h"

struct buf {
	char *p;       /* bytes; NULL while nothing was added */
	size_t n;      /* bytes in use */
	size_t cap;    /* bytes allocated */
	size_t max;    /* bound for n */
	bool overflow; /* an append was dropped because of the bound */
};

#define BUF_INIT(bound)                                                                                                \
	{                                                                                                              \
		.max = (bound)                                                                                         \
	}

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);  /* frees the memory; the buffer is empty and usable again */
void buf_freep(struct buf *b); /* for CLEANUP */
void buf_wipe(struct buf *b);  /* buf_free for secrets: clears the memory first */

static inline void buf_reset(struct buf *b) /* empties, keeps the memory */
{
	b->n = 0;
	b->overflow = false;
}

static inline struct sv buf_sv(const struct buf *b)
{
	return sv_of(b->p, b->n);
}

/* Makes room for `more` bytes behind the used ones and returns where they begin; NULL (and overflow) past the bound. */
char *buf_reserve(struct buf *b, size_t more);

/* Appends; 0, or ERR_LIMIT with nothing appended. */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_addsv(struct buf *b, struct sv s);
int buf_adds(struct buf *b, const char *s);
int buf_addc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);
int buf_vprintf(struct buf *b, const char *fmt, va_list ap) ATTR_PRINTF(2, 0);

/* Drops the first n (at most b->n) bytes. */
void buf_consume(struct buf *b, size_t n);

/* The contents as a C string: puts a NUL behind the used bytes (not counted); "" when empty.  Valid until the next
 * append. */
const char *buf_cstr(struct buf *b);

/* Gives the memory to the caller as a NUL-terminated string (free() it); the buffer is empty afterwards. */
char *buf_steal(struct buf *b);

#endif
