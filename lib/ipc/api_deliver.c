#include "ipc/api_deliver.h"

void dv_deliver_put(struct msg_out *m, const struct dv_deliver *d)
{
	put_u64(m, d->job);
	put_sv(m, d->qid);
	put_sv(m, d->transport);
	put_sv(m, d->nexthop);
	put_i64(m, d->active);
	mail_envelope_put(m, &d->env);
	put_u64(m, d->nrcpt);
	for (size_t i = 0; i < d->nrcpt; i++) {
		put_u64(m, d->rcpt[i].index);
		mail_rcpt_put(m, &d->rcpt[i].rcpt);
	}
	put_fd(m, d->fd);
}

bool dv_deliver_get(struct msg *m, struct arena *a, struct dv_deliver *d)
{
	struct dv_deliver t = {0};
	if (!get_u64(m, &t.job) || !get_text(m, &t.qid, MAIL_QID_MAX) || !mail_qid_valid(t.qid) ||
	    !get_text(m, &t.transport, MAIL_NAME_MAX) || !get_text(m, &t.nexthop, MAIL_HOP_MAX) ||
	    !get_i64(m, &t.active) || !mail_envelope_get(m, &t.env) || !get_count(m, &t.nrcpt, DV_RCPTS_MAX))
		return false;
	t.rcpt = arena_alloc(a, (t.nrcpt + 1) * sizeof(*t.rcpt));
	if (!t.rcpt)
		return false;
	for (size_t i = 0; i < t.nrcpt; i++)
		if (!get_u32(m, &t.rcpt[i].index) || !mail_rcpt_get(m, &t.rcpt[i].rcpt))
			return false;
	if (m->nfds != 1 || m->nextfd != 0 || !msg_end(m))
		return false;
	t.fd = msg_take_fd(m);
	*d = t;
	return true;
}

void dv_result_put(struct msg_out *m, const struct dv_result *r)
{
	put_u64(m, r->job);
	put_bool(m, r->last);
	put_bool(m, r->site_down);
	for (size_t i = 0; i < ARRAY_LEN(r->times); i++)
		put_u64(m, r->times[i]);
	put_u64(m, r->nrcpt);
	for (size_t i = 0; i < r->nrcpt; i++) {
		const struct dv_result_rcpt *q = &r->rcpt[i];
		put_u64(m, q->index);
		put_u64(m, q->status);
		put_u64(m, q->flags);
		put_sv(m, q->dsn);
		put_sv(m, q->relay);
		put_sv(m, q->text);
		put_u64(m, q->nmember);
		for (size_t j = 0; j < q->nmember; j++)
			mail_rcpt_put(m, &q->member[j]);
	}
}

static bool result_rcpt_get(struct msg *m, struct arena *a, struct dv_result_rcpt *q)
{
	if (!get_u32(m, &q->index) || !get_u32(m, &q->status) || q->status < DV_SENT || q->status > DV_EXPANDED ||
	    !get_u32(m, &q->flags) || !get_text(m, &q->dsn, MAIL_NAME_MAX) || !get_text(m, &q->relay, MAIL_NAME_MAX) ||
	    !get_text(m, &q->text, MAIL_TEXT_MAX) || !get_count(m, &q->nmember, DV_MEMBERS_MAX))
		return false;
	if (q->nmember == 0)
		return true;
	q->member = arena_alloc(a, q->nmember * sizeof(*q->member));
	if (!q->member)
		return false;
	for (size_t j = 0; j < q->nmember; j++)
		if (!mail_rcpt_get(m, &q->member[j]))
			return false;
	return true;
}

bool dv_result_get(struct msg *m, struct arena *a, struct dv_result *r)
{
	struct dv_result t = {0};
	if (!get_u64(m, &t.job) || !get_bool(m, &t.last) || !get_bool(m, &t.site_down))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(t.times); i++)
		if (!get_u64(m, &t.times[i]))
			return false;
	if (!get_count(m, &t.nrcpt, DV_RCPTS_MAX))
		return false;
	t.rcpt = arena_alloc(a, (t.nrcpt + 1) * sizeof(*t.rcpt));
	if (!t.rcpt)
		return false;
	for (size_t i = 0; i < t.nrcpt; i++)
		if (!result_rcpt_get(m, a, &t.rcpt[i]))
			return false;
	if (!msg_end(m))
		return false;
	*r = t;
	return true;
}
