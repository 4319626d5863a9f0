/*
 * addr.h - addresses as they stand in headers, alias tables and on command lines: RFC 5322 sections 3.4 and 4.4, read
 * with tolerance.  Comments (nested), quoted strings, domain literals, groups and obsolete routes are understood; an
 * address without angle brackets may consist of several words, which stay apart by a blank.  Nothing is an error but a
 * limit: what cannot be read as an address is handed out with `odd` set.  Pure: results are copies in the arena, which
 * needs room for about the length of the text and 100 bytes for each address.
 */
#ifndef MERPATI_ADDR_H
#define MERPATI_ADDR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define ADDR_TEXT_MAX (1u << 20) /* bytes of text in one call */
#define ADDR_LOCAL_MAX 512	 /* bytes of a local part that addr_ok accepts (RFC 5321 asks for 64) */
#define ADDR_DOMAIN_MAX 255

enum addr_kind {
	ADDR_MAILBOX,
	ADDR_GROUP_BEGIN, /* name: the group's name */
	ADDR_GROUP_END
};

struct addr {
	enum addr_kind kind;
	struct sv
	    name; /* display name without quotes and folding (encoded words stay); without one, the first comment */
	struct sv route;  /* "@a,@b" of an obsolete route, or "" */
	struct sv local;  /* local part without quotes and backslashes */
	struct sv domain; /* "" when there is none ("<>" has neither); a literal with its brackets */
	bool angle;	  /* stood in < > */
	bool comment;	  /* name is a comment */
	bool odd;	  /* not of the required form: use with care */
};

struct addr_list {
	struct addr *v;
	size_t n;
	bool cut; /* more addresses than max; the rest was not read */
};

/* Reads an address list.  At most max entries (groups count two).  0, or ERR_LIMIT (text too long, arena used up). */
int addr_parse(struct arena *a, struct sv text, size_t max, struct addr_list *out);

/* Reads exactly one mailbox, with or without angle brackets and display name.  0, ERR_SYNTAX, ERR_LIMIT. */
int addr_parse_one(struct arena *a, struct sv text, struct addr *out);

/* True for a mailbox that can be a recipient: not odd, local part not empty, sizes within bounds, no control bytes. */
bool addr_ok(const struct addr *a);

/* Appends "local@domain" as it stands in the queue: no quotes, no brackets (Postfix's internal form); 0 or ERR_LIMIT.
 */
int addr_internal(struct buf *out, const struct addr *a);

/* Appends the local part, quoted where RFC 5322 asks for it; 0 or ERR_LIMIT. */
int addr_quote_local(struct buf *out, struct sv local);

/* Appends an internal-form address ("john doe@x.org") in its external form ("\"john doe\"@x.org"). */
int addr_external(struct buf *out, struct sv internal);

/* Appends a phrase for a display name: as it is when it consists of atoms, else quoted. */
int addr_quote_phrase(struct buf *out, struct sv name);

/* Splits an internal-form address at its last '@'; domain is "" when there is none. */
void addr_split(struct sv internal, struct sv *local, struct sv *domain);

#endif
