/* store_priv.h - shared by the files of lib/store alone: the account, the opened folder, and the steps between them. */
#ifndef MERPATI_STORE_PRIV_H
#define MERPATI_STORE_PRIV_H

#include <sys/stat.h>

#include "store/index.h"
#include "store/mailbox.h"
#include "store/mdir_name.h"
#include "store/uidlist.h"

#define STORE_UID_FILE "merpati-uid"
#define STORE_UIDVALIDITY_FILE "merpati-uidvalidity"
#define STORE_KEYWORD_FILE "dovecot-keywords"
#define STORE_TMP_AGE (36 * 3600)  /* seconds after which a file in tmp/ is nobody's any more (Maildir's rule) */
#define STORE_FILE_MAX (64u << 20) /* bytes of one of the small text files */

struct store {
	char *path;
	int dirfd, tmpfd;
	uint64_t index_again; /* not tried before (clock_mono_ms): another process held it */
	struct index *index;  /* NULL while closed */
	unsigned seq;
	char host[48];
};

/* An exclusive flock on a directory descriptor with a bounded wait: 0, ERR_TIMEOUT or ERR_SYS. */
int store_lock(int fd, uint64_t ms, struct err *err);
void store_unlock(int fd);
/* A new file in tmp/: descriptor, its name in name. */
int store_tmp(struct store *st, char name[80], struct err *err);
/* A file name that nobody else makes: "SECONDS.R<16 hex>.<host>". */
void store_unique(struct store *st, int64_t seconds, char name[96]);
/* Replaces dirfd/name durably: tmp, fsync, rename, fsync. */
int store_put_file(struct store *st, int dirfd, const char *name, struct sv data, struct err *err);
/* A UIDVALIDITY that no folder of this account has had. */
int store_new_uidvalidity(struct store *st, uint32_t *v, struct err *err);
int store_open_dir(int dirfd, const char *path, int *fd, struct err *err);
struct index *store_index(struct store *st); /* opens it; NULL when it is not to be had now */

enum { MBI_NEW = 1, MBI_CHANGED = 2 }; /* mb_msg.bits: lies in new/; flags changed and not reported yet */

struct mb_snap {
	struct mb_msg *v;
	size_t n, cap;
	char *names;
	size_t names_n, names_cap;
};
void snap_free(struct mb_snap *s);
struct sv snap_name(const struct mb_snap *s, const struct mb_msg *m);
/* Adds a message, of which the bytes of the name are copied: 0 or ERR_LIMIT. */
int snap_append(struct mb_snap *s, const struct mb_msg *m, struct sv name);
/* Gives m this name; the bytes are copied. */
int snap_set_name(struct mb_snap *s, struct mb_msg *m, struct sv name);
/* Adds what lies in the directory; messages without a UID of this folder get uid 0. */
int snap_scan(struct mb_snap *s, int dirfd, bool in_new, uint32_t uidvalidity, struct err *err);
/* Sorts by UID, those without at the end. */
void snap_sort(struct mb_snap *s);
/* Index of the first message with this uid or more among the first n, sorted ones. */
size_t snap_lower(const struct mb_snap *s, size_t n, uint32_t uid);

struct mb_keywords {
	char *name[STORE_KEYWORDS];
	struct timespec mtime;
	ino_t ino;
};

struct mailbox {
	struct store *st;
	char *name, *dir; /* dir relative to the account */
	unsigned flags;	  /* of mailbox_open */
	int dirfd, curfd, newfd;
	struct uid_file uid;
	uint32_t seen_next; /* no UID from this one on had been given to a message when the snapshot was made */
	struct mb_snap snap;
	uint32_t max_uid; /* greatest that this session has seen */
	size_t told;	  /* messages that the client knows of */
	size_t recent;	  /* messages with MB_RECENT */
	bool any_changed; /* some message may have MBI_CHANGED */
	struct timespec cur_time, new_time;
	bool settled; /* the times are old enough to be trusted */
	bool young;   /* they are those of the last pass, but not old enough: a change of our own is believed on top */
	uint64_t recheck; /* clock_mono_ms when they are not trusted any more; 0: always trusted */
	bool keywords_new;
	struct mb_keywords kw;
	uint32_t *expunged, *changed; /* what the last refresh gave out */
	unsigned locked;	      /* depth */
};

/* mb_sync.c: one pass over the folder. */
int mb_sync(struct mailbox *mb, bool first, struct err *err);
/* Looks for the present names of known messages; nothing appears or vanishes. */
int mb_relocate(struct mailbox *mb, struct err *err);
bool mb_quiet(struct mailbox *mb); /* nothing has changed since the last pass */
void mb_doubt(struct mailbox *mb); /* the next refresh reads the folder */
void mb_own_change_begin(struct mailbox *mb, bool *clean);
void mb_own_change_end(struct mailbox *mb, bool clean);
/* Adds a message with the greatest UID to the snapshot: 0 or ERR_LIMIT. */
int mb_add(struct mailbox *mb, const struct mb_msg *m, struct sv name);
/* mb_uid.c */
int mb_uid_load(struct mailbox *mb, struct err *err);	/* ERR_NOT_FOUND when there is none yet */
int mb_uid_create(struct mailbox *mb, struct err *err); /* locked: makes one, taking Dovecot's over */
/* Locked: takes n UIDs, durably.  *first is the first of them. */
int mb_uid_take(struct mailbox *mb, size_t n, uint32_t *first, struct err *err);
/* Locked: gives UIDs to messages without one and moves new/ to cur/ unless the mailbox is read-only. */
int mb_uid_assign(struct mailbox *mb, struct mb_snap *s, struct err *err);
/* Bytes with CRLF line ends of an open file (*size: its size). */
int mb_measure(int fd, uint64_t *size, uint64_t *wsize);
/* mb_flags.c */
int mb_keywords_load(struct mailbox *mb);
/* mailbox.c */
int mb_lock(struct mailbox *mb, struct err *err); /* nests */
void mb_unlock(struct mailbox *mb);

/* Puts summaries that came with delivered messages into the index; costs one system call when there are none. */
void mb_take_delivered(struct mailbox *mb);

#endif
