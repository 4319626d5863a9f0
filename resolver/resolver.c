/*
 * resolver.c - the one process that speaks DNS.  Others ask it through lib/dns; it asks libunbound, which caches,
 * follows, validates, and merges equal questions.
 */
#include <unbound.h>
#include <unbound-event.h>

#include "daemon/daemon.h"
#include "dns/dns_wire.h"
#include "ipc/api_resolver.h"
#include "resolver/setup.h"
#include "resolver/ub_loop.h"

#define RESOLVER_PER_CONN 2000 /* open questions of one connection */

/* One connection: counts its open questions; outlives it while they are open. */
struct asker {
	unsigned open;
	bool gone;
};

struct question {
	struct serve_ticket ticket;
	struct asker *asker;
	struct ev_timer timer;
	bool answered; /* the deadline came first */
	unsigned type;
	size_t nname;
	char name[RS_MAX_NAME + 1];
};

static struct resolver {
	struct daemon *d;
	struct ub_ctx *ctx;
	uint64_t timeout_ms;
	uint64_t max_open;
	size_t open;
	struct rs_answer answer; /* scratch */
} resolver;

static const unsigned served_types[] = {RS_A, RS_AAAA, RS_MX, RS_PTR, RS_TXT, RS_TLSA, RS_SRV, RS_CNAME};

static void send_answer(struct serve_ticket t, const struct rs_answer *a)
{
	struct msg_out m = MSG_OUT_INIT;

	rs_answer_put(&m, a);
	serve_answer(resolver.d, t, RS_ANSWER, &m);
	msg_out_free(&m);
}

static void send_failure(struct serve_ticket t, int status, const char *why)
{
	struct rs_answer *a = &resolver.answer;

	*a = (struct rs_answer){.status = status, .why = sv_str(why)};
	send_answer(t, a);
}

static void asker_release(struct asker *k)
{
	if (k->gone && k->open == 0)
		free(k);
}

static void question_free(struct question *q)
{
	ev_timer_stop(&q->timer);
	q->asker->open--;
	asker_release(q->asker);
	resolver.open--;
	free(q);
}

static void on_deadline(struct ev_timer *t)
{
	struct question *q = container_of(t, struct question, timer);

	q->answered = true; /* libunbound goes on and caches what it finds */
	send_failure(q->ticket, ERR_TEMP, "no answer in time");
}

/* libunbound's end of a question: rcode, the response as bytes, sec 0 insecure, 1 bogus, 2 secure. */
static void on_resolved(void *arg, int rcode, void *packet, int n, int sec, char *why, int limited)
{
	struct question *q = arg;
	struct rs_answer *a = &resolver.answer;
	struct arena mem;

	(void)limited;
	if (q->answered) {
		question_free(q);
		return;
	}
	arena_init(&mem, DNS_WIRE_MEM);
	if (sec == 1) {
		char text[256];

		snprintf(text, sizeof(text), "bogus: %s", why ? why : "validation failed");
		send_failure(q->ticket, ERR_TEMP, text);
	} else if (!packet || n <= 0) {
		send_failure(
		    q->ticket, rcode == 3 ? ERR_NOT_FOUND : ERR_TEMP, rcode == 3 ? "" : "name servers do not answer");
	} else if (dns_wire_read(sv_of(packet, (size_t)n), sv_of(q->name, q->nname), q->type, &mem, a) < 0) {
		send_failure(q->ticket, ERR_TEMP, "malformed answer");
	} else {
		a->secure = sec == 2;
		if (a->status == ERR_TEMP)
			a->why = SV("name server failure");
		send_answer(q->ticket, a);
	}
	arena_clear(&mem);
	question_free(q);
}

static bool served(unsigned type)
{
	for (size_t i = 0; i < ARRAY_LEN(served_types); i++)
		if (served_types[i] == type)
			return true;
	return false;
}

static int on_query(struct serve_conn *c, struct msg *m)
{
	struct serve_ticket t = serve_ticket(c, m);
	struct asker *k = c->state;
	struct question *q;
	struct rs_query ask;
	int id;

	if (rs_query_get(m, &ask) < 0)
		return ERR_PROTOCOL;
	if (!dns_wire_name_ok(ask.name) || !served(ask.type)) {
		send_failure(t, ERR_SYNTAX, "not a question that is served");
		return 0;
	}
	if (resolver.open >= resolver.max_open || k->open >= RESOLVER_PER_CONN) {
		send_failure(t, ERR_TEMP, "too many questions");
		return 0;
	}
	q = xcalloc(1, sizeof(*q));
	q->ticket = t;
	q->asker = k;
	q->type = ask.type;
	q->nname = ask.name.n;
	memcpy(q->name, ask.name.p, ask.name.n);
	k->open++;
	resolver.open++;
	ev_timer_start(daemon_ev(resolver.d), &q->timer, resolver.timeout_ms, on_deadline);
	/* May call on_resolved at once, when the answer is in the cache. */
	if (ub_resolve_event(resolver.ctx, q->name, (int)ask.type, 1, q, on_resolved, &id) != 0) {
		send_failure(t, ERR_TEMP, "libunbound refuses the question");
		question_free(q);
	}
	return 0;
}

static const struct serve_entry requests[] = {
    {RS_QUERY, "RS_QUERY", "smtpd smtp", on_query},
};

static void on_conn_close(struct serve_conn *c)
{
	struct asker *k = c->state;

	k->gone = true;
	asker_release(k);
}

static void resolver_peer(struct daemon *d, int fd, const struct caller *who)
{
	struct serve_conn *c = serve_attach(d, fd, who, requests, ARRAY_LEN(requests), on_conn_close);

	if (c)
		c->state = xcalloc(1, sizeof(struct asker));
}

static int resolver_start(struct daemon *d, struct err *err)
{
	const struct conf *conf = daemon_conf(d);
	struct setup s = {
	    .forward = conf_str(conf, "resolver_forward"),
	    .stub_zones = conf_str(conf, "resolver_stub_zones"),
	    .trust_anchor_file = conf_str(conf, "resolver_trust_anchor_file"),
	    .dnssec = conf_str(conf, "resolver_dnssec"),
	    .cache_size = conf_int(conf, "resolver_cache_size"),
	    .max_ttl = conf_time(conf, "resolver_max_ttl"),
	    .max_negative_ttl = conf_time(conf, "resolver_max_negative_ttl"),
	    .resolv_conf = "/etc/resolv.conf",
	};

	struct sv families = sv_str(conf_str(conf, "inet_protocols")), word;

	while (sv_token(&families, " \t\r\n,", &word)) {
		s.ipv4 |= sv_ieqs(word, "all") || sv_ieqs(word, "ipv4");
		s.ipv6 |= sv_ieqs(word, "all") || sv_ieqs(word, "ipv6");
	}
	resolver.d = d;
	daemon_set_state(d, &resolver);
	resolver.timeout_ms = conf_time(conf, "resolver_query_timeout") * 1000;
	resolver.max_open = conf_int(conf, "resolver_query_limit");
	return setup_context(ub_loop_new(daemon_ev(d)), &s, &resolver.ctx, err);
}

static const struct sandbox_profile resolver_profile = {
    .paths = NULL,
    .net = SANDBOX_NET_DNS,
    .memory = 256,
};

static const struct daemon_def resolver_def = {
    .program = "resolver",
    .profile = &resolver_profile,
    .start = resolver_start,
    .on_peer = resolver_peer,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &resolver_def);
}
