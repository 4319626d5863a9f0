/* workers.c - auth's side of its workers: a queue per kind, one job per worker. */
#include "auth/workers.h"

#include <sys/socket.h>

#include "crypto/secret.h"

#define JOB_MS 60000 /* a worker that has not answered by then is given up */

struct job {
	worker_done *done;
	void *arg;
	struct job *next;
	size_t n;
	char request[];
};

struct worker {
	struct workers *all;
	struct ev_io io;
	struct ev_timer timer;
	struct job *job; /* NULL: idle */
	enum worker_kind kind;
	struct worker *next;
};

struct workers {
	struct daemon *d;
	struct ev_io control;
	struct worker *list;
	struct job *head[WORKER_KINDS], **tail[WORKER_KINDS];
	size_t waiting, limit;
};

static void job_free(struct job *j)
{
	secret_clear(j->request, j->n);
	free(j);
}

static void finish(struct worker *w, const struct worker_reply *r)
{
	struct job *j = w->job;

	w->job = NULL;
	ev_timer_stop(&w->timer);
	j->done(j->arg, r);
	job_free(j);
}

/* A worker that died or hangs; the nursery sends another when the process has ended. */
static void lose(struct worker *w)
{
	static const struct worker_reply none = {.status = ERR_TEMP};
	struct worker **at = &w->all->list;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	ev_io_stop(&w->io);
	close(w->io.fd);
	if (w->job)
		finish(w, &none);
	ev_timer_stop(&w->timer);
	ev_free_later(daemon_ev(w->all->d), w);
}

static void on_timeout(struct ev_timer *t)
{
	struct worker *w = container_of(t, struct worker, timer);

	log_warn("a worker has not answered for %d seconds and is given up", JOB_MS / 1000);
	lose(w);
}

/* Only from the loop, since losing a worker tells its caller. */
static void on_dead(struct ev_timer *t)
{
	lose(container_of(t, struct worker, timer));
}

static void feed(struct worker *w)
{
	struct workers *all = w->all;
	struct job *j = all->head[w->kind];

	if (w->job || !j)
		return;
	all->head[w->kind] = j->next;
	if (!j->next)
		all->tail[w->kind] = &all->head[w->kind];
	all->waiting--;
	w->job = j;
	if (send(w->io.fd, j->request, j->n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)j->n) {
		ev_timer_start(daemon_ev(all->d), &w->timer, 0, on_dead);
		return;
	}
	ev_timer_start(daemon_ev(all->d), &w->timer, JOB_MS, on_timeout);
}

static void on_answer(struct ev_io *io, uint32_t events)
{
	struct worker *w = container_of(io, struct worker, io);
	struct worker_reply r;
	ssize_t n = recv(io->fd, &r, sizeof(r), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(r) || !w->job) {
		lose(w);
		return;
	}
	r.home[sizeof(r.home) - 1] = '\0';
	finish(w, &r);
	feed(w);
}

static void add_worker(struct workers *all, int fd, enum worker_kind kind)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	w->all = all;
	w->kind = kind;
	w->next = all->list;
	all->list = w;
	BUG_ON(ev_io_start(daemon_ev(all->d), &w->io, fd, EPOLLIN, on_answer) < 0);
	feed(w);
}

static void on_control(struct ev_io *io, uint32_t events)
{
	struct workers *all = container_of(io, struct workers, control);
	char space[CMSG_SPACE(sizeof(int))], kind = 0;
	struct iovec iov = {.iov_base = &kind, .iov_len = 1};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	ssize_t n = recvmsg(io->fd, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&h) : NULL;
	int fd;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != 1 || !c || c->cmsg_type != SCM_RIGHTS || kind < 0 || kind >= WORKER_KINDS) {
		log_error("the process that starts the workers has gone");
		ev_io_stop(io);
		daemon_stop(all->d, 1);
		return;
	}
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	add_worker(all, fd, (enum worker_kind)kind);
}

int workers_start(struct daemon *d, unsigned nprocs, const char *pam_service, size_t queue_limit, struct workers **out,
    struct err *err)
{
	struct workers *w;
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return err_sys(err, "socketpair");
	pid = fork();
	if (pid < 0)
		return err_sys(err, "fork");
	if (pid == 0)
		nursery_main(sv[1], nprocs, pam_service);
	close(sv[1]);
	w = xcalloc(1, sizeof(*w));
	w->d = d;
	w->limit = queue_limit;
	for (int i = 0; i < WORKER_KINDS; i++)
		w->tail[i] = &w->head[i];
	BUG_ON(ev_io_start(daemon_ev(d), &w->control, sv[0], EPOLLIN, on_control) < 0);
	*out = w;
	return 0;
}

int workers_ask(struct workers *all, enum worker_kind kind, struct sv password, struct sv second, struct sv client,
    worker_done *done, void *arg)
{
	size_t n = password.n + second.n + client.n + 3;
	struct worker *w;
	struct job *j;
	char *at;

	if (all->waiting >= all->limit || n > WORKER_MAX_REQUEST)
		return ERR_LIMIT;
	j = xcalloc(1, sizeof(*j) + n);
	j->done = done;
	j->arg = arg;
	j->n = n;
	at = j->request;
	memcpy(at, password.p, password.n);
	memcpy(at + password.n + 1, second.p, second.n);
	if (client.n)
		memcpy(at + password.n + second.n + 2, client.p, client.n);
	*all->tail[kind] = j;
	all->tail[kind] = &j->next;
	all->waiting++;
	for (w = all->list; w && (w->job || w->kind != kind); w = w->next)
		;
	if (w)
		feed(w);
	return 0;
}
