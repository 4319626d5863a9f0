/*
 * api_rewrite.h - what smtpd, cleanup, qmgr and local ask of `rewrite`: where an address goes, whether it exists, what
 * it becomes, what a table says.  Status 0 = yes; ERR_NOT_FOUND = surely not; ERR_TEMP = cannot tell now (a table
 * cannot be read): the caller answers 451 or defers, never 550.  Views point into the decoded message; arrays live in
 * the arena given.
 */
#ifndef MERPATI_API_REWRITE_H
#define MERPATI_API_REWRITE_H

#include "ipc/api_mail.h"

#define RW_VERSION 1
#define RW_MAX_ADDRESSES 1000	 /* of one request */
#define RW_MAX_EXPANSIONS 100000 /* of all addresses of one reply */
#define RW_MAX_KEYS 100		 /* of one table lookup */
#define RW_MAX_KEY 1024		 /* bytes of a key */
#define RW_MAX_VALUE 16384	 /* bytes of a value, list or table name */
#define RW_MAX_REASON 240	 /* bytes of a reason */
#define RW_MAX_RHS (1u << 20)	 /* bytes of an alias's right-hand side */
#define RW_ARENA (8u << 20)	 /* budget that holds every decoded message of this API */

enum rw_type_no {
	RW_RESOLVE = 0x0101,  /* struct rw_resolve -> RW_RESOLVED */
	RW_RESOLVED = 0x0102, /* n x struct rw_result, in the order of the request */
	RW_LOCAL = 0x0103,    /* one address -> RW_LOCAL_IS */
	RW_LOCAL_IS = 0x0104, /* struct rw_local */
	RW_ACCESS = 0x0105,   /* struct rw_access -> RW_VALUE */
	RW_MATCH = 0x0106, /* struct rw_access -> RW_VALUE: `table` is a list as of mynetworks; "" with status 0 when it
			      matches */
	RW_VALUE = 0x0107  /* struct rw_value */
};

enum rw_flag {
	RW_EXISTS = 1, /* status tells whether the address exists, after the whole chain of virtual and local aliases */
	RW_EXPAND =
	    2,	     /* what it becomes through virtual_alias_maps: the final addresses, itself when nothing applies */
	RW_ROUTE = 4 /* the route of the address, and of each expansion */
};

struct rw_resolve {
	unsigned flags;	  /* enum rw_flag; 0: only the canonical form */
	struct sv sender; /* for sender-dependent routes; "" = null sender */
	size_t n;
	struct sv *addr; /* unquoted, without angle brackets, as it was given; may lack a domain */
};

struct rw_expansion {
	struct sv addr;
	struct mail_route route;
};
struct rw_result {
	int status; /* 0, ERR_NOT_FOUND (550 5.1.1), ERR_TEMP (451 4.3.0), ERR_SYNTAX (501 5.1.3), ERR_DENIED, ERR_LIMIT
		     */
	struct sv reason;    /* without code: "User unknown in local recipient table"; "" for 0 */
	struct sv canonical; /* completed and cleaned form */
	struct mail_route route;
	size_t n;
	struct rw_expansion *exp;
};

enum rw_local_kind { RW_LOCAL_ALIAS = 1, RW_LOCAL_USER, RW_LOCAL_VIRTUAL };
struct rw_local {
	int status;	     /* 0, ERR_NOT_FOUND (unknown user: 5.1.1), ERR_TEMP */
	struct sv reason;    /* "unknown user: \"x\"" */
	uint32_t kind;	     /* enum rw_local_kind */
	struct sv rhs;	     /* ALIAS: the right-hand side as in the table */
	struct sv owner;     /* ALIAS: address of owner-x when there is one, else "" */
	uint32_t uid, gid;   /* ALIAS: whom |command and /file act as; USER, VIRTUAL: the mailbox's owner */
	struct sv user;	     /* ALIAS: the key; USER: login name; VIRTUAL: the address that was found */
	struct sv home;	     /* USER: home folder */
	struct sv mailbox;   /* USER, VIRTUAL: absolute path; ends in "/" for Maildir */
	struct sv extension; /* what is behind the recipient delimiter, without it */
};

/*
 * table: one "type:name" that a parameter of main.cf or an -o option mentions (others: ERR_DENIED), or for RW_MATCH a
 * whole list.  key: tried in order, the first that is there wins; RW_MATCH: host name, then address (either may be "").
 */
struct rw_access {
	struct sv table;
	size_t n;
	struct sv key[RW_MAX_KEYS];
};
struct rw_value {
	int status;
	struct sv value;
	uint32_t which; /* index of the key that was found */
};

void rw_resolve_put(struct msg_out *m, const struct rw_resolve *q);
int rw_resolve_get(struct msg *m, struct arena *a, struct rw_resolve *q); /* 0 or ERR_PROTOCOL (all _get) */
void rw_results_put(struct msg_out *m, const struct rw_result *r, size_t n);
int rw_results_get(struct msg *m, struct arena *a, struct rw_result **r, size_t *n);
void rw_address_put(struct msg_out *m, struct sv addr); /* RW_LOCAL */
int rw_address_get(struct msg *m, struct sv *addr);
void rw_local_put(struct msg_out *m, const struct rw_local *r);
int rw_local_get(struct msg *m, struct rw_local *r);
void rw_access_put(struct msg_out *m, const struct rw_access *q); /* RW_ACCESS, RW_MATCH */
int rw_access_get(struct msg *m, struct rw_access *q);
void rw_value_put(struct msg_out *m, const struct rw_value *v);
int rw_value_get(struct msg *m, struct rw_value *v);

#endif
