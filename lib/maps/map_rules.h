/*
 * map_rules.h - tables that are lists of rules tried in order: regexp, pcre, cidr.  Lines: "[!]pattern result",
 * "if [!]pattern", "endif".  The pattern language is a struct of functions.
 */
#ifndef MERPATI_MAP_RULES_H
#define MERPATI_MAP_RULES_H

#include "maps/map_kind.h"

#define RULES_MAX 1000000 /* rules of one table */
#define RULE_GROUPS 100	  /* $1 ... $99 */
#define RULE_NESTING 1000 /* if inside if */

struct rule_match {
	struct sv key;
	struct sv group[RULE_GROUPS]; /* 0 is the whole match; p NULL: took no part */
	void *scratch;		      /* of rules_lang.begin */
	void *shared;		      /* of rules_lang.shared_new: one a table */
};

struct rules_lang {
	/*
	 * Cuts the pattern (and its flags) from *rest and compiles it; *ngroups is the number of groups in parentheses.
	 * ERR_SYNTAX with the text in why (at least 160 bytes).
	 */
	int (*compile)(struct sv *rest, void **pattern, unsigned *ngroups, char *why);
	/* Prepares one key; false: no rule can match it (not an address). */
	bool (*begin)(struct rule_match *m, void *space);
	/* 1, 0, 2: says nothing about this key, not even with '!' (an address of the other family), or ERR_TEMP. */
	int (*match)(const void *pattern, struct rule_match *m);
	void (*free)(void *pattern);
	void *(*shared_new)(void); /* working memory of matches; NULL: none */
	void (*shared_free)(void *shared);
	bool groups; /* results may use $1 */
};

int rules_open(struct map_open *o, const struct rules_lang *lang, void **ctx, struct err *err);
int rules_lookup(void *ctx, struct sv key, struct buf *value, struct err *err);
void rules_close(void *ctx);
/* "/pattern/flags" behind an optional delimiter of any kind; leaves *rest behind the flags.  For compile functions. */
int rules_cut_delimited(struct sv *rest, struct sv *pattern, struct sv *flags, char *why);

#endif
