/* limits.c - how much one client may do, counted by anvil for all processes (smtpd_client_*_limit). */
#include "ipc/api_anvil.h"
#include "smtpd/smtpd.h"

#define ANVIL_MS 3000u /* a late answer counts as "nothing known": the client is served */

static bool exempt(const struct session *s)
{
	return s->local || s->g->conf.lmtp || netlist_match(&s->g->conf.limit_exceptions, &s->from);
}

/* "smtp:192.0.2.1": each service counts for itself, as Postfix's anvil does. */
static struct sv key(const struct session *s, char *text, size_t room)
{
	int n = snprintf(text, room, "%s:%s", daemon_service(s->g->d), s->addr);

	return sv_of(text, (size_t)n < room ? (size_t)n : room - 1);
}

static void connect_known(void *arg, int status, struct msg *m)
{
	struct session *s = arg;
	const struct smtpd_conf *c = &s->g->conf;
	struct an_counted got = {0};
	bool known, many, often;

	s->anvil_call = 0;
	known = status == 0 && m->type == AN_COUNT && an_counted_decode(m, &got) && got.status == 0;
	many = known && c->conn_limit > 0 && got.open > c->conn_limit;
	often = known && c->conn_rate > 0 && got.rate > c->conn_rate;
	if (many)
		log_warn("Connection concurrency limit exceeded: %u from %s for service %s", got.open, namaddr(s),
		    daemon_service(s->g->d));
	else if (often)
		log_warn("Connection rate limit exceeded: %u from %s for service %s", got.rate, namaddr(s),
		    daemon_service(s->g->d));
	s->limits_done(s, many || often ? "too many connections" : NULL);
}

bool limits_connect(struct session *s, void (*done)(struct session *, const char *refusal))
{
	const struct smtpd_conf *c = &s->g->conf;
	struct msg_out m = MSG_OUT_INIT;
	char text[AN_MAX_KEY];

	if (exempt(s) || (c->conn_limit == 0 && c->conn_rate == 0))
		return false;
	an_count_encode(&m, &(struct an_count){.kind = SV("smtpd_conn"),
				.key = key(s, text, sizeof(text)),
				.add = 1,
				.hold = 1,
				.window = (uint32_t)c->rate_unit_s});
	s->limits_done = done;
	s->conn_held = true;
	s->anvil_call = peer_call(s->g->anvil, AN_COUNT, &m, ANVIL_MS, connect_known, s);
	msg_out_free(&m);
	return true;
}

void limits_release(struct session *s)
{
	struct msg_out m = MSG_OUT_INIT;
	char text[AN_MAX_KEY];

	if (s->anvil_call != 0)
		peer_cancel(s->g->anvil, s->anvil_call);
	s->anvil_call = 0;
	if (!s->conn_held)
		return;
	s->conn_held = false;
	an_release_encode(&m, SV("smtpd_conn"), key(s, text, sizeof(text)), 1);
	peer_send(s->g->anvil, AN_RELEASE, &m);
	msg_out_free(&m);
}

static void event_known(void *arg, int status, struct msg *m)
{
	struct session *s = arg;
	struct an_counted got = {0};

	s->anvil_call = 0;
	s->event_state = 2;
	s->event_rate = 0;
	if (status == 0 && m->type == AN_COUNT && an_counted_decode(m, &got) && got.status == 0)
		s->event_rate = got.rate;
	session_wake(s);
}

int limits_event(struct session *s, enum limit_kind kind, void (*resume)(struct session *))
{
	static const char *const names[] = {
	    [LIMIT_MESSAGE] = "smtpd_msg", [LIMIT_RCPT] = "smtpd_rcpt", [LIMIT_AUTH] = "smtpd_auth"};
	static const char *const words[] = {[LIMIT_MESSAGE] = "Message delivery request",
	    [LIMIT_RCPT] = "Recipient address",
	    [LIMIT_AUTH] = "AUTH command"};
	const struct smtpd_conf *c = &s->g->conf;
	uint64_t limit = kind == LIMIT_MESSAGE ? c->msg_rate : kind == LIMIT_RCPT ? c->rcpt_rate : c->auth_rate;
	struct msg_out m = MSG_OUT_INIT;
	char text[AN_MAX_KEY];

	if (limit == 0 || exempt(s))
		return 0;
	if (s->event_state == 2) {
		s->event_state = 0;
		if (s->event_rate <= limit)
			return 0;
		log_warn("%s rate limit exceeded: %u from %s for service %s", words[kind], s->event_rate, namaddr(s),
		    daemon_service(s->g->d));
		return ERR_LIMIT;
	}
	an_count_encode(&m, &(struct an_count){.kind = sv_str(names[kind]),
				.key = key(s, text, sizeof(text)),
				.add = 1,
				.window = (uint32_t)c->rate_unit_s});
	s->event_state = 1;
	s->anvil_call = peer_call(s->g->anvil, AN_COUNT, &m, ANVIL_MS, event_known, s);
	msg_out_free(&m);
	s->resume = resume;
	return ERR_TEMP;
}
