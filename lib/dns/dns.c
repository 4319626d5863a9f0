#include "dns/dns.h"

#include "base/htable.h"
#include "dns/dns_backend.h"
#include "dns/dns_wire.h"

#define DNS_MAX_ASKING 20000 /* different questions under way */

/* An answer in one block: this, the records, then the bytes that canon, why and the records point to. */
struct kept {
	unsigned refs;
	int status;
	bool secure, truncated;
	uint32_t ttl;
	struct sv canon, why;
	size_t n;
	struct rs_record rr[];
};

struct entry;
struct dns_query {
	struct dns_query *prev, *next; /* in entry->waiters or dns->ready */
	struct dns *dns;
	struct entry *entry; /* while it waits */
	struct kept *answer; /* while it is ready */
	dns_done *done;
	void *arg;
};

/* A question that is under way (answer == NULL) or whose answer is kept. */
struct entry {
	UT_hash_handle hh;
	struct dns *dns;
	struct dns_query *waiters;
	struct kept *answer;
	uint64_t expires; /* ev_now() */
	size_t nkey;
	char key[]; /* two bytes type, name in lower case */
};

struct dns {
	struct ev *ev;
	const struct dns_backend *backend;
	void *ctx;
	struct entry *entries; /* oldest first */
	size_t asking;
	struct dns_query *ready;
	struct ev_defer deliver;
	bool delivering;      /* callbacks run */
	bool dead;	      /* dns_free came from one of them */
	struct rs_answer out; /* what a callback sees */
};

static struct sv keep_sv(char **at, struct sv s)
{
	struct sv r = {*at, s.n};

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return r;
}

static struct kept *keep(const struct rs_answer *a)
{
	size_t bytes = a->canon.n + a->why.n;
	struct kept *k;
	char *at;

	for (size_t i = 0; i < a->n; i++)
		bytes += a->rr[i].data.n;
	k = xmalloc(sizeof(*k) + a->n * sizeof(k->rr[0]) + bytes);
	at = (char *)&k->rr[a->n];
	*k = (struct kept){0, a->status, a->secure, a->truncated, a->ttl, {0}, {0}, a->n};
	k->canon = keep_sv(&at, a->canon);
	k->why = keep_sv(&at, a->why);
	for (size_t i = 0; i < a->n; i++)
		k->rr[i] = (struct rs_record){a->rr[i].preference, keep_sv(&at, a->rr[i].data)};
	return k;
}

static void unkeep(struct kept *k)
{
	if (k && --k->refs == 0)
		free(k);
}

static void entry_free(struct entry *e)
{
	HASH_DEL(e->dns->entries, e);
	unkeep(e->answer);
	free(e);
}

static void deliver(struct ev_defer *d)
{
	struct dns *dns = container_of(d, struct dns, deliver);

	dns->delivering = true;
	while (dns->ready) {
		struct dns_query *q = dns->ready;
		struct kept *k = q->answer;
		struct rs_answer *o = &dns->out;

		DL_DELETE(dns->ready, q);
		o->status = k->status;
		o->secure = k->secure;
		o->truncated = k->truncated;
		o->ttl = k->ttl;
		o->canon = k->canon;
		o->why = k->why;
		o->n = k->n;
		memcpy(o->rr, k->rr, k->n * sizeof(k->rr[0]));
		q->done(q->arg, o);
		unkeep(k);
		free(q);
	}
	dns->delivering = false;
	if (dns->dead)
		free(dns);
}

static void make_ready(struct dns_query *q, struct kept *k)
{
	q->entry = NULL;
	q->answer = k;
	k->refs++;
	DL_APPEND(q->dns->ready, q);
	ev_defer(q->dns->ev, &q->dns->deliver, deliver);
}

static void on_answer(void *arg, const struct rs_answer *a)
{
	struct entry *e = arg;
	struct dns *dns = e->dns;
	struct kept *k = keep(a);
	uint32_t ttl = a->ttl < DNS_KEEP_MAX_S ? a->ttl : DNS_KEEP_MAX_S;

	dns->asking--;
	k->refs++;
	e->answer = k;
	e->expires = a->status == ERR_TEMP ? 0 : ev_now(dns->ev) + ttl * 1000ull;
	while (e->waiters) {
		struct dns_query *q = e->waiters;

		DL_DELETE(e->waiters, q);
		make_ready(q, k);
	}
	if (e->expires == 0)
		entry_free(e);
}

static void fail_now(struct dns_query *q, int status, const char *why)
{
	struct rs_answer *a = &q->dns->out;

	*a = (struct rs_answer){.status = status, .why = sv_str(why)};
	make_ready(q, keep(a));
}

/* Makes room: what has expired first, then the oldest answers. */
static void prune(struct dns *dns)
{
	struct entry *e, *next;
	uint64_t now = ev_now(dns->ev);

	if (HASH_COUNT(dns->entries) - dns->asking < DNS_KEEP_MAX)
		return;
	HASH_ITER (hh, dns->entries, e, next) {
		if (e->answer && e->expires <= now)
			entry_free(e);
	}
	HASH_ITER (hh, dns->entries, e, next) {
		if (HASH_COUNT(dns->entries) - dns->asking < DNS_KEEP_MAX * 3 / 4)
			break;
		if (e->answer)
			entry_free(e);
	}
}

static struct entry *entry_new(struct dns *dns, const char *key, size_t nkey)
{
	struct entry *e = xcalloc(1, sizeof(*e) + nkey);

	e->dns = dns;
	e->nkey = nkey;
	memcpy(e->key, key, nkey);
	HASH_ADD_KEYPTR(hh, dns->entries, e->key, e->nkey, e);
	dns->asking++;
	return e;
}

struct dns_query *dns_query(
    struct dns *dns, struct sv name, unsigned type, uint64_t timeout_ms, dns_done *done, void *arg)
{
	struct dns_query *q = xcalloc(1, sizeof(*q));
	char key[2 + RS_MAX_NAME];
	struct rs_query ask;
	struct entry *e;

	q->dns = dns;
	q->done = done;
	q->arg = arg;
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (!dns_name_valid(name)) {
		fail_now(q, ERR_SYNTAX, "not a host name");
		return q;
	}
	key[0] = (char)(type >> 8);
	key[1] = (char)type;
	for (size_t i = 0; i < name.n; i++)
		key[2 + i] = (char)ascii_lower(name.p[i]);
	HASH_FIND(hh, dns->entries, key, name.n + 2, e);
	if (e && e->answer && e->expires > ev_now(dns->ev)) {
		make_ready(q, e->answer);
		return q;
	}
	if (e && e->answer) {
		entry_free(e);
		e = NULL;
	}
	if (!e) {
		if (dns->asking >= DNS_MAX_ASKING) {
			fail_now(q, ERR_TEMP, "too many questions under way");
			return q;
		}
		prune(dns);
		e = entry_new(dns, key, name.n + 2);
		ask = (struct rs_query){.name = sv_of(e->key + 2, name.n), .type = type};
		dns->backend->ask(dns->ctx, &ask, timeout_ms, on_answer, e);
	}
	q->entry = e;
	DL_APPEND(e->waiters, q);
	return q;
}

void dns_cancel(struct dns_query **qp)
{
	struct dns_query *q = *qp;

	*qp = NULL;
	if (!q)
		return;
	if (q->entry) /* the question goes on: its answer is good for the next who asks */
		DL_DELETE(q->entry->waiters, q);
	else
		DL_DELETE(q->dns->ready, q);
	unkeep(q->answer);
	free(q);
}

struct dns *dns_new_backend(struct ev *ev, const struct dns_backend *backend, void *ctx)
{
	struct dns *dns = xcalloc(1, sizeof(*dns));

	dns->ev = ev;
	dns->backend = backend;
	dns->ctx = ctx;
	return dns;
}

void *dns_backend_ctx(struct dns *dns)
{
	return dns->ctx;
}

struct ev *dns_ev(struct dns *dns)
{
	return dns->ev;
}

void dns_free(struct dns **dnsp)
{
	struct dns *dns = *dnsp;
	struct dns_query *q;
	struct entry *e, *next;

	*dnsp = NULL;
	if (!dns)
		return;
	HASH_ITER (hh, dns->entries, e, next) {
		while ((q = e->waiters)) {
			DL_DELETE(e->waiters, q);
			free(q);
		}
		entry_free(e);
	}
	while ((q = dns->ready)) {
		DL_DELETE(dns->ready, q);
		unkeep(q->answer);
		free(q);
	}
	ev_defer_cancel(dns->ev, &dns->deliver);
	dns->backend->free(dns->ctx);
	dns->dead = true;
	if (!dns->delivering)
		free(dns);
}

bool dns_name_valid(struct sv name)
{
	return dns_wire_name_ok(name);
}
