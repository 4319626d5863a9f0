/* rng.h - random bytes from the kernel. */
#ifndef MERPATI_RNG_H
#define MERPATI_RNG_H

#include "base/base.h"

void rng_bytes(void *p, size_t n); /* cannot fail: a kernel without getrandom ends the process */

#endif
