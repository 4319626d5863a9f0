/* smtpd_fakes.c - stand-ins for the other programs; see smtpd_fakes.h. */
#include "smtpd/smtpd_fakes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/htable.h"
#include "base/num.h"
#include "ipc/api_anvil.h"
#include "ipc/api_auth.h"
#include "ipc/api_rewrite.h"
#include "smtpd/access.h"

struct fakes fake;

struct peer {
	const char *program;
};
struct fake_call {
	struct ev_defer defer;
	peer_done *done;
	void *arg;
	int status;
	struct msg_out reply;
	uint16_t type;
	bool cancelled;
	uint32_t id;
	struct fake_call *next;
};

struct peer *peer_new(struct daemon *d ATTR_UNUSED, const char *program, const char *target ATTR_UNUSED)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	p->program = program;
	return p;
}

void peer_free(struct peer **p)
{
	free(*p);
	*p = NULL;
}

void peer_on_state(struct peer *p ATTR_UNUSED, void (*fn)(void *arg, bool up) ATTR_UNUSED, void *arg ATTR_UNUSED)
{
}

void peer_on_msg(struct peer *p ATTR_UNUSED, void (*fn)(void *arg, struct msg *m) ATTR_UNUSED, void *arg ATTR_UNUSED)
{
}

int peer_send(struct peer *p ATTR_UNUSED, uint16_t type, const struct msg_out *m ATTR_UNUSED)
{
	if (type == CL_DISCARD)
		fake.discards++;
	if (type == AU_ABORT)
		fake.aborts++;
	return 0;
}

void daemon_busy(struct daemon *d ATTR_UNUSED, int delta)
{
	fake.sessions += delta;
}

const char *daemon_service(struct daemon *d ATTR_UNUSED)
{
	return "smtp";
}

struct ev *daemon_ev(struct daemon *d ATTR_UNUSED)
{
	return fake.ev;
}

const char *smtpd_date(struct smtpd *g ATTR_UNUSED)
{
	return "Sat, 21 Nov 2026 21:00:00 +0000 (UTC)";
}

static void free_call(struct fake_call *c)
{
	LL_DELETE(fake.calls, c);
	for (unsigned i = 0; i < c->reply.nfds; i++)
		close(c->reply.fds[i]);
	msg_out_free(&c->reply);
	free(c);
}

static void answer(struct ev_defer *d)
{
	struct fake_call *c = container_of(d, struct fake_call, defer);
	struct msg m = {.type = c->type, .body = buf_sv(&c->reply.b), .fds = c->reply.fds, .nfds = c->reply.nfds};

	if (!c->cancelled)
		c->done(c->arg, c->status, c->status == 0 ? &m : NULL);
	c->reply.nfds -= m.nextfd; /* taken */
	free_call(c);
}

void peer_cancel(struct peer *p ATTR_UNUSED, uint32_t id)
{
	for (struct fake_call *c = fake.calls; c != NULL; c = c->next) {
		if (c->id == id)
			c->cancelled = true;
	}
}

static void do_stock(struct fake_call *c, struct msg *m)
{
	struct cl_stock s = {0};
	unsigned count = 0;
	static char ids[CL_STOCK_MAX][16];

	BUG_ON(!(cl_stock_req_get(m, &count)));
	s.n = 2;
	for (size_t i = 0; i < s.n; i++) {
		s.fd[i] = memfd_create("spool", MFD_CLOEXEC);
		lseek(s.fd[i], CL_CONTENT_START, SEEK_SET);
		snprintf(ids[i], sizeof(ids[i]), "QID%u", ++fake.next_qid);
		s.qid[i] = sv_str(ids[i]);
		BUG_ON(!(fake.next_qid < ARRAY_LEN(fake.spool)));
		fake.spool[fake.next_qid] = dup(s.fd[i]);
	}
	cl_stock_put(&c->reply, &s);
}

static size_t qid_number(struct sv qid)
{
	uint64_t n = 0;
	BUG_ON((num_range(sv_skip(qid, 3), 1, ARRAY_LEN(fake.spool) - 1, &n)) != 0);
	return (size_t)n;
}

static void do_commit(struct fake_call *c, struct msg *m)
{
	struct cl_commit commit;
	struct arena a;
	ssize_t n;
	size_t at;

	arena_init(&a, MAIL_ARENA);
	BUG_ON(!(cl_commit_get(m, &a, &commit)));
	n = pread(fake.spool[qid_number(commit.qid)], fake.committed, sizeof(fake.committed) - 1, CL_CONTENT_START);
	fake.committed[n > 0 ? n : 0] = '\0';
	BUG_ON(mail_content_size(&commit.env.content) != (uint64_t)n);
	BUG_ON(!(mail_content_valid(&commit.env.content, CL_CONTENT_START, CL_CONTENT_START + (uint64_t)n, 1u << 30)));
	at = (size_t)snprintf(fake.envelope, sizeof(fake.envelope), "from=<" SV_FMT ">", SV_ARG(commit.env.sender));
	for (size_t i = 0; i < commit.nrcpt; i++)
		at += (size_t)snprintf(fake.envelope + at, sizeof(fake.envelope) - at, " to=<" SV_FMT ">%u " SV_FMT,
		    SV_ARG(commit.rcpt[i].addr), commit.rcpt[i].notify, SV_ARG(commit.rcpt[i].orcpt));
	fake.commits++;
	cl_done_put(&c->reply, &(struct cl_done){.qid = commit.qid, .text = SV("")});
	arena_clear(&a);
}

/* alice@here.test and bob@here.test exist; gone.test cannot be told; all else is elsewhere. */
static void do_resolve(struct fake_call *c, struct msg *m)
{
	struct rw_resolve q;
	struct rw_result r[RW_MAX_KEYS] = {0};
	struct arena a;

	arena_init(&a, RW_ARENA);
	BUG_ON((rw_resolve_get(m, &a, &q)) != 0);
	for (size_t i = 0; i < q.n; i++) {
		bool here = sv_iends(q.addr[i], SV("@here.test"));
		r[i].canonical = q.addr[i];
		r[i].route.cls = here ? MAIL_CLASS_LOCAL : MAIL_CLASS_OTHER;
		if (sv_iends(q.addr[i], SV("@gone.test")))
			r[i] = (struct rw_result){.status = ERR_TEMP, .route.cls = MAIL_CLASS_LOCAL};
		else if (here && !sv_istarts(q.addr[i], SV("alice")) && !sv_istarts(q.addr[i], SV("bob")))
			r[i].status = ERR_NOT_FOUND;
		if (r[i].status == ERR_NOT_FOUND)
			r[i].reason = SV("User unknown in local recipient table");
	}
	rw_results_put(&c->reply, r, q.n);
	arena_clear(&a);
}

static void do_auth(struct fake_call *c, uint16_t type, struct msg *m)
{
	struct au_start s;

	if (type == AU_MECHS) {
		au_mechs_encode(&c->reply, 0, SV("PLAIN LOGIN"));
		return;
	}
	if (type == AU_START && au_start_decode(m, &s) && !s.has_initial) {
		c->type = AU_MORE;
		au_more_encode(&c->reply, SV(""));
	} else if (fake.auth_fails) {
		c->type = AU_FAIL;
		au_fail_encode(&c->reply, false, SV("wrong"));
	} else {
		c->type = AU_DONE;
		au_done_encode(&c->reply,
		    &(struct au_done){.user = SV("alice"), .account = SV(""), .grant = SV(""), .final = SV("")});
	}
}

uint32_t peer_call(
    struct peer *p, uint16_t type, const struct msg_out *out, uint64_t ms ATTR_UNUSED, peer_done *done, void *arg)
{
	struct fake_call *c = xcalloc(1, sizeof(*c));
	struct msg m = {.type = type, .body = buf_sv(&out->b)};
	bool down = (strcmp(p->program, "cleanup") == 0 && fake.cleanup_down) ||
		    (strcmp(p->program, "rewrite") == 0 && fake.rewrite_down) ||
		    (strcmp(p->program, "auth") == 0 && fake.auth_down);

	c->reply = (struct msg_out)MSG_OUT_INIT;
	c->done = done;
	c->arg = arg;
	c->type = type;
	c->id = ++fake.last_id;
	if (down) {
		c->status = ERR_TIMEOUT;
	} else if (type == CL_STOCK) {
		do_stock(c, &m);
	} else if (type == CL_COMMIT) {
		do_commit(c, &m);
	} else if (type == RW_RESOLVE) {
		do_resolve(c, &m);
		c->type = RW_RESOLVED;
	} else if (strcmp(p->program, "auth") == 0) {
		do_auth(c, type, &m);
	} else {
		c->status = ERR_CLOSED;
	}
	LL_PREPEND(fake.calls, c);
	ev_defer(fake.ev, &c->defer, answer);
	return c->id;
}

void fake_turns(void)
{
	for (int i = 0; i < 30; i++)
		ev_turn(fake.ev, 0);
}

void fake_rules(enum stage stage, const char *text)
{
	struct err err;
	access_list_free(&fake.g.conf.rules[stage]);
	if (access_parse(text, &fake.g.conf.rules[stage], &err) < 0)
		BUG_ON(true);
}

void fakes_start(void)
{
	struct smtpd_conf *c = &fake.g.conf;

	memset(&fake, 0, sizeof(fake));
	for (size_t i = 0; i < ARRAY_LEN(fake.spool); i++)
		fake.spool[i] = -1;
	fake.ev = ev_new();
	fake.g.ev = fake.ev;
	*c = (struct smtpd_conf){.myhostname = "mx.here.test",
	    .myorigin = "here.test",
	    .banner = "mx.here.test ESMTP Merpati",
	    .mail_name = "Merpati",
	    .delimiter = "+",
	    .timeout_s = 300,
	    .size_limit = 20000,
	    .rcpt_limit = 5,
	    .rcpt_overshoot = 2,
	    .line_limit = 2048,
	    .soft_errors = 100,
	    .hard_errors = 8,
	    .junk_limit = 20,
	    .rate_unit_s = 60,
	    .bare = BARE_REJECT,
	    .bare_code = 550,
	    .relay_code = 554,
	    .reject_code = 554,
	    .defer_code = 450,
	    .non_fqdn_code = 504,
	    .delay_reject = true,
	    .forbid_pipelining = true,
	    .unlisted_rcpt = true,
	    .show_table = true,
	    .smtputf8 = true};
	for (size_t i = 0; i < ARRAY_LEN(c->unlisted_code); i++)
		c->unlisted_code[i] = 550;
	c->content = (struct content_conf){
	    .size_limit = c->size_limit, .hop_limit = 50, .hostname = c->myhostname, .drop = {"bcc"}};
	fake_rules(STAGE_RELAY, "permit_mynetworks permit_sasl_authenticated reject_unauth_destination");
	fake.g.cleanup = peer_new(NULL, "cleanup", NULL);
	fake.g.rewrite = peer_new(NULL, "rewrite", NULL);
	fake.g.auth = peer_new(NULL, "auth", NULL);
	fake.g.anvil = peer_new(NULL, "anvil", NULL);
	stock_init(&fake.g);
	auth_mechs_init(&fake.g);
}

void fakes_end(void)
{
	close(fake.client);
	for (int i = 0; i < 20; i++)
		ev_turn(fake.ev, 0);
	BUG_ON(fake.sessions != 0);
	BUG_ON(fake.g.sessions != 0);
	for (int i = 0; i < STAGES; i++)
		access_list_free(&fake.g.conf.rules[i]);
	peer_free(&fake.g.cleanup);
	peer_free(&fake.g.rewrite);
	peer_free(&fake.g.auth);
	peer_free(&fake.g.anvil);
	netlist_free(&fake.g.conf.mynetworks);
	while (fake.calls != NULL)
		free_call(fake.calls);
	stock_free(&fake.g);
	free(fake.g.mechs);
	for (size_t i = 0; i < ARRAY_LEN(fake.spool); i++)
		fd_close(&fake.spool[i]);
	ev_free(&fake.ev);
}

void fake_connect(const char *addr, bool local)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	int pair[2];

	BUG_ON((socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) != 0);
	if (addr != NULL) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;
		in->sin_family = AF_INET;
		inet_pton(AF_INET, addr, &in->sin_addr);
	}
	fake.client = pair[0];
	session_new(&fake.g, pair[1], &ss, local);
	fake_turns();
}
