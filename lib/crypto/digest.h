/* digest.h - hashes, HMAC and PBKDF2 in one call each. */
#ifndef MERPATI_DIGEST_H
#define MERPATI_DIGEST_H

#include "base/err.h"
#include "base/sv.h"

enum digest_alg { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
#define DIGEST_MAX 64

size_t digest_len(enum digest_alg alg); /* bytes of the result */

/* out: digest_len(alg) bytes.  A failure of libcrypto (out of memory) ends the process. */
void digest(enum digest_alg alg, struct sv in, unsigned char *out);
void hmac(enum digest_alg alg, struct sv key, struct sv in, unsigned char *out);

/* HMAC under one key for many messages: the key is set up once. */
struct hmac_key;
struct hmac_key *hmac_key_new(enum digest_alg alg, struct sv key);
void hmac_key_free(struct hmac_key **k); /* clears the key */
void hmac_key_run(struct hmac_key *k, struct sv in, unsigned char *out);

/* RFC 8018 PBKDF2 with HMAC; n bytes to out.  Slow by design: only in worker processes and tools. */
void pbkdf2(enum digest_alg alg, struct sv password, struct sv salt, unsigned iterations, unsigned char *out, size_t n);

#endif
