/*
 * imap_crit.h - what SEARCH asks for (RFC 3501 section 6.4.4), as a tree; RFC 4731 RETURN options; RFC 5032 WITHIN.
 */
#ifndef MERPATI_IMAP_CRIT_H
#define MERPATI_IMAP_CRIT_H

#include "proto/imap_lex.h"
#include "proto/imap_seq.h"

#define IMAP_CRIT_DEPTH_MAX 50 /* NOT, OR and parentheses inside each other */
#define IMAP_CRIT_MAX 2000     /* keys of one SEARCH */

enum imap_crit_type {
	IMAP_C_ALL,
	IMAP_C_SEQ,	/* set: sequence numbers */
	IMAP_C_UID,	/* set: UIDs */
	IMAP_C_FLAG,	/* flag: one bit of IMAP_CF_* */
	IMAP_C_KEYWORD, /* text: keyword */
	IMAP_C_SINCE,	/* day: INTERNALDATE on that day or later */
	IMAP_C_BEFORE,
	IMAP_C_ON,
	IMAP_C_SENTSINCE, /* day: Date field */
	IMAP_C_SENTBEFORE,
	IMAP_C_SENTON,
	IMAP_C_LARGER, /* number: bytes */
	IMAP_C_SMALLER,
	IMAP_C_YOUNGER, /* number: seconds */
	IMAP_C_OLDER,
	IMAP_C_HEADER, /* field, text ("" matches when the field is there) */
	IMAP_C_BODY,   /* text in the body */
	IMAP_C_TEXT,   /* text in header or body */
	IMAP_C_AND,    /* children: all of them */
	IMAP_C_OR      /* children: one of them */
};

enum {
	IMAP_CF_SEEN = 1,
	IMAP_CF_ANSWERED = 2,
	IMAP_CF_FLAGGED = 4,
	IMAP_CF_DELETED = 8,
	IMAP_CF_DRAFT = 16,
	IMAP_CF_RECENT = 32
};

struct imap_crit {
	enum imap_crit_type type;
	bool negate;
	uint8_t flag;
	uint8_t cost;		/* for the one who evaluates: cheap keys first */
	struct imap_crit *next; /* sibling */
	struct imap_crit *child;
	struct imap_set set;
	uint64_t number;
	int64_t day; /* midnight UTC of the day */
	struct sv field, text;
};

enum { IMAP_RET_MIN = 1, IMAP_RET_MAX = 2, IMAP_RET_ALL = 4, IMAP_RET_COUNT = 8 };

struct imap_search {
	bool extended;		/* RETURN was given: answer with ESEARCH */
	unsigned ret;		/* IMAP_RET_* */
	struct sv charset;	/* SV_NONE when not given */
	struct imap_crit *root; /* IMAP_C_AND */
};

/* Reads everything behind "SEARCH SP".  All in l->arena.  0; ERR_SYNTAX, ERR_LIMIT with a text for the client. */
int imap_search_parse(struct imap_lex *l, struct imap_search *out, struct err *err);

#endif
