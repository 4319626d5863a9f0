/*
 * imap.h - one IMAP session (RFC 3501), the only one of its process.  Because nobody else is served here, output to the
 * client is written synchronously (imap_flush waits for the client, with a time limit): FETCH streams without a state
 * machine, and back-pressure is the client's own.  Input, timers and wake-ups come through the loop.
 */
#ifndef MERPATI_IMAPD_IMAP_H
#define MERPATI_IMAPD_IMAP_H

#include "daemon/zygote.h"
#include "message/summary.h"
#include "proto/imap_fmt.h"
#include "proto/imap_lex.h"
#include "proto/imap_seq.h"
#include "store/mailbox.h"

#define IMAP_TAG_MAX 256
#define IMAP_OUT_SIZE (128u << 10)     /* output gathered before it is written */
#define IMAP_LITERALS_MAX (256u << 10) /* bytes of all literals of a command (APPEND's message does not count) */
#define IMAP_COMMAND_MAX (IMAP_LINE_MAX + IMAP_LITERALS_MAX + 4096)
#define IMAP_ARENA_MAX (24u << 20)	      /* memory of one command */
#define IMAP_SKIP_MAX (1u << 20)	      /* bytes of an overlong line that are read and thrown away before BYE */
#define IMAP_BAD_MAX 20			      /* BAD answers in a row that end a session */
#define IMAP_WRITE_TIMEOUT_MS (5 * 60 * 1000) /* imap_conn: a client that takes nothing for so long is lost */
#define IMAP_RELAX_MS 1000		      /* quiet for so long: memory is given back */
#define IMAP_STILL_HERE_MS (2 * 60 * 1000)

enum imap_state {
	IMAP_READY,   /* waits for a command */
	IMAP_LITERAL, /* reads the message of APPEND */
	IMAP_TAIL,    /* reads the end of the line behind it */
	IMAP_SKIP,    /* throws away the rest of an overlong line */
	IMAP_IDLE,    /* waits for DONE */
	IMAP_OVER     /* logged out or broken: reads no more */
};

struct imap_stats {
	uint64_t in, out;
	uint64_t hdr_count, hdr_bytes, body_count, body_bytes;
	uint64_t deleted, expunged, appended;
};

struct imap {
	struct session *zs;
	struct store *store;
	struct mailbox *mb; /* selected, or NULL */
	enum imap_state state;
	struct ev_io io;
	struct ev_timer timer; /* autologout; in IDLE: "still here" */
	struct buf in;	       /* what the client sent and is not done yet */
	struct imap_scan scan;
	size_t literals; /* bytes of accepted literals in the current command */
	char *out;	 /* IMAP_OUT_SIZE bytes, only while there is output */
	size_t out_n;
	struct arena arena; /* of the current command */
	struct buf scratch; /* response lines; emptied by each user */
	struct sv tag;	    /* of the current command */
	char idle_tag[IMAP_TAG_MAX + 1];
	bool uid;		/* the command has the UID prefix */
	bool no_expunge;	/* EXPUNGE may not be sent now */
	unsigned bad;		/* BAD answers since the last good command */
	uint32_t keywords_told; /* bits of keywords whose names the client knows */
	uint64_t skipped;
	struct append *append;	   /* IMAP_LITERAL, IMAP_TAIL */
	struct body_cache *bodies; /* cmd_fetch: where a partial fetch left off */
	const char *why;	   /* reason of the end, for the log */
	struct imap_stats stats;
	uint64_t append_max; /* imapd_append_size_limit */
	uint64_t timeout_ms; /* imapd_timeout */
	struct ev_defer over;
	bool relaxed; /* memory was given back since the last command */
	bool broken;  /* the client is gone: output is dropped */
};

/* ---- session_start.c ---- */
int imap_session_start(struct session *zs, struct err *err);

/* ---- imap_conn.c ---- */
void imap_start(struct imap *s);
void imap_free(struct imap **s);
/* Output; dropped when the client is gone. */
void imap_write(struct imap *s, const void *p, size_t n);
void imap_writes(struct imap *s, const char *text);
void imap_number(struct imap *s, uint64_t n); /* in decimal; FETCH of a whole mailbox is made of little else */
void imap_printf(struct imap *s, const char *fmt, ...) ATTR_PRINTF(2, 3);
void imap_flush(struct imap *s);
/* Room of at least `need` (<= IMAP_OUT_SIZE / 2) bytes at the end of the output; imap_advance tells how many were used.
 */
char *imap_room(struct imap *s, size_t need, size_t *room);
void imap_advance(struct imap *s, size_t n);
/* "* BYE text" and the end. */
void imap_bye(struct imap *s, const char *why, const char *text);
/* The session is over: output is flushed, the loop ends. */
void imap_end(struct imap *s, const char *why);
void imap_timer_restart(struct imap *s);

/* ---- untagged.c: answers ---- */
/* Tagged answer as it stands: status "OK", "NO" or "BAD" (BAD is counted), then the formatted text. */
void imap_reply(struct imap *s, const char *status, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The same after telling what changed in the selected mailbox. */
void imap_done(struct imap *s, const char *status, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* Tagged NO for a failure of the store, with the response code of RFC 5530; logs what is our own trouble. */
void imap_fail(struct imap *s, const struct err *err, const char *code_not_found);
/* Takes up and sends what others did; `expunge` says that EXPUNGE may be sent. */
void imap_sync(struct imap *s, bool expunge);
void imap_send_flags(struct imap *s, size_t i); /* "FLAGS (...)" of a message, without line end */
void imap_send_flag_lists(struct imap *s);	/* "* FLAGS" and PERMANENTFLAGS */
/* The tagged OK with capabilities that starts a session. */
void imap_greet(struct imap *s);
void imap_put_capabilities(struct imap *s, struct buf *out);

/* ---- sets.c ---- */
struct imap_list {
	uint32_t *v; /* places in the snapshot, ascending; in the arena of the command */
	size_t n;
};
/* Messages of the set (sequence numbers, or UIDs when s->uid).  0, ERR_SYNTAX (a sequence number that does not exist),
 * ERR_LIMIT; answers the client itself on failure. */
int imap_messages(struct imap *s, struct sv set, struct imap_list *out);
/* Reads "flag" or "(flag flag ...)": MB_* bits and keyword bits of mailbox mb (made when `create`).  False after an
 * answer to the client.  \Recent is refused, unknown \Flags too. */
bool imap_take_flags(
    struct imap *s, struct imap_lex *l, struct mailbox *mb, bool create, unsigned *flags, uint32_t *keywords);

/* ---- imap_cmds.c ---- */
/* Runs one complete command; returns when it is answered (or IDLE was entered). */
void imap_command(struct imap *s, struct sv command);
/* The prefix of a command up to a literal: what is to be done with it? */
enum imap_literal { LITERAL_TAKE, LITERAL_APPEND, LITERAL_REFUSED };
enum imap_literal imap_literal(struct imap *s, struct sv prefix, uint64_t size, bool nonsync);
bool imap_take_mailbox(struct imap *s, struct imap_lex *l, struct sv *name); /* SP astring */
bool imap_expect_end(struct imap *s, struct imap_lex *l);		     /* answers BAD otherwise */
void imap_bad_arguments(struct imap *s);

typedef void imap_cmd_fn(struct imap *s, struct imap_lex *l);
imap_cmd_fn cmd_select, cmd_examine, cmd_close, cmd_unselect, cmd_create, cmd_delete, cmd_rename, cmd_subscribe,
    cmd_unsubscribe, cmd_list, cmd_lsub, cmd_status, cmd_expunge, cmd_search, cmd_fetch, cmd_store, cmd_copy, cmd_move,
    cmd_idle;

/* cmd_mailbox.c: does this name, in any case that counts, mean the selected mailbox? */
bool imap_is_selected(const struct imap *s, struct sv name);

/* cmd_append.c */
enum imap_literal append_begin(struct imap *s, struct imap_lex *l);
void append_input(struct imap *s); /* state IMAP_LITERAL: takes from s->in */
void append_tail(struct imap *s);  /* state IMAP_TAIL */
void append_free(struct imap *s);

/* cmd_idle.c */
void idle_input(struct imap *s); /* state IMAP_IDLE */
void idle_wake(struct imap *s);
void idle_timer(struct imap *s);

#endif
