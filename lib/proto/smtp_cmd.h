/*
 * smtp_cmd.h - a line from an SMTP or LMTP client, cut into its verb and what follows (RFC 5321 section 4.1).  Pure.
 */
#ifndef MERPATI_SMTP_CMD_H
#define MERPATI_SMTP_CMD_H

#include "base/sv.h"

enum smtp_verb {
	SMTP_UNKNOWN,
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_LHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_HELP,
	SMTP_ETRN,
	SMTP_AUTH,
	SMTP_STARTTLS,
	SMTP_QUIT,
	SMTP_VERBS /* how many there are */
};

struct smtp_cmd {
	enum smtp_verb verb;
	struct sv word; /* the verb as it was sent */
	struct sv args; /* what follows it, without white space at both ends */
};

/* Cuts a line (without its end).  An empty line is SMTP_UNKNOWN with an empty word.  The views point into the line. */
void smtp_cmd_parse(struct sv line, struct smtp_cmd *cmd);
/* "MAIL" for SMTP_MAIL; "UNKNOWN" for SMTP_UNKNOWN. */
const char *smtp_verb_name(enum smtp_verb verb);
/*
 * "FROM:<...> ..." of MAIL or "TO:<...> ..." of RCPT: checks the keyword without regard to case, allows blanks around
 * the colon as Postfix does, and gives what stands behind.  0 or ERR_SYNTAX.
 */
int smtp_cmd_keyword(struct sv args, struct sv keyword, struct sv *rest);
/* "12345 LAST" of BDAT (RFC 3030 section 2).  0, ERR_SYNTAX, or ERR_LIMIT when the size does not fit. */
int smtp_bdat_args(struct sv args, uint64_t *size, bool *last);

#endif
