#include "dns/dns_mx.h"

#include <sys/random.h>

#include "dns/dns_backend.h"

/* One question for the addresses of a host. */
struct addr_ask {
	struct mx_query *mq;
	struct dns_query *q;
	unsigned host, type;
};

struct host {
	char name[RS_MAX_NAME + 1];
	unsigned pref;
};

struct mx_query {
	struct dns *dns;
	const struct mx_params *p;
	struct mx_nexthop hop;
	mx_done *done;
	void *arg;
	struct dns_query *mx;
	struct ev_defer later;
	bool secure_mx, mx_found;
	struct host host[MX_MAX_HOSTS];
	size_t nhosts;
	struct addr_ask ask[MX_MAX_HOSTS * 2];
	size_t nasks, open; /* open: questions without answer */
	struct mx_addr *addr;
	size_t naddr;
	bool temp;	 /* `why` tells of a failure that may pass */
	const char *dsn; /* of the result, when no address is left */
	char why[RS_MAX_NAME + 200];
};

static void query_free(struct mx_query *mq)
{
	dns_cancel(&mq->mx);
	for (size_t i = 0; i < mq->nasks; i++)
		dns_cancel(&mq->ask[i].q);
	ev_defer_cancel(dns_ev(mq->dns), &mq->later);
	for (size_t i = 0; i < mq->naddr; i++)
		free(mq->addr[i].name);
	free(mq->addr);
	free(mq);
}

static void finish(struct mx_query *mq)
{
	struct mx_route r = {.addr = mq->addr, .n = mq->naddr, .mx_found = mq->mx_found};

	if (mq->naddr == 0) {
		r.dsn = mq->dsn ? mq->dsn : "4.4.3";
		r.status = r.dsn[0] == '5' ? ERR_NOT_FOUND : ERR_TEMP;
		r.text = mq->why;
	}
	mq->done(mq->arg, &r);
	query_free(mq);
}

static const char *type_name(unsigned type)
{
	return type == RS_MX ? "MX" : type == RS_AAAA ? "AAAA" : "A";
}

/* Remembers why a question gave nothing.  A failure that may pass outweighs one that will not. */
static void note_failure(struct mx_query *mq, const char *name, unsigned type, const struct rs_answer *a)
{
	const char *text = "Host found but no data record of requested type";
	bool temp = a->status == ERR_TEMP;

	if (mq->temp && !temp)
		return;
	if (temp)
		text = "Host not found, try again";
	else if (a->status == ERR_NOT_FOUND)
		text = "Host not found";
	else if (a->status != 0)
		text = "Malformed or unexpected name server reply";
	mq->temp = temp;
	mq->dsn = temp ? "4.4.3" : "5.4.4";
	snprintf(mq->why, sizeof(mq->why), "Host or domain name not found. Name service error for name=%s type=%s: %s",
	    name, type_name(type), text);
}

static uint32_t random_below(uint32_t n)
{
	uint32_t v;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = (uint32_t)clock_mono_us();
	return v % n;
}

static void add_addr(struct mx_query *mq, unsigned host, const struct sockaddr_storage *ss, socklen_t len, bool secure)
{
	struct mx_addr *a;

	if (mq->naddr >= MX_MAX_ADDRS)
		return;
	if (!mq->addr)
		mq->addr = xcalloc(MX_MAX_ADDRS, sizeof(*mq->addr));
	a = &mq->addr[mq->naddr++];
	*a = (struct mx_addr){xstrdup(mq->host[host].name), *ss, len, mq->host[host].pref, secure};
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)&a->addr)->sin_port = htons(mq->hop.port);
	else
		((struct sockaddr_in6 *)&a->addr)->sin6_port = htons(mq->hop.port);
}

static bool same_addr(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr, 16) ==
	       0;
}

bool dns_mx_is_own(const struct mx_params *p, const struct sockaddr_storage *addr)
{
	for (size_t i = 0; i < p->nown; i++)
		if (same_addr(&p->own[i], addr))
			return true;
	return false;
}

/* Order to try: preference, then the preferred family; qsort is not stable, so the shuffled place decides last. */
struct place {
	struct mx_addr addr;
	unsigned family, at;
};

static int by_order(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->addr.pref != b->addr.pref)
		return a->addr.pref < b->addr.pref ? -1 : 1;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return a->at < b->at ? -1 : 1;
}

static void sort_addrs(struct mx_query *mq)
{
	struct place *p = xcalloc(mq->naddr, sizeof(*p));

	if (!mq->p->no_shuffle) {
		for (size_t i = mq->naddr - 1; i > 0; i--) {
			size_t k = random_below((uint32_t)i + 1);
			struct mx_addr t = mq->addr[i];

			mq->addr[i] = mq->addr[k];
			mq->addr[k] = t;
		}
	}
	for (size_t i = 0; i < mq->naddr; i++) {
		bool four = mq->addr[i].addr.ss_family == AF_INET;

		p[i].addr = mq->addr[i];
		p[i].at = (unsigned)i;
		if (mq->p->prefer != MX_ANY)
			p[i].family = four != (mq->p->prefer == MX_IPV4);
	}
	qsort(p, mq->naddr, sizeof(*p), by_order);
	for (size_t i = 0; i < mq->naddr; i++)
		mq->addr[i] = p[i].addr;
	free(p);
}

static bool addr_is_own(const struct mx_query *mq, const struct mx_addr *a)
{
	if (mq->mx_found && mq->p->myhostname && sv_ieqs(sv_str(a->name), mq->p->myhostname))
		return true;
	return dns_mx_is_own(mq->p, &a->addr);
}

/* RFC 5321 section 5.1: ourselves and all that is not better than ourselves goes. */
static void drop_own(struct mx_query *mq)
{
	unsigned best_host = mq->host[0].pref, best_found = mq->addr[0].pref, own = UINT32_MAX;
	size_t keep = 0;

	for (size_t i = 0; i < mq->nhosts; i++)
		if (mq->host[i].pref < best_host)
			best_host = mq->host[i].pref;
	for (size_t i = 0; i < mq->naddr; i++)
		if (mq->addr[i].pref < own && addr_is_own(mq, &mq->addr[i]))
			own = mq->addr[i].pref;
	while (keep < mq->naddr && mq->addr[keep].pref < own) /* they are sorted */
		keep++;
	for (size_t i = keep; i < mq->naddr; i++)
		free(mq->addr[i].name);
	mq->naddr = keep;
	if (keep > 0)
		return;
	if (best_host != best_found) { /* a better host exists, but its address is not known now */
		mq->dsn = "4.4.4";
		snprintf(mq->why, sizeof(mq->why), "unable to find primary relay for %s", mq->hop.host);
	} else {
		mq->dsn = "5.4.6";
		snprintf(mq->why, sizeof(mq->why), "mail for %s loops back to myself", mq->hop.host);
	}
}

static void addresses_known(struct mx_query *mq)
{
	if (mq->naddr > 0) {
		sort_addrs(mq);
		if (mq->p->detect_loops)
			drop_own(mq);
	} else if (mq->mx_found && mq->p->defer_if_no_mx_address) {
		mq->dsn = "4.4.4";
	}
	finish(mq);
}

static void on_addr(void *arg, const struct rs_answer *a)
{
	struct addr_ask *k = arg;
	struct mx_query *mq = k->mq;

	k->q = NULL;
	if (a->n == 0)
		note_failure(mq, mq->host[k->host].name, k->type, a);
	for (size_t i = 0; i < a->n; i++) {
		struct sockaddr_storage ss;
		struct sockaddr_in *four = (struct sockaddr_in *)&ss;
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&ss;

		memset(&ss, 0, sizeof(ss));
		if (k->type == RS_A && a->rr[i].data.n == 4) {
			ss.ss_family = AF_INET;
			memcpy(&four->sin_addr, a->rr[i].data.p, 4);
			add_addr(mq, k->host, &ss, sizeof(*four), a->secure && mq->secure_mx);
		} else if (k->type == RS_AAAA && a->rr[i].data.n == 16) {
			ss.ss_family = AF_INET6;
			memcpy(&six->sin6_addr, a->rr[i].data.p, 16);
			add_addr(mq, k->host, &ss, sizeof(*six), a->secure && mq->secure_mx);
		}
	}
	if (--mq->open == 0)
		addresses_known(mq);
}

static void ask_addr(struct mx_query *mq, unsigned host, unsigned type)
{
	struct addr_ask *k = &mq->ask[mq->nasks++];

	k->mq = mq;
	k->host = host;
	k->type = type;
	mq->open++;
	k->q = dns_query(mq->dns, sv_str(mq->host[host].name), type, mq->p->timeout_ms, on_addr, k);
}

static void on_later(struct ev_defer *d)
{
	addresses_known(container_of(d, struct mx_query, later));
}

/* Asks for the addresses of all hosts at once. */
static void ask_addrs(struct mx_query *mq)
{
	struct sockaddr_storage ss;
	socklen_t len;

	for (unsigned i = 0; i < mq->nhosts; i++) {
		if (dns_addr_parse(sv_str(mq->host[i].name), &ss, &len)) {
			add_addr(mq, i, &ss, len, mq->secure_mx);
			continue;
		}
		if (mq->p->ipv6)
			ask_addr(mq, i, RS_AAAA);
		if (mq->p->ipv4)
			ask_addr(mq, i, RS_A);
	}
	if (mq->open == 0)
		ev_defer(dns_ev(mq->dns), &mq->later, on_later);
}

static void add_host(struct mx_query *mq, struct sv name, unsigned pref)
{
	struct host *h = &mq->host[mq->nhosts++];

	memcpy(h->name, name.p, name.n);
	h->name[name.n] = '\0';
	h->pref = pref;
}

static int by_preference(const void *pa, const void *pb)
{
	const struct rs_record *a = pa, *b = pb;

	return a->preference == b->preference ? 0 : a->preference < b->preference ? -1 : 1;
}

static void fail(struct mx_query *mq, const char *dsn, const char *text)
{
	mq->dsn = dsn;
	snprintf(mq->why, sizeof(mq->why), "%s", text);
	finish(mq);
}

static void on_mx(void *arg, const struct rs_answer *a)
{
	struct mx_query *mq = arg;
	struct rs_record rr[RS_MAX_RECORDS];
	char text[RS_MAX_NAME + 64];

	mq->mx = NULL;
	mq->secure_mx = a->secure;
	if (a->status == ERR_TEMP || a->status == ERR_SYNTAX) {
		note_failure(mq, mq->hop.host, RS_MX, a);
		finish(mq);
		return;
	}
	if (a->n == 1 && a->rr[0].data.n == 0) { /* RFC 7505 */
		snprintf(text, sizeof(text), "Domain %s does not accept mail (nullMX)", mq->hop.host);
		fail(mq, "5.1.10", text);
		return;
	}
	memcpy(rr, a->rr, a->n * sizeof(rr[0]));
	qsort(rr, a->n, sizeof(rr[0]), by_preference);
	for (size_t i = 0; i < a->n && mq->nhosts < MX_MAX_HOSTS; i++)
		if (rr[i].data.n > 0 && rr[i].data.n <= RS_MAX_NAME)
			add_host(mq, rr[i].data, rr[i].preference);
	if (mq->nhosts > 0)
		mq->mx_found = true;
	else if (a->n > 0) {
		fail(mq, "5.4.4", "no MX record names a valid host");
		return;
	} else
		add_host(mq, sv_str(mq->hop.host), 0); /* the implicit MX, RFC 5321 section 5.1 */
	ask_addrs(mq);
}

struct mx_query *dns_mx_route(
    struct dns *dns, const struct mx_nexthop *hop, const struct mx_params *p, mx_done *done, void *arg)
{
	struct mx_query *mq = xcalloc(1, sizeof(*mq));

	mq->dns = dns;
	mq->p = p;
	mq->hop = *hop;
	mq->done = done;
	mq->arg = arg;
	if (hop->no_mx || hop->literal || p->no_dns_mx) {
		mq->secure_mx = true; /* nothing but the address question can spoil it */
		add_host(mq, sv_str(hop->host), 0);
		ask_addrs(mq);
	} else {
		mq->mx = dns_query(dns, sv_str(hop->host), RS_MX, p->timeout_ms, on_mx, mq);
	}
	return mq;
}

void dns_mx_cancel(struct mx_query **mqp)
{
	struct mx_query *mq = *mqp;

	*mqp = NULL;
	if (mq)
		query_free(mq);
}
