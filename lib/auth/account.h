/*
 * account.h - the record of one account in users.lmdb, as text: one "name:value" a line, in any order.
 *   crypt   crypt(3) hash of the password (yescrypt)
 *   scram   SCRAM-SHA-256 verifier (RFC 5803): SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY, the last three in
 * base64 uid, gid  decimal folder  of the mail, below $virtual_mailbox_base, ends in "/" disabled  yes: nobody may log
 * in Names that are not known are passed over, so that an older reader takes a newer record.
 */
#ifndef MERPATI_ACCOUNT_H
#define MERPATI_ACCOUNT_H

#include "base/buf.h"
#include "base/err.h"

#define ACCOUNT_MAX_RECORD 4096
#define ACCOUNT_MAX_FOLDER 512
#define ACCOUNT_MAX_CRYPT 384
#define ACCOUNT_MAX_NAME 320 /* bytes of an address */

struct account {
	struct sv crypt; /* "" when there is none */
	struct sv scram; /* "" when there is none */
	uint32_t uid, gid;
	struct sv folder;
	bool disabled;
};

/* Views into text.  0 or ERR_CORRUPT: a known field is malformed, uid, gid or folder is missing, or the folder leaves
 * its base. */
int account_parse(struct sv text, struct account *out, struct err *err);
int account_format(const struct account *a, struct buf *out); /* 0 or ERR_LIMIT */

/* A folder below the base: relative, without empty, "." or ".." parts, ends in "/". */
bool account_folder_ok(struct sv folder);

/*
 * The one form of a login name: ASCII letters in lower case; a name without "@" gets "@realm" unless realm is "".
 * 0, or ERR_SYNTAX for what cannot be an address: empty parts, control or white space bytes, a slash, longer than
 * ACCOUNT_MAX_NAME.
 */
int account_normalize(struct sv name, struct sv realm, struct buf *out);

#endif
