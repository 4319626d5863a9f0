/*
 * logd.c - writes the log file for all programs.  master makes one packet socket per process and gives its other end to
 * logd together with the name that goes before each line, so a program cannot write in the name of another.
 */
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/num.h"
#include "base/htable.h"
#include "daemon/daemon.h"
#include "ipc/api_master.h"
#include "logd/lines.h"

#define LOGD_MAX_SOURCES 3500 /* processes at a time (RLIMIT_NOFILE is 4096) */
#define LOGD_BATCH 16	      /* datagrams a system call */
#define LOGD_PER_TURN 64      /* datagrams taken from one process before the others have their turn */
#define LOGD_RETRY_MS 1000    /* until the next try when the file could not be written */
#define LOGD_DATAGRAM 4096

struct source {
	struct ev_io io;
	struct source *prev, *next;
	char ident[64];
	unsigned long pid;
};

static struct logd {
	struct daemon *d;
	struct lines lines;
	struct ev_defer flush;
	struct ev_timer retry;
	struct source *sources;
	size_t nsources;
	char in[LOGD_BATCH][LOGD_DATAGRAM];
} logd;

/* Filled by start(): the folder of the log file, so that a new file can be made in it after a rotation. */
static struct sandbox_path logd_paths[2];

static void flush_now(struct ev_defer *d);

static void on_retry(struct ev_timer *t)
{
	(void)t;
	flush_now(&logd.flush);
}

static void flush_now(struct ev_defer *d)
{
	(void)d;
	if (lines_write(&logd.lines) > 0 && !ev_timer_active(&logd.retry))
		ev_timer_start(daemon_ev(logd.d), &logd.retry, LOGD_RETRY_MS, on_retry);
}

static void source_free(struct source *s)
{
	int fd = s->io.fd;

	ev_io_stop(&s->io);
	fd_close(&fd);
	DL_DELETE(logd.sources, s);
	logd.nsources--;
	free(s);
}

/* Takes what has come, at most LOGD_PER_TURN datagrams.  False when the process has closed its end. */
static bool source_read(struct source *s)
{
	struct mmsghdr msgs[LOGD_BATCH];
	struct iovec iov[LOGD_BATCH];
	time_t now = clock_wall();

	for (int total = 0; total < LOGD_PER_TURN;) {
		int n;

		memset(msgs, 0, sizeof(msgs));
		for (size_t i = 0; i < LOGD_BATCH; i++) {
			iov[i] = (struct iovec){logd.in[i], LOGD_DATAGRAM};
			msgs[i].msg_hdr.msg_iov = &iov[i];
			msgs[i].msg_hdr.msg_iovlen = 1;
		}
		n = recvmmsg(s->io.fd, msgs, LOGD_BATCH, MSG_DONTWAIT, NULL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED;
		if (n == 0)
			return false;
		for (int i = 0; i < n; i++) {
			if (msgs[i].msg_len == 0) /* the end of a packet socket; no program sends an empty line */
				return false;
			lines_add(&logd.lines, now, s->ident, s->pid, sv_of(logd.in[i], msgs[i].msg_len));
		}
		total += n;
		if (n < LOGD_BATCH)
			break;
	}
	return true;
}

static void on_source(struct ev_io *io, uint32_t events)
{
	struct source *s = container_of(io, struct source, io);
	bool open = source_read(s);

	ev_defer(daemon_ev(logd.d), &logd.flush, flush_now);
	if (!open || ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN)))
		source_free(s);
}

static void add_source(struct sv ident, unsigned long pid, int fd)
{
	struct source *s;

	if (logd.nsources >= LOGD_MAX_SOURCES) {
		log_warn("too many log sources: those of %.*s[%lu] are not written", SV_ARG(ident), pid);
		close(fd);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	ident = sv_head(ident, sizeof(s->ident) - 1);
	memcpy(s->ident, ident.p, ident.n);
	s->pid = pid;
	if (ev_io_start(daemon_ev(logd.d), &s->io, fd, EPOLLIN, on_source) < 0) {
		close(fd);
		free(s);
		return;
	}
	DL_APPEND(logd.sources, s);
	logd.nsources++;
}

static void logd_order(struct daemon *d, struct msg *m)
{
	struct ma_logsource src;
	int fd;

	(void)d;
	if (m->type != MA_LOGSOURCE)
		return;
	if (!ma_get_logsource(m, &src)) {
		log_warn("malformed order from master");
		return;
	}
	fd = msg_take_fd(m);
	if (fd >= 0)
		add_source(src.ident, (unsigned long)src.pid, fd);
}

/* maillog_file_prefixes: a mistake in main.cf must not make a log of /etc/passwd. */
static bool path_allowed(const char *path, const char *prefixes)
{
	struct sv rest = sv_str(prefixes), word;

	while (sv_token(&rest, " \t\r\n,", &word))
		if (sv_starts(sv_str(path), word))
			return true;
	return false;
}

static int logd_start(struct daemon *d, struct err *err)
{
	const char *path = conf_str(daemon_conf(d), "maillog_file");
	const char *slash = strrchr(path, '/');
	char host[256] = "localhost";
	uint64_t mode;

	logd.d = d;
	daemon_set_state(d, &logd);
	if (path[0] != '/')
		return err_set(err, ERR_SYNTAX, "maillog_file: \"%s\" is not an absolute path", path);
	if (!path_allowed(path, conf_str(daemon_conf(d), "maillog_file_prefixes")))
		return err_set(
		    err, ERR_DENIED, "maillog_file: %s is not below a folder of maillog_file_prefixes", path);
	if (num_octal(sv_str(conf_str(daemon_conf(d), "maillog_file_permissions")), &mode) < 0 || mode > 0666)
		mode = 0600;
	if (gethostname(host, sizeof(host) - 1) < 0)
		return err_sys(err, "gethostname");
	umask(0);
	if (lines_open(&logd.lines, path, (mode_t)mode, host, err) < 0)
		return ERR_SYS;
	logd_paths[0].path = slash == path ? "/" : xstrndup(path, (size_t)(slash - path));
	logd_paths[0].access = SANDBOX_WRITE;
	return 0;
}

static int logd_reload(struct daemon *d, struct err *err)
{
	struct err why;

	(void)d;
	(void)err;
	if (lines_reopen(&logd.lines, &why) < 0) /* goes on with the file that is open */
		log_warn("%s", why.text);
	return 0;
}

static const struct sandbox_profile logd_profile = {
    .paths = logd_paths,
    .net = SANDBOX_NET_NONE,
    .memory = 256,
    .fsize = ULONG_MAX,
};

static const struct daemon_def logd_def = {
    .program = "logd",
    .profile = &logd_profile,
    .start = logd_start,
    .on_order = logd_order,
    .on_reload = logd_reload,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &logd_def);
}
