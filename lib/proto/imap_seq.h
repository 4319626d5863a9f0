/* imap_seq.h - sequence and UID sets (RFC 3501 section 9: sequence-set), read and written. */
#ifndef MERPATI_IMAP_SEQ_H
#define MERPATI_IMAP_SEQ_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define IMAP_SET_RANGES_MAX 20000
#define IMAP_STAR 0 /* '*' in a set that is not resolved yet */

struct imap_range {
	uint32_t lo, hi; /* both belong to it */
};
struct imap_set {
	struct imap_range *v;
	size_t n;
};

/* Reads "1,3:5,*"; ranges as written, in the arena.  0, ERR_SYNTAX, ERR_LIMIT (too many ranges, arena used up). */
int imap_set_parse(struct arena *a, struct sv text, struct imap_set *out);

/* Replaces '*' by max (0 in an empty mailbox), turns ranges the right way round, sorts and joins them.  Ranges that are
 * nothing but '*' in an empty mailbox vanish. */
void imap_set_resolve(struct imap_set *s, uint32_t max);

/* Is n in the (resolved) set? */
bool imap_set_has(const struct imap_set *s, uint32_t n);

/* Appends the numbers v[0..n) (ascending) as a set: "1:3,7"; nothing when n is 0.  0 or ERR_LIMIT. */
int imap_set_put(struct buf *out, const uint32_t *v, size_t n);

#endif
