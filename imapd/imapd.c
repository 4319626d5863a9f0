/*
 * imapd.c - IMAP sessions: the zygote that forks one process for each login.  See imapd.8; the protocol is in
 * the other files of this folder.
 */
#include "imapd/imap.h"
#include "message/charset.h"

static int warm(struct daemon *d ATTR_UNUSED, struct err *err ATTR_UNUSED)
{
	charset_warm();
	return 0;
}

static const struct zygote_def def = {.program = "imapd", .warm = warm, .start = imap_session_start};

int main(int argc, char **argv)
{
	return zygote_main(argc, argv, &def);
}
