/* zygote.c - the parent of sessions: takes master's orders, forks, counts; see zygote.h. */
#include "daemon/zygote.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sys/wait.h>

#include "base/fsutil.h"
#include "daemon/daemon_priv.h"
#include "daemon/zygote_priv.h"
#include "ipc/api_master.h"

#define BOOT_ENV "MERPATI_BOOT_ID" /* lib/store reads it: in its cage a session cannot open /proc */

/* The skeleton's table with the program's own behind it, so that a callback finds it from the daemon. */
struct zygote_main {
	struct daemon_def daemon;
	const struct zygote_def *def;
};

struct zygote {
	int life; /* writing end of the pipe whose hang-up ends all children */
	int life_read;
	unsigned min_uid, min_gid;
	const char *readable;
	bool plugged; /* plug_heap was done since the last change of parameters */
};

#define PLUG_LARGEST 8192    /* bytes of the greatest free piece that is taken out of use */
#define PLUG_HEAP (16 << 20) /* what lies further from the end of the heap is no part of it */

struct child {
	struct ev_child child;
	struct daemon *d;
	uint64_t number;
	char user[];
};

static const struct sandbox_profile profile = {
    .net = SANDBOX_NET_NONE,
    .fork = 1,
    .becomes_user = 1,
    .no_landlock = 1, /* each child shuts itself into its account's folder before it reads a byte */
    .nofile = 16384,  /* a descriptor of each child's end */
    .fsize = ULONG_MAX,
};

static const struct zygote_def *def_of(struct daemon *d)
{
	return container_of(d->def, struct zygote_main, daemon)->def;
}

static int warm(struct daemon *d, struct err *err)
{
	const struct zygote_def *def = def_of(d);
	struct zygote *z = daemon_state(d);

	z->plugged = false;
	return def->warm ? def->warm(d, err) : 0;
}

/*
 * Every page that a child writes to becomes its own.  What start-up has freed lies scattered over the heap, and a
 * child's first allocations would take from it and dirty a page each.  So all of it is allocated here, once, and never
 * used: children then allocate from the end of the heap, one page after another.
 */
static void plug_heap(void)
{
	char *top;

	malloc_trim(0);
	top = (char *)sbrk(0) - mallinfo2().keepcost;
	for (size_t size = PLUG_LARGEST; size >= 16; size -= size > 1024 ? 256 : 16) {
		for (;;) {
			char *volatile p = malloc(size);

			if (p && p < top && p > top - PLUG_HEAP)
				continue;
			free(p);
			break;
		}
	}
}

static void note_boot_id(void)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(64);

	if (!fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b, NULL) && b.n >= 36) {
		b.n = 36;
		(void)setenv(BOOT_ENV, buf_cstr(&b), 1);
	}
}

static int start(struct daemon *d, struct err *err)
{
	struct zygote *z = xcalloc(1, sizeof(*z));
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
		return err_sys(err, "pipe");
	z->life_read = fd[0];
	z->life = fd[1];
	z->min_uid = (unsigned)conf_int(daemon_conf(d), "first_valid_uid");
	z->min_gid = (unsigned)conf_int(daemon_conf(d), "first_valid_gid");
	daemon_set_state(d, z);
	note_boot_id();
	z->readable = def_of(d)->readable ? def_of(d)->readable() : NULL;
	return warm(d, err);
}

static void child_ended(struct ev_child *ec, int status)
{
	struct child *c = container_of(ec, struct child, child);

	if (WIFSIGNALED(status))
		log_error(
		    "session %llu of %s died of signal %d", (unsigned long long)c->number, c->user, WTERMSIG(status));
	daemon_busy(c->d, -1);
	free(c);
}

static void fork_session(struct daemon *d, struct session_start *s)
{
	struct zygote *z = daemon_state(d);
	size_t n = strlen(s->user) + 1;
	struct child *c = xcalloc(1, sizeof(*c) + n);
	pid_t pid;

	c->d = d;
	c->number = s->number;
	memcpy(c->user, s->user, n);
	if (!z->plugged) {
		z->plugged = true;
		plug_heap();
	}
	log_flush(); /* else the child would send the lines again */
	pid = fork();
	if (pid == 0)
		_exit(session_run(s));
	if (pid < 0 || ev_child_start(daemon_ev(d), &c->child, pid, child_ended) < 0) {
		log_error("cannot start a session for %s: %s", s->user, strerror(errno));
		free(c);
		return;
	}
	daemon_busy(d, 1);
}

static void on_order(struct daemon *d, struct msg *m)
{
	struct zygote *z = daemon_state(d);
	struct session_start s = {.def = def_of(d), .daemon = d};
	struct ma_session in;

	if (m->type != MA_SESSION || !ma_get_session(m, &in)) {
		log_error("master sent an order that cannot be: type %u", m->type);
		return;
	}
	s.stream = msg_take_fd(m);
	s.anvil = msg_take_fd(m);
	s.life = z->life_read;
	s.readable = z->readable;
	s.number = in.session;
	s.user = sv_dup(in.user);
	s.folder = sv_dup(in.folder);
	s.uid = (unsigned)in.uid;
	s.gid = (unsigned)in.gid;
	if (s.stream < 0 || in.uid < z->min_uid || in.uid > INT32_MAX || in.gid < z->min_gid || in.gid > INT32_MAX ||
	    sv_has_nul(in.folder) || s.folder[0] != '/')
		log_error("session %llu of %s: not started as uid %llu gid %llu in %s", (unsigned long long)in.session,
		    s.user, (unsigned long long)in.uid, (unsigned long long)in.gid, s.folder);
	else
		fork_session(d, &s);
	fd_close(&s.stream);
	fd_close(&s.anvil);
	free(s.user);
	free(s.folder);
}

static int on_reload(struct daemon *d, struct err *err)
{
	return warm(d, err);
}

static void on_drain(struct daemon *d)
{
	struct zygote *z = daemon_state(d);

	fd_close(&z->life);
}

int zygote_main(int argc, char **argv, const struct zygote_def *def)
{
	struct zygote_main zm = {
	    .daemon =
		{
		    .program = def->program,
		    .profile = &profile,
		    .start = start,
		    .on_order = on_order,
		    .on_reload = on_reload,
		    .on_drain = on_drain,
		},
	    .def = def,
	};

	return daemon_main(argc, argv, &zm.daemon);
}
