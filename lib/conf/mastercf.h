/*
 * mastercf.h - master.cf: one service a logical line (a line that begins with white space continues the one before):
 *   name type private unprivileged chroot wakeup maxproc command [arguments...]
 */
#ifndef MERPATI_MASTERCF_H
#define MERPATI_MASTERCF_H

#include "conf/maincf.h"

#define MCF_SERVICES_MAX 1000 /* services of one file */
#define MCF_COLUMNS 8	      /* before the arguments */
#define MCF_ARGS_MAX 200      /* arguments of one service */

enum mcf_type { MCF_INET, MCF_UNIX, MCF_FIFO, MCF_PASS, MCF_UNIX_DGRAM };

struct mcf_service {
	char *name; /* first column as written: "smtp", "[::1]:25", "pickup" */
	enum mcf_type type;
	char *host;	      /* inet: before the last ':', without brackets; "" = as inet_interfaces says */
	char *port;	      /* inet: name or number; else "" */
	bool is_private;      /* column 3; '-' is y */
	bool unprivileged;    /* column 4; '-' is y */
	int chroot;	      /* column 5: 1, 0, or -1 for '-' */
	unsigned wakeup;      /* column 6 in seconds, 0 = never */
	bool wakeup_if_used;  /* '?': only once the service was used */
	unsigned maxproc;     /* column 7; 0 = no limit */
	bool maxproc_default; /* '-': $default_process_limit */
	char *command;	      /* column 8 */
	char **argv;	      /* all arguments behind the command, {} quoting undone, NULL at the end */
	size_t argc;
	struct conf_pair *overrides; /* -o name=value and -o { name = value }, in order; not expanded */
	size_t noverrides;
	unsigned verbose;	   /* number of -v */
	bool debug;		   /* -D */
	char *column[MCF_COLUMNS]; /* as written, for those who show them */
	const char *file;	   /* of the mastercf */
	unsigned line;		   /* first line of the entry */
};

struct mastercf {
	struct mcf_service *v;
	size_t n;
	char *file;
};

/*
 * Reads and parses.  <0 only when the file cannot be read; what is wrong in it goes to `problems`, and the entries that
 * are right are in *out.  A name and type that stand twice: a warning, the last one counts.
 */
int mastercf_load(const char *path, struct mastercf **out, struct conf_problems *problems, struct err *err);
int mastercf_parse(struct sv text, const char *file, struct mastercf **out, struct conf_problems *problems);
void mastercf_free(struct mastercf **m);
/* NULL when there is none. */
const struct mcf_service *mastercf_find(const struct mastercf *m, const char *name, enum mcf_type type);
const char *mcf_type_name(enum mcf_type t); /* "inet", "unix", "fifo", "pass", "unix-dgram" */

#endif
