/*
 * map.h - lookup tables "type:name".  A store opens each table once, keeps it under a handle that never changes, and
 * notices when the file was replaced.  A table that cannot be opened keeps its handle: lookups in it answer ERR_TEMP
 * until it can.  Everything is local and read-only; nothing here blocks but for reading files when a table is
 * (re)opened.
 *
 * Types: lmdb (also under the names hash, btree, dbm, cdb and sdbm): NAME.lmdb, or when only the source text NAME is
 * there, that, in memory; texthash, inline, regexp, pcre, cidr, static, unionmap, pipemap, randmap, fail, environ;
 * proxy:type:name is type:name; unix:passwd.byname and unix:group.byname where the caller gives a hook.
 */
#ifndef MERPATI_MAP_H
#define MERPATI_MAP_H

#include "base/buf.h"
#include "base/err.h"

#define MAP_KEY_MAX 4096	  /* bytes of a key; longer ones are in no table */
#define MAP_VALUE_MAX (1u << 20)  /* bytes of a value */
#define MAP_TEXT_MAX (256u << 20) /* bytes of a source text */
#define MAP_NAME_MAX 65536	  /* bytes of "type:name" */
#define MAP_DEPTH 10		  /* tables inside unionmap, pipemap, proxy */
#define MAP_STORE_MAX 2000	  /* tables of one store */

enum map_flag {
	MAP_ALIAS = 1,	 /* a source text is in the syntax of aliases (key: value), not "key value" */
	MAP_OPTIONAL = 2 /* a file that does not exist is an empty table */
};

struct map;
struct map_store;

/*
 * Answers for unix:passwd.byname and unix:group.byname ("passwd.byname", "group.byname"), which block and are therefore
 * not done here: 1 with the line appended, 0, or ERR_TEMP.
 */
typedef int map_unix_fn(void *ctx, const char *name, struct sv key, struct buf *value, struct err *err);

struct map_store *map_store_new(map_unix_fn *unix_fn /* or NULL */, void *ctx);
void map_store_free(struct map_store **s);
/*
 * The table of this name; opened now if it is not yet.  The handle belongs to the store.  NULL only when the name is
 * not "type:name" of a known type, is wrong in itself (inline:, static:...), or there are too many: err says why.
 */
struct map *map_store_get(struct map_store *s, struct sv spec, unsigned flags, struct err *err);
/*
 * Looks at the files of all tables (at most once in `every_ms`; now_ms is clock_mono_ms()) and opens anew what was
 * replaced.  Returns how many tables changed.
 */
size_t map_store_refresh(struct map_store *s, uint64_t now_ms, uint64_t every_ms);
/* Messages about the contents of tables (file, line) since the last call, one a line; "" when there are none. */
struct sv map_store_notes(struct map_store *s);
void map_store_notes_done(struct map_store *s);

/*
 * 1: found, the value is appended to *value; 0: surely not there; ERR_TEMP: cannot tell (err says why).  Keys of tables
 * with fixed keys are folded to lower case (ASCII) first.
 */
int map_lookup(struct map *m, struct sv key, struct buf *value, struct err *err);
/* False for tables of patterns (regexp, pcre, cidr, static...): no partial keys are looked up there. */
bool map_is_fixed(const struct map *m);
const char *map_spec(const struct map *m);
/* The owner of the table's file (whose commands and files an alias of it may name); 0 when it has none. */
void map_owner(const struct map *m, uid_t *uid, gid_t *gid);
/* 0, or why it cannot be read now (ERR_TEMP and the text). */
int map_status(const struct map *m, struct err *err);

/* Several tables in order: what a *_maps parameter holds ("type:name, type:name"). */
#define MAP_LIST_MAX 64
struct map_list {
	struct map *v[MAP_LIST_MAX];
	size_t n;
};
/* Wrong or too many names: an error, and the list holds nothing. */
int map_list_init(struct map_list *l, struct map_store *s, struct sv text, unsigned flags, struct err *err);
/* The first table that has the key.  fixed_only: skip tables of patterns.  As map_lookup; an error ends the search. */
int map_list_find(const struct map_list *l, struct sv key, bool fixed_only, struct buf *value, struct err *err);

#endif
