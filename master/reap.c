/* reap.c - processes that end: log, back-off, start again; drain and kill. */
#include <signal.h>
#include <sys/wait.h>

#include "master/master.h"

void process_kill(struct process *p)
{
	p->ending = true;
	p->killed = true;
	if (p->pid > 0)
		kill(p->pid, SIGKILL);
	if (p->control != NULL)
		chan_pause(p->control, true); /* nothing that it still sent is heard */
}

static void kill_due(struct ev_timer *t)
{
	struct process *p = container_of(t, struct process, kill_timer);
	log_warn("process %s pid %d did not finish in time: killed", p->service->class->name, (int)p->pid);
	process_kill(p);
}

static void send_drain(struct process *p)
{
	struct msg_out out = MSG_OUT_INIT;
	put_bool(&out, p->m->stopping);
	chan_send(p->control, MA_DRAIN, MA_VERSION, 0, &out);
	msg_out_free(&out);
}

void process_stop(struct process *p)
{
	if (p->state == PROC_DRAINING)
		return;
	p->state = PROC_DRAINING;
	p->ending = true;
	if (p->control != NULL)
		send_drain(p);
	ev_timer_start(p->m->ev, &p->kill_timer, config_num(p->m, "drain_time") * 1000, kill_due);
}

static void restart_due(struct ev_timer *t)
{
	struct service *s = container_of(t, struct service, restart);
	s->restart_pending = false;
	service_ensure(s);
}

/* A process that died young makes the next one wait: 1 s, doubling up to service_throttle_time. */
static void back_off(struct service *s, bool young)
{
	uint64_t most = config_num(s->m, "service_throttle_time") * 1000;

	if (!young) {
		s->backoff_ms = 0;
		return;
	}
	s->backoff_ms = s->backoff_ms ? s->backoff_ms * 2 : BACKOFF_FIRST_MS;
	if (s->backoff_ms > most)
		s->backoff_ms = most;
	log_warn("%s: a process died young -- waiting %llu ms before the next", s->class->name,
	    (unsigned long long)s->backoff_ms);
	s->restart_pending = true;
	ev_timer_start(s->m->ev, &s->restart, s->backoff_ms, restart_due);
}

static void log_end(const struct process *p, int status)
{
	if (WIFSIGNALED(status) && !(p->ending && WTERMSIG(status) == SIGTERM))
		log_warn(
		    "process %s pid %d killed by signal %d", p->service->class->binary, (int)p->pid, WTERMSIG(status));
	else if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		log_warn(
		    "process %s pid %d exit status %d", p->service->class->binary, (int)p->pid, WEXITSTATUS(status));
}

static void process_ended(struct ev_child *c, int status)
{
	struct process *p = container_of(c, struct process, child);
	struct service *s = p->service;
	struct master *m = p->m;
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	/* To end well before it was ever ready is no better than to fail: without a pause it would go on for ever. */
	bool young = (failed || p->state == PROC_STARTING) && !p->ending && clock_mono_ms() - p->started_ms < YOUNG_MS;

	log_end(p, status);
	for (struct process **at = &s->procs; *at != NULL; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	if (failed && !p->ending)
		s->died++;
	if (m->logd == p)
		m->logd = NULL;
	ev_timer_stop(&p->kill_timer);
	chan_free(&p->control);
	fd_close(&p->log_reader); /* logd reads what is left in its own copy */
	free(p);
	back_off(s, young);
	if (m->stopping)
		stop_progress(m);
	else if (s->obsolete && s->procs == NULL)
		service_retired(m, s);
	else
		service_ensure(s);
}

void process_watch(struct process *p)
{
	if (ev_child_start(p->m->ev, &p->child, p->pid, process_ended) < 0)
		log_fatal("pidfd of process %d: %s", (int)p->pid, strerror(errno));
}

static void start_one(struct service *s, const char *target)
{
	struct err err;
	if (spawn_process(s, target, &err) == NULL) {
		log_error("cannot start %s: %s", s->class->name, err.text);
		back_off(s, true);
	}
}

/* For every user that somebody waits for. */
static void ensure_targets(struct service *s)
{
	while (s->waiting != NULL && !ev_timer_active(&s->restart)) {
		char target[64];
		snprintf(target, sizeof(target), "%s", s->waiting->target);
		start_one(s, target); /* takes the connections of this target off the list, or backs off */
	}
}

void service_ensure(struct service *s)
{
	unsigned usable = 0, full = 0, all = 0;

	if (s->m->stopping || s->obsolete || ev_timer_active(&s->restart))
		return;
	if (s->class->target == TARGET_IDENTITY) {
		ensure_targets(s);
		return;
	}
	for (struct process *p = s->procs; p != NULL; p = p->next) {
		all++;
		if (p->state == PROC_DRAINING || p->ending)
			continue;
		usable++;
		full += p->full;
	}
	if (s->class->single && all > 0)
		return; /* the old one must be gone first: it owns what the new one opens */
	if (usable > full || (s->maxproc != 0 && usable >= s->maxproc))
		return;
	start_one(s, "");
}
