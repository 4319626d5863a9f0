/*
 * mime_tree.h - ENVELOPE and BODYSTRUCTURE (RFC 3501 section 7.4.2) of a parsed message, and strings as IMAP sends
 * them.
 */
#ifndef MERPATI_MIME_TREE_H
#define MERPATI_MIME_TREE_H

#include "message/mime.h"

#define MIME_ADDRESSES_MAX 4096			      /* addresses and group marks of one field in ENVELOPE */
#define MIME_TEXT_DEPTH_MAX (4 * MIME_DEPTH_MAX + 16) /* parentheses inside each other that mime_text_ok accepts */

/* Appends a string: quoted when it is short and 7-bit, else a literal; NUL becomes '?'.  SV_NONE is NIL. */
void mime_put_nstring(struct buf *out, struct sv s);

/* Appends "(date subject from ...)" of the message that is node i (its is_message must be set). */
void mime_put_envelope(const struct mime_parser *p, size_t i, struct buf *out);

/* Appends the structure of node i and all below it, with extension data (BODYSTRUCTURE). */
void mime_put_bodystructure(const struct mime_parser *p, size_t i, struct buf *out);

/* Appends BODY (without extension data) made from a BODYSTRUCTURE text.  0, or ERR_CORRUPT. */
int mime_body_of_structure(struct sv bodystructure, struct buf *out);

/* Is this one parenthesised list of strings, literals, NIL, numbers and such lists, and nothing else? */
bool mime_text_ok(struct sv s);

#endif
