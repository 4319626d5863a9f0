/* rfc2231.h - parameters of MIME fields that are split, encoded, or in a character set (RFC 2231), as UTF-8. */
#ifndef MERPATI_RFC2231_H
#define MERPATI_RFC2231_H

#include "base/buf.h"

#define RFC2231_SECTIONS_MAX 100 /* pieces of one parameter: name*0 .. name*99 */

/*
 * Looks for parameter `name` in the parameters of a field value (from the first ';' on, as mime_type gives them) and
 * appends its value.  Of the forms name, name*, and name*0 ... the extended ones win; a plain value may hold encoded
 * words, which the standards forbid and mailers write.  True when there is one and it fitted into out.
 */
bool rfc2231_param(struct buf *out, struct sv params, const char *name);

#endif
