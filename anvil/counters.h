/*
 * counters.h - counters of (kind, key): events within a sliding window, and how many are held open and by whom.  Pure
 * but for memory: time is a parameter.  The number of entries is bounded; the one that was used longest ago and holds
 * nothing makes room.
 */
#ifndef MERPATI_ANVIL_COUNTERS_H
#define MERPATI_ANVIL_COUNTERS_H

#include "base/htable.h"
#include "base/sv.h"

#define COUNTER_SLICES 8 /* a window is that many slices: the rate is exact to an eighth of the window */

struct counters;
struct holder; /* what one caller holds */

struct counters *counters_new(size_t max);
void counters_free(struct counters **c);
struct holder *holder_new(struct counters *c);
void holder_free(struct holder **h); /* releases everything it holds */

/*
 * Adds `add` events now (milliseconds, monotonic) and holds `hold` more.  *rate: events of the last `window` seconds;
 * *open: held by all.  0, or ERR_LIMIT when the table is full of held entries or the holder holds too many.  A kind
 * should always be asked with the same window: another one begins the rate anew.
 */
int counters_add(struct counters *c, struct holder *h, struct sv kind, struct sv key, uint32_t add, uint32_t hold,
    uint32_t window, uint64_t now, uint32_t *rate, uint32_t *open);
void counters_release(struct counters *c, struct holder *h, struct sv kind, struct sv key, uint32_t n);
/* Drops entries that say nothing any more, oldest first, at most `most` of them looked at. */
void counters_sweep(struct counters *c, uint64_t now, size_t most);
size_t counters_count(const struct counters *c);

#endif
