/*
 * smtp_reply.h - replies of an SMTP server (RFC 5321 section 4.2): parsed line by line on the client's side, formatted
 * on the server's.  Pure.
 */
#ifndef MERPATI_SMTP_REPLY_H
#define MERPATI_SMTP_REPLY_H

#include "base/buf.h"
#include "base/err.h"

#define SMTP_REPLY_LINE_MAX 2048  /* bytes of one line; longer ones are cut by the reader */
#define SMTP_REPLY_LINES_MAX 128  /* lines of one reply */
#define SMTP_REPLY_TEXT_MAX 65536 /* bytes of all lines together */
#define SMTP_DSN_MAX 16		  /* "5.999.999" and room */

/* One reply, built up from its lines.  Initialise with smtp_reply_init; reusable after smtp_reply_reset. */
struct smtp_reply {
	int code; /* 200..599; 0 before the first line */
	unsigned lines;
	struct buf text; /* the texts of the lines without code, joined by '\n', enhanced status code still in it */
	char dsn[SMTP_DSN_MAX]; /* enhanced status code of the first line that has one of the code's class, or "" */
};

void smtp_reply_init(struct smtp_reply *r);
void smtp_reply_reset(struct smtp_reply *r);
void smtp_reply_free(struct smtp_reply *r); /* frees the text */
/*
 * Takes the next line (without its end).  1: the reply is complete; 0: another line follows; ERR_PROTOCOL: not a reply
 * line, or another code than the lines before it; ERR_LIMIT: too much of it.
 */
int smtp_reply_line(struct smtp_reply *r, struct sv line);
/*
 * An enhanced status code (RFC 2034: "5.1.1", class 2, 4 or 5) at the beginning of a text: its length and, when dsn is
 * not NULL, a NUL-terminated copy.  0 when there is none.
 */
size_t smtp_dsn_prefix(struct sv text, char dsn[SMTP_DSN_MAX]);

/*
 * Appends a reply as a server sends it, CRLF ends: "code-line" for all lines but the last, "code line" for that.  Lines
 * of `text` are divided by '\n'; lines too long for RFC 5321 section 4.5.3.1.5 are broken at blanks; bytes that are not
 * printable become '?'.  dsn ("5.1.1", "" or NULL) stands before each line.
 */
int smtp_reply_format(struct buf *out, int code, const char *dsn, struct sv text);

#endif
