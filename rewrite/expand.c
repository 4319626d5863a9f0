/* expand.c - virtual aliases, and whether an address leads anywhere; see rw.h. */
#include "base/htable.h"
#include "maps/map_find.h"
#include "proto/alias_rhs.h"
#include "rewrite/rw.h"

/* An address that was met on the way; keys are compared without regard to ASCII case. */
struct seen {
	struct sv key;
	bool open; /* its aliases are being followed now: meeting it again is a loop */
	UT_hash_handle hh;
};

struct walk {
	struct rw *g;
	struct arena *a;
	struct err *err;
	struct seen *seen;
	unsigned steps;
	/* Expansion only. */
	struct sv *out;
	size_t n, cap;
};

static struct seen *meet(struct walk *w, struct sv addr, bool *fresh)
{
	char *key = arena_strdup(w->a, addr);
	struct seen *s = NULL;
	*fresh = false;
	if (!key)
		return NULL;
	for (size_t i = 0; i < addr.n; i++)
		key[i] = (char)ascii_lower((unsigned char)key[i]);
	HASH_FIND(hh, w->seen, key, addr.n, s);
	if (s)
		return s;
	s = arena_alloc(w->a, sizeof(*s));
	if (!s)
		return NULL;
	s->key = sv_of(key, addr.n);
	HASH_ADD_KEYPTR(hh, w->seen, s->key.p, s->key.n, s);
	*fresh = true;
	return s;
}

static int out_of_room(struct walk *w)
{
	return err_set(w->err, ERR_LIMIT, "alias expansion error: too many addresses");
}

/* The user part, with or without extension, is looked up alone when the domain is one of ours. */
static int find_how(struct rw *g, struct sv addr, unsigned *how, struct err *err)
{
	struct sv local, domain;
	canon_split(addr, &local, &domain);
	*how = MAP_FIND_FULL | MAP_FIND_AT_DOMAIN;
	int r = domain.p && sv_ieqs(domain, g->myorigin) ? 1 : domain.p ? rw_is_local_domain(g, domain, err) : 1;
	if (r == 1)
		*how |= MAP_FIND_LOCAL;
	return r < 0 ? r : 0;
}

/* One result of a virtual alias table: completed, with the extension or the user part of what was asked for. */
static int alias_member(struct walk *w, struct sv from, struct sv member, struct sv ext, bool at_domain, struct sv *out)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX);
	CLEANUP(buf_freep) struct buf c = BUF_INIT(MAIL_ADDR_MAX);
	struct sv local, domain;
	if (member.n > 0 && member.p[0] == '@' && sv_chr(member, ':') < 0) { /* "@other": the same user there */
		canon_split(from, &local, &domain);
		(void)buf_addsv(&b, local);
		(void)buf_addsv(&b, member);
	} else if (ext.n > 0 && !at_domain && w->g->propagate_virtual) {
		canon_split(member, &local, &domain);
		(void)buf_addsv(&b, local);
		(void)buf_addsv(&b, ext);
		if (domain.p) {
			(void)buf_addc(&b, '@');
			(void)buf_addsv(&b, domain);
		}
	} else {
		(void)buf_addsv(&b, member);
	}
	if (b.overflow || canon_address(&w->g->canon, buf_sv(&b), &c) < 0 || c.n == 0 || c.n > w->g->valias_length)
		return err_set(
		    w->err, ERR_TEMP, "bad result of virtual_alias_maps for " SV_FMT, SV_ARG(sv_head(from, 100)));
	return arena_sv(w->a, buf_sv(&c), out) < 0 ? out_of_room(w) : 0;
}

/* The members of an address in virtual_alias_maps: 1 and the list, 0: none. */
static int alias_members(struct walk *w, struct sv addr, struct sv **out, size_t *n)
{
	struct sv value = SV(""), ext = SV("");
	struct alias_items items;
	unsigned how = 0;
	bool at_domain = false;
	int r = w->g->valias_maps.n ? find_how(w->g, addr, &how, w->err) : 0;
	if (r < 0 || w->g->valias_maps.n == 0)
		return r;
	r = rw_find(w->g, w->a, &w->g->valias_maps, addr, how, &value, &ext, &at_domain, w->err);
	if (r != 1)
		return r;
	if (alias_parse(w->a, value, ALIAS_RHS, w->g->valias_size + 1, &items) < 0)
		return out_of_room(w);
	*out = arena_alloc(w->a, (items.n ? items.n : 1) * sizeof(**out));
	if (!*out)
		return out_of_room(w);
	*n = 0;
	for (size_t i = 0; i < items.n; i++) {
		if (items.v[i].kind != ALIAS_ADDRESS && items.v[i].kind != ALIAS_BAD)
			return err_set(w->err, ERR_TEMP,
			    "virtual_alias_maps has something other than addresses for " SV_FMT,
			    SV_ARG(sv_head(addr, 100)));
		r = alias_member(w, addr, items.v[i].text, ext, at_domain, &(*out)[*n]);
		if (r < 0)
			return r;
		(*n)++;
	}
	return *n > 0 ? 1
		      : err_set(w->err, ERR_TEMP, "empty result of virtual_alias_maps for " SV_FMT,
			    SV_ARG(sv_head(addr, 100)));
}

static int emit(struct walk *w, struct sv addr)
{
	if (w->n >= w->g->valias_size)
		return err_set(w->err, ERR_LIMIT, "alias expansion error: more than %zu addresses", w->n);
	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 4;
		struct sv *v = arena_alloc(w->a, cap * sizeof(*v));
		if (!v)
			return out_of_room(w);
		if (w->n)
			memcpy(v, w->out, w->n * sizeof(*v));
		w->out = v;
		w->cap = cap;
	}
	w->out[w->n++] = addr;
	return 0;
}

static int expand_one(struct walk *w, struct sv addr, unsigned depth)
{
	struct sv *members = NULL;
	size_t n = 0;
	bool fresh;
	struct seen *s = meet(w, addr, &fresh);
	if (!s)
		return out_of_room(w);
	if (!fresh)
		return s->open ? err_set(w->err, ERR_LIMIT, "alias expansion error: loop at " SV_FMT,
				     SV_ARG(sv_head(addr, 100)))
			       : 0;
	if (depth > w->g->valias_depth || depth > RW_DEPTH)
		return err_set(
		    w->err, ERR_LIMIT, "alias expansion error: aliases are nested deeper than %u", depth - 1);
	int r = alias_members(w, addr, &members, &n);
	if (r < 0)
		return r;
	if (r == 0)
		return emit(w, addr);
	s->open = true;
	for (size_t i = 0; i < n; i++) {
		/* An alias that names itself keeps a copy: the address is final there. */
		r = sv_ieq(members[i], addr) ? emit(w, addr) : expand_one(w, members[i], depth + 1);
		if (r < 0)
			return r;
	}
	s->open = false;
	return 0;
}

int rw_expand(struct rw *g, struct arena *a, struct sv canonical, struct sv **out, size_t *n, struct err *err)
{
	struct walk w = {.g = g, .a = a, .err = err};
	int r = expand_one(&w, canonical, 1);
	HASH_CLEAR(hh, w.seen);
	if (r == 0) {
		*out = w.out;
		*n = w.n;
	}
	return r;
}

/*
 * Existence.  What members of a list say is joined: one that exists is enough; else "cannot tell" wins over "no".
 */
static int exists_final(struct walk *w, struct sv addr, const char **reason, unsigned depth);

static int join(int have, int next)
{
	if (have == 0 || next == 0)
		return 0;
	return have == ERR_NOT_FOUND ? next : have;
}

static int exists_any(struct walk *w, struct sv addr, const char **reason, unsigned depth)
{
	struct sv *list = NULL;
	size_t n = 0;
	if (++w->steps > RW_STEPS || depth > RW_DEPTH / 10)
		return 0; /* more than is worth looking at now: whoever delivers will see */
	int r = rw_expand(w->g, w->a, addr, &list, &n, w->err);
	if (r < 0)
		return r;
	r = ERR_NOT_FOUND;
	for (size_t i = 0; i < n && r != 0; i++)
		r = join(r, exists_final(w, list[i], reason, depth));
	return r;
}

/* Is any member of a local alias worth accepting mail for? */
static int exists_alias(struct walk *w, struct sv rhs, const char **reason, unsigned depth)
{
	struct alias_items items;
	if (alias_parse(w->a, rhs, ALIAS_RHS, ALIAS_ITEMS_MAX, &items) < 0)
		return 0;
	int r = items.n ? ERR_NOT_FOUND : 0;
	for (size_t i = 0; i < items.n && r != 0; i++) {
		CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX);
		struct sv member;
		if (items.v[i].kind != ALIAS_ADDRESS)
			return 0; /* files, commands, lists and mailboxes: `local` knows */
		if (canon_address(&w->g->canon, items.v[i].text, &b) < 0)
			continue;
		if (arena_sv(w->a, buf_sv(&b), &member) < 0)
			return 0;
		r = join(r, exists_any(w, member, reason, depth + 1));
	}
	return r;
}

static int exists_local(struct walk *w, struct sv addr, const char **reason, unsigned depth)
{
	struct sv local, domain, value, rhs, key;
	struct map *table;
	bool fresh;
	int r;
	canon_split(addr, &local, &domain);
	*reason = w->g->show_table ? "User unknown in local recipient table" : "User unknown";
	if (w->g->local_rcpt_maps.n == 0)
		return 0;
	r = rw_find(w->g, w->a, &w->g->local_rcpt_maps, addr, MAP_FIND_FULL | MAP_FIND_LOCAL | MAP_FIND_AT_DOMAIN,
	    &value, NULL, NULL, w->err);
	if (r <= 0)
		return r < 0 ? r : ERR_NOT_FOUND;
	struct seen *s = meet(w, addr, &fresh);
	if (!s || !fresh)
		return 0; /* an alias that names itself means the mailbox */
	r = rw_alias(w->g, w->a, local, &rhs, &table, &key, w->err);
	if (r <= 0)
		return r; /* a user, or whatever else local_recipient_maps lists */
	return exists_alias(w, rhs, reason, depth);
}

static int in_table(struct walk *w, const struct map_list *l, struct sv addr)
{
	struct sv value;
	if (l->n == 0)
		return 0;
	int r = rw_find(w->g, w->a, l, addr, MAP_FIND_FULL | MAP_FIND_AT_DOMAIN, &value, NULL, NULL, w->err);
	return r < 0 ? r : r == 1 ? 0 : ERR_NOT_FOUND;
}

static int exists_final(struct walk *w, struct sv addr, const char **reason, unsigned depth)
{
	bool show = w->g->show_table;
	int cls = rw_class(w->g, addr, w->err);
	if (cls < 0)
		return cls;
	switch (cls) {
	case MAIL_CLASS_LOCAL: return exists_local(w, addr, reason, depth);
	case MAIL_CLASS_VIRTUAL_ALIAS:
		*reason = show ? "User unknown in virtual alias table" : "User unknown";
		return ERR_NOT_FOUND;
	case MAIL_CLASS_VIRTUAL_MAILBOX:
		*reason = show ? "User unknown in virtual mailbox table" : "User unknown";
		return in_table(w, &w->g->vmailbox_maps, addr);
	case MAIL_CLASS_RELAY:
		*reason = show ? "User unknown in relay recipient table" : "User unknown";
		return in_table(w, &w->g->relay_rcpt_maps, addr);
	default: return 0;
	}
}

int rw_exists(struct rw *g, struct arena *a, struct sv canonical, const char **reason, struct err *err)
{
	struct walk w = {.g = g, .a = a, .err = err};
	int r = exists_any(&w, canonical, reason, 0);
	HASH_CLEAR(hh, w.seen);
	return r;
}
