/*
 * seccomp.c - system-call filters.  Every program loses what no mail program needs (debugging, kernel modules, mounts,
 * namespaces, io_uring, keyrings...); network, exec, fork and changes of identity only stay where the profile asks.
 * A refused call fails with EPERM.
 */
#include "sandbox/sandbox_priv.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define REFUSE SCMP_ACT_ERRNO(EPERM)

static const int never[] = {SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount),
    SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount),
    SCMP_SYS(fsconfig), SCMP_SYS(fspick), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns),
    SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
    SCMP_SYS(quotactl), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(personality), SCMP_SYS(kcmp),
    SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(iopl),
    SCMP_SYS(ioperm), SCMP_SYS(modify_ldt), SCMP_SYS(lookup_dcookie), SCMP_SYS(syslog), SCMP_SYS(vhangup),
    SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(fanotify_init), SCMP_SYS(memfd_secret), SCMP_SYS(pidfd_send_signal), SCMP_SYS(mount_setattr),
    SCMP_SYS(quotactl_fd)};
static const int identity[] = {
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setfsuid), SCMP_SYS(setfsgid)};
static const int commands[] = {SCMP_SYS(execve), SCMP_SYS(execveat)};
static const int make_process[] = {SCMP_SYS(fork), SCMP_SYS(vfork)};
static const int signals[] = {SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo), SCMP_SYS(rt_tgsigqueueinfo)};

/* A new namespace would give back what was dropped; unshare and setns are refused, clone3 is not there. */
static const unsigned namespaces[] = {
    CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};

static int refuse_all(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(ctx, REFUSE, calls[i], 0);
		if (r < 0 && r != -EINVAL) /* EINVAL: not a call of this architecture */
			return r;
	}
	return 0;
}

static int add_network(scmp_filter_ctx ctx, enum sandbox_net net)
{
	int r = 0;
	if (net == SANDBOX_NET_NONE || net == SANDBOX_NET_UNIX) {
		r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_NE, AF_UNIX));
		if (r == 0 && net == SANDBOX_NET_NONE) {
			static const int calls[] = {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen)};
			r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
			if (r == 0)
				r = refuse_all(ctx, calls, ARRAY_LEN(calls));
		}
		return r;
	}
	/* Internet sockets of the plain kinds only: MPTCP and others would slip past Landlock's TCP rules. */
	r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET6));
	for (int f = AF_UNIX; r == 0 && f <= AF_INET6; f++) {
		bool ok = f == AF_INET || f == AF_INET6 || f == AF_UNIX;
		if (!ok)
			r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)f));
	}
	if (r == 0)
		r = seccomp_rule_add(
		    ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A2(SCMP_CMP_GT, 17)); /* above IPPROTO_UDP */
	/* Streams and datagrams only: SEQPACKET is SCTP, 6 is DCCP, with protocol 0 too. */
	for (scmp_datum_t type = 0; r == 0 && type <= 15; type++) {
		if (type == SOCK_STREAM || type == SOCK_DGRAM)
			continue;
		r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET),
		    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, type));
		if (r == 0)
			r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_INET6),
			    SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, type));
	}
	if (r == 0 && net == SANDBOX_NET_OUT_TCP) {
		r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(socket), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM));
		if (r == 0)
			r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(listen), 0);
	}
	return r;
}

/* The zygote: setresuid and setresgid with all three ids at or above the floor; setgroups only to drop all groups. */
static int add_identity(scmp_filter_ctx ctx, const struct sandbox_profile *p, const struct sandbox_args *args)
{
	int r = refuse_all(ctx, identity, ARRAY_LEN(identity));
	if (r < 0)
		return r;
	for (unsigned arg = 0; arg < 3 && r == 0; arg++) {
		unsigned uid = p->becomes_user ? args->min_uid : UINT32_MAX,
			 gid = p->becomes_user ? args->min_gid : UINT32_MAX;
		r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(setresuid), 1, SCMP_CMP(arg, SCMP_CMP_LT, uid));
		if (r == 0)
			r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(setresgid), 1, SCMP_CMP(arg, SCMP_CMP_LT, gid));
		if (r == 0 && p->becomes_user) { /* (uid_t)-1 means "keep": it would keep the zygote's own */
			r = seccomp_rule_add(
			    ctx, REFUSE, SCMP_SYS(setresuid), 1, SCMP_CMP(arg, SCMP_CMP_GE, UINT32_MAX));
			if (r == 0)
				r = seccomp_rule_add(
				    ctx, REFUSE, SCMP_SYS(setresgid), 1, SCMP_CMP(arg, SCMP_CMP_GE, UINT32_MAX));
		}
	}
	if (r == 0)
		r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(setgroups), 1, SCMP_A0(SCMP_CMP_NE, 0));
	return r;
}

static int add_processes(scmp_filter_ctx ctx, const struct sandbox_profile *p)
{
	int r = 0;
	if (!p->exec)
		r = refuse_all(ctx, commands, ARRAY_LEN(commands));
	if (r == 0 && !p->fork && !p->exec && !p->becomes_user) {
		r = refuse_all(ctx, make_process, ARRAY_LEN(make_process));
		if (r ==
		    0) /* threads are clone with CLONE_THREAD; clone3 hides its flags, glibc falls back on ENOSYS */
			r = seccomp_rule_add(
			    ctx, REFUSE, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	}
	for (size_t i = 0; i < ARRAY_LEN(namespaces) && r == 0; i++)
		r = seccomp_rule_add(
		    ctx, REFUSE, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0 && !p->threads && !p->fork && !p->exec && !p->becomes_user)
		r = seccomp_rule_add(
		    ctx, REFUSE, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = refuse_all(ctx, signals, ARRAY_LEN(signals));
	if (r == 0 && !p->fork && !p->exec && !p->becomes_user) {
		r = seccomp_rule_add(ctx, REFUSE, SCMP_SYS(kill), 0);
		if (r == 0) /* abort() signals itself; others of the same user are out of reach */
			r = seccomp_rule_add(
			    ctx, REFUSE, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid()));
	}
	return r;
}

int sandbox_seccomp(const struct sandbox_profile *p, const struct sandbox_args *args, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (ctx == NULL)
		return err_set(err, ERR_SYS, "seccomp_init failed");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if ((r = refuse_all(ctx, never, ARRAY_LEN(never))) < 0 || (r = add_network(ctx, p->net)) < 0 ||
	    (r = add_identity(ctx, p, args)) < 0 || (r = add_processes(ctx, p)) < 0 || (r = seccomp_load(ctx)) < 0) {
		seccomp_release(ctx);
		errno = -r;
		return err_sys(err, "seccomp");
	}
	seccomp_release(ctx);
	return 0;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQ(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))

/*
 * Written out, for it is laid at every login and libseccomp takes longer than the rest of the start.  The zygote's
 * filter holds beside it: other architectures end the process there, clone3 is not there, tkill is refused.
 */
int sandbox_no_children(struct err *err)
{
	struct sock_filter code[] = {
	    LOAD(nr),
	    IF_EQ(SYS_clone, 5, 0),
	    IF_EQ(SYS_tgkill, 6, 0),
	    IF_EQ(SYS_kill, 7, 0),
#ifdef SYS_fork
	    IF_EQ(SYS_fork, 6, 0),
	    IF_EQ(SYS_vfork, 5, 0),
#else
	    BPF_STMT(BPF_MISC | BPF_TAX, 0),
	    BPF_STMT(BPF_MISC | BPF_TAX, 0),
#endif
	    RETURN(SECCOMP_RET_ALLOW),
	    /* clone: threads only */
	    LOAD(args[0]),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 3, 2),
	    /* tgkill: itself, for abort() */
	    LOAD(args[0]),
	    IF_EQ((uint32_t)getpid(), 1, 0),
	    RETURN(SECCOMP_RET_ERRNO | EPERM),
	    RETURN(SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? err_sys(err, "seccomp of a session") : 0;
}
