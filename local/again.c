/*
 * again.c - new mail through cleanup: where the members of an alias get the mail from another sender (owner-), and
 * where a recipient has both members and a failure of its own to report.  The copy is committed before the recipient is
 * marked.
 */
#include "base/fsutil.h"
#include "local/coord.h"
#include "message/addr.h"
#include "message/date.h"

#define STOCK_MS 60000

struct again {
	struct ev_work work;
	struct rcpt *r;
	struct sv sender;
	struct buf head; /* lines put before the content */
	char qid[MAIL_QID_MAX + 1];
	int from, fd; /* borrowed from the job; ours */
	struct mail_content content;
	int status;
	struct err err;
};

static void give_up(struct again *a, const char *why)
{
	struct rcpt *r = a->r;

	rcpt_finish(r, DV_DEFERRED, "4.3.0", "cannot forward the message: %s", why);
	fd_close(&a->fd);
	buf_free(&a->head);
	free(a);
}

static void discard(struct again *a)
{
	struct msg_out m = MSG_OUT_INIT;

	cl_discard_put(&m, sv_str(a->qid));
	peer_send(a->r->job->c->cleanup, CL_DISCARD, &m);
	msg_out_free(&m);
}

/* "5.1.1 text": what cleanup says can never be delivered. */
static void refused(struct again *a, struct sv text)
{
	struct sv rest = text, code = sv_cut(&rest, " ");
	char dsn[12] = "5.3.0";

	if (code.n < sizeof(dsn) && sv_starts(code, SV("5."))) {
		snprintf(dsn, sizeof(dsn), SV_FMT, SV_ARG(code));
		text = rest;
	}
	rcpt_finish(a->r, DV_BOUNCED, dsn, SV_FMT, SV_ARG(text));
	buf_free(&a->head);
	free(a);
}

static void committed(void *arg, int status, struct msg *reply)
{
	struct again *a = arg;
	struct rcpt *r = a->r;
	struct cl_done done;

	if (status < 0 || !cl_done_get(reply, &done)) {
		give_up(a, "cleanup did not answer");
	} else if (done.status == ERR_NOT_FOUND || done.status == ERR_SYNTAX || done.status == ERR_DENIED) {
		refused(a, done.text);
	} else if (done.status < 0) {
		give_up(a, "cleanup cannot take it now");
	} else {
		if (r->have_bounced)
			rcpt_finish_as(r, DV_BOUNCED);
		else
			rcpt_finish(r, DV_SENT, "2.0.0", "forwarded as %s", a->qid);
		buf_free(&a->head);
		free(a);
	}
}

/* In a thread: copies the pieces one behind the other. */
static void copy(struct ev_work *w)
{
	struct again *a = container_of(w, struct again, work);
	const struct mail_content *c = &a->r->job->d.env.content;
	char buf[4096];

	a->status = fs_write_all(a->fd, a->head.p, a->head.n, &a->err);
	for (size_t i = 0; i <= c->nheader && a->status == 0; i++) {
		struct mail_extent x = i < c->nheader ? c->header[i] : c->body;

		while (x.len > 0 && a->status == 0) {
			size_t n = x.len < sizeof(buf) ? (size_t)x.len : sizeof(buf);

			a->status = fs_pread_all(a->from, buf, n, (off_t)x.at, &a->err);
			if (a->status == 0)
				a->status = fs_write_all(a->fd, buf, n, &a->err);
			x.at += n;
			x.len -= n;
		}
	}
	fd_close(&a->fd); /* cleanup wants no writer left */
}

static void copied(struct ev_work *w)
{
	struct again *a = container_of(w, struct again, work);
	struct rcpt *r = a->r;
	const struct mail_rcpt *in = &r->in->rcpt;
	bool list = !sv_eq(a->sender, r->job->d.env.sender);
	struct cl_commit commit = {.qid = sv_str(a->qid), .env = r->job->d.env, .nrcpt = r->nmember};
	struct msg_out m = MSG_OUT_INIT;
	size_t n = 0;

	if (a->status < 0) {
		discard(a);
		give_up(a, a->err.text);
		return;
	}
	commit.env.sender = a->sender;
	commit.env.content = a->content;
	commit.env.size = mail_content_size(&a->content);
	commit.env.summary = SV("");
	commit.rcpt = xcalloc(r->nmember, sizeof(*commit.rcpt));
	for (struct member *mem = r->members; mem; mem = mem->next) {
		struct mail_rcpt *to = &commit.rcpt[n++];

		/* A list is a new sender's mail: what the first sender asked for ends here (RFC 3461 section 5.2.7.3).
		 */
		*to = *in;
		to->addr = mem->addr;
		to->orig = in->orig.n > 0 ? in->orig : in->addr;
		if (list) {
			to->orcpt = SV("");
			to->notify = 0;
		}
	}
	if (list)
		commit.env.envid = SV("");
	cl_commit_put(&m, &commit);
	peer_call(r->job->c->cleanup, CL_COMMIT, &m, CL_TIMEOUT_MS, committed, a);
	msg_out_free(&m);
	free(commit.rcpt);
}

static void make_head(struct again *a)
{
	const struct coord_conf *conf = &a->r->job->c->conf;
	char date[DATE_MAX];

	date_rfc5322_local(date, clock_wall());
	buf_init(&a->head, LC_HEAD_MAX);
	buf_printf(&a->head, "Received: by %s (Merpati)\n\tid %s; %s\n", conf->hostname, a->qid, date);
	if (conf->delivered_forward) {
		buf_adds(&a->head, "Delivered-To: ");
		addr_external(&a->head, a->r->in->rcpt.addr);
		buf_adds(&a->head, "\n");
	}
}

static void stocked(void *arg, int status, struct msg *reply)
{
	struct again *a = arg;
	struct job *j = a->r->job;
	struct cl_stock stock;
	uint64_t header = 0;

	if (status < 0 || !cl_stock_get(reply, &stock)) {
		give_up(a, "cleanup did not answer");
		return;
	}
	for (size_t i = 1; i < stock.n; i++)
		fd_close(&stock.fd[i]);
	if (stock.status < 0 || stock.n == 0 || stock.qid[0].n > MAIL_QID_MAX) {
		if (stock.n > 0)
			fd_close(&stock.fd[0]);
		give_up(a, "no room in the queue");
		return;
	}
	snprintf(a->qid, sizeof(a->qid), SV_FMT, SV_ARG(stock.qid[0]));
	a->fd = stock.fd[0];
	a->from = j->d.fd;
	make_head(a);
	for (size_t i = 0; i < j->d.env.content.nheader; i++)
		header += j->d.env.content.header[i].len;
	header += a->head.n;
	a->content = (struct mail_content){.nheader = 1,
	    .header = {{CL_CONTENT_START, header}},
	    .body = {CL_CONTENT_START + header, j->d.env.content.body.len}};
	a->work.run = copy;
	a->work.done = copied;
	ev_work(j->c->pool, &a->work);
}

void again_start(struct rcpt *r, struct sv sender)
{
	struct again *a = xcalloc(1, sizeof(*a));
	struct msg_out m = MSG_OUT_INIT;

	a->r = r;
	a->sender = sender;
	a->fd = -1;
	cl_stock_req_put(&m, 1);
	peer_call(r->job->c->cleanup, CL_STOCK, &m, STOCK_MS, stocked, a);
	msg_out_free(&m);
}
