/* sandbox.c - the order of the layers; see sandbox.h.  Identity was set by master before exec. */
#include "sandbox/sandbox_priv.h"

#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define DEFAULT_NOFILE 4096
#define DEFAULT_MEMORY_MIB 512

/* The sanitizers' shadow memory would not fit into any limit of ours.  gcc and clang say it in ways of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* A limit is only lowered: a process without CAP_SYS_RESOURCE may not raise it, and need not. */
static int lower_limit(int what, rlim_t value, const char *name, struct err *err)
{
	struct rlimit r;
	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return err_sys(err, "getrlimit %s", name);
	if (r.rlim_max != RLIM_INFINITY && value > r.rlim_max)
		value = r.rlim_max;
	r = (struct rlimit){value, value};
	return setrlimit((__rlimit_resource_t)what, &r) < 0 ? err_sys(err, "setrlimit %s", name) : 0;
}

static int lay_limits(const struct sandbox_profile *p, struct err *err)
{
	rlim_t memory = (rlim_t)(p->memory ? p->memory : DEFAULT_MEMORY_MIB) << 20;
	rlim_t fsize = p->fsize == (unsigned long)-1 ? RLIM_INFINITY : p->fsize;
	int r;

	if ((r = lower_limit(RLIMIT_CORE, 0, "core", err)) < 0 ||
	    (r = lower_limit(RLIMIT_NOFILE, p->nofile ? p->nofile : DEFAULT_NOFILE, "nofile", err)) < 0)
		return r;
	if (!SANITIZED && (r = lower_limit(RLIMIT_DATA, memory, "data", err)) < 0)
		return r;
	return p->exec ? 0 : lower_limit(RLIMIT_FSIZE, fsize, "fsize", err);
}

/* All capabilities but the two that a session zygote needs; those too are fenced by seccomp to ordinary ids. */
static int lay_capabilities(const struct sandbox_profile *p, struct err *err)
{
	static const cap_value_t zygote[] = {CAP_SETUID, CAP_SETGID};
	cap_t caps = cap_init();
	int r = 0;

	if (caps == NULL)
		return err_sys(err, "cap_init");
	if (p->becomes_user && (cap_set_flag(caps, CAP_PERMITTED, 2, zygote, CAP_SET) < 0 ||
				   cap_set_flag(caps, CAP_EFFECTIVE, 2, zygote, CAP_SET) < 0))
		r = err_sys(err, "cap_set_flag");
	if (r == 0 && cap_set_proc(caps) < 0)
		r = err_sys(err, "drop capabilities");
	cap_free(caps);
	if (r == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		r = err_sys(err, "clear ambient capabilities");
	return r;
}

int sandbox_enter(const struct sandbox_profile *p, const struct sandbox_args *args, char *missing, struct err *err)
{
	int r;

	missing[0] = '\0';
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "no_new_privs");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, "non-dumpable");
	if ((r = lay_capabilities(p, err)) < 0 || (r = lay_limits(p, err)) < 0)
		return r;
	if (!p->no_landlock && (r = sandbox_landlock(p, args, missing, err)) < 0)
		return r;
	return sandbox_seccomp(p, args, err);
}
