/*
 * tls_stream.h - TLS on a stream (lib/io/stream.h).  After tls_accept or tls_connect the stream is the connection's as
 * before: same calls, same callbacks, decrypted bytes.  Output that was queued in the clear before the call (the reply
 * to STARTTLS) still goes out in the clear; input that had arrived in the clear is dropped (RFC 3207 section 4.2).
 *
 * `done` is called once, at the end of a loop turn, with err NULL when the handshake is complete, or with the reason
 * why it failed; then the caller closes the stream (a client may reconnect in the clear if its policy allows).  It is
 * not called if the stream was freed or reported on_close (time-out) first.  No decrypted byte reaches on_input before
 * done. The stream's own inactivity timeout bounds the handshake.  Renegotiation is refused; closing sends
 * close_notify.
 */
#ifndef MERPATI_TLS_STREAM_H
#define MERPATI_TLS_STREAM_H

#include "base/buf.h"
#include "io/stream.h"
#include "tls/tls_ctx.h"

typedef void tls_done_fn(struct stream *s, void *arg, const struct err *err);

/* Server side.  The process is not held up while the signature is made. */
int tls_accept(struct tls_ctx *ctx, struct ev *ev, struct stream *s, tls_done_fn *done, void *arg, struct err *err);

/* Client side. */
struct tls_client_opts {
	const char *servername; /* SNI, without trailing dot; NULL: none.  Never an address literal. */
	const char *const
	    *match; /* names that the certificate may bear: "mx.example.com", ".example.com" (any below) */
	size_t nmatch;
	bool verify; /* fail unless the chain leads to a trusted root and a name matches (verify, secure) */
};
int tls_connect(struct tls_ctx *ctx, struct ev *ev, struct stream *s, const struct tls_client_opts *opts,
    tls_done_fn *done, void *arg, struct err *err);

/* How far the peer's certificate is to be believed; the words are those of Postfix's log line. */
enum tls_trust { TLS_TRUST_ANONYMOUS, TLS_TRUST_UNTRUSTED, TLS_TRUST_TRUSTED, TLS_TRUST_VERIFIED };
const char *tls_trust_word(enum tls_trust t); /* "Anonymous", "Untrusted", "Trusted", "Verified" */

struct tls_info {
	const char *protocol;  /* "TLSv1.3" */
	const char *cipher;    /* "TLS_AES_256_GCM_SHA384" */
	int bits, alg_bits;    /* 256/256 */
	char kex[32];	       /* "X25519", "" when not known */
	char sig[48];	       /* "ECDSA (P-256)", "RSA-PSS (2048 bits)", "" when not known */
	char digest[16];       /* "SHA256", "" */
	enum tls_trust trust;  /* of the peer; a server asks for no certificate: anonymous */
	char verify_error[96]; /* client: why the certificate is not trusted, "" when it is */
	char servername[256];  /* SNI: sent, or asked for by the client; "" without */
	bool resumed;
};
/* False when the stream has no TLS (yet). */
bool tls_info(const struct stream *s, struct tls_info *out);
bool tls_active(const struct stream *s); /* handshake complete */

/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature ECDSA (P-256)
 * server-digest SHA256", for "... TLS connection established from host[addr]: " and, folded, for Received. */
int tls_info_text(struct buf *out, const struct tls_info *info);

#define TLS_BINDING 32
/* tls-exporter channel binding (RFC 9266) of TLS 1.3; number of bytes (TLS_BINDING) or 0 when there is none. */
size_t tls_binding(const struct stream *s, unsigned char out[TLS_BINDING]);

#endif
