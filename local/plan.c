/* plan.c - turns the right-hand side of an alias, a .forward file or a list into members and steps of one recipient. */
#include "local/coord.h"
#include "message/addr.h"
#include "proto/alias_rhs.h"

static struct step *add_step(struct rcpt *r, enum step_kind kind, struct sv text, struct err *err)
{
	struct step *s = arena_alloc(&r->job->arena, sizeof(*s));

	if (!s) {
		err_set(err, ERR_LIMIT, "too many recipients in one list");
		return NULL;
	}
	*s = (struct step){.kind = kind, .uid = r->who.uid, .gid = r->who.gid, .text = text, .home = r->who.home};
	if (kind == STEP_LIST) {
		/* Lists first: nothing is filed before everything that must be known is known. */
		s->next = r->steps;
		r->steps = s;
		if (r->step_tail == &r->steps)
			r->step_tail = &s->next;
	} else {
		*r->step_tail = s;
		r->step_tail = &s->next;
	}
	return s;
}

/* The address as a recipient: names without a domain are ours. */
static int add_member(struct rcpt *r, struct sv text, struct err *err)
{
	struct arena *a = &r->job->arena;
	struct member *m = arena_alloc(a, sizeof(*m));
	struct sv local, domain;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX);

	addr_split(text, &local, &domain);
	buf_addsv(&b, local);
	buf_addc(&b, '@');
	if (domain.n > 0)
		buf_addsv(&b, domain);
	else
		buf_adds(&b, r->job->c->conf.origin);
	if (b.overflow)
		return err_set(err, ERR_SYNTAX, "an address is too long");
	if (!m || r->nmember >= COORD_MEMBERS_MAX || arena_sv(a, buf_sv(&b), &m->addr) < 0)
		return err_set(err, ERR_LIMIT, "too many recipients in one list");
	m->next = NULL;
	*r->member_tail = m;
	r->member_tail = &m->next;
	r->nmember++;
	return 0;
}

/* Is this member the recipient's own name?  Then it means the user behind it, or the list would never end. */
static bool is_own_name(const struct rcpt *r, struct sv text)
{
	struct sv local, domain, own_local, own_domain;

	addr_split(text, &local, &domain);
	addr_split(r->in->rcpt.addr, &own_local, &own_domain);
	return sv_ieq(local, r->who.user) && (domain.n == 0 || sv_ieq(domain, own_domain));
}

/* A system user, whatever aliases say: rewrite is asked for "\\user@domain". */
static int add_user(struct rcpt *r, struct sv text, bool direct, struct err *err)
{
	struct sv local, domain, own_local, own_domain, full;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAIL_ADDR_MAX);
	struct step *s;

	addr_split(text, &local, &domain);
	addr_split(r->in->rcpt.addr, &own_local, &own_domain);
	if (domain.n == 0)
		domain = own_domain;
	buf_printf(&b, "\\" SV_FMT "@" SV_FMT, SV_ARG(local), SV_ARG(domain));
	if (b.overflow)
		return err_set(err, ERR_SYNTAX, "an address is too long");
	if (arena_sv(&r->job->arena, buf_sv(&b), &full) < 0)
		return err_set(err, ERR_LIMIT, "too many recipients in one list");
	s = add_step(r, STEP_USER, full, err);
	if (!s)
		return ERR_LIMIT;
	s->direct = direct;
	return 0;
}

struct rules {
	bool commands, files;
};

static struct rules rules_of(const struct coord_conf *c, const struct step *list)
{
	if (!list)
		return (struct rules){c->commands_alias, c->files_alias};
	if (list->from_include)
		return (struct rules){c->commands_include, c->files_include};
	return (struct rules){c->commands_forward, c->files_forward};
}

/* One item; list: where it was read, NULL for an alias. */
static int plan_item(struct rcpt *r, enum alias_kind kind, struct sv text, const struct step *list, struct err *err)
{
	struct rules allow = rules_of(&r->job->c->conf, list);
	unsigned depth = list ? list->depth : 0;
	struct step *s = NULL;

	switch (kind) {
	case ALIAS_ADDRESS:
	case ALIAS_USER:
		if (is_own_name(r, text) && r->who.kind == RW_LOCAL_USER)
			return plan_mailbox(r, err);
		if (kind == ALIAS_USER || is_own_name(r, text))
			return add_user(r, text, kind == ALIAS_USER, err);
		return add_member(r, text, err);
	case ALIAS_FILE:
		if (!allow.files) {
			rcpt_outcome(r, DV_BOUNCED, SV("5.7.1"), SV("mail to file is restricted"));
			return 0;
		}
		s = add_step(r, STEP_FILE, text, err);
		break;
	case ALIAS_COMMAND:
		if (!allow.commands) {
			rcpt_outcome(r, DV_BOUNCED, SV("5.7.1"), SV("mail to command is restricted"));
			return 0;
		}
		s = add_step(r, STEP_COMMAND, text, err);
		break;
	case ALIAS_INCLUDE:
		if (depth >= COORD_INCLUDE_DEPTH)
			return err_set(err, ERR_SYNTAX, "lists are nested too deeply");
		s = add_step(r, STEP_LIST, text, err);
		if (s) {
			s->depth = depth + 1;
			s->from_include = true;
		}
		break;
	case ALIAS_BAD: return err_set(err, ERR_SYNTAX, "cannot understand \"" SV_FMT "\"", SV_ARG(sv_head(text, 100)));
	}
	if (!s)
		return ERR_LIMIT;
	s->from_forward = list && list->from_forward;
	return 0;
}

int plan_alias(struct rcpt *r, struct err *err)
{
	struct alias_items items;

	if (alias_parse(&r->job->arena, r->who.rhs, ALIAS_RHS, ALIAS_ITEMS_MAX, &items) < 0)
		return err_set(err, ERR_LIMIT, "too many recipients in one list");
	for (size_t i = 0; i < items.n; i++) {
		int rc = plan_item(r, items.v[i].kind, items.v[i].text, NULL, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

int plan_items(struct rcpt *r, const struct lc_items *items, const struct step *list, struct err *err)
{
	if (items->n == 0 && list->from_forward && !list->from_include)
		return plan_mailbox(r, err); /* an empty .forward forwards to nobody */
	for (size_t i = 0; i < items->n; i++) {
		struct sv text;
		int rc;

		if (arena_sv(&r->job->arena, items->v[i].text, &text) < 0)
			return err_set(err, ERR_LIMIT, "too many recipients in one list");
		rc = plan_item(r, (enum alias_kind)items->v[i].kind, text, list, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int plan_mailbox(struct rcpt *r, struct err *err)
{
	const char *command = r->job->c->conf.mailbox_command;

	if (r->who.kind == RW_LOCAL_USER && command[0] != '\0')
		return add_step(r, STEP_COMMAND, sv_str(command), err) ? 0 : ERR_LIMIT;
	if (r->who.mailbox.n == 0)
		return err_set(err, ERR_SYNTAX, "no mailbox is known");
	return add_step(r, STEP_MAILBOX, r->who.mailbox, err) ? 0 : ERR_LIMIT;
}

int plan_forward(struct rcpt *r, struct err *err)
{
	const char *path = r->job->c->conf.forward_path;
	struct step *s;

	if (r->who.kind != RW_LOCAL_USER || path[0] == '\0' || r->who.home.n == 0 || r->who.home.p[0] != '/')
		return ERR_NOT_FOUND;
	s = add_step(r, STEP_LIST, sv_str(path), err);
	if (!s)
		return ERR_LIMIT;
	s->from_forward = true;
	return 0;
}
