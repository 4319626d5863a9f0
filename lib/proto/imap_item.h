/* imap_item.h - what FETCH asks for (RFC 3501 section 6.4.5). */
#ifndef MERPATI_IMAP_ITEM_H
#define MERPATI_IMAP_ITEM_H

#include "proto/imap_lex.h"

#define IMAP_ITEMS_MAX 100  /* items of one FETCH */
#define IMAP_PATH_MAX 70    /* numbers in a section: 1.2.3 */
#define IMAP_FIELDS_MAX 500 /* names in one HEADER.FIELDS */

enum imap_item_kind {
	IMAP_ITEM_UID,
	IMAP_ITEM_FLAGS,
	IMAP_ITEM_INTERNALDATE,
	IMAP_ITEM_SIZE,
	IMAP_ITEM_ENVELOPE,
	IMAP_ITEM_BODY, /* structure without extension data */
	IMAP_ITEM_BODYSTRUCTURE,
	IMAP_ITEM_SECTION /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
};

enum imap_section { IMAP_SEC_ALL, IMAP_SEC_HEADER, IMAP_SEC_FIELDS, IMAP_SEC_FIELDS_NOT, IMAP_SEC_TEXT, IMAP_SEC_MIME };

struct imap_item {
	enum imap_item_kind kind;
	/* IMAP_ITEM_SECTION: */
	enum imap_section section;
	bool peek; /* does not set \Seen */
	bool partial;
	uint8_t npath;
	uint32_t *path;	   /* part numbers, outermost first */
	struct sv *fields; /* names of HEADER.FIELDS[.NOT] */
	size_t nfields;
	uint64_t offset, length; /* partial */
	struct sv label;	 /* as it stands in the response: "BODY[1.TEXT]<0>", "RFC822.HEADER" */
};

struct imap_items {
	struct imap_item *v;
	size_t n;
};

/*
 * Reads one item, a macro (ALL, FAST, FULL) or a list of items at the cursor, to the end of the command.  All in
 * l->arena. 0; ERR_SYNTAX or ERR_LIMIT with a text for the client in err.
 */
int imap_items_parse(struct imap_lex *l, struct imap_items *out, struct err *err);

#endif
