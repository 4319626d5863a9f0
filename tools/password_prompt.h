/* password_prompt.h - a password from the person at the terminal, or from a pipe. */
#ifndef MERPATI_PASSWORD_PROMPT_H
#define MERPATI_PASSWORD_PROMPT_H

#include "base/base.h"

/*
 * From a terminal: asks twice without echo; otherwise the first line of standard input.  Free with secret_free.  NULL:
 * there is none, or the two are not the same (which it has said on standard error).
 */
char *password_prompt(void);

#endif
