/*
 * match_list.h - lists as of mynetworks, mydestination, relay_domains: host and domain names, .domain, addresses and
 * networks, type:table, /file (its lines are patterns too), each with an optional '!' that ends the search with "no".
 */
#ifndef MERPATI_MATCH_LIST_H
#define MERPATI_MATCH_LIST_H

#include "maps/map.h"

#define MATCH_LIST_MAX 10000 /* patterns, those of files included */

struct match_list;

/*
 * parents: a name also matches its subdomains (parent_domain_matches_subdomains), else only ".name" does.  Files are
 * read now; flags (enum map_flag) are for the tables.  A pattern that is wrong does not fail the list: reaching it
 * answers ERR_TEMP.
 */
int match_list_new(
    struct match_list **out, struct map_store *s, struct sv text, bool parents, unsigned flags, struct err *err);
void match_list_free(struct match_list **l);
/* The first pattern that matches decides.  1, 0, ERR_TEMP.  Either of the two may be empty. */
int match_list_host(const struct match_list *l, struct sv name, struct sv address, struct err *err);
int match_list_domain(const struct match_list *l, struct sv domain, struct err *err);
/* Tells of each table of the list whether it can be read: 0, or ERR_TEMP. */
int match_list_status(const struct match_list *l, struct err *err);

#endif
