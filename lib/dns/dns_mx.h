/*
 * dns_mx.h - where mail for a next hop goes: MX records by preference (RFC 5321 section 5.1), the implicit MX, the null
 * MX (RFC 7505), addresses of both families, our own host and everything not better than it left out.
 */
#ifndef MERPATI_DNS_MX_H
#define MERPATI_DNS_MX_H

#include "dns/dns.h"

#define MX_MAX_HOSTS 20	 /* MX hosts whose addresses are asked for */
#define MX_MAX_ADDRS 100 /* addresses of one route */

/* One place to connect to. */
struct mx_addr {
	char *name;		      /* host name (an MX host, the domain, the text of an address literal) */
	struct sockaddr_storage addr; /* with port */
	socklen_t len;
	unsigned pref; /* MX preference; 0 without MX */
	bool secure;   /* MX and address answers were DNSSEC-validated */
};

/* A next hop in Postfix's notation, taken apart: "domain", "domain:port", "[host]", "[host]:port", "[10.0.0.2]:25". */
struct mx_nexthop {
	char host[256]; /* without brackets */
	uint16_t port;
	bool no_mx;   /* in brackets: no MX lookup */
	bool literal; /* an address */
};
/*
 * default_port is used where none is given; service names "smtp" (25), "submission" (587), "submissions"/"smtps" (465),
 * "lmtp" (24) are known.  ERR_SYNTAX when it is none of the forms.
 */
int mx_nexthop_parse(struct sv text, uint16_t default_port, struct mx_nexthop *out);

enum mx_family { MX_ANY = 0, MX_IPV4 = 1, MX_IPV6 = 2 };

struct mx_params {
	bool no_dns_mx;	       /* LMTP: never ask for MX */
	bool ipv4, ipv6;       /* families in use (inet_protocols) */
	enum mx_family prefer; /* smtp_address_preference: among equal preferences this family first; MX_ANY mixes */
	bool no_shuffle;       /* smtp_randomize_addresses = no */
	bool defer_if_no_mx_address; /* smtp_defer_if_no_mx_address_found */
	bool detect_loops;	/* an MX host that is ourselves, and what is not better, is left out (port 25 only) */
	const char *myhostname; /* an MX host of this name is ourselves too */
	const struct sockaddr_storage
	    *own; /* our own addresses (inet_interfaces, proxy_interfaces), for loop detection */
	size_t nown;
	uint64_t timeout_ms; /* for each question */
};

/*
 * Result: status 0 with n addresses in the order to try; else the delivery's fate: `dsn` and `text` for all recipients,
 * status ERR_TEMP (defer) or ERR_NOT_FOUND (bounce).
 */
struct mx_route {
	int status;
	const char *dsn;  /* "5.4.4", "4.4.3", "5.1.10", "5.4.6" ... */
	const char *text; /* as Postfix words it: "Host or domain name not found. Name service error for name=..." */
	struct mx_addr *addr; /* belongs to the route query: copy what is kept */
	size_t n;
	bool mx_found; /* addresses stem from MX records */
};
typedef void mx_done(void *arg, const struct mx_route *r);
struct mx_query;
bool dns_mx_is_own(const struct mx_params *p, const struct sockaddr_storage *addr); /* port does not matter */
/* `done` is called once, from the loop, never from inside this call; *p must live until then. */
struct mx_query *dns_mx_route(
    struct dns *dns, const struct mx_nexthop *hop, const struct mx_params *p, mx_done *done, void *arg);
void dns_mx_cancel(struct mx_query **q);

#endif
