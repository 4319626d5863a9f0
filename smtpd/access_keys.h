/* access_keys.h - what an access table (access(5)) is asked for, in which order.  Pure. */
#ifndef MERPATI_SMTPD_ACCESS_KEYS_H
#define MERPATI_SMTPD_ACCESS_KEYS_H

#include "base/sv.h"

#define ACCESS_KEYS_MAX 90
#define ACCESS_LEVELS_MAX 64 /* parent domains of a name that are looked for: the shortest */
#define ACCESS_KEY_TEXT 4096 /* bytes of keys that are not pieces of the input */

/* Views point into the input or into `text`. */
struct access_keys {
	size_t n, used;
	struct sv key[ACCESS_KEYS_MAX];
	char text[ACCESS_KEY_TEXT];
};

/* Begins: host name, its parent domains.  "unknown" is a key like others; an empty name gives none. */
void access_keys_host(struct access_keys *k, struct sv host);
/* Adds: address, then its networks at byte (IPv4) or group (IPv6) boundaries. */
void access_keys_address(struct access_keys *k, struct sv addr);
/* Begins: user+ext@domain, user@domain, domain and its parents, user+ext@, user@; "<>" for the null address. */
void access_keys_mail(struct access_keys *k, struct sv addr, const char *delimiters);
/* Begins: user+ext@domain, user@domain, @domain, for smtpd_sender_login_maps. */
void access_keys_login(struct access_keys *k, struct sv addr, const char *delimiters);

#endif
