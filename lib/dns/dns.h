/*
 * dns.h - questions to the DNS through `resolver`, the one process that speaks DNS.  Nothing blocks: every question
 * ends in one callback from the loop, also on time-out or when `resolver` is down (status ERR_TEMP then).  Equal
 * questions under way are asked once, and answers are kept for their TTL (at most DNS_KEEP_MAX_S) in a small cache of
 * this process.
 */
#ifndef MERPATI_DNS_H
#define MERPATI_DNS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/sv.h"
#include "ev/ev.h"
#include "ipc/api_resolver.h"

#define DNS_TIMEOUT_MS 30000 /* a sensible bound for one question */
#define DNS_KEEP_MAX_S 60    /* longest stay in the process's own cache; resolver has the real one */
#define DNS_KEEP_MAX 1000    /* answers kept */

struct daemon;
struct dns;
struct dns_query;

struct dns *dns_new(struct daemon *d);
/* Frees the client; questions under way are dropped without their callback. */
void dns_free(struct dns **dns);

typedef void dns_done(void *arg, const struct rs_answer *a); /* views die when the callback returns */

/*
 * Asks for records of `type` (enum rs_rr) of name (text form, with or without final dot).  `done` is called once, never
 * from inside this call; a->status is 0, ERR_NOT_FOUND, ERR_TEMP or ERR_SYNTAX as in api_resolver.h.  The handle is for
 * dns_cancel only and dies with the callback.
 */
struct dns_query *dns_query(
    struct dns *dns, struct sv name, unsigned type, uint64_t timeout_ms, dns_done *done, void *arg);
void dns_cancel(struct dns_query **q); /* the callback will not be called; NULL is fine */

/*
 * The client's name as Postfix's smtpd works it out: PTR of the address, then A or AAAA of that name, which must hold
 * the address again.  IPv4-mapped addresses count as IPv4.
 */
struct dns_peer {
	int status; /* 0: name verified; ERR_NOT_FOUND: no name, or name not verified (answer 5xx where a restriction
		       asks); ERR_TEMP: could not be found out (4xx) */
	const char *name;    /* verified name, or "unknown" */
	const char *reverse; /* name from PTR, not verified, or "unknown" */
	int reverse_status;  /* of the PTR question: 0, ERR_NOT_FOUND, ERR_TEMP */
};
typedef void dns_peer_done(void *arg, const struct dns_peer *p); /* texts die when the callback returns */
struct dns_peer_query;
struct dns_peer_query *dns_peer_query(
    struct dns *dns, const struct sockaddr_storage *addr, uint64_t timeout_ms, dns_peer_done *done, void *arg);
void dns_peer_cancel(struct dns_peer_query **q);

/* Name to ask PTR for: "4.3.2.1.in-addr.arpa" or the nibbles under ip6.arpa; out must hold 80 bytes. */
void dns_reverse_name(const struct sockaddr_storage *addr, char out[80]);

/* Is it a name that may be asked for: 1-63 bytes a label of letters, digits, '-', '_'; at most 255 in all. */
bool dns_name_valid(struct sv name);

/*
 * The address in text form ("10.0.0.2", "2001:db8::1") without port; IPv4-mapped IPv6 as IPv4.  Returns out.
 */
const char *dns_addr_text(const struct sockaddr_storage *addr, char out[64]);
/* Parses "10.0.0.2", "2001:db8::1", "IPv6:2001:db8::1" into *addr (port 0): true when it is an address. */
bool dns_addr_parse(struct sv text, struct sockaddr_storage *addr, socklen_t *len);

#endif
