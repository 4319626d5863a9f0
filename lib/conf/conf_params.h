/*
 * conf_params.h - the one table of parameters.  Parsing, checking, the typed values of each process, postconf and the
 * generated manual all come from it; adding a parameter is adding a row to lib/conf/params/SUBJECT.inc (every *.inc
 * file there is part of the table; cmake must run again only for a new file).  Rows:
 *
 *   P("name", TYPE, "default", MIN, MAX, "owner1 owner2", "one-line help")
 *       a parameter that works.  TYPE: STR, BOOL ("yes" or "no"), INT, SIZE (bytes), TIME.  MIN and MAX bound INT, SIZE
 * and TIME (seconds) and the length of STR in bytes; MAX 0 = no bound.  TIME: the default carries the unit, and that is
 *       the unit of a value without one.  The default may use $name.
 *   E("name", "default", "choice1 choice2 ...", "owners", "help")
 *       one word of the choices (ENUM).
 *   L("name", "default", "choice1 choice2 ...", "owners", "help")
 *       a list of the choices, separated by white space or commas, perhaps empty (LIST).
 *   R("name", "default", MIN, MAX, "owners", "help")
 *       a string whose $names are not main.cf's: the program fills them in for each recipient ($home, $user, ...).
 *   N("name", TYPE, "default", STATUS, "reason or what to do instead")
 *       a known name that does not work here.  STATUS: NO_EFFECT (accepted, nothing to do), NOT_YET (on the road map: a
 *       warning), UNSUPPORTED (a warning).
 *
 * A name that begins with "*_" stands for every <transport>_ or <service>_ form of it (`*_destination_rate_delay`); a
 * process gets the forms that main.cf sets, under their full names, and the row's own default is asked for by the name
 * of the default_ parameter.  Owners are program names; "master" and tools ("sendmail") are owners like others. A name
 * stands in one row only; the test of this folder finds a second one.
 */
#ifndef MERPATI_CONF_PARAMS_H
#define MERPATI_CONF_PARAMS_H

#include "base/sv.h"

#define CONF_NAME_MAX 200	  /* bytes of a parameter name */
#define CONF_VALUE_MAX (1u << 20) /* bytes of a value, before and after expansion */

enum conf_type { CONF_STR, CONF_BOOL, CONF_INT, CONF_SIZE, CONF_TIME, CONF_ENUM, CONF_LIST };
enum conf_status { CONF_WORKS, CONF_NO_EFFECT, CONF_NOT_YET, CONF_UNSUPPORTED };

struct conf_param {
	const char *name;
	const char *def;     /* as it would stand in main.cf, not expanded */
	const char *owners;  /* programs, separated by blanks; "" unless it works */
	const char *help;    /* one line; for the statuses that do not work: the reason */
	const char *choices; /* ENUM and LIST, else NULL */
	int64_t min, max;
	enum conf_type type;
	enum conf_status status;
	bool raw; /* $names in the value are the program's */
};

extern const struct conf_param conf_params[];
extern const size_t conf_nparams;

/* The row of a name (exact rows only); NULL when there is none.  First call: O(n log n), later O(log n). */
const struct conf_param *conf_param_find(struct sv name);
/* The row that covers a name: exact, else the "*_" form of it with a non-empty prefix. */
const struct conf_param *conf_param_match(struct sv name);
/* True when the row names this program as an owner. */
bool conf_param_owned(const struct conf_param *p, struct sv program);
const char *conf_type_name(enum conf_type t); /* "string", "boolean", "integer", "size", "time", "one of", "list of" */
const char *conf_status_name(enum conf_status s); /* "works", "no effect", "not yet", "not supported" */

/*
 * Checks one expanded value against its row.  Stores the number (BOOL: 0 or 1; TIME: seconds; STR, ENUM, LIST: 0) in
 * *num when it is not NULL.  0, or ERR_SYNTAX / ERR_LIMIT with a text for people in `why` (at least 160 bytes; may be
 * NULL).
 */
int conf_param_check(const struct conf_param *p, struct sv value, int64_t *num, char *why);

#endif
