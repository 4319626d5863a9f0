/* sandbox_priv.h - the layers, for sandbox.c. */
#ifndef MERPATI_SANDBOX_PRIV_H
#define MERPATI_SANDBOX_PRIV_H

#include "sandbox/sandbox.h"

int sandbox_landlock(const struct sandbox_profile *p, const struct sandbox_args *args, char *missing, struct err *err);
/* For a session's child, on top of its zygote's filter: no more processes, no signals to others of the same user. */
int sandbox_no_children(struct err *err);
int sandbox_seccomp(const struct sandbox_profile *p, const struct sandbox_args *args, struct err *err);

#endif
