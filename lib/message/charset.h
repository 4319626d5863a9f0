/*
 * charset.h - text of any character set as UTF-8, over iconv(3).  Streaming: a character may be split between pieces.
 * iconv loads
 * modules from files when a set is first met, so a caged program must be able to read the folder that charset_modules
 * names; sets whose module is not to be had are passed on as they are, as is what cannot be converted ('?' for single
 * bytes).
 */
#ifndef MERPATI_CHARSET_H
#define MERPATI_CHARSET_H

#include <iconv.h>

#include "base/buf.h"

#define CHARSET_NAME_MAX 60
#define CHARSET_HELD_MAX 8

struct charset {
	iconv_t cd; /* (iconv_t)-1: bytes are passed on */
	bool known; /* the set is known (US-ASCII and UTF-8 need no converter) */
	char held[CHARSET_HELD_MAX];
	size_t nheld;
};

/* The folder of the C library's conversion modules, NULL when there is none.  Call it before the cage closes: it reads
 * their index.  Loading modules here instead would make every fork pay for their mappings. */
const char *charset_modules(void);
/* Never fails: with an unknown name, bytes are passed on. */
void charset_open(struct charset *c, struct sv name);
void charset_close(struct charset *c);
void charset_convert(struct charset *c, struct sv in, struct buf *out);
/* Begins a new text with the same set. */
void charset_reset(struct charset *c);

#endif
