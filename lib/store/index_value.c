/*
 * index_value.c - the form of a stored value: u8 version (1), u8 length of the name, u32 CRC-32C of all that follows,
 * name, bytes (little endian).
 */
#include "base/codec.h"
#include "store/index.h"

#define VALUE_VERSION 1
#define VALUE_HEAD 6

int index_value_encode(struct buf *out, struct sv uniq, struct sv bytes)
{
	unsigned char head[VALUE_HEAD] = {VALUE_VERSION, (unsigned char)uniq.n};
	uint32_t crc;

	if (!uniq.n || uniq.n > 255 || out->n + VALUE_HEAD + uniq.n + bytes.n > out->max)
		return ERR_LIMIT;
	crc = crc32c(crc32c(0, uniq.p, uniq.n), bytes.p, bytes.n);
	for (int i = 0; i < 4; i++)
		head[2 + i] = (unsigned char)(crc >> (8 * i));
	buf_add(out, head, sizeof(head));
	buf_addsv(out, uniq);
	return buf_addsv(out, bytes);
}

int index_value_decode(struct sv value, struct sv uniq, struct sv *bytes)
{
	const unsigned char *p = (const unsigned char *)value.p;
	uint32_t crc = 0;

	if (value.n < VALUE_HEAD || p[0] != VALUE_VERSION || !p[1] || value.n < VALUE_HEAD + (size_t)p[1])
		return ERR_CORRUPT;
	for (int i = 0; i < 4; i++)
		crc |= (uint32_t)p[2 + i] << (8 * i);
	if (crc32c(0, value.p + VALUE_HEAD, value.n - VALUE_HEAD) != crc)
		return ERR_CORRUPT;
	if (!sv_eq(sv_of(value.p + VALUE_HEAD, p[1]), uniq))
		return ERR_NOT_FOUND;
	*bytes = sv_skip(value, VALUE_HEAD + (size_t)p[1]);
	return 0;
}
