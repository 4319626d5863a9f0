#include "ipc/api_cleanup.h"

void cl_stock_req_put(struct msg_out *m, unsigned count)
{
	put_u64(m, count);
}

bool cl_stock_req_get(struct msg *m, unsigned *count)
{
	size_t n;
	if (!get_count(m, &n, CL_STOCK_MAX) || !msg_end(m))
		return false;
	*count = (unsigned)n;
	return true;
}

void cl_stock_put(struct msg_out *m, const struct cl_stock *s)
{
	put_i64(m, s->status);
	put_u64(m, s->n);
	for (size_t i = 0; i < s->n; i++) {
		put_sv(m, s->qid[i]);
		put_fd(m, s->fd[i]);
	}
}

static bool status_get(struct msg *m, int *status)
{
	int64_t v;
	if (!get_i64(m, &v))
		return false;
	if (v < INT16_MIN || v > INT16_MAX) {
		m->bad = true;
		return false;
	}
	*status = (int)v;
	return true;
}

bool cl_stock_get(struct msg *m, struct cl_stock *s)
{
	struct cl_stock t = {0};
	if (!status_get(m, &t.status) || !get_count(m, &t.n, CL_STOCK_MAX))
		return false;
	for (size_t i = 0; i < t.n; i++)
		if (!get_text(m, &t.qid[i], MAIL_QID_MAX) || !mail_qid_valid(t.qid[i]))
			return false;
	if (m->nfds != t.n || m->nextfd != 0 || !msg_end(m))
		return false;
	for (size_t i = 0; i < t.n; i++)
		t.fd[i] = msg_take_fd(m);
	*s = t;
	return true;
}

void cl_commit_put(struct msg_out *m, const struct cl_commit *c)
{
	put_sv(m, c->qid);
	mail_envelope_put(m, &c->env);
	put_u64(m, c->nrcpt);
	for (size_t i = 0; i < c->nrcpt; i++)
		mail_rcpt_put(m, &c->rcpt[i]);
}

bool cl_commit_get(struct msg *m, struct arena *a, struct cl_commit *c)
{
	struct cl_commit t = {0};
	if (!get_text(m, &t.qid, MAIL_QID_MAX) || !mail_envelope_get(m, &t.env) ||
	    !get_count(m, &t.nrcpt, MAIL_RCPTS_MAX))
		return false;
	t.rcpt = arena_alloc(a, (t.nrcpt + 1) * sizeof(*t.rcpt));
	if (!t.rcpt)
		return false;
	for (size_t i = 0; i < t.nrcpt; i++)
		if (!mail_rcpt_get(m, &t.rcpt[i]))
			return false;
	if (!msg_end(m))
		return false;
	*c = t;
	return true;
}

void cl_done_put(struct msg_out *m, const struct cl_done *d)
{
	put_i64(m, d->status);
	put_sv(m, d->qid);
	put_sv(m, d->text);
}

bool cl_done_get(struct msg *m, struct cl_done *d)
{
	struct cl_done t;
	if (!status_get(m, &t.status) || !get_text(m, &t.qid, MAIL_QID_MAX) || !get_text(m, &t.text, MAIL_TEXT_MAX) ||
	    !msg_end(m))
		return false;
	*d = t;
	return true;
}

void cl_discard_put(struct msg_out *m, struct sv qid)
{
	put_sv(m, qid);
}

bool cl_discard_get(struct msg *m, struct sv *qid)
{
	struct sv t;
	if (!get_text(m, &t, MAIL_QID_MAX) || !msg_end(m))
		return false;
	*qid = t;
	return true;
}

void cl_notice_put(struct msg_out *m, const struct cl_notice *n)
{
	put_u64(m, n->kind);
	put_sv(m, n->qid);
	put_sv(m, n->to);
	put_i64(m, n->will_retry_until);
	mail_envelope_put(m, &n->env);
	put_u64(m, n->nrcpt);
	for (size_t i = 0; i < n->nrcpt; i++) {
		const struct cl_notice_rcpt *r = &n->rcpt[i];
		mail_rcpt_put(m, &r->rcpt);
		put_u64(m, r->action);
		put_sv(m, r->dsn);
		put_sv(m, r->text);
		put_sv(m, r->relay);
		put_i64(m, r->last_attempt);
	}
	put_fd(m, n->fd);
}

static bool notice_rcpt_get(struct msg *m, struct cl_notice_rcpt *r)
{
	return mail_rcpt_get(m, &r->rcpt) && get_u32(m, &r->action) && get_text(m, &r->dsn, MAIL_NAME_MAX) &&
	       get_text(m, &r->text, MAIL_TEXT_MAX) && get_text(m, &r->relay, MAIL_NAME_MAX) &&
	       get_i64(m, &r->last_attempt) && r->action >= CL_ACTION_FAILED && r->action <= CL_ACTION_EXPANDED;
}

bool cl_notice_get(struct msg *m, struct arena *a, struct cl_notice *n)
{
	struct cl_notice t = {0};
	if (!get_u32(m, &t.kind) || t.kind < CL_NOTICE_FAILURE || t.kind > CL_NOTICE_DOUBLE ||
	    !get_text(m, &t.qid, MAIL_QID_MAX) || !mail_qid_valid(t.qid) || !get_text(m, &t.to, MAIL_ADDR_MAX) ||
	    !get_i64(m, &t.will_retry_until) || !mail_envelope_get(m, &t.env) ||
	    !get_count(m, &t.nrcpt, MAIL_RCPTS_MAX))
		return false;
	t.rcpt = arena_alloc(a, (t.nrcpt + 1) * sizeof(*t.rcpt));
	if (!t.rcpt)
		return false;
	for (size_t i = 0; i < t.nrcpt; i++)
		if (!notice_rcpt_get(m, &t.rcpt[i]))
			return false;
	if (m->nfds != 1 || m->nextfd != 0 || !msg_end(m))
		return false;
	t.fd = msg_take_fd(m);
	*n = t;
	return true;
}
