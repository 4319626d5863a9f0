/*
 * master.c - the supervisor and switchboard: start, loop, signals.  It never parses mail and never waits for anybody.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/fsutil.h"
#include "base/num.h"
#include "master/master.h"

static const char usage[] = "usage: master [-c config_directory] [-v] [--clock-offset seconds] [--ready-fd n]\n";

/* The kernel must not keep what master does not need: identities, ports, signals, owners of folders. */
static int keep_capabilities(struct err *err)
{
	static const cap_value_t needed[] = {CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_KILL, CAP_NET_BIND_SERVICE,
	    CAP_CHOWN, CAP_FOWNER, CAP_DAC_OVERRIDE};
	cap_t c = cap_init();
	int r = 0;
	if (cap_set_flag(c, CAP_PERMITTED, ARRAY_LEN(needed), needed, CAP_SET) < 0 ||
	    cap_set_flag(c, CAP_EFFECTIVE, ARRAY_LEN(needed), needed, CAP_SET) < 0 || cap_set_proc(c) < 0)
		r = err_sys(err, "drop capabilities");
	cap_free(c);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_sys(err, "no_new_privs");
	return r;
}

#define LOG_RECONNECT_MS 5000

static const struct {
	const char *path;
	enum log_sink sink;
} log_sinks[] = {{"/run/systemd/journal/socket", LOG_SINK_JOURNAL}, {"/dev/log", LOG_SINK_SYSLOG}};

static int connect_log(int fd, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	memcpy(a.sun_path, path, strlen(path));
	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int open_log_datagram(const char *path)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect_log(fd, path) < 0)
		fd_close(&fd);
	return fd;
}

/* Where the log goes: maillog_file through logd, else the journal, else syslog, else standard error. */
static void open_log(struct master *m)
{
	CLEANUP(freep) char *maillog = config_value(m, "maillog_file");
	CLEANUP(freep) char *name = config_value(m, "syslog_name");
	CLEANUP(freep) char *ident = xasprintf("%s/master", name);

	m->log_fd = -1;
	m->log_sink = maillog[0] != '\0' ? LOG_SINK_LOGD : LOG_SINK_STDERR;
	for (size_t i = 0; m->log_sink == LOG_SINK_STDERR && i < ARRAY_LEN(log_sinks); i++) {
		m->log_fd = open_log_datagram(log_sinks[i].path);
		if (m->log_fd >= 0)
			m->log_sink = log_sinks[i].sink;
	}
	log_open(ident, m->log_sink == LOG_SINK_LOGD ? LOG_SINK_STDERR : m->log_sink, m->log_fd);
}

/* With logd, master's own lines go there too: over a pair of which master keeps the reading end for the next logd. */
static int own_log(struct master *m, struct err *err)
{
	int pair[2];
	CLEANUP(freep) char *ident = xstrdup(log_ident());

	if (m->log_sink != LOG_SINK_LOGD)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return err_sys(err, "log socket");
	m->self_log = pair[0];
	log_open(ident, LOG_SINK_LOGD, pair[1]);
	return 0;
}

/* One master per queue: the lock is held as long as the process lives. */
static int lock_queue(struct master *m, struct err *err)
{
	CLEANUP(freep) char *queue = config_value(m, "queue_directory");
	CLEANUP(freep) char *path = xasprintf("%s/master.pid", queue);
	char pid[32];
	/* Nobody else may open it: a lock can be taken on a file that one may only read. */
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fchmod(fd, 0600) < 0)
		return err_sys(err, "open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return err_set(err, ERR_EXISTS, "the mail system is already running (%s is locked)", path);
	}
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0)
		return err_sys(err, "truncate %s", path);
	return fs_pwrite_all(fd, pid, (size_t)n, 0, err); /* fd stays open: the lock */
}

static bool everything_ready(const struct master *m)
{
	for (const struct service *s = m->services; s != NULL; s = s->next) {
		bool ready = s->class->target == TARGET_IDENTITY || s->obsolete;
		for (const struct process *p = s->procs; p != NULL; p = p->next)
			ready |= p->state == PROC_READY;
		if (!ready)
			return false;
	}
	return true;
}

void master_ready(struct master *m)
{
	if (m->announced || !everything_ready(m))
		return;
	m->announced = true;
	log_info("ready -- version " MERPATI_VERSION ", configuration %s", m->config_directory);
	sd_notify(0, "READY=1");
	if (m->ready_fd >= 0) {
		ssize_t unused ATTR_UNUSED = write(m->ready_fd, "\n", 1);
		fd_close(&m->ready_fd);
	}
}

static void on_signal(struct ev_signal *s, int signo)
{
	struct master *m = container_of(s, struct master, signals);
	if (signo == SIGHUP)
		master_reload(m);
	else
		master_stop(m);
}

/* A syslog that was started anew has another socket.  Programs in their cages cannot reach it, but their descriptors
 * and this one are one socket. */
static void log_again(struct ev_timer *t)
{
	struct master *m = container_of(t, struct master, log_timer);
	const char *path = log_sinks[m->log_sink == LOG_SINK_SYSLOG].path;
	(void)connect_log(m->log_fd, path);
	ev_timer_start(m->ev, t, LOG_RECONNECT_MS, log_again);
}

static void watchdog_due(struct ev_timer *t)
{
	struct master *m = container_of(t, struct master, watchdog);
	uint64_t usec = 0;
	sd_notify(0, "WATCHDOG=1");
	if (sd_watchdog_enabled(0, &usec) > 0)
		ev_timer_start(m->ev, t, usec / 2000, watchdog_due);
}

static int start(struct master *m, struct err *err)
{
	static const int signos[] = {SIGTERM, SIGINT, SIGHUP};
	int r;

	if ((r = config_load(m, &m->maincf, &m->mastercf, err)) < 0)
		return r;
	open_log(m);
	if ((r = identities_load(m, err)) < 0 || (r = layout_make(m, err)) < 0 || (r = lock_queue(m, err)) < 0 ||
	    (r = services_build(m, m->mastercf, &m->services, err)) < 0)
		return r;
	for (struct service *s = m->services; s != NULL; s = s->next) {
		if ((r = ports_bind(s, NULL, err)) < 0)
			return r;
	}
	if ((r = control_open(m, err)) < 0 || (r = own_log(m, err)) < 0 || (r = keep_capabilities(err)) < 0)
		return r;
	if (ev_signal_start(m->ev, &m->signals, signos, ARRAY_LEN(signos), on_signal) < 0)
		return err_sys(err, "signals");
	services_start(m);
	watchdog_due(&m->watchdog);
	if (m->log_fd >= 0)
		ev_timer_start(m->ev, &m->log_timer, LOG_RECONNECT_MS, log_again);
	return 0;
}

static void raise_nofile(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static int parse_options(struct master *m, int argc, char **argv)
{
	static const struct option longs[] = {{"clock-offset", required_argument, NULL, 'o'},
	    {"ready-fd", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
	uint64_t fd;
	int c;

	m->config_directory = "/etc/merpati";
	m->ready_fd = -1;
	m->self_log = -1;
	while ((c = getopt_long(argc, argv, "c:v", longs, NULL)) != -1) {
		switch (c) {
		case 'c': m->config_directory = optarg; break;
		case 'v': m->verbose = true; break;
		case 'o':
			if (num_i64(sv_str(optarg), &m->clock_offset) < 0)
				return -1;
			break;
		case 'r':
			if (num_range(sv_str(optarg), 3, 1000, &fd) < 0)
				return -1;
			m->ready_fd = (int)fd;
			fcntl(m->ready_fd, F_SETFD, FD_CLOEXEC);
			break;
		default: return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct master *m = xcalloc(1, sizeof(*m));
	struct err err;
	int fd;

	log_open("merpati/master", LOG_SINK_STDERR, -1);
	if (parse_options(m, argc, argv) < 0) {
		fputs(usage, stderr);
		return 64; /* EX_USAGE */
	}
	if (geteuid() != 0)
		log_fatal("master must be started as root");
	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		; /* a socket at one of these numbers would end up as a child's standard input */
	fd_close(&fd);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	raise_nofile();
	clock_set_offset(m->clock_offset);
	log_set_verbose(m->verbose);
	m->started_ms = clock_mono_ms();
	m->ev = ev_new();
	if (start(m, &err) < 0)
		log_fatal("%s", err.text);
	while (ev_turn(m->ev, log_wait_ms()))
		log_flush();
	log_flush();
	return m->exit_status;
}
