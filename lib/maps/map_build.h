/*
 * map_build.h - makes NAME.lmdb: entries are collected, sorted, written in one go into a new file beside it, synced,
 * and renamed over the old one, so readers see the old table or the new one.  Used by postmap, postalias and merpati.
 */
#ifndef MERPATI_MAP_BUILD_H
#define MERPATI_MAP_BUILD_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

#define MAP_BUILD_KEY_MAX 511 /* bytes of a key in a table */

struct map_build;

enum map_build_dup { MAP_DUP_FIRST, MAP_DUP_LAST }; /* which of two entries with one key counts */

struct map_build *map_build_new(void);
void map_build_free(struct map_build **b); /* forgets what was not finished */
/* Copies.  ERR_LIMIT: the key is empty or too long, or there is too much. */
int map_build_add(struct map_build *b, struct sv key, struct sv value);
/* Adds every entry of the table NAME.lmdb (those in `less` left out).  ERR_NOT_FOUND: there is none. */
int map_build_copy(
    struct map_build *b, const char *name, bool (*less)(void *ctx, struct sv key), void *ctx, struct err *err);
/*
 * Sorts, then calls dup for each entry that does not count (may be NULL), writes and renames.  mode is of the new file;
 * the owner and group are set from `like` when it is not NULL (errors of that are ignored).  0, or what the file system
 * said.
 */
int map_build_finish(struct map_build *b, const char *name, mode_t mode, const struct stat *like,
    enum map_build_dup rule, void (*dup)(void *ctx, struct sv key), void *ctx, struct err *err);
size_t map_build_count(const struct map_build *b);

/* Calls fn for each entry of NAME.lmdb in order; a negative result of fn ends it. */
int map_build_each(const char *name, int (*fn)(void *ctx, struct sv key, struct sv value), void *ctx, struct err *err);

#endif
