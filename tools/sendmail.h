/* sendmail.h - what the files of the sendmail command share. */
#ifndef MERPATI_SENDMAIL_H
#define MERPATI_SENDMAIL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define SENDMAIL_ARENA (64u << 20) /* bytes that addresses may take */
#define SENDMAIL_RCPTS 20000	   /* recipients of one message */

struct sendmail {
	char *config_directory, *queue_directory, *command_directory, *alias_database, *myorigin;
	uint64_t size_limit;
	struct arena arena;
	/* options */
	const char *sender;    /* -f, -r: NULL is the caller */
	const char *full_name; /* -F */
	const char *body;      /* -B */
	const char *notify;    /* -N */
	const char *ret;       /* -R */
	const char *envid;     /* -V */
	bool from_header;      /* -t */
	bool dots;	       /* -i, -oi: a line with a dot alone is text */
	bool verbose;
	/* the message */
	struct sv from; /* queue form; "" is the null sender */
	struct sv *rcpt;
	size_t nrcpt, room;
	struct buf text; /* content, LF line ends */
	bool eightbit;
};

/* sendmail_msg.c.  All return a sysexits(3) code, 0 when done, and say on stderr what is wrong. */
int sendmail_add(struct sendmail *m, struct sv list); /* addresses of an argument or a header field */
int sendmail_read(struct sendmail *m, FILE *in);      /* the message, to its end or the dot */
int sendmail_header(struct sendmail *m); /* recipients of the header (-t); a From field where there is none */
int sendmail_sender(struct sendmail *m); /* m->from from -f or who the caller is */

/* sendmail_smtp.c */
int sendmail_submit(struct sendmail *m);   /* hands the message to the suite */
int sendmail_verify(struct sendmail *m);   /* -bv: asks whether each recipient can be delivered to */
int sendmail_dialogue(struct sendmail *m); /* -bs: SMTP on standard input and output */

/* "sendmail: fatal: text" on stderr; returns code. */
int sendmail_fatal(int code, const char *fmt, ...) ATTR_PRINTF(2, 3);

#endif
