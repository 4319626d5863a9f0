/*
 * envelope.h - what the suite knows about a message beside its content: sender, recipients, where the content lies in
 * its file, the route of a recipient.  Plain structs of views; whoever decoded them says how long the views live.
 */
#ifndef MERPATI_ENVELOPE_H
#define MERPATI_ENVELOPE_H

#include "base/sv.h"

#define MAIL_ADDR_MAX 1024	    /* bytes of an address */
#define MAIL_TEXT_MAX 2048	    /* bytes of a reply text */
#define MAIL_NAME_MAX 512	    /* bytes of a host name, helo, envid, user name, transport, message id */
#define MAIL_HOP_MAX 1024	    /* bytes of a next hop */
#define MAIL_QID_MAX 40		    /* bytes of a queue id without NUL */
#define MAIL_RCPTS_MAX 20000	    /* recipients of one message */
#define MAIL_EXTENTS_MAX 32	    /* pieces of one header */
#define MAIL_SUMMARY_MAX (1u << 20) /* bytes of a summary */
#define MAIL_ARENA (32u << 20)	    /* budget that holds every decoded message of these APIs */

/* Flags of a message. */
enum mail_flag {
	MAIL_8BITMIME = 1,
	MAIL_SMTPUTF8 = 2,
	MAIL_RET_FULL = 4,
	MAIL_RET_HDRS = 8,
	MAIL_LOCAL = 16, /* submitted through pickup */
	MAIL_AUTH = 32,	 /* the client was authenticated */
	MAIL_NOTICE = 64 /* made by cleanup: a notice */
};

/* Bits of NOTIFY (RFC 3461 section 4.1); 0: not given. */
enum mail_notify { MAIL_NOTIFY_NEVER = 1, MAIL_NOTIFY_SUCCESS = 2, MAIL_NOTIFY_FAILURE = 4, MAIL_NOTIFY_DELAY = 8 };

enum mail_rcpt_flag { MAIL_RCPT_PROBE = 1 };

/*
 * Content: LF line ends.  The message is the header pieces in order and then the body, with nothing between.  The
 * header pieces hold header fields only, each with its line end; the body piece begins with the empty line (a message
 * without body has length 0 there, or just "\n").  Offsets count from the start of the file.
 */
struct mail_extent {
	uint64_t at, len;
};
struct mail_content {
	size_t nheader;
	struct mail_extent header[MAIL_EXTENTS_MAX];
	struct mail_extent body;
};

struct mail_rcpt {
	struct sv addr;	 /* localpart@domain, unquoted, no angle brackets */
	struct sv orig;	 /* as given in RCPT, before any expansion */
	struct sv orcpt; /* RFC 3461 ORCPT as given ("rfc822;..."), decoded from xtext; "" when not given */
	uint32_t notify; /* enum mail_notify */
	uint32_t flags;	 /* enum mail_rcpt_flag */
};

/* Everything about a message but its recipients. */
struct mail_envelope {
	struct sv sender; /* "" is the null sender */
	struct sv envid;  /* RFC 3461 ENVID, decoded; "" when not given */
	uint32_t flags;	  /* enum mail_flag */
	int64_t arrival;  /* clock_wall_us() when the first byte came */
	uint64_t size;	  /* bytes of the content with LF line ends: what size= of the log says */
	struct sv client_name, client_addr, helo, protocol, sasl_method, sasl_user, message_id;
	struct sv summary; /* lib/message/summary, or "" */
	struct mail_content content;
};

enum mail_class {
	MAIL_CLASS_LOCAL = 1,
	MAIL_CLASS_VIRTUAL_ALIAS,
	MAIL_CLASS_VIRTUAL_MAILBOX,
	MAIL_CLASS_RELAY,
	MAIL_CLASS_OTHER
};
struct mail_route {
	uint32_t cls;	     /* enum mail_class */
	struct sv transport; /* master.cf service name */
	struct sv nexthop;   /* as Postfix writes it */
};

/*
 * True when every piece lies in [from, end), lengths do not overflow and the pieces together are not longer than `max`.
 * Pieces may not overlap each other.
 */
bool mail_content_valid(const struct mail_content *c, uint64_t from, uint64_t end, uint64_t max);
uint64_t mail_content_size(const struct mail_content *c); /* sum of the lengths */

/* A queue id is 1 to MAIL_QID_MAX letters and digits; anything else never becomes part of a path. */
bool mail_qid_valid(struct sv qid);

#endif
