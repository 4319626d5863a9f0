/* search_text.h - the texts of a message that SEARCH looks into. */
#ifndef MERPATI_IMAPD_SEARCH_TEXT_H
#define MERPATI_IMAPD_SEARCH_TEXT_H

#include "imapd/fetch.h"
#include "message/text_find.h"

/*
 * Is the (folded) text in a field of that name?  "" asks whether there is such a field.  1, 0, or negative when the
 * message cannot be read.
 */
int search_field(struct view *v, struct sv name, struct sv needle);

/* Is it in the decoded text parts of the body; with `header`, or in the header?  The same results. */
int search_body(struct view *v, struct sv needle, bool header);

/* The first field of that name, unfolded, into v->text: 1, 0 (none), negative. */
int search_get_field(struct view *v, const char *name, struct sv *value);

#endif
