/* merpati.h - the verbs of merpati(8); each gets its arguments with argv[0] = verb and returns the exit status
 * (sysexits). */
#ifndef MERPATI_TOOL_H
#define MERPATI_TOOL_H

#include "conf/maincf.h"

struct merpati {
	const char *config_directory;
	struct maincf *maincf;
	struct conf_problems problems; /* found while main.cf was read; `check` prints them */
};

int merpati_start(struct merpati *t, int argc, char **argv);
int merpati_stop(struct merpati *t, int argc, char **argv);
int merpati_reload(struct merpati *t, int argc, char **argv);
int merpati_status(struct merpati *t, int argc, char **argv);
int merpati_check(struct merpati *t, int argc, char **argv);

/* Expanded value of a parameter; the caller frees it. */
char *merpati_value(const struct merpati *t, const char *name);

/* merpati_user.c; the folder of main.cf is in the environment as MAIL_CONFIG. */
int merpati_user(int argc, char **argv);

#endif
