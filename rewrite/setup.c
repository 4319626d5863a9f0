/* setup.c - parameters and tables of rewrite; see rw.h. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <pwd.h>

#include "base/clock.h"
#include "conf/conf_expand.h"
#include "conf/conf_lex.h"
#include "conf/conf_params.h"
#include "rewrite/rw.h"

static int unix_lookup(void *ctx, const char *name, struct sv key, struct buf *value, struct err *err)
{
	struct rw *g = ctx;
	if (!g->users)
		return err_set(err, ERR_TEMP, "no worker for %s", name);
	int r = users_find(g->users, name[0] == 'g', key, clock_mono_ms(), value, &g->pending);
	return r < 0 ? err_set(err, ERR_TEMP, "%s cannot be read now", name) : r;
}

static struct rw_transport split_transport(const char *text)
{
	struct sv s = sv_str(text);
	ssize_t colon = sv_chr(s, ':');
	return (struct rw_transport){
	    colon < 0 ? s : sv_head(s, (size_t)colon), colon < 0 ? SV("") : sv_skip(s, (size_t)colon + 1)};
}

static bool has_word(const char *list, const char *word)
{
	struct sv rest = sv_str(list), w;
	while (sv_token(&rest, ", \t\r\n", &w))
		if (sv_ieqs(w, word))
			return true;
	return false;
}

static bool conf_lookup(void *ctx, struct sv name, struct sv *value)
{
	char text[CONF_NAME_MAX + 1];
	if (name.n >= sizeof(text))
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	const char *v = conf_raw(ctx, text);
	*value = sv_str(v ? v : "");
	return v != NULL;
}

/*
 * Tables of ours that only the default names need not be there: a host without accounts or aliases has none.  Not for
 * every parameter: a default such as $virtual_alias_maps may stand for a table that the postmaster named.
 */
static unsigned default_flag(const struct conf *c, const char *name)
{
	static const char *const ours[] = {"alias_maps", "virtual_mailbox_maps", "virtual_mailbox_domains"};
	bool may = false;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		may |= strcmp(name, ours[i]) == 0;
	if (!may)
		return 0;
	const struct conf_param *row = conf_param_find(sv_str(name));
	CLEANUP(buf_freep) struct buf def = BUF_INIT(CONF_VALUE_MAX);
	union {
		const struct conf *c;
		void *v;
	} ctx = {.c = c};
	if (!row || conf_expand(sv_str(row->def), CONF_EXPAND_RECURSE, conf_lookup, ctx.v, &def, NULL) < 0)
		return 0;
	return strcmp(buf_cstr(&def), conf_str(c, name)) == 0 ? MAP_OPTIONAL : 0;
}

static const struct {
	const char *name;
	size_t at; /* of the struct map_list in struct rw */
	unsigned flags;
} lists[] = {
    {"transport_maps", offsetof(struct rw, transport_maps), 0},
    {"alias_maps", offsetof(struct rw, alias_maps), MAP_ALIAS},
    {"virtual_alias_maps", offsetof(struct rw, valias_maps), 0},
    {"virtual_mailbox_maps", offsetof(struct rw, vmailbox_maps), 0},
    {"virtual_uid_maps", offsetof(struct rw, uid_maps), 0},
    {"virtual_gid_maps", offsetof(struct rw, gid_maps), 0},
    {"relay_recipient_maps", offsetof(struct rw, relay_rcpt_maps), 0},
    {"sender_dependent_relayhost_maps", offsetof(struct rw, relayhost_maps), 0},
    {"sender_dependent_default_transport_maps", offsetof(struct rw, default_transport_maps), 0},
};

/* local_recipient_maps usually repeats $alias_maps: those are opened as alias tables there too. */
static int open_local_recipients(struct rw *g, struct err *err)
{
	struct sv rest = sv_str(conf_str(g->conf, "local_recipient_maps")), word = SV_NONE;
	struct map_list *l = &g->local_rcpt_maps;
	int r;
	while ((r = conf_lex_word(&rest, ", \t\r\n", &word)) == 1) {
		struct map *m = NULL;
		for (size_t i = 0; i < g->alias_maps.n && !m; i++)
			if (sv_eqs(word, map_spec(g->alias_maps.v[i])))
				m = g->alias_maps.v[i];
		if (!m)
			m = map_store_get(g->store, word, 0, err);
		if (!m || l->n == MAP_LIST_MAX)
			return err_prefix(err, "parameter local_recipient_maps");
		l->v[l->n++] = m;
	}
	return r < 0 ? err_set(err, ERR_SYNTAX, "parameter local_recipient_maps: no closing '}'") : 0;
}

static int open_lists(struct rw *g, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct map_list *l = (struct map_list *)((char *)g + lists[i].at);
		unsigned flags = lists[i].flags | default_flag(g->conf, lists[i].name);
		if (map_list_init(l, g->store, sv_str(conf_str(g->conf, lists[i].name)), flags, err) < 0)
			return err_prefix(err, "parameter %s", lists[i].name);
	}
	return open_local_recipients(g, err);
}

/*
 * A list of domains.  The default of virtual_mailbox_domains is a table of ours that exists only when there are
 * accounts: until then nothing is in it.
 */
static int open_domains(struct rw *g, const char *name, bool parents, struct match_list **out, struct err *err)
{
	const char *text = conf_str(g->conf, name);
	unsigned flags = default_flag(g->conf, name);
	int r = match_list_new(out, g->store, sv_str(text), parents, flags, err);
	return r < 0 ? err_prefix(err, "parameter %s", name) : 0;
}

static void read_interfaces(struct rw *g)
{
	struct sv list = sv_str(conf_str(g->conf, "inet_interfaces")),
		  proxy = sv_str(conf_str(g->conf, "proxy_interfaces")), w;
	struct ifaddrs *all = NULL;
	bool wild = has_word(conf_str(g->conf, "inet_interfaces"), "all") || getifaddrs(&all) < 0;
	if (wild && !all && getifaddrs(&all) < 0)
		all = NULL;
	for (struct ifaddrs *i = all; i && g->ninterfaces < RW_INTERFACES_MAX; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN];
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
		const void *a = family == AF_INET
				    ? (const void *)&((const struct sockaddr_in *)i->ifa_addr)->sin_addr
				    : (const void *)&((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
		if ((family == AF_INET || family == AF_INET6) && inet_ntop(family, a, text, sizeof(text)) &&
		    cidr_addr(sv_str(text), &g->interfaces[g->ninterfaces]) == 0)
			g->ninterfaces++;
	}
	if (all)
		freeifaddrs(all);
	while (g->ninterfaces < RW_INTERFACES_MAX && (sv_token(&list, ", \t", &w) || sv_token(&proxy, ", \t", &w)))
		if (cidr_addr(w, &g->interfaces[g->ninterfaces]) == 0)
			g->ninterfaces++;
}

static int read_default_privs(struct rw *g, struct err *err)
{
	const char *name = conf_str(g->conf, "default_privs");
	const struct passwd *pw = getpwnam(name);
	if (!pw || pw->pw_uid == 0)
		return err_set(
		    err, ERR_SYNTAX, "parameter default_privs: \"%.60s\" is not a user without privileges", name);
	g->default_uid = pw->pw_uid;
	g->default_gid = pw->pw_gid;
	return 0;
}

static void read_plain(struct rw *g)
{
	const struct conf *c = g->conf;
	const char *parents = conf_str(c, "parent_domain_matches_subdomains");
	const char *propagate = conf_str(c, "propagate_unmatched_extensions");
	g->canon = (struct canon_conf){
	    .myorigin = g->myorigin,
	    .mydomain = conf_str(c, "mydomain"),
	    .append_at_myorigin = conf_bool(c, "append_at_myorigin"),
	    .append_dot_mydomain = conf_bool(c, "append_dot_mydomain"),
	    .swap_bangpath = conf_bool(c, "swap_bangpath"),
	    .percent_hack = conf_bool(c, "allow_percent_hack"),
	    .dequoted = conf_bool(c, "resolve_dequoted_address"),
	    .null_domain = conf_bool(c, "resolve_null_domain"),
	    .numeric_domain = conf_bool(c, "resolve_numeric_domain"),
	};
	g->delimiters = conf_str(c, "recipient_delimiter");
	g->relayhost = conf_str(c, "relayhost");
	g->empty_recipient = conf_str(c, "empty_address_recipient");
	g->owner_special = conf_bool(c, "owner_request_special");
	g->show_table = conf_bool(c, "show_user_unknown_table_name");
	g->transport_parents = has_word(parents, "transport_maps");
	g->propagate_virtual = has_word(propagate, "virtual");
	g->propagate_alias = has_word(propagate, "alias");
	g->local = split_transport(conf_str(c, "local_transport"));
	g->virtual_mailbox = split_transport(conf_str(c, "virtual_transport"));
	g->relay = split_transport(conf_str(c, "relay_transport"));
	g->other = split_transport(conf_str(c, "default_transport"));
	g->valias_depth = conf_int(c, "virtual_alias_recursion_limit");
	g->valias_size = conf_int(c, "virtual_alias_expansion_limit");
	g->valias_length = conf_int(c, "virtual_alias_address_length_limit");
}

int rw_setup(struct rw *g, const struct conf *conf, struct err *err)
{
	g->conf = conf;
	g->store = map_store_new(unix_lookup, g);
	g->myorigin = conf_str(conf, "myorigin");
	int r = read_default_privs(g, err);
	if (r < 0)
		return r;
	read_plain(g);
	read_interfaces(g);
	r = open_lists(g, err);
	if (r == 0)
		r = open_domains(g, "mydestination", false, &g->mydestination, err);
	if (r == 0)
		r = open_domains(g, "relay_domains",
		    has_word(conf_str(conf, "parent_domain_matches_subdomains"), "relay_domains"), &g->relay_domains,
		    err);
	if (r == 0)
		r = open_domains(g, "virtual_alias_domains", false, &g->alias_domains, err);
	if (r == 0)
		r = open_domains(g, "virtual_mailbox_domains", false, &g->mailbox_domains, err);
	return r;
}

void rw_clear(struct rw *g)
{
	match_list_free(&g->mydestination);
	match_list_free(&g->relay_domains);
	match_list_free(&g->alias_domains);
	match_list_free(&g->mailbox_domains);
	map_store_free(&g->store);
	users_free(&g->users);
	*g = (struct rw){0};
}
