/*
 * sandbox.h - one readable profile per program, laid on by the skeleton before the first untrusted byte: no_new_privs,
 * capabilities, non-dumpable, rlimits, Landlock, seccomp.  A layer that the kernel lacks is left out with one warning.
 */
#ifndef MERPATI_SANDBOX_H
#define MERPATI_SANDBOX_H

#include "base/err.h"

enum sandbox_access { SANDBOX_READ, SANDBOX_WRITE, SANDBOX_EXEC };
struct sandbox_path {
	const char *path;	    /* absolute, or "$name": the value of that parameter; missing paths are skipped */
	enum sandbox_access access; /* WRITE: read, write, make, rename, remove below it */
};
enum sandbox_net {
	SANDBOX_NET_NONE,    /* socket() and connect() are refused by seccomp */
	SANDBOX_NET_OUT_TCP, /* TCP connect */
	SANDBOX_NET_DNS,     /* UDP and TCP */
	SANDBOX_NET_UNIX     /* UNIX sockets (tables behind a local socket, NSS) */
};
struct sandbox_profile {
	const struct sandbox_path *paths; /* ends with {NULL, 0}; NULL: no file at all */
	enum sandbox_net net;
	unsigned exec : 1;	   /* may run commands */
	unsigned fork : 1;	   /* may make processes */
	unsigned threads : 1;	   /* uses ev_work */
	unsigned becomes_user : 1; /* session zygote: set*id to ids >= min_uid/min_gid only (seccomp), fork */
	unsigned no_landlock : 1;  /* runs users' commands: confined by identity alone */
	unsigned long nofile;	   /* RLIMIT_NOFILE (0: 4096) */
	unsigned long memory;	   /* RLIMIT_DATA in MiB (0: 512) */
	unsigned long fsize;	   /* RLIMIT_FSIZE in bytes (0: no file may be written; ULONG_MAX: unlimited) */
};
struct sandbox_args {
	const char *(*param)(void *ctx, const char *name); /* resolves "$name" paths */
	void *ctx;
	unsigned min_uid, min_gid; /* for becomes_user */
};
/* Layers that could not be laid are named in `missing` (at least 128 bytes), "" when all hold.  0 or negative. */
int sandbox_enter(const struct sandbox_profile *p, const struct sandbox_args *args, char *missing, struct err *err);
/* For the session's child: Landlock to one folder (files below it as a Maildir needs), no more processes, no signals to
 * others.  After sandbox_enter, whose no_new_privs it needs. */
int sandbox_restrict_to(
    const char *folder, const char *readable, struct err *err); /* readable: one more folder, to be read; or NULL */

#endif
