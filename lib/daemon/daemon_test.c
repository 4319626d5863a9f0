/* daemon_test.c - clients and servers of the skeleton, with a master made by the test. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/daemon_priv.h"
#include "ipc/api_master.h"

enum { ASK_ECHO = 1, ASK_LATER, ASK_FOR_QMGR, ASK_NEVER };

static struct ev *ev;
static struct daemon client, server;
static struct chan *master_side; /* of the client's control channel */
static int connects, refuse_with, echoes;
static bool hold; /* master answers no request for a connection until release_held() */
static uint32_t held;
static const char *stamp_program;
static struct serve_conn *conn;
static struct serve_ticket late;
static int conns_closed;

/* --- the server --- */

static int echo(struct serve_conn *c, struct msg *m)
{
	struct sv text;
	struct msg_out out = MSG_OUT_INIT;
	if (!get_text(m, &text, 100) || !msg_end(m))
		return ERR_PROTOCOL;
	echoes++;
	put_sv(&out, text);
	serve_answer(c->d, serve_ticket(c, m), ASK_ECHO, &out);
	msg_out_free(&out);
	return 0;
}

static int answer_later(struct serve_conn *c, struct msg *m)
{
	late = serve_ticket(c, m);
	return 0;
}

static int never_answers(struct serve_conn *c ATTR_UNUSED, struct msg *m ATTR_UNUSED)
{
	return 0;
}

static const struct serve_entry table[] = {
    {ASK_ECHO, "echo", "smtpd qmgr", echo},
    {ASK_LATER, "later", "smtpd", answer_later},
    {ASK_FOR_QMGR, "for qmgr", "qmgr", echo},
    {ASK_NEVER, "never", "smtpd", never_answers},
};

static void conn_closed(struct serve_conn *c ATTR_UNUSED)
{
	conns_closed++;
	conn = NULL;
}

/* --- master --- */

static void master_answer(struct chan *c, uint32_t id)
{
	struct msg_out out = MSG_OUT_INIT;
	struct caller who = {.process = 7, .pid = 77};
	int pair[2];

	put_i64(&out, refuse_with);
	if (refuse_with == 0) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		snprintf(who.program, sizeof(who.program), "%s", stamp_program);
		conn = serve_attach(&server, pair[1], &who, table, ARRAY_LEN(table), conn_closed);
		put_fd(&out, pair[0]);
		chan_send(c, MA_CONNECTED, MA_VERSION, id, &out);
		close(pair[0]);
	} else {
		chan_send(c, MA_CONNECTED, MA_VERSION, id, &out);
	}
	msg_out_free(&out);
}

static void master_msg(struct chan *c, struct msg *m, void *arg ATTR_UNUSED)
{
	assert_int_equal(m->type, MA_CONNECT);
	connects++;
	held = m->id;
	if (!hold)
		master_answer(c, m->id);
}

static void control_closed(struct chan *c ATTR_UNUSED, const struct err *why ATTR_UNUSED, void *arg ATTR_UNUSED)
{
}

/* The client's side of the control channel, as daemon.c has it. */
static void client_msg(struct chan *c ATTR_UNUSED, struct msg *m, void *arg ATTR_UNUSED)
{
	int64_t status;
	struct master_call **at = &client.calls, *call;
	assert_true(get_i64(m, &status));
	while ((*at)->id != m->id)
		at = &(*at)->next;
	call = *at;
	*at = call->next;
	call->done(call->arg, (int)status, status == 0 ? msg_take_fd(m) : -1);
	free(call);
}

static int set_up(void **state ATTR_UNUSED)
{
	int pair[2];
	ev = ev_new();
	memset(&client, 0, sizeof(client));
	memset(&server, 0, sizeof(server));
	client.ev = server.ev = ev;
	connects = refuse_with = conns_closed = echoes = 0;
	hold = false;
	stamp_program = "smtpd";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	client.master = chan_new(ev, pair[0], 0, client_msg, control_closed, NULL);
	master_side = chan_new(ev, pair[1], 0, master_msg, control_closed, NULL);
	return 0;
}

static int tear_down(void **state ATTR_UNUSED)
{
	if (conn != NULL)
		serve_close(conn);
	chan_free(&client.master);
	chan_free(&master_side);
	free(server.serve_slots);
	ev_free(&ev);
	return 0;
}

/* --- what is called back --- */

struct result {
	int calls, status;
	char text[32];
};

static void done(void *arg, int status, struct msg *reply)
{
	struct result *r = arg;
	struct sv text;
	r->calls++;
	r->status = status;
	if (status == 0 && get_text(reply, &text, 30))
		snprintf(r->text, sizeof(r->text), SV_FMT, SV_ARG(text));
}

static void turns(int n)
{
	while (n-- > 0)
		ev_turn(ev, 5);
}

static uint32_t ask(struct peer *p, uint16_t type, const char *text, uint64_t timeout, struct result *r)
{
	struct msg_out m = MSG_OUT_INIT;
	put_str(&m, text);
	uint32_t id = peer_call(p, type, &m, timeout, done, r);
	msg_out_free(&m);
	return id;
}

static void calls_connect_and_are_answered(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0}, b = {0};
	ask(p, ASK_ECHO, "one", 1000, &a);
	ask(p, ASK_ECHO, "two", 1000, &b);
	assert_int_equal(a.calls, 0);
	turns(6);
	assert_int_equal(connects, 1);
	assert_string_equal(a.text, "one");
	assert_string_equal(b.text, "two");
	assert_int_equal(a.calls + b.calls, 2);
	peer_free(&p);
	turns(2);
	assert_int_equal(conns_closed, 1);
}

static void answers_may_come_later_and_tickets_may_outlive(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0};
	struct msg_out m = MSG_OUT_INIT;
	ask(p, ASK_LATER, "x", 1000, &a);
	turns(5);
	assert_int_equal(a.calls, 0);
	put_str(&m, "late");
	serve_answer(&server, late, ASK_LATER, &m);
	turns(3);
	assert_string_equal(a.text, "late");
	peer_free(&p);
	turns(2);
	serve_answer(&server, late, ASK_LATER, &m); /* the connection is gone: no effect */
	msg_out_free(&m);
}

static void silence_ends_at_the_deadline(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0};
	ask(p, ASK_NEVER, "x", 20, &a);
	while (a.calls == 0)
		turns(1);
	assert_int_equal(a.status, ERR_TIMEOUT);
	peer_free(&p);
}

static void cancelled_calls_are_silent(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0};
	uint32_t id = ask(p, ASK_ECHO, "x", 1000, &a);
	peer_cancel(p, id);
	turns(6);
	assert_int_equal(a.calls, 0);
	peer_free(&p);
}

/* What the caller gave up (and told a client 451 for) must not be done later. */
static void requests_given_up_while_connecting_are_not_sent(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result late_one = {0}, cancelled = {0}, good = {0};
	hold = true;
	ask(p, ASK_ECHO, "late", 5, &late_one);
	peer_cancel(p, ask(p, ASK_ECHO, "cancelled", 1000, &cancelled));
	ask(p, ASK_ECHO, "good", 1000, &good);
	while (late_one.calls == 0)
		turns(1);
	assert_int_equal(late_one.status, ERR_TIMEOUT);
	master_answer(master_side, held);
	turns(6);
	assert_string_equal(good.text, "good");
	assert_int_equal(echoes, 1);
	assert_int_equal(late_one.calls + cancelled.calls, 1);
	peer_free(&p);
}

static void foreign_requests_close_the_connection(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0}, b = {0};
	ask(p, ASK_FOR_QMGR, "x", 1000, &a); /* not for smtpd */
	turns(8);
	assert_int_equal(a.status, ERR_CLOSED);
	assert_int_equal(conns_closed, 1);
	ask(p, ASK_ECHO, "again", 1000, &b); /* connects again */
	turns(8);
	assert_string_equal(b.text, "again");
	assert_int_equal(connects, 2);
	ask(p, 99, "unknown", 1000, &a);
	turns(8);
	assert_int_equal(a.status, ERR_CLOSED);
	peer_free(&p);
}

static void malformed_requests_close_the_connection(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0};
	peer_call(p, ASK_ECHO, NULL, 1000, done, &a); /* the text is missing */
	turns(8);
	assert_int_equal(a.status, ERR_CLOSED);
	peer_free(&p);
}

static void refused_connections_fail_the_calls(void **state ATTR_UNUSED)
{
	struct peer *p = peer_new(&client, "echo", NULL);
	struct result a = {0};
	refuse_with = ERR_DENIED;
	ask(p, ASK_ECHO, "x", 1000, &a);
	turns(6);
	assert_int_equal(a.status, ERR_DENIED);
	peer_free(&p);
	p = peer_new(&client, "echo", NULL);
	ask(p, ASK_ECHO, "x", 1000, &a);
	peer_free(&p); /* while connecting */
	turns(4);
	assert_int_equal(a.calls, 1);
}

static void one_caller_has_a_bounded_number_of_connections(void **state ATTR_UNUSED)
{
	struct caller a = {.program = "smtpd", .process = 5}, b = {.program = "smtpd", .process = 6},
		      session = {.program = "imapd", .process = 5};
	struct serve_conn *c[SERVE_PER_CALLER];
	int pair[2];
	for (size_t i = 0; i < SERVE_PER_CALLER; i++) {
		assert_false(serve_too_many(&server, &a));
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		c[i] = serve_attach(&server, pair[0], &a, table, ARRAY_LEN(table), NULL);
		close(pair[1]);
	}
	assert_true(serve_too_many(&server, &a));
	assert_false(serve_too_many(&server, &b));
	assert_false(serve_too_many(&server, &session));
	serve_close(c[0]);
	assert_false(serve_too_many(&server, &a));
	for (size_t i = 1; i < SERVE_PER_CALLER; i++)
		serve_close(c[i]);
	assert_null(server.serve_callers);
}

static void a_caller_that_does_not_read_is_closed(void **state ATTR_UNUSED)
{
	struct caller who = {.program = "smtpd", .process = 5};
	struct msg_out m = MSG_OUT_INIT;
	char *big = xcalloc(1, 1u << 20);
	int pair[2];
	put_sv(&m, sv_of(big, 1u << 20));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	conn = serve_attach(&server, pair[0], &who, table, ARRAY_LEN(table), conn_closed);
	struct serve_ticket t = {.conn = conn->number, .id = 1, .version = 1};
	for (int i = 0; i < 20; i++) {
		serve_answer(&server, t, ASK_ECHO, &m);
		turns(1);
	}
	turns(3);
	assert_int_equal(conns_closed, 1);
	close(pair[1]);
	free(big);
	msg_out_free(&m);
}

static int accepted;

static void count_accept(struct daemon *d ATTR_UNUSED, const struct listener *l ATTR_UNUSED, int fd,
    const struct sockaddr_storage *from ATTR_UNUSED)
{
	accepted++;
	close(fd);
}

/* The client waits, the loop does not spin, and later it is served. */
static void accept_pauses_without_descriptors(void **state ATTR_UNUSED)
{
	static const struct daemon_def def = {.program = "test", .on_accept = count_accept};
	struct sockaddr_un a = {.sun_family = AF_UNIX}; /* bound to a name of the kernel's choice */
	socklen_t len = sizeof(a);
	struct daemon_listener *l = &server.listeners[0];
	struct rlimit before, none;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int c = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && c >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a.sun_family)) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_true(listen(fd, 5) == 0 && connect(c, (struct sockaddr *)&a, len) == 0);
	accepted = 0;
	server.def = &def;
	server.ready = true;
	l->d = &server;
	l->pub = (struct listener){.name = "test", .fd = fd};
	server.nlisteners = 1;
	daemon_update_accepting(&server);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){3, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ev_turn(ev, 1000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_null(l->io.ev);
	assert_int_equal(accepted, 0);
	while (accepted == 0)
		assert_true(ev_turn(ev, 2000));
	server.ready = false;
	daemon_update_accepting(&server);
	close(fd);
	close(c);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(calls_connect_and_are_answered),
	    CASE(answers_may_come_later_and_tickets_may_outlive),
	    CASE(silence_ends_at_the_deadline),
	    CASE(cancelled_calls_are_silent),
	    CASE(requests_given_up_while_connecting_are_not_sent),
	    CASE(foreign_requests_close_the_connection),
	    CASE(malformed_requests_close_the_connection),
	    CASE(refused_connections_fail_the_calls),
	    CASE(accept_pauses_without_descriptors),
	    CASE(one_caller_has_a_bounded_number_of_connections),
	    CASE(a_caller_that_does_not_read_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
