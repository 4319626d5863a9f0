/*
 * switchboard.h - the table of who may talk to whom: the architecture in one place.  A caged program cannot connect to
 * anything; it asks master for (class, target) and gets a connected socket if this table allows it.
 */
#ifndef MERPATI_SWITCHBOARD_H
#define MERPATI_SWITCHBOARD_H

#include "base/sv.h"

enum target_kind {
	TARGET_NONE,	/* the service of that class; a target is refused */
	TARGET_SERVICE, /* a master.cf service of that class; empty: the first one */
	TARGET_IDENTITY /* "UID:GID": a process that is that user */
};

struct swb_class {
	const char *name;    /* class, as callers ask for it */
	const char *binary;  /* in $daemon_directory */
	const char *role;    /* what the program is told to be; "" */
	const char *user;    /* system user; NULL: from the target */
	const char *group;   /* primary group; NULL: the user's own */
	const char *extra;   /* supplementary group, where the host has it; NULL */
	const char *callers; /* classes that may connect */
	enum target_kind target;
	bool single;	     /* never two processes, not even during a reload */
	bool implicit;	     /* runs even when master.cf does not name it */
	bool zygote;	     /* keeps CAP_SETUID and CAP_SETGID */
	unsigned stop_phase; /* order of an orderly stop: the front first, the log last */
};

extern const struct swb_class swb_classes[];
extern const size_t swb_nclasses;
#define SWB_LAST_PHASE 4

const struct swb_class *swb_find(struct sv name);
bool swb_allowed(const struct swb_class *callee, const char *caller);
/* The class of a master.cf command: "virtual" is local, "lmtp" is smtp...  NULL: accepted without effect or unknown;
 * *known. */
const struct swb_class *swb_of_command(const char *command, bool *known);
void swb_print(FILE *out);

#endif
