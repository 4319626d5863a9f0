/*
 * pwhash.h - password hashes: crypt(3) with yescrypt, and SCRAM-SHA-256 verifiers (RFC 5802, 7677, 5803).  Making and
 * checking are slow on purpose: worker processes and tools only.
 */
#ifndef MERPATI_PWHASH_H
#define MERPATI_PWHASH_H

#include "base/buf.h"
#include "base/err.h"

#define PWHASH_MAX_PASSWORD 511 /* bytes: crypt(3) takes no more */
#define SCRAM_KEY 32
#define SCRAM_MAX_SALT 64
#define SCRAM_MIN_ITERATIONS 4096 /* RFC 7677 section 4 */
#define SCRAM_MAX_ITERATIONS 10000000

/* A new yescrypt hash of the password (no NUL byte in it), with the library's default cost.  0 or negative. */
int pwhash_make(struct sv password, struct buf *out, struct err *err);
/* 0: it is the password; ERR_DENIED: it is not; ERR_UNSUPPORTED: not a hash that crypt(3) knows here. */
int pwhash_check(struct sv password, struct sv hash);

struct scram_verifier {
	uint32_t iterations;
	size_t salt_len;
	unsigned char salt[SCRAM_MAX_SALT], stored[SCRAM_KEY], server[SCRAM_KEY];
};
void scram_derive(struct sv password, struct scram_verifier *v); /* fills stored and server from salt and iterations */
int scram_format(const struct scram_verifier *v, struct buf *out);
int scram_parse(struct sv text, struct scram_verifier *out); /* 0 or ERR_SYNTAX with *out untouched */
/* What an unknown user gets: the same for the same name, not to be told from a real one.  key: the process's secret. */
void scram_invent(struct sv user, struct sv key, uint32_t iterations, struct scram_verifier *out);

#endif
