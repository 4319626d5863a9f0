/* cache.c - a bounded table of MACs, oldest first in line to go. */
#include "auth/cache.h"

#include "base/htable.h"
#include "crypto/digest.h"
#include "crypto/rng.h"
#include "crypto/secret.h"

#define MAC 32

struct entry {
	char *user;
	unsigned char mac[MAC];
	uint64_t until;
	UT_hash_handle hh; /* uthash keeps the order of insertion */
};

struct auth_cache {
	struct entry *entries;
	size_t size;
	uint64_t ttl_ms;
	struct hmac_key *key;
};

struct auth_cache *auth_cache_new(size_t size, uint64_t ttl_ms)
{
	struct auth_cache *c = xcalloc(1, sizeof(*c));
	unsigned char key[MAC];

	c->size = ttl_ms ? size : 0;
	c->ttl_ms = ttl_ms;
	rng_bytes(key, sizeof(key));
	c->key = hmac_key_new(DIGEST_SHA256, sv_of((const char *)key, sizeof(key)));
	secret_clear(key, sizeof(key));
	return c;
}

static void drop(struct auth_cache *c, struct entry *e)
{
	HASH_DEL(c->entries, e);
	free(e->user);
	secret_clear(e->mac, sizeof(e->mac));
	free(e);
}

void auth_cache_free(struct auth_cache **pc)
{
	struct auth_cache *c = *pc;
	struct entry *e, *next;

	*pc = NULL;
	if (!c)
		return;
	HASH_ITER (hh, c->entries, e, next)
		drop(c, e);
	hmac_key_free(&c->key);
	free(c);
}

/* The three parts with their lengths, so that no two triples look alike. */
static void mac_of(
    const struct auth_cache *c, struct sv user, struct sv password, struct sv verifier, unsigned char *out)
{
	uint64_t lengths[3] = {user.n, password.n, verifier.n};
	size_t n = sizeof(lengths) + user.n + password.n + verifier.n;
	char *p = xmalloc(n), *at = p;

	memcpy(at, lengths, sizeof(lengths));
	at += sizeof(lengths);
	memcpy(at, user.p, user.n);
	at += user.n;
	memcpy(at, password.p, password.n);
	at += password.n;
	if (verifier.n)
		memcpy(at, verifier.p, verifier.n);
	hmac_key_run(c->key, sv_of(p, n), out);
	secret_clear(p, n);
	free(p);
}

static struct entry *find(struct auth_cache *c, struct sv user)
{
	struct entry *e;

	HASH_FIND(hh, c->entries, user.p, user.n, e);
	return e;
}

bool auth_cache_check(struct auth_cache *c, uint64_t now_ms, struct sv user, struct sv password, struct sv verifier)
{
	struct entry *e = c->size ? find(c, user) : NULL;
	unsigned char mac[MAC];

	if (!e)
		return false;
	if (e->until <= now_ms) {
		drop(c, e);
		return false;
	}
	mac_of(c, user, password, verifier, mac);
	return secret_equal(sv_of((char *)mac, MAC), sv_of((char *)e->mac, MAC));
}

void auth_cache_add(struct auth_cache *c, uint64_t now_ms, struct sv user, struct sv password, struct sv verifier)
{
	struct entry *e;

	if (!c->size || !user.n)
		return;
	e = find(c, user);
	if (e)
		drop(c, e);
	while (HASH_COUNT(c->entries) >= c->size)
		drop(c, c->entries);
	e = xcalloc(1, sizeof(*e));
	e->user = sv_dup(user);
	e->until = now_ms + c->ttl_ms;
	mac_of(c, user, password, verifier, e->mac);
	HASH_ADD_KEYPTR(hh, c->entries, e->user, user.n, e);
}
