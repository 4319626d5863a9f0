/* daemon.c - start order, control channel, listeners, drain; see daemon.h. */
#include "daemon/daemon_priv.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include "ipc/api_master.h"

#define STATUS_EVERY_MS 1000 /* how often a changed load is reported to master */
#define ACCEPT_PAUSE_MS 1000 /* after accept failed for want of descriptors or memory */
#define TARGET_IDLE_MS 10000 /* a process for one user ends when nobody is connected for that long */

struct ev *daemon_ev(struct daemon *d)
{
	return d->ev;
}

const struct conf *daemon_conf(struct daemon *d)
{
	return d->conf;
}

const char *daemon_service(struct daemon *d)
{
	return d->service;
}

const char *daemon_role(struct daemon *d)
{
	return d->role;
}

const char *daemon_target(struct daemon *d)
{
	return d->target;
}

uint64_t daemon_process(struct daemon *d)
{
	return d->process;
}

void *daemon_state(struct daemon *d)
{
	return d->state;
}

void daemon_set_state(struct daemon *d, void *state)
{
	d->state = state;
}

bool daemon_stopping(const struct daemon *d)
{
	return d->stopping;
}

bool daemon_draining(const struct daemon *d)
{
	return d->draining;
}

void daemon_stop(struct daemon *d, int status)
{
	d->status = status;
	ev_stop(d->ev);
}

/* --- load and drain --- */

static void send_status(struct daemon *d)
{
	struct msg_out m = MSG_OUT_INIT;
	put_u64(&m, (uint64_t)(d->busy < 0 ? 0 : d->busy));
	put_u64(&m, d->total);
	put_bool(&m, d->status_sent_full);
	chan_send(d->master, MA_STATUS, MA_VERSION, 0, &m);
	msg_out_free(&m);
}

static void status_due(struct ev_timer *t)
{
	send_status(container_of(t, struct daemon, status_timer));
}

static bool is_full(const struct daemon *d)
{
	return d->session_limit > 0 && (uint64_t)d->busy >= d->session_limit;
}

static void end_if_drained(struct daemon *d)
{
	if (d->draining && d->busy <= 0)
		daemon_stop(d, 0);
}

static void start_drain(struct daemon *d)
{
	if (d->draining)
		return;
	d->draining = true;
	daemon_update_accepting(d);
	/* A listening socket that is open here keeps its port bound and clients waiting for as long as the drain takes.
	 */
	for (size_t i = 0; i < d->nlisteners; i++)
		fd_close(&d->listeners[i].pub.fd);
	d->nlisteners = 0;
	ev_timer_stop(&d->accept_pause);
	if (d->def->on_drain != NULL)
		d->def->on_drain(d);
	end_if_drained(d);
}

void daemon_busy(struct daemon *d, int delta)
{
	d->busy += delta;
	if (delta > 0)
		d->total += (uint64_t)delta;
	bool full = is_full(d);
	if (full != d->status_sent_full) { /* master starts another process, or need not any more */
		d->status_sent_full = full;
		send_status(d);
		daemon_update_accepting(d);
	} else if (!ev_timer_active(&d->status_timer)) {
		ev_timer_start(d->ev, &d->status_timer, STATUS_EVERY_MS, status_due);
	}
	if (d->max_use > 0 && d->total >= d->max_use)
		start_drain(d);
	end_if_drained(d);
}

static void idle_due(struct ev_timer *t)
{
	struct daemon *d = container_of(t, struct daemon, idle_timer);
	if (d->serve_count == 0 && d->busy <= 0)
		daemon_stop(d, 0);
}

void daemon_idle_check(struct daemon *d)
{
	if (d->target[0] == '\0')
		return;
	if (d->serve_count == 0)
		ev_timer_start(d->ev, &d->idle_timer, TARGET_IDLE_MS, idle_due);
	else
		ev_timer_stop(&d->idle_timer);
}

/* --- listeners --- */

static void accept_again(struct ev_timer *t)
{
	daemon_update_accepting(container_of(t, struct daemon, accept_pause));
}

static void accept_ready(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct daemon_listener *l = container_of(io, struct daemon_listener, io);
	struct daemon *d = l->d;

	for (int i = 0; i < DAEMON_ACCEPT_TURN && d->accepting; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		memset(&from, 0, sizeof(from));
		int fd = accept4(l->pub.fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
				/* The client stays in the queue and the socket ready: without a pause the loop spins.
				 */
				log_warn(
				    "accept on %s: %s: no client for %d ms", l->name, strerror(errno), ACCEPT_PAUSE_MS);
				ev_timer_start(d->ev, &d->accept_pause, ACCEPT_PAUSE_MS, accept_again);
				daemon_update_accepting(d);
			}
			return;
		}
		d->def->on_accept(d, &l->pub, fd, &from);
	}
}

void daemon_update_accepting(struct daemon *d)
{
	d->accepting =
	    d->ready && !d->draining && !is_full(d) && d->def->on_accept != NULL && !ev_timer_active(&d->accept_pause);
	for (size_t i = 0; i < d->nlisteners; i++) {
		struct daemon_listener *l = &d->listeners[i];
		if (d->accepting && l->io.ev == NULL) {
			/* Exclusive: one process of the service is woken per connection, not all. */
			BUG_ON(ev_io_start(d->ev, &l->io, l->pub.fd, EPOLLIN | EPOLLEXCLUSIVE, accept_ready) < 0);
		} else if (!d->accepting && l->io.ev != NULL) {
			ev_io_stop(&l->io);
		}
	}
}

static int got_listener(struct daemon *d, struct msg *m)
{
	struct ma_listener in;
	if (!ma_get_listener(m, &in) || m->nfds != 1 || d->nlisteners == DAEMON_LISTENERS)
		return ERR_PROTOCOL;
	if (d->draining)
		return 0;
	struct daemon_listener *l = &d->listeners[d->nlisteners++];
	memset(l, 0, sizeof(*l));
	l->d = d;
	snprintf(l->name, sizeof(l->name), SV_FMT, SV_ARG(in.name));
	l->pub = (struct listener){.name = l->name, .is_inet = in.is_inet, .fd = msg_take_fd(m)};
	fcntl(l->pub.fd, F_SETFL, fcntl(l->pub.fd, F_GETFL) | O_NONBLOCK);
	daemon_update_accepting(d);
	return 0;
}

/* --- requests to master --- */

void daemon_request(struct daemon *d, uint16_t type, const struct msg_out *m, daemon_connected *done, void *arg)
{
	struct master_call *call = xcalloc(1, sizeof(*call));
	if (++d->last_id == 0)
		d->last_id = 1;
	*call = (struct master_call){.id = d->last_id, .done = done, .arg = arg, .next = d->calls};
	d->calls = call;
	if (chan_send(d->master, type, MA_VERSION, call->id, m) < 0)
		daemon_stop(d, 1); /* master does not read: without it nothing can go on */
}

void daemon_connect(struct daemon *d, const char *program, struct sv target, daemon_connected *done, void *arg)
{
	struct msg_out m = MSG_OUT_INIT;
	put_str(&m, program);
	put_sv(&m, target);
	daemon_request(d, MA_CONNECT, &m, done, arg);
	msg_out_free(&m);
}

static int got_answer(struct daemon *d, struct msg *m)
{
	int64_t status;
	if (!get_i64(m, &status) || !msg_end(m) || status > 0 || status < ERR_UNSUPPORTED)
		return ERR_PROTOCOL;
	for (struct master_call **at = &d->calls; *at != NULL; at = &(*at)->next) {
		struct master_call *call = *at;
		if (call->id != m->id)
			continue;
		*at = call->next;
		call->done(call->arg, (int)status, status == 0 ? msg_take_fd(m) : -1);
		free(call);
		return 0;
	}
	return ERR_PROTOCOL;
}

/* --- messages from master --- */

static void copy_name(char to[64], struct sv from)
{
	snprintf(to, 64, SV_FMT, SV_ARG(from));
}

/* <program>_session_limit and <program>_max_use, where the program has them; 0: no limit. */
static uint64_t own_limit(struct daemon *d, const char *suffix)
{
	char name[100];
	snprintf(name, sizeof(name), "%s_%s", d->def->program, suffix);
	return conf_has(d->conf, name) ? conf_int(d->conf, name) : 0;
}

static void read_limits(struct daemon *d)
{
	d->session_limit = own_limit(d, "session_limit");
	d->max_use = own_limit(d, "max_use");
}

static const char *sandbox_param(void *ctx, const char *name)
{
	struct daemon *d = ctx;
	return conf_str(d->conf, name);
}

static int enter_cage(struct daemon *d, struct err *err)
{
	char missing[128];
	struct sandbox_args args = {.param = sandbox_param, .ctx = d};

	if (d->def->profile->becomes_user) {
		args.min_uid = (unsigned)conf_int(d->conf, "first_valid_uid");
		args.min_gid = (unsigned)conf_int(d->conf, "first_valid_gid");
	}
	int r = sandbox_enter(d->def->profile, &args, missing, err);
	if (r == 0 && missing[0] != '\0')
		log_warn("this kernel has not all layers of the cage: %s missing", missing);
	return r;
}

static int got_hello(struct daemon *d, struct msg *m)
{
	struct ma_hello h;
	struct err err;

	if (d->conf != NULL || m->nfds < 1 || !ma_get_hello(m, &h) || !sv_eqs(h.program, d->def->program))
		return ERR_PROTOCOL;
	copy_name(d->program, h.program);
	copy_name(d->service, h.service);
	copy_name(d->role, h.role);
	copy_name(d->target, h.target);
	d->process = h.process;
	clock_set_offset(h.clock_offset);
	CLEANUP(fd_closep) int params = msg_take_fd(m);
	CLEANUP(freep) char *ident = sv_dup(h.log_ident);
	log_open(ident, (enum log_sink)h.log_sink, msg_take_fd(m));
	log_set_verbose(h.verbose);
	tzset(); /* the zone's file is out of reach in the cage */
	if (conf_from_fd(params, &d->conf, &err) < 0 || (d->def->start != NULL && d->def->start(d, &err) < 0) ||
	    enter_cage(d, &err) < 0)
		log_fatal("%s", err.text);
	read_limits(d);
	d->ready = true;
	struct msg_out out = MSG_OUT_INIT;
	put_bool(&out, d->def->on_reload != NULL);
	chan_send(d->master, MA_READY, MA_VERSION, 0, &out);
	msg_out_free(&out);
	daemon_update_accepting(d);
	daemon_idle_check(d);
	return 0;
}

static int got_peer(struct daemon *d, struct msg *m)
{
	struct ma_peer p;
	struct caller who = {.process = 0};

	if (!ma_get_peer(m, &p) || m->nfds != 1 || d->def->on_peer == NULL)
		return ERR_PROTOCOL;
	snprintf(who.program, sizeof(who.program), SV_FMT, SV_ARG(p.program));
	snprintf(who.service, sizeof(who.service), SV_FMT, SV_ARG(p.service));
	snprintf(who.extra, sizeof(who.extra), SV_FMT, SV_ARG(p.extra));
	who.process = p.process;
	who.pid = (pid_t)p.pid;
	if (serve_too_many(d, &who))
		return 0;
	d->def->on_peer(d, msg_take_fd(m), &who);
	return 0;
}

/* New parameters: a file of them that does not load, or that the program refuses, leaves the old ones in force. */
static int got_reload(struct daemon *d, struct msg *m)
{
	struct err err;
	struct conf *fresh, *old = d->conf;
	CLEANUP(fd_closep) int fd = msg_take_fd(m);

	if (fd < 0 || !msg_end(m) || d->def->on_reload == NULL)
		return ERR_PROTOCOL;
	if (conf_from_fd(fd, &fresh, &err) < 0) {
		log_error("reload: %s; the old parameters stay in force", err.text);
		return 0;
	}
	d->conf = fresh;
	if (d->def->on_reload(d, &err) < 0) {
		log_error("reload: %s; the old parameters stay in force", err.text);
		d->conf = old;
		old = fresh;
	}
	conf_free(&old);
	read_limits(d);
	daemon_update_accepting(d);
	return 0;
}

static int got_drain(struct daemon *d, struct msg *m)
{
	bool stopping;
	if (!get_bool(m, &stopping) || !msg_end(m))
		return ERR_PROTOCOL;
	d->stopping = stopping;
	start_drain(d);
	return 0;
}

static void on_master_msg(struct chan *c ATTR_UNUSED, struct msg *m, void *arg)
{
	struct daemon *d = arg;
	int r = 0;

	if (d->conf == NULL && m->type != MA_HELLO)
		r = ERR_PROTOCOL;
	else if (m->type == MA_HELLO)
		r = got_hello(d, m);
	else if (m->type == MA_LISTENER)
		r = got_listener(d, m);
	else if (m->type == MA_PEER)
		r = got_peer(d, m);
	else if (m->type == MA_CONNECTED || m->type == MA_GRANTED)
		r = got_answer(d, m);
	else if (m->type == MA_RELOAD)
		r = got_reload(d, m);
	else if (m->type == MA_DRAIN)
		r = got_drain(d, m);
	else if (d->def->on_order != NULL)
		d->def->on_order(d, m);
	else
		r = ERR_PROTOCOL;
	if (r < 0) {
		log_error("master sent an order that cannot be: type %u", m->type);
		daemon_stop(d, 1);
	}
}

static void on_master_gone(struct chan *c ATTR_UNUSED, const struct err *why, void *arg)
{
	struct daemon *d = arg;
	if (why->code != ERR_CLOSED) { /* out of descriptors, most likely */
		log_error("the control channel: %s", why->text);
		daemon_stop(d, 1);
		return;
	}
	log_flush();
	daemon_stop(d, 0); /* master's end is ours; what was acknowledged is on disk */
}

static void on_signal(struct ev_signal *s, int signo)
{
	struct daemon *d = container_of(s, struct daemon, signals);
	if (signo == SIGTERM)
		daemon_stop(d, 0);
}

int daemon_main(int argc ATTR_UNUSED, char **argv, const struct daemon_def *def)
{
	static const int signos[] = {SIGTERM, SIGINT, SIGHUP};
	struct daemon *d = xcalloc(1, sizeof(*d));
	int type;
	socklen_t len = sizeof(type);

	log_open(def->program, LOG_SINK_STDERR, -1);
	if (getsockopt(MA_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
		fprintf(stderr, "%s: this program is started by master(8), not by hand\n", argv[0]);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a write past RLIMIT_FSIZE fails with EFBIG: no reason to die */
	d->def = def;
	d->ev = ev_new();
	BUG_ON(ev_signal_start(d->ev, &d->signals, signos, ARRAY_LEN(signos), on_signal) < 0);
	d->master = chan_new(d->ev, MA_CONTROL_FD, 0, on_master_msg, on_master_gone, d);
	while (ev_turn(d->ev, log_wait_ms()))
		log_flush();
	serve_all_closed(d);
	if (d->master != NULL)
		chan_flush(d->master);
	log_flush();
	return d->status;
}
