/*
 * lines.h - what logd does with a line: the form that it gets, the buffer that it waits in, the file that it goes to.
 * No loop and no sockets here, so that it can be tested alone.
 */
#ifndef MERPATI_LOGD_LINES_H
#define MERPATI_LOGD_LINES_H

#include <time.h>

#include "base/buf.h"
#include "base/err.h"

#define LINES_MAX_WAIT                                                                                                 \
	(1u << 20)	    /* bytes that wait while the file cannot be written; further lines are counted and lost */
#define LINES_MAX_LINE 4000 /* bytes of one line; the rest is cut */

struct lines {
	char *path;
	char host[65];
	mode_t mode;
	int fd; /* -1 while the file cannot be opened */
	bool regular;
	struct buf out;	 /* whole lines; the first may have been written in part */
	uint64_t lost;	 /* lines dropped since the last one that went in */
	time_t stamp_at; /* second that `stamp` was made for */
	char stamp[20];
};

/* host: own name, cut at the first dot.  Opens the file; negative with *err when that fails. */
int lines_open(struct lines *l, const char *path, mode_t mode, const char *host, struct err *err);
/* Opens the file by its path again (rotation).  Where that fails the old descriptor stays in use. */
int lines_reopen(struct lines *l, struct err *err);
void lines_close(struct lines *l);

/*
 * Adds one line: `datagram` is "<level> text" (level: one digit as in enum log_level, in angle brackets), of the
 * process (ident, pid), received at `now`.  Bytes that are not printable become '?'.
 */
void lines_add(struct lines *l, time_t now, const char *ident, unsigned long pid, struct sv datagram);

/* One write(2) of all that waits.  0: nothing waits any more; 1: something waits, try again later (disk full). */
int lines_write(struct lines *l);

#endif
