/*
 * file_child.c - the child that is a user and files messages: whole deliveries run in the threads of ev_work, so that
 * many wait for the disk together.  It copies and does not parse.
 */
#include "local/file_child.h"
#include "local/local.h"
#include "local/sync.h"
#include "store/delivered.h"
#include "store/mdir_save.h"

#define THREADS 64	      /* syncs and long copies in flight; those that wait for the journal share its commit */
#define LOOP_MAX (256u << 10) /* bytes of a message that is copied without a thread */

struct file_child {
	struct daemon *d;
	struct ev_pool *pool;
	struct syncer *syncer;
	char *scratch;
};

/* One LC_SAVE on its way. */
struct save {
	struct ev_work work;
	struct sync_item sync;
	struct file_child *child;
	struct serve_ticket ticket;
	char *body; /* the decoded message: views of req point into it */
	char *scratch;
	bool written;
	struct lc_save req;
	struct lc_done done[LC_TARGETS_MAX];
	bool linked[LC_TARGETS_MAX];			       /* the sync of the first target is theirs too */
	char folder[LC_PATH_MAX + 1], unique[LC_NAME_MAX + 1]; /* of the first target */
	char text[200];					       /* of the first failure */
};

void file_failed(struct lc_done *done, const struct err *err, const char *what, char *text, size_t size)
{
	bool full = err->code == ERR_SYS && (err->sys == EDQUOT || err->sys == EFBIG);

	snprintf(text, size, "%s delivery failed: %s", what, err->text);
	done->status = full ? DV_BOUNCED : DV_DEFERRED;
	if (full)
		done->dsn = SV("5.2.2");
	else
		done->dsn = err->code == ERR_SYS && err->sys != ENOSPC ? SV("4.2.0") : SV("4.3.0");
	done->text = sv_str(text);
}

static int save_one(struct save *s, struct mdir_save *m, const struct lc_target *t, char folder[LC_PATH_MAX + 1],
    char unique[LC_NAME_MAX + 1], struct err *err)
{
	snprintf(folder, LC_PATH_MAX + 1, SV_FMT, SV_ARG(t->folder));
	snprintf(unique, LC_NAME_MAX + 1, SV_FMT, SV_ARG(t->unique));
	*m = (struct mdir_save){.head = s->req.head,
	    .fd = s->req.fd,
	    .content = &s->req.content,
	    .folder = folder,
	    .base_len = t->base_len,
	    .unique = unique,
	    .scratch = s->scratch};
	return mdir_save_write(m, err);
}

/* The further targets are linked before the one sync, which carries them all; what cannot be linked is written again.
 */
static void save_others(struct save *s)
{
	char folder[LC_PATH_MAX + 1], unique[LC_NAME_MAX + 1];

	for (size_t i = 1; i < s->req.n; i++) {
		const struct lc_target *t = &s->req.target[i];
		struct mdir_save m;
		struct err err;

		snprintf(folder, sizeof(folder), SV_FMT, SV_ARG(t->folder));
		snprintf(unique, sizeof(unique), SV_FMT, SV_ARG(t->unique));
		s->linked[i] = mdir_save_link(&s->sync.m, folder, t->base_len, unique, &err) == 0;
		if (s->linked[i])
			continue;
		if (save_one(s, &m, t, folder, unique, &err) < 0 || mdir_save_sync(&m, &err) < 0)
			file_failed(&s->done[i], &err, "maildir", s->text, sizeof(s->text));
	}
}

/* For the session that opens the mailbox next; a cache, so nothing hangs on it. */
static void keep_summary(struct save *s)
{
	char folder[LC_PATH_MAX + 1];

	for (size_t i = 0; s->req.summary.n > 0 && i < s->req.n; i++) {
		snprintf(folder, sizeof(folder), SV_FMT, SV_ARG(s->req.target[i].folder));
		(void)delivered_append(folder, s->req.target[i].unique, s->req.summary);
	}
}

/* All but the sync of the first target.  Touches nothing but s: it may run in a thread. */
static void save_write(struct save *s)
{
	struct err err;

	for (size_t i = 0; i < s->req.n; i++) {
		s->done[i] = (struct lc_done){DV_SENT, SV("2.0.0"), SV("delivered to maildir")};
		s->linked[i] = i == 0;
	}
	s->written = save_one(s, &s->sync.m, &s->req.target[0], s->folder, s->unique, &err) == 0;
	if (s->written) {
		save_others(s);
		keep_summary(s);
		return;
	}
	for (size_t i = 0; i < s->req.n; i++)
		file_failed(&s->done[i], &err, "maildir", s->text, sizeof(s->text));
}

static void save_answer(struct save *s)
{
	struct daemon *d = s->child->d;
	struct msg_out m = MSG_OUT_INIT;

	fd_close(&s->req.fd);
	lc_dones_put(&m, s->done, s->req.n);
	serve_answer(d, s->ticket, LC_SAVE, &m);
	msg_out_free(&m);
	free(s->body);
	free(s);
	daemon_busy(d, -1);
}

static void save_synced(struct sync_item *item)
{
	struct save *s = container_of(item, struct save, sync);

	for (size_t i = 0; item->rc < 0 && i < s->req.n; i++) {
		if (s->linked[i])
			file_failed(&s->done[i], &item->err, "maildir", s->text, sizeof(s->text));
	}
	save_answer(s);
}

static void save_to_sync(struct save *s)
{
	if (!s->written) {
		save_answer(s);
		return;
	}
	s->sync.done = save_synced;
	sync_add(s->child->syncer, &s->sync);
}

static void large_run(struct ev_work *w)
{
	save_write(container_of(w, struct save, work));
}

static void large_done(struct ev_work *w)
{
	struct save *s = container_of(w, struct save, work);

	free(s->scratch);
	save_to_sync(s);
}

char *file_keep_body(struct msg *m)
{
	char *body = xmalloc(m->body.n + 1);

	memcpy(body, m->body.p, m->body.n);
	m->body.p = body;
	return body;
}

static int on_save(struct serve_conn *c, struct msg *m)
{
	struct file_child *f = daemon_state(c->d);
	struct save *s = xmalloc(sizeof(*s));

	s->child = f;
	s->ticket = serve_ticket(c, m);
	s->body = file_keep_body(m);
	s->req.fd = -1;
	if (!lc_save_get(m, &s->req)) {
		free(s->body);
		free(s);
		return ERR_PROTOCOL;
	}
	daemon_busy(c->d, 1);
	if (mail_content_size(&s->req.content) > LOOP_MAX) {
		s->scratch = xmalloc(MDIR_SAVE_SCRATCH);
		s->work = (struct ev_work){.run = large_run, .done = large_done};
		ev_work(f->pool, &s->work);
		return 0;
	}
	/* A small message is written here: threads that work in one folder would only wait for each other. */
	s->scratch = f->scratch;
	save_write(s);
	save_to_sync(s);
	return 0;
}

/* One LC_MBOX on its way. */
struct append {
	struct ev_work work;
	struct daemon *d;
	struct serve_ticket ticket;
	char *body;
	struct lc_mbox req;
	struct lc_done done;
	char text[LC_PATH_MAX + 200];
};

static void append_run(struct ev_work *w)
{
	struct append *a = container_of(w, struct append, work);
	struct err err;

	if (mbox_append(&a->req, &err) < 0) {
		file_failed(&a->done, &err, "mailbox", a->text, sizeof(a->text));
	} else {
		snprintf(a->text, sizeof(a->text), "delivered to " SV_FMT, SV_ARG(a->req.what));
		a->done = (struct lc_done){DV_SENT, SV("2.0.0"), sv_str(a->text)};
	}
	fd_close(&a->req.fd);
}

static void append_done(struct ev_work *w)
{
	struct append *a = container_of(w, struct append, work);
	struct msg_out m = MSG_OUT_INIT;

	lc_dones_put(&m, &a->done, 1);
	serve_answer(a->d, a->ticket, LC_MBOX, &m);
	msg_out_free(&m);
	daemon_busy(a->d, -1);
	free(a->body);
	free(a);
}

static int on_mbox(struct serve_conn *c, struct msg *m)
{
	struct file_child *f = daemon_state(c->d);
	struct append *a = xmalloc(sizeof(*a));

	a->d = c->d;
	a->ticket = serve_ticket(c, m);
	a->body = file_keep_body(m);
	a->req.fd = -1;
	if (!lc_mbox_get(m, &a->req)) {
		free(a->body);
		free(a);
		return ERR_PROTOCOL;
	}
	a->work = (struct ev_work){.run = append_run, .done = append_done};
	daemon_busy(c->d, 1);
	ev_work(f->pool, &a->work);
	return 0;
}

static const struct serve_entry table[] = {
    {LC_SAVE, "LC_SAVE", "local", on_save},
    {LC_MBOX, "LC_MBOX", "local", on_mbox},
};

void file_peer(struct daemon *d, int fd, const struct caller *who)
{
	serve_attach(d, fd, who, table, ARRAY_LEN(table), NULL);
}

int file_start(struct daemon *d, struct err *err ATTR_UNUSED)
{
	struct file_child *f = xcalloc(1, sizeof(*f));

	f->d = d;
	f->pool = ev_pool_new(daemon_ev(d), THREADS);
	f->syncer = syncer_new(daemon_ev(d), f->pool);
	f->scratch = xmalloc(MDIR_SAVE_SCRATCH);
	daemon_set_state(d, f);
	return 0;
}
