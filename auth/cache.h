/*
 * cache.h - passwords that were right lately.  What is kept is a MAC of name, password and the account's verifier under
 * a key of this process, so the memory holds no password, and a changed verifier ends the entry.
 */
#ifndef MERPATI_AUTH_CACHE_H
#define MERPATI_AUTH_CACHE_H

#include "base/sv.h"

struct auth_cache;

/* size: entries at most, the oldest goes first; ttl_ms 0 or size 0: nothing is ever remembered. */
struct auth_cache *auth_cache_new(size_t size, uint64_t ttl_ms);
void auth_cache_free(struct auth_cache **c);
bool auth_cache_check(struct auth_cache *c, uint64_t now_ms, struct sv user, struct sv password, struct sv verifier);
void auth_cache_add(struct auth_cache *c, uint64_t now_ms, struct sv user, struct sv password, struct sv verifier);

#endif
