/*
 * zygote_test.c - a zygote with this test as its master: sessions start, end, and are refused; what a child may not do.
 * As root each session has a user of its own; otherwise our own user, and identity is not tested.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fsutil.h"
#include "daemon/zygote.h"
#include "ipc/api_master.h"
#include "ipc/api_session.h"
#include "testing/tmpdir.h"

#define MAIL_UID 23456u

/* --- the session: says who it is and what it can reach, then ends --- */

static void say(struct session *s, const char *what, bool done)
{
	char line[200];
	int n = snprintf(line, sizeof(line), "%s %s\n", what, done ? "yes" : "no");

	if (write(s->fd, line, (size_t)n) != n)
		_exit(7);
}

static bool can_open(const char *path, int flags)
{
	CLEANUP(fd_closep) int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd >= 0;
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 200; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void on_end(struct session *s)
{
	say(s, "bye", true);
	session_end(s);
}

static int start(struct session *s, struct err *err)
{
	char path[600];

	(void)err;
	dprintf(s->fd, "uid %u gid %u tag %s client %s early %.*s\n", getuid(), getgid(), s->tag, s->client,
	    SV_ARG(s->early));
	snprintf(path, sizeof(path), "%s/file", s->folder);
	say(s, "own", can_open(path, O_RDWR | O_CREAT));
	say(s, "passwd", can_open("/etc/passwd", O_RDONLY));
	snprintf(path, sizeof(path), "%s/../other", s->folder);
	say(s, "other", can_open(path, O_RDWR | O_CREAT));
	say(s, "root", !setresuid(0, 0, 0));
	say(s, "daemon", !setresuid(2, 2, 2));
	say(s, "group", !setresgid(0, 0, 0));
	say(s, "groups", !setgroups(1, (gid_t[]){0}));
	say(s, "socket", socket(AF_INET, SOCK_STREAM, 0) >= 0);
	say(s, "few", open_descriptors() <= 8);
	s->on_end = on_end;
	if (sv_eqs(s->early, "stay"))
		return 0;
	session_end(s);
	return 0;
}

static void run_zygote(int control)
{
	static const struct zygote_def def = {.program = "pop3d", .start = start};
	char name[] = "zygote_test";
	char *argv[] = {name, NULL};

	if (control != MA_CONTROL_FD && dup2(control, MA_CONTROL_FD) < 0)
		_exit(8);
	_exit(zygote_main(1, argv, &def));
}

/* --- the master --- */

struct fix {
	struct ev *ev;
	struct chan *chan;
	pid_t pid;
	char *dir;
	int log;
	bool ready;
	uint64_t busy;
	unsigned uid;
};

static void from_zygote(struct chan *c, struct msg *m, void *arg)
{
	struct fix *f = arg;

	(void)c;
	if (m->type == MA_READY)
		f->ready = true;
	if (m->type == MA_STATUS)
		get_u64(m, &f->busy);
}

static void zygote_gone(struct chan *c, const struct err *why, void *arg)
{
	struct fix *f = arg;

	(void)c;
	(void)why;
	chan_free(&f->chan);
}

static int setup(void **state)
{
	char params[] = "first_valid_uid\0"
			"1000\0"
			"first_valid_gid\0"
			"1000\0"
			"session_poll_interval\0"
			"15s\0"
			"pop3d_session_limit\0"
			"0\0";
	struct fix *f = xcalloc(1, sizeof(*f));
	struct msg_out m = MSG_OUT_INIT;
	struct ma_hello hello = {.program = SV("pop3d"),
	    .service = SV("pop3d"),
	    .role = SV(""),
	    .target = SV(""),
	    .process = 1,
	    .log_sink = LOG_SINK_LOGD,
	    .log_ident = SV("merpati/pop3d")};
	int pair[2], log[2], memfd;

	f->ev = ev_new();
	f->dir = tmpdir_new();
	f->uid = getuid() ? getuid() : MAIL_UID;
	if (chmod(f->dir, 0777) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || socketpair(AF_UNIX, SOCK_DGRAM, 0, log))
		return -1;
	f->pid = fork();
	if (!f->pid) {
		close(pair[0]);
		close(log[0]);
		run_zygote(pair[1]);
	}
	close(pair[1]);
	f->log = log[0];
	f->chan = chan_new(f->ev, pair[0], 0, from_zygote, zygote_gone, f);
	memfd = fs_sealed_memfd("params", sv_of(params, sizeof(params) - 1), NULL);
	ma_put_hello(&m, &hello);
	put_fd(&m, memfd);
	put_fd(&m, log[1]);
	chan_send(f->chan, MA_HELLO, MA_VERSION, 0, &m);
	msg_out_free(&m);
	close(memfd);
	close(log[1]);
	for (int i = 0; i < 500 && !f->ready && f->chan; i++)
		ev_turn(f->ev, 10);
	*state = f;
	return f->ready ? 0 : -1;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	chan_free(&f->chan);
	waitpid(f->pid, NULL, 0);
	close(f->log);
	ev_free(&f->ev);
	tmpdir_remove(&f->dir);
	free(f);
	return 0;
}

static int order(struct fix *f, unsigned uid, unsigned gid, const char *early)
{
	CLEANUP(freep) char *folder = xasprintf("%s/mail", f->dir);
	CLEANUP(buf_freep) struct buf frame = BUF_INIT(1000);
	struct ma_session s = {.session = 1, .user = SV("bob"), .uid = uid, .gid = gid, .folder = sv_str(folder)};
	struct se_preface p = {
	    .tag = SV("a1"), .client = SV("192.0.2.1"), .local = SV("127.0.0.1"), .early = sv_str(early)};
	struct msg_out m = MSG_OUT_INIT;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ma_put_session(&m, &s);
	put_fd(&m, pair[1]);
	chan_send(f->chan, MA_SESSION, MA_VERSION, 0, &m);
	msg_out_free(&m);
	close(pair[1]);
	assert_int_equal(se_preface_frame(&frame, &p), 0);
	assert_int_equal(write(pair[0], frame.p, frame.n), frame.n);
	return pair[0];
}

/* What the session says until it ends or has said `last`. */
static void listen_to(struct fix *f, int fd, char *text, size_t size, const char *last)
{
	size_t n = 0;

	text[0] = '\0';
	for (int i = 0; i < 500 && n + 1 < size; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t r;

		ev_turn(f->ev, 0);
		if (poll(&p, 1, 10) <= 0)
			continue;
		r = read(fd, text + n, size - 1 - n);
		if (r <= 0)
			return;
		n += (size_t)r;
		text[n] = '\0';
		if (last && strstr(text, last))
			return;
	}
}

static void session_is_confined(void **state)
{
	struct fix *f = *state;
	char text[4000], want[200];
	int fd = order(f, f->uid, f->uid, "early");

	if (getuid() && getuid() < 1000)
		skip();
	listen_to(f, fd, text, sizeof(text), NULL);
	snprintf(want, sizeof(want), "uid %u gid %u tag a1 client 192.0.2.1 early early\n", f->uid,
	    getuid() ? getgid() : f->uid);
	assert_memory_equal(text, want, strlen(want));
	assert_string_equal(text + strlen(want),
	    "own yes\npasswd no\nother no\nroot no\ndaemon no\ngroup no\ngroups no\nsocket "
	    "no\nfew yes\n");
	close(fd);
}

static void system_users_are_refused(void **state)
{
	static const unsigned bad[][2] = {{0, 2000}, {2000, 0}, {999, 2000}, {2000, 5}, {UINT32_MAX, 2000}};
	struct fix *f = *state;
	char text[4000];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int fd = order(f, bad[i][0], bad[i][1], "");

		listen_to(f, fd, text, sizeof(text), NULL);
		assert_string_equal(text, "");
		close(fd);
	}
	assert_int_equal(waitpid(f->pid, NULL, WNOHANG), 0); /* the zygote lives */
}

static void drain_says_bye(void **state)
{
	struct fix *f = *state;
	char text[4000];
	int fd = order(f, f->uid, f->uid, "stay");

	if (getuid() && getuid() < 1000)
		skip();
	listen_to(f, fd, text, sizeof(text), "few yes\n");
	struct msg_out drain = MSG_OUT_INIT;
	put_bool(&drain, true);
	assert_int_equal(chan_send(f->chan, MA_DRAIN, MA_VERSION, 0, &drain), 0);
	msg_out_free(&drain);
	listen_to(f, fd, text, sizeof(text), NULL);
	assert_string_equal(text, "bye yes\n");
	close(fd);
	for (int i = 0; i < 500 && f->chan; i++) /* drained, it ends by itself */
		ev_turn(f->ev, 10);
	assert_null(f->chan);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(session_is_confined), T(system_users_are_refused), T(drain_says_bye)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
