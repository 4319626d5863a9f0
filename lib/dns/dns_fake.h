/*
 * dns_fake.h - for tests: a struct dns that answers from a table.  A name that nothing was said about does not exist
 * (NXDOMAIN); a name that is known has no records of the other types.
 */
#ifndef MERPATI_DNS_FAKE_H
#define MERPATI_DNS_FAKE_H

#include "dns/dns.h"

struct dns *dns_fake_new(struct ev *ev);
/* data: "10.0.0.1" for A, "::1" for AAAA, a name for MX and PTR ("" for the null MX), bytes otherwise. */
void dns_fake_add(struct dns *dns, const char *name, unsigned type, unsigned preference, const char *data);
/* Questions for this name and type end with this status (ERR_TEMP); ERR_TIMEOUT: never answered within their time. */
void dns_fake_fail(struct dns *dns, const char *name, unsigned type, int status);
unsigned dns_fake_asked(struct dns *dns); /* questions that reached the table (not the client's own cache) */

#endif
