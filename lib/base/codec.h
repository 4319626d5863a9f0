/* codec.h - base64 (RFC 4648), hexadecimal, RFC 3461 xtext, CRC-32C.  Pure functions. */
#ifndef MERPATI_CODEC_H
#define MERPATI_CODEC_H

#include "base/buf.h"

int base64_encode(struct buf *out, struct sv in); /* appends, padded, no line breaks; 0 or ERR_LIMIT */
int base64_decode(
    struct buf *out, struct sv in);	       /* strict: padding required, no white space; 0, ERR_SYNTAX, ERR_LIMIT */
int hex_encode(struct buf *out, struct sv in); /* lower case */
int hex_decode(struct buf *out, struct sv in);
int xtext_encode(struct buf *out, struct sv in); /* RFC 3461 section 4 */
int xtext_decode(struct buf *out, struct sv in);
uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* Castagnoli; start with 0, feed in pieces */

#endif
