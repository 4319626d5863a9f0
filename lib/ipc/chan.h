/*
 * chan.h - a non-blocking UNIX stream socket that carries messages and descriptors.  Writes are gathered and sent at
 * the end of the loop's turn (many messages a system call).  A peer that sends nonsense, too much, or the wrong number
 * of descriptors is closed; the owner hears on_close once and then frees the channel.  What waits to be sent is
 * bounded: chan_send fails with ERR_LIMIT past CHAN_MAX_OUT, and the caller treats that like a peer that does not
 * answer.
 */
#ifndef MERPATI_CHAN_H
#define MERPATI_CHAN_H

#include "ev/ev.h"
#include "ipc/msg.h"

#define CHAN_MAX_OUT (16u << 20)

struct chan;
typedef void chan_msg_fn(struct chan *c, struct msg *m, void *arg);
typedef void chan_close_fn(struct chan *c, const struct err *why, void *arg);

/* Takes fd over.  max_body bounds incoming messages (0: MSG_MAX_BODY).  Callbacks may call chan_free(&c). */
struct chan *chan_new(struct ev *ev, int fd, size_t max_body, chan_msg_fn *on_msg, chan_close_fn *on_close, void *arg);
void chan_free(struct chan **c);
void *chan_arg(struct chan *c);
void chan_set(struct chan *c, chan_msg_fn *on_msg, chan_close_fn *on_close, void *arg);
int chan_fd(const struct chan *c);
/* Queues a message; 0 or ERR_LIMIT/ERR_CLOSED.  Takes nothing: m may be freed, descriptors in it closed, at once. */
int chan_send(struct chan *c, uint16_t type, uint8_t version, uint32_t id, const struct msg_out *m);
int chan_reply(
    struct chan *c, const struct msg *request, uint16_t type, const struct msg_out *m); /* same id, version */
void chan_flush(struct chan *c);	      /* now, instead of at the end of the turn */
size_t chan_out_len(const struct chan *c);    /* bytes that wait */
void chan_pause(struct chan *c, bool paused); /* stops or goes on reading: back-pressure */

#endif
