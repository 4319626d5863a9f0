/*
 * api_resolver.h - what smtpd and smtp ask of `resolver`: one DNS question, one answer that was already parsed, bounded
 * and (where the zone is signed) validated.  Both sides encode and decode through these functions alone.
 */
#ifndef MERPATI_API_RESOLVER_H
#define MERPATI_API_RESOLVER_H

#include "ipc/msg.h"

#define RS_VERSION 1
#define RS_MAX_NAME 255	   /* bytes of a name in text form without the final dot */
#define RS_MAX_RECORDS 100 /* records of one answer; more are dropped, which sets `truncated` */
#define RS_MAX_DATA 4096   /* bytes of one record (TXT strings are joined) */

enum rs_type_no {
	RS_QUERY = 0x0801, /* struct rs_query  -> RS_ANSWER with the same id */
	RS_ANSWER = 0x0802 /* struct rs_answer */
};

/* Question types, the numbers of the DNS. */
enum rs_rr { RS_A = 1, RS_CNAME = 5, RS_PTR = 12, RS_MX = 15, RS_TXT = 16, RS_AAAA = 28, RS_SRV = 33, RS_TLSA = 52 };

struct rs_query {
	struct sv name; /* ASCII letters, digits, '-', '_', '.'; IDNs as A-labels */
	unsigned type;	/* enum rs_rr */
	unsigned flags; /* 0 */
};

/*
 * data: 4 or 16 address bytes (A, AAAA); name in text form without final dot, "" for the root (MX, PTR, CNAME); all
 * strings of one record joined (TXT); the record's bytes (SRV, TLSA).
 */
struct rs_record {
	uint32_t preference; /* MX only, else 0 */
	struct sv data;
};

struct rs_answer {
	int status; /* 0 (also "the name exists, no such record": n == 0), ERR_NOT_FOUND (NXDOMAIN), ERR_TEMP (SERVFAIL,
		       no answer in time, bogus), ERR_SYNTAX (not a name, or not a type that is served) */
	bool secure;	 /* DNSSEC validated; true for a proven absence too */
	bool truncated;	 /* there were more records than RS_MAX_RECORDS */
	uint32_t ttl;	 /* seconds the answer may be kept */
	struct sv canon; /* name at the end of the CNAME chain; the name asked for when there is none */
	struct sv why;	 /* for the log when status is ERR_TEMP: "bogus: ...", "no answer", ... */
	size_t n;
	struct rs_record rr[RS_MAX_RECORDS];
};

void rs_query_put(struct msg_out *m, const struct rs_query *q);
int rs_query_get(struct msg *m, struct rs_query *q); /* 0 or ERR_PROTOCOL; views into m */
void rs_answer_put(struct msg_out *m, const struct rs_answer *a);
int rs_answer_get(struct msg *m, struct rs_answer *a); /* 0 or ERR_PROTOCOL; views into m */

#endif
