/*
 * sign.h - private keys with their certificate chains, and the signatures that a TLS server makes.  Used by keyd, which
 * alone holds private keys.  What is signed must have the form of a TLS signature: a digest of a known length, or for
 * RSASSA-PSS a block that really is an EMSA-PSS encoding, so that the key cannot be used to decrypt or to sign bare
 * numbers.
 */
#ifndef MERPATI_SIGN_H
#define MERPATI_SIGN_H

#include "base/buf.h"
#include "base/err.h"

struct sign_key;

struct sign_pair {
	struct sign_key *key;
	char *chain; /* PEM, leaf first */
	char *names; /* DNS names of the leaf, lower case, separated by one blank */
};
#define SIGN_MAX_PAIRS 64
#define SIGN_MAX_NAMES 16384  /* bytes of `names`; further names are left out */
#define SIGN_MAX_CHAIN 262144 /* bytes of `chain` */

/* A certificate file (leaf, then issuers) and a key file; both views may be the same text.  0 or negative. */
int sign_pair_load(struct sv cert_pem, struct sv key_pem, struct sign_pair *out, struct err *err);
/*
 * A chain file (smtpd_tls_chain_files): key, leaf, issuers, then perhaps the next key and its chain.  Appends to
 * out[*n...] and raises *n (at most SIGN_MAX_PAIRS).
 */
int sign_pairs_load(struct sv pem, struct sign_pair *out, size_t *n, struct err *err);
void sign_pair_clear(struct sign_pair *p); /* frees all three and sets them NULL */

enum sign_hash { SIGN_SHA1, SIGN_SHA224, SIGN_SHA256, SIGN_SHA384, SIGN_SHA512 };
/*
 * Each appends the signature to out.  0; ERR_DENIED when the bytes are not of the form; ERR_UNSUPPORTED when the key is
 * of another type; ERR_TEMP when libcrypto fails.
 */
int sign_ecdsa(const struct sign_key *k, struct sv digest, struct buf *out, struct err *err); /* 20 to 64 bytes */
int sign_pkcs1(const struct sign_key *k, enum sign_hash hash, struct sv digest, struct buf *out, struct err *err);
int sign_pss(
    const struct sign_key *k, struct sv block, struct buf *out, struct err *err); /* salt as long as the hash */

#endif
