/*
 * dns_wire.h - a strict reader of one DNS response (RFC 1035 section 4) as libunbound hands it over.  Pure: a packet
 * in, a struct rs_answer out.  Names are compared without case; compression pointers must point backwards.
 */
#ifndef MERPATI_DNS_WIRE_H
#define MERPATI_DNS_WIRE_H

#include "base/arena.h"
#include "base/err.h"
#include "ipc/api_resolver.h"

#define DNS_WIRE_MAX_RECORDS 1000 /* of all sections; a response with more is refused */
#define DNS_WIRE_MAX_CHAIN 12	  /* CNAMEs that are followed */
#define DNS_WIRE_MEM 131072	  /* sensible budget for the arena */

/*
 * Reads the records of qtype for qname, following CNAMEs within the response.  Sets status (0, ERR_NOT_FOUND for
 * NXDOMAIN, ERR_TEMP for any other rcode), canon, ttl, truncated, rr and n; `secure` and `why` are the caller's.  MX
 * and PTR records whose target is not a host name (dns_name_valid; "" for the root is kept) are left out.  Texts live
 * in mem. 0, or ERR_PROTOCOL (not a response that makes sense; *out untouched), ERR_LIMIT.
 */
int dns_wire_read(struct sv packet, struct sv qname, unsigned qtype, struct arena *mem, struct rs_answer *out);

/* Is it a name that may be asked for: 1-63 bytes a label of letters, digits, '-', '_', '/'; at most 253 in all. */
bool dns_wire_name_ok(struct sv name);

#endif
