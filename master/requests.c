/* requests.c - what processes ask of master: connections by the switchboard's table, session grants, their load. */
#include <fcntl.h>
#include <sys/socket.h>

#include "base/num.h"
#include "master/master.h"

static void answer(struct chan *c, const struct msg *request, uint16_t type, int status, int fd)
{
	struct msg_out out = MSG_OUT_INIT;
	put_i64(&out, status);
	if (fd >= 0)
		put_fd(&out, fd);
	if (chan_out_len(c) > CONTROL_BACKLOG || chan_send(c, type, MA_VERSION, request->id, &out) < 0) {
		struct process *p = chan_arg(c);
		log_error("%s[%d] does not read the answers that it asks for: process ended", p->service->class->name,
		    (int)p->pid);
		process_kill(p);
	}
	msg_out_free(&out);
}

/* A process that hangs gets no more than it can be expected to take up again: each connection is a descriptor here. */
int deliver_peer(struct process *p, const struct ma_peer *who, int fd)
{
	struct msg_out out = MSG_OUT_INIT;
	if (chan_out_len(p->control) > CONTROL_BACKLOG)
		return ERR_TEMP;
	ma_put_peer(&out, who);
	put_fd(&out, fd);
	int r = chan_send(p->control, MA_PEER, MA_VERSION, 0, &out);
	msg_out_free(&out);
	return r < 0 ? ERR_TEMP : 0;
}

/* Connections that one process may ask for: CONNECT_BURST at once, CONNECT_EVERY_MS apart in the long run. */
static bool within_rate(struct process *p)
{
	uint64_t now = ev_now(p->m->ev);
	if (p->connect_due < now)
		p->connect_due = now;
	if (p->connect_due - now > (uint64_t)CONNECT_BURST * CONNECT_EVERY_MS)
		return false;
	p->connect_due += CONNECT_EVERY_MS;
	return true;
}

/* --- connections that wait for a process --- */

static int keep_waiting(struct service *s, const struct ma_peer *who, struct sv target, int fd)
{
	size_t own = 0;
	for (const struct waiting *w = s->waiting; w != NULL; w = w->next)
		own += w->who.process == who->process;
	if (s->nwaiting == SERVICE_WAITING || own >= CALLER_WAITING)
		return ERR_LIMIT;
	struct waiting *w = xcalloc(1, sizeof(*w));
	snprintf(w->program, sizeof(w->program), SV_FMT, SV_ARG(who->program));
	snprintf(w->service, sizeof(w->service), SV_FMT, SV_ARG(who->service));
	snprintf(w->extra, sizeof(w->extra), SV_FMT, SV_ARG(who->extra));
	snprintf(w->target, sizeof(w->target), SV_FMT, SV_ARG(target));
	w->who = (struct ma_peer){.program = sv_str(w->program),
	    .service = sv_str(w->service),
	    .extra = sv_str(w->extra),
	    .process = who->process,
	    .pid = who->pid};
	w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (w->fd < 0) {
		free(w);
		return ERR_LIMIT;
	}
	*s->waiting_tail = w;
	s->waiting_tail = &w->next;
	s->nwaiting++;
	return 0;
}

void service_flush_waiting(struct service *s, struct process *p)
{
	for (struct waiting **at = &s->waiting; *at != NULL;) {
		struct waiting *w = *at;
		if (strcmp(w->target, p->target) != 0) {
			at = &w->next;
			continue;
		}
		(void)deliver_peer(p, &w->who, w->fd); /* not taken: the caller sees it closed */
		*at = w->next;
		s->nwaiting--;
		close(w->fd);
		free(w);
	}
	s->waiting_tail = &s->waiting;
	while (*s->waiting_tail != NULL)
		s->waiting_tail = &(*s->waiting_tail)->next;
}

/* --- finding the process that a request is for --- */

static struct process *best_process(struct service *s, const char *target)
{
	struct process *best = NULL;
	for (struct process *p = s->procs; p != NULL; p = p->next) {
		if (p->state == PROC_DRAINING || strcmp(p->target, target) != 0)
			continue;
		if (best == NULL || p->sessions < best->sessions)
			best = p;
	}
	return best;
}

/* "UID:GID" of an ordinary user, or of default_privs: nobody becomes root or a system user. */
static bool identity_allowed(struct master *m, struct sv target)
{
	struct sv rest = target;
	uint64_t uid, gid;
	struct sv u = sv_cut(&rest, ":");
	return rest.p != NULL && num_range(u, config_num(m, "first_valid_uid"), INT32_MAX, &uid) == 0 &&
	       num_range(rest, config_num(m, "first_valid_gid"), INT32_MAX, &gid) == 0;
}

static int connect_service(struct service *s, const struct ma_peer *who, struct sv target, int fd)
{
	CLEANUP(freep) char *name = sv_dup(s->class->target == TARGET_IDENTITY ? target : SV(""));
	struct process *p = best_process(s, name);
	struct err err;

	if (p == NULL && s->class->target == TARGET_IDENTITY && !ev_timer_active(&s->restart) && !s->m->stopping) {
		p = spawn_process(s, name, &err);
		if (p == NULL) {
			log_error("%s", err.text);
			return ERR_TEMP;
		}
	}
	if (p == NULL)
		return keep_waiting(s, who, sv_str(name), fd);
	return deliver_peer(p, who, fd);
}

static int make_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
}

static struct ma_peer stamp(const struct process *p)
{
	return (struct ma_peer){.program = sv_str(p->service->class->name),
	    .service = sv_str(p->service->name),
	    .process = p->number,
	    .pid = (uint64_t)p->pid,
	    .extra = sv_str(p->target)};
}

/* A session: the grant decides whose; the zygote gets the stream to login and a connection to anvil. */
static int start_session(struct process *login, struct sv key, int *out)
{
	struct master *m = login->m;
	CLEANUP(freep) struct grant *g = grant_take(m, key, login->number);
	CLEANUP(fd_closep) int to_login = -1;
	CLEANUP(fd_closep) int to_anvil = -1;
	int pair[2];

	if (strcmp(login->service->class->name, "login") != 0 || g == NULL)
		return ERR_DENIED;
	struct service *zygote = service_find(m, swb_find(sv_str(g->service)), SV(""));
	struct process *p = zygote != NULL ? best_process(zygote, "") : NULL;
	struct service *anvil = service_find(m, swb_find(SV("anvil")), SV(""));
	if (p == NULL || make_pair(pair) < 0)
		return ERR_TEMP;
	to_login = pair[0];
	CLEANUP(fd_closep) int session_end = pair[1];
	if (make_pair(pair) < 0)
		return ERR_TEMP;
	to_anvil = pair[0];
	CLEANUP(fd_closep) int anvil_end = pair[1];
	struct ma_peer who = stamp(p);
	who.extra = sv_str(g->user);
	if (anvil != NULL)
		connect_service(anvil, &who, SV(""), anvil_end); /* without anvil the session polls */

	struct ma_session s = {.session = ++m->last_session,
	    .user = sv_str(g->user),
	    .uid = g->uid,
	    .gid = g->gid,
	    .folder = sv_str(g->folder)};
	struct msg_out msg = MSG_OUT_INIT;
	ma_put_session(&msg, &s);
	put_fd(&msg, session_end);
	put_fd(&msg, to_anvil);
	int r = chan_send(p->control, MA_SESSION, MA_VERSION, 0, &msg);
	msg_out_free(&msg);
	if (r < 0)
		return ERR_TEMP;
	*out = to_login;
	to_login = -1; /* NOLINT(clang-analyzer-deadcode.DeadStores): so that CLEANUP does not close it */
	return 0;
}

static int connect_class(struct process *p, struct sv class, struct sv target, int *out)
{
	struct master *m = p->m;
	const struct swb_class *callee = swb_find(class);
	int pair[2];

	if (sv_eqs(class, "session"))
		return start_session(p, target, out);
	if (callee == NULL || !swb_allowed(callee, p->service->class->name) ||
	    (callee->target == TARGET_NONE && target.n > 0) ||
	    (callee->target == TARGET_IDENTITY && !identity_allowed(m, target))) {
		log_error("%s[%d] asks for a connection to " SV_FMT " " SV_FMT ": not in the switchboard's table",
		    p->service->class->name, (int)p->pid, SV_ARG(class), SV_ARG(target));
		return ERR_DENIED;
	}
	struct service *s = service_find(m, callee, callee->target == TARGET_SERVICE ? target : SV(""));
	if (s == NULL)
		return ERR_NOT_FOUND;
	if (!within_rate(p))
		return ERR_LIMIT;
	if (make_pair(pair) < 0)
		return ERR_TEMP;
	struct ma_peer who = stamp(p);
	int r = connect_service(s, &who, target, pair[1]);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return r;
	}
	*out = pair[0];
	return 0;
}

static int asked_connect(struct process *p, struct msg *m)
{
	struct sv class, target;
	int fd = -1;
	if (!get_text(m, &class, 64) || !get_svmax(m, &target, 128) || !msg_end(m))
		return ERR_PROTOCOL;
	int status = connect_class(p, class, target, &fd);
	answer(p->control, m, MA_CONNECTED, status, fd);
	fd_close(&fd);
	return 0;
}

static int asked_grant(struct process *p, struct msg *m)
{
	struct ma_grant g;
	if (!ma_get_grant(m, &g))
		return ERR_PROTOCOL;
	int status = grant_add(p->m, &g);
	if (status < 0)
		log_error("auth asks for a session of %.*s as uid %llu gid %llu: %s", SV_ARG(g.user),
		    (unsigned long long)g.uid, (unsigned long long)g.gid, err_name(status));
	answer(p->control, m, MA_GRANTED, status, -1);
	return 0;
}

static int told_ready(struct process *p, struct msg *m)
{
	if (p->state != PROC_STARTING || !get_bool(m, &p->reloads_in_place) || !msg_end(m))
		return ERR_PROTOCOL;
	p->state = PROC_READY;
	master_ready(p->m);
	return 0;
}

static int told_status(struct process *p, struct msg *m)
{
	uint64_t sessions, total;
	if (!get_u64(m, &sessions) || !get_u64(m, &total) || !get_bool(m, &p->full) || !msg_end(m))
		return ERR_PROTOCOL;
	p->sessions = sessions;
	service_ensure(p->service);
	return 0;
}

/* The table of what a process may say; `from` NULL: every class. */
static const struct {
	uint16_t type;
	const char *from;
	int (*handle)(struct process *p, struct msg *m);
} requests[] = {{MA_READY, NULL, told_ready}, {MA_STATUS, NULL, told_status}, {MA_CONNECT, NULL, asked_connect},
    {MA_GRANT, "auth", asked_grant}};

void process_msg(struct chan *c ATTR_UNUSED, struct msg *m, void *arg)
{
	struct process *p = arg;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		if (requests[i].type != m->type)
			continue;
		if ((requests[i].from == NULL || strcmp(requests[i].from, p->service->class->name) == 0) &&
		    requests[i].handle(p, m) == 0)
			return;
		break;
	}
	if (p->killed)
		return;
	log_error("%s[%d] sent a request that it may not make (type %u): process ended", p->service->class->name,
	    (int)p->pid, m->type);
	process_kill(p);
}
