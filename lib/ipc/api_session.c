/* api_session.c - the preface of a session's stream. */
#include "ipc/api_session.h"

int se_preface_frame(struct buf *out, const struct se_preface *p)
{
	struct msg_out m = MSG_OUT_INIT;
	char header[MSG_HEADER];
	int rc = ERR_LIMIT;

	put_sv(&m, p->tag);
	put_sv(&m, p->client);
	put_sv(&m, p->local);
	put_bool(&m, p->secure);
	put_sv(&m, p->early);
	if (!m.b.overflow && m.b.n + MSG_HEADER <= SE_MAX_FRAME && p->early.n <= SE_MAX_EARLY) {
		msg_frame(header, (uint32_t)m.b.n, SE_PREFACE, 0, SE_VERSION, 0);
		rc = buf_add(out, header, sizeof(header));
		if (!rc)
			rc = buf_addsv(out, buf_sv(&m.b));
	}
	msg_out_free(&m);
	return rc;
}

int se_preface_parse(struct sv in, struct se_preface *p, size_t *used)
{
	struct se_preface v;
	struct msg m;
	unsigned nfds;
	size_t n;
	int rc = msg_parse(in, SE_MAX_FRAME, &m, &n, &nfds);

	if (rc <= 0)
		return rc;
	if (m.type != SE_PREFACE || m.version != SE_VERSION || nfds || !get_text(&m, &v.tag, SE_MAX_TAG) ||
	    !get_text(&m, &v.client, SE_MAX_ADDR) || !get_text(&m, &v.local, SE_MAX_ADDR) || !get_bool(&m, &v.secure) ||
	    !get_svmax(&m, &v.early, SE_MAX_EARLY) || !msg_end(&m))
		return ERR_PROTOCOL;
	*p = v;
	*used = n;
	return 1;
}
