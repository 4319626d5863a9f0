/* fetch.h - one message as FETCH and SEARCH see it: what of it was looked at is kept for the next question. */
#ifndef MERPATI_IMAPD_FETCH_H
#define MERPATI_IMAPD_FETCH_H

#include "imapd/imap.h"
#include "proto/imap_item.h"

#define FETCH_BLOCK (32u << 10)	    /* bytes read from a file at a time */
#define FETCH_HEADER_MAX (4u << 20) /* bytes of a header that are looked at for HEADER.FIELDS and SEARCH */

struct view {
	struct imap *s;
	size_t i; /* place in the snapshot */
	int fd;	  /* the file, -1 while it is not open */
	bool have_summary;
	struct summary summary;
	struct buf record; /* what `summary` points into */
	struct buf text;   /* a header, a rendered answer */
	char *block;	   /* FETCH_BLOCK bytes */
};

void view_init(struct view *v, struct imap *s);
void view_clear(struct view *v);
void view_set(struct view *v, size_t i); /* the next message */
/* Opens the file: 0 or ERR_NOT_FOUND (the message is gone), ERR_SYS. */
int view_file(struct view *v);
/* Gets or builds the summary.  The same errors. */
int view_summary(struct view *v);
/* Throws the stored summary away and builds it from the file. */
int view_rebuild(struct view *v);
/* Reads part of the file into v->text (emptied before).  0 or negative. */
int view_read(struct view *v, uint64_t off, uint64_t len);

/* A range of the file; `crlf` is its length as sent. */
struct span {
	uint64_t off, len, crlf;
};

/* Sends " {n}" CRLF and the bytes of a range as CRLF text, or the part of it that the item asks for. */
void fetch_send_span(struct view *v, const struct imap_item *it, struct span span);
/* The same for text in memory (line ends LF or CRLF). */
void fetch_send_text(struct view *v, const struct imap_item *it, struct sv text);

/* Where a section lies.  1, or 0 when there is no such part (NIL). */
int fetch_resolve(const struct summary *sum, const struct imap_item *it, struct span *span);

/* Appends the fields of the item's list out of header text, and the empty line. */
void fetch_filter_fields(const struct imap_item *it, struct sv header, struct buf *out);

#endif
