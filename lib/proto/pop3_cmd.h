/*
 * pop3_cmd.h - POP3 command lines (RFC 1939, RFC 2449) and the UIDL form.  Pure; used by login before and by pop3d
 * after authentication.
 */
#ifndef MERPATI_PROTO_POP3_CMD_H
#define MERPATI_PROTO_POP3_CMD_H

#include "base/buf.h"
#include "base/err.h"

#define POP3_LINE_MAX 255	 /* bytes of a command line with its CRLF (RFC 2449 section 4) */
#define POP3_AUTH_LINE_MAX 12288 /* bytes of a SASL response line (RFC 5034 section 4) */
#define POP3_UIDL_MAX 70	 /* bytes of a unique id (RFC 1939 section 7) */

enum pop3_verb {
	POP3_UNKNOWN, /* a word that is no command */
	POP3_USER,    /* arg */
	POP3_PASS,    /* arg: the rest of the line, blanks included */
	POP3_APOP,    /* known, not offered: arg, arg2 */
	POP3_AUTH,    /* arg: mechanism or empty; arg2: initial response or p == NULL */
	POP3_STLS,
	POP3_CAPA,
	POP3_QUIT,
	POP3_NOOP,
	POP3_STAT,
	POP3_LIST, /* number or 0 */
	POP3_RETR, /* number */
	POP3_DELE, /* number */
	POP3_RSET,
	POP3_TOP,  /* number, lines */
	POP3_UIDL, /* number or 0 */
	POP3_VERBS
};

struct pop3_cmd {
	enum pop3_verb verb;
	uint32_t number; /* message number, from 1; 0: not given */
	uint32_t lines;	 /* of TOP */
	struct sv arg, arg2;
};

/*
 * One line without its CRLF or LF.  0; ERR_SYNTAX when the command is known (out->verb says which) and its arguments
 * are wrong, or the line holds a NUL.  A number too great to be one is number UINT32_MAX: no message has it.
 */
int pop3_cmd_parse(struct sv line, struct pop3_cmd *out);

/*
 * pop3_uidl_format: Dovecot's %u (UID) and %v (UIDVALIDITY), each with an optional zero-padded width and X or x before
 * it for hexadecimal ("%08Xu%08Xv"), %% for a percent sign, other printable bytes as they are.  pop3_uidl_check: 0 or
 * ERR_SYNTAX (unknown letter, no %u, a byte outside 0x21-0x7e, possibly longer than POP3_UIDL_MAX).
 */
int pop3_uidl_check(struct sv format);
int pop3_uidl_put(struct buf *out, struct sv format, uint32_t uidvalidity, uint32_t uid);

/* Byte-stuffing (RFC 1939 section 3) of text whose lines end in CRLF: a dot at the beginning of a line is doubled.
 * *bol: the text begins at the beginning of a line (true at the start); updated.  0 or ERR_LIMIT. */
int pop3_stuff(struct buf *out, struct sv in, bool *bol);

#endif
