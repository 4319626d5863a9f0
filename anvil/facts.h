/* facts.h - short-lived facts (kind, key) -> bytes.  Bounded: the oldest makes room.  Time is a parameter. */
#ifndef MERPATI_ANVIL_FACTS_H
#define MERPATI_ANVIL_FACTS_H

#include "base/htable.h"
#include "base/sv.h"

struct facts;
struct facts *facts_new(size_t max);
void facts_free(struct facts **f);
/* ttl in seconds; 0 forgets.  now: milliseconds, monotonic. */
void facts_set(struct facts *f, struct sv kind, struct sv key, struct sv value, uint32_t ttl, uint64_t now);
/* True, with a view that is valid until the next facts_set; *left in seconds, rounded up. */
bool facts_get(struct facts *f, struct sv kind, struct sv key, uint64_t now, struct sv *value, uint32_t *left);
void facts_sweep(struct facts *f, uint64_t now, size_t most);
size_t facts_count(const struct facts *f);

#endif
