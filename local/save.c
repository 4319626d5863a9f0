/*
 * save.c - asks the file children to put a message into Maildirs.  What an alias was expanded to often lies in many
 * mailboxes of one user (the virtual mailboxes): those that are known in one turn of the loop go as one request, and
 * get one file by hard links.  Such a copy names the alias in Delivered-To.
 */
#include "local/coord.h"
#include "message/summary.h"
#include "store/mdir_save.h"

#define STEP_NAMES 1000000u /* file names of further steps of one recipient do not meet those of other recipients */

struct group {
	size_t n;
	struct rcpt *rcpt[LC_TARGETS_MAX];
};

bool save_is_maildir(const struct step *s)
{
	return (s->kind == STEP_MAILBOX || s->kind == STEP_FILE) && sv_ends(s->text, SV("/"));
}

/* The part of a path that must be there already: the base of virtual mailboxes, or the user's home. */
static uint32_t base_len(const struct rcpt *r, struct sv path)
{
	struct sv base = r->who.kind == RW_LOCAL_USER ? r->who.home : sv_str(r->job->c->conf.virtual_base);

	while (base.n > 0 && base.p[base.n - 1] == '/')
		base.n--;
	if (base.n > 0 && path.n > base.n + 1 && sv_starts(path, base) && path.p[base.n] == '/')
		return (uint32_t)base.n + 1;
	return 0;
}

/* A child that ended with the work in hand (a restart, a kill): begun again at once, since it finds its own file. */
static bool begin_again(struct rcpt *r, int status)
{
	if (status != ERR_CLOSED || r->again)
		return false;
	r->again = true;
	save_start(r, r->now);
	return true;
}

static void saved(void *arg, int status, struct msg *reply)
{
	struct group *g = arg;
	struct lc_done *d = xcalloc(g->n, sizeof(*d));
	const char *why = NULL;

	if (status < 0)
		why = "the delivery process did not answer";
	else if (!lc_dones_get(reply, d, g->n))
		why = "the delivery process answered nonsense";
	for (size_t i = 0; i < g->n; i++) {
		struct rcpt *r = g->rcpt[i];

		if (begin_again(r, status))
			continue;
		if (why)
			rcpt_outcome(r, DV_DEFERRED, SV("4.3.0"), sv_str(why));
		else
			rcpt_outcome(r, d[i].status, d[i].dsn, d[i].text);
		rcpt_next(r);
	}
	free(d);
	free(g);
}

static bool is_member(const struct rcpt *r, const struct step *s)
{
	const struct mail_rcpt *to = &r->in->rcpt;

	return s->kind == STEP_MAILBOX && r->who.kind == RW_LOCAL_VIRTUAL && to->orig.n > 0 &&
	       !sv_ieq(to->orig, to->addr);
}

static void send_group(struct group *g)
{
	CLEANUP(buf_freep) struct buf head = BUF_INIT(LC_HEAD_MAX), summary = BUF_INIT(SUMMARY_MAX);
	char unique[LC_TARGETS_MAX][MDIR_SAVE_UNIQUE_MAX + 1];
	struct rcpt *first = g->rcpt[0];
	struct job *j = first->job;
	struct lc_save req = {.content = j->d.env.content, .n = g->n, .fd = j->d.fd};
	struct msg_out m = MSG_OUT_INIT;

	head_lines(first, is_member(first, first->now) ? first->in->rcpt.orig : first->in->rcpt.addr, &head);
	req.head = buf_sv(&head);
	/* A cache: a record that does not verify is not worth a word. */
	if (j->d.env.summary.n > 0 && summary_prefix(j->d.env.summary, req.head, &summary, NULL) == 0)
		req.summary = buf_sv(&summary);
	for (size_t i = 0; i < g->n; i++) {
		struct rcpt *r = g->rcpt[i];
		uint32_t number = r->in->index + (r->nstep - 1) * STEP_NAMES;

		mdir_save_unique(unique[i], j->d.env.arrival, j->d.qid, number, j->c->conf.hostname);
		req.target[i] = (struct lc_target){r->now->text, base_len(r, r->now->text), sv_str(unique[i])};
	}
	lc_save_put(&m, &req);
	kid_call(j->c, "local_file", first->now->uid, first->now->gid, LC_SAVE, &m, CHILD_MS, saved, g);
	msg_out_free(&m);
}

static bool same_group(const struct rcpt *a, const struct rcpt *b)
{
	return a->now->uid == b->now->uid && a->now->gid == b->now->gid && sv_eq(a->in->rcpt.orig, b->in->rcpt.orig);
}

/* Takes the first recipient of the list and all that go with it. */
static struct group *take_group(struct job *j)
{
	struct group *g = xmalloc(sizeof(*g));
	struct rcpt **at = &j->saves;

	g->n = 0;
	while (*at && g->n < LC_TARGETS_MAX) {
		struct rcpt *r = *at;

		if (g->n > 0 && !same_group(g->rcpt[0], r)) {
			at = &r->next_save;
			continue;
		}
		*at = r->next_save;
		g->rcpt[g->n++] = r;
	}
	return g;
}

static void turn_over(struct ev_defer *defer)
{
	struct job *j = container_of(defer, struct job, save_turn);

	while (j->saves)
		send_group(take_group(j));
}

void save_start(struct rcpt *r, const struct step *s)
{
	struct job *j = r->job;
	struct group *g;

	if (j->d.nrcpt > 1 && is_member(r, s)) {
		r->next_save = j->saves;
		j->saves = r;
		ev_defer(daemon_ev(j->c->d), &j->save_turn, turn_over);
		return;
	}
	g = xmalloc(sizeof(*g));
	g->n = 1;
	g->rcpt[0] = r;
	send_group(g);
}
