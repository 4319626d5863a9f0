/*
 * arena.h - memory of one stated lifetime (connection, transaction, command): many small allocations, one free. Charged
 * against a budget, so that no peer makes it grow without bound: NULL when the budget is used up.
 */
#ifndef MERPATI_ARENA_H
#define MERPATI_ARENA_H

#include "base/sv.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *head;
	size_t used;   /* bytes handed out and lost to alignment */
	size_t budget; /* bound for used */
};

void arena_init(struct arena *a, size_t budget);
void arena_clear(struct arena *a);				   /* frees everything; the arena is usable again */
void *arena_alloc(struct arena *a, size_t size) ATTR_WARN_UNUSED;  /* zeroed, 16-byte aligned; NULL past the budget */
char *arena_strdup(struct arena *a, struct sv s) ATTR_WARN_UNUSED; /* NUL-terminated copy */
/* Copies the bytes (with a NUL behind) and stores the view; 0 or ERR_LIMIT. */
int arena_sv(struct arena *a, struct sv s, struct sv *out) ATTR_WARN_UNUSED;

#endif
