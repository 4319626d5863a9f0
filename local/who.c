/*
 * who.c - whose mail an address is, kept for a moment: mail for one mailbox comes in bursts, and rewrite itself looks
 * at its tables' files only now and then.  Virtual mailboxes that were found, nothing else.
 */
#include "local/coord.h"

#define WHO_KEEP_MS 1000
#define WHO_MAX 5000 /* addresses kept */

struct who {
	UT_hash_handle hh;
	uint64_t until; /* ms */
	struct rw_local who;
	struct arena arena; /* key and strings */
	struct sv key;
};

static void who_drop(struct coord *c, struct who *w)
{
	HASH_DEL(c->who, w);
	arena_clear(&w->arena);
	free(w);
}

bool who_find(struct coord *c, struct sv addr, struct rw_local *out)
{
	struct who *w;

	HASH_FIND(hh, c->who, addr.p, addr.n, w);
	if (!w)
		return false;
	if (w->until < ev_now(daemon_ev(c->d))) {
		who_drop(c, w);
		return false;
	}
	*out = w->who;
	return true;
}

void who_keep(struct coord *c, struct sv addr, const struct rw_local *who)
{
	struct who *w;

	if (who->status != 0 || who->kind != RW_LOCAL_VIRTUAL || addr.n == 0)
		return;
	HASH_FIND(hh, c->who, addr.p, addr.n, w);
	if (w)
		who_drop(c, w);
	else if (HASH_COUNT(c->who) >= WHO_MAX)
		who_drop(c, c->who); /* the oldest */
	w = xcalloc(1, sizeof(*w));
	arena_init(&w->arena, 4096);
	w->until = ev_now(daemon_ev(c->d)) + WHO_KEEP_MS;
	w->who = (struct rw_local){.kind = who->kind, .uid = who->uid, .gid = who->gid};
	if (arena_sv(&w->arena, addr, &w->key) < 0 || arena_sv(&w->arena, who->user, &w->who.user) < 0 ||
	    arena_sv(&w->arena, who->mailbox, &w->who.mailbox) < 0 ||
	    arena_sv(&w->arena, who->extension, &w->who.extension) < 0) {
		arena_clear(&w->arena);
		free(w);
		return;
	}
	HASH_ADD_KEYPTR(hh, c->who, w->key.p, w->key.n, w);
}
