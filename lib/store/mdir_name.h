/*
 * mdir_name.h - file names of a Maildir: UNIQUE[,S=n][,W=n][,U=n,V=hex][,other...][:2,LETTERS].  Pure.
 *
 * S is the size of the file, W its size with CRLF line ends (both as Maildir++ and Dovecot write them).  U is the UID
 * and V the UIDVALIDITY of the folder that gave it: a file that somebody moved here from another folder has a foreign
 * V, and its U says nothing.  Capital letters are flags; unknown ones are kept.  Small letters are keywords 0 to 25.
 */
#ifndef MERPATI_STORE_MDIR_NAME_H
#define MERPATI_STORE_MDIR_NAME_H

#include "base/buf.h"
#include "base/err.h"

#define MDIR_NAME_MAX 255 /* bytes of a file name */

struct mdir_name {
	struct sv base; /* all before ":2," (a view of the parsed name) */
	struct sv uniq; /* base before its first comma */
	bool has_size, has_wsize, has_uid;
	uint64_t size, wsize; /* 0 when absent */
	uint32_t uid, uidvalidity;
	uint32_t upper; /* bit n: letter 'A' + n */
	uint32_t lower; /* bit n: letter 'a' + n */
};

/* 0, or ERR_SYNTAX for a name that is no message's: empty, a leading dot, a slash or NUL, over MDIR_NAME_MAX. */
int mdir_name_parse(struct sv file, struct mdir_name *out);
/* The base without its S, W, U and V fields, then those of n that are set, then ":2," and letters in ASCII order
 * (`info` false: none, as in new/).  0, or ERR_LIMIT with nothing appended: past
 * MDIR_NAME_MAX, or a base that is nothing but such fields or holds a ':' (give the file a new name then). */
int mdir_name_format(struct buf *out, const struct mdir_name *n, bool info);
/* MB_* flags of the capital letters, and back (letters that are no flag come from `old`). */
unsigned mdir_flags(uint32_t upper);
uint32_t mdir_letters(unsigned flags, uint32_t old);
/* Seconds at the beginning of a name; 0 when there are none.  Orders messages without UID. */
int64_t mdir_name_time(struct sv file);
/* True for names that mb_append and mailbox_copy make ("SECONDS.R...": the seconds are the internal date). */
bool mdir_name_dated(struct sv file, int64_t *date);

#endif
