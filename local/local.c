/* local.c - local delivery: one program in three roles; see local.h and README. */
#include "local/local.h"

#include <limits.h>

/* The coordinator sees addresses and results; the descriptors that it is handed are all that it can read. */
static const struct sandbox_profile coord_profile = {
    .net = SANDBOX_NET_NONE, .threads = 1, .nofile = 65536, .fsize = ULONG_MAX};
/* The user, no command, no socket: files of that user wherever they are (homes are anywhere, so no Landlock). */
static const struct sandbox_profile file_profile = {
    .net = SANDBOX_NET_NONE, .threads = 1, .no_landlock = 1, .nofile = 65536, .fsize = ULONG_MAX};
/* The user, and what the user wants to be run: confined by identity alone. */
static const struct sandbox_profile user_profile = {
    .net = SANDBOX_NET_DNS, .exec = 1, .fork = 1, .no_landlock = 1, .nofile = 4096, .fsize = ULONG_MAX};

static const struct role {
	const char *name;
	const struct sandbox_profile *profile;
	int (*start)(struct daemon *d, struct err *err);
	void (*on_peer)(struct daemon *d, int fd, const struct caller *who);
} roles[] = {
    {"", &coord_profile, coord_start, coord_peer},
    {"file", &file_profile, file_start, file_peer},
    {"user", &user_profile, user_start, user_peer},
};

static const struct role *role_of(struct daemon *d)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		if (strcmp(daemon_role(d), roles[i].name) == 0)
			return &roles[i];
	}
	return NULL;
}

/* The profile of the role is known only when master has said which role it is. */
static struct sandbox_profile profile;

static int start(struct daemon *d, struct err *err)
{
	const struct role *role = role_of(d);

	if (!role)
		return err_set(err, ERR_UNSUPPORTED, "no such role: %s", daemon_role(d));
	profile = *role->profile;
	return role->start(d, err);
}

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	role_of(d)->on_peer(d, fd, who);
}

static const struct daemon_def def = {
    .program = "local",
    .profile = &profile,
    .start = start,
    .on_peer = on_peer,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &def);
}
