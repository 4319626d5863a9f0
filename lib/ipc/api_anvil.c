/* api_anvil.c - encoding and decoding of anvil's messages. */
#include "ipc/api_anvil.h"

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

/* A kind and a key: both present, without NUL. */
static bool get_name(struct msg *m, struct sv *kind, struct sv *key)
{
	if (!get_text(m, kind, AN_MAX_KIND) || !get_text(m, key, AN_MAX_KEY))
		return false;
	if (!kind->n)
		m->bad = true;
	return !m->bad;
}

static bool get_max(struct msg *m, uint32_t *v, uint32_t max)
{
	if (!get_u32(m, v))
		return false;
	if (*v > max)
		m->bad = true;
	return !m->bad;
}

void an_count_encode(struct msg_out *m, const struct an_count *c)
{
	put_sv(m, c->kind);
	put_sv(m, c->key);
	put_u64(m, c->add);
	put_u64(m, c->hold);
	put_u64(m, c->window);
}

bool an_count_decode(struct msg *m, struct an_count *c)
{
	return get_name(m, &c->kind, &c->key) && get_max(m, &c->add, AN_MAX_ADD) && get_max(m, &c->hold, AN_MAX_ADD) &&
	       get_max(m, &c->window, AN_MAX_WINDOW) && msg_end(m);
}

void an_counted_encode(struct msg_out *m, const struct an_counted *c)
{
	put_i64(m, c->status);
	put_u64(m, c->rate);
	put_u64(m, c->open);
}

bool an_counted_decode(struct msg *m, struct an_counted *c)
{
	return get_status(m, &c->status) && get_u32(m, &c->rate) && get_u32(m, &c->open) && msg_end(m);
}

void an_release_encode(struct msg_out *m, struct sv kind, struct sv key, uint32_t n)
{
	put_sv(m, kind);
	put_sv(m, key);
	put_u64(m, n);
}

bool an_release_decode(struct msg *m, struct sv *kind, struct sv *key, uint32_t *n)
{
	return get_name(m, kind, key) && get_max(m, n, AN_MAX_ADD) && msg_end(m);
}

void an_fact_encode(struct msg_out *m, const struct an_fact *f)
{
	put_sv(m, f->kind);
	put_sv(m, f->key);
	put_sv(m, f->value);
	put_u64(m, f->ttl);
}

bool an_fact_decode(struct msg *m, struct an_fact *f)
{
	return get_name(m, &f->kind, &f->key) && get_svmax(m, &f->value, AN_MAX_VALUE) &&
	       get_max(m, &f->ttl, AN_MAX_TTL) && msg_end(m);
}

void an_fact_get_encode(struct msg_out *m, struct sv kind, struct sv key)
{
	put_sv(m, kind);
	put_sv(m, key);
}

bool an_fact_get_decode(struct msg *m, struct sv *kind, struct sv *key)
{
	return get_name(m, kind, key) && msg_end(m);
}

void an_fact_reply_encode(struct msg_out *m, const struct an_fact_reply *r)
{
	put_i64(m, r->status);
	put_sv(m, r->value);
	put_u64(m, r->left);
}

bool an_fact_reply_decode(struct msg *m, struct an_fact_reply *r)
{
	return get_status(m, &r->status) && get_svmax(m, &r->value, AN_MAX_VALUE) && get_max(m, &r->left, AN_MAX_TTL) &&
	       msg_end(m);
}

void an_newmail_encode(struct msg_out *m, struct sv account)
{
	put_sv(m, account);
}

bool an_newmail_decode(struct msg *m, struct sv *account)
{
	return get_text(m, account, AN_MAX_KEY) && msg_end(m);
}

void an_status_encode(struct msg_out *m, int status)
{
	put_i64(m, status);
}

bool an_status_decode(struct msg *m, int *status)
{
	return get_status(m, status) && msg_end(m);
}

void an_watching_encode(struct msg_out *m, const struct an_watching *w)
{
	put_u64(m, w->n);
	for (size_t i = 0; i < w->n; i++)
		put_u64(m, w->wd[i]);
}

bool an_watching_decode(struct msg *m, struct an_watching *w)
{
	if (!get_count(m, &w->n, AN_MAX_WATCHES))
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (!get_max(m, &w->wd[i], INT32_MAX))
			return false;
	return msg_end(m);
}
