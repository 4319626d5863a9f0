/* resolve.c - canonical form, class, transport and next hop of an address; see rw.h. */
#include "maps/map_find.h"
#include "rewrite/rw.h"

#define ROUTED_MAX 100 /* routing operators in one local part */

int rw_is_local_domain(struct rw *g, struct sv domain, struct err *err)
{
	struct cidr_addr a;
	int r = match_list_domain(g->mydestination, domain, err);
	if (r != 0 || domain.n < 3 || domain.p[0] != '[')
		return r;
	/* "[1.2.3.4]", "[IPv6:...]": an address of this host (RFC 5321 section 4.1.3). */
	struct sv in = sv_of(domain.p + 1, domain.n - 2);
	if (sv_istarts(in, SV("IPv6:")))
		in = sv_skip(in, 5);
	if (cidr_addr(in, &a) < 0)
		return 0;
	for (size_t i = 0; i < g->ninterfaces; i++)
		if (g->interfaces[i].n == a.n && memcmp(g->interfaces[i].b, a.b, a.n) == 0)
			return 1;
	return 0;
}

int rw_class(struct rw *g, struct sv canonical, struct err *err)
{
	struct sv local, domain;
	int r;
	canon_split(canonical, &local, &domain);
	if (!domain.p || domain.n == 0)
		return MAIL_CLASS_LOCAL;
	r = rw_is_local_domain(g, domain, err);
	if (r != 0)
		return r < 0 ? r : MAIL_CLASS_LOCAL;
	r = match_list_domain(g->alias_domains, domain, err);
	if (r != 0)
		return r < 0 ? r : MAIL_CLASS_VIRTUAL_ALIAS;
	r = match_list_domain(g->mailbox_domains, domain, err);
	if (r != 0)
		return r < 0 ? r : MAIL_CLASS_VIRTUAL_MAILBOX;
	r = match_list_domain(g->relay_domains, domain, err);
	if (r != 0)
		return r < 0 ? r : MAIL_CLASS_RELAY;
	return MAIL_CLASS_OTHER;
}

int rw_find(struct rw *g, struct arena *a, const struct map_list *l, struct sv addr, unsigned how, struct sv *value,
    struct sv *ext, bool *at_domain, struct err *err)
{
	CLEANUP(buf_freep) struct buf key = BUF_INIT(MAP_KEY_MAX);
	CLEANUP(buf_freep) struct buf out = BUF_INIT(MAP_VALUE_MAX);
	struct sv tail = SV("");
	if (l->n == 0 || canon_quoted(addr, &key) < 0)
		return 0;
	int r = map_find_address(l, buf_sv(&key), g->delimiters, how, &out, &tail, at_domain, err);
	if (r != 1)
		return r;
	if (arena_sv(a, buf_sv(&out), value) < 0 || (ext && arena_sv(a, tail, ext) < 0))
		return err_set(err, ERR_TEMP, "out of room for the result");
	return 1;
}

/* The canonical form, local domains with routing operators in front of them taken off. */
static int canonical_form(struct rw *g, struct arena *a, struct sv addr, struct sv *canonical, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX);
	struct sv local, domain, text = addr.n ? addr : sv_str(g->empty_recipient);
	for (int i = 0; i < ROUTED_MAX; i++) {
		buf_reset(&b);
		if (canon_address(&g->canon, text, &b) < 0)
			return err_set(err, ERR_SYNTAX, "bad address syntax");
		if (arena_sv(a, buf_sv(&b), canonical) < 0)
			return err_set(err, ERR_TEMP, "out of room for the result");
		canon_split(*canonical, &local, &domain);
		if (!domain.p || !canon_is_routed(&g->canon, local))
			return 0;
		int r = rw_is_local_domain(g, domain, err);
		if (r <= 0)
			return r;
		text = local;
	}
	return err_set(err, ERR_SYNTAX, "too many routing operators");
}

static void set_route(struct mail_route *r, struct rw_transport t, struct sv nexthop)
{
	r->transport = t.transport;
	r->nexthop = t.nexthop.n ? t.nexthop : nexthop;
}

/* sender_dependent_*_maps: by sender, then by @domain. */
static int by_sender(
    struct rw *g, struct arena *a, const struct map_list *l, struct sv sender, struct sv *value, struct err *err)
{
	int r =
	    rw_find(g, a, l, sender.n ? sender : SV("<>"), MAP_FIND_FULL | MAP_FIND_AT_DOMAIN, value, NULL, NULL, err);
	return r == 1 && sv_ieqs(*value, "DUNNO") ? 0 : r;
}

static struct rw_transport split(struct sv s)
{
	ssize_t colon = sv_chr(s, ':');
	return (struct rw_transport){
	    colon < 0 ? s : sv_head(s, (size_t)colon), colon < 0 ? SV("") : sv_skip(s, (size_t)colon + 1)};
}

/* Mail that leaves this host: relay and other domains. */
static int off_host(
    struct rw *g, struct arena *a, struct sv sender, struct sv domain, struct mail_route *route, struct err *err)
{
	struct rw_transport t = route->cls == MAIL_CLASS_RELAY ? g->relay : g->other;
	struct sv value, hop = domain;
	int r = 0;
	if (route->cls == MAIL_CLASS_OTHER && g->default_transport_maps.n)
		r = by_sender(g, a, &g->default_transport_maps, sender, &value, err);
	if (r < 0)
		return r;
	if (r == 1)
		t = split(value);
	r = g->relayhost_maps.n ? by_sender(g, a, &g->relayhost_maps, sender, &value, err) : 0;
	if (r < 0)
		return r;
	if (r == 1)
		hop = value;
	else if (g->relayhost[0])
		hop = sv_str(g->relayhost);
	set_route(route, t, hop);
	return 0;
}

/* transport_maps: the address, the domain and its parents, "*". */
static int transport_override(
    struct rw *g, struct arena *a, struct sv canonical, struct sv domain, struct mail_route *route, struct err *err)
{
	CLEANUP(buf_freep) struct buf out = BUF_INIT(MAP_VALUE_MAX);
	struct sv value = SV("");
	int r = rw_find(g, a, &g->transport_maps, canonical, MAP_FIND_FULL, &value, NULL, NULL, err);
	if (r == 0 && domain.n)
		r = map_find_domain(&g->transport_maps, domain, g->transport_parents, &out, err);
	if (r == 0)
		r = map_list_find(&g->transport_maps, SV("*"), true, &out, err);
	if (r != 1)
		return r;
	if (out.n && arena_sv(a, buf_sv(&out), &value) < 0)
		return err_set(err, ERR_TEMP, "out of room for the result");
	struct rw_transport t = split(value);
	if (t.transport.n) {
		route->transport = t.transport;
		route->nexthop = t.nexthop.n ? t.nexthop : domain;
	} else if (t.nexthop.n) {
		route->nexthop = t.nexthop;
	}
	return 0;
}

static int route_canonical(
    struct rw *g, struct arena *a, struct sv canonical, struct sv sender, struct mail_route *route, struct err *err)
{
	struct sv local, domain;
	int cls = rw_class(g, canonical, err);
	if (cls < 0)
		return cls;
	canon_split(canonical, &local, &domain);
	if (!domain.p)
		domain = sv_str(g->myorigin);
	route->cls = (uint32_t)cls;
	switch (route->cls) {
	case MAIL_CLASS_LOCAL: set_route(route, g->local, domain); break;
	case MAIL_CLASS_VIRTUAL_ALIAS:
		route->transport = SV("error");
		route->nexthop =
		    g->show_table ? SV("5.1.1 User unknown in virtual alias table") : SV("5.1.1 User unknown");
		return 0; /* not for transport_maps: such an address exists as an alias only */
	case MAIL_CLASS_VIRTUAL_MAILBOX: set_route(route, g->virtual_mailbox, domain); break;
	default: {
		int r = off_host(g, a, sender, domain, route, err);
		if (r < 0)
			return r;
	}
	}
	return g->transport_maps.n ? transport_override(g, a, canonical, domain, route, err) : 0;
}

int rw_route(struct rw *g, struct arena *a, struct sv addr, struct sv sender, struct sv *canonical,
    struct mail_route *route, struct err *err)
{
	int r = canonical_form(g, a, addr, canonical, err);
	if (r < 0 || !route)
		return r;
	struct mail_route found = {0};
	r = route_canonical(g, a, *canonical, sender, &found, err);
	if (r == 0)
		*route = found;
	return r;
}
