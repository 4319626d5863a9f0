/*
 * reload.c - reload by generations, and the orderly stop.  A configuration with errors never replaces a working one.
 * Sockets that the new configuration still wants are kept open all the time; old processes finish what they have.
 */
#include <systemd/sd-daemon.h>

#include "master/master.h"

/* The service of the old configuration that goes on as `like`.  Of a single class there is only one, whatever its name.
 */
static struct service *by_key(struct service *list, const struct service *like)
{
	for (; list != NULL; list = list->next) {
		if (!list->obsolete && list->class == like->class &&
		    (like->class->single || strcmp(list->key, like->key) == 0))
			return list;
	}
	return NULL;
}

/* The same service again: its processes and its waiting connections go on; a pause after a crash ends. */
static void take_over(struct service *s, struct service *old)
{
	s->procs = old->procs;
	old->procs = NULL;
	for (struct process *p = s->procs; p != NULL; p = p->next)
		p->service = s;
	s->waiting = old->waiting;
	s->waiting_tail = old->waiting != NULL ? old->waiting_tail : &s->waiting;
	s->nwaiting = old->nwaiting;
	old->waiting = NULL;
	s->spawned = old->spawned;
	s->died = old->died;
}

static void refresh_processes(struct service *s)
{
	struct err err;

	for (struct process *p = s->procs; p != NULL; p = p->next) {
		if (p->state == PROC_DRAINING)
			continue;
		if (!p->reloads_in_place || p->state != PROC_READY) {
			process_stop(p);
			continue;
		}
		CLEANUP(fd_closep) int params = process_params(s, &err);
		struct msg_out out = MSG_OUT_INIT;
		if (params < 0) {
			log_error("%s keeps its old parameters: %s", s->class->name, err.text);
			continue;
		}
		put_fd(&out, params);
		chan_send(p->control, MA_RELOAD, MA_VERSION, 0, &out);
		msg_out_free(&out);
	}
}

static void retire(struct master *m, struct service *old)
{
	for (struct process *p = old->procs; p != NULL; p = p->next)
		process_stop(p);
	for (size_t i = 0; i < old->nsockets; i++)
		fd_close(&old->sockets[i]);
	old->nsockets = 0;
	old->entry = NULL;
	old->obsolete = true;
	old->next = m->services;
	m->services = old;
}

static int bind_all(struct service *fresh, struct service *old_list, struct err *err)
{
	for (struct service *s = fresh; s != NULL; s = s->next) {
		int r = ports_bind(s, old_list, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Gives the sockets back to the old services after a reload that failed. */
static void unbind_all(struct service *fresh, struct service *old_list)
{
	for (struct service *s = fresh, *next; s != NULL; s = next) {
		next = s->next;
		for (size_t i = 0; i < s->nsockets; i++) {
			if (ports_give_back(old_list, s->socket_name[i], s->sockets[i]))
				s->sockets[i] = -1;
		}
		service_free(s);
	}
}

/* Every process holds the socket of one kind of log since its start. */
static int log_stays(struct master *m, struct err *err)
{
	CLEANUP(freep) char *maillog = config_value(m, "maillog_file");
	if ((maillog[0] != '\0') == (m->log_sink == LOG_SINK_LOGD))
		return 0;
	return err_set(err, ERR_UNSUPPORTED, "maillog_file can be set or emptied only by a stop and a start");
}

static int try_reload(struct master *m, struct err *err)
{
	struct maincf *mc, *old_mc = m->maincf;
	struct mastercf *mcf, *old_mcf = m->mastercf;
	struct service *fresh = NULL, *old_list = m->services;
	int r = config_load(m, &mc, &mcf, err);

	if (r < 0)
		return r;
	m->maincf = mc;
	m->mastercf = mcf;
	if ((r = log_stays(m, err)) < 0 || (r = services_build(m, mcf, &fresh, err)) < 0 ||
	    (r = bind_all(fresh, old_list, err)) < 0) {
		unbind_all(fresh, old_list);
		m->maincf = old_mc;
		m->mastercf = old_mcf;
		maincf_free(&mc);
		mastercf_free(&mcf);
		return r;
	}
	m->services = fresh;
	for (struct service *s = fresh; s != NULL; s = s->next) {
		struct service *old = by_key(old_list, s);
		if (old != NULL)
			take_over(s, old);
	}
	while (old_list != NULL) {
		struct service *next = old_list->next;
		if (old_list->procs != NULL)
			retire(m, old_list);
		else
			service_free(old_list);
		old_list = next;
	}
	for (struct service *s = m->services; s != NULL; s = s->next) {
		if (!s->obsolete)
			refresh_processes(s);
	}
	control_owner(m);
	maincf_free(&old_mc);
	mastercf_free(&old_mcf);
	return 0;
}

void master_reload(struct master *m)
{
	struct err err;

	if (m->stopping)
		return;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
	if (try_reload(m, &err) < 0) {
		log_error("reload refused: %s; the old configuration stays in force", err.text);
	} else {
		m->generation++;
		log_info("reload -- generation %u", m->generation);
		services_start(m);
	}
	if (m->announced)
		sd_notify(0, "READY=1");
	else
		master_ready(m); /* a reload during the start: the services that it left may all be ready */
}

void service_retired(struct master *m, struct service *s)
{
	for (struct service **at = &m->services; *at != NULL; at = &(*at)->next) {
		if (*at != s)
			continue;
		*at = s->next;
		service_free(s);
		return;
	}
}

/* --- stop: front first, then agents, then the core, the log last --- */

static unsigned processes_in(struct master *m, unsigned phase)
{
	unsigned n = 0;
	for (struct service *s = m->services; s != NULL; s = s->next) {
		if (s->class->stop_phase > phase)
			continue;
		for (struct process *p = s->procs; p != NULL; p = p->next)
			n++;
	}
	return n;
}

static void drain_phase(struct master *m)
{
	for (struct service *s = m->services; s != NULL; s = s->next) {
		if (s->class->stop_phase != m->stop_phase)
			continue;
		for (struct process *p = s->procs; p != NULL; p = p->next)
			process_stop(p);
	}
}

void stop_progress(struct master *m)
{
	while (processes_in(m, m->stop_phase) == 0) {
		if (m->stop_phase == SWB_LAST_PHASE) {
			ev_stop(m->ev);
			return;
		}
		m->stop_phase++;
		drain_phase(m);
	}
}

void master_stop(struct master *m)
{
	if (m->stopping)
		return;
	m->stopping = true;
	sd_notify(0, "STOPPING=1");
	log_info("terminating");
	for (struct service *s = m->services; s != NULL; s = s->next) {
		ev_timer_stop(&s->restart);
		for (size_t i = 0; i < s->nsockets; i++)
			fd_close(
			    &s->sockets[i]); /* processes stop accepting on their copies when they are asked to drain */
		s->nsockets = 0;
	}
	m->stop_phase = 0;
	drain_phase(m);
	stop_progress(m);
}
