/* qp.h - decoding of body parts: quoted-printable and base64 (RFC 2045 section 6), streaming and forgiving. */
#ifndef MERPATI_QP_H
#define MERPATI_QP_H

#include "base/buf.h"

enum part_encoding { PART_IDENTITY, PART_QP, PART_BASE64 };

/* Zero-initialise with the encoding; feed pieces of any size; finish once. */
struct part_decoder {
	enum part_encoding encoding;
	uint32_t bits; /* private: base64 */
	unsigned nbits;
	char held[3]; /* private: quoted-printable, an escape that is not complete, or blanks */
	unsigned nheld;
};

/* Encoding by the value of Content-Transfer-Encoding; an unknown one is taken as identity. */
enum part_encoding part_encoding(struct sv value);
/* Appends what can be decoded; bytes that fit no rule are passed on (quoted-printable) or skipped (base64). */
void part_decode(struct part_decoder *d, struct sv in, struct buf *out);
void part_decode_end(struct part_decoder *d, struct buf *out);

#endif
