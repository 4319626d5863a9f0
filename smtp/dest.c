/* dest.c - next hops, and the connections that are kept for the next message to them. */
#include "smtp/smtp.h"

struct dest *dest_get(struct smtp *s, struct sv nexthop)
{
	struct dest *d;

	HASH_FIND(hh, s->dests, nexthop.p, nexthop.n, d);
	if (!d) {
		d = xcalloc(1, sizeof(*d));
		d->nexthop = sv_dup(nexthop);
		HASH_ADD_KEYPTR(hh, s->dests, d->nexthop, nexthop.n, d);
	}
	d->refs++;
	return d;
}

void dest_put(struct smtp *s, struct dest **dp)
{
	struct dest *d = *dp;

	*dp = NULL;
	if (!d || --d->refs > 0)
		return;
	HASH_DEL(s->dests, d);
	free(d->nexthop);
	free(d);
}

struct conn *dest_take_idle(struct dest *d)
{
	struct conn *c = d->idle;

	if (!c)
		return NULL;
	DL_DELETE(d->idle, c); /* the one that was used last: the others may time out */
	ev_timer_stop(&c->deadline);
	return c;
}

static bool listed(const char *list, const char *nexthop)
{
	struct sv rest = sv_str(list), word;

	while (sv_token(&rest, " \t\r\n,", &word))
		if (sv_ieqs(word, nexthop))
			return true;
	return false;
}

static void on_idle_end(struct ev_timer *t)
{
	struct conn *c = container_of(t, struct conn, deadline);

	DL_DELETE(c->dest->idle, c);
	conn_close(c, true);
}

void dest_release(struct smtp *s, struct conn *c)
{
	const struct cfg *cfg = &s->cfg;
	bool keep = cfg->cache_on_demand || listed(cfg->cache_destinations, c->dest->nexthop);

	c->job = NULL;
	if (!keep || c->no_reuse || cfg->cache_time_limit == 0 || daemon_draining(s->d) ||
	    (cfg->reuse_count_limit > 0 && c->uses >= cfg->reuse_count_limit) ||
	    ev_now(s->ev) - c->born >= cfg->reuse_time_limit) {
		conn_close(c, true);
		return;
	}
	c->phase = PH_IDLE;
	DL_PREPEND(c->dest->idle, c);
	ev_timer_start(s->ev, &c->deadline, cfg->cache_time_limit, on_idle_end);
}
