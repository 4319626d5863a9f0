/* The name of a client: PTR, then the addresses of that name, which must hold the client's again. */
#include "dns/dns.h"

struct dns_peer_query {
	struct dns *dns;
	struct dns_query *q;
	struct sockaddr_storage addr;
	char name[RS_MAX_NAME + 1];
	uint64_t timeout_ms;
	dns_peer_done *done;
	void *arg;
};

static void finish(struct dns_peer_query *pq, int status, int reverse_status)
{
	struct dns_peer p = {
	    .status = status,
	    .name = status == 0 ? pq->name : "unknown",
	    .reverse = pq->name[0] ? pq->name : "unknown",
	    .reverse_status = reverse_status,
	};

	pq->done(pq->arg, &p);
	free(pq);
}

/* The address as DNS data: 4 or 16 bytes; IPv4-mapped as IPv4. */
static struct sv data_of(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)addr;

	if (addr->ss_family == AF_INET)
		return sv_of((const char *)&((const struct sockaddr_in *)addr)->sin_addr, 4);
	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return sv_of((const char *)six->sin6_addr.s6_addr + 12, 4);
	return sv_of((const char *)&six->sin6_addr, 16);
}

static void on_forward(void *arg, const struct rs_answer *a)
{
	struct dns_peer_query *pq = arg;
	struct sv want = data_of(&pq->addr);

	pq->q = NULL;
	for (size_t i = 0; i < a->n; i++)
		if (sv_eq(a->rr[i].data, want)) {
			finish(pq, 0, 0);
			return;
		}
	finish(pq, a->status == ERR_TEMP ? ERR_TEMP : ERR_NOT_FOUND, 0);
}

static void on_reverse(void *arg, const struct rs_answer *a)
{
	struct dns_peer_query *pq = arg;
	struct sockaddr_storage ss;
	socklen_t len;

	pq->q = NULL;
	if (a->status == ERR_TEMP) {
		finish(pq, ERR_TEMP, ERR_TEMP);
		return;
	}
	if (a->n == 0 || a->rr[0].data.n == 0 || a->rr[0].data.n > RS_MAX_NAME ||
	    dns_addr_parse(a->rr[0].data, &ss, &len)) {
		finish(pq, ERR_NOT_FOUND, ERR_NOT_FOUND); /* no name, or one that looks like an address */
		return;
	}
	memcpy(pq->name, a->rr[0].data.p, a->rr[0].data.n);
	pq->name[a->rr[0].data.n] = '\0';
	pq->q = dns_query(
	    pq->dns, sv_str(pq->name), data_of(&pq->addr).n == 4 ? RS_A : RS_AAAA, pq->timeout_ms, on_forward, pq);
}

struct dns_peer_query *dns_peer_query(
    struct dns *dns, const struct sockaddr_storage *addr, uint64_t timeout_ms, dns_peer_done *done, void *arg)
{
	struct dns_peer_query *pq = xcalloc(1, sizeof(*pq));
	char name[80];

	pq->dns = dns;
	pq->addr = *addr;
	pq->timeout_ms = timeout_ms;
	pq->done = done;
	pq->arg = arg;
	dns_reverse_name(addr, name);
	pq->q = dns_query(dns, sv_str(name), RS_PTR, timeout_ms, on_reverse, pq);
	return pq;
}

void dns_peer_cancel(struct dns_peer_query **pqp)
{
	struct dns_peer_query *pq = *pqp;

	*pqp = NULL;
	if (!pq)
		return;
	dns_cancel(&pq->q);
	free(pq);
}
