/* utf8.h - UTF-8 checks without tables of Unicode (those are libunistring's). */
#ifndef MERPATI_UTF8_H
#define MERPATI_UTF8_H

#include "base/buf.h"

bool utf8_valid(struct sv s);		     /* RFC 3629: no overlong forms, no surrogates, at most U+10FFFF */
bool ascii_only(struct sv s);		     /* every byte is 1..127 (NUL is not ASCII text) */
size_t utf8_next(struct sv s, uint32_t *cp); /* decodes one character; bytes used, 0 if invalid or empty */
int utf8_put(struct buf *out, uint32_t cp);  /* appends one character; 0, ERR_SYNTAX for a surrogate or > U+10FFFF */
/* Appends s with every byte that is not printable (controls, invalid UTF-8) as '?', for logs and screens. */
int text_printable(struct buf *out, struct sv s);

#endif
