/* api_mail.c - see api_mail.h. */
#include "ipc/api_mail.h"

void mail_content_put(struct msg_out *m, const struct mail_content *c)
{
	put_u64(m, c->nheader);
	for (size_t i = 0; i < c->nheader; i++) {
		put_u64(m, c->header[i].at);
		put_u64(m, c->header[i].len);
	}
	put_u64(m, c->body.at);
	put_u64(m, c->body.len);
}

bool mail_content_get(struct msg *m, struct mail_content *c)
{
	if (!get_count(m, &c->nheader, MAIL_EXTENTS_MAX))
		return false;
	for (size_t i = 0; i < c->nheader; i++)
		if (!get_u64(m, &c->header[i].at) || !get_u64(m, &c->header[i].len))
			return false;
	return get_u64(m, &c->body.at) && get_u64(m, &c->body.len);
}

void mail_rcpt_put(struct msg_out *m, const struct mail_rcpt *r)
{
	put_sv(m, r->addr);
	put_sv(m, r->orig);
	put_sv(m, r->orcpt);
	put_u64(m, r->notify);
	put_u64(m, r->flags);
}

bool mail_rcpt_get(struct msg *m, struct mail_rcpt *r)
{
	return get_text(m, &r->addr, MAIL_ADDR_MAX) && get_text(m, &r->orig, MAIL_ADDR_MAX) &&
	       get_text(m, &r->orcpt, MAIL_ADDR_MAX) && get_u32(m, &r->notify) && get_u32(m, &r->flags);
}

void mail_route_put(struct msg_out *m, const struct mail_route *r)
{
	put_u64(m, r->cls);
	put_sv(m, r->transport);
	put_sv(m, r->nexthop);
}

bool mail_route_get(struct msg *m, struct mail_route *r)
{
	return get_u32(m, &r->cls) && get_text(m, &r->transport, MAIL_NAME_MAX) &&
	       get_text(m, &r->nexthop, MAIL_HOP_MAX);
}

void mail_envelope_put(struct msg_out *m, const struct mail_envelope *e)
{
	put_sv(m, e->sender);
	put_sv(m, e->envid);
	put_u64(m, e->flags);
	put_i64(m, e->arrival);
	put_u64(m, e->size);
	put_sv(m, e->client_name);
	put_sv(m, e->client_addr);
	put_sv(m, e->helo);
	put_sv(m, e->protocol);
	put_sv(m, e->sasl_method);
	put_sv(m, e->sasl_user);
	put_sv(m, e->message_id);
	put_sv(m, e->summary);
	mail_content_put(m, &e->content);
}

bool mail_envelope_get(struct msg *m, struct mail_envelope *e)
{
	return get_text(m, &e->sender, MAIL_ADDR_MAX) && get_text(m, &e->envid, MAIL_NAME_MAX) &&
	       get_u32(m, &e->flags) && get_i64(m, &e->arrival) && get_u64(m, &e->size) &&
	       get_text(m, &e->client_name, MAIL_NAME_MAX) && get_text(m, &e->client_addr, MAIL_NAME_MAX) &&
	       get_text(m, &e->helo, MAIL_NAME_MAX) && get_text(m, &e->protocol, MAIL_NAME_MAX) &&
	       get_text(m, &e->sasl_method, MAIL_NAME_MAX) && get_text(m, &e->sasl_user, MAIL_NAME_MAX) &&
	       get_text(m, &e->message_id, MAIL_NAME_MAX) && get_svmax(m, &e->summary, MAIL_SUMMARY_MAX) &&
	       mail_content_get(m, &e->content);
}
