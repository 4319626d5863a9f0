/*
 * api_session.h - the one frame that `login` puts before the raw bytes of a session's stream (SE_PREFACE).  Neither
 * side sends another frame on it.
 *
 * SE_PREFACE {tag s, client s, local s, secure b, early s}
 */
#ifndef MERPATI_API_SESSION_H
#define MERPATI_API_SESSION_H

#include "ipc/msg.h"

enum { SE_PREFACE = 0x0e01 };
#define SE_VERSION 1
#define SE_MAX_TAG 256
#define SE_MAX_ADDR 64
#define SE_MAX_EARLY 65536
#define SE_MAX_FRAME (SE_MAX_EARLY + 1024) /* bytes of the whole frame */

struct se_preface {
	struct sv tag;	  /* of the IMAP command that the session answers ("a1 OK Logged in"); "" for POP3 */
	struct sv client; /* address of the client in text form */
	struct sv local;  /* our address */
	bool secure;	  /* TLS, or a client on this host */
	struct sv early;  /* what the client had already sent behind its login, decrypted */
};
/* Appends the whole frame, header included; 0 or ERR_LIMIT.  login writes it with stream_write or write(2). */
int se_preface_frame(struct buf *out, const struct se_preface *p);
/* 1: *p (views into `in`) and *used bytes belong to it; 0: more bytes are needed; ERR_LIMIT or ERR_PROTOCOL. */
int se_preface_parse(struct sv in, struct se_preface *p, size_t *used);

#endif
