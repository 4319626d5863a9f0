/* api_keyd.c - encoding and decoding of keyd's messages. */
#include "ipc/api_keyd.h"

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

void kd_certs_encode(struct msg_out *m, const struct kd_certs *c)
{
	put_i64(m, c->status);
	put_u64(m, c->generation);
	put_u64(m, c->n);
	for (size_t i = 0; i < c->n; i++) {
		put_u64(m, c->certs[i].key);
		put_sv(m, c->certs[i].names);
		put_sv(m, c->certs[i].chain);
	}
}

bool kd_certs_decode(struct msg *m, struct kd_certs *c)
{
	if (!get_status(m, &c->status) || !get_u64(m, &c->generation) || !get_count(m, &c->n, KD_MAX_CERTS))
		return false;
	for (size_t i = 0; i < c->n; i++) {
		struct kd_cert *k = &c->certs[i];

		if (!get_u32(m, &k->key) || !get_text(m, &k->names, KD_MAX_NAMES) ||
		    !get_text(m, &k->chain, KD_MAX_CHAIN))
			return false;
	}
	return msg_end(m);
}

void kd_sign_encode(struct msg_out *m, const struct kd_sign *s)
{
	put_u64(m, s->key);
	put_u64(m, s->generation);
	put_u64(m, s->scheme);
	put_u64(m, s->form);
	put_sv(m, s->data);
}

bool kd_sign_decode(struct msg *m, struct kd_sign *s)
{
	return get_u32(m, &s->key) && get_u64(m, &s->generation) && get_u32(m, &s->scheme) && get_u32(m, &s->form) &&
	       get_svmax(m, &s->data, KD_MAX_SIGN) && msg_end(m);
}

void kd_signed_encode(struct msg_out *m, int status, struct sv signature)
{
	put_i64(m, status);
	put_sv(m, signature);
}

bool kd_signed_decode(struct msg *m, int *status, struct sv *signature)
{
	return get_status(m, status) && get_svmax(m, signature, KD_MAX_SIGNATURE) && msg_end(m);
}

void kd_tickets_encode(struct msg_out *m, const struct kd_tickets *t)
{
	put_i64(m, t->status);
	put_u64(m, t->n);
	for (size_t i = 0; i < t->n; i++) {
		const struct kd_ticket *k = &t->keys[i];

		put_sv(m, sv_of((const char *)k->name, sizeof(k->name)));
		put_sv(m, sv_of((const char *)k->aes, sizeof(k->aes)));
		put_sv(m, sv_of((const char *)k->hmac, sizeof(k->hmac)));
		put_i64(m, k->expires);
	}
}

static bool get_bytes(struct msg *m, unsigned char *out, size_t n)
{
	struct sv s;

	if (!get_svmax(m, &s, n))
		return false;
	if (s.n != n) {
		m->bad = true;
		return false;
	}
	memcpy(out, s.p, n);
	return true;
}

bool kd_tickets_decode(struct msg *m, struct kd_tickets *t)
{
	if (!get_status(m, &t->status) || !get_count(m, &t->n, KD_MAX_TICKETS))
		return false;
	for (size_t i = 0; i < t->n; i++) {
		struct kd_ticket *k = &t->keys[i];

		if (!get_bytes(m, k->name, sizeof(k->name)) || !get_bytes(m, k->aes, sizeof(k->aes)) ||
		    !get_bytes(m, k->hmac, sizeof(k->hmac)) || !get_i64(m, &k->expires))
			return false;
	}
	return msg_end(m);
}
