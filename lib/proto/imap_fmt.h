/* imap_fmt.h - pieces of responses (RFC 3501 section 7). */
#ifndef MERPATI_IMAP_FMT_H
#define MERPATI_IMAP_FMT_H

#include "base/buf.h"
#include "base/err.h"

/* As an atom where that is allowed, else quoted, else a literal.  0 or ERR_LIMIT. */
int imap_put_astring(struct buf *out, struct sv s);
/* Quoted or a literal; SV_NONE is NIL. */
int imap_put_nstring(struct buf *out, struct sv s);
/* A keyword (RFC 3501: flag-keyword) is an atom: true when s is one of at most max bytes. */
bool imap_is_atom(struct sv s, size_t max);
/* The text of a response line: control bytes, CR and LF become '?'. */
int imap_put_text(struct buf *out, struct sv s);

#endif
