/* api_master.c - encoding and decoding of the control channel's messages; see api_master.h. */
#include "ipc/api_master.h"

#define NAME_LEN 64
#define PATH_LEN 4096
#define EXTRA_LEN 512

void ma_put_hello(struct msg_out *m, const struct ma_hello *h)
{
	put_sv(m, h->program);
	put_sv(m, h->service);
	put_sv(m, h->role);
	put_sv(m, h->target);
	put_u64(m, h->process);
	put_i64(m, h->clock_offset);
	put_bool(m, h->verbose);
	put_u64(m, h->log_sink);
	put_sv(m, h->log_ident);
}

bool ma_get_hello(struct msg *m, struct ma_hello *h)
{
	return get_text(m, &h->program, NAME_LEN) && get_text(m, &h->service, NAME_LEN) &&
	       get_text(m, &h->role, NAME_LEN) && get_text(m, &h->target, NAME_LEN) && get_u64(m, &h->process) &&
	       get_i64(m, &h->clock_offset) && get_bool(m, &h->verbose) && get_u64(m, &h->log_sink) &&
	       get_text(m, &h->log_ident, NAME_LEN) && msg_end(m);
}

void ma_put_listener(struct msg_out *m, const struct ma_listener *l)
{
	put_sv(m, l->name);
	put_bool(m, l->is_inet);
}

bool ma_get_listener(struct msg *m, struct ma_listener *l)
{
	return get_text(m, &l->name, NAME_LEN) && get_bool(m, &l->is_inet) && msg_end(m);
}

void ma_put_peer(struct msg_out *m, const struct ma_peer *p)
{
	put_sv(m, p->program);
	put_sv(m, p->service);
	put_u64(m, p->process);
	put_u64(m, p->pid);
	put_sv(m, p->extra);
}

bool ma_get_peer(struct msg *m, struct ma_peer *p)
{
	return get_text(m, &p->program, NAME_LEN) && get_text(m, &p->service, NAME_LEN) && get_u64(m, &p->process) &&
	       get_u64(m, &p->pid) && get_text(m, &p->extra, EXTRA_LEN) && msg_end(m);
}

void ma_put_session(struct msg_out *m, const struct ma_session *s)
{
	put_u64(m, s->session);
	put_sv(m, s->user);
	put_u64(m, s->uid);
	put_u64(m, s->gid);
	put_sv(m, s->folder);
}

bool ma_get_session(struct msg *m, struct ma_session *s)
{
	return get_u64(m, &s->session) && get_text(m, &s->user, EXTRA_LEN) && get_u64(m, &s->uid) &&
	       get_u64(m, &s->gid) && get_text(m, &s->folder, PATH_LEN) && msg_end(m);
}

void ma_put_logsource(struct msg_out *m, const struct ma_logsource *s)
{
	put_sv(m, s->ident);
	put_u64(m, s->pid);
}

bool ma_get_logsource(struct msg *m, struct ma_logsource *s)
{
	return get_text(m, &s->ident, NAME_LEN) && get_u64(m, &s->pid) && msg_end(m);
}

void ma_put_grant(struct msg_out *m, const struct ma_grant *g)
{
	put_sv(m, g->grant);
	put_u64(m, g->login);
	put_sv(m, g->service);
	put_sv(m, g->user);
	put_u64(m, g->uid);
	put_u64(m, g->gid);
	put_sv(m, g->folder);
	put_u64(m, g->lifetime_ms);
}

bool ma_get_grant(struct msg *m, struct ma_grant *g)
{
	return get_svmax(m, &g->grant, MA_GRANT_SIZE) && g->grant.n == MA_GRANT_SIZE && get_u64(m, &g->login) &&
	       get_text(m, &g->service, NAME_LEN) && get_text(m, &g->user, EXTRA_LEN) && get_u64(m, &g->uid) &&
	       get_u64(m, &g->gid) && get_text(m, &g->folder, PATH_LEN) && get_u64(m, &g->lifetime_ms) && msg_end(m);
}
