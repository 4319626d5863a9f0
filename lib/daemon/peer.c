/* peer.c - clients of other programs: connect through master, calls with deadlines; see daemon.h. */
#include "base/htable.h"
#include "daemon/daemon_priv.h"
#include "ipc/api_master.h"

#define PEER_QUEUE_MAX 10000	     /* messages that wait for a connection */
#define PEER_QUEUE_BYTES (16u << 20) /* and their bytes */

enum peer_state { PEER_DOWN, PEER_CONNECTING, PEER_UP };

struct peer_queued;
struct peer_call {
	UT_hash_handle hh;
	struct peer_queued *queued; /* while it waits for the connection */
	uint32_t id;
	struct peer *peer;
	struct ev_timer timer;
	peer_done *done;
	void *arg;
	int result; /* of a call that could not be sent */
};

/* A message that waits for the connection; descriptors are duplicates. */
struct peer_queued {
	struct peer_queued *prev, *next;
	struct peer_call *call; /* NULL for peer_send */
	uint16_t type;
	uint32_t id;
	struct msg_out m;
};

struct peer {
	struct daemon *d;
	char program[64], target[128];
	enum peer_state state;
	struct chan *chan;
	struct peer_call *calls;
	struct peer_queued *head;
	size_t queued, queued_bytes;
	uint32_t last_id;
	void (*on_msg)(void *arg, struct msg *m);
	void *on_msg_arg;
	void (*on_state)(void *arg, bool up);
	void *on_state_arg;
	struct peer **pending; /* the connect request's pointer to us, cleared by peer_free */
};

struct peer *peer_new(struct daemon *d, const char *program, const char *target)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	p->d = d;
	snprintf(p->program, sizeof(p->program), "%s", program);
	snprintf(p->target, sizeof(p->target), "%s", target != NULL ? target : "");
	return p;
}

static void free_queued(struct peer *p, struct peer_queued *q)
{
	DL_DELETE(p->head, q);
	p->queued--;
	p->queued_bytes -= q->m.b.n;
	if (q->call != NULL)
		q->call->queued = NULL;
	for (unsigned i = 0; i < q->m.nfds; i++)
		close(q->m.fds[i]);
	msg_out_free(&q->m);
	free(q);
}

static void drop_queue(struct peer *p)
{
	while (p->head != NULL)
		free_queued(p, p->head);
}

static void free_call(struct peer_call *call)
{
	ev_timer_stop(&call->timer);
	if (call->queued != NULL) /* nobody waits for the answer any more: it must not be asked late */
		free_queued(call->peer, call->queued);
	HASH_DEL(call->peer->calls, call);
	free(call);
}

void peer_free(struct peer **pp)
{
	struct peer *p = *pp;
	struct peer_call *call, *tmp;
	if (p == NULL)
		return;
	*pp = NULL;
	HASH_ITER (hh, p->calls, call, tmp) {
		free_call(call);
	}
	drop_queue(p);
	chan_free(&p->chan);
	if (p->pending != NULL)
		*p->pending = NULL;
	free(p);
}

static void finish(struct peer_call *call, int status, struct msg *reply)
{
	peer_done *done = call->done;
	void *arg = call->arg;
	free_call(call);
	done(arg, status, reply);
}

/* Ends every call that is open now.  Callbacks may add calls and may even free the peer: work on a list of numbers. */
static void fail_calls(struct peer *p, int status)
{
	size_t n = HASH_COUNT(p->calls), i = 0;
	struct peer_call *call, *tmp;
	HASH_ITER (hh, p->calls, call, tmp) {
		call->result = status;
		ev_timer_start(p->d->ev, &call->timer, 0, call->timer.cb); /* answered by the loop, one by one */
		if (++i == n)
			break;
	}
}

static void call_timeout(struct ev_timer *t)
{
	struct peer_call *call = container_of(t, struct peer_call, timer);
	finish(call, call->result, NULL);
}

static void peer_msg(struct chan *c ATTR_UNUSED, struct msg *m, void *arg)
{
	struct peer *p = arg;
	struct peer_call *call;

	HASH_FIND(hh, p->calls, &m->id, sizeof(m->id), call);
	if (m->id != 0 && call != NULL)
		finish(call, 0, m);
	else if (m->id == 0 && p->on_msg != NULL)
		p->on_msg(p->on_msg_arg, m);
	/* else: the answer to a call that timed out or was cancelled */
}

static void peer_lost(struct peer *p, int status)
{
	p->state = PEER_DOWN;
	chan_free(&p->chan);
	drop_queue(p);
	fail_calls(p, status);
	if (p->on_state != NULL)
		p->on_state(p->on_state_arg, false);
}

static void peer_closed(struct chan *c ATTR_UNUSED, const struct err *why, void *arg)
{
	struct peer *p = arg;
	if (why->code != ERR_CLOSED)
		log_error("%s: %s", p->program, why->text);
	peer_lost(p, ERR_CLOSED);
}

static void peer_connected(void *arg, int status, int fd)
{
	struct peer **box = arg, *p = *box;
	free(box);
	if (p == NULL) {
		fd_close(&fd);
		return;
	}
	p->pending = NULL;
	if (status < 0) {
		if (status == ERR_DENIED)
			log_error("master refuses a connection to %s %s", p->program, p->target);
		peer_lost(p, status);
		return;
	}
	p->state = PEER_UP;
	p->chan = chan_new(p->d->ev, fd, 0, peer_msg, peer_closed, p);
	while (p->head != NULL) {
		struct peer_queued *q = p->head;
		int r = chan_send(p->chan, q->type, 1, q->id, &q->m);
		if (r < 0 && q->call != NULL) {
			q->call->result = r;
			ev_timer_start(p->d->ev, &q->call->timer, 0, q->call->timer.cb);
		}
		free_queued(p, q);
	}
	if (p->on_state != NULL)
		p->on_state(p->on_state_arg, true);
}

static void connect_peer(struct peer *p)
{
	struct peer **box = xmalloc(sizeof(struct peer *));
	*box = p;
	p->pending = box;
	p->state = PEER_CONNECTING;
	daemon_connect(p->d, p->program, sv_str(p->target), peer_connected, box);
}

static int enqueue(struct peer *p, uint16_t type, uint32_t id, const struct msg_out *m, struct peer_call *call)
{
	if (p->queued == PEER_QUEUE_MAX || p->queued_bytes + (m != NULL ? m->b.n : 0) > PEER_QUEUE_BYTES)
		return ERR_LIMIT;
	struct peer_queued *q = xcalloc(1, sizeof(*q));
	DL_APPEND(p->head, q);
	p->queued++;
	buf_init(&q->m.b, MSG_MAX_BODY);
	q->type = type;
	q->id = id;
	if (m != NULL) {
		buf_addsv(&q->m.b, buf_sv(&m->b));
		p->queued_bytes += q->m.b.n;
		q->m.b.overflow |= m->b.overflow;
		for (unsigned i = 0; i < m->nfds; i++) {
			int fd = dup(m->fds[i]);
			if (fd < 0) {
				free_queued(p, q);
				return ERR_LIMIT;
			}
			q->m.fds[q->m.nfds++] = fd;
		}
	}
	q->call = call;
	if (call != NULL)
		call->queued = q;
	return 0;
}

static int submit(struct peer *p, uint16_t type, uint32_t id, const struct msg_out *m, struct peer_call *call)
{
	if (p->state == PEER_UP)
		return chan_send(p->chan, type, 1, id, m);
	if (p->state == PEER_DOWN)
		connect_peer(p);
	return enqueue(p, type, id, m, call);
}

uint32_t peer_call(
    struct peer *p, uint16_t type, const struct msg_out *m, uint64_t timeout_ms, peer_done *done, void *arg)
{
	struct peer_call *call = xcalloc(1, sizeof(*call)), *clash;

	do {
		if (++p->last_id == 0)
			p->last_id = 1;
		HASH_FIND(hh, p->calls, &p->last_id, sizeof(p->last_id), clash);
	} while (clash != NULL);
	call->id = p->last_id;
	call->peer = p;
	call->done = done;
	call->arg = arg;
	HASH_ADD(hh, p->calls, id, sizeof(call->id), call);
	int r = submit(p, type, call->id, m, call);
	call->result = r < 0 ? r : ERR_TIMEOUT;
	ev_timer_start(p->d->ev, &call->timer, r < 0 ? 0 : timeout_ms, call_timeout);
	return call->id;
}

void peer_cancel(struct peer *p, uint32_t id)
{
	struct peer_call *call;
	HASH_FIND(hh, p->calls, &id, sizeof(id), call);
	if (call != NULL)
		free_call(call);
}

int peer_send(struct peer *p, uint16_t type, const struct msg_out *m)
{
	return submit(p, type, 0, m, NULL);
}

void peer_on_msg(struct peer *p, void (*fn)(void *arg, struct msg *m), void *arg)
{
	p->on_msg = fn;
	p->on_msg_arg = arg;
}

void peer_on_state(struct peer *p, void (*fn)(void *arg, bool up), void *arg)
{
	p->on_state = fn;
	p->on_state_arg = arg;
}
