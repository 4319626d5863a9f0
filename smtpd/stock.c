/* stock.c - a small stock of spool descriptors, so that a recipient is answered without waiting for cleanup. */
#include "smtpd/smtpd.h"

#define STOCK_LOW 8   /* fewer than this: ask for more */
#define STOCK_ROOM 64 /* descriptors that are kept at most */
#define FAILED_MS 1000

struct stock {
	struct smtpd *g;
	struct stock_item item[STOCK_ROOM];
	size_t n;
	bool asked;
	uint64_t failed_until;	 /* cleanup did not answer: who asks now gets 451 at once */
	struct session *waiting; /* singly linked through stock_next */
};

static void wake_all(struct stock *st)
{
	struct session *s = st->waiting;

	st->waiting = NULL;
	for (struct session *i = s; i != NULL; i = i->stock_next)
		i->stock_waits = false;
	while (s != NULL) {
		struct session *next = s->stock_next;
		s->stock_next = NULL;
		session_wake(s);
		s = next;
	}
}

static void take_all(struct stock *st, struct cl_stock *got)
{
	for (size_t i = 0; i < got->n; i++) {
		struct stock_item *to = &st->item[st->n];
		if (st->n == STOCK_ROOM || got->qid[i].n > MAIL_QID_MAX) {
			close(got->fd[i]);
			continue;
		}
		memcpy(to->qid, got->qid[i].p, got->qid[i].n);
		to->qid[got->qid[i].n] = '\0';
		to->fd = got->fd[i];
		st->n++;
	}
}

static void on_stock(void *arg, int status, struct msg *m)
{
	struct stock *st = arg;
	struct cl_stock got = {0};

	st->asked = false;
	st->failed_until = ev_now(st->g->ev) + FAILED_MS;
	if (status == 0 && m->type == CL_STOCK && cl_stock_get(m, &got)) {
		take_all(st, &got);
		if (st->n > 0)
			st->failed_until = 0;
		if (got.status != 0)
			log_warn("cleanup has no spool file: %s", err_name(got.status));
	} else if (status != 0) {
		log_warn("no answer from cleanup: %s", err_name(status));
	}
	wake_all(st);
}

static void ask(struct stock *st)
{
	struct msg_out m = MSG_OUT_INIT;

	if (st->asked)
		return;
	st->asked = true;
	cl_stock_req_put(&m, CL_STOCK_MAX);
	peer_call(st->g->cleanup, CL_STOCK, &m, SMTPD_STOCK_MS, on_stock, st);
	msg_out_free(&m);
}

/* Descriptors of a cleanup that has gone are worth nothing: the new one does not know their queue ids. */
static void on_state(void *arg, bool up)
{
	struct stock *st = arg;

	if (up)
		return;
	for (size_t i = 0; i < st->n; i++)
		close(st->item[i].fd);
	st->n = 0;
}

void stock_init(struct smtpd *g)
{
	g->stock = xcalloc(1, sizeof(*g->stock));
	g->stock->g = g;
	peer_on_state(g->cleanup, on_state, g->stock);
}

void stock_free(struct smtpd *g)
{
	for (size_t i = 0; i < g->stock->n; i++)
		close(g->stock->item[i].fd);
	free(g->stock);
	g->stock = NULL;
}

int stock_take(struct session *s, struct stock_item *item)
{
	struct stock *st = s->g->stock;

	if (st->n > 0) {
		*item = st->item[0]; /* oldest first */
		st->n--;
		memmove(&st->item[0], &st->item[1], st->n * sizeof(st->item[0]));
		if (st->n < STOCK_LOW)
			ask(st);
		return 0;
	}
	if (ev_now(s->g->ev) < st->failed_until)
		return ERR_CLOSED;
	ask(st);
	if (!s->stock_waits) {
		s->stock_waits = true;
		s->stock_next = st->waiting;
		st->waiting = s;
	}
	return ERR_TEMP;
}

void stock_cancel(struct session *s)
{
	struct session **at = &s->g->stock->waiting;

	if (!s->stock_waits)
		return;
	for (; *at != NULL; at = &(*at)->stock_next) {
		if (*at == s) {
			*at = s->stock_next;
			break;
		}
	}
	s->stock_waits = false;
}

void stock_drop(struct smtpd *g, struct stock_item *item)
{
	struct msg_out m = MSG_OUT_INIT;

	if (item->fd < 0)
		return;
	close(item->fd);
	item->fd = -1;
	cl_discard_put(&m, sv_str(item->qid));
	peer_send(g->cleanup, CL_DISCARD, &m);
	msg_out_free(&m);
}
