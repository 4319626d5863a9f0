/*
 * err.h - how a library reports a failure: a function returns 0 (or a count) on success and a negative `enum err_code`
 * on failure; the last parameter `struct err *err` (may be NULL) takes the text for the log.  Libraries do not log and
 * do not exit; the caller who knows the context logs once.  Out-parameters stay untouched on failure.
 */
#ifndef MERPATI_ERR_H
#define MERPATI_ERR_H

#include "base/base.h"

enum err_code {
	ERR_OK = 0,
	ERR_SYS = -1,	      /* a system call failed; err->sys holds errno */
	ERR_SYNTAX = -2,      /* input is not of the required form */
	ERR_LIMIT = -3,	      /* a named limit was reached */
	ERR_TEMP = -4,	      /* cannot tell now; try again later */
	ERR_TIMEOUT = -5,     /* no answer in time */
	ERR_CLOSED = -6,      /* the peer has gone */
	ERR_PROTOCOL = -7,    /* the peer talks nonsense */
	ERR_NOT_FOUND = -8,   /* positively not there */
	ERR_EXISTS = -9,      /* already there */
	ERR_DENIED = -10,     /* not allowed */
	ERR_CORRUPT = -11,    /* stored data does not verify */
	ERR_UNSUPPORTED = -12 /* a version or feature that we do not have */
};

struct err {
	int code;	/* enum err_code */
	int sys;	/* errno for ERR_SYS, else 0 */
	char text[240]; /* one line, no newline; may hold text from outside: the log escapes it */
};

/* Fills *err (unless NULL) and returns `code`, so that a function can `return err_set(err, ERR_LIMIT, "...")`. */
int err_set(struct err *err, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* The same for a failed system call: code ERR_SYS, sys = errno, text = formatted text + ": " + strerror. */
int err_sys(struct err *err, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Puts formatted text and ": " before err->text (context on the way up).  Returns err's code. */
int err_prefix(struct err *err, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* A constant name such as "timeout" for a code; "unknown" for others. */
const char *err_name(int code);

#endif
