/* services.c - the services of master.cf and the implicit ones that every instance needs. */
#include "master/master.h"

void service_free(struct service *s)
{
	ev_timer_stop(&s->restart);
	for (size_t i = 0; i < s->nsockets; i++)
		fd_close(&s->sockets[i]);
	while (s->waiting != NULL) {
		struct waiting *w = s->waiting;
		s->waiting = w->next;
		close(w->fd);
		free(w);
	}
	free(s);
}

static struct service *service_new(struct master *m, const struct swb_class *class, const char *name, const char *type)
{
	struct service *s = xcalloc(1, sizeof(*s));
	s->m = m;
	s->class = class;
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->key, sizeof(s->key), "%s/%s", name, type);
	s->waiting_tail = &s->waiting;
	return s;
}

static const char *base_name(const char *command)
{
	const char *slash = strrchr(command, '/');
	return slash != NULL ? slash + 1 : command;
}

static void append(struct service **list, struct service *s)
{
	while (*list != NULL)
		list = &(*list)->next;
	*list = s;
}

static bool has_class(const struct service *list, const char *class)
{
	for (; list != NULL; list = list->next) {
		if (strcmp(list->class->name, class) == 0)
			return true;
	}
	return false;
}

static bool has_name(const struct service *list, const char *name)
{
	for (; list != NULL; list = list->next) {
		if (strcmp(list->name, name) == 0)
			return true;
	}
	return false;
}

static void add_entry(struct master *m, const struct mcf_service *e, struct service **out)
{
	bool known;
	const struct swb_class *class = swb_of_command(base_name(e->command), &known);

	if (class == NULL) {
		if (!known)
			log_warn("%s, line %u: service %s: command %s is not served here: ignored", e->file, e->line,
			    e->name, e->command);
		return;
	}
	/* One of each: a second cleanup, qmgr or auth service would be a second truth. */
	if (class->target == TARGET_NONE && strcmp(class->name, "smtpd") != 0 && strcmp(class->name, "login") != 0 &&
	    has_class(*out, class->name)) {
		log_warn("%s, line %u: service %s: there is already a service of %s: ignored", e->file, e->line,
		    e->name, class->name);
		return;
	}
	struct service *s = service_new(m, class, e->name, mcf_type_name(e->type));
	s->entry = e;
	s->inet = e->type == MCF_INET;
	s->maxproc = e->maxproc_default ? (unsigned)config_num(m, "default_process_limit") : e->maxproc;
	if (class->single)
		s->maxproc = 1;
	append(out, s);
}

static void add_implicit(struct master *m, struct service **out)
{
	CLEANUP(freep) char *maillog = config_value(m, "maillog_file");

	for (size_t i = 0; i < swb_nclasses; i++) {
		const struct swb_class *c = &swb_classes[i];
		bool wanted = c->implicit || (strcmp(c->name, "logd") == 0 && maillog[0] != '\0');
		if (!wanted || has_class(*out, c->name))
			continue;
		struct service *s = service_new(m, c, c->name, "implicit");
		s->maxproc = c->target == TARGET_IDENTITY ? 0 : 1;
		append(out, s);
	}
	/* Mail from this host's commands is always taken, as with Postfix's pickup. */
	if (has_class(*out, "smtpd") && !has_name(*out, "pickup")) {
		struct service *s = service_new(m, swb_find(SV("smtpd")), "pickup", "implicit");
		s->maxproc = 1;
		append(out, s);
	}
}

int services_build(struct master *m, const struct mastercf *mcf, struct service **out, struct err *err)
{
	if (mcf->n > SERVICES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d services", SERVICES_MAX);
	*out = NULL;
	for (size_t i = 0; i < mcf->n; i++)
		add_entry(m, &mcf->v[i], out);
	add_implicit(m, out);
	return 0;
}

struct service *service_find(struct master *m, const struct swb_class *c, struct sv name)
{
	for (struct service *s = m->services; s != NULL; s = s->next) {
		if (s->class == c && !s->obsolete && (name.n == 0 || sv_eqs(name, s->name)))
			return s;
	}
	return NULL;
}

/* The log first, so that it hears the others start; then the core, the front last: nobody meets a refusal. */
void services_start(struct master *m)
{
	for (int phase = SWB_LAST_PHASE; phase >= 0; phase--) {
		for (struct service *s = m->services; s != NULL; s = s->next) {
			if ((int)s->class->stop_phase == phase)
				service_ensure(s);
		}
	}
}
