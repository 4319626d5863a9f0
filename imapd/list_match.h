/* list_match.h - mailbox patterns of LIST and LSUB (RFC 3501 section 6.3.8). */
#ifndef MERPATI_IMAPD_LIST_MATCH_H
#define MERPATI_IMAPD_LIST_MATCH_H

#include "base/sv.h"

#define LIST_PATTERN_MAX 1000 /* bytes of reference and pattern together */

/* '*' is anything, '%' anything without `sep`; time O(name × pattern).  INBOX matches in any case. */
bool list_match(struct sv pattern, struct sv name, char sep);

#endif
