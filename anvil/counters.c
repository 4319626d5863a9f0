/* counters.c - rates and numbers of open things. */
#include "anvil/counters.h"

#include "base/err.h"

#define NAME_MAX_LEN 512  /* kind + separator + key */
#define HOLDER_MAX 100000 /* different entries that one caller may hold */
#define EVICT_LOOK 64	  /* entries looked at to find one that holds nothing */

struct counter {
	UT_hash_handle hh;
	struct counter *prev, *next; /* by last use, oldest first */
	uint32_t slice[COUNTER_SLICES];
	uint64_t slice_no; /* number of the newest slice: time / length */
	uint64_t slice_ms; /* its length; 0: no rate yet */
	uint32_t open;
	size_t name_len;
	char name[];
};

struct held {
	UT_hash_handle hh;
	struct counter *c;
	uint32_t n;
};

struct holder {
	struct counters *counters;
	struct held *table;
};

struct counters {
	struct counter *table, *list;
	size_t n, max;
};

struct counters *counters_new(size_t max)
{
	struct counters *c = xcalloc(1, sizeof(*c));

	c->max = max;
	return c;
}

static void drop(struct counters *c, struct counter *e)
{
	HASH_DEL(c->table, e);
	DL_DELETE(c->list, e);
	c->n--;
	free(e);
}

void counters_free(struct counters **cp)
{
	struct counters *c = *cp;

	if (!c)
		return;
	while (c->list)
		drop(c, c->list);
	free(c);
	*cp = NULL;
}

size_t counters_count(const struct counters *c)
{
	return c->n;
}

static size_t make_name(char name[NAME_MAX_LEN], struct sv kind, struct sv key)
{
	if (kind.n + 1 + key.n > NAME_MAX_LEN)
		return 0;
	memcpy(name, kind.p, kind.n);
	name[kind.n] = '\0'; /* neither holds one */
	if (key.n)
		memcpy(name + kind.n + 1, key.p, key.n);
	return kind.n + 1 + key.n;
}

static struct counter *find(struct counters *c, const char *name, size_t n)
{
	struct counter *e;

	HASH_FIND(hh, c->table, name, n, e);
	return e;
}

static bool make_room(struct counters *c)
{
	struct counter *e = c->list;

	for (size_t i = 0; e && i < EVICT_LOOK; i++, e = e->next)
		if (!e->open) {
			drop(c, e);
			return true;
		}
	return false;
}

static struct counter *add_entry(struct counters *c, const char *name, size_t n)
{
	struct counter *e;

	if (c->n >= c->max && !make_room(c))
		return NULL;
	e = xcalloc(1, sizeof(*e) + n);
	memcpy(e->name, name, n);
	e->name_len = n;
	HASH_ADD_KEYPTR(hh, c->table, e->name, n, e);
	DL_APPEND(c->list, e);
	c->n++;
	return e;
}

/* Forgets the slices that have left the window. */
static void move_on(struct counter *e, uint32_t window, uint64_t now)
{
	uint64_t ms = (uint64_t)window * 1000 / COUNTER_SLICES, no;

	if (ms == 0)
		ms = 1;
	no = now / ms;
	if (e->slice_ms != ms || no - e->slice_no >= COUNTER_SLICES) {
		memset(e->slice, 0, sizeof(e->slice));
		e->slice_ms = ms;
	} else {
		for (uint64_t i = e->slice_no + 1; i <= no; i++)
			e->slice[i % COUNTER_SLICES] = 0;
	}
	e->slice_no = no;
}

static uint32_t add_capped(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

static uint32_t rate_of(const struct counter *e)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < COUNTER_SLICES; i++)
		sum = add_capped(sum, e->slice[i]);
	return sum;
}

static int hold_more(struct holder *h, struct counter *e, uint32_t n)
{
	struct held *x;

	HASH_FIND(hh, h->table, &e, sizeof(e), x);
	if (e->open > UINT32_MAX - n) /* as much as one holder has at most */
		return ERR_LIMIT;
	if (!x) {
		if (HASH_COUNT(h->table) >= HOLDER_MAX)
			return ERR_LIMIT;
		x = xcalloc(1, sizeof(*x));
		x->c = e;
		HASH_ADD_KEYPTR(hh, h->table, &x->c, sizeof(x->c), x);
	}
	x->n += n;
	e->open += n;
	return 0;
}

int counters_add(struct counters *c, struct holder *h, struct sv kind, struct sv key, uint32_t add, uint32_t hold,
    uint32_t window, uint64_t now, uint32_t *rate, uint32_t *open)
{
	char name[NAME_MAX_LEN];
	size_t n = make_name(name, kind, key);
	struct counter *e = n ? find(c, name, n) : NULL;

	if (!n)
		return ERR_LIMIT;
	if (!e && !add && !hold) {
		*rate = *open = 0;
		return 0;
	}
	if (e) {
		DL_DELETE(c->list, e);
		DL_APPEND(c->list, e);
	} else {
		e = add_entry(c, name, n);
	}
	if (!e || (hold && hold_more(h, e, hold)))
		return ERR_LIMIT;
	if (window) {
		uint32_t *slice;

		move_on(e, window, now);
		slice = &e->slice[e->slice_no % COUNTER_SLICES];
		*slice = add_capped(*slice, add);
	}
	*rate = window ? rate_of(e) : 0;
	*open = e->open;
	return 0;
}

static void release(struct holder *h, struct held *x, uint32_t n)
{
	if (n > x->n)
		n = x->n;
	x->n -= n;
	x->c->open -= n;
	if (x->n)
		return;
	HASH_DEL(h->table, x);
	free(x);
}

void counters_release(struct counters *c, struct holder *h, struct sv kind, struct sv key, uint32_t n)
{
	char name[NAME_MAX_LEN];
	size_t len = make_name(name, kind, key);
	struct counter *e = len ? find(c, name, len) : NULL;
	struct held *x = NULL;

	if (e)
		HASH_FIND(hh, h->table, &e, sizeof(e), x);
	if (x)
		release(h, x, n);
}

struct holder *holder_new(struct counters *c)
{
	struct holder *h = xcalloc(1, sizeof(*h));

	h->counters = c;
	return h;
}

void holder_free(struct holder **hp)
{
	struct holder *h = *hp;

	if (!h)
		return;
	while (h->table)
		release(h, h->table, UINT32_MAX);
	free(h);
	*hp = NULL;
}

void counters_sweep(struct counters *c, uint64_t now, size_t most)
{
	struct counter *e = c->list;

	while (e && most--) {
		struct counter *next = e->next;

		if (!e->open && (!e->slice_ms || now / e->slice_ms - e->slice_no >= COUNTER_SLICES))
			drop(c, e);
		e = next;
	}
}
