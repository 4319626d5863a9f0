/*
 * smtp_args.h - the parameters behind the path of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, 3030), SMTPUTF8 (RFC
 * 6531), AUTH (RFC 4954), RET, ENVID, NOTIFY, ORCPT (RFC 3461).  Pure.
 */
#ifndef MERPATI_SMTP_ARGS_H
#define MERPATI_SMTP_ARGS_H

#include "base/err.h"
#include "base/sv.h"

#define SMTP_ENVID_MAX 100 /* RFC 3461 section 4.4 */
#define SMTP_ORCPT_MAX 500 /* RFC 3461 section 4.2 */
#define SMTP_PARAMS_MAX 32 /* parameters of one command */

enum smtp_body { SMTP_BODY_NONE, SMTP_BODY_7BIT, SMTP_BODY_8BITMIME, SMTP_BODY_BINARYMIME };
enum { SMTP_RET_FULL = 1, SMTP_RET_HDRS = 2 };
enum { SMTP_NOTIFY_NEVER = 1, SMTP_NOTIFY_SUCCESS = 2, SMTP_NOTIFY_FAILURE = 4, SMTP_NOTIFY_DELAY = 8 };

struct smtp_mail_args {
	uint64_t size; /* 0: not given */
	enum smtp_body body;
	bool smtputf8;
	unsigned ret;	 /* SMTP_RET_*, 0: not given */
	struct sv envid; /* as sent (xtext), {NULL, 0}: not given */
	struct sv auth;	 /* as sent (xtext) */
};
struct smtp_rcpt_args {
	unsigned notify;	     /* bits SMTP_NOTIFY_*, 0: not given */
	struct sv orcpt_type, orcpt; /* "rfc822" and the address as sent (xtext) */
};

/* What is wrong with it, for the choice of the reply. */
enum smtp_args_fault {
	SMTP_ARGS_UNKNOWN, /* 555 5.5.4 Unsupported option: *what */
	SMTP_ARGS_SIZE,	   /* 501 5.5.4 Bad message size syntax */
	SMTP_ARGS_BODY,	   /* 501 5.5.4 Unsupported 8BITMIME/BODY value */
	SMTP_ARGS_RET,
	SMTP_ARGS_ENVID,
	SMTP_ARGS_NOTIFY,
	SMTP_ARGS_ORCPT,
	SMTP_ARGS_TWICE,
	SMTP_ARGS_MANY
};

/* 0 with *out filled, or ERR_SYNTAX with *fault and *what (the offending parameter).  Views point into `in`. */
int smtp_mail_args(struct sv in, struct smtp_mail_args *out, enum smtp_args_fault *fault, struct sv *what);
int smtp_rcpt_args(struct sv in, struct smtp_rcpt_args *out, enum smtp_args_fault *fault, struct sv *what);

#endif
