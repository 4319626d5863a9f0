/*
 * num.h - strict numbers.  The whole view must be the number: no sign where none is allowed, no white space, no
 * trailing bytes, no overflow.  0, or ERR_SYNTAX / ERR_LIMIT with *out untouched.
 */
#ifndef MERPATI_NUM_H
#define MERPATI_NUM_H

#include "base/sv.h"

int num_u64(struct sv s, uint64_t *out); /* decimal */
int num_u32(struct sv s, uint32_t *out);
int num_i64(struct sv s, int64_t *out); /* decimal with optional '-' */
int num_range(struct sv s, uint64_t min, uint64_t max, uint64_t *out);
int num_octal(struct sv s, uint64_t *out);
int num_hex(struct sv s, uint64_t *out);

/*
 * A Postfix time value: number and optional unit s, m, h, d, w (RFC-less; postconf(5)).  `unit` is the unit of a number
 * without one.  Result in seconds.
 */
int num_duration(struct sv s, char unit, uint64_t *seconds);

#endif
