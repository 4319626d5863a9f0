/* chan.c - messages and descriptors over a UNIX stream socket; see chan.h. */
#include "ipc/chan.h"

#include <fcntl.h>
#include <sys/socket.h>

#define CHAN_READ (64 * 1024)  /* bytes asked for per recvmsg */
#define CHAN_TURN (256 * 1024) /* bytes handled per wake-up before others get their turn */
#define CHAN_FDS_HELD (2 * MSG_MAX_FDS)

/* Descriptors that go with the byte at out offset `at` (the first byte of their frame). */
struct out_fds {
	struct out_fds *next;
	uint64_t at;
	unsigned n;
	int fd[MSG_MAX_FDS];
};

struct chan {
	struct ev *ev;
	struct ev_io io;
	struct ev_defer flush, resume;
	chan_msg_fn *on_msg;
	chan_close_fn *on_close;
	void *arg;
	size_t max_body;
	struct buf in, out;
	size_t out_at;	   /* bytes of out that were sent */
	uint64_t out_sent; /* stream offset of out.p[out_at] */
	struct out_fds *fds_head, **fds_tail;
	int held[CHAN_FDS_HELD]; /* received, not yet claimed by a frame */
	unsigned nheld;
	bool paused, closed;
	bool *gone; /* set to true when freed inside a callback */
};

static void chan_ready(struct ev_io *io, uint32_t events);
static void update_events(struct chan *c);

struct chan *chan_new(struct ev *ev, int fd, size_t max_body, chan_msg_fn *on_msg, chan_close_fn *on_close, void *arg)
{
	struct chan *c = xcalloc(1, sizeof(*c));
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	c->ev = ev;
	c->on_msg = on_msg;
	c->on_close = on_close;
	c->arg = arg;
	c->max_body = max_body ? max_body : MSG_MAX_BODY;
	buf_init(&c->in, c->max_body + MSG_HEADER + CHAN_READ);
	buf_init(&c->out, CHAN_MAX_OUT);
	c->fds_tail = &c->fds_head;
	BUG_ON(ev_io_start(ev, &c->io, fd, EPOLLIN, chan_ready) < 0);
	return c;
}

void chan_free(struct chan **cp)
{
	struct chan *c = *cp;
	if (c == NULL)
		return;
	*cp = NULL;
	if (c->gone != NULL)
		*c->gone = true;
	ev_io_stop(&c->io);
	ev_defer_cancel(c->ev, &c->flush);
	ev_defer_cancel(c->ev, &c->resume);
	close(c->io.fd);
	for (unsigned i = 0; i < c->nheld; i++)
		close(c->held[i]);
	while (c->fds_head != NULL) {
		struct out_fds *f = c->fds_head;
		c->fds_head = f->next;
		for (unsigned i = 0; i < f->n; i++)
			close(f->fd[i]);
		free(f);
	}
	buf_free(&c->in);
	buf_free(&c->out);
	free(c);
}

void *chan_arg(struct chan *c)
{
	return c->arg;
}

void chan_set(struct chan *c, chan_msg_fn *on_msg, chan_close_fn *on_close, void *arg)
{
	c->on_msg = on_msg;
	c->on_close = on_close;
	c->arg = arg;
}

int chan_fd(const struct chan *c)
{
	return c->io.fd;
}

size_t chan_out_len(const struct chan *c)
{
	return c->out.n - c->out_at;
}

/* The owner hears it once, from the loop; sending is refused from now on. */
static void fail(struct chan *c, int code, const char *why)
{
	struct err err;
	if (c->closed)
		return;
	c->closed = true;
	ev_io_stop(&c->io);
	err_set(&err, code, "%s", why);
	c->on_close(c, &err, c->arg);
}

/* --- sending --- */

static ssize_t send_part(struct chan *c, size_t len, struct out_fds *f)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * MSG_MAX_FDS)];
	} control;
	struct iovec iov = {.iov_base = c->out.p + c->out_at, .iov_len = len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (f == NULL)
		return send(c->io.fd, iov.iov_base, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	memset(&control, 0, sizeof(control));
	mh.msg_control = &control;
	mh.msg_controllen = CMSG_SPACE(sizeof(int) * f->n);
	struct cmsghdr *h = CMSG_FIRSTHDR(&mh);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int) * f->n);
	memcpy(CMSG_DATA(h), f->fd, sizeof(int) * f->n);
	return sendmsg(c->io.fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void fds_sent(struct chan *c)
{
	struct out_fds *f = c->fds_head;
	c->fds_head = f->next;
	if (c->fds_head == NULL)
		c->fds_tail = &c->fds_head;
	for (unsigned i = 0; i < f->n; i++)
		close(f->fd[i]);
	free(f);
}

/* Sends up to the next frame that carries descriptors; those go with the first byte of their frame. */
static int send_some(struct chan *c)
{
	struct out_fds *f = c->fds_head, *now = NULL;
	size_t len = c->out.n - c->out_at;

	if (f != NULL && f->at == c->out_sent) {
		now = f;
		f = f->next;
	}
	if (f != NULL && f->at - c->out_sent < len)
		len = (size_t)(f->at - c->out_sent);
	ssize_t w = send_part(c, len, now);
	if (w < 0)
		return errno == EINTR ? 0 : -1;
	if (now != NULL)
		fds_sent(c);
	c->out_at += (size_t)w;
	c->out_sent += (uint64_t)w;
	return 0;
}

void chan_flush(struct chan *c)
{
	while (!c->closed && c->out_at < c->out.n) {
		if (send_some(c) == 0)
			continue;
		/* A peer that is gone is reported by the reading side, after what it still sent was handled. */
		break;
	}
	if (c->out_at == c->out.n) {
		c->out_at = 0;
		buf_reset(&c->out);
	} else if (c->out_at > CHAN_READ) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
	update_events(c);
}

static void flush_deferred(struct ev_defer *d)
{
	chan_flush(container_of(d, struct chan, flush));
}

static void update_events(struct chan *c)
{
	if (!c->closed)
		ev_io_set(
		    &c->io, (c->paused ? 0u : (uint32_t)EPOLLIN) | (c->out_at < c->out.n ? (uint32_t)EPOLLOUT : 0u));
}

int chan_send(struct chan *c, uint16_t type, uint8_t version, uint32_t id, const struct msg_out *m)
{
	static const struct msg_out nothing = MSG_OUT_INIT;
	char header[MSG_HEADER];

	if (m == NULL)
		m = &nothing;
	if (c->closed)
		return ERR_CLOSED;
	if (m->b.overflow || m->b.n > MSG_MAX_BODY || c->out.n - c->out_at + m->b.n + MSG_HEADER > CHAN_MAX_OUT)
		return ERR_LIMIT;
	if (m->nfds > 0) {
		struct out_fds *f = xcalloc(1, sizeof(*f));
		for (; f->n < m->nfds; f->n++) {
			f->fd[f->n] = fcntl(m->fds[f->n], F_DUPFD_CLOEXEC, 3);
			if (f->fd[f->n] >= 0)
				continue;
			while (f->n > 0)
				close(f->fd[--f->n]);
			free(f);
			return ERR_LIMIT; /* out of descriptors */
		}
		f->at = c->out_sent + (c->out.n - c->out_at);
		*c->fds_tail = f;
		c->fds_tail = &f->next;
	}
	if (c->out.n + m->b.n + MSG_HEADER > CHAN_MAX_OUT) {
		buf_consume(&c->out, c->out_at);
		c->out_at = 0;
	}
	msg_frame(header, (uint32_t)m->b.n, type, (uint8_t)m->nfds, version, id);
	BUG_ON(buf_add(&c->out, header, sizeof(header)) < 0 || buf_addsv(&c->out, buf_sv(&m->b)) < 0);
	ev_defer(c->ev, &c->flush, flush_deferred);
	return 0;
}

int chan_reply(struct chan *c, const struct msg *request, uint16_t type, const struct msg_out *m)
{
	return chan_send(c, type, request->version, request->id, m);
}

/* --- receiving --- */

static void close_all(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/* Hands complete frames to the owner.  Returns false when the channel was closed or freed meanwhile. */
static bool dispatch(struct chan *c)
{
	size_t at = 0;
	bool gone = false;

	/* cppcheck-suppress autoVariables ; cleared at each return, unless c is freed */
	c->gone = &gone;
	while (!c->paused) {
		struct msg m;
		size_t used;
		unsigned nfds;
		int fds[MSG_MAX_FDS];
		int r = msg_parse(sv_of(c->in.p + at, c->in.n - at), c->max_body, &m, &used, &nfds);
		if (r == 0)
			break;
		if (r > 0 && nfds > c->nheld)
			r = ERR_PROTOCOL; /* its descriptors come with its first byte, so they are missing */
		if (r < 0) {
			fail(c, r, r == ERR_LIMIT ? "message too long" : "malformed message");
			if (!gone)
				c->gone = NULL;
			return false;
		}
		memcpy(fds, c->held, nfds * sizeof(int));
		memmove(c->held, c->held + nfds, (c->nheld - nfds) * sizeof(int));
		c->nheld -= nfds;
		m.fds = fds;
		m.nfds = nfds;
		at += used;
		c->on_msg(c, &m, c->arg);
		close_all(fds, nfds); /* what the handler did not take */
		if (gone)
			return false;
		if (c->closed) {
			c->gone = NULL;
			return false;
		}
	}
	c->gone = NULL;
	buf_consume(&c->in, at);
	return true;
}

/* Bytes read, 0 at the end, -1 with errno; ERR_PROTOCOL (as -2) for too many or truncated descriptors. */
static ssize_t receive(struct chan *c)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * MSG_MAX_FDS)];
	} control;
	struct iovec iov = {.iov_base = buf_reserve(&c->in, CHAN_READ), .iov_len = CHAN_READ};
	struct msghdr mh = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};

	BUG_ON(iov.iov_base == NULL);
	ssize_t n = recvmsg(c->io.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -1;
	bool overflow = (mh.msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&mh); h != NULL; h = CMSG_NXTHDR(&mh, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		unsigned count = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
			if (c->nheld == CHAN_FDS_HELD) {
				close(fd);
				overflow = true;
			} else {
				c->held[c->nheld++] = fd;
			}
		}
	}
	if (overflow)
		return ERR_SYNTAX; /* any value below -1 */
	c->in.n += (size_t)n;
	return n;
}

static void chan_input(struct chan *c)
{
	for (size_t total = 0; total < CHAN_TURN && !c->paused;) {
		ssize_t n = receive(c);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < -1) {
			fail(c, ERR_PROTOCOL, "too many descriptors");
			return;
		}
		if (n <= 0) {
			fail(c, ERR_CLOSED, "connection closed");
			return;
		}
		total += (size_t)n;
		if (!dispatch(c))
			return;
		if ((size_t)n < CHAN_READ && c->nheld == 0)
			return; /* drained, most likely; level-triggered epoll tells otherwise */
	}
}

static void chan_ready(struct ev_io *io, uint32_t events)
{
	struct chan *c = container_of(io, struct chan, io);
	if (events & EPOLLOUT)
		chan_flush(c);
	if (!c->paused && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		if (c->in.n > 0 && !dispatch(c)) /* left over from a pause */
			return;
		chan_input(c);
	} else if (events & (EPOLLHUP | EPOLLERR)) {
		fail(c, ERR_CLOSED, "connection closed"); /* paused, and nobody is there any more */
	}
}

/* What was read before the pause makes no descriptor ready: hand it on from here. */
static void resume_deferred(struct ev_defer *d)
{
	struct chan *c = container_of(d, struct chan, resume);
	if (!c->closed && !c->paused)
		dispatch(c);
}

void chan_pause(struct chan *c, bool paused)
{
	c->paused = paused;
	if (!paused && c->in.n > 0)
		ev_defer(c->ev, &c->resume, resume_deferred);
	update_events(c);
}
