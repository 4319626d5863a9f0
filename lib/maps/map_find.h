/* map_find.h - the order in which parts of an address or of a domain are looked up. */
#ifndef MERPATI_MAP_FIND_H
#define MERPATI_MAP_FIND_H

#include "maps/map.h"

enum map_find_how {
	MAP_FIND_FULL = 1,     /* user+ext@domain, then user@domain; "user" alone is tried as it is */
	MAP_FIND_LOCAL = 2,    /* user+ext, then user: the caller says so when the domain is ours */
	MAP_FIND_AT_DOMAIN = 4 /* @domain */
};

/*
 * Looks an address up in these tables.  address: in the form of table keys (the local part quoted where it must be).
 * delimiters: recipient_delimiter, "" for none.  Only the first key is tried in tables of patterns.  1, 0 or ERR_TEMP
 * as map_list_find; *ext (may be NULL) is the extension with its delimiter when a key without it was found, else empty;
 * *at_domain (may be NULL) tells that @domain was what matched.
 */
int map_find_address(const struct map_list *l, struct sv address, const char *delimiters, unsigned how,
    struct buf *value, struct sv *ext, bool *at_domain, struct err *err);

/*
 * domain itself, then its parents: "example.org" forms (parents true: parent_domain_matches_subdomains) or
 * ".example.org".
 */
int map_find_domain(const struct map_list *l, struct sv domain, bool parents, struct buf *value, struct err *err);

/* Index of the delimiter between user and extension of a local part, -1: none.  owner- and -request are left whole. */
ssize_t map_split_extension(struct sv local, const char *delimiters, bool owner_request_special);

#endif
