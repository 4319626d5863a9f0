/*
 * qid.h - queue ids in Postfix's long form: time in seconds and microseconds in base 52 (digits and letters but
 * vowels), 'z', inode number in base 51 (the same without z).  Two files never have one id: an inode number is given to
 * a second file only after the first is gone, and then the time differs.
 */
#ifndef MERPATI_QID_H
#define MERPATI_QID_H

#include "base/sv.h"

#define QID_MAX 40 /* bytes without NUL: 6 or more + 4 + 1 + at most 12 */

void qid_make(char out[QID_MAX + 1], int64_t wall_us, uint64_t inode);
/* The time in an id, microseconds; 0 or ERR_SYNTAX. */
int qid_time(struct sv qid, int64_t *wall_us);

#endif
