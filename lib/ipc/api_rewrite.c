/* api_rewrite.c - see api_rewrite.h. */
#include "ipc/api_rewrite.h"

static bool get_status(struct msg *m, int *status)
{
	int64_t v;
	if (!get_i64(m, &v) || v > 0 || v < ERR_UNSUPPORTED)
		return false;
	*status = (int)v;
	return true;
}

void rw_resolve_put(struct msg_out *m, const struct rw_resolve *q)
{
	put_u64(m, q->flags);
	put_sv(m, q->sender);
	put_u64(m, q->n);
	for (size_t i = 0; i < q->n; i++)
		put_sv(m, q->addr[i]);
}

int rw_resolve_get(struct msg *m, struct arena *a, struct rw_resolve *q)
{
	struct rw_resolve v = {0};
	uint32_t flags;
	if (!get_u32(m, &flags) || flags > (RW_EXISTS | RW_EXPAND | RW_ROUTE) ||
	    !get_text(m, &v.sender, MAIL_ADDR_MAX) || !get_count(m, &v.n, RW_MAX_ADDRESSES))
		return ERR_PROTOCOL;
	v.flags = flags;
	v.addr = arena_alloc(a, (v.n ? v.n : 1) * sizeof(*v.addr));
	if (!v.addr)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < v.n; i++)
		if (!get_text(m, &v.addr[i], MAIL_ADDR_MAX))
			return ERR_PROTOCOL;
	if (!msg_end(m))
		return ERR_PROTOCOL;
	*q = v;
	return 0;
}

void rw_results_put(struct msg_out *m, const struct rw_result *r, size_t n)
{
	put_u64(m, n);
	for (size_t i = 0; i < n; i++) {
		put_i64(m, r[i].status);
		put_sv(m, sv_head(r[i].reason, RW_MAX_REASON));
		put_sv(m, r[i].canonical);
		mail_route_put(m, &r[i].route);
		put_u64(m, r[i].n);
		for (size_t j = 0; j < r[i].n; j++) {
			put_sv(m, r[i].exp[j].addr);
			mail_route_put(m, &r[i].exp[j].route);
		}
	}
}

static bool get_result(struct msg *m, struct arena *a, struct rw_result *r, size_t *left)
{
	if (!get_status(m, &r->status) || !get_text(m, &r->reason, RW_MAX_REASON) ||
	    !get_text(m, &r->canonical, MAIL_ADDR_MAX) || !mail_route_get(m, &r->route) || !get_count(m, &r->n, *left))
		return false;
	*left -= r->n;
	r->exp = arena_alloc(a, (r->n ? r->n : 1) * sizeof(*r->exp));
	if (!r->exp)
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (!get_text(m, &r->exp[i].addr, MAIL_ADDR_MAX) || !mail_route_get(m, &r->exp[i].route))
			return false;
	return true;
}

int rw_results_get(struct msg *m, struct arena *a, struct rw_result **r, size_t *n)
{
	size_t count, left = RW_MAX_EXPANSIONS;
	if (!get_count(m, &count, RW_MAX_ADDRESSES))
		return ERR_PROTOCOL;
	struct rw_result *v = arena_alloc(a, (count ? count : 1) * sizeof(*v));
	if (!v)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < count; i++)
		if (!get_result(m, a, &v[i], &left))
			return ERR_PROTOCOL;
	if (!msg_end(m))
		return ERR_PROTOCOL;
	*r = v;
	*n = count;
	return 0;
}

void rw_address_put(struct msg_out *m, struct sv addr)
{
	put_sv(m, addr);
}

int rw_address_get(struct msg *m, struct sv *addr)
{
	struct sv v;
	if (!get_text(m, &v, MAIL_ADDR_MAX) || !msg_end(m))
		return ERR_PROTOCOL;
	*addr = v;
	return 0;
}

void rw_local_put(struct msg_out *m, const struct rw_local *r)
{
	put_i64(m, r->status);
	put_sv(m, sv_head(r->reason, RW_MAX_REASON));
	put_u64(m, r->kind);
	put_sv(m, r->rhs);
	put_sv(m, r->owner);
	put_u64(m, r->uid);
	put_u64(m, r->gid);
	put_sv(m, r->user);
	put_sv(m, r->home);
	put_sv(m, r->mailbox);
	put_sv(m, r->extension);
}

int rw_local_get(struct msg *m, struct rw_local *r)
{
	struct rw_local v = {0};
	if (!get_status(m, &v.status) || !get_text(m, &v.reason, RW_MAX_REASON) || !get_u32(m, &v.kind) ||
	    v.kind > RW_LOCAL_VIRTUAL || (v.status == 0 && v.kind == 0) || !get_text(m, &v.rhs, RW_MAX_RHS) ||
	    !get_text(m, &v.owner, MAIL_ADDR_MAX) || !get_u32(m, &v.uid) || !get_u32(m, &v.gid) ||
	    !get_text(m, &v.user, MAIL_ADDR_MAX) || !get_text(m, &v.home, RW_MAX_VALUE) ||
	    !get_text(m, &v.mailbox, RW_MAX_VALUE) || !get_text(m, &v.extension, MAIL_ADDR_MAX) || !msg_end(m))
		return ERR_PROTOCOL;
	*r = v;
	return 0;
}

void rw_access_put(struct msg_out *m, const struct rw_access *q)
{
	put_sv(m, q->table);
	put_u64(m, q->n);
	for (size_t i = 0; i < q->n; i++)
		put_sv(m, q->key[i]);
}

int rw_access_get(struct msg *m, struct rw_access *q)
{
	if (!get_text(m, &q->table, RW_MAX_VALUE) || !get_count(m, &q->n, RW_MAX_KEYS))
		return ERR_PROTOCOL;
	for (size_t i = 0; i < q->n; i++)
		if (!get_text(m, &q->key[i], RW_MAX_KEY))
			return ERR_PROTOCOL;
	return msg_end(m) ? 0 : ERR_PROTOCOL;
}

void rw_value_put(struct msg_out *m, const struct rw_value *v)
{
	put_i64(m, v->status);
	put_sv(m, v->value);
	put_u64(m, v->which);
}

int rw_value_get(struct msg *m, struct rw_value *v)
{
	struct rw_value w = {0};
	if (!get_status(m, &w.status) || !get_text(m, &w.value, RW_MAX_VALUE) || !get_u32(m, &w.which) || !msg_end(m))
		return ERR_PROTOCOL;
	*v = w;
	return 0;
}
