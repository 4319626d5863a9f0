/*
 * bounce.c - notices (RFC 3461, RFC 3464): composes the report around the returned message and commits it like any
 * other. The text is written by a helper thread, since the original may be long.
 */
#include <sys/stat.h>

#include "base/fsutil.h"
#include "cleanup/cleanup.h"
#include "message/dsn.h"
#include "spool/qfile.h"

#define NOTICE_TEXT_MAX (16u << 20) /* bytes of everything but the returned message */

struct notice {
	struct commit *cm;
	struct cl_notice q;
	struct buf head, tail;
	size_t header_len;
	bool full;
	struct ev_work work;
	int status;
	struct err err;
};

/* "mx.example.com[192.0.2.1]:25" -> "mx.example.com" (RFC 3464 section 2.3.5 wants the name). */
static struct sv relay_host(struct sv relay)
{
	ssize_t at = sv_chr(relay, '[');
	struct sv host = at < 0 ? relay : sv_head(relay, (size_t)at);
	return sv_eqs(host, "none") || sv_eqs(host, "local") || sv_eqs(host, "virtual") ? SV_NONE : host;
}

static int compose(struct cleanup *cl, struct notice *n)
{
	const struct cl_notice *q = &n->q;
	size_t count = q->nrcpt < CL_NOTICE_RCPTS_MAX ? q->nrcpt : CL_NOTICE_RCPTS_MAX;
	struct dsn_rcpt *r = xcalloc(count + 1, sizeof(*r));
	for (size_t i = 0; i < count; i++) {
		const struct cl_notice_rcpt *s = &q->rcpt[i];
		r[i] = (struct dsn_rcpt){.addr = s->rcpt.addr,
		    .orig = s->rcpt.orig,
		    .orcpt = s->rcpt.orcpt,
		    .action = (enum dsn_action)s->action,
		    .status = s->dsn,
		    .remote_mta = relay_host(s->relay),
		    .text = s->text,
		    .last_attempt = s->last_attempt / 1000000};
	}
	struct dsn_report rep = {.kind = (enum dsn_kind)q->kind,
	    .host = cl->hostname,
	    .notice = n->cm->qid,
	    .qid = q->qid,
	    .to = q->to,
	    .sender = q->env.sender,
	    .envid = q->env.envid,
	    .now = clock_wall(),
	    .arrival = q->env.arrival / 1000000,
	    .retry_until = q->will_retry_until / 1000000,
	    .full = n->full,
	    .eightbit = (q->env.flags & MAIL_8BITMIME) != 0,
	    .utf8 = (q->env.flags & MAIL_SMTPUTF8) != 0,
	    .n = count,
	    .rcpt = r};
	int rc = dsn_begin(&n->head, &rep, &n->header_len);
	if (rc == 0)
		rc = dsn_end(&n->tail, &rep);
	free(r);
	return rc;
}

static int copy_piece(int from, const struct mail_extent *e, int to, uint64_t *at, struct err *err)
{
	char part[16384];
	for (uint64_t done = 0; done < e->len;) {
		size_t want = e->len - done < sizeof(part) ? (size_t)(e->len - done) : sizeof(part);
		int r = fs_pread_all(from, part, want, (off_t)(e->at + done), err);
		if (r == 0)
			r = fs_pwrite_all(to, part, want, (off_t)*at, err);
		if (r < 0)
			return r;
		done += want;
		*at += want;
	}
	return 0;
}

static void write_run(struct ev_work *w)
{
	struct notice *n = container_of(w, struct notice, work);
	const struct mail_content *c = &n->q.env.content;
	int fd = n->cm->fd;
	uint64_t at = QFILE_PREAMBLE;
	n->status = fs_pwrite_all(fd, n->head.p, n->head.n, (off_t)at, &n->err);
	at += n->head.n;
	for (size_t i = 0; n->status == 0 && i < c->nheader; i++)
		n->status = copy_piece(n->q.fd, &c->header[i], fd, &at, &n->err);
	if (n->status == 0 && n->full)
		n->status = copy_piece(n->q.fd, &c->body, fd, &at, &n->err);
	if (n->status == 0)
		n->status = fs_pwrite_all(fd, n->tail.p, n->tail.n, (off_t)at, &n->err);
	at += n->tail.n;
	struct mail_content *out = &n->cm->env.content;
	out->nheader = 1;
	out->header[0] = (struct mail_extent){QFILE_PREAMBLE, n->header_len};
	out->body = (struct mail_extent){QFILE_PREAMBLE + n->header_len, at - QFILE_PREAMBLE - n->header_len};
}

static void notice_free(struct notice *n)
{
	fd_close(&n->q.fd);
	buf_free(&n->head);
	buf_free(&n->tail);
	free(n);
}

static void write_done(struct ev_work *w)
{
	static const char *const kinds[] = {
	    [CL_NOTICE_FAILURE] = "sender non-delivery notification",
	    [CL_NOTICE_DELAY] = "sender delay notification",
	    [CL_NOTICE_SUCCESS] = "sender delivery status notification",
	    [CL_NOTICE_DOUBLE] = "postmaster non-delivery notification",
	};
	struct notice *n = container_of(w, struct notice, work);
	struct commit *cm = n->cm;
	struct cleanup *cl = cm->cl;
	if (n->status < 0) {
		log_warn("%s: notice: %s", cm->qid, n->err.text);
		commit_finish(cl, cm, ERR_TEMP, NULL);
		notice_free(n);
		return;
	}
	char of[QID_MAX + 1];
	(void)snprintf(of, sizeof(of), SV_FMT, SV_ARG(n->q.qid));
	cm->env.size = mail_content_size(&cm->env.content);
	log_qid(cm->qid, "message-id=" SV_FMT, SV_ARG(cm->env.message_id));
	log_qid(of, "%s: %s", kinds[n->q.kind], cm->qid);
	notice_free(n);
	intake_resolve(cl, cm);
}

/* Envelope of the notice. */
static bool envelope(struct cleanup *cl, struct notice *n)
{
	struct commit *cm = n->cm;
	char id[256];
	(void)snprintf(id, sizeof(id), "<%s.%lld@%s>", cm->qid, (long long)clock_wall(), cl->hostname);
	cm->ngiven = 1;
	cm->given = arena_alloc(&cm->mem, sizeof(*cm->given));
	if (!cm->given || arena_sv(&cm->mem, sv_str(id), &cm->env.message_id) < 0)
		return false;
	cm->given[0].addr = cm->given[0].orig = n->q.to;
	cm->given[0].notify = MAIL_NOTIFY_NEVER;
	cm->env.sender = n->q.kind == CL_NOTICE_DOUBLE ? sv_str(cl->double_bounce) : SV("");
	cm->env.flags = MAIL_NOTICE | (n->q.env.flags & (MAIL_8BITMIME | MAIL_SMTPUTF8));
	cm->env.arrival = clock_wall_us();
	return true;
}

int bounce_on_notice(struct serve_conn *c, struct msg *m)
{
	struct cleanup *cl = cleanup_of(c);
	struct arena mem;
	struct cl_notice q;
	struct err err;
	struct stat st;
	char qid[QID_MAX + 1];
	int fd;
	char *raw = sv_dup(m->body);
	m->body.p = raw;
	arena_init(&mem, MAIL_ARENA);
	if (!cl_notice_get(m, &mem, &q)) {
		arena_clear(&mem);
		free(raw);
		return ERR_PROTOCOL;
	}
	struct serve_ticket t = serve_ticket(c, m);
	if (fstat(q.fd, &st) < 0 ||
	    !mail_content_valid(&q.env.content, QFILE_PREAMBLE, (uint64_t)st.st_size, UINT64_MAX)) {
		close(q.fd);
		arena_clear(&mem);
		free(raw);
		return ERR_PROTOCOL;
	}
	int r = spool_create(&cl->spool, clock_wall_us(), qid, &fd, NULL, &err);
	struct commit *cm = commit_new(cl, t, CL_NOTICE, r == 0 ? qid : "", r == 0 ? fd : -1);
	cm->raw = raw;
	cm->mem = mem;
	if (r < 0) {
		log_warn("%s", err.text);
		close(q.fd);
		commit_finish(cl, cm, ERR_TEMP, NULL);
		return 0;
	}
	struct notice *n = xcalloc(1, sizeof(*n));
	n->cm = cm;
	n->q = q;
	buf_init(&n->head, NOTICE_TEXT_MAX);
	buf_init(&n->tail, 4096);
	/* RFC 3461 section 6.2: the header only, when asked for, and always for anything but failures; else if not too
	 * long. */
	n->full = (q.kind == CL_NOTICE_FAILURE || q.kind == CL_NOTICE_DOUBLE) && !(q.env.flags & MAIL_RET_HDRS) &&
		  mail_content_size(&q.env.content) <= cl->bounce_size;
	if (!envelope(cl, n) || compose(cl, n) < 0) {
		log_warn("%s: notice is too long", cm->qid);
		notice_free(n);
		commit_finish(cl, cm, ERR_TEMP, NULL);
		return 0;
	}
	n->work.run = write_run;
	n->work.done = write_done;
	ev_work(cl->pool, &n->work);
	return 0;
}
