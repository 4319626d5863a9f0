/*
 * summary.h - what is asked about a message again and again, worked out once: sizes, header extent, MIME tree,
 * ENVELOPE, BODYSTRUCTURE and the header fields that clients list.  `smtpd` builds it while it receives
 * (summary_builder_*), it travels with the message as opaque bytes, `local` puts the lines before it that it adds
 * (summary_prefix), `imapd` reads it.  A record built from the file is the same, byte for byte, as the one that was
 * delivered.
 *
 * The record comes from a cage, so summary_decode trusts nothing: lengths, counts, order, checksum, and the grammar of
 * the IMAP texts inside are checked; a record that does not verify is thrown away and built anew from the file.
 *
 * Record, little endian: "MSUM", u16 version, u16 flags, u32 length of the record, u32 CRC-32C of what follows this
 * header; then u64 size, u64 size in CRLF form, u32 lines, u16 parts, u16 reserved 0; parts × SUMMARY_PART_SIZE bytes
 * (summary.c); then three texts, each u32 length and bytes: header fields, ENVELOPE, BODYSTRUCTURE.
 */
#ifndef MERPATI_SUMMARY_H
#define MERPATI_SUMMARY_H

#include "base/buf.h"
#include "base/err.h"
#include "message/mime.h"

#define SUMMARY_VERSION 1
#define SUMMARY_MAX (256u << 10)       /* bytes of a record; a message that needs more travels without */
#define SUMMARY_LARGE_MAX (8u << 20)   /* bytes of one that is built from a file for use on the spot */
#define SUMMARY_FIELDS_MAX (32u << 10) /* bytes of the kept header fields */

enum {
	SUMMARY_F_FIELDS =
	    1 /* every field with a name of summary_has_field() is in `fields`; else they were too long */
};

/* One message decoded: views into the record. */
struct summary {
	uint16_t flags;
	uint64_t size;	    /* bytes of the file */
	uint64_t size_crlf; /* RFC822.SIZE: bytes with every line end as CRLF */
	uint32_t lines;	    /* line ends in the whole message */
	size_t nparts;	    /* at least 1: part 0 is the message itself */
	const char *parts;  /* private: read with summary_part() */
	struct sv fields;   /* kept header fields, whole lines in order, line ends LF */
	struct sv envelope; /* "(...)" as FETCH sends it */
	struct sv bodystructure;
};

struct summary_builder;
/* A builder takes at most about 1 MiB of memory whatever it is fed. */
struct summary_builder *summary_builder_new(void);
void summary_builder_free(struct summary_builder **b);
/* The next bytes of the message, in pieces of any size; line ends LF or CRLF. */
void summary_builder_feed(struct summary_builder *b, struct sv bytes);
/*
 * The message is complete: appends the record to out.  0; ERR_LIMIT when it would be larger than SUMMARY_MAX or the
 * message is too large for its fields (nothing is appended; deliver without one).  Call once.
 */
int summary_builder_finish(struct summary_builder *b, struct buf *out, struct err *err);

/* The record of the message that begins with `prefix` (whole header lines, LF) and goes on with what `record`
 * describes. 0, ERR_CORRUPT, ERR_LIMIT. */
int summary_prefix(struct sv record, struct sv prefix, struct buf *out, struct err *err);

/* Checks all and fills *s with views into the record.  0, ERR_CORRUPT, ERR_UNSUPPORTED (another version). */
int summary_decode(struct sv record, struct summary *s, struct err *err);

/* Part i (0 .. nparts - 1), in the order of the message; parents come before their children. */
void summary_part(const struct summary *s, size_t i, struct mime_part *part);

/* Is this a field whose lines stand in `fields` when SUMMARY_F_FIELDS is set? */
bool summary_has_field(struct sv name);

/* Builds the record of a whole message in an open file (pread from 0 to the end) or in memory; at most
 * SUMMARY_LARGE_MAX bytes, so that every message has one here. */
int summary_of_fd(int fd, struct buf *out, struct err *err);
int summary_of_sv(struct sv message, struct buf *out, struct err *err);

#endif
