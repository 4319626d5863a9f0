/* imap_mutf7.h - modified UTF-7 of mailbox names (RFC 3501 section 5.1.3). */
#ifndef MERPATI_IMAP_MUTF7_H
#define MERPATI_IMAP_MUTF7_H

#include "base/buf.h"
#include "base/err.h"

/* UTF-8 to modified UTF-7.  0, ERR_SYNTAX (not UTF-8, or control characters), ERR_LIMIT; nothing useful in out then. */
int imap_mutf7_encode(struct buf *out, struct sv utf8);

/* Modified UTF-7 to UTF-8; strict: what imap_mutf7_encode would write differently is ERR_SYNTAX. */
int imap_mutf7_decode(struct buf *out, struct sv name);

#endif
