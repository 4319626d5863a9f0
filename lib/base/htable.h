/*
 * htable.h - uthash with a keyed hash (SipHash-1-3), since keys come from outside and an unkeyed hash can be flooded.
 * Use HASH_ADD_KEYPTR, HASH_FIND, HASH_DEL, HASH_ITER as uthash documents; out of memory ends the process.
 */
#ifndef MERPATI_HTABLE_H
#define MERPATI_HTABLE_H

#include "base/base.h"

/* Keyed hash of n bytes; the key is drawn with getrandom() when the process first asks. */
uint64_t htable_hash(const void *p, size_t n);

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = (unsigned)htable_hash((keyptr), (keylen)))
#define uthash_malloc(sz) xmalloc(sz)
#define HASH_NONFATAL_OOM 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <uthash.h>
#include <utlist.h>
#pragma GCC diagnostic pop

#endif
