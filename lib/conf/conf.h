/*
 * conf.h - a process's own parameters, read from the sealed memfd that master handed over ("name\0value\0" pairs,
 * already expanded and checked against the table of conf_params.h).  Asking for a name that the program does not own in
 * the table, or with a getter of another type, is a bug and ends the process, so a test that starts each program finds
 * it.
 */
#ifndef MERPATI_CONF_H
#define MERPATI_CONF_H

#include "base/err.h"
#include "base/sv.h"

struct conf;
int conf_from_fd(int fd, struct conf **out, struct err *err);		/* keeps fd the caller's */
int conf_from_blob(struct sv blob, struct conf **out, struct err *err); /* copies; for tests and tools */
void conf_free(struct conf **c);
const char *conf_str(const struct conf *c, const char *name); /* never NULL; valid until conf_free */
uint64_t conf_int(const struct conf *c, const char *name);    /* integer and size parameters */
uint64_t conf_time(const struct conf *c, const char *name);   /* seconds */
bool conf_bool(const struct conf *c, const char *name);
/* True when the blob has a value for this name (service and transport forms that have no table row of their own). */
bool conf_has(const struct conf *c, const char *name);
const char *conf_raw(const struct conf *c, const char *name); /* NULL when absent; no type check */

#endif
