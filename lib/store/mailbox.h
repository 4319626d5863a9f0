/*
 * mailbox.h - one account (a plain Maildir++) and one opened folder of it.  Everything that must survive stands in file
 * names and three small files beside them (README); the LMDB index holds only what can be worked out again.  Several
 * processes of the account, other mail programs and delivery agents may work on the same folder at the same time.
 *
 * Names of folders are IMAP names in modified UTF-7 with '.' between levels ("INBOX", "Sent", "Work.2026"); on disk
 * "Work.2026" is the directory ".Work.2026" and INBOX is the account's directory itself.
 *
 * No call waits for longer than STORE_LOCK_MS for another process; where a lock cannot be had in that time the call
 * answers ERR_TEMP, or does without (each function says).
 */
#ifndef MERPATI_STORE_MAILBOX_H
#define MERPATI_STORE_MAILBOX_H

#include <time.h>

#include "base/buf.h"
#include "base/err.h"

#define STORE_LOCK_MS 2000	     /* longest wait for a lock of this account */
#define STORE_MAX_MESSAGES 4000000u  /* messages of one folder */
#define STORE_MAX_SUMMARY (1u << 20) /* bytes of one cached summary */
#define STORE_KEYWORDS 26	     /* keywords of one folder: letters a to z */
#define STORE_KEYWORD_MAX 100	     /* bytes of one keyword */

struct store;	/* an account */
struct mailbox; /* an opened folder */

/* folder: absolute path of the account's directory, which must exist; cur, new and tmp are made when missing.  Opens no
 * index.  ERR_SYS, ERR_NOT_FOUND. */
int store_open(const char *folder, struct store **out, struct err *err);
void store_close(struct store **st);
const char *store_path(const struct store *st);
/* Gives memory back (the index is closed and opened again when needed): before a session goes idle. */
void store_relax(struct store *st);

enum {
	MB_SEEN = 1,
	MB_ANSWERED = 2,
	MB_FLAGGED = 4,
	MB_DELETED = 8,
	MB_DRAFT = 16,
	MB_PASSED = 32, /* 'P' in the name (mutt, "$Forwarded" in IMAP); kept and settable like the others */
	MB_FLAGS = 63,	/* what mailbox_store may change */
	MB_RECENT = 64, /* this session is the first that was told of it */
	MB_GONE = 128	/* removed, but the client was not told yet: body calls answer ERR_NOT_FOUND */
};

/* One message of the snapshot; the place in the array + 1 is its sequence number. */
struct mb_msg {
	uint32_t uid;
	uint32_t keywords; /* bit n: keyword n of mailbox_keyword_name */
	uint8_t flags;	   /* MB_* */
	uint8_t bits;	   /* private */
	uint16_t name_len;
	uint32_t name_at; /* private: place of the file name */
	uint64_t size;	  /* bytes of the file */
	uint64_t wsize;	  /* bytes with CRLF line ends: RFC822.SIZE, POP3 sizes */
	int64_t date;	  /* internal date; private until mailbox_date has looked it up */
};

enum {
	MB_READONLY = 1, /* EXAMINE: \Recent stays for the next session */
	MB_NO_SCAN = 2	 /* only to append or copy into: no snapshot */
};

/* name: INBOX in any case, or a folder's name.  ERR_NOT_FOUND when there is no such folder, ERR_SYNTAX for a name that
 * cannot be one, ERR_TEMP when messages without UID wait and the lock could not be had and there is nothing to show. */
int mailbox_open(struct store *st, struct sv name, unsigned flags, struct mailbox **out, struct err *err);
void mailbox_close(struct mailbox **mb);
const char *mailbox_name(const struct mailbox *mb); /* canonical: "INBOX", "Work.2026" */
bool mailbox_readonly(const struct mailbox *mb);

/* The snapshot.  Pointers and counts are valid until the next mailbox_refresh (or mailbox_close). */
size_t mailbox_count(const struct mailbox *mb);
const struct mb_msg *mailbox_msg(const struct mailbox *mb, size_t i); /* i < count */
uint32_t mailbox_uidvalidity(const struct mailbox *mb);
uint32_t mailbox_uidnext(const struct mailbox *mb);
size_t mailbox_recent(const struct mailbox *mb);
/* Index of the first message with this uid or a greater one; count when there is none. */
size_t mailbox_lower(const struct mailbox *mb, uint32_t uid);

/* Keywords: names of bits 0..25 (NULL where unused).  mailbox_keyword finds a name without regard to case and, with
 * `create`, takes a free letter: the bit, or ERR_NOT_FOUND, ERR_LIMIT (26 are used), ERR_SYNTAX, ERR_TEMP. */
const char *mailbox_keyword_name(const struct mailbox *mb, unsigned bit);
int mailbox_keyword(struct mailbox *mb, struct sv name, bool create, struct err *err);

/* What a refresh found.  Arrays belong to the mailbox, valid until the next refresh. */
struct mailbox_changes {
	const uint32_t
	    *expunged; /* sequence numbers to be sent in this order: falling, so each is right when it is sent */
	size_t n_expunged;
	const uint32_t *changed; /* sequence numbers (after the expunges) whose flags or keywords others changed */
	size_t n_changed;
	bool exists;   /* the number of messages grew: send EXISTS and RECENT */
	bool keywords; /* new keyword names: send FLAGS */
};
/* Takes up what others did.  Without `expunge` messages that vanished stay in the snapshot as MB_GONE, so that sequence
 * numbers hold (RFC 3501 section 7.4.1), and a later call with it reports them; messages expunged by mailbox_expunge
 * and mailbox_move are reported here too.  Costs two fstat when nothing changed.  When the lock cannot be had, messages
 * without UID are left for a later call.  0 or ERR_SYS. */
int mailbox_refresh(struct mailbox *mb, bool expunge, struct mailbox_changes *out, struct err *err);

/* Before a long wait without refresh: the next one reads the folder unless it is certain that nothing was missed beside
 * a change of our own. */
void mailbox_look_again(struct mailbox *mb);

enum mb_op { MB_SET, MB_ADD, MB_REMOVE };
/* Changes flags (of MB_FLAGS) and keywords of messages idx[0..n).  Updates the snapshot; nothing is reported by refresh
 * for it.  Messages that have gone meanwhile are skipped and become MB_GONE.  ERR_DENIED on a read-only mailbox. */
int mailbox_store(struct mailbox *mb, const uint32_t *idx, size_t n, enum mb_op op, unsigned flags, uint32_t keywords,
    struct err *err);
/* Removes those of idx[0..n) (all messages when idx is NULL) that have \Deleted, or every one of them with `always`
 * (POP3). They become MB_GONE; the next refresh with `expunge` reports them. */
int mailbox_expunge(struct mailbox *mb, const uint32_t *idx, size_t n, bool always, struct err *err);

/* A descriptor of the file (read-only, at 0); lines end in LF or CRLF as they were written.  It stays readable when the
 * file is renamed or removed.  ERR_NOT_FOUND when the message is gone (it becomes MB_GONE). */
int mailbox_body(struct mailbox *mb, size_t i, struct err *err);
/* Sizes: what the file name says; where it says nothing the file is looked at once.  mb_msg.size and wsize are always
 * filled in for messages in the snapshot. */
/* INTERNALDATE: from the index or the file's modification time.  0 when the message is gone. */
time_t mailbox_date(struct mailbox *mb, size_t i);

/* The cached summary (lib/message/summary) of a message: 1 and the bytes appended to out; 0 when none is stored.  Never
 * waits; a damaged or foreign record counts as none. */
int mailbox_summary_get(struct mailbox *mb, size_t i, struct buf *out);
/* Stores one; kept in memory and written with others by the next mailbox_summary_flush, refresh or close.  Failures are
 * silent: it is a cache. */
void mailbox_summary_put(struct mailbox *mb, size_t i, struct sv bytes);
void mailbox_summary_flush(struct mailbox *mb);

/*
 * A message that is being written: begin, write pieces, then commit or abort.  CRLF becomes LF in the file (W counts it
 * as CRLF).  After commit the message is durable: written, renamed, synced, in this order.
 */
struct mb_append;
int mb_append_begin(struct store *st, struct mb_append **out, struct err *err);
int mb_append_write(struct mb_append *ap, struct sv bytes, struct err *err);
/* dest may be opened with MB_NO_SCAN.  keywords are bits of dest.  date 0: now.  *uid gets the new UID (APPENDUID with
 * mailbox_uidvalidity(dest)).  Frees the append in any case.  ERR_TEMP when the lock cannot be had. */
int mb_append_commit(struct mb_append **ap, struct mailbox *dest, unsigned flags, uint32_t keywords, time_t date,
    uint32_t *uid, struct err *err);
void mb_append_abort(struct mb_append **ap);

/* COPY and MOVE: pairs of UIDs for COPYUID in ascending order of the source; the arrays are the caller's
 * (mb_uidmap_free). */
struct mb_uidmap {
	uint32_t uidvalidity; /* of the destination */
	size_t n;
	uint32_t *src, *dst;
};
void mb_uidmap_free(struct mb_uidmap *m);
/* Copies by hard link.  Flags and keywords are kept (keywords translated by name; those past 26 are dropped).  All or
 * nothing: after an error no copy is left.  src and dest may be the same folder.  Messages that are gone are skipped.
 */
int mailbox_copy(
    struct mailbox *src, const uint32_t *idx, size_t n, struct mailbox *dest, struct mb_uidmap *map, struct err *err);
/* Moves by rename: each message is at every moment in exactly one of the folders.  Moved ones become MB_GONE in src. On
 * an error map tells what was moved before it. */
int mailbox_move(
    struct mailbox *src, const uint32_t *idx, size_t n, struct mailbox *dest, struct mb_uidmap *map, struct err *err);

/* STATUS of any folder, opened or not.  Gives UIDs to messages that have none yet, leaves \Recent alone. */
struct mb_status {
	uint32_t messages, recent, uidnext, uidvalidity, unseen, deleted;
	uint64_t size; /* sum of wsize */
};
int mailbox_status(struct store *st, struct sv name, struct mb_status *out, struct err *err);

/* Directories whose inotify events (IN_MOVED_TO, IN_MOVED_FROM, IN_CREATE, IN_DELETE, IN_ONLYDIR) mean that a refresh
 * is worth it: absolute paths of new/ and cur/, the caller's to free(). */
void mailbox_watch_paths(const struct mailbox *mb, char *paths[2]);

/* LF to CRLF for the wire.  *last is the byte before `in` (0 at the start) and is updated; 0 or ERR_LIMIT. */
int mail_crlf(struct buf *out, struct sv in, char *last);

#endif
