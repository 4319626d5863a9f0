/* pop3_test.c - a session on a socket pair and a Maildir in a temporary folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "pop3d/pop3.h"
#include "testing/tmpdir.h"

static const char params[] = "pop3_uidl_format\0%08Xu%08Xv\0pop3_no_flag_updates\0no\0pop3d_timeout\0"
			     "600s\0";

struct fix {
	char *dir;
	struct ev *ev;
	struct conf *conf;
	struct session *s;
	int fd;
	char out[1 << 20];
	size_t n;
};

static void drop_file(const struct fix *f, const char *name, const char *text, size_t n)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/new/%s", f->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void log_in(struct fix *f)
{
	struct err err = {0};
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	f->fd = fd[0];
	f->s = session_new_for_test(f->ev, fd[1], f->conf, "bob@b.org", f->dir);
	assert_int_equal(pop3_start(f->s, &err), 0);
}

static int setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));
	struct store *st;
	struct err err = {0};

	f->dir = tmpdir_new();
	f->ev = ev_new();
	if (conf_from_blob(sv_of(params, sizeof(params) - 1), &f->conf, &err) || store_open(f->dir, &st, NULL))
		return -1;
	store_close(&st);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	close(f->fd);
	for (int i = 0; f->s->state && i < 100; i++) /* the session hears of it and ends */
		ev_turn(f->ev, 5);
	session_free_for_test(&f->s);
	ev_free(&f->ev);
	conf_free(&f->conf);
	tmpdir_remove(&f->dir);
	free(f);
	return 0;
}

/* Sends text, runs the loop, collects what comes until nothing more does; the session may end meanwhile. */
static const char *talk(struct fix *f, const char *text)
{
	size_t len = strlen(text);
	int idle = 0;

	f->n = 0;
	while (idle < 10) {
		ssize_t r;

		if (len) {
			ssize_t w = write(f->fd, text, len);

			if (w > 0) {
				text += w;
				len -= (size_t)w;
			}
		}
		if (!ev_turn(f->ev, 5))
			idle = 10;
		r = read(f->fd, f->out + f->n, sizeof(f->out) - 1 - f->n);
		if (r > 0)
			f->n += (size_t)r;
		idle = r > 0 || len ? 0 : idle + 1;
	}
	f->out[f->n] = '\0';
	return f->out;
}

static void conversation(void **state)
{
	struct fix *f = *state;
	const char *out;

	drop_file(f, "100.a.host", "Subject: a\n\n.dot\nlast", 21);
	drop_file(f, "200.b.host", "Subject: b\r\n\r\none\r\ntwo\r\nthree\r\n", 31);
	log_in(f);
	assert_string_equal(talk(f, ""), "+OK Logged in, 2 messages.\r\n");
	assert_string_equal(talk(f, "STAT\r\nLIST\r\nLIST 2\r\nLIST 3\r\n"),
	    "+OK 2 55\r\n+OK 2 messages:\r\n1 24\r\n2 31\r\n.\r\n+OK 2 31\r\n-ERR There is no message 3.\r\n");
	assert_string_equal(talk(f, "retr 1\r\nTOP 2 1\r\nTOP 2 0\r\n"),
	    "+OK 24 octets\r\nSubject: a\r\n\r\n..dot\r\nlast\r\n.\r\n+OK\r\nSubject: "
	    "b\r\n\r\none\r\n.\r\n+OK\r\nSubject: "
	    "b\r\n\r\n.\r\n");
	out = talk(f, "UIDL\n");
	assert_memory_equal(out, "+OK\r\n1 00000001", 15);
	assert_int_equal(strlen(out), 5 + 2 * 20 + 3);
	assert_string_equal(talk(f, "DELE 1\r\nDELE 1\r\nSTAT\r\nRSET\r\nSTAT\r\nDELE 2\r\nNOOP\r\n"),
	    "+OK Marked to be deleted.\r\n-ERR Message 1 is marked for deletion.\r\n+OK 1 31\r\n+OK\r\n+OK 2 55\r\n+OK "
	    "Marked to "
	    "be deleted.\r\n+OK\r\n");
	assert_string_equal(talk(f, "USER x\r\nBOGUS\r\nSTAT x\r\n"),
	    "-ERR Not after login.\r\n-ERR Unknown command.\r\n-ERR Wrong arguments.\r\n");
	assert_string_equal(talk(f, "QUIT\r\n"), "+OK Logging out, messages deleted.\r\n");
	close(f->fd);
	session_free_for_test(&f->s);
	ev_free(&f->ev);
	f->ev = ev_new();
	log_in(f);
	assert_string_equal(
	    talk(f, "STAT\r\nQUIT\r\n"), "+OK Logged in, 1 messages.\r\n+OK 1 24\r\n+OK Logging out.\r\n");
}

static void bad_input(void **state)
{
	struct fix *f = *state;
	static char text[200000];

	log_in(f);
	memset(text, 'x', sizeof(text));
	memcpy(text + sizeof(text) - 13, "\r\nNOOP\r\n", 9);
	text[sizeof(text) - 5] = '\0';
	assert_string_equal(talk(f, text), "+OK Logged in, 0 messages.\r\n-ERR Line too long.\r\n+OK\r\n");
	text[0] = '\0';
	for (int i = 0; i < POP3_ERRORS_MAX; i++)
		strncat(text, "X\r\n", 4);
	assert_non_null(strstr(talk(f, text), "-ERR Too many errors.\r\n"));
}

static void many_large(void **state)
{
	struct fix *f = *state;
	static char text[300000];
	size_t n = 0;

	for (size_t i = 0; i + 30 < sizeof(text); i += 30, n++)
		memcpy(text + i, ".1234567890123456789012345678\n", 30);
	drop_file(f, "1.a.host", text, sizeof(text) - 30);
	drop_file(f, "2.a.host", text, sizeof(text) - 30);
	log_in(f);
	talk(f, "RETR 1\r\nRETR 2\r\nSTAT\r\n");
	assert_true(f->n > 2 * (sizeof(text) - 30));
	assert_non_null(strstr(f->out + f->n - 40, ".\r\n+OK 2 "));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(conversation), T(bad_input), T(many_large)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
