/* rfc2047.h - encoded words in header values (RFC 2047) as UTF-8. */
#ifndef MERPATI_RFC2047_H
#define MERPATI_RFC2047_H

#include "base/buf.h"

#define RFC2047_WORD_MAX 2000 /* bytes of one encoded word (the RFC allows 75) */

/* Appends the value with encoded words decoded, line ends of folding dropped, white space between encoded words
 * dropped. What is no well-formed encoded word stays as it is.  0 or ERR_LIMIT. */
int rfc2047_decode(struct buf *out, struct sv value);

#endif
