/*
 * api_anvil.h - what `anvil` keeps for everybody: counters with rate windows, numbers of open things that are given
 * back when their holder dies, short-lived facts, and wake-ups for mail sessions.  Losing all of it (a restart) loses
 * no mail.
 *
 * AN_COUNT   {kind s, key s, add u, hold u, window u} -> AN_COUNT {status i, rate u, open u}
 *            adds `add` to the events of (kind, key) and holds `hold` more of it; rate: events within the last `window`
 *            seconds, these included; open: how many are held by all callers.  Both 0: only asks.
 *            status ERR_LIMIT: anvil's table is full; rate and open are 0 and the caller goes on as if nothing were
 * counted. AN_RELEASE {kind s, key s, n u}, no reply: the caller holds n less.  What a connection holds is released
 * when it closes. AN_FACT_SET {kind s, key s, value s, ttl u}, no reply: ttl 0 forgets it. AN_FACT_GET {kind s, key s}
 * -> AN_FACT_GET {status i: 0 or ERR_NOT_FOUND, value s, left u (seconds)} AN_NEWMAIL {account s}, no reply (local):
 * mail was filed for this account address: wakes its sessions.
 *
 * Sessions (lib/daemon/zygote does this for imapd and pop3d):
 * AN_WATCH   {} -> AN_WATCH {status i} + inotify descriptor (when status is 0).  The session adds its watches as its
 * own user with exactly AN_WATCH_MASK, closes the descriptor, and says which: AN_WATCHING {n, n x wd u} -> AN_WATCHING
 * {status i}: replaces what this session watched before; n 0: nothing (no AN_WATCH needed before).  ERR_TEMP: a watch
 * was removed meanwhile: begin again with AN_WATCH.  ERR_LIMIT: too many. AN_WAKE    {} from anvil, id 0: something
 * happened in a watched folder, or AN_NEWMAIL for the session's account.
 */
#ifndef MERPATI_API_ANVIL_H
#define MERPATI_API_ANVIL_H

#include <sys/inotify.h>

#include "ipc/msg.h"

enum an_type { AN_COUNT = 0x0a01, AN_RELEASE, AN_FACT_SET, AN_FACT_GET, AN_NEWMAIL, AN_WATCH, AN_WATCHING, AN_WAKE };
#define AN_VERSION 1

#define AN_MAX_KIND 32	    /* bytes of a kind: "smtpd_conn", "auth_fail" */
#define AN_MAX_KEY 320	    /* bytes of a key: an address, a client */
#define AN_MAX_VALUE 1024   /* bytes of a fact */
#define AN_MAX_WINDOW 86400 /* seconds of a rate window */
#define AN_MAX_TTL 604800   /* seconds that a fact may live */
#define AN_MAX_ADD 1000000
#define AN_MAX_WATCHES 64 /* watches of one session */
#define AN_WATCH_MASK (IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR)

struct an_count {
	struct sv kind, key;
	uint32_t add, hold, window;
};
void an_count_encode(struct msg_out *m, const struct an_count *c);
bool an_count_decode(struct msg *m, struct an_count *c); /* views into m */

struct an_counted {
	int status;
	uint32_t rate, open;
};
void an_counted_encode(struct msg_out *m, const struct an_counted *c);
bool an_counted_decode(struct msg *m, struct an_counted *c);

void an_release_encode(struct msg_out *m, struct sv kind, struct sv key, uint32_t n);
bool an_release_decode(struct msg *m, struct sv *kind, struct sv *key, uint32_t *n);

struct an_fact {
	struct sv kind, key, value;
	uint32_t ttl;
};
void an_fact_encode(struct msg_out *m, const struct an_fact *f);
bool an_fact_decode(struct msg *m, struct an_fact *f);
void an_fact_get_encode(struct msg_out *m, struct sv kind, struct sv key);
bool an_fact_get_decode(struct msg *m, struct sv *kind, struct sv *key);

struct an_fact_reply {
	int status;
	struct sv value;
	uint32_t left;
};
void an_fact_reply_encode(struct msg_out *m, const struct an_fact_reply *r);
bool an_fact_reply_decode(struct msg *m, struct an_fact_reply *r);

void an_newmail_encode(struct msg_out *m, struct sv account);
bool an_newmail_decode(struct msg *m, struct sv *account);

void an_status_encode(struct msg_out *m, int status); /* replies of AN_WATCH (with put_fd beside it) and AN_WATCHING */
bool an_status_decode(struct msg *m, int *status);

struct an_watching {
	size_t n;
	uint32_t wd[AN_MAX_WATCHES];
};
void an_watching_encode(struct msg_out *m, const struct an_watching *w);
bool an_watching_decode(struct msg *m, struct an_watching *w);

#endif
