/* api_local.c - see api_local.h. */
#include "ipc/api_local.h"

#include "ipc/api_deliver.h"

/* One line of text without control bytes is what a child may say; the log takes out the rest. */
static void done_put(struct msg_out *m, const struct lc_done *d)
{
	put_u64(m, d->status);
	put_sv(m, d->dsn);
	put_sv(m, sv_head(d->text, MAIL_TEXT_MAX));
}

static bool done_get(struct msg *m, struct lc_done *d)
{
	return get_u32(m, &d->status) && d->status >= DV_SENT && d->status <= DV_BOUNCED && get_text(m, &d->dsn, 16) &&
	       get_text(m, &d->text, MAIL_TEXT_MAX);
}

static bool path_get(struct msg *m, struct sv *path)
{
	return get_text(m, path, LC_PATH_MAX) && path->n > 0 && path->p[0] == '/';
}

/* A name that stays in its folder. */
static bool name_get(struct msg *m, struct sv *name)
{
	return get_text(m, name, LC_NAME_MAX) && name->n > 0 && name->p[0] != '.' && sv_chr(*name, '/') < 0;
}

static bool take_fd(struct msg *m, int *fd)
{
	if (!msg_end(m) || m->nfds != 1)
		return false;
	*fd = msg_take_fd(m);
	return *fd >= 0;
}

void lc_save_put(struct msg_out *m, const struct lc_save *s)
{
	put_sv(m, s->head);
	put_sv(m, s->summary);
	mail_content_put(m, &s->content);
	put_u64(m, s->n);
	for (size_t i = 0; i < s->n; i++) {
		put_sv(m, s->target[i].folder);
		put_u64(m, s->target[i].base_len);
		put_sv(m, s->target[i].unique);
	}
	put_fd(m, s->fd);
}

bool lc_save_get(struct msg *m, struct lc_save *s)
{
	if (!get_svmax(m, &s->head, LC_HEAD_MAX) || !get_svmax(m, &s->summary, MAIL_SUMMARY_MAX) ||
	    !mail_content_get(m, &s->content) || !get_count(m, &s->n, LC_TARGETS_MAX) || s->n == 0)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		struct lc_target *t = &s->target[i];

		if (!path_get(m, &t->folder) || t->folder.p[t->folder.n - 1] != '/' || !get_u32(m, &t->base_len) ||
		    t->base_len > t->folder.n || !name_get(m, &t->unique))
			return false;
	}
	return take_fd(m, &s->fd);
}

void lc_dones_put(struct msg_out *m, const struct lc_done *d, size_t n)
{
	put_u64(m, n);
	for (size_t i = 0; i < n; i++)
		done_put(m, &d[i]);
}

bool lc_dones_get(struct msg *m, struct lc_done *d, size_t n)
{
	size_t have;

	if (!get_count(m, &have, LC_TARGETS_MAX) || have != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!done_get(m, &d[i]))
			return false;
	}
	return msg_end(m);
}

void lc_mbox_put(struct msg_out *m, const struct lc_mbox *s)
{
	put_sv(m, s->path);
	put_u64(m, s->limit);
	put_sv(m, s->from);
	put_sv(m, s->head);
	put_sv(m, s->what);
	mail_content_put(m, &s->content);
	put_fd(m, s->fd);
}

bool lc_mbox_get(struct msg *m, struct lc_mbox *s)
{
	return path_get(m, &s->path) && get_u64(m, &s->limit) && get_text(m, &s->from, MAIL_ADDR_MAX + 100) &&
	       get_svmax(m, &s->head, LC_HEAD_MAX) && get_text(m, &s->what, LC_PATH_MAX + 20) &&
	       mail_content_get(m, &s->content) && take_fd(m, &s->fd);
}

void lc_list_put(struct msg_out *m, const struct lc_list *l)
{
	put_bool(m, l->forward);
	put_u64(m, l->n);
	for (size_t i = 0; i < l->n; i++)
		put_sv(m, l->path[i]);
}

bool lc_list_get(struct msg *m, struct lc_list *l)
{
	if (!get_bool(m, &l->forward) || !get_count(m, &l->n, LC_PATHS_MAX))
		return false;
	for (size_t i = 0; i < l->n; i++) {
		if (!path_get(m, &l->path[i]))
			return false;
	}
	return msg_end(m);
}

void lc_items_put(struct msg_out *m, const struct lc_items *l)
{
	put_i64(m, l->status);
	put_u64(m, l->which);
	put_sv(m, l->text);
	put_u64(m, l->n);
	for (size_t i = 0; i < l->n; i++) {
		put_u64(m, l->v[i].kind);
		put_sv(m, l->v[i].text);
	}
}

bool lc_items_get(struct msg *m, struct arena *a, struct lc_items *l)
{
	int64_t status;

	if (!get_i64(m, &status) || status > 0 || status < ERR_UNSUPPORTED || !get_u32(m, &l->which) ||
	    !get_text(m, &l->text, MAIL_TEXT_MAX) || !get_count(m, &l->n, LC_ITEMS_MAX))
		return false;
	l->status = (int)status;
	l->v = arena_alloc(a, (l->n + 1) * sizeof(*l->v));
	if (!l->v)
		return false;
	for (size_t i = 0; i < l->n; i++) {
		if (!get_u32(m, &l->v[i].kind) || l->v[i].kind < 1 || l->v[i].kind > LC_KINDS ||
		    !get_text(m, &l->v[i].text, LC_TEXT_MAX))
			return false;
	}
	return msg_end(m);
}

void lc_command_put(struct msg_out *m, const struct lc_command *c)
{
	put_sv(m, c->command);
	put_sv(m, c->home);
	put_u64(m, c->time_limit);
	put_sv(m, c->from);
	put_sv(m, c->head);
	put_u64(m, c->nenv);
	for (size_t i = 0; i < c->nenv; i++)
		put_sv(m, c->env[i]);
	mail_content_put(m, &c->content);
	put_fd(m, c->fd);
}

bool lc_command_get(struct msg *m, struct lc_command *c)
{
	if (!get_text(m, &c->command, LC_TEXT_MAX) || !get_text(m, &c->home, LC_PATH_MAX) ||
	    !get_u32(m, &c->time_limit) || !get_text(m, &c->from, MAIL_ADDR_MAX + 100) ||
	    !get_svmax(m, &c->head, LC_HEAD_MAX) || !get_count(m, &c->nenv, LC_ENV_MAX))
		return false;
	for (size_t i = 0; i < c->nenv; i++) {
		if (!get_text(m, &c->env[i], MAIL_ADDR_MAX + 100) || sv_chr(c->env[i], '=') < 1)
			return false;
	}
	return mail_content_get(m, &c->content) && take_fd(m, &c->fd);
}
