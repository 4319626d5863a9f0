/* stream_test.c - lines, bounds, timeouts, back-pressure, owners that free in callbacks. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "io/stream.h"

struct owner {
	struct stream *s;
	int inputs, closes, drains;
	int why;
	bool free_on_input;
};

static struct ev *ev;
static struct owner o;
static int peer;

static void on_input(struct stream *s, void *arg)
{
	struct owner *me = arg;
	me->inputs++;
	if (me->free_on_input)
		stream_free(&me->s);
	else if (stream_eof(s))
		me->why = 1;
}

static void on_drained(struct stream *s ATTR_UNUSED, void *arg)
{
	((struct owner *)arg)->drains++;
}

static void on_close(struct stream *s ATTR_UNUSED, const struct err *why, void *arg)
{
	struct owner *me = arg;
	me->closes++;
	me->why = why->code;
	stream_free(&me->s);
}

static int set_up(void **state ATTR_UNUSED)
{
	static const struct stream_cb cb = {on_input, on_drained, on_close};
	int p[2];
	ev = ev_new();
	o = (struct owner){.why = 0};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0)
		return -1;
	o.s = stream_new(ev, p[0], 1000, 100000, &cb, &o);
	peer = p[1];
	return 0;
}

static int tear_down(void **state ATTR_UNUSED)
{
	stream_free(&o.s);
	fd_close(&peer);
	ev_free(&ev);
	return 0;
}

static void say(const char *text)
{
	assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	ev_turn(ev, 50);
}

static void lines_are_cut(void **state ATTR_UNUSED)
{
	struct sv line;
	int ending;
	say("one\r\ntwo\nthr");
	assert_int_equal(stream_line(o.s, 100, &line, &ending), 1);
	assert_true(sv_eqs(line, "one") && ending == 2);
	assert_int_equal(stream_line(o.s, 100, &line, &ending), 1);
	assert_true(sv_eqs(line, "two") && ending == 1);
	assert_int_equal(stream_line(o.s, 100, &line, &ending), 0);
	say("ee\r\n");
	assert_int_equal(stream_line(o.s, 100, &line, &ending), 1);
	assert_true(sv_eqs(line, "three"));
}

static void long_lines_are_told_and_skipped(void **state ATTR_UNUSED)
{
	struct sv line;
	char text[300];
	memset(text, 'x', sizeof(text));
	text[298] = '\0';
	say(text);
	assert_int_equal(stream_line(o.s, 100, &line, NULL), ERR_LIMIT);
	assert_false(stream_skip_line(o.s));
	say("yyy\nnext\r\n");
	assert_true(stream_skip_line(o.s));
	assert_int_equal(stream_line(o.s, 100, &line, NULL), 1);
	assert_true(sv_eqs(line, "next"));
	/* exactly the limit is fine, one more is not */
	say("1234567890\r\n12345678901\r\n");
	assert_int_equal(stream_line(o.s, 10, &line, NULL), 1);
	assert_int_equal(stream_line(o.s, 10, &line, NULL), ERR_LIMIT);
}

static void input_is_bounded(void **state ATTR_UNUSED)
{
	char text[5000];
	memset(text, 'x', sizeof(text));
	assert_int_equal(send(peer, text, sizeof(text), MSG_NOSIGNAL), sizeof(text));
	for (int i = 0; i < 5; i++)
		ev_turn(ev, 5);
	assert_int_equal(stream_in(o.s).n, 1000);
	assert_int_equal(o.inputs, 1);
	stream_consume(o.s, 600);
	stream_pause(o.s, false);
	for (int i = 0; i < 5; i++)
		ev_turn(ev, 5);
	assert_int_equal(stream_in(o.s).n, 1000);
}

static void owner_may_free_in_on_input(void **state ATTR_UNUSED)
{
	o.free_on_input = true;
	say("x");
	assert_null(o.s);
	assert_int_equal(o.inputs, 1);
}

static void silence_times_out(void **state ATTR_UNUSED)
{
	stream_set_timeout(o.s, 30);
	while (o.closes == 0)
		ev_turn(ev, 100);
	assert_int_equal(o.why, ERR_TIMEOUT);
}

static void end_of_input_is_told(void **state ATTR_UNUSED)
{
	shutdown(peer, SHUT_WR);
	ev_turn(ev, 50);
	assert_int_equal(o.why, 1);
	assert_true(stream_eof(o.s));
	assert_int_equal(stream_write(o.s, "bye", 3), 0); /* the other direction still works */
	ev_turn(ev, 5);
	char got[4] = "";
	assert_int_equal(recv(peer, got, 3, MSG_DONTWAIT), 3);
}

static void lost_peer_is_told(void **state ATTR_UNUSED)
{
	stream_pause(o.s, true);
	fd_close(&peer);
	for (int i = 0; i < 5 && o.closes == 0; i++)
		ev_turn(ev, 50);
	assert_int_equal(o.closes, 1);
	assert_int_equal(o.why, ERR_CLOSED);
}

static void output_is_bounded_and_drains(void **state ATTR_UNUSED)
{
	char block[10000];
	memset(block, 'b', sizeof(block));
	int small = 4096;
	setsockopt(stream_fd(o.s), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	int sent = 0;
	while (stream_write(o.s, block, sizeof(block)) == 0)
		sent++;
	assert_int_equal(sent, 10);
	assert_true(stream_full(o.s));
	size_t got = 0;
	while (got < (size_t)sent * sizeof(block)) {
		char in[4096];
		ev_turn(ev, 5);
		ssize_t n = recv(peer, in, sizeof(in), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	ev_turn(ev, 5);
	assert_int_equal(o.drains, 1);
	assert_int_equal(stream_out_len(o.s), 0);
}

static void close_after_flush_sends_everything(void **state ATTR_UNUSED)
{
	char got[16];
	assert_int_equal(stream_printf(o.s, "%s %d\r\n", "221", 7), 0);
	stream_close_after_flush(o.s, 1000);
	o.s = NULL; /* frees itself */
	for (int i = 0; i < 3; i++)
		ev_turn(ev, 5);
	assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 7);
	assert_int_equal(recv(peer, got, sizeof(got), MSG_DONTWAIT), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(lines_are_cut),
	    CASE(long_lines_are_told_and_skipped),
	    CASE(input_is_bounded),
	    CASE(owner_may_free_in_on_input),
	    CASE(silence_times_out),
	    CASE(end_of_input_is_told),
	    CASE(lost_peer_is_told),
	    CASE(output_is_bounded_and_drains),
	    CASE(close_after_flush_sends_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
