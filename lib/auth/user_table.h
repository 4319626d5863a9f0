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
 * One change of a table, durable when it returns: value.p NULL removes the key.  Changes of several processes wait for
 * each other (a lock on PATH.lock).  A new file gets the mode and, where the caller may, the owner given.  ERR_EXISTS
 * with must_be_new, ERR_NOT_FOUND when a key to be removed is not there; the table is unchanged then.
 */
struct user_change {
	struct sv key, value;
	bool must_be_new;
	mode_t mode;
	uid_t uid; /* (uid_t)-1: as it is */
	gid_t gid;
};
int user_table_change(const char *path, const struct user_change *c, struct err *err);

#endif
