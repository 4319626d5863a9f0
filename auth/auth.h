/* auth.h - what the files of this program share. */
#ifndef MERPATI_AUTH_AUTH_H
#define MERPATI_AUTH_AUTH_H

#include "auth/account.h"
#include "auth/cache.h"
#include "auth/sasl_server.h"
#include "auth/user_table.h"
#include "auth/workers.h"
#include "daemon/daemon.h"
#include "ipc/api_auth.h"

struct map_store;

struct auth {
	struct daemon *d;
	struct user_table *users; /* NULL: lmdb is not among auth_sources */
	bool pam;
	struct sasl_server *sasl;
	struct auth_cache *cache;
	uint64_t cache_size, cache_ttl;
	struct workers *workers;
	struct peer *anvil;
	char secret[32];	  /* for what unknown users seem to have */
	char *dummy_hash;	  /* what their passwords are compared with */
	const char *realm, *mail; /* auth_default_realm, virtual_mailbox_base */
	uint32_t first_uid, first_gid;
	uint32_t iterations;
	uint64_t delay_ms, delay_limit_ms, grant_ms;
	struct map_store *maps; /* for relays */
};
extern struct auth auth;

/* Who somebody turned out to be. */
struct identity {
	uint32_t uid, gid;
	char *folder; /* absolute, without a slash at the end; owned */
};

/* verify.c: finds out whether it is the password of a normalised name.  done is called once, perhaps from inside. */
struct verify_request {
	struct sv user;	 /* normalised */
	struct sv given; /* as the client gave it: the system user of PAM when it has no "@" */
	struct sv password;
	struct sv client;
};
/* status: 0 (id is filled and becomes the callee's), ERR_DENIED, ERR_TEMP */
typedef void verify_done(void *arg, int status, struct identity *id);
void verify(const struct verify_request *r, verify_done *done, void *arg);
/* The identity of an account of the tables: 0, ERR_NOT_FOUND (or disabled), ERR_TEMP. */
int verify_identity(struct sv user, struct identity *out);
/* For SCRAM: the account's verifier, or an invented one. */
void verify_scram(void *ctx, struct sv name, struct scram_verifier *out);

/* exchange.c: the requests of smtpd and login */
int exchange_start(struct serve_conn *c, struct msg *m);
int exchange_next(struct serve_conn *c, struct msg *m);
int exchange_abort(struct serve_conn *c, struct msg *m);
int exchange_mechs(struct serve_conn *c, struct msg *m);
void exchange_closed(struct serve_conn *c);

/* relay.c: credentials for relays */
int relay_open(struct err *err); /* opens the tables, again too; on failure those that are open stay */
int relay_client(struct serve_conn *c, struct msg *m);

#endif
