/* qmgr.c - the queue manager: schedules deliveries, records results, answers the queue tools. */
#include "qmgr/qmgr.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "log/log.h"

#define SWEEP_MS 30000
#define LOCK_TRIES 100 /* tenths of a second that the last qmgr gets to end */

static const struct serve_entry requests[] = {
    {QM_QUEUED, "queued", "cleanup", message_on_queued},
};

static const struct sandbox_path paths[] = {{"$queue_directory", SANDBOX_WRITE}, {NULL, 0}};
static const struct sandbox_profile profile = {
    .paths = paths,
    .net = SANDBOX_NET_NONE,
    .threads = 1,
    .nofile = 16384,
    .memory = 4096,
    .fsize = ~0ul,
};

static struct qmgr state;

static void set_str(char **to, const char *value)
{
	free(*to);
	*to = xstrdup(value);
}

static void read_conf(struct qmgr *q)
{
	const struct conf *cf = daemon_conf(q->d);
	q->active_limit = conf_int(cf, "qmgr_message_active_limit");
	q->rcpt_limit = conf_int(cf, "qmgr_message_recipient_limit");
	q->backoff_min = (int64_t)conf_time(cf, "minimal_backoff_time");
	q->backoff_max = (int64_t)conf_time(cf, "maximal_backoff_time");
	q->lifetime = (int64_t)conf_time(cf, "maximal_queue_lifetime");
	q->bounce_lifetime = (int64_t)conf_time(cf, "bounce_queue_lifetime");
	q->warn_time = (int64_t)conf_time(cf, "delay_warning_time");
	q->run_delay = conf_time(cf, "queue_run_delay");
	q->agent_timeout = conf_time(cf, "qmgr_daemon_timeout");
	q->transport_retry = conf_time(cf, "transport_retry_time");
	q->initial_concurrency = (unsigned)conf_int(cf, "initial_destination_concurrency");
	q->soft_bounce = conf_bool(cf, "soft_bounce");
	q->notify_2bounce = strstr(conf_str(cf, "notify_classes"), "2bounce") != NULL;
	set_str(&q->hostname, conf_str(cf, "myhostname"));
	set_str(&q->postmaster, conf_str(cf, "2bounce_notice_recipient"));
	set_str(&q->defer_transports, conf_str(cf, "defer_transports"));
	const char *who = conf_str(cf, "double_bounce_sender");
	free(q->double_bounce);
	q->double_bounce = strchr(who, '@') ? xstrdup(who) : xasprintf("%s@%s", who, conf_str(cf, "myorigin"));
}

/* One qmgr at a time works on a queue; the last one may still be ending. */
static int lock_queue(const char *queue_directory, struct err *err)
{
	CLEANUP(freep) char *path = xasprintf("%s/index/lock", queue_directory);
	CLEANUP(freep) char *folder = xasprintf("%s/index", queue_directory);
	(void)mkdir(folder, 0700);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, "%s", path);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LOCK_TRIES) {
			close(fd);
			return err_set(err, ERR_TEMP, "another queue manager works on %s", queue_directory);
		}
		usleep(100000);
	}
	return 0; /* held until the process ends */
}

static void sweep_due(struct ev_timer *t)
{
	struct qmgr *q = container_of(t, struct qmgr, sweep);
	sched_sweep(q);
	ev_timer_start(q->ev, &q->sweep, SWEEP_MS, sweep_due);
}

static void committed(void *arg)
{
	due_start(arg);
}

static int start(struct daemon *d, struct err *err)
{
	struct qmgr *q = &state;
	const char *queue = conf_str(daemon_conf(d), "queue_directory");
	bool fresh = false, unclean = false;
	q->d = d;
	q->ev = daemon_ev(d);
	daemon_set_state(d, q);
	umask(007);
	read_conf(q);
	struct passwd *pw = getpwnam(conf_str(daemon_conf(d), "mail_owner"));
	q->owner = pw ? pw->pw_uid : 0;
	q->pool = ev_pool_new(q->ev, QMGR_THREADS);
	int r = spool_open(&q->spool, queue, err);
	if (r == 0)
		r = lock_queue(queue, err);
	if (r == 0)
		r = qindex_open(q->ev, q->pool, queue, &q->index, &fresh, &unclean, err);
	if (r < 0)
		return r;
	q->verify = unclean;
	qindex_on_commit(q->index, committed, q);
	q->rewrite = peer_new(d, "rewrite", NULL);
	q->cleanup = peer_new(d, "cleanup", NULL);
	daemon_busy(d, 1); /* ends with the last delivery */
	ev_timer_start(q->ev, &q->sweep, SWEEP_MS, sweep_due);
	scan_start(q);
	due_start(q);
	return 0;
}

static int reload(struct daemon *d, struct err *err ATTR_UNUSED)
{
	struct qmgr *q = daemon_state(d);
	read_conf(q);
	sched_reload(q);
	return 0;
}

/* The end: agents have reported, records are written, the index is closed as clean. */
void qmgr_idle_check(struct qmgr *q)
{
	if (!q->draining || q->stopped || q->deliveries || q->notices || q->unlinker.busy || q->unlinker.todo)
		return;
	if (ev_pool_pending(q->pool) > 0) {
		ev_timer_start(q->ev, &q->due, 20, qmgr_due_idle);
		return;
	}
	q->stopped = true;
	qindex_close(&q->index);
	daemon_busy(q->d, -1);
}

void qmgr_due_idle(struct ev_timer *t)
{
	qmgr_idle_check(container_of(t, struct qmgr, due));
}

static void on_drain(struct daemon *d)
{
	struct qmgr *q = daemon_state(d);
	q->draining = true;
	ev_timer_stop(&q->rescan);
	ev_timer_stop(&q->sweep);
	ev_timer_start(q->ev, &q->due, 1, qmgr_due_idle);
}

/* ---- the feeders ---- */

static void tell_flow(struct serve_conn *c, bool slow)
{
	struct msg_out o = MSG_OUT_INIT;
	qm_flow_put(&o, slow);
	(void)chan_send(c->chan, QM_FLOW, QM_VERSION, 0, &o);
	msg_out_free(&o);
}

void qmgr_flow_check(struct qmgr *q)
{
	size_t n = HASH_COUNT(q->messages);
	if (q->slow ? n > q->active_limit - q->active_limit / 4 : n < q->active_limit)
		return;
	q->slow = !q->slow;
	for (size_t i = 0; i < QMGR_FEEDERS; i++)
		if (q->feeders[i])
			tell_flow(q->feeders[i], q->slow);
}

static void feeder_closed(struct serve_conn *c)
{
	struct qmgr *q = daemon_state(c->d);
	for (size_t i = 0; i < QMGR_FEEDERS; i++)
		if (q->feeders[i] == c)
			q->feeders[i] = NULL;
}

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	struct qmgr *q = daemon_state(d);
	struct serve_conn *c = serve_attach(d, fd, who, requests, ARRAY_LEN(requests), feeder_closed);
	size_t i = 0;
	while (i < QMGR_FEEDERS && q->feeders[i])
		i++;
	if (i < QMGR_FEEDERS)
		q->feeders[i] = c;
	if (q->slow)
		tell_flow(c, true);
}

int main(int argc, char **argv)
{
	static const struct daemon_def def = {
	    .program = "qmgr",
	    .profile = &profile,
	    .start = start,
	    .on_accept = control_accept,
	    .on_peer = on_peer,
	    .on_reload = reload,
	    .on_drain = on_drain,
	};
	return daemon_main(argc, argv, &def);
}
