/*
 * nursery.c - the processes of workers.h.  Plain blocking code: read a request, answer it.  A hashing worker shuts
 * itself into a cage without files before its first request; PAM cannot be caged, since its modules do anything.
 */
#include <fcntl.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "auth/pwhash.h"
#include "auth/workers.h"
#include "crypto/secret.h"

#define RESPAWN_SECONDS 1 /* a worker that died sooner is not replaced before */
#define WORKERS_MAX 128

/* A request: password NUL second NUL client NUL. */
struct request {
	struct sv password, second, client;
};

static bool parse(struct sv in, struct request *r)
{
	struct sv *const parts[] = {&r->password, &r->second, &r->client};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		ssize_t end = sv_chr(in, '\0');

		if (end < 0)
			return false;
		*parts[i] = sv_head(in, (size_t)end);
		in = sv_skip(in, (size_t)end + 1);
	}
	return in.n == 0;
}

static void hash_job(const struct request *r, const char *service, struct worker_reply *reply)
{
	int status = pwhash_check(r->password, r->second);

	(void)service;
	reply->status = status == ERR_UNSUPPORTED ? ERR_TEMP : status;
}

/* Answers every question of the modules with the password, as all daemons do that have nothing else. */
static int converse(int n, const struct pam_message **msg, struct pam_response **out, void *arg)
{
	struct pam_response *r;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	r = calloc((size_t)n, sizeof(*r));
	for (int i = 0; r && i < n; i++) {
		if (msg[i]->msg_style == PAM_PROMPT_ECHO_OFF)
			r[i].resp = strdup(arg);
	}
	*out = r;
	return r ? PAM_SUCCESS : PAM_BUF_ERR;
}

static int pam_status(int rc)
{
	switch (rc) {
	case PAM_SUCCESS: return 0;
	case PAM_AUTHINFO_UNAVAIL:
	case PAM_SYSTEM_ERR:
	case PAM_SERVICE_ERR:
	case PAM_BUF_ERR:
	case PAM_ABORT:
	case PAM_OPEN_ERR:
	case PAM_SYMBOL_ERR: return ERR_TEMP;
	default: return ERR_DENIED;
	}
}

static void identity(const char *user, struct worker_reply *reply)
{
	struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (!pw || strlen(pw->pw_dir) >= sizeof(reply->home)) {
		reply->status = !pw && errno ? ERR_TEMP : ERR_DENIED;
		return;
	}
	reply->uid = pw->pw_uid;
	reply->gid = pw->pw_gid;
	snprintf(reply->home, sizeof(reply->home), "%s", pw->pw_dir);
}

static void pam_job(const struct request *r, const char *service, struct worker_reply *reply)
{
	char *password = sv_dup(r->password), *user = sv_dup(r->second), *client = sv_dup(r->client);
	struct pam_conv conv = {.conv = converse, .appdata_ptr = password};
	pam_handle_t *pam = NULL;
	int rc = pam_start(service, user, &conv, &pam);

	if (rc == PAM_SUCCESS && *client)
		pam_set_item(pam, PAM_RHOST, client);
	if (rc == PAM_SUCCESS)
		rc = pam_authenticate(pam, PAM_SILENT);
	if (rc == PAM_SUCCESS)
		rc = pam_acct_mgmt(pam, PAM_SILENT);
	reply->status = pam_status(rc);
	if (pam)
		pam_end(pam, rc);
	if (!reply->status)
		identity(user, reply);
	secret_free(&password);
	free(user);
	free(client);
}

static ATTR_NORETURN void worker_main(int fd, enum worker_kind kind, const char *service)
{
	static const struct sandbox_profile hash_cage = {.net = SANDBOX_NET_NONE, .memory = 256, .nofile = 64};
	char missing[128], request[WORKER_MAX_REQUEST];

	if (kind == WORKER_HASH && sandbox_enter(&hash_cage, &(struct sandbox_args){0}, missing, NULL) < 0)
		_exit(71);
	for (;;) {
		struct worker_reply reply = {.status = ERR_TEMP};
		ssize_t n = recv(fd, request, sizeof(request), 0);
		struct request r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !parse(sv_of(request, (size_t)n), &r))
			_exit(n != 0);
		if (kind == WORKER_HASH)
			hash_job(&r, service, &reply);
		else
			pam_job(&r, service, &reply);
		secret_clear(request, sizeof(request));
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != sizeof(reply))
			_exit(0);
	}
}

static bool hand_over(int control, char kind, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = &kind, .iov_len = 1};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(control, &h, MSG_NOSIGNAL) == 1;
}

struct slot {
	pid_t pid;
	time_t started;
	enum worker_kind kind;
};

static void spawn(int control, struct slot *s, const char *service)
{
	int sv[2];

	if (time(NULL) - s->started < RESPAWN_SECONDS)
		sleep(RESPAWN_SECONDS);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		_exit(71);
	s->started = time(NULL);
	s->pid = fork();
	if (s->pid < 0)
		_exit(71);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(control);
		close(sv[0]);
		worker_main(sv[1], s->kind, service);
	}
	close(sv[1]);
	if (!hand_over(control, (char)s->kind, sv[0]))
		_exit(0); /* auth has gone */
	close(sv[0]);
}

ATTR_NORETURN void nursery_main(int control, unsigned nprocs, const char *pam_service)
{
	struct slot slots[WORKERS_MAX] = {{0}};
	char *service = pam_service ? xstrdup(pam_service) : NULL;
	unsigned n = 0;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "auth-nursery");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (control != 3 && dup2(control, 3) < 0)
		_exit(71);
	syscall(SYS_close_range, 4u, ~0u, 0);
	for (unsigned i = 0; i < nprocs && n < WORKERS_MAX; i++)
		slots[n++].kind = WORKER_HASH;
	for (unsigned i = 0; service && i < nprocs && n < WORKERS_MAX; i++)
		slots[n++].kind = WORKER_PAM;
	for (unsigned i = 0; i < n; i++)
		spawn(3, &slots[i], service);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, 0);

		if (pid < 0 && errno != EINTR)
			_exit(71);
		for (unsigned i = 0; pid > 0 && i < n; i++) {
			if (slots[i].pid == pid)
				spawn(3, &slots[i], service);
		}
	}
}
