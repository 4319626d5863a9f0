#include "ipc/api_qmgr.h"

void qm_queued_put(struct msg_out *m, const struct qm_queued *q)
{
	put_sv(m, q->qid);
	put_sv(m, q->block);
	put_u64(m, q->block_at);
	put_u64(m, q->nroute);
	for (size_t i = 0; i < q->nroute; i++)
		mail_route_put(m, &q->route[i]);
}

bool qm_queued_get(struct msg *m, struct arena *a, struct qm_queued *q)
{
	struct qm_queued t = {0};
	if (!get_text(m, &t.qid, MAIL_QID_MAX) || !mail_qid_valid(t.qid) || !get_svmax(m, &t.block, QM_BLOCK_MAX) ||
	    !get_u64(m, &t.block_at) || !get_count(m, &t.nroute, MAIL_RCPTS_MAX))
		return false;
	t.route = arena_alloc(a, (t.nroute + 1) * sizeof(*t.route));
	if (!t.route)
		return false;
	for (size_t i = 0; i < t.nroute; i++)
		if (!mail_route_get(m, &t.route[i]))
			return false;
	if (!msg_end(m))
		return false;
	*q = t;
	return true;
}

void qm_list_put(struct msg_out *m, struct sv qid, struct sv site)
{
	put_sv(m, qid);
	put_sv(m, site);
}

bool qm_list_get(struct msg *m, struct sv *qid, struct sv *site)
{
	struct sv q, s;
	if (!get_text(m, &q, MAIL_QID_MAX) || !get_text(m, &s, MAIL_ADDR_MAX) || !msg_end(m))
		return false;
	*qid = q;
	*site = s;
	return true;
}

void qm_row_put(struct msg_out *m, const struct qm_row *r)
{
	put_sv(m, r->qid);
	put_u64(m, r->state);
	put_i64(m, r->arrival);
	put_i64(m, r->next);
	put_u64(m, r->size);
	put_sv(m, r->sender);
	put_u64(m, r->nleft);
	put_u64(m, r->nrcpt);
	for (size_t i = 0; i < r->nrcpt; i++) {
		put_sv(m, r->rcpt[i].addr);
		put_sv(m, r->rcpt[i].reason);
	}
}

bool qm_row_get(struct msg *m, struct arena *a, struct qm_row *r)
{
	struct qm_row t = {0};
	if (!get_text(m, &t.qid, MAIL_QID_MAX) || !get_u32(m, &t.state) || !get_i64(m, &t.arrival) ||
	    !get_i64(m, &t.next) || !get_u64(m, &t.size) || !get_text(m, &t.sender, MAIL_ADDR_MAX) ||
	    !get_u64(m, &t.nleft) || !get_count(m, &t.nrcpt, QM_ROW_RCPTS_MAX))
		return false;
	t.rcpt = arena_alloc(a, (t.nrcpt + 1) * sizeof(*t.rcpt));
	if (!t.rcpt)
		return false;
	for (size_t i = 0; i < t.nrcpt; i++)
		if (!get_text(m, &t.rcpt[i].addr, MAIL_ADDR_MAX) || !get_text(m, &t.rcpt[i].reason, MAIL_TEXT_MAX))
			return false;
	*r = t;
	return true;
}

void qm_rows_head_put(struct msg_out *m, int status, bool more, size_t n)
{
	put_i64(m, status);
	put_bool(m, more);
	put_u64(m, n);
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

bool qm_rows_get(struct msg *m, struct arena *a, struct qm_rows *r)
{
	struct qm_rows t = {0};
	if (!status_get(m, &t.status) || !get_bool(m, &t.more) || !get_count(m, &t.n, QM_ROWS_MAX))
		return false;
	t.row = arena_alloc(a, (t.n + 1) * sizeof(*t.row));
	if (!t.row)
		return false;
	for (size_t i = 0; i < t.n; i++)
		if (!qm_row_get(m, a, &t.row[i]))
			return false;
	if (!msg_end(m))
		return false;
	*r = t;
	return true;
}

void qm_order_put(struct msg_out *m, const struct qm_order *o)
{
	put_sv(m, o->qid);
	put_sv(m, o->where);
}

bool qm_order_get(struct msg *m, struct qm_order *o)
{
	struct qm_order t;
	if (!get_text(m, &t.qid, MAIL_QID_MAX) || !get_text(m, &t.where, MAIL_ADDR_MAX) || !msg_end(m))
		return false;
	*o = t;
	return true;
}

void qm_ordered_put(struct msg_out *m, int status, uint64_t count)
{
	put_i64(m, status);
	put_u64(m, count);
}

bool qm_ordered_get(struct msg *m, int *status, uint64_t *count)
{
	int s;
	uint64_t n;
	if (!status_get(m, &s) || !get_u64(m, &n) || !msg_end(m))
		return false;
	*status = s;
	*count = n;
	return true;
}

void qm_flow_put(struct msg_out *m, bool slow)
{
	put_bool(m, slow);
}

bool qm_flow_get(struct msg *m, bool *slow)
{
	bool s;
	if (!get_bool(m, &s) || !msg_end(m))
		return false;
	*slow = s;
	return true;
}
