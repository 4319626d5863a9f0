/* smtpd_fakes.h - for tests: the skeleton and the programs that smtpd asks, answered from the loop; one client at a
 * time. */
#ifndef MERPATI_SMTPD_FAKES_H
#define MERPATI_SMTPD_FAKES_H

#include "smtpd/smtpd.h"

#define FAKE_SPOOLS 256 /* descriptors that are remembered */

struct fake_call;
struct fakes {
	struct ev *ev;
	struct smtpd g;
	struct fake_call *calls;
	uint32_t last_id;
	int client, sessions;
	bool cleanup_down, rewrite_down, auth_down, auth_fails;
	unsigned commits, discards, aborts;
	int spool[FAKE_SPOOLS]; /* descriptors handed out, by number of the queue id */
	char committed[65536], envelope[4096];
	unsigned next_qid;
};
extern struct fakes fake;

void fakes_start(void); /* a service "smtp" on mx.here.test; change fake.g.conf before the first client */
void fakes_end(void);	/* the client goes; nothing may be left */
void fake_rules(enum stage stage, const char *text);
/* A client; addr NULL: the local socket.  Talk through fake.client, run the loop with fake_turns. */
void fake_connect(const char *addr, bool local);
void fake_turns(void);

#endif
