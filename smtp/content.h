/*
 * content.h - a message as it goes over the wire: read by pread(2) from the pieces of the queue file, LF made CRLF,
 * dots doubled (RFC 5321 section 4.5.2), overlong lines broken.  A CR in the content becomes a blank: nothing that a
 * receiver could take for a line end leaves this host but CRLF.
 */
#ifndef MERPATI_SMTP_CONTENT_H
#define MERPATI_SMTP_CONTENT_H

#include "base/buf.h"
#include "base/err.h"
#include "message/envelope.h"

#define CONTENT_CHUNK 65536 /* bytes read at a time */

struct content {
	int fd; /* borrowed */
	const struct mail_content *where;
	size_t piece;	   /* header piece; nheader: the body; beyond: done */
	uint64_t at;	   /* within the piece */
	size_t line;	   /* bytes of the line so far */
	size_t line_limit; /* 0: none */
	bool done;
};

void content_start(struct content *c, int fd, const struct mail_content *where, size_t line_limit);
/* Appends the next chunk to out, and when the end was reached the final dot.  0, ERR_SYS, ERR_CORRUPT (file too short).
 */
int content_next(struct content *c, struct buf *out, struct err *err);
/* The encoding alone: appends `in`, which may be any piece of the content. */
void content_encode(struct content *c, struct sv in, struct buf *out);

#endif
