/*
 * anvil.c - counters, facts and wake-ups shared between processes.  It touches nothing outside itself; losing all that
 * it knows loses no mail.
 */
#include <sys/inotify.h>

#include "anvil/counters.h"
#include "anvil/facts.h"
#include "anvil/wakeups.h"
#include "daemon/daemon.h"
#include "ipc/api_anvil.h"

#define SWEEP_MS 5000
#define SWEEP_ENTRIES 20000 /* entries looked at per sweep */
#define WAKE_WAITING 2048   /* bytes waiting for a session that does not read: it has wake-ups enough */
#define EVENT_BUFFER 65536
#define EVENT_READS 16 /* buffers read per turn */

#define FRONT "smtpd login auth qmgr local local_file smtp cleanup"

struct anvil {
	struct daemon *d;
	struct counters *counters;
	struct facts *facts;
	struct wakeups *wakeups;
	int inotify;
	struct ev_io io;
	struct ev_timer sweep;
	uint64_t turn;
};

/* One connected process. */
struct client {
	struct anvil *a;
	struct serve_conn *conn;
	struct holder *holder;
	struct watcher *watcher; /* sessions only */
};

static uint64_t now_of(const struct anvil *a)
{
	return ev_now(daemon_ev(a->d));
}

static void reply(struct serve_conn *c, const struct msg *m, struct msg_out *out)
{
	if (chan_reply(c->chan, m, m->type, out))
		log_warn("%s[%d] does not read its answers", c->who.program, (int)c->who.pid);
	msg_out_free(out);
}

static int on_count(struct serve_conn *c, struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;
	struct client *cl = c->state;
	struct an_counted answer = {0};
	struct an_count q;

	if (!an_count_decode(m, &q))
		return ERR_PROTOCOL;
	answer.status = counters_add(cl->a->counters, cl->holder, q.kind, q.key, q.add, q.hold, q.window, now_of(cl->a),
	    &answer.rate, &answer.open);
	an_counted_encode(&out, &answer);
	reply(c, m, &out);
	return 0;
}

static int on_release(struct serve_conn *c, struct msg *m)
{
	struct client *cl = c->state;
	struct sv kind, key;
	uint32_t n;

	if (!an_release_decode(m, &kind, &key, &n))
		return ERR_PROTOCOL;
	counters_release(cl->a->counters, cl->holder, kind, key, n);
	return 0;
}

static int on_fact_set(struct serve_conn *c, struct msg *m)
{
	struct client *cl = c->state;
	struct an_fact f;

	if (!an_fact_decode(m, &f))
		return ERR_PROTOCOL;
	facts_set(cl->a->facts, f.kind, f.key, f.value, f.ttl, now_of(cl->a));
	return 0;
}

static int on_fact_get(struct serve_conn *c, struct msg *m)
{
	struct an_fact_reply r = {.status = ERR_NOT_FOUND};
	struct msg_out out = MSG_OUT_INIT;
	struct client *cl = c->state;
	struct sv kind, key;

	if (!an_fact_get_decode(m, &kind, &key))
		return ERR_PROTOCOL;
	if (facts_get(cl->a->facts, kind, key, now_of(cl->a), &r.value, &r.left))
		r.status = 0;
	an_fact_reply_encode(&out, &r);
	reply(c, m, &out);
	return 0;
}

static int on_newmail(struct serve_conn *c, struct msg *m)
{
	struct client *cl = c->state;
	struct sv account;

	if (!an_newmail_decode(m, &account))
		return ERR_PROTOCOL;
	wakeups_account(cl->a->wakeups, account, ++cl->a->turn);
	return 0;
}

static int on_watch(struct serve_conn *c, struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;
	struct client *cl = c->state;

	if (!msg_end(m))
		return ERR_PROTOCOL;
	an_status_encode(&out, cl->a->inotify < 0 ? ERR_UNSUPPORTED : 0);
	if (cl->a->inotify >= 0) {
		put_fd(&out, cl->a->inotify);
		watcher_lent(cl->watcher, now_of(cl->a));
	}
	reply(c, m, &out);
	return 0;
}

static int on_watching(struct serve_conn *c, struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;
	struct client *cl = c->state;
	struct an_watching w;

	if (!an_watching_decode(m, &w))
		return ERR_PROTOCOL;
	an_status_encode(&out, watcher_set(cl->watcher, w.wd, w.n));
	reply(c, m, &out);
	return 0;
}

static const struct serve_entry table[] = {
    {AN_COUNT, "count", FRONT, on_count},
    {AN_RELEASE, "release", FRONT, on_release},
    {AN_FACT_SET, "set fact", FRONT, on_fact_set},
    {AN_FACT_GET, "get fact", FRONT, on_fact_get},
    {AN_NEWMAIL, "new mail", "local local_file", on_newmail},
    {AN_WATCH, "watch", "imapd pop3d", on_watch},
    {AN_WATCHING, "watching", "imapd pop3d", on_watching},
};

static void wake(void *arg)
{
	struct msg_out out = MSG_OUT_INIT;
	struct client *cl = arg;

	if (chan_out_len(cl->conn->chan) < WAKE_WAITING)
		(void)chan_send(cl->conn->chan, AN_WAKE, AN_VERSION, 0, &out);
	msg_out_free(&out);
}

static void on_close(struct serve_conn *c)
{
	struct client *cl = c->state;

	holder_free(&cl->holder);
	watcher_free(&cl->watcher);
	free(cl);
}

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	struct anvil *a = daemon_state(d);
	struct client *cl = xcalloc(1, sizeof(*cl));

	cl->a = a;
	cl->holder = holder_new(a->counters);
	if (!strcmp(who->program, "imapd") || !strcmp(who->program, "pop3d"))
		cl->watcher = watcher_new(a->wakeups, sv_str(who->extra), cl);
	cl->conn = serve_attach(d, fd, who, table, ARRAY_LEN(table), on_close);
	cl->conn->state = cl;
}

/* Somebody's folder changed. */
static void inotify_ready(struct ev_io *io, uint32_t events)
{
	struct anvil *a = container_of(io, struct anvil, io);
	CLEANUP(freep) char *buf = xmalloc(EVENT_BUFFER);

	(void)events;
	a->turn++;
	for (int i = 0; i < EVENT_READS; i++) {
		ssize_t n = read(a->inotify, buf, EVENT_BUFFER);

		if (n <= 0)
			return;
		for (ssize_t at = 0; at + (ssize_t)sizeof(struct inotify_event) <= n;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)(buf + at);

			wakeups_event(a->wakeups, e->wd, e->mask, a->turn);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	}
}

static void sweep_due(struct ev_timer *t)
{
	struct anvil *a = container_of(t, struct anvil, sweep);
	uint64_t now = now_of(a);

	counters_sweep(a->counters, now, SWEEP_ENTRIES);
	facts_sweep(a->facts, now, SWEEP_ENTRIES);
	wakeups_sweep(a->wakeups, now);
	ev_timer_start(daemon_ev(a->d), t, SWEEP_MS, sweep_due);
}

static int start(struct daemon *d, struct err *err)
{
	struct anvil *a = xcalloc(1, sizeof(*a));

	(void)err;
	a->d = d;
	a->counters = counters_new(conf_int(daemon_conf(d), "anvil_counter_limit"));
	a->facts = facts_new(conf_int(daemon_conf(d), "anvil_fact_limit"));
	a->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (a->inotify < 0) /* user.max_inotify_instances: sessions poll */
		log_warn("inotify: %s: mail sessions look for new mail at intervals", strerror(errno));
	else if (ev_io_start(daemon_ev(d), &a->io, a->inotify, EPOLLIN, inotify_ready) < 0)
		return err_sys(err, "inotify");
	a->wakeups = wakeups_new(a->inotify, wake);
	ev_timer_start(daemon_ev(d), &a->sweep, SWEEP_MS, sweep_due);
	daemon_set_state(d, a);
	return 0;
}

static int on_reload(struct daemon *d, struct err *err)
{
	(void)d;
	(void)err;
	return 0; /* the limits of the tables count from the next start */
}

int main(int argc, char **argv)
{
	static const struct sandbox_profile profile = {.net = SANDBOX_NET_NONE, .nofile = 65536};
	static const struct daemon_def def = {
	    .program = "anvil", .profile = &profile, .start = start, .on_peer = on_peer, .on_reload = on_reload};

	return daemon_main(argc, argv, &def);
}
