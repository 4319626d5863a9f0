/*
 * smtp_ext.h - EHLO keywords (RFC 5321 section 4.1.1.1): the names in one table for the server that announces, the
 * client that reads, and smtpd_discard_ehlo_keywords.  Pure.
 */
#ifndef MERPATI_SMTP_EXT_H
#define MERPATI_SMTP_EXT_H

#include "base/buf.h"
#include "base/err.h"

enum smtp_ext {
	SMTP_EXT_PIPELINING = 1 << 0,
	SMTP_EXT_SIZE = 1 << 1,
	SMTP_EXT_VRFY = 1 << 2,
	SMTP_EXT_ETRN = 1 << 3,
	SMTP_EXT_STARTTLS = 1 << 4,
	SMTP_EXT_AUTH = 1 << 5,
	SMTP_EXT_ENHANCEDSTATUSCODES = 1 << 6,
	SMTP_EXT_8BITMIME = 1 << 7,
	SMTP_EXT_DSN = 1 << 8,
	SMTP_EXT_SMTPUTF8 = 1 << 9,
	SMTP_EXT_CHUNKING = 1 << 10,
	SMTP_EXT_XFORWARD = 1 << 11,
	SMTP_EXT_XCLIENT = 1 << 12,
	SMTP_EXT_BINARYMIME = 1 << 13,
	SMTP_EXT_SILENT = 1 << 14 /* "silent-discard" in smtpd_discard_ehlo_keywords */
};

#define SMTP_AUTH_MECHS_MAX 500 /* bytes of the mechanism list that a client keeps */

/* What a server announced. */
struct smtp_ext_set {
	unsigned mask;			     /* of enum smtp_ext */
	uint64_t size;			     /* SIZE value, 0: no limit given */
	char mechs[SMTP_AUTH_MECHS_MAX + 1]; /* mechanism names of AUTH, divided by blanks */
};

/* Takes one line of the EHLO reply (without code and dash; the caller leaves the greeting line out). Unknown ones are
 * ignored. */
void smtp_ext_line(struct smtp_ext_set *set, struct sv line);
/* A list of names divided by blanks or commas as a mask; ERR_NOT_FOUND with *bad at the first unknown one. */
int smtp_ext_list(struct sv list, unsigned *mask, struct sv *bad);
/* "PIPELINING" for SMTP_EXT_PIPELINING. */
const char *smtp_ext_name(enum smtp_ext ext);

#endif
