/*
 * mime.h - streaming MIME parser (RFC 2045, 2046, 5322): fed a message in pieces of any size, it records where header
 * and body of each part lie and keeps what FETCH needs of the headers.  Line ends LF or CRLF, mixed too.  Never fails:
 * whatever is malformed becomes the nearest well-formed thing, and past a limit the rest belongs to the part where the
 * limit was met.
 */
#ifndef MERPATI_MIME_H
#define MERPATI_MIME_H

#include "base/arena.h"
#include "base/buf.h"

#define MIME_DEPTH_MAX 64	   /* multiparts and messages inside each other */
#define MIME_PARTS_MAX 1000	   /* parts of a message */
#define MIME_BOUNDARY_MAX 200	   /* bytes of a boundary (RFC 2046 allows 70) */
#define MIME_FIELD_MAX (32u << 10) /* bytes kept of one header field */
#define MIME_KEEP_MAX (384u << 10) /* bytes kept of all headers of a message together */
#define MIME_PARAMS_MAX 64	   /* parameters of a field */

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

/* Extents of one part.  Offsets and lengths are bytes of the file; *_crlf are lengths with every line end as CRLF. */
struct mime_part {
	uint16_t parent; /* index of the part it is in; its own for part 0 */
	uint8_t kind;	 /* enum mime_kind; the only child of a MIME_MESSAGE is the message in it */
	uint8_t text;	 /* 1: type text */
	uint32_t hdr_off, hdr_len, hdr_crlf;
	uint32_t body_off, body_len, body_crlf;
	uint32_t hdr_lines, body_lines; /* line ends */
};

/* A header field kept: unfolded value without surrounding white space; in the parser's arena. */
struct mime_field {
	struct mime_field *next;
	uint8_t id; /* enum mime_field_id */
	struct sv value;
};

enum mime_field_id {
	MIME_F_NONE,
	/* of every part */
	MIME_F_TYPE,
	MIME_F_ENCODING,
	MIME_F_ID,
	MIME_F_DESCRIPTION,
	MIME_F_DISPOSITION,
	MIME_F_LANGUAGE,
	MIME_F_LOCATION,
	MIME_F_MD5,
	/* of a message: ENVELOPE */
	MIME_F_DATE,
	MIME_F_SUBJECT,
	MIME_F_FROM,
	MIME_F_SENDER,
	MIME_F_REPLY_TO,
	MIME_F_TO,
	MIME_F_CC,
	MIME_F_BCC,
	MIME_F_IN_REPLY_TO,
	MIME_F_MESSAGE_ID
};

struct mime_node {
	struct mime_part part;
	struct sv type, subtype;       /* as written; defaults filled in */
	struct sv params;	       /* the Content-Type value behind the subtype, from the first ';' */
	bool default_type;	       /* there was no usable Content-Type */
	struct mime_field *fields;     /* in order */
	struct mime_field *last_field; /* the last of them */
	bool is_message;	       /* part 0 or the child of a MIME_MESSAGE: it has an envelope */
};

/* Called with each complete field of the outermost header, raw, line ends LF; `cut` when longer than MIME_FIELD_MAX. */
typedef void mime_raw_fn(void *arg, struct sv name, struct sv raw, bool cut);

struct mime_parser;
struct mime_parser *mime_parser_new(mime_raw_fn *on_field, void *arg);
void mime_parser_free(struct mime_parser **p);
void mime_parser_feed(struct mime_parser *p, struct sv bytes);
void mime_parser_finish(struct mime_parser *p);
/* After finish.  Lives until mime_parser_free. */
size_t mime_parser_count(const struct mime_parser *p);
const struct mime_node *mime_parser_node(const struct mime_parser *p, size_t i);
uint64_t mime_parser_size(const struct mime_parser *p); /* bytes fed */
uint64_t mime_parser_size_crlf(const struct mime_parser *p);
uint64_t mime_parser_lines(const struct mime_parser *p);

/*
 * One parameter of a field value (cursor `rest`, beginning at a ';' or empty): false at the end.  The value is
 * unquoted, comments are dropped; what is not a parameter is skipped.  Copies go to the arena; false when it is full.
 */
bool mime_param(struct sv *rest, struct arena *arena, struct sv *name, struct sv *value);

/* Content-Type value: type, subtype, and where the parameters begin.  False when it is no media type. */
bool mime_type(struct sv value, struct sv *type, struct sv *subtype, struct sv *params);

/* First token of a value, skipping comments and white space (Content-Transfer-Encoding, Content-Disposition). */
bool mime_token(struct sv *rest, struct sv *token);

#endif
