/* postconf.h - what the files of postconf share. */
#ifndef MERPATI_POSTCONF_H
#define MERPATI_POSTCONF_H

#include "conf/maincf.h"
#include "conf/mastercf.h"

enum postconf_mode {
	PC_SHOW,
	PC_EDIT,
	PC_REMOVE,
	PC_COMMENT,
	PC_SERVICES,
	PC_FIELDS,
	PC_SERVICE_PARAMS,
	PC_TYPES,
	PC_STATUS,
	PC_MANUAL
};

struct postconf {
	enum postconf_mode mode;
	bool defaults;	 /* -d */
	bool only_set;	 /* -n */
	bool expand;	 /* -x */
	bool fold;	 /* -f */
	bool no_name;	 /* -h */
	bool no_value;	 /* -H */
	const char *dir; /* of main.cf and master.cf */
	bool dir_given;	 /* by -c or the environment */
	struct conf_pair *overrides;
	size_t noverrides;
	char **args; /* names, name=value, service/type... */
	int nargs;
	struct maincf *mc; /* main.cf, or the defaults alone with -d */
	struct mastercf *services;
	int status; /* of the exit */
};

void postconf_warn(const char *fmt, ...) ATTR_PRINTF(1, 2);
ATTR_NORETURN void postconf_fatal(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* "name = value" with white space runs made one blank; folded behind 80 columns with -f. */
void postconf_print(const struct postconf *pc, const char *name, struct sv value);

void postconf_show(struct postconf *pc);	   /* parameters */
void postconf_services(struct postconf *pc);	   /* -M */
void postconf_fields(struct postconf *pc);	   /* -F */
void postconf_service_params(struct postconf *pc); /* -P */
void postconf_edit(struct postconf *pc);	   /* -e, -X, -# */
void postconf_status(void);			   /* docs/parameters.md: the table by status */
void postconf_manual(void);			   /* postconf.5 */

#endif
