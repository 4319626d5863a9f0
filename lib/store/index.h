/*
 * index.h - the account's LMDB index in ACCOUNT/merpati.index: summaries of messages by (UIDVALIDITY, UID).  A cache
 * and nothing else: it may be missing, damaged or deleted at any time.  A writer takes a flock with a short time-out
 * before it enters LMDB, because LMDB itself would wait for ever for a stopped writer; readers take no lock.  Without
 * sync: the boot's id stands beside it, and what an unclean boot left is thrown away.
 */
#ifndef MERPATI_STORE_INDEX_H
#define MERPATI_STORE_INDEX_H

#include "base/buf.h"
#include "base/err.h"

#define INDEX_DIR "merpati.index"
#define INDEX_BOOT_ENV "MERPATI_BOOT_ID" /* environment: the boot's id, for processes that cannot read /proc */
#define INDEX_LOCK_MS 100		 /* longest wait of one access */
#define INDEX_BUSY_MS 5000		 /* pause after a wait that was in vain */
#define INDEX_MAP_SIZE ((size_t)4 << 30) /* address space; a full index is begun anew */
#define INDEX_PENDING_MAX (2u << 20)	 /* bytes of puts that wait in memory */

struct index_key {
	uint32_t uidvalidity, uid;
};

/* A stored value: version, checksum, the message it belongs to, the bytes.  Pure. */
int index_value_encode(struct buf *out, struct sv uniq, struct sv bytes);
/* 0 and a view of the bytes; ERR_CORRUPT; ERR_NOT_FOUND when it belongs to another message. */
int index_value_decode(struct sv value, struct sv uniq, struct sv *bytes);

struct index;
int index_open(
    int dirfd, const char *account, struct index **out, struct err *err); /* path is opened by name: LMDB wants one */
void index_close(struct index **ix);
/* 1 and the bytes appended; 0. uniq: the name that the record must belong to. */
int index_get(struct index *ix, struct index_key key, struct sv uniq, struct buf *out);
void index_put(struct index *ix, struct index_key key, struct sv uniq, struct sv bytes);
int index_flush(
    struct index *ix, struct err *err); /* writes what index_put gathered; ERR_TEMP: not now, nothing lost */

#endif
