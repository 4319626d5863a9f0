/* tmpdir.h - for tests: a private folder that disappears with everything in it. */
#ifndef MERPATI_TMPDIR_H
#define MERPATI_TMPDIR_H

#include "base/base.h"

char *tmpdir_new(void); /* path below $TMPDIR or /tmp; free with tmpdir_remove */
void tmpdir_remove(char **dir);

#endif
