/*
 * command.c - runs a user's command: a process group of its own, the message on standard input (a file in memory, so a
 * command that does not read it cannot block anybody), what it prints is the reason if it fails.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/fsutil.h"
#include "local/file_child.h"

#define OUTPUT_MAX 1000	   /* bytes of the command's output that are reported */
#define KILL_GRACE_MS 5000 /* between SIGTERM and SIGKILL */
#define ARGS_MAX 200	   /* words of a command that needs no shell */

struct command {
	struct daemon *d;
	struct serve_ticket ticket;
	char *body;
	struct lc_command req;
	struct ev_child child;
	struct ev_io output;
	struct ev_timer timer;
	struct buf said;
	bool timed_out;
};

/* RFC 3463 codes for the exit codes of sysexits.h, as Postfix has them. */
static const struct {
	int code;
	const char *dsn, *text;
} exits[] = {
    {EX_USAGE, "5.3.0", "command line usage error"},
    {EX_DATAERR, "5.6.0", "data format error"},
    {EX_NOINPUT, "5.3.0", "cannot open input"},
    {EX_NOUSER, "5.1.1", "user unknown"},
    {EX_NOHOST, "5.1.2", "host name unknown"},
    {EX_UNAVAILABLE, "5.3.0", "service unavailable"},
    {EX_SOFTWARE, "5.3.0", "internal software error"},
    {EX_OSERR, "4.3.0", "system resource problem"},
    {EX_OSFILE, "5.3.0", "critical OS file missing"},
    {EX_CANTCREAT, "5.2.0", "can't create user output file"},
    {EX_IOERR, "5.3.0", "input/output error"},
    {EX_TEMPFAIL, "4.3.0", "temporary failure"},
    {EX_PROTOCOL, "5.5.0", "remote error in protocol"},
    {EX_NOPERM, "5.7.0", "permission denied"},
    {EX_CONFIG, "5.3.5", "local configuration error"},
};

static void answer(struct command *c, uint32_t status, const char *dsn, const char *text)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_TEXT_MAX);
	struct msg_out m = MSG_OUT_INIT;
	struct lc_done done = {.status = status, .dsn = sv_str(dsn)};
	struct sv said = sv_trim(buf_sv(&c->said));

	buf_adds(&b, text);
	if (said.n > 0 && status != DV_SENT)
		buf_printf(&b, ". Command output: " SV_FMT, SV_ARG(said));
	for (size_t i = 0; i < b.n; i++) {
		if ((unsigned char)b.p[i] < 32 || b.p[i] == 127)
			b.p[i] = ' ';
	}
	done.text = buf_sv(&b);
	lc_dones_put(&m, &done, 1);
	fd_close(&c->req.fd);
	serve_answer(c->d, c->ticket, LC_COMMAND, &m);
	msg_out_free(&m);
}

static void command_free(struct command *c)
{
	struct daemon *d = c->d;

	if (c->output.ev) {
		int fd = c->output.fd;

		ev_io_stop(&c->output);
		close(fd);
	}
	ev_timer_stop(&c->timer);
	fd_close(&c->req.fd);
	buf_free(&c->said);
	free(c->body);
	free(c);
	daemon_busy(d, -1);
}

/* A command that does not say why it failed is believed that it failed; one that was killed may do better next time. */
static void judge(struct command *c, int status)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_TEXT_MAX);
	struct sv command = sv_head(c->req.command, 500);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		buf_printf(&b, "delivered to command: " SV_FMT, SV_ARG(command));
		answer(c, DV_SENT, "2.0.0", buf_cstr(&b));
		return;
	}
	if (c->timed_out || !WIFEXITED(status)) {
		if (c->timed_out)
			buf_printf(&b, "Command time limit exceeded: \"" SV_FMT "\"", SV_ARG(command));
		else
			buf_printf(
			    &b, "Command died with signal %d: \"" SV_FMT "\"", WTERMSIG(status), SV_ARG(command));
		answer(c, DV_DEFERRED, "4.3.0", buf_cstr(&b));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
		if (exits[i].code == WEXITSTATUS(status)) {
			answer(c, exits[i].dsn[0] == '4' ? DV_DEFERRED : DV_BOUNCED, exits[i].dsn, exits[i].text);
			return;
		}
	}
	buf_printf(&b, "Command died with status %d: \"" SV_FMT "\"", WEXITSTATUS(status), SV_ARG(command));
	answer(c, DV_BOUNCED, "5.3.0", buf_cstr(&b));
}

/* Keeps the beginning of the output and lets the rest go.  False at its end. */
static bool read_output(struct command *c)
{
	char in[4096];
	ssize_t n;

	while ((n = read(c->output.fd, in, sizeof(in))) > 0) {
		size_t room = c->said.max - c->said.n;

		buf_add(&c->said, in, (size_t)n < room ? (size_t)n : room);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void output_ready(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct command *c = container_of(io, struct command, output);

	if (!read_output(c)) {
		int fd = io->fd;

		ev_io_stop(io);
		close(fd);
	}
}

static void ended(struct ev_child *child, int status)
{
	struct command *c = container_of(child, struct command, child);

	if (c->output.ev)
		read_output(c); /* not to its end: what it left running in the background may hold the pipe for ever */
	judge(c, status);
	command_free(c);
}

static void time_over(struct ev_timer *t)
{
	struct command *c = container_of(t, struct command, timer);

	kill(-c->child.pid, c->timed_out ? SIGKILL : SIGTERM);
	c->timed_out = true;
	ev_timer_start(daemon_ev(c->d), t, KILL_GRACE_MS, time_over);
}

/* The message as a file in memory, read from its start. */
static int message_fd(const struct lc_command *req, struct err *err)
{
	CLEANUP(fd_closep) int fd = memfd_create("message", MFD_CLOEXEC);
	char buf[16384];
	int out, rc;

	if (fd < 0)
		return err_sys(err, "cannot keep the message");
	rc = fs_write_all(fd, req->from.p, req->from.n, err);
	if (rc == 0 && req->from.n > 0)
		rc = fs_write_all(fd, "\n", 1, err);
	if (rc == 0)
		rc = fs_write_all(fd, req->head.p, req->head.n, err);
	for (size_t i = 0; i <= req->content.nheader && rc == 0; i++) {
		struct mail_extent x = i < req->content.nheader ? req->content.header[i] : req->content.body;

		while (x.len > 0 && rc == 0) {
			size_t n = x.len < sizeof(buf) ? (size_t)x.len : sizeof(buf);

			rc = fs_pread_all(req->fd, buf, n, (off_t)x.at, err);
			if (rc == 0)
				rc = fs_write_all(fd, buf, n, err);
			x.at += n;
			x.len -= n;
		}
	}
	if (rc < 0)
		return rc;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, "cannot keep the message");
	out = fd;
	fd = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): so that CLEANUP does not close it */
	return out;
}

/* Words and paths only: no shell is needed for it. */
static bool is_plain(struct sv command)
{
	static const char ok[] = "!@%-_=+:,./ \t";

	for (size_t i = 0; i < command.n; i++) {
		char c = command.p[i];

		if (!ascii_isalnum((unsigned char)c) && !strchr(ok, c))
			return false;
	}
	return command.n > 0 && command.p[0] == '/';
}

struct exec {
	char *argv[ARGS_MAX + 1];
	char *envp[LC_ENV_MAX + 1];
	char *home;
};

static void exec_prepare(struct exec *x, const struct lc_command *req)
{
	size_t n = 0;

	memset(x, 0, sizeof(*x));
	if (is_plain(req->command)) {
		struct sv rest = req->command, word;

		while (n < ARGS_MAX && sv_token(&rest, " \t", &word))
			x->argv[n++] = sv_dup(word);
	} else {
		x->argv[0] = xstrdup("/bin/sh");
		x->argv[1] = xstrdup("-c");
		x->argv[2] = sv_dup(req->command);
	}
	for (size_t i = 0; i < req->nenv; i++)
		x->envp[i] = sv_dup(req->env[i]);
	x->home = sv_dup(req->home.n > 0 ? req->home : SV("/"));
}

static void exec_free(struct exec *x)
{
	for (size_t i = 0; x->argv[i]; i++)
		free(x->argv[i]);
	for (size_t i = 0; x->envp[i]; i++)
		free(x->envp[i]);
	free(x->home);
}

/* In the new process: only what may be called between fork and exec. */
ATTR_NORETURN static void run_it(const struct exec *x, int in, int out)
{
	static const char lost[] = "cannot run the command\n";
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (x->argv[0] && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0 && chdir(x->home) == 0) {
		execve(x->argv[0], x->argv, x->envp);
		if (errno == ENOENT)
			_exit(127);
	}
	if (write(2, lost, sizeof(lost) - 1) < 0)
		_exit(EX_OSERR);
	_exit(EX_TEMPFAIL);
}

static int spawn(struct command *c, struct err *err)
{
	CLEANUP(fd_closep) int in = message_fd(&c->req, err);
	int p[2];
	struct exec x;
	pid_t pid;

	if (in < 0)
		return ERR_SYS;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, "cannot make a pipe");
	exec_prepare(&x, &c->req);
	pid = fork();
	if (pid == 0)
		run_it(&x, in, p[1]);
	exec_free(&x);
	close(p[1]);
	if (pid < 0) {
		close(p[0]);
		return err_sys(err, "cannot make a process");
	}
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	if (ev_io_start(daemon_ev(c->d), &c->output, p[0], EPOLLIN, output_ready) < 0)
		close(p[0]);
	BUG_ON(ev_child_start(daemon_ev(c->d), &c->child, pid, ended) < 0);
	ev_timer_start(daemon_ev(c->d), &c->timer, (uint64_t)c->req.time_limit * 1000, time_over);
	return 0;
}

int command_start(struct daemon *d, struct serve_ticket ticket, char *body, const struct lc_command *req)
{
	struct command *c = xcalloc(1, sizeof(*c));
	struct err err = {.text = ""};

	c->d = d;
	c->ticket = ticket;
	c->body = body;
	c->req = *req;
	buf_init(&c->said, OUTPUT_MAX);
	daemon_busy(d, 1);
	if (spawn(c, &err) < 0) {
		answer(c, DV_DEFERRED, "4.3.0", err.text);
		command_free(c);
	}
	return 0;
}
