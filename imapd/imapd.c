/*
 * imapd.c - IMAP sessions: the zygote that forks one process for each login.  See imapd.8; the protocol is in
 * the other files of this folder.
 */
#include "imapd/imap.h"

#include <malloc.h>

#include "message/charset.h"

#define MMAP_THRESHOLD (32 << 10) /* bytes */

static int warm(struct daemon *d ATTR_UNUSED, struct err *err ATTR_UNUSED)
{
	/* A threshold that stays: output blocks and the index's lists go back to the system when they are freed. */
	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	malloc_trim(0);
	return 0;
}

static const struct zygote_def def = {
    .program = "imapd", .warm = warm, .start = imap_session_start, .readable = charset_modules};

int main(int argc, char **argv)
{
	return zygote_main(argc, argv, &def);
}
