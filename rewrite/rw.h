/* rw.h - the state of rewrite: settings, open tables, users that were looked up; shared by the files of this folder. */
#ifndef MERPATI_REWRITE_RW_H
#define MERPATI_REWRITE_RW_H

#include "base/arena.h"
#include "conf/conf.h"
#include "ipc/api_rewrite.h"
#include "maps/cidr.h"
#include "maps/map.h"
#include "maps/match_list.h"
#include "rewrite/canon.h"
#include "rewrite/users.h"

#define RW_STEPS 2000	      /* addresses looked at for one address that was asked for */
#define RW_DEPTH 2000	      /* aliases inside aliases, whatever the parameters say */
#define RW_INTERFACES_MAX 512 /* addresses of this host */

/* Where a class of addresses goes: "transport:nexthop", either part may be empty. */
struct rw_transport {
	struct sv transport, nexthop;
};

struct rw {
	const struct conf *conf; /* borrowed; outlives this */
	struct canon_conf canon;
	struct map_store *store;
	struct users *users; /* NULL: no password file (tests) */
	bool pending;	     /* set when an answer waits for a user that is being looked up */

	struct match_list *mydestination, *relay_domains, *alias_domains, *mailbox_domains;
	struct map_list transport_maps, alias_maps, valias_maps, vmailbox_maps, uid_maps, gid_maps, local_rcpt_maps,
	    relay_rcpt_maps, relayhost_maps, default_transport_maps;
	bool transport_parents;
	bool propagate_virtual, propagate_alias;
	bool owner_special, show_table;
	const char *delimiters, *myorigin, *relayhost, *empty_recipient;
	struct rw_transport local, virtual_mailbox, relay, other;
	uint64_t valias_depth, valias_size, valias_length;
	uint32_t default_uid, default_gid; /* of default_privs */
	struct cidr_addr interfaces[RW_INTERFACES_MAX];
	size_t ninterfaces;
};

/* setup.c: reads the parameters and opens the tables.  A table that cannot be opened now is no error. */
int rw_setup(struct rw *g, const struct conf *conf, struct err *err);
void rw_clear(struct rw *g);

/* resolve.c */
/*
 * The canonical form (in the arena) and the route of an address; route may be NULL.  0, ERR_SYNTAX, ERR_TEMP (err says
 * which table).
 */
int rw_route(struct rw *g, struct arena *a, struct sv addr, struct sv sender, struct sv *canonical,
    struct mail_route *route, struct err *err);
/* The class of a canonical address: enum mail_class, or ERR_TEMP. */
int rw_class(struct rw *g, struct sv canonical, struct err *err);
/* Is this one of our own domains: mydestination or an address of this host?  1, 0, ERR_TEMP. */
int rw_is_local_domain(struct rw *g, struct sv domain, struct err *err);
/* A lookup with the table's form of the address; as map_find_address, *ext copied to the arena. */
int rw_find(struct rw *g, struct arena *a, const struct map_list *l, struct sv addr, unsigned how, struct sv *value,
    struct sv *ext, bool *at_domain, struct err *err);

/* expand.c */
/* What a canonical address becomes through virtual_alias_maps: 0, ERR_TEMP, ERR_LIMIT (loop or too many). */
int rw_expand(struct rw *g, struct arena *a, struct sv canonical, struct sv **out, size_t *n, struct err *err);
/*
 * Does a canonical address lead anywhere?  0, ERR_NOT_FOUND (*reason is a constant text), ERR_TEMP, ERR_LIMIT.
 */
int rw_exists(struct rw *g, struct arena *a, struct sv canonical, const char **reason, struct err *err);

/* local_who.c: the answer of RW_LOCAL; views live in the arena. */
void rw_local_who(struct rw *g, struct arena *a, struct sv addr, struct rw_local *out);
/* The alias of a local part, extension form first: 1 (*rhs, *table, *key in the arena), 0, ERR_TEMP. */
int rw_alias(struct rw *g, struct arena *a, struct sv local, struct sv *rhs, struct map **table, struct sv *key,
    struct err *err);

#endif
