/* keys.h - the certificates and keys of one class of services, reread when their files change. */
#ifndef MERPATI_KEYD_KEYS_H
#define MERPATI_KEYD_KEYS_H

#include "base/err.h"
#include "crypto/sign.h"

/* Where they come from: the values of the parameters; "" is none.  Chain files, when given, replace the pairs. */
struct key_sources {
	const char *chain_files;  /* separated by white space or commas */
	const char *cert_file[2]; /* RSA or any, EC */
	const char *key_file[2];
};

struct key_set {
	uint64_t generation; /* follows from the certificates: the same again after a restart */
	size_t n;
	struct sign_pair pairs[SIGN_MAX_PAIRS];
};

struct key_ring;

/* Reads all files.  A ring without a configured file is empty, not an error.  0 or negative with *out untouched. */
int key_ring_open(const struct key_sources *src, struct key_ring **out, struct err *err);
void key_ring_free(struct key_ring **r);

/*
 * Reads the files again if one of them is another file, or has another time or size, than when it was read.  1: there
 * is a new generation; 0: nothing changed; negative: the new files cannot be used, and the old keys stay.
 */
int key_ring_refresh(struct key_ring *r, struct err *err);

const struct key_set *key_ring_now(const struct key_ring *r);
/* The set of a generation: this one, or the one before (handshakes that began before a renewal); NULL otherwise. */
const struct key_set *key_ring_find(const struct key_ring *r, uint64_t generation);

#endif
