/*
 * api_keyd.h - what keyd is asked: certificates and signatures for TLS, and session ticket keys.  keyd serves each
 * caller only the keys of the caller's own master.cf service class (SMTP server, SMTP client, IMAP/POP3).
 *
 * KD_CERTS {} -> KD_CERTS {status i, generation u, count, n x {key u, names s, chain s}}
 * KD_SIGN {key u, generation u, scheme u, form u, data s} -> KD_SIGN {status i, signature s}
 * KD_TICKET {} -> KD_TICKET {status i, n x {name s, aes s, hmac s, expires i}}
 * KD_RENEWED {} from keyd with id 0: certificates or ticket keys have changed; ask again.
 *
 * Status: 0, ERR_NOT_FOUND (no certificate for this service; unknown key or generation), ERR_DENIED (the bytes do not
 * have the form of a TLS signature), ERR_TEMP.
 */
#ifndef MERPATI_API_KEYD_H
#define MERPATI_API_KEYD_H

#include "ipc/msg.h"

enum kd_type { KD_CERTS = 0x4b01, KD_SIGN, KD_TICKET, KD_RENEWED };
#define KD_VERSION 1

#define KD_MAX_CERTS 64		  /* certificates of one service */
#define KD_MAX_CHAIN (256u << 10) /* bytes of one PEM chain */
#define KD_MAX_NAMES 16384	  /* bytes of the name list of one certificate */
#define KD_MAX_SIGN 1024	  /* bytes to be signed: at most an RSA block of 8192 bits */
#define KD_MAX_SIGNATURE 1024
#define KD_MAX_TICKETS 4
#define KD_TICKET_NAME 16
#define KD_TICKET_KEY 32

/* What `data` of KD_SIGN is. */
enum kd_form {
	KD_FORM_DIGEST = 1, /* digest of the scheme's hash: ECDSA and RSASSA-PKCS1-v1_5 (TLS 1.2) */
	KD_FORM_PSS = 2 /* RSA: block with the structure of EMSA-PSS (RFC 8017 section 9.1.1), as long as the modulus */
};

/* Hashes are named by their digest length in `scheme`'s low byte order: TLS SignatureScheme numbers (RFC 8446 4.2.3).
 */
enum kd_scheme {
	KD_RSA_PKCS1_SHA1 = 0x0201,
	KD_RSA_PKCS1_SHA256 = 0x0401,
	KD_RSA_PKCS1_SHA384 = 0x0501,
	KD_RSA_PKCS1_SHA512 = 0x0601,
	KD_RSA_PKCS1_SHA224 = 0x0301,
	KD_RSA_PSS = 0x0804, /* the hash is inside the block */
	KD_ECDSA = 0x0403    /* digest of 20 to 64 bytes; the curve is the key's */
};

struct kd_cert {
	uint32_t key; /* number for KD_SIGN, valid within its generation */
	struct sv
	    names; /* DNS names of the certificate in lower case, separated by one blank; "*.example.com" possible */
	struct sv chain; /* PEM, leaf first */
};

struct kd_certs {
	int status;
	uint64_t generation;
	size_t n;
	struct kd_cert certs[KD_MAX_CERTS];
};
void kd_certs_encode(struct msg_out *m, const struct kd_certs *c);
bool kd_certs_decode(struct msg *m, struct kd_certs *c); /* views into m */

struct kd_sign {
	uint32_t key;
	uint64_t generation;
	uint32_t scheme; /* enum kd_scheme */
	uint32_t form;	 /* enum kd_form */
	struct sv data;
};
void kd_sign_encode(struct msg_out *m, const struct kd_sign *s);
bool kd_sign_decode(struct msg *m, struct kd_sign *s);
void kd_signed_encode(struct msg_out *m, int status, struct sv signature);
bool kd_signed_decode(struct msg *m, int *status, struct sv *signature);

struct kd_ticket {
	unsigned char name[KD_TICKET_NAME];
	unsigned char aes[KD_TICKET_KEY];
	unsigned char hmac[KD_TICKET_KEY];
	int64_t expires; /* seconds since 1970: decrypts until then; the first of the list encrypts */
};
struct kd_tickets {
	int status;
	size_t n;
	struct kd_ticket keys[KD_MAX_TICKETS];
};
void kd_tickets_encode(struct msg_out *m, const struct kd_tickets *t);
bool kd_tickets_decode(struct msg *m, struct kd_tickets *t);

#endif
