/*
 * conf_lex.h - the line syntax that main.cf, master.cf and the text tables share: a logical line begins with a byte
 * that is not white space and goes on over the lines that do begin with white space; empty lines and lines whose first
 * byte other than white space is '#' are skipped, inside a logical line too.  Pure.
 */
#ifndef MERPATI_CONF_LEX_H
#define MERPATI_CONF_LEX_H

#include "base/buf.h"

#define CONF_LINE_MAX (1u << 20) /* bytes of a logical line */

struct conf_lex {
	struct sv rest;
	unsigned line; /* number of the next physical line */
	struct buf text;
	bool orphan; /* the last logical line began with white space: there was nothing to continue */
};

void conf_lex_init(struct conf_lex *lex, struct sv text); /* text must outlive lex */
void conf_lex_clear(struct conf_lex *lex);
/*
 * The next logical line, without white space at its end; physical lines are joined as they are (the line break is
 * dropped, the white space after it stays).  1: *text (valid until the next call) and *line (its first physical line)
 * are set; 0: end; ERR_LIMIT: the line is longer than CONF_LINE_MAX; ERR_SYNTAX: it holds a NUL byte.  After an error
 * the next call goes on behind that line.
 */
int conf_lex_next(struct conf_lex *lex, struct sv *text, unsigned *line);

/*
 * "name = value", white space around both dropped.  0, or ERR_SYNTAX with *why (a constant text) set.
 */
int conf_lex_pair(struct sv text, struct sv *name, struct sv *value, const char **why);

/*
 * The next word of a list separated by `seps`; separators inside {...} (braces balanced, anywhere in the word) do not
 * count.  *word keeps its braces.  1, 0 at the end, ERR_SYNTAX when braces do not balance (*word is all that was left).
 */
int conf_lex_word(struct sv *rest, const char *seps, struct sv *word);
/* Without the outer { } and the white space inside them; *was tells whether there were braces. */
struct sv conf_lex_unbrace(struct sv word, bool *was);

#endif
