/*
 * pop3d.c - POP3 after login (RFC 1939): a warm zygote (lib/daemon/zygote), one forked child a session.  Several
 * sessions of one mailbox run at once; each works on the messages that were there when it began, and removes only at
 * QUIT.
 */
#include "pop3d/pop3.h"

static int warm(struct daemon *d, struct err *err)
{
	const char *format = conf_str(daemon_conf(d), "pop3_uidl_format");

	return pop3_uidl_check(sv_str(format))
		   ? err_set(err, ERR_SYNTAX, "pop3_uidl_format = %s: not a usable form", format)
		   : 0;
}

int main(int argc, char **argv)
{
	static const struct zygote_def def = {.program = "pop3d", .warm = warm, .start = pop3_start};

	return zygote_main(argc, argv, &def);
}
