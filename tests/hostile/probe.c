/*
 * probe.c - a program that master starts in the place of any other and that asks for everything: a connection to every
 * class with every kind of target, grants as auth, sessions as login.  It logs each answer;
 * tests/hostile/switchboard_test.py compares them with the table.  Only the tests build it.
 */
#include "base/num.h"
#include "daemon/daemon.h"
#include "ipc/api_master.h"

#define NUMBERS 80 /* process numbers that auth makes grants for */
#define RETRY_MS 50

struct question {
	const char *class, *target;
};

/* With one question a class too many: names that do not exist, and identities that nobody may have. */
static const struct question questions[] = {{"smtpd", ""}, {"login", ""}, {"imapd", ""}, {"pop3d", ""}, {"qmgr", ""},
    {"smtp", "smtp"}, {"smtp", "no-such-service"}, {"local", "virtual"}, {"local_file", "5000:5000"},
    {"local_file", "0:0"}, {"local_file", "5000:0"}, {"local_file", "8:5000"}, {"local_file", "5000"},
    {"local_file", ""}, {"local_user", "5000:5000"}, {"local_user", "-1:5000"}, {"cleanup", ""}, {"cleanup", "x"},
    {"rewrite", ""}, {"resolver", ""}, {"auth", ""}, {"keyd", ""}, {"anvil", ""}, {"logd", ""}, {"master", ""},
    {"", ""}, {"session", "too short"}, {"session", "0123456789abcdef0123456789abcdef"}};

static char program[64]; /* whose place this process takes */

struct probe {
	struct daemon *d;
	char key[MA_GRANT_SIZE + 1];
	const char *what;
	struct ev_timer retry;
};

/* The grant that auth makes for a login process. */
static void key_for(uint64_t process, char key[MA_GRANT_SIZE + 1])
{
	snprintf(key, MA_GRANT_SIZE + 1, "grant-for-process-%014llu", (unsigned long long)process);
}

static void answered(void *arg, int status, int fd)
{
	const struct question *q = arg;
	log_info("probe: %s -> %s %s: %d", program, q->class, q->target, status);
	fd_close(&fd);
}

static void granted(void *arg, int status, int fd)
{
	log_info("probe: grant %s: %d", (const char *)arg, status);
	fd_close(&fd);
}

static void ask_grant(
    struct daemon *d, uint64_t login, uint64_t uid, uint64_t gid, const char *folder, const char *what)
{
	char key[MA_GRANT_SIZE + 1];
	struct msg_out m = MSG_OUT_INIT;
	key_for(login, key);
	struct ma_grant g = {.grant = sv_of(key, MA_GRANT_SIZE),
	    .login = login,
	    .service = SV("imapd"),
	    .user = SV("u@example.test"),
	    .uid = uid,
	    .gid = gid,
	    .folder = sv_str(folder),
	    .lifetime_ms = 60000};
	ma_put_grant(&m, &g);
	daemon_request(d, MA_GRANT, &m, granted, (void *)(uintptr_t)what);
	msg_out_free(&m);
}

static void be_auth(struct daemon *d)
{
	ask_grant(d, 1, 0, 0, "/tmp", "as root");
	ask_grant(d, 1, 33, 5000, "/tmp", "as a system user");
	ask_grant(d, 1, 5000, 8, "/tmp", "as a system group");
	ask_grant(d, 1, 5000, 5000, "tmp", "of a relative folder");
	ask_grant(d, 1, 5000, 5000, "/tmp/../etc", "of a folder elsewhere");
	for (uint64_t n = 1; n <= NUMBERS; n++)
		ask_grant(d, n, 5000, 5000, "/tmp", "of an ordinary user");
}

static void replayed(void *arg ATTR_UNUSED, int status, int fd)
{
	log_info("probe: session with a used grant: %d", status);
	fd_close(&fd);
}

static void foreign(void *arg ATTR_UNUSED, int status, int fd)
{
	log_info("probe: session with the grant of another process: %d", status);
	fd_close(&fd);
}

static void try_session(struct ev_timer *t);

static void session_answer(void *arg, int status, int fd)
{
	struct probe *p = arg;
	char other[MA_GRANT_SIZE + 1];

	fd_close(&fd);
	if (status != 0) { /* auth has not made it yet */
		ev_timer_start(daemon_ev(p->d), &p->retry, RETRY_MS, try_session);
		return;
	}
	log_info("probe: session with its own grant: %d", status);
	daemon_connect(p->d, "session", sv_of(p->key, MA_GRANT_SIZE), replayed, p);
	key_for(NUMBERS, other);
	daemon_connect(p->d, "session", sv_of(other, MA_GRANT_SIZE), foreign, p);
}

static void try_session(struct ev_timer *t)
{
	struct probe *p = container_of(t, struct probe, retry);
	daemon_connect(p->d, "session", sv_of(p->key, MA_GRANT_SIZE), session_answer, p);
}

static int start(struct daemon *d, struct err *err ATTR_UNUSED)
{
	struct probe *p = xcalloc(1, sizeof(*p));
	p->d = d;
	key_for(daemon_process(d), p->key);
	if (strcmp(daemon_role(d), "") != 0)
		return 0; /* started by the question of another probe */
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		daemon_connect(
		    d, questions[i].class, sv_str(questions[i].target), answered, (void *)(uintptr_t)&questions[i]);
	if (strcmp(program, "auth") == 0)
		be_auth(d);
	if (strcmp(program, "login") == 0)
		try_session(&p->retry);
	return 0;
}

static void on_peer(struct daemon *d ATTR_UNUSED, int fd, const struct caller *who ATTR_UNUSED)
{
	close(fd);
}

static void on_accept(struct daemon *d ATTR_UNUSED, const struct listener *l ATTR_UNUSED, int fd,
    const struct sockaddr_storage *from ATTR_UNUSED)
{
	close(fd);
}

static void on_order(struct daemon *d ATTR_UNUSED, struct msg *m ATTR_UNUSED)
{
}

int main(int argc, char **argv)
{
	static const struct sandbox_profile profile = {.net = SANDBOX_NET_NONE};
	const char *slash = strrchr(argv[0], '/');
	snprintf(program, sizeof(program), "%s", slash != NULL ? slash + 1 : argv[0]);
	const struct daemon_def def = {.program = program,
	    .profile = &profile,
	    .start = start,
	    .on_peer = on_peer,
	    .on_accept = on_accept,
	    .on_order = on_order};
	return daemon_main(argc, argv, &def);
}
