/*
 * dot.h - the content of DATA (RFC 5321 section 4.5.2) in and out: dots at the beginning of lines, CRLF on the wire, LF
 * in the queue.  Pure and resumable: pieces of any size give the same result.
 */
#ifndef MERPATI_DOT_H
#define MERPATI_DOT_H

#include "base/buf.h"
#include "base/err.h"

enum {
	DOT_STRICT = 1, /* only CRLF "." CRLF ends the content (smtpd_forbid_bare_newline) */
	DOT_RAW = 2	/* no dots and no end: BDAT (RFC 3030); line ends as usual */
};

/* A decoder.  Set flags, the rest zero. */
struct dot {
	unsigned flags;
	bool mid_line;	/* the next byte is not the first of a line */
	bool lf_before; /* the line before ended in a bare LF */
	bool bare_lf;	/* a bare LF was seen: treated as a line end */
	bool bare_cr;	/* a bare CR was seen: written as a blank */
	bool nul;	/* a NUL byte was seen */
};

/*
 * Decodes from *in, advanced past what was used, and appends at most `room` bytes to out (room >= 4).  Bytes that
 * cannot be judged yet ("." or a CR at the end of the piece) stay in *in; with `last` (DOT_RAW: no more will come) they
 * are taken as they are.  True when the end of the content was reached and consumed.
 */
bool dot_decode(struct dot *d, struct sv *in, struct buf *out, size_t room, bool last);

/* An encoder: zero it. */
struct dot_enc {
	bool mid_line;
	bool cr; /* the last byte was a CR that was part of the content */
};
/* Appends `in` (LF line ends; a CRLF stays one) as it goes over the wire; 0 or ERR_LIMIT with *out to be thrown away.
 */
int dot_encode(struct dot_enc *e, struct sv in, struct buf *out);
/* Ends the last line where it has no end, and appends "." CRLF. */
int dot_encode_end(struct dot_enc *e, struct buf *out);

#endif
