#include "smtp/fake_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/htable.h"

struct fake_conn {
	struct fake_conn *prev, *next;
	struct fake_server *f;
	struct ev_io io;
	struct buf in;
	size_t step;
	bool doomed;
};

static void conn_end(struct fake_conn *c)
{
	int fd = c->io.fd;

	ev_io_stop(&c->io);
	close(fd);
	DL_DELETE(c->f->conns, c);
	buf_free(&c->in);
	free(c);
}

/* False when the script ended the connection. */
static bool answer(struct fake_conn *c, const char *out)
{
	size_t n = strlen(out);

	if (n > 6 && strcmp(out + n - 6, "!close") == 0) { /* says something, closes when more comes */
		c->doomed = true;
		n -= 6;
	} else if (strcmp(out, "!close") == 0) {
		conn_end(c);
		return false;
	}
	if (n > 0 && send(c->io.fd, out, n, MSG_NOSIGNAL) < 0) {
		conn_end(c);
		return false;
	}
	return true;
}

/* The next unit of input that the step wants; false when it is not complete. */
static bool take(struct fake_conn *c, bool content, struct sv *unit, size_t *used)
{
	struct sv in = buf_sv(&c->in);
	ssize_t end = content ? sv_find(in, SV("\r\n.\r\n")) : sv_find(in, SV("\r\n"));

	if (content && sv_starts(in, SV(".\r\n"))) {
		*unit = sv_of(in.p, 0);
		*used = 3;
		return true;
	}
	if (end < 0)
		return false;
	*unit = sv_of(in.p, (size_t)end + (content ? 2 : 0));
	*used = (size_t)end + (content ? 5 : 2);
	return true;
}

static void on_conn(struct ev_io *io, uint32_t events)
{
	struct fake_conn *c = container_of(io, struct fake_conn, io);
	struct fake_server *f = c->f;
	char *room = buf_reserve(&c->in, 65536);
	ssize_t n = room ? recv(io->fd, room, 65536, MSG_DONTWAIT) : -1;

	(void)events;
	if (n <= 0 || c->doomed) {
		conn_end(c);
		return;
	}
	c->in.n += (size_t)n;
	for (;;) {
		const struct fake_step *s = &f->steps[c->step];
		bool content = s->in && strcmp(s->in, ".") == 0;
		struct sv unit;
		size_t used;

		if (!take(c, content, &unit, &used))
			return;
		if (content) {
			buf_reset(&f->content);
			buf_addsv(&f->content, unit);
		} else {
			buf_addsv(&f->seen, unit);
			buf_addc(&f->seen, '\n');
			if (sv_eqs(unit, "QUIT")) {
				conn_end(c);
				return;
			}
			if (!s->in || !sv_starts(unit, sv_str(s->in))) {
				snprintf(f->wrong, sizeof(f->wrong), SV_FMT, SV_ARG(sv_head(unit, 190)));
				conn_end(c);
				return;
			}
		}
		buf_consume(&c->in, used);
		c->step++;
		if (!answer(c, s->out))
			return;
	}
}

static void on_listen(struct ev_io *io, uint32_t events)
{
	struct fake_server *f = container_of(io, struct fake_server, listener);
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);
	struct fake_conn *c;

	(void)events;
	if (fd < 0)
		return;
	c = xcalloc(1, sizeof(*c));
	c->f = f;
	buf_init(&c->in, 16u << 20);
	DL_APPEND(f->conns, c);
	f->connections++;
	ev_io_start(f->ev, &c->io, fd, EPOLLIN, on_conn);
	if (!f->steps[0].in && f->steps[0].out) {
		c->step = 1;
		answer(c, f->steps[0].out);
	}
}

void fake_start(struct fake_server *f, struct ev *ev, const char *address, uint16_t port, const struct fake_step *steps)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	memset(f, 0, sizeof(*f));
	f->ev = ev;
	f->steps = steps;
	buf_init(&f->content, 16u << 20);
	buf_init(&f->seen, 1u << 20);
	inet_pton(AF_INET, address, &sin.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	BUG_ON(bind(fd, (struct sockaddr *)&sin, len) < 0 || listen(fd, 100) < 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	f->port = ntohs(sin.sin_port);
	ev_io_start(ev, &f->listener, fd, EPOLLIN, on_listen);
}

void fake_stop(struct fake_server *f)
{
	int fd = f->listener.fd;

	while (f->conns)
		conn_end(f->conns);
	ev_io_stop(&f->listener);
	close(fd);
	buf_free(&f->content);
	buf_free(&f->seen);
}
