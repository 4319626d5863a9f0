/*
 * commit.c - from a resolved message to a durable queue file.  Write and link are done in the loop (small content) or
 * by the pool; syncs are in flight together.  From CLEANUP_GROUP waiting messages on, one syncfs answers for all of
 * them: half the CPU; while it runs the next group gathers.  A syncfs flushes what others wrote too, so after a slow
 * one each message is synced by itself for a while.
 */
#include <sys/stat.h>

#include "cleanup/cleanup.h"
#include "ipc/api_qmgr.h"
#include "spool/qfile.h"

#define GROUP_SLOW_MS 200    /* a syncfs that takes longer ... */
#define GROUP_PAUSE_MS 10000 /* ... puts groups off for this long */

struct commit *commit_new(struct cleanup *cl, struct serve_ticket t, uint16_t reply, const char *qid, int fd)
{
	struct commit *cm = xcalloc(1, sizeof(*cm));
	cm->cl = cl;
	cm->ticket = t;
	cm->reply = reply;
	cm->fd = fd;
	(void)snprintf(cm->qid, sizeof(cm->qid), "%s", qid);
	arena_init(&cm->mem, MAIL_ARENA);
	buf_init(&cm->block, QFILE_BLOCK_MAX);
	daemon_busy(cl->d, 1);
	return cm;
}

static void commit_free(struct commit *cm)
{
	struct commit_seen *s, *tmp;
	HASH_ITER (hh, cm->seen, s, tmp) {
		HASH_DEL(cm->seen, s);
		free(s);
	}
	fd_close(&cm->fd);
	buf_free(&cm->block);
	arena_clear(&cm->mem);
	free(cm->rcpt);
	free(cm->route);
	free(cm->raw);
	free(cm);
}

static const char *text_of(int status)
{
	switch (status) {
	case 0: return "2.0.0 Ok";
	case ERR_LIMIT: return "4.3.1 Insufficient system storage";
	case ERR_SYNTAX: return "5.1.3 Bad recipient address syntax";
	default: return "4.3.0 Error: queue file write error";
	}
}

void commit_finish(struct cleanup *cl, struct commit *cm, int status, const char *text)
{
	struct msg_out o = MSG_OUT_INIT;
	struct cl_done done = {status, sv_str(cm->qid), sv_str(text ? text : text_of(status))};
	cl_done_put(&o, &done);
	serve_answer(cl->d, cm->ticket, cm->reply, &o);
	msg_out_free(&o);
	if (status < 0 && cm->linked) {
		struct err err;
		if (spool_unlink(&cl->spool, cm->qid, &err) < 0)
			log_warn("%s: %s", cm->qid, err.text);
	}
	commit_free(cm);
	daemon_busy(cl->d, -1);
}

static void tell_qmgr(struct cleanup *cl, const struct commit *cm)
{
	struct msg_out o = MSG_OUT_INIT;
	struct qm_queued q = {
	    .qid = sv_str(cm->qid), .block_at = cm->content_end, .nroute = cm->nrcpt, .route = cm->route};
	if (cm->block.n <= QM_BLOCK_MAX)
		q.block = buf_sv(&cm->block);
	qm_queued_put(&o, &q);
	/* When this is lost, qmgr finds the file by a scan. */
	if (!o.b.overflow)
		(void)peer_send(cl->qmgr, QM_QUEUED, &o);
	msg_out_free(&o);
}

static void delayed(struct ev_timer *t)
{
	struct commit *cm = container_of(t, struct commit, delay);
	commit_finish(cm->cl, cm, 0, NULL);
}

static void durable(struct cleanup *cl, struct commit *cm, int status, const struct err *err)
{
	if (status < 0) {
		log_warn("%s: %s", cm->qid, err->text);
		commit_finish(cl, cm, err->sys == ENOSPC || err->sys == EDQUOT ? ERR_LIMIT : ERR_TEMP, NULL);
		return;
	}
	tell_qmgr(cl, cm);
	if (cl->slow && cl->flow_delay && !(cm->env.flags & MAIL_NOTICE))
		ev_timer_start(daemon_ev(cl->d), &cm->delay, cl->flow_delay, delayed);
	else
		commit_finish(cl, cm, 0, NULL);
}

/* ---- syncs ---- */

static void sync_turn(struct ev_defer *d);

static void sync_one_run(struct ev_work *w)
{
	struct commit *cm = container_of(w, struct commit, work);
	struct cleanup *cl = cm->cl;
	cm->status = spool_sync(&cl->spool, cm->fd, &cm->err);
}

static void sync_one_done(struct ev_work *w)
{
	struct commit *cm = container_of(w, struct commit, work);
	struct cleanup *cl = cm->cl;
	cl->sync.in_flight--;
	durable(cl, cm, cm->status, &cm->err);
	if (cl->sync.waiting)
		ev_defer(daemon_ev(cl->d), &cl->sync.turn, sync_turn);
}

static void sync_group_run(struct ev_work *w)
{
	struct cleanup *cl = container_of(w, struct cleanup, sync.work);
	cl->sync.status = spool_sync_all(&cl->spool, &cl->sync.err);
}

static void sync_group_done(struct ev_work *w)
{
	struct cleanup *cl = container_of(w, struct cleanup, sync.work);
	struct commit *cm = cl->sync.group;
	uint64_t now = clock_mono_ms();
	cl->sync.group = NULL;
	if (now - cl->sync.started > GROUP_SLOW_MS)
		cl->sync.single_until = now + GROUP_PAUSE_MS;
	while (cm) {
		struct commit *next = cm->next;
		durable(cl, cm, cl->sync.status, &cl->sync.err);
		cm = next;
	}
	if (cl->sync.waiting)
		ev_defer(daemon_ev(cl->d), &cl->sync.turn, sync_turn);
}

static struct commit *sync_take(struct syncer *s)
{
	struct commit *cm = s->head;
	s->head = cm->next;
	if (!s->head)
		s->tail = &s->head;
	s->waiting--;
	return cm;
}

/* End of a loop turn: everything that was linked in it is handed to the pool. */
static void sync_turn(struct ev_defer *d)
{
	struct cleanup *cl = container_of(d, struct cleanup, sync.turn);
	struct syncer *s = &cl->sync;
	if (s->waiting + s->in_flight >= CLEANUP_GROUP && clock_mono_ms() >= s->single_until) {
		if (s->group || !s->waiting)
			return; /* they gather for the next group */
		s->group = s->head;
		s->head = NULL;
		s->tail = &s->head;
		s->waiting = 0;
		s->started = clock_mono_ms();
		s->work.run = sync_group_run;
		s->work.done = sync_group_done;
		ev_work(cl->pool, &s->work);
		return;
	}
	while (s->head) {
		struct commit *cm = sync_take(s);
		cm->work.run = sync_one_run;
		cm->work.done = sync_one_done;
		s->in_flight++;
		ev_work(cl->pool, &cm->work);
	}
}

static void sync_add(struct cleanup *cl, struct commit *cm)
{
	cm->next = NULL;
	*cl->sync.tail = cm;
	cl->sync.tail = &cm->next;
	cl->sync.waiting++;
	ev_defer(daemon_ev(cl->d), &cl->sync.turn, sync_turn);
}

/* ---- write and link ---- */

/* Where the content ends: behind its last piece. */
static uint64_t content_end(const struct mail_content *c)
{
	uint64_t end = c->body.at + c->body.len;
	for (size_t i = 0; i < c->nheader; i++)
		if (c->header[i].at + c->header[i].len > end)
			end = c->header[i].at + c->header[i].len;
	return end;
}

static int write_and_link(struct cleanup *cl, struct commit *cm)
{
	int r;
	if (!spool_alone(cm->fd)) {
		/* Somebody still can write into this file: what is committed is a copy that nobody else has. */
		int copy;
		if ((r = spool_copy(&cl->spool, cm->fd, cm->content_end, &copy, &cm->err)) < 0)
			return r;
		fd_close(&cm->fd);
		cm->fd = copy;
	}
	r = spool_write(cm->fd, cm->block.p, cm->block.n, cm->content_end, cm->nrcpt, &cm->err);
	if (r < 0)
		return r;
	r = spool_link(&cl->spool, cm->fd, cm->qid, &cm->err);
	cm->linked = r == 0;
	return r;
}

static void written(struct cleanup *cl, struct commit *cm)
{
	if (cm->status < 0)
		durable(cl, cm, cm->status, &cm->err);
	else
		sync_add(cl, cm);
}

static void write_run(struct ev_work *w)
{
	struct commit *cm = container_of(w, struct commit, work);
	cm->status = write_and_link(cm->cl, cm);
}

static void write_done(struct ev_work *w)
{
	struct commit *cm = container_of(w, struct commit, work);
	written(cm->cl, cm);
}

void commit_start(struct cleanup *cl, struct commit *cm)
{
	cm->content_end = content_end(&cm->env.content);
	int r = qfile_block_put(&cm->block, sv_str(cm->qid), &cm->env, cm->rcpt, cm->nrcpt, cm->content_end);
	if (r < 0) {
		log_warn("%s: the envelope is too long", cm->qid);
		commit_finish(cl, cm, ERR_DENIED, "5.5.3 Too many recipients");
		return;
	}
	if (cm->content_end > CLEANUP_INLINE) {
		cm->work.run = write_run;
		cm->work.done = write_done;
		ev_work(cl->pool, &cm->work);
		return;
	}
	cm->status = write_and_link(cl, cm);
	written(cl, cm);
}
