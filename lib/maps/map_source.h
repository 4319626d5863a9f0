/*
 * map_source.h - the source texts that tables are built from: "key white-space value" (postmap), "key: value"
 * (postalias). Pure.
 */
#ifndef MERPATI_MAP_SOURCE_H
#define MERPATI_MAP_SOURCE_H

#include "base/buf.h"

struct map_source {
	/* One entry; key and value are valid during the call.  A negative result ends the parsing and is returned. */
	int (*entry)(void *ctx, struct sv key, struct sv value, unsigned line);
	/* Something wrong in this line, which is skipped. */
	void (*note)(void *ctx, unsigned line, const char *text);
	void *ctx;
	bool fold;  /* keys to lower case (ASCII) */
	bool alias; /* postalias syntax */
};

/* 0, or what entry returned, or ERR_LIMIT for a key longer than MAP_KEY_MAX. */
int map_source_parse(struct sv text, const struct map_source *s);

/*
 * The key of an alias line and what is behind its ':'; quoted parts of the key are unquoted.  0, or ERR_SYNTAX.
 */
int map_alias_line(struct sv line, struct buf *key, struct sv *value);

#endif
