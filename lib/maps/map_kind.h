/* map_kind.h - what a table type implements; for the files of this folder. */
#ifndef MERPATI_MAP_KIND_H
#define MERPATI_MAP_KIND_H

#include <sys/stat.h>

#include "maps/map.h"

/* For arrays that are written before they are read: clearing 4 KiB costs more than a lookup. */
#define MAP_SCRATCH __attribute__((uninitialized))

struct map_open {
	struct map_store *store;
	struct sv name;	  /* behind "type:" */
	const char *type; /* as written, for messages */
	unsigned flags;
	unsigned depth; /* of tables inside tables */
	struct stat st; /* out: of the file that was read; st_ino 0 when there is none */
};

struct map_kind {
	const char *name;
	bool fixed; /* keys are folded before lookup; partial keys make sense */
	/* For tables made of tables instead of `fixed`: those fold for themselves. */
	bool (*is_fixed)(const void *ctx);
	bool file; /* backed by a file: watched, and may be missing for a while */
	/* Allocates *ctx.  ERR_SYNTAX: the name itself is wrong; other errors: cannot be read now. */
	int (*open)(struct map_open *o, void **ctx, struct err *err);
	int (*lookup)(void *ctx, struct sv key, struct buf *value, struct err *err);
	void (*close)(void *ctx);
	/* The paths that decide whether it must be opened anew; NULL: the name itself. */
	const char *const *suffixes; /* ends with NULL */
};

extern const struct map_kind map_kind_lmdb, map_kind_texthash, map_kind_inline, map_kind_regexp, map_kind_pcre,
    map_kind_cidr, map_kind_static, map_kind_union, map_kind_pipe, map_kind_rand, map_kind_fail, map_kind_environ,
    map_kind_missing, map_kind_proxy, map_kind_unix;

/* A line for map_store_notes: "type map name, line N: text"; line 0: the text alone. */
void map_note(struct map_open *o, unsigned line, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* A table inside this one. */
int map_inner(struct map_open *o, struct sv spec, struct map **out, struct err *err);
map_unix_fn *map_store_unix(struct map_store *s, void **ctx);
/* The file of a table as text, its stat in o->st; missing and MAP_OPTIONAL: empty. */
int map_read_text(struct map_open *o, struct buf *text, struct err *err);

#endif
