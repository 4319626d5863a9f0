/*
 * scan.c - what nobody told us about: the names in the queue folder that are neither in memory nor in the index (all of
 * them after the index was thrown away), and rows whose time has come.  Names are read by a helper thread, a thousand
 * at a time; files are read QMGR_LOADS at a time.
 */
#include "log/log.h"
#include "qmgr/qmgr.h"

#define SCAN_PART 1000
#define DUE_PART 200
#define RETRY_MS 5000

struct scan {
	struct qmgr *q;
	struct ev_work work;
	struct spool spool;
	struct spool_scan dir;
	bool open, running, end;
	int status;
	struct err err;
	size_t n, at;
	char name[SCAN_PART][QID_MAX + 1];
};

static void scan_run(struct ev_work *w)
{
	struct scan *s = container_of(w, struct scan, work);
	struct sv name;
	s->n = s->at = 0;
	s->status = s->open ? 0 : spool_scan_open(&s->spool, &s->dir, &s->err);
	s->open = s->status == 0;
	while (s->open && s->n < SCAN_PART) {
		s->status = spool_scan_next(&s->dir, &name, &s->err);
		if (s->status <= 0) {
			s->end = true;
			break;
		}
		if (name.n <= QID_MAX) {
			memcpy(s->name[s->n], name.p, name.n);
			s->name[s->n++][name.n] = '\0';
		}
	}
}

static void scan_end(struct qmgr *q)
{
	struct scan *s = q->scan;
	if (s->open)
		spool_scan_close(&s->dir);
	q->scan = NULL;
	free(s);
	if (q->verify)
		log_info("the queue was read anew after an unclean stop");
	q->verify = false;
}

static void scan_done(struct ev_work *w)
{
	struct scan *s = container_of(w, struct scan, work);
	s->running = false;
	if (s->status < 0)
		log_warn("%s", s->err.text);
	if (!s->open)
		s->end = true;
	scan_pump(s->q);
}

/* Goes on as far as reading slots allow. */
void scan_pump(struct qmgr *q)
{
	struct scan *s = q->scan;
	if (!s || s->running || q->stopped)
		return;
	while (s->at < s->n && q->loading < QMGR_LOADS) {
		struct sv qid = sv_str(s->name[s->at++]);
		if (!message_find(q, qid) && !qindex_has(q->index, qid))
			message_load(q, qid, false);
	}
	if (s->at < s->n)
		return;
	if (s->end) {
		scan_end(q);
		return;
	}
	s->running = true;
	s->work.run = scan_run;
	s->work.done = scan_done;
	ev_work(q->pool, &s->work);
}

static void rescan_due(struct ev_timer *t)
{
	struct qmgr *q = container_of(t, struct qmgr, rescan);
	scan_start(q);
}

void scan_start(struct qmgr *q)
{
	ev_timer_start(q->ev, &q->rescan, q->run_delay * 1000, rescan_due);
	if (q->stopped)
		return;
	/* The clock may have gone back: nothing is due later than the longest wait from now. */
	qindex_due_now(
	    q->index, SV(""), clock_wall() + (q->backoff_max > q->backoff_min ? q->backoff_max : q->backoff_min));
	if (q->scan)
		return;
	q->scan = xcalloc(1, sizeof(*q->scan));
	q->scan->q = q;
	q->scan->spool = q->spool;
	scan_pump(q);
}

void scan_retry(struct qmgr *q)
{
	if (!q->rescan.at || q->rescan.due > ev_now(q->ev) + RETRY_MS)
		ev_timer_start(q->ev, &q->rescan, RETRY_MS, rescan_due);
}

/* ---- rows that are due ---- */

static void due_fired(struct ev_timer *t)
{
	due_check(container_of(t, struct qmgr, due));
}

/* A place has become free, or rows have changed: look again before long, once for many. */
void due_start(struct qmgr *q)
{
	if (q->stopped || q->draining || (ev_timer_active(&q->due) && q->due.due <= ev_now(q->ev) + 20))
		return;
	ev_timer_start(q->ev, &q->due, 20, due_fired);
}

void due_check(struct qmgr *q)
{
	char(*qid)[MAIL_QID_MAX + 1];
	int64_t next, now = clock_wall();
	size_t have = HASH_COUNT(q->messages), room = have < q->active_limit ? q->active_limit - have : 0, found = 0;
	uint64_t wait = q->run_delay * 1000;
	if (q->stopped || q->draining)
		return;
	if (q->nrcpt >= q->rcpt_limit)
		room = 0;
	if (q->loading >= QMGR_LOADS)
		room = 0; /* load_done looks again by scan_pump and the timer */
	if (room > QMGR_LOADS - q->loading && room)
		room = QMGR_LOADS - q->loading;
	qid = xcalloc(DUE_PART, sizeof(*qid));
	size_t n = room ? qindex_due(q->index, now, DUE_PART, qid, &next) : 0;
	for (size_t i = 0; i < n && found < room; i++)
		if (!message_find(q, sv_str(qid[i]))) {
			message_load(q, sv_str(qid[i]), true);
			found++;
		}
	free(qid);
	if (room == 0 || found == room || n == DUE_PART)
		wait = 100;
	else if (next != INT64_MAX && next > now && (uint64_t)(next - now) < q->run_delay)
		wait = (uint64_t)(next - now) * 1000;
	ev_timer_start(q->ev, &q->due, wait, due_fired);
}
