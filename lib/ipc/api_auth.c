/* api_auth.c - encoding and decoding of auth's messages. */
#include "ipc/api_auth.h"

static bool get_status(struct msg *m, int *status)
{
	int64_t v;

	if (!get_i64(m, &v))
		return false;
	if (v > 0 || v < -64) {
		m->bad = true;
		return false;
	}
	*status = (int)v;
	return true;
}

void au_start_encode(struct msg_out *m, const struct au_start *s)
{
	put_sv(m, s->service);
	put_sv(m, s->mech);
	put_u64(m, s->connection);
	put_sv(m, s->client);
	put_sv(m, s->local);
	put_bool(m, s->secure);
	put_sv(m, s->binding);
	put_bool(m, s->has_initial);
	put_sv(m, s->initial);
}

bool au_start_decode(struct msg *m, struct au_start *s)
{
	return get_text(m, &s->service, AU_MAX_SERVICE) && get_text(m, &s->mech, AU_MAX_MECH) &&
	       get_u64(m, &s->connection) && get_text(m, &s->client, AU_MAX_ADDR) &&
	       get_text(m, &s->local, AU_MAX_ADDR) && get_bool(m, &s->secure) && get_svmax(m, &s->binding, 64) &&
	       get_bool(m, &s->has_initial) && get_svmax(m, &s->initial, AU_MAX_RESPONSE) && msg_end(m);
}

void au_mechs_ask_encode(struct msg_out *m, struct sv service, bool secure)
{
	put_sv(m, service);
	put_bool(m, secure);
}

bool au_mechs_ask_decode(struct msg *m, struct sv *service, bool *secure)
{
	return get_text(m, service, AU_MAX_SERVICE) && get_bool(m, secure) && msg_end(m);
}

void au_mechs_encode(struct msg_out *m, int status, struct sv mechs)
{
	put_i64(m, status);
	put_sv(m, mechs);
}

bool au_mechs_decode(struct msg *m, int *status, struct sv *mechs)
{
	return get_status(m, status) && get_text(m, mechs, AU_MAX_TEXT) && msg_end(m);
}

void au_next_encode(struct msg_out *m, uint64_t connection, struct sv response)
{
	put_u64(m, connection);
	put_sv(m, response);
}

bool au_next_decode(struct msg *m, uint64_t *connection, struct sv *response)
{
	return get_u64(m, connection) && get_svmax(m, response, AU_MAX_RESPONSE) && msg_end(m);
}

void au_abort_encode(struct msg_out *m, uint64_t connection)
{
	put_u64(m, connection);
}

bool au_abort_decode(struct msg *m, uint64_t *connection)
{
	return get_u64(m, connection) && msg_end(m);
}

void au_more_encode(struct msg_out *m, struct sv challenge)
{
	put_sv(m, challenge);
}

bool au_more_decode(struct msg *m, struct sv *challenge)
{
	return get_svmax(m, challenge, AU_MAX_RESPONSE) && msg_end(m);
}

void au_done_encode(struct msg_out *m, const struct au_done *d)
{
	put_sv(m, d->user);
	put_sv(m, d->account);
	put_sv(m, d->grant);
	put_sv(m, d->final);
}

bool au_done_decode(struct msg *m, struct au_done *d)
{
	return get_text(m, &d->user, AU_MAX_USER) && get_text(m, &d->account, AU_MAX_USER) &&
	       get_svmax(m, &d->grant, AU_GRANT) && get_svmax(m, &d->final, AU_MAX_RESPONSE) && msg_end(m);
}

void au_fail_encode(struct msg_out *m, bool temporary, struct sv text)
{
	put_bool(m, temporary);
	put_sv(m, text);
}

bool au_fail_decode(struct msg *m, bool *temporary, struct sv *text)
{
	return get_bool(m, temporary) && get_text(m, text, AU_MAX_TEXT) && msg_end(m);
}

void au_client_ask_encode(struct msg_out *m, const struct au_client *c)
{
	put_sv(m, c->transport);
	put_u64(m, c->nkeys);
	for (size_t i = 0; i < c->nkeys; i++)
		put_sv(m, c->keys[i]);
}

bool au_client_ask_decode(struct msg *m, struct au_client *c)
{
	if (!get_text(m, &c->transport, 64) || !get_count(m, &c->nkeys, AU_MAX_KEYS))
		return false;
	for (size_t i = 0; i < c->nkeys; i++) {
		if (!get_text(m, &c->keys[i], AU_MAX_USER))
			return false;
	}
	return msg_end(m);
}

void au_client_encode(struct msg_out *m, int status, struct sv user, struct sv password)
{
	put_i64(m, status);
	put_sv(m, user);
	put_sv(m, password);
}

bool au_client_decode(struct msg *m, int *status, struct sv *user, struct sv *password)
{
	return get_status(m, status) && get_svmax(m, user, AU_MAX_USER) && get_svmax(m, password, AU_MAX_USER) &&
	       msg_end(m);
}
