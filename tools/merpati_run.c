/* merpati_run.c - start, stop, reload, status, check. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/fsutil.h"
#include "base/num.h"
#include "conf/mastercf.h"
#include "master/switchboard.h"
#include "tools/merpati.h"

#define START_WAIT_MS 60000 /* until every service is ready */
#define STOP_EXTRA_MS 15000 /* beyond drain_time */

/* --- start --- */

static ATTR_NORETURN void exec_master(const struct merpati *t, const char *errors, int ready, int argc, char **argv)
{
	CLEANUP(freep) char *dir = merpati_value(t, "daemon_directory");
	CLEANUP(freep) char *path = xasprintf("%s/master", dir);
	const char *args[20] = {"master", "-c", t->config_directory, "--ready-fd", "3"};
	size_t n = 5;
	int null = open("/dev/null", O_RDWR), err = open(errors, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);

	for (int i = 1; i < argc && n < ARRAY_LEN(args) - 1; i++)
		args[n++] = argv[i];
	if (setsid() < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(err, 2) < 0 ||
	    (ready != 3 && dup2(ready, 3) < 0) || syscall(SYS_close_range, 4, ~0u, 0) < 0)
		_exit(EX_OSERR);
	if (ready == 3)
		fcntl(3, F_SETFD, 0);
	execv(path, (char *const *)args);
	fprintf(stderr, "merpati: %s: %s\n", path, strerror(errno));
	_exit(EX_UNAVAILABLE);
}

static void show_file_from(const char *path, off_t from)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n;
	if (fd < 0 || lseek(fd, from, SEEK_SET) < 0)
		return;
	while ((n = read(fd, text, sizeof(text))) > 0)
		fwrite(text, 1, (size_t)n, stderr);
}

/* Programs are executed under identities of their own: every folder above them must let everybody through. */
static int check_reachable(const struct merpati *t)
{
	CLEANUP(freep) char *dir = merpati_value(t, "daemon_directory");
	CLEANUP(freep) char *path = realpath(dir, NULL);
	struct stat st;

	while (path != NULL && path[0] != '\0') {
		if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH)) {
			fprintf(
			    stderr, "merpati: daemon_directory %s cannot be used: %s is closed to others\n", dir, path);
			return EX_CONFIG;
		}
		*strrchr(path, '/') = '\0';
	}
	return 0;
}

int merpati_start(struct merpati *t, int argc, char **argv)
{
	CLEANUP(freep) char *queue = merpati_value(t, "queue_directory");
	CLEANUP(freep) char *errors = xasprintf("%s/master.err", queue);
	struct err err;
	int pipe_fd[2];
	char byte;

	if (check_reachable(t) != 0)
		return EX_CONFIG;
	if (fs_mkdirs(queue, 0755, &err) < 0) {
		fprintf(stderr, "merpati: %s\n", err.text);
		return EX_CANTCREAT;
	}
	CLEANUP(fd_closep) int at = open(errors, O_RDONLY | O_CLOEXEC);
	off_t before = at >= 0 ? lseek(at, 0, SEEK_END) : 0;
	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		return EX_OSERR;
	pid_t pid = fork();
	if (pid == 0)
		exec_master(t, errors, pipe_fd[1], argc, argv);
	close(pipe_fd[1]);
	struct pollfd p = {.fd = pipe_fd[0], .events = POLLIN};
	bool ready = pid > 0 && poll(&p, 1, START_WAIT_MS) == 1 && read(pipe_fd[0], &byte, 1) == 1;
	close(pipe_fd[0]);
	if (ready)
		return 0;
	show_file_from(errors, before);
	fprintf(stderr, "merpati: not everything is ready%s\n", p.revents == 0 ? " in time; see the log" : "");
	return EX_UNAVAILABLE;
}

/* --- stop --- */

/* The pid of the running master, 0 when the lock is free. */
static pid_t running(const char *queue)
{
	CLEANUP(freep) char *path = xasprintf("%s/master.pid", queue);
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct buf text = BUF_INIT(32);
	uint64_t pid = 0;

	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (fs_read_fd(fd, &text, NULL) < 0 || num_range(sv_trim(buf_sv(&text)), 1, INT32_MAX, &pid) < 0)
		pid = 0;
	buf_free(&text);
	return (pid_t)pid;
}

int merpati_stop(struct merpati *t, int argc ATTR_UNUSED, char **argv ATTR_UNUSED)
{
	CLEANUP(freep) char *queue = merpati_value(t, "queue_directory");
	pid_t pid = running(queue);

	if (pid == 0) {
		fprintf(stderr, "merpati: the mail system is not running\n");
		return EX_UNAVAILABLE;
	}
	CLEANUP(fd_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 || kill(pid, SIGTERM) < 0) {
		fprintf(stderr, "merpati: stop process %d: %s\n", (int)pid, strerror(errno));
		return EX_NOPERM;
	}
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int wait_ms = (int)maincf_num(t->maincf, "drain_time") * 1000 + STOP_EXTRA_MS;
	if (poll(&p, 1, wait_ms) == 1)
		return 0;
	fprintf(stderr, "merpati: process %d did not stop in time\n", (int)pid);
	return EX_TEMPFAIL;
}

/* --- reload, status --- */

/* Sends one word to master's control socket and prints the answer; 0 when the answer does not begin with `bad`. */
static int ask_master(const struct merpati *t, const char *word, const char *bad)
{
	CLEANUP(freep) char *queue = merpati_value(t, "queue_directory");
	CLEANUP(freep) char *path = xasprintf("%s/public/control", queue);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct buf out = BUF_INIT(1u << 20);
	int r = 0;

	if (strlen(path) >= sizeof(a.sun_path))
		return EX_CONFIG;
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fprintf(stderr, "merpati: the mail system is not running (%s: %s)\n", path, strerror(errno));
		return EX_UNAVAILABLE;
	}
	/* Whom master does not serve it hangs up on, perhaps before the request was written. */
	if (send(fd, word, strlen(word), MSG_NOSIGNAL) < 0 || fs_read_fd(fd, &out, NULL) < 0 ||
	    sv_starts(buf_sv(&out), SV("not allowed"))) {
		bool stranger = geteuid() != 0;
		fprintf(stderr, "merpati: %s\n",
		    stranger ? "only root and mail_owner may ask this" : "the mail system does not answer");
		buf_free(&out);
		return stranger ? EX_NOPERM : EX_UNAVAILABLE;
	}
	if (bad != NULL && sv_starts(buf_sv(&out), sv_str(bad)))
		r = EX_CONFIG;
	fputs(buf_cstr(&out), r ? stderr : stdout);
	buf_free(&out);
	return r;
}

int merpati_reload(struct merpati *t, int argc, char **argv)
{
	int r = merpati_check(t, argc, argv);
	return r != 0 ? r : ask_master(t, "reload", "refused");
}

int merpati_status(struct merpati *t, int argc ATTR_UNUSED, char **argv ATTR_UNUSED)
{
	return ask_master(t, "status", NULL);
}

/* --- check --- */

static int check_files(struct merpati *t)
{
	struct conf_problems *problems = &t->problems;
	CLEANUP(freep) char *path = xasprintf("%s/master.cf", t->config_directory);
	struct mastercf *services = NULL;
	struct err err;

	if (mastercf_load(path, &services, problems, &err) < 0)
		conf_problem_add(problems, CONF_ERROR, path, 0, "%s", err.text);
	else
		maincf_use_services(t->maincf, services);
	maincf_check(t->maincf, services, problems);
	for (size_t i = 0; i < problems->n; i++) {
		struct buf line = BUF_INIT(4096);
		conf_problem_print(&problems->v[i], &line);
		fprintf(stderr, "merpati: %s\n", buf_cstr(&line));
		buf_free(&line);
	}
	int r = problems->errors > 0 ? EX_CONFIG : check_reachable(t);
	maincf_use_services(t->maincf, NULL);
	mastercf_free(&services);
	return r;
}

int merpati_check(struct merpati *t, int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--switchboard") == 0) {
		swb_print(stdout);
		return 0;
	}
	return check_files(t);
}
