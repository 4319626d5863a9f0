/* Questions by way of the process `resolver`. */
#include "base/htable.h"
#include "daemon/daemon.h"
#include "dns/dns_backend.h"

struct asker;
struct ask {
	struct ask *prev, *next;
	struct asker *asker;
	dns_done *done;
	void *arg;
};

struct asker {
	struct peer *peer;
	struct ask *asks;
	struct rs_answer answer; /* scratch for decoding */
};

static void on_reply(void *arg, int status, struct msg *reply)
{
	struct ask *k = arg;
	struct asker *s = k->asker;
	dns_done *done = k->done;
	void *done_arg = k->arg;

	DL_DELETE(s->asks, k);
	free(k);
	if (status != 0 || reply->type != RS_ANSWER || rs_answer_get(reply, &s->answer) < 0)
		s->answer = (struct rs_answer){.status = ERR_TEMP, .why = SV("no answer from the resolver")};
	done(done_arg, &s->answer);
}

static void ask(void *ctx, const struct rs_query *q, uint64_t timeout_ms, dns_done *done, void *arg)
{
	struct asker *s = ctx;
	struct msg_out m = MSG_OUT_INIT;
	struct ask *k = xcalloc(1, sizeof(*k));

	k->asker = s;
	k->done = done;
	k->arg = arg;
	DL_APPEND(s->asks, k);
	rs_query_put(&m, q);
	peer_call(s->peer, RS_QUERY, &m, timeout_ms, on_reply, k);
	msg_out_free(&m);
}

static void ask_free(void *ctx)
{
	struct asker *s = ctx;
	struct ask *k;

	peer_free(&s->peer);
	while ((k = s->asks)) {
		DL_DELETE(s->asks, k);
		free(k);
	}
	free(s);
}

struct dns *dns_new(struct daemon *d)
{
	static const struct dns_backend backend = {.ask = ask, .free = ask_free};
	struct asker *s = xcalloc(1, sizeof(*s));

	s->peer = peer_new(d, "resolver", NULL);
	return dns_new_backend(daemon_ev(d), &backend, s);
}
