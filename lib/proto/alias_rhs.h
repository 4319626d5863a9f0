/*
 * alias_rhs.h - what may stand on the right-hand side of aliases(5), in a .forward file and in an :include: file: a
 * list of addresses, "|command", /file, :include:/path and \user, separated by commas.  Anything with blanks, commas or
 * quotes in it is put in double quotes, with backslash before a quote or backslash.  Pure; results are copies in the
 * arena.
 */
#ifndef MERPATI_ALIAS_RHS_H
#define MERPATI_ALIAS_RHS_H

#include "base/arena.h"
#include "base/err.h"

#define ALIAS_TEXT_MAX (1u << 20) /* bytes of one right-hand side or file */
#define ALIAS_ITEMS_MAX 20000	  /* items of one right-hand side or file */

enum alias_kind {
	ALIAS_ADDRESS = 1, /* text: address in internal form, perhaps without a domain */
	ALIAS_USER,	   /* \user: this user's mailbox, without alias and .forward */
	ALIAS_FILE,	   /* text: absolute path; a trailing '/' means a Maildir */
	ALIAS_COMMAND,	   /* text: command line without the '|' */
	ALIAS_INCLUDE,	   /* text: absolute path of a file of further items */
	ALIAS_BAD	   /* text: what could not be read as any of these */
};

struct alias_item {
	enum alias_kind kind;
	struct sv text;
};

struct alias_items {
	struct alias_item *v;
	size_t n;
};

enum alias_form {
	ALIAS_RHS,  /* value of a table: line ends are white space */
	ALIAS_LINES /* .forward and :include: files: a line end separates; a line that begins with '#' is a comment */
};

/* Reads the list.  0, or ERR_LIMIT (more than max items or ALIAS_TEXT_MAX bytes, arena used up). */
int alias_parse(struct arena *a, struct sv text, enum alias_form form, size_t max, struct alias_items *out);

/*
 * The next entry of an aliases(5) file: comment lines (first byte other than white space is '#') and empty lines are
 * skipped, a line that begins with white space continues the one before.  1: *name (unquoted, in the arena) and *value
 * (trimmed view, line ends still in it); 0: end of the text; ERR_SYNTAX: a line without "name:" (skipped: call again to
 * go on), ERR_LIMIT.  *line is advanced by the lines that were read and *at becomes the number of the entry's first
 * line (both may be used for messages; begin with *line = 0).
 */
int alias_next_entry(struct arena *a, struct sv *text, unsigned *line, unsigned *at, struct sv *name, struct sv *value);

#endif
