/*
 * maincf.h - main.cf: load, expand, check, and cut out what one program owns.  Used by master and by the tools; the
 * other programs see only conf.h.  Nothing here reads the clock, the host name or the interfaces: what depends on the
 * host comes from a hook (maincf_host_default in maincf_host.h is the real one).
 *
 * One value is a file: "myorigin = /path" stands for the first line of that file; it is read when the value is asked
 * for.
 *
 * Problems are collected, never printed: all of a file at once, each with file and line.
 */
#ifndef MERPATI_MAINCF_H
#define MERPATI_MAINCF_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf_params.h"

struct mastercf;

enum conf_severity { CONF_WARNING, CONF_ERROR };
struct conf_problem {
	enum conf_severity severity;
	char *file;    /* "" when it belongs to no file (an implicit default, -o) */
	unsigned line; /* 0 when unknown */
	char *text;    /* one line */
};
#define CONF_PROBLEMS_MAX 1000 /* more are counted, not kept */
struct conf_problems {
	struct conf_problem *v;
	size_t n, cap;
	size_t errors, warnings; /* all that were found */
};
#define CONF_PROBLEMS_INIT                                                                                             \
	{                                                                                                              \
		0                                                                                                      \
	}
void conf_problems_clear(struct conf_problems *p);
void conf_problem_add(struct conf_problems *p, enum conf_severity sev, const char *file, unsigned line, const char *fmt,
    ...) ATTR_PRINTF(5, 6);
/* "file, line 12: warning: text" / "file, line 12: text"; appended to out. */
void conf_problem_print(const struct conf_problem *p, struct buf *out);

/* One name and value; of -o options. */
struct conf_pair {
	char *name;
	char *value;
};

/*
 * Supplies what a default takes from the host: called with a name ("myhostname", "mydomain", "mynetworks",
 * "process_id"...) when neither main.cf nor an override sets it.  Appends the value (which may hold $name) and returns
 * true, or returns false: the table's default is used.  Other values: maincf_value(mc, ...).
 */
struct maincf;
typedef bool maincf_default_fn(void *ctx, const struct maincf *mc, const char *name, struct buf *out);

struct maincf_args {
	const char *path;		   /* main.cf; NULL: no file, all defaults */
	const char *config_directory;	   /* value of $config_directory; NULL: the folder of path */
	const struct conf_pair *overrides; /* of the command line: stronger than the file; copied */
	size_t noverrides;
	maincf_default_fn *host; /* NULL: the table's defaults only */
	void *ctx;
};

/*
 * Reads and parses.  Fails (<0) only when the file cannot be read; everything that is wrong in it goes to `problems`
 * (not NULL), and *out is filled all the same: the caller decides by problems->errors.  maincf_load does not check
 * values; maincf_check does.
 */
int maincf_load(const struct maincf_args *args, struct maincf **out, struct conf_problems *problems, struct err *err);
/* The same from memory; `file` is the name for messages. */
int maincf_parse(struct sv text, const char *file, const struct maincf_args *args, struct maincf **out,
    struct conf_problems *problems);
void maincf_free(struct maincf **mc);

/*
 * Typed check of every value that the file sets and of every default; unknown names (with the nearest known one), names
 * that do not work here, and syntax errors in $ expressions.  `services` may be NULL; else their -o options are checked
 * too, and names that only they use count as used.
 */
void maincf_check(const struct maincf *mc, const struct mastercf *services, struct conf_problems *problems);

/* Calls fn for every name that the file sets and nothing knows or refers to. */
void maincf_each_unused(const struct maincf *mc, const struct mastercf *services,
    void (*fn)(void *arg, const char *name, const char *raw), void *arg);

/* The same for the -o options of services. */
struct mcf_service;
void maincf_each_unused_option(const struct maincf *mc, const struct mastercf *services,
    void (*fn)(void *arg, const struct mcf_service *s, const struct conf_pair *option), void *arg);

/* The text of the file for a name, not expanded; NULL when the file (or a command line override) does not set it. */
const char *maincf_raw(const struct maincf *mc, const char *name);
/* File and line of the setting; false when it is a default. */
bool maincf_where(const struct maincf *mc, const char *name, const char **file, unsigned *line);
/* The value that applies, not expanded: the file's, the host's, the table's; appended.  ERR_NOT_FOUND: no such name at
 * all. */
int maincf_unexpanded(const struct maincf *mc, const char *name, struct buf *out);
/*
 * The expanded value of any name, with n overrides (-o of a service; NULL, 0: none), appended to out.
 * 0, ERR_NOT_FOUND (no such name), ERR_SYNTAX, ERR_LIMIT (recursion, size) with the text in err.
 */
int maincf_value(const struct maincf *mc, const char *name, const struct conf_pair *overrides, size_t n,
    struct buf *out, struct err *err);
/* Expands a text (a pipe(8) argument, a word of the command line) with the parameters; appended. */
int maincf_expand(const struct maincf *mc, struct sv text, const struct conf_pair *overrides, size_t n, struct buf *out,
    struct err *err);
/* The names that the file sets, in the order of the file, each once (the last setting counts). */
void maincf_each(
    const struct maincf *mc, void (*fn)(void *arg, const char *name, const char *raw, unsigned line), void *arg);
bool maincf_bool(const struct maincf *mc, const char *name); /* expanded; false when it is not "yes" */
int64_t maincf_num(
    const struct maincf *mc, const char *name); /* INT, SIZE, TIME (seconds); the default if it is wrong */

/*
 * The parameters that `program` owns, as "name\0value\0" pairs, expanded: what conf_from_fd reads.  overrides: the
 * service's -o options (mcf_service.overrides).  Every row that names the program is there; of the "*_" rows those that
 * main.cf or the overrides set.  For "rewrite" also `rewrite_tables`: every type:name that the settings mention
 * anywhere (maincf_use_services adds those of the -o options).  0, or an error: a value that does not expand or has not
 * its type.
 */
int maincf_blob(const struct maincf *mc, const char *program, const struct conf_pair *overrides, size_t n,
    struct buf *out, struct err *err);
/* Tells mc which services exist: their -o values count for rewrite_tables and their names for the "*_" forms. Borrowed.
 */
void maincf_use_services(struct maincf *mc, const struct mastercf *services);

#endif
