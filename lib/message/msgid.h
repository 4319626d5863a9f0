/* msgid.h - message identifiers (RFC 5322 section 3.6.4).  Pure. */
#ifndef MERPATI_MSGID_H
#define MERPATI_MSGID_H

#include "base/buf.h"

#define MSGID_MAX 998 /* bytes of an identifier that msgid_next hands out, brackets included */

/* Appends "<20261121210000.QUEUEID@host>", Postfix's form, time in UTC; 0 or ERR_LIMIT. */
int msgid_make(struct buf *out, int64_t t, const char *queue_id, const char *host);

/*
 * The next identifier in the value of Message-ID, In-Reply-To or References: true and *id with its angle brackets, as
 * it stands; *in is advanced past it.  Text, comments and quoted strings between identifiers are skipped.
 */
bool msgid_next(struct sv *in, struct sv *id);

#endif
