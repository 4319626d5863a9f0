/*
 * qfile.h - the queue file as bytes: preamble, commit block, status bytes, appended records (docs/queue-format.md), and
 * what they say, as one struct.  Encoding and parsing are pure; qfile_load reads a descriptor.
 */
#ifndef MERPATI_QFILE_H
#define MERPATI_QFILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "message/envelope.h"

#define QFILE_PREAMBLE 64 /* bytes before the content */
#define QFILE_MAJOR 1
#define QFILE_MINOR 0
#define QFILE_BLOCK_MAX (96u << 20)    /* bytes of a commit block */
#define QFILE_RECORDS_MAX (128u << 20) /* bytes of all appended records */
#define QFILE_RECORD_MAX (32u << 20)   /* bytes of one appended record */

/* Status byte of a recipient.  Any other byte is read as QS_WAITING: when unsure, deliver again. */
enum qfile_status { QS_WAITING = 'W', QS_SENT = 'S', QS_FAILED = 'F', QS_EXPANDED = 'E' };

/* Outcome of the last attempt for a recipient that still waits. */
enum qfile_outcome { QO_NONE = 0, QO_DEFERRED = 2, QO_FAILED = 3 };

struct qfile_rcpt {
	struct mail_rcpt rcpt;
	uint64_t mark_at; /* offset of its status byte */
	uint32_t parent;  /* number of the alias that it came from; UINT32_MAX: of the commit block */
	char status;	  /* enum qfile_status */
	uint8_t outcome;  /* enum qfile_outcome */
	struct sv dsn, relay, text;
	int64_t last; /* of the last attempt, wall clock in microseconds */
};

struct qfile {
	struct sv qid;
	struct mail_envelope env;
	uint64_t content_end; /* the commit block begins here */
	uint32_t digest;      /* CRC-32C of the content */
	size_t n, cap;
	struct qfile_rcpt *rcpt; /* numbered by position, for the life of the message */
	uint32_t attempts;
	int64_t next; /* next attempt, wall clock in seconds; 0: at once */
	bool hold;
	bool warned;   /* the delay notice was sent */
	uint64_t end;  /* offset behind the last valid record: the next one goes here */
	uint64_t size; /* of the file; > end: a torn record, to be cut off before the next one is written */
	char *raw;     /* the bytes that the views point into */
	struct arena mem;
};

/*
 * Appends a commit block for the content [QFILE_PREAMBLE, content_end) to out, its digest and CRC still missing (so
 * that this can be done where no file is read); qfile_seal_block fills them in.  Returns 0 or ERR_LIMIT.
 */
int qfile_block_put(struct buf *out, struct sv qid, const struct mail_envelope *env, const struct mail_rcpt *rcpt,
    size_t n, uint64_t content_end);
void qfile_seal_block(char *block, size_t n, uint32_t digest);
/* The preamble for a block. */
void qfile_preamble(char out[QFILE_PREAMBLE], uint64_t block_at, uint32_t block_len);
int qfile_preamble_get(const char in[QFILE_PREAMBLE], uint64_t *block_at, uint32_t *block_len, struct err *err);

/*
 * Fills *q from a block and what follows it.  `tail` begins with the block at offset block_at of the file; with
 * `block_only` nothing follows it yet (all recipients wait).  Copies tail.  Every count, offset and length is checked;
 * what comes after the last valid record is ignored.  0, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_LIMIT; *q is untouched then.
 */
int qfile_parse(struct qfile *q, struct sv tail, uint64_t block_at, bool block_only, struct err *err);

enum qfile_load_flag { QFILE_VERIFY = 1 /* read the content and compare its digest */ };
/* Reads a file (pread only).  ERR_SYS, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_LIMIT. */
int qfile_load(struct qfile *q, int fd, unsigned flags, struct err *err);
void qfile_clear(struct qfile *q);
/* CRC-32C of [QFILE_PREAMBLE, end); ERR_CORRUPT when the file is shorter. */
int qfile_digest(int fd, uint64_t end, uint32_t *digest, struct err *err);

/* Appended records.  Each appends one whole record to out; 0 or ERR_LIMIT. */
struct qfile_result {
	uint32_t index;
	uint8_t outcome; /* enum qfile_outcome */
	struct sv dsn, relay, text;
	int64_t when;
};
int qrec_result_put(struct buf *out, const struct qfile_result *r);
int qrec_schedule_put(struct buf *out, uint32_t attempts, int64_t next);
int qrec_hold_put(struct buf *out, bool hold);
int qrec_warned_put(struct buf *out);
/*
 * Recipients added in place of recipient `parent`, which is done by this very record.  `mark` gets the position in out
 * of the first of their status bytes.
 */
int qrec_expand_put(struct buf *out, uint32_t parent, const struct mail_rcpt *rcpt, size_t n, size_t *mark);
/* Adds them to q as a reader of that record would; `at` is the offset in the file of the first status byte. Copies. */
int qfile_expand(struct qfile *q, uint32_t parent, const struct mail_rcpt *rcpt, size_t n, uint64_t at);

#endif
