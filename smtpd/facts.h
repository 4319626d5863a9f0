/*
 * facts.h - what other programs say about the things that a command names: is the recipient known, does the domain
 * exist, what does the table say.  A fact is asked for once in a transaction; who needs it while the answer is under
 * way waits (session_wake comes when it is there) and then asks again.
 */
#ifndef MERPATI_SMTPD_FACTS_H
#define MERPATI_SMTPD_FACTS_H

#include "smtpd/smtpd.h"

enum fact_kind { FACT_ADDRESS, FACT_ACCESS, FACT_DNS };

struct fact {
	struct fact *next;
	struct session *s;
	enum fact_kind kind;
	struct sv key;	      /* address; "table\nkey\nkey..."; name */
	unsigned type;	      /* DNS: record type */
	bool done, used;      /* used: an access result that has been acted on */
	struct fact_ask *ask; /* open call to rewrite, NULL: none */
	struct dns_query *query;
	int status;	 /* ADDRESS: known?; ACCESS: found?; DNS: as struct rs_answer; ERR_TEMP when nobody answered */
	uint32_t cls;	 /* ADDRESS: enum mail_class */
	struct sv canon; /* ADDRESS: canonical form */
	struct sv text;	 /* ADDRESS: reason; ACCESS: value */
	size_t n;	 /* DNS: records */
	bool null_mx;	 /* DNS: "MX 0 ." alone */
	struct sv first; /* DNS: first record's data */
};

/*
 * The answer if it is there, else NULL after asking for it.  A transaction must exist (restrictions before MAIL have
 * one that lives for the check).  ERR_LIMIT of the arena makes it a fact with status ERR_TEMP.
 */
struct fact *fact_address(struct session *s, struct sv addr);
struct fact *fact_access(struct session *s, const char *table, const struct sv *keys, size_t n);
struct fact *fact_dns(struct session *s, struct sv name, unsigned type);
uint32_t fact_class(struct txn *t, struct sv addr); /* class of an address that was asked for, else 0 */
void facts_free(struct txn *t);			    /* cancels what is under way */

#endif
