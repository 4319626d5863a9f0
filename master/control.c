/* control.c - the local socket behind `merpati status` and `merpati reload`: one word in, text out; root and mail_owner
 * only. */
#include <pwd.h>
#include <sys/socket.h>

#include "master/master.h"

#define CONTROL_TIMEOUT_MS 5000
#define CONTROL_WORD 32 /* bytes of a request */

struct client {
	struct ev_io io;
	struct ev_timer timer;
	struct master *m;
};

static void client_free(struct client *c)
{
	ev_timer_stop(&c->timer);
	ev_io_stop(&c->io);
	close(c->io.fd);
	free(c);
}

static void client_late(struct ev_timer *t)
{
	client_free(container_of(t, struct client, timer));
}

static void say_status(struct master *m, struct buf *out)
{
	buf_printf(out, "master pid %d, up %llu s, generation %u%s\n", (int)getpid(),
	    (unsigned long long)((clock_mono_ms() - m->started_ms) / 1000), m->generation,
	    m->stopping ? ", stopping" : "");
	buf_printf(out, "%-16s %-11s %9s %9s %8s %6s %s\n", "service", "class", "processes", "sessions", "started",
	    "died", "state");
	for (struct service *s = m->services; s != NULL; s = s->next) {
		unsigned n = 0;
		uint64_t sessions = 0;
		for (struct process *p = s->procs; p != NULL; p = p->next) {
			n++;
			sessions += p->sessions;
		}
		buf_printf(out, "%-16s %-11s %9u %9llu %8u %6u %s\n", s->name, s->class->name, n,
		    (unsigned long long)sessions, s->spawned, s->died,
		    s->obsolete			   ? "draining"
		    : ev_timer_active(&s->restart) ? "throttled"
						   : "ok");
	}
}

static void client_ready(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct client *c = container_of(io, struct client, io);
	char word[CONTROL_WORD];
	ssize_t n = recv(io->fd, word, sizeof(word), MSG_DONTWAIT);
	struct sv w = sv_trim(sv_of(word, n > 0 ? (size_t)n : 0));
	struct buf out = BUF_INIT(256 * 1024);

	if (n < 0 && errno == EAGAIN)
		return;
	if (sv_eqs(w, "status")) {
		say_status(c->m, &out);
	} else if (sv_eqs(w, "reload")) {
		unsigned before = c->m->generation;
		master_reload(c->m);
		buf_adds(&out, c->m->generation > before ? "ok\n" : "refused: see the log\n");
	} else {
		buf_adds(&out, "unknown request\n");
	}
	ssize_t unused ATTR_UNUSED = send(io->fd, out.p, out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	buf_free(&out);
	client_free(c);
}

static bool may_control(struct master *m, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == 0)
		return true;
	return m->owner != 0 && m->owner == peer.uid;
}

/* Looked up here, not when somebody connects: name services may be slow, and everybody can connect. */
void control_owner(struct master *m)
{
	CLEANUP(freep) char *owner = config_value(m, "mail_owner");
	struct passwd *pw = getpwnam(owner);
	m->owner = pw != NULL ? pw->pw_uid : 0;
}

static void control_ready(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct master *m = container_of(io, struct master, control);
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!may_control(m, fd)) {
		static const char no[] = "not allowed\n";
		ssize_t unused ATTR_UNUSED = send(fd, no, sizeof(no) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		close(fd);
		return;
	}
	struct client *c = xcalloc(1, sizeof(*c));
	c->m = m;
	BUG_ON(ev_io_start(m->ev, &c->io, fd, EPOLLIN, client_ready) < 0);
	ev_timer_start(m->ev, &c->timer, CONTROL_TIMEOUT_MS, client_late);
}

int control_open(struct master *m, struct err *err)
{
	CLEANUP(freep) char *queue = config_value(m, "queue_directory");
	CLEANUP(freep) char *path = xasprintf("%s/public/control", queue);
	int fd = ports_unix(path, 0666, err);
	if (fd < 0)
		return fd;
	control_owner(m);
	BUG_ON(ev_io_start(m->ev, &m->control, fd, EPOLLIN, control_ready) < 0);
	return 0;
}
