/* session.c - the child: becomes the user, shuts itself in, reads the preface, runs the program's session. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "daemon/zygote_priv.h"
#include "ipc/api_anvil.h"
#include "ipc/api_session.h"

enum watch_step { WATCH_NONE, WATCH_ASKED, WATCH_TOLD, WATCH_SET, WATCH_POLL };

struct session_priv {
	const struct zygote_def *def;
	struct ev_io io; /* of the stream until the preface is there; then unused */
	struct ev_io life;
	struct ev_timer preface, end, wake, poll;
	struct buf in; /* the preface and what follows it */
	char *tag, *client, *local;
	struct chan *anvil;
	char *paths[SESSION_WATCH_MAX];
	size_t npaths;
	enum watch_step step;
	bool again; /* the one second try was made */
	bool started;
	uint64_t poll_ms;
	uint64_t finish; /* clock_mono_ms until which a blocked write may go on; 0: the suite does not stop */
	uint32_t id;
};

/* Timers are embedded in session_priv, which stands behind the session in one allocation. */
struct session_mem {
	struct session s;
	struct session_priv p;
};
#define SESSION_OF(ptr, member) (&container_of((ptr), struct session_mem, p.member)->s)

void session_end(struct session *s)
{
	ev_stop(s->ev);
}

static void end_due(struct ev_timer *t)
{
	session_end(SESSION_OF(t, end));
}

void session_end_later(struct session *s, uint64_t ms)
{
	ev_timer_start(s->ev, &s->priv->end, ms, end_due);
}

/* poll's view of the session's stream and, while its end was not seen yet, of the pipe that tells it. */
static int look(struct session *s, uint64_t ms)
{
	struct session_priv *p = s->priv;
	bool hears = !p->finish && p->life.ev;
	struct pollfd v[2] = {{.fd = s->fd, .events = POLLOUT}, {.fd = hears ? p->life.fd : -1, .events = POLLIN}};

	if (poll(v, ARRAY_LEN(v), ms > INT32_MAX ? INT32_MAX : (int)ms) <= 0)
		return ERR_TIMEOUT;
	if (v[1].revents)
		p->finish = clock_mono_ms() + SESSION_FINISH_MS;
	return v[0].revents ? 0 : ERR_TIMEOUT;
}

int session_wait_writable(struct session *s, uint64_t ms)
{
	uint64_t end = clock_mono_ms() + ms;

	for (;;) {
		uint64_t now = clock_mono_ms(),
			 until = s->priv->finish && s->priv->finish < end ? s->priv->finish : end;
		int rc;

		if (now >= until)
			return until == s->priv->finish ? ERR_CLOSED : ERR_TIMEOUT;
		rc = look(s, until - now);
		if (rc == 0)
			return 0;
	}
}

/* --- wake-ups --- */

static void wake_due(struct ev_timer *t)
{
	struct session *s = SESSION_OF(t, wake);

	if (s->on_wake)
		s->on_wake(s);
}

static void wake_soon(struct session *s)
{
	if (!ev_timer_active(&s->priv->wake))
		ev_timer_start(s->ev, &s->priv->wake, SESSION_WAKE_MS, wake_due);
}

static void poll_due(struct ev_timer *t)
{
	struct session *s = SESSION_OF(t, poll);

	ev_timer_start(s->ev, t, s->priv->poll_ms, poll_due);
	if (s->on_wake)
		s->on_wake(s);
}

static void poll_instead(struct session *s)
{
	struct session_priv *p = s->priv;

	p->step = WATCH_POLL;
	if (p->npaths)
		ev_timer_start(s->ev, &p->poll, p->poll_ms, poll_due);
}

static void ask_watch(struct session *s)
{
	struct session_priv *p = s->priv;
	struct msg_out m = MSG_OUT_INIT;

	p->step = WATCH_ASKED;
	if (!p->anvil || chan_send(p->anvil, AN_WATCH, AN_VERSION, ++p->id, &m))
		poll_instead(s);
	msg_out_free(&m);
}

static void tell_watching(struct session *s, const struct an_watching *w)
{
	struct session_priv *p = s->priv;
	struct msg_out m = MSG_OUT_INIT;

	p->step = WATCH_TOLD;
	an_watching_encode(&m, w);
	if (!p->anvil || chan_send(p->anvil, AN_WATCHING, AN_VERSION, ++p->id, &m))
		poll_instead(s);
	msg_out_free(&m);
}

/* The descriptor shows everybody's file names: it is closed here, before anything else is read. */
static void add_watches(struct session *s, int fd)
{
	struct session_priv *p = s->priv;
	struct an_watching w = {0};

	for (size_t i = 0; i < p->npaths; i++) {
		int wd = inotify_add_watch(fd, p->paths[i], AN_WATCH_MASK);

		if (wd < 0) { /* ENOSPC: the host's watches are used up */
			log_debug("inotify: %s: %s", p->paths[i], strerror(errno));
			fd_close(&fd);
			w.n = 0;
			tell_watching(s, &w);
			poll_instead(s);
			return;
		}
		w.wd[w.n++] = (uint32_t)wd;
	}
	fd_close(&fd);
	tell_watching(s, &w);
}

static void got_watch_reply(struct session *s, struct msg *m)
{
	struct session_priv *p = s->priv;
	int status, fd = msg_take_fd(m);

	if (!an_status_decode(m, &status) || status || fd < 0) {
		fd_close(&fd);
		poll_instead(s);
		return;
	}
	if (p->step == WATCH_ASKED && m->id == p->id)
		add_watches(s, fd);
	else
		fd_close(&fd);
}

static void got_watching_reply(struct session *s, struct msg *m)
{
	struct session_priv *p = s->priv;
	int status;

	if (m->id != p->id || p->step != WATCH_TOLD)
		return;
	if (!an_status_decode(m, &status) || (status && (status != ERR_TEMP || p->again))) {
		poll_instead(s);
	} else if (status) {
		p->again = true;
		ask_watch(s);
	} else {
		p->step = WATCH_SET;
		if (p->npaths)
			wake_soon(s); /* for what came before the watch was there */
	}
}

static void anvil_msg(struct chan *c, struct msg *m, void *arg)
{
	struct session *s = arg;

	(void)c;
	if (m->type == AN_WAKE)
		wake_soon(s);
	else if (m->type == AN_WATCH)
		got_watch_reply(s, m);
	else if (m->type == AN_WATCHING)
		got_watching_reply(s, m);
}

static void anvil_gone(struct chan *c, const struct err *why, void *arg)
{
	struct session *s = arg;

	(void)why;
	(void)c;
	chan_free(&s->priv->anvil);
	poll_instead(s);
}

void session_watch(struct session *s, char *const *paths, size_t n)
{
	struct session_priv *p = s->priv;
	bool had = p->npaths;

	for (size_t i = 0; i < p->npaths; i++)
		free(p->paths[i]);
	p->npaths = n < SESSION_WATCH_MAX ? n : SESSION_WATCH_MAX;
	for (size_t i = 0; i < p->npaths; i++)
		p->paths[i] = xstrdup(paths[i]);
	ev_timer_stop(&p->poll);
	p->again = false;
	if (p->npaths) {
		ask_watch(s);
	} else if (had && p->step != WATCH_POLL) {
		struct an_watching none = {0};

		tell_watching(s, &none);
	}
}

/* --- the start --- */

static void life_ended(struct ev_io *io, uint32_t events)
{
	struct session *s = SESSION_OF(io, life);

	(void)events;
	ev_io_stop(io);
	s->priv->finish = clock_mono_ms() + SESSION_FINISH_MS;
	session_end_later(s, SESSION_END_MS);
	if (s->priv->started && s->on_end)
		s->on_end(s);
	else
		session_end(s);
}

static void preface_due(struct ev_timer *t)
{
	session_end(SESSION_OF(t, preface));
}

/* The preface's strings are copied; `early` is the client's bytes in it and those that have followed the frame. */
static bool take_preface(struct session *s, const struct se_preface *pf, size_t used)
{
	struct session_priv *p = s->priv;
	struct buf early = BUF_INIT(2 * SE_MAX_FRAME);

	p->tag = sv_dup(pf->tag);
	p->client = sv_dup(pf->client);
	p->local = sv_dup(pf->local);
	s->secure = pf->secure;
	buf_addsv(&early, pf->early);
	buf_addsv(&early, sv_skip(buf_sv(&p->in), used));
	buf_free(&p->in);
	p->in = early;
	s->tag = p->tag;
	s->client = p->client;
	s->local = p->local;
	s->early = buf_sv(&p->in);
	return !early.overflow;
}

static void preface_ready(struct ev_io *io, uint32_t events)
{
	struct session *s = SESSION_OF(io, io);
	struct session_priv *p = s->priv;
	struct se_preface pf;
	struct err err = {0};
	size_t used;
	char *room;
	ssize_t n;
	int rc;

	(void)events;
	room = buf_reserve(&p->in, 4096);
	n = room ? read(s->fd, room, 4096) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		session_end(s);
		return;
	}
	p->in.n += (size_t)n;
	rc = se_preface_parse(buf_sv(&p->in), &pf, &used);
	if (rc == 0)
		return;
	ev_io_stop(io);
	ev_timer_stop(&p->preface);
	if (rc < 0 || !take_preface(s, &pf, used)) {
		log_error(
		    "session %llu of %s: login sent a preface that cannot be", (unsigned long long)s->number, s->user);
		session_end(s);
		return;
	}
	p->started = true;
	if (p->def->start(s, &err)) {
		log_error("session %llu of %s: %s", (unsigned long long)s->number, s->user, err.text);
		session_end(s);
	}
}

static int fd_cmp(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Everything of the parent's but these; its epoll and pidfds among them. */
static void close_others(int stream, int anvil, int life)
{
	int keep[] = {stream, anvil, life, log_fd(), 0, 1, 2};
	unsigned next = 0;

	qsort(keep, ARRAY_LEN(keep), sizeof(keep[0]), fd_cmp);
	for (size_t i = 0; i < ARRAY_LEN(keep); i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < next)
			continue;
		if ((unsigned)keep[i] > next)
			(void)syscall(SYS_close_range, next, (unsigned)keep[i] - 1, 0);
		next = (unsigned)keep[i] + 1;
	}
	(void)syscall(SYS_close_range, next, ~0u, 0);
}

static int drop_capabilities(struct err *err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	return syscall(SYS_capset, &head, none) ? err_sys(err, "capset") : 0;
}

/* The order matters: identity first, then the folder is made as the user, then nothing outside it is reachable. */
static int become(const struct session_start *start, struct err *err)
{
	bool same = getuid() == start->uid && geteuid() == start->uid && getgid() == start->gid;

	if (!same && setgroups(0, NULL))
		return err_sys(err, "setgroups");
	if (!same && setresgid(start->gid, start->gid, start->gid))
		return err_sys(err, "setresgid(%u)", start->gid);
	if (!same && setresuid(start->uid, start->uid, start->uid))
		return err_sys(err, "setresuid(%u)", start->uid);
	if (drop_capabilities(err))
		return ERR_SYS;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return err_sys(err, "prctl");
	(void)umask(077);
	if (access(start->folder, F_OK))
		(void)fs_mkdirs(start->folder, 0700, NULL); /* the program says what is wrong when it opens it */
	return sandbox_restrict_to(start->folder, start->readable, err);
}

static struct session *session_new(struct ev *ev, const struct zygote_def *def, int fd)
{
	struct session_mem *mem = xcalloc(1, sizeof(*mem));

	mem->s.priv = &mem->p;
	mem->s.ev = ev;
	mem->s.fd = fd;
	mem->p.def = def;
	mem->p.poll_ms = 15000;
	buf_init(&mem->p.in, 2 * SE_MAX_FRAME);
	return &mem->s;
}

int session_run(const struct session_start *start)
{
	static const int blocked[] = {SIGTERM, SIGINT, SIGHUP};
	struct err err = {0};
	struct session *s;
	sigset_t none;

	/* What is freed goes back to the system, and pages of the parent's heap stay shared: idle sessions are many. */
	mallopt(M_MMAP_THRESHOLD, 32768);
	close_others(start->stream, start->anvil, start->life);
	for (size_t i = 0; i < ARRAY_LEN(blocked); i++)
		signal(blocked[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (become(start, &err)) {
		log_error("session %llu of %s: %s", (unsigned long long)start->number, start->user, err.text);
		log_flush();
		return 1;
	}
	s = session_new(ev_new(), start->def, start->stream);
	s->daemon = start->daemon;
	s->conf = daemon_conf(start->daemon);
	s->number = start->number;
	s->user = start->user;
	s->folder = start->folder;
	s->priv->poll_ms = conf_time(s->conf, "session_poll_interval") * 1000;
	(void)fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) | O_NONBLOCK);
	if (start->anvil >= 0)
		s->priv->anvil = chan_new(s->ev, start->anvil, 4096, anvil_msg, anvil_gone, s);
	if (ev_io_start(s->ev, &s->priv->io, s->fd, EPOLLIN, preface_ready) < 0 ||
	    ev_io_start(s->ev, &s->priv->life, start->life, EPOLLIN, life_ended) < 0)
		return 1;
	ev_timer_start(s->ev, &s->priv->preface, SESSION_PREFACE_MS, preface_due);
	while (ev_turn(s->ev, log_wait_ms()))
		log_flush();
	log_flush();
	return 0;
}

struct session *session_new_for_test(
    struct ev *ev, int fd, const struct conf *conf, const char *user, const char *folder)
{
	struct session *s = session_new(ev, NULL, fd);

	s->conf = conf;
	s->user = user;
	s->folder = folder;
	s->tag = s->client = s->local = "";
	s->secure = true;
	s->priv->started = true;
	return s;
}

void session_free_for_test(struct session **sp)
{
	struct session *s = *sp;

	if (!s)
		return;
	for (size_t i = 0; i < s->priv->npaths; i++)
		free(s->priv->paths[i]);
	ev_timer_stop(&s->priv->end);
	ev_timer_stop(&s->priv->wake);
	ev_timer_stop(&s->priv->poll);
	buf_free(&s->priv->in);
	free(container_of(s, struct session_mem, s));
	*sp = NULL;
}
