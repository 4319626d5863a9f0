/*
 * content.h - the content of one message on its way into a spool descriptor: LF lines are gathered and written in large
 * pieces; the header is looked at once, in passing: hops are counted, the Message-ID is noted, fields that must not
 * travel are dropped, missing ones are added for clients whose headers we may complete.  Works on a descriptor only,
 * knows no session.
 */
#ifndef MERPATI_SMTPD_CONTENT_H
#define MERPATI_SMTPD_CONTENT_H

#include "base/buf.h"
#include "base/err.h"
#include "ipc/api_mail.h"

#define CONTENT_PIECE 65536u  /* bytes that are written at once */
#define CONTENT_MSGID_MAX 500 /* bytes of a Message-ID that is kept for the log */
#define CONTENT_DROP_MAX 32   /* fields of message_drop_headers */

struct content_conf {
	uint64_t size_limit;		    /* message_size_limit, 0: none */
	unsigned hop_limit;		    /* hopcount_limit */
	const char *hostname;		    /* for a Message-ID */
	const char *drop[CONTENT_DROP_MAX]; /* field names in lower case, NULL-terminated unless full */
};

struct content_start {
	const char *qid;
	int64_t now;	    /* wall clock, seconds: date of what is added */
	struct sv received; /* the trace field, LF ends */
	bool complete;	    /* add Date, Message-ID, From where they are missing */
	struct sv sender;   /* queue form, for From */
	bool summary;	    /* a recipient is local: work out the MIME summary */
};

struct content;

/* fd is borrowed; its offset stands at CL_CONTENT_START.  conf and the views in start must outlive the content. */
struct content *content_new(const struct content_conf *conf, const struct content_start *start, int fd);
void content_free(struct content **c);
/*
 * Where decoded bytes go: append to this buffer at most content_room() bytes, then call content_added().  That may
 * write.
 */
struct buf *content_buf(struct content *c);
size_t content_room(struct content *c);
void content_added(struct content *c);
/*
 * The content is complete: ends a last line without end, completes the header, writes what waits.  0; ERR_LIMIT: too
 * large (content_too_large) or too many hops (content_hops_exceeded); ERR_SYS: could not be written.
 */
int content_finish(struct content *c, struct err *err);
bool content_too_large(const struct content *c);
bool content_hops_exceeded(const struct content *c);
uint64_t content_bytes(const struct content *c);    /* bytes of content so far, LF ends, added fields included */
struct sv content_msgid(const struct content *c);   /* "<x@y>" or "" */
struct sv content_summary(const struct content *c); /* after content_finish; "" when there is none */
void content_extents(const struct content *c, struct mail_content *out);

#endif
