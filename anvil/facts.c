/* facts.c - what one process found out and others may want to know for a while. */
#include "anvil/facts.h"

#define NAME_MAX_LEN 512

struct fact {
	UT_hash_handle hh;
	struct fact *prev, *next; /* oldest first */
	uint64_t until;
	size_t name_len, len;
	char bytes[]; /* name, then value */
};

struct facts {
	struct fact *table, *list;
	size_t n, max;
};

struct facts *facts_new(size_t max)
{
	struct facts *f = xcalloc(1, sizeof(*f));

	f->max = max;
	return f;
}

static void drop(struct facts *f, struct fact *e)
{
	HASH_DEL(f->table, e);
	DL_DELETE(f->list, e);
	f->n--;
	free(e);
}

void facts_free(struct facts **fp)
{
	struct facts *f = *fp;

	if (!f)
		return;
	while (f->list)
		drop(f, f->list);
	free(f);
	*fp = NULL;
}

size_t facts_count(const struct facts *f)
{
	return f->n;
}

static size_t make_name(char name[NAME_MAX_LEN], struct sv kind, struct sv key)
{
	if (kind.n + 1 + key.n > NAME_MAX_LEN)
		return 0;
	memcpy(name, kind.p, kind.n);
	name[kind.n] = '\0';
	if (key.n)
		memcpy(name + kind.n + 1, key.p, key.n);
	return kind.n + 1 + key.n;
}

static struct fact *find(struct facts *f, struct sv kind, struct sv key)
{
	char name[NAME_MAX_LEN];
	size_t n = make_name(name, kind, key);
	struct fact *e = NULL;

	if (n)
		HASH_FIND(hh, f->table, name, n, e);
	return e;
}

void facts_set(struct facts *f, struct sv kind, struct sv key, struct sv value, uint32_t ttl, uint64_t now)
{
	char name[NAME_MAX_LEN];
	size_t n = make_name(name, kind, key);
	struct fact *e = find(f, kind, key);

	if (e)
		drop(f, e);
	if (!n || !ttl)
		return;
	if (f->n >= f->max)
		drop(f, f->list);
	e = xcalloc(1, sizeof(*e) + n + value.n);
	memcpy(e->bytes, name, n);
	if (value.n)
		memcpy(e->bytes + n, value.p, value.n);
	e->name_len = n;
	e->len = value.n;
	e->until = now + (uint64_t)ttl * 1000;
	HASH_ADD_KEYPTR(hh, f->table, e->bytes, n, e);
	DL_APPEND(f->list, e);
	f->n++;
}

bool facts_get(struct facts *f, struct sv kind, struct sv key, uint64_t now, struct sv *value, uint32_t *left)
{
	struct fact *e = find(f, kind, key);

	if (e && e->until <= now) {
		drop(f, e);
		e = NULL;
	}
	if (!e)
		return false;
	*value = sv_of(e->bytes + e->name_len, e->len);
	*left = (uint32_t)((e->until - now + 999) / 1000);
	return true;
}

void facts_sweep(struct facts *f, uint64_t now, size_t most)
{
	struct fact *e = f->list;

	while (e && most--) {
		struct fact *next = e->next;

		if (e->until <= now)
			drop(f, e);
		e = next;
	}
}
