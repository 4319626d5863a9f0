/*
 * msg.h - one message between two programs: a frame of typed fields.  On the wire (little endian):
 *   u32 length of the body, u16 type, u8 number of descriptors, u8 API version, u32 id; then the body.
 * A field is one type byte and its value: 'u' u64, 'i' i64, 's' u32 length + bytes.  Fields have a fixed order per
 * message type; an older reader that finds more fields than it knows fails with ERR_PROTOCOL (msg_end), so the two
 * sides of a connection speak the same version; the version byte says which.  Encoding and decoding of each message
 * type is declared once, in lib/ipc/api_*.h, for both sides.
 */
#ifndef MERPATI_MSG_H
#define MERPATI_MSG_H

#include "base/buf.h"
#include "base/err.h"

#define MSG_HEADER 12
#define MSG_MAX_BODY (4u << 20) /* bytes of one body; a channel may set a lower bound */
#define MSG_MAX_FDS 32		/* descriptors with one message */

/* Outgoing: fields are appended to a bounded buffer; descriptors are borrowed until the message was queued (they are
 * duplicated then) unless stated. */
struct msg_out {
	struct buf b;
	int fds[MSG_MAX_FDS];
	unsigned nfds;
};
#define MSG_OUT_INIT                                                                                                   \
	{                                                                                                              \
		.b = BUF_INIT(MSG_MAX_BODY)                                                                            \
	}
void msg_out_free(struct msg_out *m); /* does not close descriptors */
void put_u64(struct msg_out *m, uint64_t v);
void put_i64(struct msg_out *m, int64_t v);
void put_sv(struct msg_out *m, struct sv s);
void put_str(struct msg_out *m, const char *s); /* NULL is sent as "" */
void put_bool(struct msg_out *m, bool v);	/* as u64 0 or 1 */
void put_fd(struct msg_out *m, int fd);		/* borrowed: chan_send duplicates it */

/*
 * Incoming: a cursor over one body.  Each get_ returns false and sets `bad` when the next field is missing or of
 * another type; after that all of them return false, so a decoder can chain and check once.  Views point into the
 * message and die when the handler returns.
 */
struct msg {
	uint16_t type;
	uint8_t version;
	uint32_t id;
	struct sv body; /* what is left to read */
	int *fds;	/* received descriptors, close-on-exec */
	unsigned nfds, nextfd;
	bool bad;
};
bool get_u64(struct msg *m, uint64_t *v);
bool get_u32(struct msg *m, uint32_t *v); /* u64 on the wire; bad if it does not fit */
bool get_i64(struct msg *m, int64_t *v);
bool get_bool(struct msg *m, bool *v); /* bad unless 0 or 1 */
bool get_sv(struct msg *m, struct sv *s);
bool get_svmax(struct msg *m, struct sv *s, size_t max); /* bad when longer than max */
bool get_text(struct msg *m, struct sv *s, size_t max);	 /* get_svmax, bad too when it holds a NUL byte */
bool get_count(struct msg *m, size_t *n, size_t max);	 /* a number of repetitions, bounded */
int msg_take_fd(struct msg *m);				 /* next descriptor, now the caller's; -1 when there is none */
bool msg_end(struct msg *m);				 /* true when all was read and nothing went wrong */

/* Frames in a stream.  msg_parse: 1 = *m filled and *used bytes belong to it, 0 = need more, <0 =
 * ERR_LIMIT/ERR_PROTOCOL. */
int msg_parse(struct sv in, size_t max_body, struct msg *m, size_t *used, unsigned *nfds);
void msg_frame(char header[MSG_HEADER], uint32_t body, uint16_t type, uint8_t nfds, uint8_t version, uint32_t id);

#endif
