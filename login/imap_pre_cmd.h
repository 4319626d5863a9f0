/* imap_pre_cmd.h - the IMAP commands that make sense before login, out of a complete command.  Pure. */
#ifndef MERPATI_LOGIN_IMAP_PRE_CMD_H
#define MERPATI_LOGIN_IMAP_PRE_CMD_H

#include "base/arena.h"
#include "base/err.h"

#define IMAP_TAG_MAX 128

enum imap_pre_verb {
	IMAP_PRE_UNKNOWN,
	IMAP_PRE_CAPABILITY,
	IMAP_PRE_NOOP,
	IMAP_PRE_LOGOUT,
	IMAP_PRE_ID,
	IMAP_PRE_STARTTLS,
	IMAP_PRE_LOGIN,	      /* arg user, arg2 password */
	IMAP_PRE_AUTHENTICATE /* arg mechanism, arg2 initial response in base64 or p == NULL */
};

struct imap_pre_cmd {
	struct sv tag; /* "*" when the command has none */
	enum imap_pre_verb verb;
	struct sv arg, arg2;
};

/* command: with its literals and line end.  0; ERR_SYNTAX: tag and verb are set as far as they could be read. */
int imap_pre_parse(struct sv command, struct arena *arena, struct imap_pre_cmd *out);

#endif
