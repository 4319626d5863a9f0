#include "dns/dns_fake.h"

#include "base/htable.h"
#include "dns/dns_backend.h"

struct fake;
struct fake_record {
	struct fake_record *next;
	char *name, *data;
	size_t ndata;
	unsigned type, preference;
	int status;
};

struct fake_ask {
	struct ev_timer timer;
	struct fake_ask *prev, *next;
	struct fake *fake;
	char name[RS_MAX_NAME + 1];
	unsigned type;
	dns_done *done;
	void *arg;
};

struct fake {
	struct ev *ev;
	struct fake_record *records;
	struct fake_ask *asks;
	unsigned asked;
	struct rs_answer answer;
};

static void answer_now(struct ev_timer *t)
{
	struct fake_ask *k = container_of(t, struct fake_ask, timer);
	struct fake *f = k->fake;
	struct rs_answer *a = &f->answer;
	bool known = false;

	*a = (struct rs_answer){.ttl = 30, .canon = sv_str(k->name)};
	for (struct fake_record *r = f->records; r; r = r->next) {
		if (!sv_ieqs(sv_str(r->name), k->name))
			continue;
		known = true;
		if (r->type != k->type)
			continue;
		if (r->status != 0)
			a->status = r->status == ERR_TIMEOUT ? ERR_TEMP : r->status;
		else if (a->n < RS_MAX_RECORDS)
			a->rr[a->n++] = (struct rs_record){r->preference, sv_of(r->data, r->ndata)};
	}
	if (!known)
		a->status = ERR_NOT_FOUND;
	DL_DELETE(f->asks, k);
	k->done(k->arg, a);
	free(k);
}

static void ask(void *ctx, const struct rs_query *q, uint64_t timeout_ms, dns_done *done, void *arg)
{
	struct fake *f = ctx;
	struct fake_ask *k = xcalloc(1, sizeof(*k));
	uint64_t after = 0;

	k->fake = f;
	memcpy(k->name, q->name.p, q->name.n);
	k->type = q->type;
	k->done = done;
	k->arg = arg;
	for (struct fake_record *r = f->records; r; r = r->next)
		if (r->status == ERR_TIMEOUT && r->type == q->type && sv_ieqs(q->name, r->name))
			after = timeout_ms;
	f->asked++;
	DL_APPEND(f->asks, k);
	ev_timer_start(f->ev, &k->timer, after, answer_now);
}

static void fake_free(void *ctx)
{
	struct fake *f = ctx;
	struct fake_ask *k;
	struct fake_record *r;

	while ((k = f->asks)) {
		DL_DELETE(f->asks, k);
		ev_timer_stop(&k->timer);
		free(k);
	}
	while ((r = f->records)) {
		LL_DELETE(f->records, r);
		free(r->name);
		free(r->data);
		free(r);
	}
	free(f);
}

struct dns *dns_fake_new(struct ev *ev)
{
	static const struct dns_backend backend = {.ask = ask, .free = fake_free};
	struct fake *f = xcalloc(1, sizeof(*f));

	f->ev = ev;
	return dns_new_backend(ev, &backend, f);
}

static void append(struct dns *dns, struct fake_record rec)
{
	struct fake *f = dns_backend_ctx(dns);
	struct fake_record *r = xcalloc(1, sizeof(*r));

	*r = rec;
	LL_APPEND(f->records, r);
}

void dns_fake_add(struct dns *dns, const char *name, unsigned type, unsigned preference, const char *data)
{
	struct fake_record r = {.name = xstrdup(name), .type = type, .preference = preference};
	struct sockaddr_storage ss;
	socklen_t len;

	if ((type == RS_A || type == RS_AAAA) && dns_addr_parse(sv_str(data), &ss, &len)) {
		const void *p = ss.ss_family == AF_INET ? (const void *)&((struct sockaddr_in *)&ss)->sin_addr
							: (const void *)&((struct sockaddr_in6 *)&ss)->sin6_addr;

		r.ndata = ss.ss_family == AF_INET ? 4 : 16;
		r.data = sv_dup(sv_of(p, r.ndata));
	} else {
		r.ndata = strlen(data);
		r.data = xstrdup(data);
	}
	append(dns, r);
}

void dns_fake_fail(struct dns *dns, const char *name, unsigned type, int status)
{
	append(dns, (struct fake_record){.name = xstrdup(name), .type = type, .status = status});
}

unsigned dns_fake_asked(struct dns *dns)
{
	return ((struct fake *)dns_backend_ctx(dns))->asked;
}
