/* sandbox_priv.h - the layers, for sandbox.c. */
#ifndef MERPATI_SANDBOX_PRIV_H
#define MERPATI_SANDBOX_PRIV_H

#include "sandbox/sandbox.h"

int sandbox_landlock(const struct sandbox_profile *p, const struct sandbox_args *args, char *missing, struct err *err);
int sandbox_seccomp(const struct sandbox_profile *p, const struct sandbox_args *args, struct err *err);

#endif
