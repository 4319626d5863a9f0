/*
 * mdir_save.h - files a message into a Maildir.  Blocking and free of shared state: it is meant for the threads of
 * ev_work, which run it on values that the caller keeps until it returns.
 *
 * Order: create in tmp/, write, rename into new/, then sync (README: what a crash after each step leaves).  The name is
 * the caller's: derived from queue id and recipient number, so that the same delivery repeated after a crash meets its
 * own file; a file of that name and the right size is not written again, a short one is replaced.
 */
#ifndef MERPATI_STORE_MDIR_SAVE_H
#define MERPATI_STORE_MDIR_SAVE_H

#include "base/err.h"
#include "base/sv.h"
#include "message/envelope.h"

#define MDIR_SAVE_PATH_MAX 1024		 /* bytes of a folder's path with its final '/' */
#define MDIR_SAVE_UNIQUE_MAX 180	 /* bytes of the name without ",S=" and ",W=" */
#define MDIR_SAVE_SCRATCH (64u << 10)	 /* bytes of the scratch buffer: a message of this size needs one write */
#define MDIR_SAVE_COUNT_MAX (256u << 10) /* larger messages are copied in the kernel and get no ",W=" */

struct mdir_save {
	/* What to file. */
	struct sv head; /* header lines put before the message, LF */
	int fd;		/* read with pread only */
	const struct mail_content *content;
	/* Where.  folder: absolute, ends in '/'.  base_len: the first bytes of folder that must exist already (0: the
	 * parent of the folder must); what is missing behind them is made with mode 0700. */
	const char *folder;
	size_t base_len;
	const char *unique; /* see mdir_save_unique */
	char *scratch;	    /* MDIR_SAVE_SCRATCH bytes, the caller's */
	/* Results of mdir_save_write. */
	int out;			     /* descriptor of the file, for mdir_save_sync; -1 after it or a failure */
	bool repeated;			     /* the message was there already */
	uint64_t size;			     /* of the file */
	char path[MDIR_SAVE_PATH_MAX + 256]; /* of the file in new/ */
};

/* "SECONDS.MmicrosecondsQqueueidRindex.host": arrival is in microseconds; host: '/' and ':' become '_'.  out must hold
 * MDIR_SAVE_UNIQUE_MAX + 1 bytes. */
void mdir_save_unique(char *out, int64_t arrival, struct sv queue_id, uint32_t index, const char *host);

/* All but the sync.  0 with s->out open, or ERR_SYS (err->sys: EDQUOT, ENOSPC, EACCES ...), ERR_LIMIT (path too long),
 * ERR_CORRUPT (the message is shorter than its extents). */
int mdir_save_write(struct mdir_save *s, struct err *err);
/*
 * The file that s has just written (before its sync), under another name in another Maildir: a hard link where the file
 * system gives one.  0; ERR_UNSUPPORTED: write it there instead (another file system, or too many links).
 */
int mdir_save_link(const struct mdir_save *s, const char *folder, size_t base_len, const char *unique, struct err *err);
/* Makes it durable, content and name, and closes s->out. */
int mdir_save_sync(struct mdir_save *s, struct err *err);
/* After a failure elsewhere: closes s->out without a sync; the file stays and a repeat will find it. */
void mdir_save_abandon(struct mdir_save *s);

#endif
