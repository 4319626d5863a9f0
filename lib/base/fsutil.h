/* fsutil.h - files: whole reads and writes, safe opens, atomic replacement, folder syncs. */
#ifndef MERPATI_FSUTIL_H
#define MERPATI_FSUTIL_H

#include "base/buf.h"
#include "base/err.h"

int fs_write_all(int fd, const void *p, size_t n, struct err *err); /* write(2) until done */
int fs_pwrite_all(int fd, const void *p, size_t n, off_t at, struct err *err);
int fs_pread_all(int fd, void *p, size_t n, off_t at, struct err *err); /* ERR_CORRUPT at a short file */
int fs_read_fd(int fd, struct buf *out, struct err *err);		/* to the end; ERR_LIMIT past out->max */
int fs_read_file(int dirfd, const char *path, struct buf *out, struct err *err); /* dirfd may be AT_FDCWD */
/* openat2 with RESOLVE_BENEATH|RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS and O_CLOEXEC; descriptor, or -1 with errno.
 */
int fs_open_beneath(int dirfd, const char *path, int flags, mode_t mode);
/* Writes path anew through "path.new.PID" in the same folder: write, fsync, rename, fsync folder. */
int fs_replace_file(int dirfd, const char *path, struct sv data, mode_t mode, struct err *err);
int fs_sync_dir(int dirfd, struct err *err);
int fs_mkdirs(const char *path, mode_t mode, struct err *err); /* like mkdir -p */
/* memfd with the bytes, sealed against every change (F_SEAL_WRITE|SHRINK|GROW|SEAL); descriptor or negative. */
int fs_sealed_memfd(const char *name, struct sv data, struct err *err);

#endif
