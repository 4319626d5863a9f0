/*
 * stream.h - a buffered non-blocking byte stream to a network peer: input buffer with a bound, output gathered per loop
 * turn with a bound, one inactivity timeout, and a transport that TLS can take over (lib/tls/tls_stream.h).
 */
#ifndef MERPATI_STREAM_H
#define MERPATI_STREAM_H

#include "base/err.h"
#include "base/buf.h"
#include "ev/ev.h"

struct stream;

/*
 * The transport.  read/write behave like the system calls (-1 with errno; EAGAIN when it would block; 0 from read is
 * the end).  `want` says which epoll events the transport waits for beside the stream's own wish (TLS may need EPOLLOUT
 * to read); `shutdown` sends close_notify or the like and never blocks; `free` releases ctx.
 */
struct stream_ops {
	ssize_t (*read)(void *ctx, int fd, void *p, size_t n);
	ssize_t (*write)(void *ctx, int fd, const void *p, size_t n);
	uint32_t (*want)(void *ctx, uint32_t wish);
	size_t (*pending)(void *ctx); /* bytes readable without the descriptor becoming readable */
	void (*shutdown)(void *ctx, int fd);
	void (*free)(void *ctx);
};

struct stream_cb {
	void (*on_input)(struct stream *s, void *arg); /* more input is there, or the end was reached */
	void (*on_drained)(struct stream *s,
	    void *arg); /* output went below the low mark after stream_write said "full"; may be NULL */
	void (*on_close)(
	    struct stream *s, const struct err *why, void *arg); /* error, timeout (ERR_TIMEOUT), peer gone
								  (ERR_CLOSED); the owner frees the stream */
};

/* Takes fd over.  in_max bounds unread input: reading pauses there.  out_max bounds unsent output. */
struct stream *stream_new(struct ev *ev, int fd, size_t in_max, size_t out_max, const struct stream_cb *cb, void *arg);
void stream_free(struct stream **s); /* closes at once; unsent output is dropped */
void stream_close_after_flush(
    struct stream *s, uint64_t within_ms); /* sends what waits, closes, frees itself; no more callbacks */
void stream_set_cb(struct stream *s, const struct stream_cb *cb, void *arg);
void stream_set_timeout(struct stream *s, uint64_t ms); /* 0: none; restarted by input bytes and by output progress */
void stream_touch(struct stream *s);			/* restarts the timeout */

struct sv stream_in(const struct stream *s); /* unread input; valid until consumed or the next turn */
void stream_consume(struct stream *s, size_t n);
bool stream_ended(const struct stream *s);	  /* the same, though unread input may be left (half a line) */
bool stream_eof(const struct stream *s);	  /* the peer will send no more */
void stream_pause(struct stream *s, bool paused); /* stops reading (back-pressure) */
void stream_drop_input(struct stream *s);	  /* forgets unread input: STARTTLS (RFC 3207 section 4.2) */

/*
 * One line from the input.  1: *line is the line without its end, which was consumed; 0: not complete yet; ERR_LIMIT:
 * longer than max (the caller skips it with stream_skip_line or closes).  `ending` tells CRLF (2), bare LF (1).  A bare
 * CR stays in the line.  The view is valid until the next call on the stream.
 */
int stream_line(struct stream *s, size_t max, struct sv *line, int *ending);
bool stream_skip_line(struct stream *s); /* drops input up to and with LF; true when the LF was found */

/* Output: 0, or ERR_LIMIT when it does not fit (nothing is queued), ERR_CLOSED. */
int stream_write(struct stream *s, const void *p, size_t n);
int stream_printf(struct stream *s, const char *fmt, ...) ATTR_PRINTF(2, 3);
size_t stream_out_len(const struct stream *s);
bool stream_full(const struct stream *s); /* more than half of out_max waits: stop producing until on_drained */
int stream_flush(struct stream *s);	  /* sends now what can be sent; done anyway at the end of the turn */

int stream_fd(const struct stream *s);
/* Replaces the transport; ctx belongs to the stream from now on.  ops NULL: the plain one. */
void stream_set_transport(struct stream *s, const struct stream_ops *ops, void *ctx);
void *stream_transport_ctx(
    const struct stream *s, const struct stream_ops *ops); /* ctx if these are its ops, else NULL */
/* The transport's state changed outside a call of the stream (a signature came from keyd): tries reading and writing
 * again. */
void stream_update(struct stream *s);
int stream_steal_fd(
    struct stream **s, struct buf *unread); /* plain transport only: gives descriptor and unread input away */

#endif
