/*
 * fake_server.h - for tests: an SMTP server that follows a script, in the same loop.  A step waits for a line that
 * begins with `in` and answers with `out`.  Special `in`: NULL at once (greeting), "." the content up to its end.
 * Special `out`:
 * "" nothing, "!close" at the end closes the connection.
 */
#ifndef MERPATI_SMTP_FAKE_SERVER_H
#define MERPATI_SMTP_FAKE_SERVER_H

#include "base/buf.h"
#include "ev/ev.h"

struct fake_step {
	const char *in, *out;
};

struct fake_server {
	struct ev *ev;
	struct ev_io listener;
	uint16_t port;
	const struct fake_step *steps; /* ends with {NULL, NULL}; each connection begins at the first */
	unsigned connections;
	struct fake_conn *conns;
	struct buf content; /* of the last message, as it came over the wire */
	struct buf seen;    /* all command lines, divided by '\n' */
	char wrong[200];    /* a line that the script did not expect */
};

/* address: "127.0.0.1"; port 0 picks one. */
void fake_start(
    struct fake_server *f, struct ev *ev, const char *address, uint16_t port, const struct fake_step *steps);
void fake_stop(struct fake_server *f);

#endif
