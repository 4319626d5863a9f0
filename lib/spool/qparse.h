/* qparse.h - what qblock.c and qfile.c have in common; for the files of this folder. */
#ifndef MERPATI_QPARSE_H
#define MERPATI_QPARSE_H

#include "spool/qfile.h"

#define QBLOCK_HEAD 32 /* bytes before the fields */

/* Fills envelope and recipients (not their marks) of a zeroed q from a block; views point into it. */
int qblock_parse(struct qfile *q, struct sv block, uint64_t block_at, struct err *err);
void qrcpt_put(struct buf *out, const struct mail_rcpt *r);
bool qrcpt_take(struct sv *in, struct mail_rcpt *r);

#endif
