#include "resolver/ub_loop.h"

#include <unbound-event.h>

/* Not in the public header; the values are part of the interface. */
#define EVENT_MAGIC 0x44d74d78
#define BIT_TIMEOUT 0x01
#define BIT_READ 0x02
#define BIT_WRITE 0x04
#define BIT_PERSIST 0x10

struct base {
	struct ub_event_base super; /* first: libunbound casts */
	struct ev *ev;
};

struct event {
	struct ub_event super; /* first */
	struct base *base;
	struct ev_io io;
	struct ev_timer timer;
	int fd;
	short bits;
	bool timed;
	uint64_t after_ms;
	void (*cb)(int fd, short bits, void *arg);
	void *arg;
};

static uint64_t to_ms(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000 + (uint64_t)(tv->tv_usec + 999) / 1000;
}

static int event_del(struct ub_event *ub)
{
	struct event *e = (struct event *)ub;

	ev_io_stop(&e->io);
	ev_timer_stop(&e->timer);
	return 0;
}

static void on_timer(struct ev_timer *t)
{
	struct event *e = container_of(t, struct event, timer);

	if (!(e->bits & BIT_PERSIST))
		event_del(&e->super);
	else
		ev_timer_start(e->base->ev, t, e->after_ms, on_timer);
	e->cb(e->fd, BIT_TIMEOUT, e->arg);
}

static void on_io(struct ev_io *io, uint32_t events)
{
	struct event *e = container_of(io, struct event, io);
	short bits = 0;

	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		bits |= BIT_READ;
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		bits |= BIT_WRITE;
	bits &= e->bits;
	if (!(e->bits & BIT_PERSIST))
		event_del(&e->super);
	else if (e->timed) /* the time-out counts from the last activity */
		ev_timer_start(e->base->ev, &e->timer, e->after_ms, on_timer);
	if (bits)
		e->cb(e->fd, bits, e->arg);
}

static void event_add_bits(struct ub_event *ub, short bits)
{
	struct event *e = (struct event *)ub;

	e->bits |= bits;
}

static void event_del_bits(struct ub_event *ub, short bits)
{
	struct event *e = (struct event *)ub;

	e->bits &= (short)~bits;
}

static void event_set_fd(struct ub_event *ub, int fd)
{
	((struct event *)ub)->fd = fd;
}

static void event_free(struct ub_event *ub)
{
	event_del(ub);
	free(ub);
}

static int event_add(struct ub_event *ub, struct timeval *tv)
{
	struct event *e = (struct event *)ub;
	uint32_t want = (e->bits & BIT_READ ? (uint32_t)EPOLLIN : 0) | (e->bits & BIT_WRITE ? (uint32_t)EPOLLOUT : 0);

	if (e->fd >= 0 && want) {
		if (e->io.ev)
			ev_io_set(&e->io, want);
		else if (ev_io_start(e->base->ev, &e->io, e->fd, want, on_io) < 0)
			return -1;
	}
	e->timed = tv != NULL;
	if (tv) {
		e->after_ms = to_ms(tv);
		ev_timer_start(e->base->ev, &e->timer, e->after_ms, on_timer);
	}
	return 0;
}

static int event_add_timer(
    struct ub_event *ub, struct ub_event_base *base, void (*cb)(int, short, void *), void *arg, struct timeval *tv)
{
	struct event *e = (struct event *)ub;

	(void)base;
	e->cb = cb;
	e->arg = arg;
	e->bits = BIT_TIMEOUT;
	e->timed = true;
	e->after_ms = to_ms(tv);
	ev_timer_start(e->base->ev, &e->timer, e->after_ms, on_timer);
	return 0;
}

static int event_del_timer(struct ub_event *ub)
{
	ev_timer_stop(&((struct event *)ub)->timer);
	return 0;
}

static int no_signal_add(struct ub_event *ub, struct timeval *tv)
{
	(void)ub;
	(void)tv;
	return -1;
}

static int no_signal_del(struct ub_event *ub)
{
	(void)ub;
	return -1;
}

static void no_wsaevent(struct ub_event *ub)
{
	(void)ub;
}

static void no_wouldblock(struct ub_event *ub, int bit)
{
	(void)ub;
	(void)bit;
}

/* libunbound takes pointers to tables that it could write to, but does not. */
static struct ub_event_vmt event_vmt = {
    .add_bits = event_add_bits,
    .del_bits = event_del_bits,
    .set_fd = event_set_fd,
    .free = event_free,
    .add = event_add,
    .del = event_del,
    .add_timer = event_add_timer,
    .del_timer = event_del_timer,
    .add_signal = no_signal_add,
    .del_signal = no_signal_del,
    .winsock_unregister_wsaevent = no_wsaevent,
    .winsock_tcp_wouldblock = no_wouldblock,
};

static struct ub_event *base_new_event(
    struct ub_event_base *ub, int fd, short bits, void (*cb)(int, short, void *), void *arg)
{
	struct event *e = xcalloc(1, sizeof(*e));

	e->super.magic = EVENT_MAGIC;
	e->super.vmt = &event_vmt;
	e->base = (struct base *)ub;
	e->fd = fd;
	e->io.fd = -1;
	e->bits = bits;
	e->cb = cb;
	e->arg = arg;
	return &e->super;
}

static struct ub_event *base_no_signal(struct ub_event_base *ub, int fd, void (*cb)(int, short, void *), void *arg)
{
	(void)ub;
	(void)fd;
	(void)cb;
	(void)arg;
	return NULL;
}

static struct ub_event *base_no_wsaevent(
    struct ub_event_base *ub, void *wsaevent, void (*cb)(int, short, void *), void *arg)
{
	(void)ub;
	(void)wsaevent;
	(void)cb;
	(void)arg;
	return NULL;
}

static void base_free(struct ub_event_base *ub)
{
	free(ub);
}

static int base_dispatch(struct ub_event_base *ub)
{
	(void)ub;
	return -1;
}

static int base_loopexit(struct ub_event_base *ub, struct timeval *tv)
{
	(void)ub;
	(void)tv;
	return -1;
}

static struct ub_event_base_vmt base_vmt = {
    .free = base_free,
    .dispatch = base_dispatch,
    .loopexit = base_loopexit,
    .new_event = base_new_event,
    .new_signal = base_no_signal,
    .winsock_register_wsaevent = base_no_wsaevent,
};

struct ub_event_base *ub_loop_new(struct ev *ev)
{
	struct base *b = xcalloc(1, sizeof(*b));

	b->super.magic = EVENT_MAGIC;
	b->super.vmt = &base_vmt;
	b->ev = ev;
	return &b->super;
}

void ub_loop_free(struct ub_event_base *base)
{
	base_free(base);
}
