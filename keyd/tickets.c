/* tickets.c - rotation of session ticket keys. */
#include "keyd/tickets.h"

#include "crypto/rng.h"
#include "crypto/secret.h"

static void add(struct kd_tickets *t, int64_t now, uint64_t lifetime)
{
	struct kd_ticket k;

	rng_bytes(k.name, sizeof(k.name));
	rng_bytes(k.aes, sizeof(k.aes));
	rng_bytes(k.hmac, sizeof(k.hmac));
	k.expires = now + (int64_t)(lifetime + lifetime / 2);
	if (t->n == KD_MAX_TICKETS)
		t->n--;
	memmove(&t->keys[1], &t->keys[0], t->n * sizeof(k));
	t->keys[0] = k;
	t->n++;
	secret_clear(&k, sizeof(k));
}

bool tickets_rotate(struct kd_tickets *t, int64_t now, uint64_t lifetime)
{
	bool changed = false;

	if (!lifetime)
		return false;
	while (t->n > 1 && t->keys[t->n - 1].expires <= now) {
		t->n--;
		secret_clear(&t->keys[t->n], sizeof(t->keys[0]));
		changed = true;
	}
	/* a key encrypts for half a lifetime, and its last ticket lives for a whole one */
	if (!t->n || t->keys[0].expires - (int64_t)lifetime <= now ||
	    t->keys[0].expires > now + 2 * (int64_t)lifetime) {
		add(t, now, lifetime);
		changed = true;
	}
	return changed;
}
