/* pop3.h - one POP3 session after login: its state, and what its files call of each other. */
#ifndef MERPATI_POP3D_POP3_H
#define MERPATI_POP3D_POP3_H

#include "daemon/zygote.h"
#include "io/stream.h"
#include "proto/pop3_cmd.h"
#include "store/mailbox.h"

#define POP3_IN_MAX (128u << 10) /* bytes of commands that may wait while a message is sent */
#define POP3_OUT_MAX (512u << 10)
#define POP3_CHUNK (64u << 10) /* bytes of a message that are read at a time */
#define POP3_ERRORS_MAX 20     /* unknown or malformed commands before the connection is closed */
#define POP3_FLUSH_MS 10000    /* time for the last reply to leave */

/* A multi-line reply that is being produced. */
enum pop3_task { TASK_NONE, TASK_BODY, TASK_LIST, TASK_UIDL };

struct pop3_body {
	int fd;
	off_t at;
	char last; /* byte before the next one, for CRLF */
	bool bol;  /* the next byte sent begins a line */
	bool top;  /* TOP: stop after `lines` of the body */
	bool in_header, line_empty;
	uint32_t lines;
};

struct pop3 {
	struct session *s;
	struct stream *stream;
	struct store *store;
	struct mailbox *mb;
	struct buf in;	      /* commands not yet run: early bytes, then what the stream brought */
	size_t in_at;	      /* so many bytes of it are done */
	bool skipping;	      /* the rest of a line that is too long */
	bool *deleted, *seen; /* per message */
	size_t count;
	enum pop3_task task;
	size_t next; /* LIST, UIDL: next message */
	struct pop3_body body;
	const char *uidl_format;
	bool keep_flags, closing, quit;
	unsigned errors;
	uint64_t tops, retrs, sent_bytes, removed; /* for the log */
	struct ev_timer flush_timer;
};

/* pop3_cmds.c */
void pop3_command(struct pop3 *p, struct sv line);
/* Goes on with the task; true when it is done (or there was none). */
bool pop3_task_run(struct pop3 *p);
/* pop3_body.c */
int pop3_body_start(struct pop3 *p, size_t i, bool top, uint32_t lines, struct err *err);
/* Sends what fits.  1 when the message is out, 0 when the stream is full, negative when the file cannot be read. */
int pop3_body_run(struct pop3 *p);
/* pop3_session.c */
int pop3_start(struct session *s, struct err *err); /* for zygote_def */
void pop3_say(struct pop3 *p, const char *fmt, ...) ATTR_PRINTF(2, 3);
void pop3_finish(struct pop3 *p); /* sends what waits and ends the session */

#endif
