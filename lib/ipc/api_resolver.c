#include "ipc/api_resolver.h"

void rs_query_put(struct msg_out *m, const struct rs_query *q)
{
	put_sv(m, q->name);
	put_u64(m, q->type);
	put_u64(m, q->flags);
}

int rs_query_get(struct msg *m, struct rs_query *q)
{
	struct rs_query v = {0};
	uint32_t type, flags;

	if (!get_text(m, &v.name, RS_MAX_NAME) || !get_u32(m, &type) || !get_u32(m, &flags) || !msg_end(m))
		return ERR_PROTOCOL;
	if (type > UINT16_MAX)
		return ERR_PROTOCOL;
	v.type = type;
	v.flags = flags;
	*q = v;
	return 0;
}

void rs_answer_put(struct msg_out *m, const struct rs_answer *a)
{
	put_i64(m, a->status);
	put_bool(m, a->secure);
	put_bool(m, a->truncated);
	put_u64(m, a->ttl);
	put_sv(m, a->canon);
	put_sv(m, a->why);
	put_u64(m, a->n);
	for (size_t i = 0; i < a->n; i++) {
		put_u64(m, a->rr[i].preference);
		put_sv(m, a->rr[i].data);
	}
}

int rs_answer_get(struct msg *m, struct rs_answer *a)
{
	int64_t status;

	if (!get_i64(m, &status) || !get_bool(m, &a->secure) || !get_bool(m, &a->truncated) || !get_u32(m, &a->ttl) ||
	    !get_text(m, &a->canon, RS_MAX_NAME) || !get_text(m, &a->why, 512) || !get_count(m, &a->n, RS_MAX_RECORDS))
		return ERR_PROTOCOL;
	for (size_t i = 0; i < a->n; i++)
		if (!get_u32(m, &a->rr[i].preference) || !get_svmax(m, &a->rr[i].data, RS_MAX_DATA))
			return ERR_PROTOCOL;
	if (!msg_end(m) || status > 0 || status < ERR_UNSUPPORTED)
		return ERR_PROTOCOL;
	a->status = (int)status;
	return 0;
}
