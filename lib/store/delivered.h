/*
 * delivered.h - summaries on their way from delivery to the account's index.  The delivery child, which may not open
 * the index, appends each message's record to one file in the Maildir; the session that opens the folder next takes the
 * file away and puts the records into its index.  A cache of a cache: never synced, lost without harm, bounded; a
 * record that does not verify ends the reading.
 *
 * Record, little endian: "MDLV", u16 version 1, u16 bytes of the name, u32 bytes of the summary, u32 CRC-32C of name
 * and summary; then both.  The name is the message's file name before its first comma.
 */
#ifndef MERPATI_STORE_DELIVERED_H
#define MERPATI_STORE_DELIVERED_H

#include "base/buf.h"
#include "base/err.h"

#define DELIVERED_FILE "merpati-delivered"
#define DELIVERED_MAX (32u << 20)   /* bytes of the file; past it nothing is added until a session took it */
#define DELIVERED_RECORD (1u << 20) /* bytes of one summary */
#define DELIVERED_HEADER 16

/* Appends a record; folder is absolute and ends in '/'.  Thread-safe.  0, or a negative code that the caller ignores.
 */
int delivered_append(const char *folder, struct sv name, struct sv summary);

/* Removes the file in dirfd and hands out its records, oldest first.  0 (also when there is none), ERR_SYS,
 * ERR_CORRUPT. */
typedef void delivered_fn(void *arg, struct sv name, struct sv summary);
int delivered_take(int dirfd, delivered_fn *fn, void *arg);

/* The record at the beginning of text: its length (views into text), 0: not whole, ERR_CORRUPT.  Pure. */
ssize_t delivered_parse(struct sv text, struct sv *name, struct sv *summary);
int delivered_encode(struct buf *out, struct sv name, struct sv summary);

#endif
