/*
 * user_table.h - an LMDB table in one file (MDB_NOSUBDIR), opened read-only without lock and never written in place: a
 * change builds the file anew beside it and renames it.  Readers notice the new file.  The same form as the lmdb:
 * tables of lib/maps: key and value without a NUL at the end.
 */
#ifndef MERPATI_USER_TABLE_H
#define MERPATI_USER_TABLE_H

#include "base/buf.h"
#include "base/err.h"

#define USER_TABLE_MAX_KEY 511 /* LMDB's own bound */
#define USER_TABLE_MAX_VALUE 65536

struct user_table;

/* path: the file, ".lmdb" included.  A file that is not there is an empty table until it appears. */
int user_table_open(const char *path, struct user_table **out, struct err *err);
void user_table_close(struct user_table **t);
/* 0 and *value (valid until the next call on the table); ERR_NOT_FOUND; ERR_TEMP or ERR_CORRUPT when it cannot be told.
 */
int user_table_get(struct user_table *t, struct sv key, struct sv *value, struct err *err);
/* All rows in key order until fn returns false. */
int user_table_each(
    struct user_table *t, bool (*fn)(void *arg, struct sv key, struct sv value), void *arg, struct err *err);

/*
 * Changes of a table, all or none, durable when it returns: value.p NULL removes the key.  Changers of several
 * processes wait for each other (a lock on PATH.lock).  The file gets the mode and owner given.  ERR_EXISTS where a key
 * must be new and is not, ERR_NOT_FOUND where a key to be removed is not there; the table is unchanged then.
 */
struct user_change {
	struct sv key, value;
	bool must_be_new;
};
struct user_owner {
	mode_t mode;
	uid_t uid; /* (uid_t)-1: the caller */
	gid_t gid;
};
int user_table_change(
    const char *path, const struct user_owner *owner, const struct user_change *c, size_t n, struct err *err);

#endif
