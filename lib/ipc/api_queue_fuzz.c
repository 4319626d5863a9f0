/*
 * api_queue_fuzz.c - messages of cleanup, qmgr and the delivery agents: the first byte picks the type, the rest is its
 * body. What can be read must be written as the same bytes again.
 */
#include "ipc/api_cleanup.h"
#include "ipc/api_deliver.h"
#include "ipc/api_qmgr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct msg_out *o, struct sv in)
{
	BUG_ON(!sv_eq(buf_sv(&o->b), in));
	msg_out_free(o);
}

static void cleanup_side(unsigned type, struct msg *m, struct arena *a, struct sv in)
{
	struct msg_out o = MSG_OUT_INIT;
	struct cl_commit commit;
	struct cl_notice notice;
	struct cl_stock stock;
	struct cl_done done;
	unsigned count;
	struct sv qid;
	switch (type) {
	case 0:
		if (cl_commit_get(m, a, &commit)) {
			(void)mail_content_valid(&commit.env.content, 64, 1000, 1000);
			cl_commit_put(&o, &commit);
			same(&o, in);
		}
		break;
	case 1:
		if (cl_notice_get(m, a, &notice)) {
			cl_notice_put(&o, &notice);
			same(&o, in);
		}
		break;
	case 2:
		if (cl_stock_get(m, &stock)) {
			cl_stock_put(&o, &stock);
			same(&o, in);
		}
		break;
	case 3:
		if (cl_done_get(m, &done)) {
			cl_done_put(&o, &done);
			same(&o, in);
		}
		break;
	case 4: (void)cl_stock_req_get(m, &count); break;
	default: (void)cl_discard_get(m, &qid); break;
	}
}

static void deliver_side(unsigned type, struct msg *m, struct arena *a, struct sv in)
{
	struct msg_out o = MSG_OUT_INIT;
	struct dv_deliver deliver;
	struct dv_result result;
	if (type == 0) {
		if (dv_deliver_get(m, a, &deliver)) {
			dv_deliver_put(&o, &deliver);
			same(&o, in);
		}
	} else if (dv_result_get(m, a, &result)) {
		dv_result_put(&o, &result);
		same(&o, in);
	}
}

static void qmgr_side(unsigned type, struct msg *m, struct arena *a, struct sv in)
{
	struct msg_out o = MSG_OUT_INIT;
	struct qm_queued queued;
	struct qm_rows rows;
	struct qm_order order;
	struct sv qid, site;
	uint64_t count;
	int status;
	switch (type) {
	case 0:
		if (qm_queued_get(m, a, &queued)) {
			qm_queued_put(&o, &queued);
			same(&o, in);
		}
		break;
	case 1:
		if (qm_rows_get(m, a, &rows)) {
			qm_rows_head_put(&o, rows.status, rows.more, rows.n);
			for (size_t i = 0; i < rows.n; i++)
				qm_row_put(&o, &rows.row[i]);
			same(&o, in);
		}
		break;
	case 2:
		if (qm_order_get(m, &order)) {
			qm_order_put(&o, &order);
			same(&o, in);
		}
		break;
	case 3: (void)qm_list_get(m, &qid, &site); break;
	default: (void)qm_ordered_get(m, &status, &count); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	int fds[1] = {-1};
	struct msg m = {0};
	if (!size)
		return 0;
	unsigned type = data[0] % 13;
	struct sv in = sv_of((const char *)data + 1, size - 1);
	m.body = in;
	arena_init(&a, MAIL_ARENA);
	if (type == 1 || type == 6) {
		m.fds = fds;
		m.nfds = 1;
	}
	if (type < 6)
		cleanup_side(type, &m, &a, in);
	else if (type < 8)
		deliver_side(type - 6, &m, &a, in);
	else
		qmgr_side(type - 8, &m, &a, in);
	arena_clear(&a);
	return 0;
}
