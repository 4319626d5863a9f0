/* kids.c - connections to the children: one per class and uid:gid, kept while they are used, given up when idle. */
#include "local/coord.h"

#define KIDS_MAX 200	  /* idle children past this number are given up at once */
#define KID_IDLE_MS 60000 /* an idle child is kept for this long */
#define KID_SWEEP_MS 10000

struct kid {
	UT_hash_handle hh;
	char name[64]; /* "local_file 1000:1000" */
	struct peer *peer;
	unsigned calls;
	uint64_t used; /* ms */
};

struct kid_call {
	struct coord *c;
	struct kid *kid;
	peer_done *done;
	void *arg;
};

static void kid_drop(struct coord *c, struct kid *k)
{
	HASH_DEL(c->kids, k);
	peer_free(&k->peer);
	free(k);
}

/* uthash keeps the order of insertion: the first idle one is the child that was started first. */
static void drop_oldest(struct coord *c)
{
	struct kid *k, *tmp;

	HASH_ITER (hh, c->kids, k, tmp) {
		if (k->calls == 0) {
			kid_drop(c, k);
			return;
		}
	}
}

static void sweep(struct ev_timer *t)
{
	struct coord *c = container_of(t, struct coord, kid_timer);
	uint64_t now = ev_now(daemon_ev(c->d));
	struct kid *k, *tmp;

	HASH_ITER (hh, c->kids, k, tmp) {
		if (k->calls == 0 && now - k->used > KID_IDLE_MS)
			kid_drop(c, k);
	}
	ev_timer_start(daemon_ev(c->d), t, KID_SWEEP_MS, sweep);
}

void kids_init(struct coord *c)
{
	ev_timer_start(daemon_ev(c->d), &c->kid_timer, KID_SWEEP_MS, sweep);
}

static struct kid *kid_find(struct coord *c, const char *class, uint32_t uid, uint32_t gid)
{
	struct kid *k;
	char name[64], target[32];

	snprintf(target, sizeof(target), "%u:%u", uid, gid);
	snprintf(name, sizeof(name), "%s %s", class, target);
	HASH_FIND_STR(c->kids, name, k);
	if (!k) {
		if (HASH_COUNT(c->kids) >= KIDS_MAX)
			drop_oldest(c);
		k = xcalloc(1, sizeof(*k));
		memcpy(k->name, name, sizeof(name));
		k->peer = peer_new(c->d, class, target);
		HASH_ADD_STR(c->kids, name, k);
	}
	k->used = ev_now(daemon_ev(c->d));
	return k;
}

static void answered(void *arg, int status, struct msg *reply)
{
	struct kid_call *call = arg;
	peer_done *done = call->done;

	call->kid->calls--;
	call->kid->used = ev_now(daemon_ev(call->c->d));
	arg = call->arg;
	free(call);
	done(arg, status, reply);
}

void kid_call(struct coord *c, const char *class, uint32_t uid, uint32_t gid, uint16_t type, const struct msg_out *m,
    uint64_t timeout_ms, peer_done *done, void *arg)
{
	struct kid_call *call = xmalloc(sizeof(*call));
	struct kid *k = kid_find(c, class, uid, gid);

	*call = (struct kid_call){.c = c, .kid = k, .done = done, .arg = arg};
	k->calls++;
	peer_call(k->peer, type, m, timeout_ms, answered, call);
}
