/*
 * workers.h - processes that may wait: password hashing and PAM.  A nursery, forked before the cage is shut, starts
 * them, starts a new one when one dies, and hands its socket over.  Each does one job at a time; more wait in a bounded
 * queue.
 */
#ifndef MERPATI_AUTH_WORKERS_H
#define MERPATI_AUTH_WORKERS_H

#include "daemon/daemon.h"

#define WORKER_MAX_HOME 512
#define WORKER_MAX_NAME 512 /* bytes of a user name */
#define WORKER_MAX_REQUEST 2048

enum worker_kind { WORKER_HASH, WORKER_PAM, WORKER_KINDS };

/* What a worker answers; over a socket between processes of one program. */
struct worker_reply {
	int32_t status;	   /* 0, ERR_DENIED, ERR_TEMP */
	uint32_t uid, gid; /* PAM */
	char home[WORKER_MAX_HOME];
};

struct workers;
typedef void worker_done(void *arg, const struct worker_reply *r);

/* Call in start().  pam_service NULL: no PAM workers.  nprocs of each kind. */
int workers_start(struct daemon *d, unsigned nprocs, const char *pam_service, size_t queue_limit, struct workers **out,
    struct err *err);
/*
 * done is called once, from the loop, never from inside.  ERR_LIMIT: the queue is full, done will not be called.
 * second: the crypt(3) hash, or for PAM the user name; client: for PAM.
 */
int workers_ask(struct workers *w, enum worker_kind kind, struct sv password, struct sv second, struct sv client,
    worker_done *done, void *arg);

/* nursery.c: runs in the forked process and does not return.  control: SOCK_SEQPACKET to auth. */
ATTR_NORETURN void nursery_main(int control, unsigned nprocs, const char *pam_service);

#endif
