/*
 * landlock.c - rules on files, TCP ports, abstract sockets and signals by Landlock's system calls.  The constants that
 * Debian 12's headers do not have yet are defined here (kernel documentation, userspace-api/landlock).
 */
#include "sandbox/sandbox_priv.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FS_REFER (1ull << 13)	    /* ABI 2 */
#define FS_TRUNCATE (1ull << 14)    /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15)   /* ABI 5 */
#define NET_BIND_TCP (1ull << 0)    /* ABI 4 */
#define NET_CONNECT_TCP (1ull << 1) /* ABI 4 */
#define SCOPE_ABSTRACT (1ull << 0)  /* ABI 6 */
#define SCOPE_SIGNAL (1ull << 1)    /* ABI 6 */

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

static const uint64_t fs_by_abi[] = {0, (1ull << 13) - 1, FS_REFER, FS_TRUNCATE, 0, FS_IOCTL_DEV};

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                                                                       \
	(FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |    \
	    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | FS_REFER | FS_TRUNCATE)
#define FS_EXEC (FS_READ | LANDLOCK_ACCESS_FS_EXECUTE)
#define FS_FILE_ONLY                                                                                                   \
	(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | FS_TRUNCATE |     \
	    FS_IOCTL_DEV)

static int kernel_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return abi < 0 ? 0 : (int)abi;
}

static uint64_t handled_fs(int abi)
{
	uint64_t all = 0;
	for (int i = 1; i <= abi && i < (int)ARRAY_LEN(fs_by_abi); i++)
		all |= fs_by_abi[i];
	return all;
}

static int new_ruleset(int abi, bool limit_connect, struct err *err)
{
	struct ruleset_attr attr = {.fs = handled_fs(abi)};
	size_t size = abi >= 6 ? sizeof(attr) : abi >= 4 ? offsetof(struct ruleset_attr, scoped) : sizeof(attr.fs);

	if (abi >= 4)
		attr.net = NET_BIND_TCP | (limit_connect ? NET_CONNECT_TCP : 0);
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	return fd < 0 ? err_sys(err, "landlock_create_ruleset") : fd;
}

/* A path that does not exist is skipped: what is made later at that name stays closed to the process. */
static int allow_path(int ruleset, const char *path, uint64_t access, struct err *err)
{
	CLEANUP(fd_closep) int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : err_sys(err, "open %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "stat %s", path);
	if (!S_ISDIR(st.st_mode))
		access &= FS_FILE_ONLY;
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_sys(err, "landlock_add_rule %s", path);
	return 0;
}

static uint64_t access_bits(enum sandbox_access access)
{
	return access == SANDBOX_READ ? FS_READ : access == SANDBOX_EXEC ? FS_EXEC : FS_WRITE;
}

int sandbox_landlock(const struct sandbox_profile *p, const struct sandbox_args *args, char *missing, struct err *err)
{
	int abi = kernel_abi(), r = 0;

	if (abi == 0) {
		snprintf(missing, 128, "Landlock");
		return 0;
	}
	if (abi < 6)
		snprintf(
		    missing, 128, "Landlock ABI %d instead of 6 (%s)", abi, abi < 4 ? "TCP ports, signals" : "signals");
	bool may_connect = p->net != SANDBOX_NET_NONE && p->net != SANDBOX_NET_UNIX;
	CLEANUP(fd_closep) int ruleset = new_ruleset(abi, !may_connect, err);
	if (ruleset < 0)
		return ruleset;
	for (const struct sandbox_path *s = p->paths; s != NULL && s->path != NULL && r == 0; s++) {
		const char *path = s->path[0] == '$' ? args->param(args->ctx, s->path + 1) : s->path;
		if (path[0] != '\0')
			r = allow_path(ruleset, path, access_bits(s->access) & handled_fs(abi), err);
	}
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = err_sys(err, "landlock_restrict_self");
	return r;
}

int sandbox_restrict_to(const char *folder, const char *readable, struct err *err)
{
	int abi = kernel_abi();
	if (sandbox_no_children(err) < 0)
		return ERR_SYS;
	if (abi == 0)
		return 0; /* said once at start; identity and seccomp hold */
	CLEANUP(fd_closep) int ruleset = new_ruleset(abi, true, err);
	if (ruleset < 0)
		return ruleset;
	int r = allow_path(ruleset, folder, FS_WRITE & handled_fs(abi), err);
	if (r == 0 && readable != NULL)
		r = allow_path(ruleset, readable, FS_READ, err);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = err_sys(err, "landlock_restrict_self");
	return r;
}
