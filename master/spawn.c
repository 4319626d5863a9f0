/* spawn.c - starting a process: identity before exec, one control socket, parameters in sealed memory, a log socket. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/fsutil.h"
#include "base/num.h"
#include "master/master.h"

/* In the child, between fork and exec: system calls only.  Any failure ends it; master sees the exit status. */
static ATTR_NORETURN void become(
    const char *path, const char *name, int control, uid_t uid, gid_t gid, gid_t extra, bool zygote)
{
	static const cap_value_t caps[] = {CAP_SETUID, CAP_SETGID};
	char *argv[] = {(char *)name, NULL};
	static char path_env[] = "PATH=/usr/bin:/bin", lang_env[] = "LANG=C";
	char *envp[] = {path_env, lang_env, NULL, NULL};
	const char *tz = getenv("TZ"), *asan = getenv("ASAN_OPTIONS");
	char env_line[256];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (tz != NULL || asan != NULL) {
		snprintf(
		    env_line, sizeof(env_line), "%s=%s", tz != NULL ? "TZ" : "ASAN_OPTIONS", tz != NULL ? tz : asan);
		envp[2] = env_line;
	}
	int null = open("/dev/null", O_RDWR);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(control, MA_CONTROL_FD) < 0 ||
	    fcntl(MA_CONTROL_FD, F_SETFD, 0) < 0 || syscall(SYS_close_range, MA_CONTROL_FD + 1, ~0u, 0) < 0)
		_exit(71);
	if (setsid() < 0 || setgroups(extra != 0, &extra) < 0 || (zygote && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(71);
	cap_t c = cap_init();
	if (zygote) {
		cap_set_flag(c, CAP_PERMITTED, 2, caps, CAP_SET);
		cap_set_flag(c, CAP_INHERITABLE, 2, caps, CAP_SET);
		cap_set_flag(c, CAP_EFFECTIVE, 2, caps, CAP_SET);
	}
	if (cap_set_proc(c) < 0)
		_exit(71);
	for (size_t i = 0; zygote && i < ARRAY_LEN(caps); i++) {
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, caps[i], 0, 0) < 0)
			_exit(71);
	}
	umask(077);
	execve(path, argv, envp);
	_exit(72);
}

int process_params(struct service *s, struct err *err)
{
	struct buf blob = BUF_INIT(16u << 20);
	const struct conf_pair *o = s->entry != NULL ? s->entry->overrides : NULL;
	int r = maincf_blob(s->m->maincf, s->class->binary, o, s->entry != NULL ? s->entry->noverrides : 0, &blob, err);
	if (r == 0)
		r = fs_sealed_memfd(s->class->binary, buf_sv(&blob), err);
	buf_wipe(&blob);
	return r;
}

static void log_ident_of(struct service *s, char *out, size_t size)
{
	struct buf name = BUF_INIT(64);
	const struct conf_pair *o = s->entry != NULL ? s->entry->overrides : NULL;
	const char *command = s->entry != NULL ? s->entry->command : s->class->binary;
	const char *slash = strrchr(command, '/');

	maincf_value(s->m->maincf, "syslog_name", o, s->entry != NULL ? s->entry->noverrides : 0, &name, NULL);
	snprintf(out, size, "%s/%s", buf_cstr(&name), slash != NULL ? slash + 1 : command);
	buf_free(&name);
}

static void send_log_source(struct process *logd, const char *ident, pid_t pid, int reader)
{
	struct msg_out out = MSG_OUT_INIT;
	struct ma_logsource src = {.ident = sv_str(ident), .pid = (uint64_t)pid};
	ma_put_logsource(&out, &src);
	put_fd(&out, reader);
	chan_send(logd->control, MA_LOGSOURCE, MA_VERSION, 0, &out);
	msg_out_free(&out);
}

void log_sources_to(struct master *m, struct process *logd)
{
	if (m->self_log >= 0)
		send_log_source(logd, log_ident(), getpid(), m->self_log);
	for (struct service *s = m->services; s != NULL; s = s->next) {
		for (struct process *p = s->procs; p != NULL; p = p->next) {
			if (p != logd && p->log_reader >= 0)
				send_log_source(logd, p->ident, p->pid, p->log_reader);
		}
	}
}

/* The socket that the process writes its log to: its own pair with logd, or the system log's, shared. */
static int log_socket(struct process *p, enum log_sink *sink, int *fd)
{
	struct master *m = p->m;
	int pair[2], size = 256 * 1024;

	*sink = m->log_sink;
	*fd = -1;
	if (m->log_sink != LOG_SINK_LOGD) {
		*fd = m->log_fd >= 0 ? fcntl(m->log_fd, F_DUPFD_CLOEXEC, 3) : -1;
		return 0;
	}
	if (strcmp(p->service->class->name, "logd") == 0) {
		*sink = LOG_SINK_STDERR;
		return 0;
	}
	/* SEQPACKET: whole lines like a datagram socket, but logd hears when the last writer is gone. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->log_reader = pair[0];
	*fd = pair[1];
	return 0;
}

static int say_hello(struct process *p, struct err *err)
{
	struct service *s = p->service;
	enum log_sink sink;
	CLEANUP(fd_closep) int log = -1;
	CLEANUP(fd_closep) int params = process_params(s, err);

	if (params < 0)
		return params;
	log_ident_of(s, p->ident, sizeof(p->ident));
	if (log_socket(p, &sink, &log) < 0)
		return err_sys(err, "log socket");
	struct ma_hello h = {.program = sv_str(s->class->binary),
	    .service = sv_str(s->name),
	    .role = sv_str(s->class->role),
	    .target = sv_str(p->target),
	    .process = p->number,
	    .clock_offset = s->m->clock_offset,
	    .verbose = s->m->verbose || (s->entry != NULL && s->entry->verbose > 0),
	    .log_sink = sink,
	    .log_ident = sv_str(p->ident)};
	struct msg_out out = MSG_OUT_INIT;
	ma_put_hello(&out, &h);
	put_fd(&out, params);
	if (log >= 0)
		put_fd(&out, log);
	int r = chan_send(p->control, MA_HELLO, MA_VERSION, 0, &out);
	msg_out_free(&out);
	if (r == 0 && s->m->logd != NULL && p->log_reader >= 0)
		send_log_source(s->m->logd, p->ident, p->pid, p->log_reader);
	return r < 0 ? err_set(err, r, "hello to %s", s->class->name) : 0;
}

static void send_listeners(struct process *p)
{
	struct service *s = p->service;
	for (size_t i = 0; i < s->nsockets; i++) {
		struct msg_out out = MSG_OUT_INIT;
		struct ma_listener l = {.name = sv_str(s->name), .is_inet = s->inet};
		ma_put_listener(&out, &l);
		put_fd(&out, s->sockets[i]);
		chan_send(p->control, MA_LISTENER, MA_VERSION, 0, &out);
		msg_out_free(&out);
	}
}

/* Control channel closed: the process ends or is broken; its end is told by the pidfd. */
static void control_closed(struct chan *c ATTR_UNUSED, const struct err *why, void *arg)
{
	struct process *p = arg;
	if (why->code != ERR_CLOSED)
		log_error("%s[%d]: %s: process ended", p->service->class->name, (int)p->pid, why->text);
	p->state = PROC_DRAINING;
	kill(p->pid, SIGKILL);
}

static int target_identity(struct process *p, uid_t *uid, gid_t *gid)
{
	const struct identity *id = identity_of(p->m, p->service->class);
	struct sv rest = sv_str(p->target);
	uint64_t u, g;

	if (p->service->class->user != NULL) {
		*uid = id->uid;
		*gid = id->gid;
		return 0;
	}
	struct sv first = sv_cut(&rest, ":");
	if (num_range(first, 1, INT32_MAX, &u) < 0 || num_range(rest, 1, INT32_MAX, &g) < 0)
		return ERR_DENIED;
	*uid = (uid_t)u;
	*gid = (gid_t)g;
	return 0;
}

/* The group that lets auth's PAM worker read shadow(5): only where main.cf asks for PAM. */
static gid_t extra_group(struct service *s)
{
	CLEANUP(freep) char *sources = config_value(s->m, "auth_sources");
	return s->class->extra != NULL && strstr(sources, "pam") != NULL ? identity_of(s->m, s->class)->extra : 0;
}

struct process *spawn_process(struct service *s, const char *target, struct err *err)
{
	CLEANUP(freep) char *dir = config_value(s->m, "daemon_directory");
	CLEANUP(freep) char *path = xasprintf("%s/%s", dir, s->class->binary);
	struct process *p = xcalloc(1, sizeof(*p));
	int pair[2];
	uid_t uid = 0;
	gid_t gid = 0;

	p->service = s;
	p->m = s->m;
	p->log_reader = -1;
	p->started_ms = clock_mono_ms();
	p->number = ++s->m->last_process;
	snprintf(p->target, sizeof(p->target), "%s", target);
	if (target_identity(p, &uid, &gid) < 0 || uid == 0) {
		free(p);
		err_set(err, ERR_DENIED, "no process of %s for %s", s->class->name, target);
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		free(p);
		err_sys(err, "socketpair");
		return NULL;
	}
	p->pid = fork();
	if (p->pid == 0)
		become(path, s->class->binary, pair[1], uid, gid, extra_group(s), s->class->zygote);
	close(pair[1]);
	if (p->pid < 0) {
		err_sys(err, "fork");
		close(pair[0]);
		free(p);
		return NULL;
	}
	p->control = chan_new(s->m->ev, pair[0], 64 * 1024, process_msg, control_closed, p);
	p->next = s->procs;
	s->procs = p;
	s->spawned++;
	process_watch(p);
	if (say_hello(p, err) < 0) {
		process_kill(p);
		return NULL;
	}
	if (strcmp(s->class->name, "logd") == 0) {
		s->m->logd = p;
		log_sources_to(s->m, p);
	}
	send_listeners(p);
	service_flush_waiting(s, p);
	return p;
}
