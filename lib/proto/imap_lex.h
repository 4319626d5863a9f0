/*
 * imap_lex.h - cutting IMAP commands out of a byte stream, and the tokens inside one command (RFC 3501 section 9).
 *
 * Two steps.  imap_scan finds where a command ends: it looks only at line ends and literal announcements, remembers how
 * far it has looked, and so costs one pass however the bytes arrive.  The imap_lex_* functions then read tokens of the
 * complete command.  Both are pure.  `login` uses them before authentication, `imapd` after it.
 */
#ifndef MERPATI_IMAP_LEX_H
#define MERPATI_IMAP_LEX_H

#include "base/arena.h"
#include "base/err.h"

#define IMAP_LINE_MAX (64u << 10)   /* bytes of a command without its literals */
#define IMAP_LITERAL_COUNT_MAX 1000 /* literals in one command */
#define IMAP_LITERAL_DIGITS_MAX 20

enum imap_scan_result {
	IMAP_SCAN_MORE,	   /* not complete: call again with more bytes behind */
	IMAP_SCAN_LITERAL, /* a literal was announced: s->literal bytes; answer with imap_scan_accept, or give up on the
			      command */
	IMAP_SCAN_DONE,	   /* complete: s->end bytes belong to it, its line end included */
	IMAP_SCAN_TOO_LONG, /* more than max_line bytes beside the literals, or too many literals */
	IMAP_SCAN_BAD	    /* a literal announcement whose number is not one */
};

/* Zero-initialise for each new command. */
struct imap_scan {
	size_t at;	   /* bytes looked at */
	size_t line;	   /* where the current line begins */
	size_t text;	   /* bytes of finished lines (literals not counted) */
	uint64_t literal;  /* IMAP_SCAN_LITERAL: its size */
	bool nonsync;	   /* IMAP_SCAN_LITERAL: "{n+}", the client does not wait (RFC 7888) */
	unsigned literals; /* how many so far */
	size_t end;	   /* IMAP_SCAN_DONE: size of the command; IMAP_SCAN_LITERAL: where the literal's bytes begin */
	bool waiting;	   /* private: between IMAP_SCAN_LITERAL and imap_scan_accept */
};

/* `in` begins with the command's first byte and holds all of it that has arrived. */
enum imap_scan_result imap_scan(struct imap_scan *s, struct sv in, size_t max_line);
/* The announced literal is taken as part of the command: the scan goes on behind its bytes. */
void imap_scan_accept(struct imap_scan *s);

/*
 * A cursor over one command (or the part of it before a literal that is read by other means).  Each function returns
 * true and moves on, or returns false and leaves the cursor where it was.  Views point into the command or into the
 * arena (quoted strings with escapes) and live as long as both.
 */
struct imap_lex {
	struct sv in; /* what is left */
	struct arena *arena;
};

void imap_lex_init(struct imap_lex *l, struct sv command, struct arena *arena); /* drops the final line end */
bool imap_lex_end(const struct imap_lex *l);
bool imap_lex_peek(const struct imap_lex *l, char c);
bool imap_lex_char(struct imap_lex *l, char c);
bool imap_lex_sp(struct imap_lex *l);			  /* one or more blanks (clients send two) */
bool imap_lex_word(struct imap_lex *l, const char *word); /* this atom, any case */
bool imap_lex_tag(struct imap_lex *l, struct sv *tag);	  /* ASTRING-CHARs without '+' */
bool imap_lex_atom(struct imap_lex *l, struct sv *atom);
bool imap_lex_quoted(struct imap_lex *l, struct sv *s);	 /* 8-bit accepted; no CR, LF, NUL */
bool imap_lex_literal(struct imap_lex *l, struct sv *s); /* the bytes must stand in the command */
bool imap_lex_string(struct imap_lex *l, struct sv *s);	 /* quoted or literal */
bool imap_lex_nstring(struct imap_lex *l, struct sv *s); /* NIL gives SV_NONE */
bool imap_lex_astring(struct imap_lex *l, struct sv *s);
bool imap_lex_list_mailbox(struct imap_lex *l, struct sv *s); /* list-mailbox: astring with % and * */
bool imap_lex_number(struct imap_lex *l, uint32_t *n);
bool imap_lex_number64(struct imap_lex *l, uint64_t *n);
bool imap_lex_flag(struct imap_lex *l, struct sv *flag); /* "\Seen", "\Any-atom" or keyword */
bool imap_lex_set(struct imap_lex *l, struct sv *set);	 /* run of digits, ',', ':', '*', '$' */

/* "{n}" or "{n+}" at the end of a command's prefix, line end included: true and its size. */
bool imap_lex_literal_ahead(struct imap_lex *l, uint64_t *size, bool *nonsync);

#endif
