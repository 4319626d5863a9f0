/* secret.h - memory that must not outlive its use, and comparison in constant time. */
#ifndef MERPATI_SECRET_H
#define MERPATI_SECRET_H

#include "base/sv.h"

void secret_clear(void *p, size_t n);	     /* zeroes; not optimised away */
void secret_free(char **s);		     /* clears a C string, frees it, sets NULL; accepts NULL */
bool secret_equal(struct sv a, struct sv b); /* time depends on the lengths only */

#endif
