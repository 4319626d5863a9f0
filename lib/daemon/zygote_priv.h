/* zygote_priv.h - what zygote.c (the parent) and session.c (the child) share. */
#ifndef MERPATI_DAEMON_ZYGOTE_PRIV_H
#define MERPATI_DAEMON_ZYGOTE_PRIV_H

#include "daemon/zygote.h"

#define SESSION_PREFACE_MS 30000 /* how long a child waits for login's preface */
#define SESSION_END_MS 10000	 /* how long a session that was told to end may take */

/* What the parent gives to a child; strings belong to the child. */
struct session_start {
	const struct zygote_def *def;
	struct daemon *daemon;
	uint64_t number;
	char *user, *folder;
	const char *readable; /* of zygote_def; NULL: nothing */
	unsigned uid, gid;
	int stream, anvil; /* anvil may be -1 */
	int life;	   /* hangs up when the parent ends or drains */
};

/* In the child, right after the fork: becomes the user and serves the session; returns the exit status. */
int session_run(const struct session_start *start);

#endif
