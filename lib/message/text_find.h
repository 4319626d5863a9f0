/* text_find.h - looks for a text in a stream of UTF-8 without regard to case (i;unicode-casemap in its simple form). */
#ifndef MERPATI_TEXT_FIND_H
#define MERPATI_TEXT_FIND_H

#include "base/buf.h"

#define TEXT_FIND_MAX 1000 /* bytes of a folded needle */
#define TEXT_FIND_WINDOW 65536

struct text_find {
	struct sv needle; /* folded; the caller's */
	bool ascii;	  /* the needle is ASCII: other characters need no folding */
	bool found;
	char *window; /* folded text: the end of what came before, then the new piece */
	size_t n;
	char held[4]; /* an incomplete character */
	size_t nheld;
};

/* Appends s in lower case (ASCII and Unicode simple case mapping; invalid bytes stay).  0 or ERR_LIMIT. */
int text_fold(struct buf *out, struct sv s);

void text_find_init(struct text_find *f, struct sv folded_needle);
void text_find_free(struct text_find *f);
void text_find_restart(struct text_find *f);		/* a new text; `found` is kept */
bool text_find_feed(struct text_find *f, struct sv in); /* true once the needle was found */

#endif
