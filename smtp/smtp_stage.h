/*
 * smtp_stage.h - for tests of the engine: the skeleton's functions as far as the engine asks for them, a qmgr that
 * orders and takes results, and hosts of b.org.
 */
#ifndef MERPATI_SMTP_STAGE_H
#define MERPATI_SMTP_STAGE_H

#include "dns/dns_fake.h"
#include "smtp/fake_server.h"
#include "smtp/smtp.h"

struct outcome {
	unsigned results;
	bool last, site_down;
	unsigned status[8], flags[8];
	char dsn[8][16], relay[8][128], text[8][512];
};

struct order {
	const char *nexthop, *content, *rcpt[4];
	unsigned flags;
	uint64_t size;
	const char *orcpt;
};

struct stage {
	struct smtp smtp;
	int busy;		/* what the engine told the skeleton */
	struct outcome got[40]; /* by job */
	struct chan *to_agent;
	struct serve_conn serve;
	struct fake_server one, two;
	char hop[64];
};
extern struct stage stage;

int stage_setup(void **state);	  /* for cmocka */
int stage_teardown(void **state); /* fails when the engine still thinks that it is busy */
void deliver(unsigned job, const struct order *o);
void wait_for(unsigned job); /* until its last result */
/*
 * Two hosts for b.org: mx1 on 127.0.0.1, mx2 on 127.0.0.2, one port.  A script NULL: nobody listens there.  Returns the
 * next hop "b.org:PORT".
 */
const char *hosts(const struct fake_step *s1, const struct fake_step *s2);

#endif
