/* users.c - NSS in a worker process, and its answers kept; see users.h. */
#include "rewrite/users.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/htable.h"

#define NSS_BUFFER_MAX (1u << 20) /* bytes for one entry of the system's databases */

enum user_state { USER_ASKED, USER_FOUND, USER_MISSING, USER_FAILED };

struct user {
	char *key; /* 'p' or 'g', then the name */
	char *line;
	enum user_state state;
	uint64_t since, until;
	UT_hash_handle hh;
};

struct users {
	int fd;
	pid_t pid;
	struct ev_io io;
	struct user *cache;
	void (*ready)(void *arg);
	void (*dead)(void *arg);
	void *arg;
};

/* A reply: state byte ('F' found, 'M' missing, 'E' error), the key, NUL, the line. */
static int worker_find(const char *key, char *reply, size_t size)
{
	CLEANUP(freep) char *space = NULL;
	size_t room = 4096;
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;
	int rc = ERANGE;
	while (rc == ERANGE && room <= NSS_BUFFER_MAX) {
		room *= 2;
		space = xrealloc(space, room);
		rc = key[0] == 'p' ? getpwnam_r(key + 1, &pw, space, room, &p)
				   : getgrnam_r(key + 1, &gr, space, room, &g);
	}
	int n = snprintf(reply, size, "%c%s", p || g ? 'F' : rc == 0 || rc == ENOENT ? 'M' : 'E', key) + 1;
	if (p)
		n += snprintf(reply + n, size - (size_t)n, "%s:x:%u:%u:%s:%s:%s", p->pw_name, p->pw_uid, p->pw_gid,
		    p->pw_gecos, p->pw_dir, p->pw_shell);
	else if (g)
		n += snprintf(reply + n, size - (size_t)n, "%s:x:%u:", g->gr_name, g->gr_gid);
	if ((size_t)n >= size) /* an entry of no sensible length */
		n = snprintf(reply, size, "E%s", key) + 1;
	return n;
}

ATTR_NORETURN static void worker(int fd, pid_t parent)
{
	char key[USERS_NAME_MAX + 2], reply[USERS_NAME_MAX + USERS_LINE_MAX + 16];
	ssize_t n;
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "rewrite-users");
	if (getppid() != parent)
		_exit(0);
	/* Nothing of the parent's descriptors but the socket (as 3) and the standard ones. */
	if (fd != 3 && dup3(fd, 3, O_CLOEXEC) < 0)
		_exit(1);
	if (close_range(4, ~0u, 0) < 0)
		_exit(1);
	while ((n = recv(3, key, sizeof(key) - 1, 0)) > 0) {
		key[n] = '\0';
		int len = worker_find(key, reply, sizeof(reply));
		if (send(3, reply, (size_t)len, MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

struct users *users_new(struct err *err)
{
	int sv[2];
	pid_t parent = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0) {
		err_sys(err, "socketpair");
		return NULL;
	}
	pid_t pid = fork();
	if (pid < 0) {
		err_sys(err, "fork");
		(void)close(sv[0]);
		(void)close(sv[1]);
		return NULL;
	}
	if (pid == 0)
		worker(sv[1], parent);
	(void)close(sv[1]);
	struct users *u = xcalloc(1, sizeof(*u));
	u->fd = sv[0];
	u->pid = pid;
	return u;
}

static void forget(struct users *u, struct user *e)
{
	HASH_DEL(u->cache, e);
	free(e->key);
	free(e->line);
	free(e);
}

void users_free(struct users **up)
{
	struct users *u = *up;
	struct user *e, *next;
	if (!u)
		return;
	ev_io_stop(&u->io);
	HASH_ITER (hh, u->cache, e, next)
		forget(u, e);
	(void)close(u->fd);
	(void)kill(u->pid, SIGKILL);
	free(u);
	*up = NULL;
}

static void take_reply(struct users *u, char *reply, size_t n)
{
	struct user *e = NULL;
	char *key = reply + 1;
	size_t len = n > 1 ? strnlen(key, n - 1) : 0;
	if (len == 0 || len + 1 >= n + 1)
		return;
	HASH_FIND(hh, u->cache, key, len, e);
	if (!e)
		return;
	uint64_t now = clock_mono_ms();
	free(e->line);
	e->line = NULL;
	e->state = reply[0] == 'F' ? USER_FOUND : reply[0] == 'M' ? USER_MISSING : USER_FAILED;
	if (e->state == USER_FOUND && len + 2 <= n)
		e->line = xstrndup(key + len + 1, n - len - 2);
	if (e->state == USER_FOUND && !e->line)
		e->state = USER_FAILED;
	e->until = now + (e->state == USER_FOUND	? USERS_FOUND_MS
			     : e->state == USER_MISSING ? USERS_MISSING_MS
							: USERS_FAILED_MS);
}

static void on_reply(struct ev_io *io, uint32_t events)
{
	struct users *u = container_of(io, struct users, io);
	char reply[USERS_NAME_MAX + USERS_LINE_MAX + 16];
	ssize_t n = 0;
	bool any = false;
	(void)events;
	for (int i = 0; i < 100; i++) {
		n = recv(u->fd, reply, sizeof(reply), MSG_DONTWAIT);
		if (n <= 0)
			break;
		take_reply(u, reply, (size_t)n);
		any = true;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		ev_io_stop(&u->io);
		u->dead(u->arg);
		return;
	}
	if (any)
		u->ready(u->arg);
}

void users_start(struct users *u, struct ev *ev, void (*ready)(void *arg), void (*dead)(void *arg), void *arg)
{
	u->ready = ready;
	u->dead = dead;
	u->arg = arg;
	(void)ev_io_start(ev, &u->io, u->fd, EPOLLIN, on_reply);
}

/* Makes room: what is out of date, else everything that nobody waits for. */
static void prune(struct users *u, uint64_t now)
{
	struct user *e, *next;
	if (HASH_COUNT(u->cache) < USERS_CACHE_MAX)
		return;
	HASH_ITER (hh, u->cache, e, next)
		if (e->state != USER_ASKED && e->until <= now)
			forget(u, e);
	if (HASH_COUNT(u->cache) < USERS_CACHE_MAX)
		return;
	HASH_ITER (hh, u->cache, e, next)
		if (e->state != USER_ASKED)
			forget(u, e);
}

static int ask(struct users *u, struct user *e, const char *key, size_t n, uint64_t now, bool *pending)
{
	if (send(u->fd, key, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return ERR_TEMP;
	if (!e) {
		prune(u, now);
		if (HASH_COUNT(u->cache) >= USERS_CACHE_MAX)
			return ERR_TEMP;
		e = xcalloc(1, sizeof(*e));
		e->key = xstrndup(key, n);
		HASH_ADD_KEYPTR(hh, u->cache, e->key, n, e);
	}
	e->state = USER_ASKED;
	e->since = now;
	*pending = true;
	return ERR_TEMP;
}

int users_find(struct users *u, bool group, struct sv name, uint64_t now_ms, struct buf *line, bool *pending)
{
	char key[USERS_NAME_MAX + 1];
	struct user *e = NULL;
	if (name.n == 0 || name.n >= USERS_NAME_MAX || sv_has_nul(name) || sv_chr(name, ':') >= 0 ||
	    sv_chr(name, '/') >= 0)
		return 0;
	key[0] = group ? 'g' : 'p';
	memcpy(key + 1, name.p, name.n);
	HASH_FIND(hh, u->cache, key, name.n + 1, e);
	if (!e || (e->state != USER_ASKED && e->until <= now_ms))
		return ask(u, e, key, name.n + 1, now_ms, pending);
	switch (e->state) {
	case USER_ASKED: *pending = true; return ERR_TEMP;
	case USER_FOUND: return buf_adds(line, e->line) < 0 ? ERR_TEMP : 1;
	case USER_MISSING: return 0;
	case USER_FAILED: break;
	}
	return ERR_TEMP;
}

void users_give_up(struct users *u, uint64_t now_ms, uint64_t older_ms)
{
	struct user *e, *next;
	HASH_ITER (hh, u->cache, e, next)
		if (e->state == USER_ASKED && now_ms - e->since >= older_ms) {
			e->state = USER_FAILED;
			e->until = now_ms + USERS_FAILED_MS;
		}
}
