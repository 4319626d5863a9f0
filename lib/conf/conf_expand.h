/*
 * conf_expand.h - $ expressions: $name $(name) ${name} ${name?value} ${name:value} ${name?{value}:{other}}
 * ${{left} op {right} ? {value} : {other}} and $$ for one '$'.  op: == != < <= >= > and the same with "level" behind
 * (<level: compatibility levels such as 3.6).  Values are expanded in turn.  Pure; used for main.cf, master.cf, and for
 * every text that users write with $names.
 */
#ifndef MERPATI_CONF_EXPAND_H
#define MERPATI_CONF_EXPAND_H

#include "base/buf.h"
#include "base/err.h"

#define CONF_EXPAND_DEPTH 100	/* nested values */
#define CONF_EXPAND_STEPS 20000 /* names looked up for one text: empty values in values grow nothing but time */

enum conf_expand_flags {
	CONF_EXPAND_RECURSE = 1, /* what a name stands for is expanded too */
	CONF_EXPAND_STRICT = 2	 /* an unknown name is an error (ERR_NOT_FOUND), else it is empty */
};

/* True and *value (valid until the end of conf_expand) when there is such a name. */
typedef bool conf_lookup_fn(void *ctx, struct sv name, struct sv *value);

/* Appends the expansion of text to out.  0, ERR_SYNTAX, ERR_LIMIT (depth, steps, out->max), ERR_NOT_FOUND. */
int conf_expand(struct sv text, unsigned flags, conf_lookup_fn *lookup, void *ctx, struct buf *out, struct err *err);

/* Calls fn for every name that the text mentions, in its conditional parts too.  0 or ERR_SYNTAX. */
int conf_expand_names(struct sv text, void (*fn)(void *ctx, struct sv name), void *ctx);

#endif
