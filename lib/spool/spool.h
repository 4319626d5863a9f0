/*
 * spool.h - the folders of the queue and the steps of a queue file's life.  All queue files stand in incoming/ for the
 * whole of their life (what they wait for is written in them, so no file is ever renamed from state to state); what
 * does not verify is moved to corrupt/ and kept.
 *
 * No function here keeps state: those that do file work may run in a helper thread.
 */
#ifndef MERPATI_SPOOL_H
#define MERPATI_SPOOL_H

#include "base/buf.h"
#include "base/err.h"
#include "spool/qid.h"

#define SPOOL_QUEUE "incoming"
#define SPOOL_CORRUPT "corrupt"
#define SPOOL_MODE 0660 /* cleanup makes the files, qmgr patches them: they share the group of the folder (set-gid) */

struct spool {
	int root;      /* O_PATH of the queue directory */
	int dir;       /* incoming/ */
	int corrupt;   /* corrupt/ */
	int procfd;    /* O_PATH of /proc/self/fd: the way to a descriptor's file */
	bool sync_dir; /* this file system needs the folder synced for a name to be durable */
};

/*
 * Opens the folders below queue_directory; missing ones are made.  Call before the sandbox and from the process's only
 * thread.  0 or ERR_SYS.
 */
int spool_open(struct spool *s, const char *queue_directory, struct err *err);
void spool_close(struct spool *s);

/*
 * A file without a name.  *fd: read and write, cleanup's own; *writer: write-only, a description of its own whose
 * offset stands behind the preamble, to be handed to who writes the content.  `writer` may be NULL.  ERR_SYS.
 */
int spool_create(const struct spool *s, int64_t now_us, char qid[QID_MAX + 1], int *fd, int *writer, struct err *err);

/* True when nobody else has the file open or mapped, descriptors in flight included (FACTS: a write lease proves it).
 */
bool spool_alone(int fd);
/* Copies [preamble, end) to a new file without a name: for content whose writer has not let go.  *copy is the caller's.
 */
int spool_copy(const struct spool *s, int fd, uint64_t end, int *copy, struct err *err);

/*
 * The commit of a file that nobody else can write: digest of the content, block (as qfile_block_put made it, sealed
 * here) and status bytes, preamble.  Not visible and not durable yet.
 */
int spool_write(int fd, char *block, size_t n, uint64_t content_end, size_t nrcpt, struct err *err);
/* Gives it its name: visible.  ERR_EXISTS, ERR_SYS. */
int spool_link(const struct spool *s, int fd, const char *qid, struct err *err);
/* Durable, name and content, after spool_link.  One file. */
int spool_sync(const struct spool *s, int fd, struct err *err);
/* The same for every file of the file system at once. */
int spool_sync_all(const struct spool *s, struct err *err);

int spool_open_file(
    const struct spool *s, const char *qid, int flags, struct err *err);   /* descriptor; ERR_NOT_FOUND, ERR_SYS */
int spool_unlink(const struct spool *s, const char *qid, struct err *err); /* 0 too when it was gone */
int spool_quarantine(const struct spool *s, const char *qid, struct err *err);
int spool_mark(int fd, uint64_t at, char status, struct err *err); /* one status byte */
/* Writes records at `end`, cutting off what a crash left behind it. */
int spool_append(int fd, uint64_t end, bool torn, struct sv records, struct err *err);
uint64_t spool_room(const struct spool *s); /* bytes that are free for us */

/* Names of the queue, in no order, a part at a time. */
struct spool_scan {
	int fd;
	_Alignas(8) char part[32768]; /* as getdents64 fills it */
	size_t at, n;
};
int spool_scan_open(const struct spool *s, struct spool_scan *sc, struct err *err);
int spool_scan_next(
    struct spool_scan *sc, struct sv *name, struct err *err); /* 1: valid until the next call; 0: the end */
void spool_scan_close(struct spool_scan *sc);

#endif
