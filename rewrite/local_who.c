/* local_who.c - who a local or virtual recipient is, for `local`; see rw.h. */
#include "base/num.h"
#include "maps/map_find.h"
#include "proto/alias_rhs.h"
#include "rewrite/rw.h"

static void answer(struct rw_local *out, struct arena *a, int status, const char *text)
{
	*out = (struct rw_local){.status = status};
	if (arena_sv(a, sv_str(text), &out->reason) < 0)
		out->reason = SV("");
}

static int find_alias(
    struct rw *g, struct arena *a, struct sv name, struct sv *rhs, struct map **table, struct err *err)
{
	CLEANUP(buf_freep) struct buf value = BUF_INIT(MAP_VALUE_MAX);
	for (size_t i = 0; i < g->alias_maps.n; i++) {
		int r = map_lookup(g->alias_maps.v[i], name, &value, err);
		if (r == 0)
			continue;
		if (r == 1 && arena_sv(a, buf_sv(&value), rhs) < 0)
			return err_set(err, ERR_TEMP, "out of room for the result");
		*table = g->alias_maps.v[i];
		return r;
	}
	return 0;
}

int rw_alias(
    struct rw *g, struct arena *a, struct sv local, struct sv *rhs, struct map **table, struct sv *key, struct err *err)
{
	ssize_t split = map_split_extension(local, g->delimiters, g->owner_special);
	*key = local;
	int r = find_alias(g, a, local, rhs, table, err);
	if (r != 0 || split < 0)
		return r;
	*key = sv_head(local, (size_t)split);
	return find_alias(g, a, *key, rhs, table, err);
}

/* owner-NAME in the alias tables makes it the sender of what the list sends. */
static int find_owner(struct rw *g, struct arena *a, struct sv key, struct sv *owner, struct err *err)
{
	CLEANUP(buf_freep) struct buf name = BUF_INIT(MAIL_ADDR_MAX);
	CLEANUP(buf_freep) struct buf full = BUF_INIT(MAIL_ADDR_MAX);
	struct map *table;
	struct sv rhs;
	*owner = SV("");
	if (sv_istarts(key, SV("owner-")))
		return 0;
	if (buf_adds(&name, "owner-") < 0 || buf_addsv(&name, key) < 0)
		return 0;
	int r = find_alias(g, a, buf_sv(&name), &rhs, &table, err);
	if (r != 1)
		return r;
	struct sv text = buf_sv(&name);
	struct alias_items items;
	if (conf_bool(g->conf, "expand_owner_alias") && alias_parse(a, rhs, ALIAS_RHS, 2, &items) == 0 &&
	    items.n == 1 && items.v[0].kind == ALIAS_ADDRESS)
		text = items.v[0].text;
	if (canon_address(&g->canon, text, &full) == 0 && arena_sv(a, buf_sv(&full), owner) < 0)
		return err_set(err, ERR_TEMP, "out of room for the result");
	return 0;
}

static int who_alias(struct rw *g, struct arena *a, struct sv local, struct rw_local *out, struct err *err)
{
	struct map *table = NULL;
	struct sv rhs, key;
	uid_t uid = 0;
	gid_t gid = 0;
	int r = rw_alias(g, a, local, &rhs, &table, &key, err);
	if (r != 1)
		return r;
	struct rw_local v = {.kind = RW_LOCAL_ALIAS, .rhs = rhs, .user = key};
	if (key.n < local.n)
		v.extension = sv_skip(local, key.n + 1);
	r = find_owner(g, a, key, &v.owner, err);
	if (r < 0)
		return r;
	map_owner(table, &uid, &gid);
	v.uid = uid ? uid : g->default_uid;
	v.gid = uid ? gid : g->default_gid;
	*out = v;
	return 1;
}

/* name:x:uid:gid:gecos:home:shell */
static int parse_passwd(struct arena *a, struct sv line, struct rw_local *out)
{
	struct sv rest = line, f[7];
	for (size_t i = 0; i < ARRAY_LEN(f); i++)
		f[i] = sv_cut(&rest, ":");
	if (num_u32(f[2], &out->uid) < 0 || num_u32(f[3], &out->gid) < 0)
		return ERR_SYNTAX;
	return arena_sv(a, f[0], &out->user) < 0 || arena_sv(a, f[5], &out->home) < 0 ? ERR_LIMIT : 0;
}

static int user_mailbox(struct rw *g, struct arena *a, struct rw_local *v)
{
	const char *home_mailbox = conf_str(g->conf, "home_mailbox");
	CLEANUP(buf_freep) struct buf b = BUF_INIT(RW_MAX_VALUE);
	if (home_mailbox[0])
		(void)buf_printf(&b, SV_FMT "/%s", SV_ARG(v->home), home_mailbox);
	else
		(void)buf_printf(&b, "%s/" SV_FMT, conf_str(g->conf, "mail_spool_directory"), SV_ARG(v->user));
	return b.overflow || arena_sv(a, buf_sv(&b), &v->mailbox) < 0 ? ERR_LIMIT : 0;
}

static int who_user(struct rw *g, struct arena *a, struct sv local, struct rw_local *out, struct err *err)
{
	CLEANUP(buf_freep) struct buf line = BUF_INIT(USERS_LINE_MAX);
	ssize_t split = map_split_extension(local, g->delimiters, g->owner_special);
	struct sv user = split < 0 ? local : sv_head(local, (size_t)split);
	char folded[USERS_NAME_MAX + 1];
	struct rw_local v = {.kind = RW_LOCAL_USER};
	if (!g->users || user.n > USERS_NAME_MAX)
		return 0;
	/* User names have no capitals; addresses may (RFC 5321 section 2.4 leaves it to us). */
	for (size_t i = 0; i < user.n; i++)
		folded[i] = (char)ascii_lower((unsigned char)user.p[i]);
	int r = users_find(g->users, false, sv_of(folded, user.n), clock_mono_ms(), &line, &g->pending);
	if (r != 1)
		return r < 0 ? err_set(err, ERR_TEMP, "the password file cannot be read now") : 0;
	if (parse_passwd(a, buf_sv(&line), &v) < 0 || user_mailbox(g, a, &v) < 0)
		return err_set(err, ERR_TEMP, "bad entry of the password file");
	if (split >= 0)
		v.extension = sv_skip(local, (size_t)split + 1);
	*out = v;
	return 1;
}

/* A number from virtual_uid_maps or virtual_gid_maps. */
static int find_id(struct rw *g, struct arena *a, const struct map_list *l, struct sv addr, const char *what,
    uint32_t *id, struct err *err)
{
	struct sv value;
	int r = rw_find(g, a, l, addr, MAP_FIND_FULL | MAP_FIND_AT_DOMAIN, &value, NULL, NULL, err);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_TEMP, "%s has nothing for this recipient", what);
	if (num_u32(sv_trim(value), id) < 0)
		return err_set(err, ERR_TEMP, "%s: bad number \"" SV_FMT "\"", what, SV_ARG(sv_head(value, 40)));
	return 0;
}

static int who_virtual(struct rw *g, struct arena *a, struct sv addr, struct rw_local *out, struct err *err)
{
	CLEANUP(buf_freep) struct buf path = BUF_INIT(RW_MAX_VALUE);
	struct rw_local v = {.kind = RW_LOCAL_VIRTUAL};
	struct sv value, ext, local, domain;
	bool at_domain = false;
	int r =
	    rw_find(g, a, &g->vmailbox_maps, addr, MAP_FIND_FULL | MAP_FIND_AT_DOMAIN, &value, &ext, &at_domain, err);
	if (r != 1)
		return r;
	if (find_id(g, a, &g->uid_maps, addr, "virtual_uid_maps", &v.uid, err) < 0 ||
	    find_id(g, a, &g->gid_maps, addr, "virtual_gid_maps", &v.gid, err) < 0)
		return ERR_TEMP;
	if (v.uid < conf_int(g->conf, "virtual_minimum_uid"))
		return err_set(err, ERR_TEMP, "virtual_uid_maps: user id %u is below virtual_minimum_uid", v.uid);
	if (buf_printf(&path, "%s/" SV_FMT, conf_str(g->conf, "virtual_mailbox_base"), SV_ARG(value)) < 0 ||
	    arena_sv(a, buf_sv(&path), &v.mailbox) < 0)
		return err_set(err, ERR_TEMP, "the mailbox path is too long");
	/* Never out of the base, whatever the table says. */
	if (sv_find(buf_sv(&path), SV("/../")) >= 0 || sv_ends(buf_sv(&path), SV("/..")))
		return err_set(err, ERR_TEMP, "the mailbox path has \"..\" in it");
	canon_split(addr, &local, &domain);
	CLEANUP(buf_freep) struct buf user = BUF_INIT(MAIL_ADDR_MAX);
	(void)buf_addsv(&user, sv_head(local, local.n - ext.n));
	(void)buf_addc(&user, '@');
	(void)buf_addsv(&user, domain);
	if (user.overflow || arena_sv(a, buf_sv(&user), &v.user) < 0)
		return err_set(err, ERR_TEMP, "out of room for the result");
	v.extension = ext.n ? sv_skip(ext, 1) : SV("");
	*out = v;
	return 1;
}

void rw_local_who(struct rw *g, struct arena *a, struct sv addr, struct rw_local *out)
{
	struct sv canonical = SV(""), local, domain;
	struct err err = {0};
	char text[RW_MAX_REASON];
	/* "\\user": the system user, whatever the alias tables say (aliases(5)). */
	bool user = addr.n > 1 && addr.p[0] == '\\';
	int r = rw_route(g, a, user ? sv_skip(addr, 1) : addr, SV(""), &canonical, NULL, &err);
	int cls = r < 0 ? r : rw_class(g, canonical, &err);
	canon_split(canonical, &local, &domain);
	if (cls == MAIL_CLASS_VIRTUAL_MAILBOX) {
		r = who_virtual(g, a, canonical, out, &err);
	} else if (cls > 0) {
		r = user ? 0 : who_alias(g, a, local, out, &err);
		if (r == 0)
			r = who_user(g, a, local, out, &err);
	} else {
		r = cls;
	}
	if (r == 1)
		return;
	(void)snprintf(text, sizeof(text), "unknown user: \"" SV_FMT "\"",
	    SV_ARG(sv_head(cls == MAIL_CLASS_VIRTUAL_MAILBOX ? canonical : local, 200)));
	if (r == 0)
		answer(out, a, ERR_NOT_FOUND, text);
	else
		answer(out, a, r == ERR_SYNTAX ? ERR_NOT_FOUND : ERR_TEMP, err.text);
}
