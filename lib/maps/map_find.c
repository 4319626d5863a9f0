/* map_find.c - lookup orders; see map_find.h. */
#include "maps/map_find.h"

#include "base/err.h"
#include "maps/map_kind.h"

ssize_t map_split_extension(struct sv local, const char *delimiters, bool owner_request_special)
{
	if (!*delimiters || sv_ieqs(local, "mailer-daemon") || sv_ieqs(local, "double-bounce"))
		return -1;
	if (owner_request_special && strchr(delimiters, '-') &&
	    (sv_istarts(local, SV("owner-")) || sv_iends(local, SV("-request"))))
		return -1;
	/* Not at the very start: "+x" is a user, not an extension of nobody. */
	for (size_t i = 1; i < local.n; i++)
		if (local.p[i] && strchr(delimiters, local.p[i]))
			return (ssize_t)i;
	return -1;
}

struct find {
	const struct map_list *l;
	struct buf *value;
	struct err *err;
	bool first_done;
};

/* One key; a later one only in tables of fixed keys. */
static int try_key(struct find *f, struct sv key)
{
	bool fixed_only = f->first_done;
	f->first_done = true;
	return map_list_find(f->l, key, fixed_only, f->value, f->err);
}

static int try_joined(struct find *f, struct sv a, struct sv b)
{
	MAP_SCRATCH char key[MAP_KEY_MAX];
	if (a.n + b.n > sizeof(key))
		return 0;
	memcpy(key, a.p, a.n);
	memcpy(key + a.n, b.p, b.n);
	return try_key(f, sv_of(key, a.n + b.n));
}

int map_find_address(const struct map_list *l, struct sv address, const char *delimiters, unsigned how,
    struct buf *value, struct sv *ext, bool *at_domain, struct err *err)
{
	struct find f = {.l = l, .value = value, .err = err};
	ssize_t at = sv_rchr(address, '@');
	struct sv local = at < 0 ? address : sv_head(address, (size_t)at);
	struct sv domain = at < 0 ? SV("") : sv_skip(address, (size_t)at); /* with the '@' */
	ssize_t split = local.n > 0 && local.p[0] == '"' ? -1 : map_split_extension(local, delimiters, true);
	struct sv user = split < 0 ? local : sv_head(local, (size_t)split);
	bool full = how & MAP_FIND_FULL, in_local = at >= 0 && (how & MAP_FIND_LOCAL);
	bool without = false;
	int r = 0;
	if (l->n == 0)
		return 0;
	if (full)
		r = try_key(&f, address);
	if (r == 0 && full && split >= 0) {
		r = try_joined(&f, user, domain);
		without = r == 1;
	}
	if (r == 0 && in_local)
		r = try_key(&f, local);
	if (r == 0 && in_local && split >= 0) {
		r = try_key(&f, user);
		without = r == 1;
	}
	bool found = r == 1;
	if (r == 0 && (how & MAP_FIND_AT_DOMAIN) && at >= 0)
		r = try_key(&f, domain);
	if (ext)
		*ext = without ? sv_skip(local, (size_t)split) : SV("");
	if (at_domain)
		*at_domain = r == 1 && !found;
	return r;
}

int map_find_domain(const struct map_list *l, struct sv domain, bool parents, struct buf *value, struct err *err)
{
	struct find f = {.l = l, .value = value, .err = err};
	struct sv d = domain;
	while (d.n > 0) {
		int r = try_key(&f, d);
		if (r != 0)
			return r;
		ssize_t dot = sv_chr(sv_skip(d, 1), '.');
		if (dot < 0)
			return 0;
		d = sv_skip(d, (size_t)dot + (parents ? 2 : 1));
	}
	return 0;
}
