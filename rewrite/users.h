/*
 * users.h - the password file by name, through a worker process: NSS may block, and may load libraries that belong into
 * no process with work of its own.  Answers are kept for a short time.
 */
#ifndef MERPATI_REWRITE_USERS_H
#define MERPATI_REWRITE_USERS_H

#include "base/buf.h"
#include "base/err.h"
#include "ev/ev.h"

#define USERS_NAME_MAX 255     /* bytes of a user name */
#define USERS_LINE_MAX 4096    /* bytes of a line of the password file */
#define USERS_CACHE_MAX 10000  /* names kept */
#define USERS_FOUND_MS 60000   /* how long a user is kept */
#define USERS_MISSING_MS 10000 /* how long "no such user" is kept */
#define USERS_FAILED_MS 2000   /* how long "cannot tell" is kept */

struct users;

/* Forks the worker: before threads and before the sandbox.  NULL and err when that fails. */
struct users *users_new(struct err *err);
/* Begins to listen; ready is called (from the loop) after answers came; dead when the worker has ended. */
void users_start(struct users *u, struct ev *ev, void (*ready)(void *arg), void (*dead)(void *arg), void *arg);
void users_free(struct users **u);
/*
 * The line of passwd.byname or group.byname: 1 (appended), 0, ERR_TEMP with *pending set when the answer is on its way,
 * ERR_TEMP alone when it cannot be told.  now_ms: clock_mono_ms().
 */
int users_find(struct users *u, bool group, struct sv name, uint64_t now_ms, struct buf *line, bool *pending);
/* What waits for the worker becomes "cannot tell": the caller's deadline has passed. */
void users_give_up(struct users *u, uint64_t now_ms, uint64_t older_ms);

#endif
