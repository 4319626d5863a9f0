/*
 * hdr.h - header fields of a message (RFC 5322 section 2.2): names, raw values, folding.  Lines may end in LF or CRLF.
 * Two readers: hdr_next walks over a header that is whole in memory; hdr_reader takes it in pieces of any size.  Both
 * are pure and keep to the bytes they are given: a field's raw text is exactly what stood in the message.
 */
#ifndef MERPATI_HDR_H
#define MERPATI_HDR_H

#include "base/buf.h"
#include "base/err.h"

#define HDR_NAME_MAX 998     /* bytes of a field name (RFC 5322 section 2.1.1 bounds the line) */
#define HDR_FIELD_MAX 102400 /* bytes of one field that hdr_reader keeps by default (header_size_limit of Postfix) */
#define HDR_FOLD_WIDTH 78    /* columns that hdr_fold aims at */

struct hdr_field {
	struct sv raw;	 /* the whole field with its line ends */
	struct sv name;	 /* without white space and colon; "" for a line that is no field */
	struct sv value; /* behind the colon, still folded, white space at both ends taken off */
	bool truncated;	 /* hdr_reader only: the field was longer than the bound; the rest was dropped */
};

enum hdr_result {
	HDR_MORE = 0,  /* hdr_reader: everything was taken, feed more; hdr_next: not used */
	HDR_FIELD = 1, /* *f is a field */
	HDR_END = 2,   /* the empty line was consumed (or the text ended): the body begins at the cursor */
	HDR_BODY =
	    3 /* a line that is no field: it was not consumed; the body begins at the cursor without an empty line */
};

/* True for a name of printable ASCII but colon (RFC 5322 section 2.2), at least one byte, at most HDR_NAME_MAX. */
bool hdr_name_valid(struct sv name);

/*
 * Splits one raw field into name and value.  White space before the colon is taken (RFC 5322 section 4.5.3).  True when
 * it is a field; else f->name is empty and f->value is the trimmed line.
 */
bool hdr_split(struct sv raw, struct hdr_field *f);

/* The next field of a header that is whole in memory; *in is advanced past it. */
enum hdr_result hdr_next(struct sv *in, struct hdr_field *f);

/* First field of that name (case ignored) in header text: true and *value (folded, trimmed).  Stops at the empty line.
 */
bool hdr_find(struct sv text, const char *name, struct sv *value);

/* Length of the header with its empty line: the offset of the body. */
size_t hdr_length(struct sv text);

/* Appends the value with its line ends removed (the white space of a fold stays: RFC 5322 section 2.2.3); 0 or
 * ERR_LIMIT. */
int hdr_unfold(struct buf *out, struct sv value);

/*
 * Appends "Name: value" and a line end, broken at white space (never inside a quoted string) where a line would pass
 * HDR_FOLD_WIDTH.  A CR or LF in value becomes a blank, so a value cannot make a second field.  eol: "\n" or "\r\n".
 * 0 or ERR_LIMIT.
 */
int hdr_fold(struct buf *out, const char *name, struct sv value, const char *eol);

/*
 * Header in pieces.  A field is complete when the first byte of the next line is there, so each call hands out at most
 * one field; *f points into the reader until the next call.
 */
struct hdr_reader {
	struct buf field; /* the field that is being collected; its max is the bound of a field */
	size_t total;	  /* header bytes taken so far, the empty line included */
	unsigned state;	  /* private */
	bool cut;	  /* private: the current field passed the bound */
};
void hdr_reader_init(struct hdr_reader *r, size_t field_max); /* 0: HDR_FIELD_MAX */
void hdr_reader_free(struct hdr_reader *r);
/*
 * Takes bytes from *in (advanced).  `last`: no more will come, so what is collected is a whole field.  HDR_END and
 * HDR_BODY are returned once; then *in stands at the body - but for HDR_BODY f->raw holds the bytes of the offending
 * line that were already taken: they belong to the body.
 */
enum hdr_result hdr_reader_feed(struct hdr_reader *r, struct sv *in, bool last, struct hdr_field *f);

#endif
