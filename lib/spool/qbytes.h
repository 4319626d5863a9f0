/* qbytes.h - little-endian numbers in the queue file, and a bounded reader; for the files of this folder. */
#ifndef MERPATI_QBYTES_H
#define MERPATI_QBYTES_H

#include "base/buf.h"

static inline void le16(char *p, uint16_t v)
{
	p[0] = (char)v;
	p[1] = (char)(v >> 8);
}

static inline void le32(char *p, uint32_t v)
{
	le16(p, (uint16_t)v);
	le16(p + 2, (uint16_t)(v >> 16));
}

static inline void le64(char *p, uint64_t v)
{
	le32(p, (uint32_t)v);
	le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint16_t rd16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] | (unsigned char)p[1] << 8);
}

static inline uint32_t rd32(const char *p)
{
	return rd16(p) | (uint32_t)rd16(p + 2) << 16;
}

static inline uint64_t rd64(const char *p)
{
	return rd32(p) | (uint64_t)rd32(p + 4) << 32;
}

static inline int put32(struct buf *b, uint32_t v)
{
	char p[4];
	le32(p, v);
	return buf_add(b, p, sizeof(p));
}

static inline int put64(struct buf *b, uint64_t v)
{
	char p[8];
	le64(p, v);
	return buf_add(b, p, sizeof(p));
}

/* u32 length and bytes. */
static inline int putstr(struct buf *b, struct sv s)
{
	int r = put32(b, (uint32_t)s.n);
	return r < 0 ? r : buf_addsv(b, s);
}

static inline bool take32(struct sv *in, uint32_t *v)
{
	if (in->n < 4)
		return false;
	*v = rd32(in->p);
	*in = sv_skip(*in, 4);
	return true;
}

static inline bool take64(struct sv *in, uint64_t *v)
{
	if (in->n < 8)
		return false;
	*v = rd64(in->p);
	*in = sv_skip(*in, 8);
	return true;
}

static inline bool takestr(struct sv *in, struct sv *s, size_t max)
{
	uint32_t n;
	if (!take32(in, &n) || n > max || n > in->n)
		return false;
	*s = sv_of(in->p, n);
	*in = sv_skip(*in, n);
	return true;
}

#endif
