/* sandbox_test.c - what a caged process tries and must not get.  Each case runs in a child of its own. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "sandbox/sandbox.h"

static const char *folder;

static const char *param(void *ctx ATTR_UNUSED, const char *name)
{
	return strcmp(name, "folder") == 0 ? folder : "";
}

/* Runs fn in a child under the profile; its exit status (0 = as it should be, 100 = the cage could not be laid). */
static int in_cage(const struct sandbox_profile *p, int (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		char missing[128];
		struct err err;
		struct sandbox_args args = {.param = param, .min_uid = 1000, .min_gid = 1000};
		if (sandbox_enter(p, &args, missing, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(100);
		}
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

#define MUST_FAIL(call)                                                                                                \
	do {                                                                                                           \
		if ((call) >= 0)                                                                                       \
			return __LINE__ % 90 + 1;                                                                      \
	} while (0)

#define MUST_BE_REFUSED(call)                                                                                          \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		if ((call) >= 0 || errno != EPERM)                                                                     \
			return __LINE__ % 90 + 1;                                                                      \
	} while (0)

static void *nothing(void *arg)
{
	return arg;
}

static int tries_everything(void)
{
	pthread_t t;
	MUST_FAIL(open("/etc/passwd", O_RDONLY));
	MUST_FAIL(open("/tmp", O_TMPFILE | O_WRONLY, 0600));
	MUST_FAIL(socket(AF_INET, SOCK_STREAM, 0));
	MUST_FAIL(socket(AF_UNIX, SOCK_STREAM, 0));
	MUST_FAIL(execl("/bin/true", "true", NULL));
	MUST_FAIL(fork());
	MUST_FAIL(kill(getppid(), 0));
	MUST_FAIL(setresuid(1000, 1000, 1000));
	MUST_FAIL(setgroups(0, NULL));
	MUST_FAIL(chroot("/"));
	if (pthread_create(&t, NULL, nothing, NULL) == 0)
		return 91;
	return 0;
}

static int uses_its_folder_and_threads(void)
{
	pthread_t t;
	if (chdir(folder) < 0 || open("x", O_CREAT | O_WRONLY, 0600) < 0 || rename("x", "y") < 0 || unlink("y") < 0)
		return 92;
	MUST_FAIL(open("/etc/passwd", O_RDONLY));
	if (pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0)
		return 93;
	MUST_FAIL(fork());
	return 0;
}

static int connects_but_no_more(void)
{
	MUST_FAIL(socket(AF_INET, SOCK_DGRAM, 0));
	MUST_FAIL(socket(AF_INET, SOCK_STREAM, 262)); /* MPTCP */
	MUST_FAIL(socket(AF_NETLINK, SOCK_RAW, 0));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return 94;
	MUST_FAIL(listen(fd, 1));
	return 0;
}

static int becomes_ordinary_users_only(void)
{
	MUST_FAIL(setresuid(0, 0, 0));
	MUST_FAIL(setresuid(999, 999, 999));
	MUST_FAIL(setresuid(2000, 2000, 0));
	MUST_FAIL(setresuid((uid_t)-1, 2000, 2000));
	MUST_FAIL(setresgid(0, 0, 0));
	MUST_FAIL(setresgid(2000, 2000, 8));
	MUST_FAIL(setuid(2000));
	MUST_FAIL(setgid(2000));
	gid_t root_group = 0;
	MUST_FAIL(setgroups(1, &root_group));
	if (setgroups(0, NULL) < 0 || setresgid(2000, 2000, 2000) < 0 || setresuid(2000, 2000, 2000) < 0)
		return 95;
	MUST_FAIL(setresuid(2001, 2001, 2001)); /* the capability went with the identity */
	return 0;
}

static int makes_processes_but_no_namespaces(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return 98;
	for (unsigned long flag = CLONE_NEWNS; flag <= CLONE_NEWNET; flag <<= 1) {
		if (flag & (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
			       CLONE_NEWNET))
			MUST_BE_REFUSED(syscall(SYS_clone, flag | SIGCHLD, NULL, NULL, NULL, NULL));
	}
	return 0;
}

static int signals_only_itself(void)
{
	MUST_BE_REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0));
	if (syscall(SYS_tgkill, getpid(), getpid(), 0) < 0)
		return 99;
	MUST_BE_REFUSED(syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, getpid(), 0), 0, NULL, 0));
	return 0;
}

static int opens_tcp_and_udp_only(void)
{
	MUST_BE_REFUSED(socket(AF_INET, SOCK_SEQPACKET, 0)); /* SCTP */
	MUST_BE_REFUSED(socket(AF_INET6, SOCK_DCCP | SOCK_CLOEXEC, 0));
	MUST_BE_REFUSED(socket(AF_INET, SOCK_RAW, 6));
	return socket(AF_UNIX, SOCK_SEQPACKET, 0) < 0 || socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 ||
		       socket(AF_INET, SOCK_STREAM, 0) < 0
		   ? 100
		   : 0;
}

static void no_way_around_the_profile(void **state ATTR_UNUSED)
{
	const struct sandbox_profile forks = {.fork = 1, .no_landlock = 1}, alone = {.net = SANDBOX_NET_NONE},
				     dns = {.net = SANDBOX_NET_DNS};
	assert_int_equal(in_cage(&forks, makes_processes_but_no_namespaces), 0);
	assert_int_equal(in_cage(&alone, signals_only_itself), 0);
	assert_int_equal(in_cage(&dns, opens_tcp_and_udp_only), 0);
}

static void empty_profile_allows_nothing(void **state ATTR_UNUSED)
{
	const struct sandbox_profile p = {.net = SANDBOX_NET_NONE};
	assert_int_equal(in_cage(&p, tries_everything), 0);
}

static void folder_profile_allows_the_folder(void **state ATTR_UNUSED)
{
	const struct sandbox_path paths[] = {{"$folder", SANDBOX_WRITE}, {NULL, 0}};
	const struct sandbox_profile p = {.paths = paths, .threads = 1, .fsize = 1000};
	assert_int_equal(in_cage(&p, uses_its_folder_and_threads), 0);
}

static void outbound_profile_connects_only(void **state ATTR_UNUSED)
{
	const struct sandbox_profile p = {.net = SANDBOX_NET_OUT_TCP};
	assert_int_equal(in_cage(&p, connects_but_no_more), 0);
}

static void zygote_cannot_become_a_system_user(void **state ATTR_UNUSED)
{
	const struct sandbox_profile p = {.becomes_user = 1};
	if (geteuid() != 0) {
		print_message("SKIPPED: needs root\n");
		skip();
	}
	assert_int_equal(in_cage(&p, becomes_ordinary_users_only), 0);
}

static int sees_one_folder(void)
{
	struct err err;
	if (sandbox_restrict_to(folder, NULL, &err) < 0)
		return 96;
	MUST_FAIL(open("/etc/passwd", O_RDONLY));
	pthread_t t;
	MUST_BE_REFUSED(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
	MUST_BE_REFUSED(fork());
#ifdef SYS_fork
	MUST_BE_REFUSED(syscall(SYS_fork));
	MUST_BE_REFUSED(syscall(SYS_vfork));
#endif
	MUST_BE_REFUSED(kill(getpid(), 0));
	MUST_BE_REFUSED(syscall(SYS_tgkill, getppid(), getppid(), 0));
	if (syscall(SYS_tgkill, getpid(), getpid(), 0) < 0 || pthread_create(&t, NULL, nothing, NULL) != 0 ||
	    pthread_join(t, NULL) != 0)
		return 90;
	return chdir(folder) < 0 || open("z", O_CREAT | O_WRONLY, 0600) < 0 ? 97 : 0;
}

static void session_sees_one_folder(void **state ATTR_UNUSED)
{
	const struct sandbox_path paths[] = {{"/", SANDBOX_WRITE}, {NULL, 0}};
	const struct sandbox_profile p = {.paths = paths, .fork = 1, .fsize = 1000};
	assert_int_equal(in_cage(&p, sees_one_folder), 0);
}

int main(void)
{
	char dir[] = "/tmp/merpati-cage-XXXXXX";
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(empty_profile_allows_nothing),
	    cmocka_unit_test(folder_profile_allows_the_folder),
	    cmocka_unit_test(outbound_profile_connects_only),
	    cmocka_unit_test(zygote_cannot_become_a_system_user),
	    cmocka_unit_test(session_sees_one_folder),
	    cmocka_unit_test(no_way_around_the_profile),
	};
	folder = mkdtemp(dir);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	if (chdir(dir) == 0)
		unlink("z");
	rmdir(dir);
	return r;
}
