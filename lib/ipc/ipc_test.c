/* ipc_test.c - fields, frames, descriptors, and peers that talk nonsense. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "ipc/chan.h"

struct side {
	struct chan *chan;
	int msgs, closed, last_type, free_at;
	uint32_t last_id;
	struct err why;
	char text[64];
	int fd;
};

static void on_msg(struct chan *c ATTR_UNUSED, struct msg *m, void *arg)
{
	struct side *s = arg;
	struct sv v = SV("");
	s->msgs++;
	s->last_type = m->type;
	s->last_id = m->id;
	if (get_text(m, &v, 60))
		snprintf(s->text, sizeof(s->text), SV_FMT, SV_ARG(v));
	if (m->nfds > 0) {
		fd_close(&s->fd);
		s->fd = msg_take_fd(m);
	}
	if (s->free_at && s->msgs == s->free_at)
		chan_free(&s->chan);
}

static void on_close(struct chan *c ATTR_UNUSED, const struct err *why, void *arg)
{
	struct side *s = arg;
	s->closed++;
	s->why = *why;
	chan_free(&s->chan);
}

static struct ev *ev;
static struct side a, b;
static int raw;

static int set_up(void **state ATTR_UNUSED)
{
	int p[2];
	ev = ev_new();
	a = b = (struct side){.fd = -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p) < 0)
		return -1;
	a.chan = chan_new(ev, p[0], 0, on_msg, on_close, &a);
	b.chan = chan_new(ev, p[1], 0, on_msg, on_close, &b);
	raw = p[1];
	return 0;
}

static int tear_down(void **state ATTR_UNUSED)
{
	chan_free(&a.chan);
	chan_free(&b.chan);
	fd_close(&a.fd);
	fd_close(&b.fd);
	ev_free(&ev);
	return 0;
}

static int open_fds(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void send_text(struct side *s, const char *text, int fd, uint32_t id)
{
	struct msg_out m = MSG_OUT_INIT;
	put_str(&m, text);
	if (fd >= 0)
		put_fd(&m, fd);
	assert_int_equal(chan_send(s->chan, 9, 1, id, &m), 0);
	msg_out_free(&m);
}

static void fields_come_back(void **state ATTR_UNUSED)
{
	struct msg_out o = MSG_OUT_INIT;
	struct msg m = {0};
	struct sv s = SV("keep");
	uint64_t u = 0;
	uint32_t u32 = 4;
	int64_t i = 0;
	bool t = false;
	put_u64(&o, UINT64_MAX);
	put_i64(&o, -3);
	put_sv(&o, sv_of("a\0b", 3));
	put_bool(&o, true);
	m.body = buf_sv(&o.b);
	assert_true(get_u64(&m, &u) && get_i64(&m, &i) && get_sv(&m, &s) && get_bool(&m, &t) && msg_end(&m));
	assert_true(u == UINT64_MAX && i == -3 && s.n == 3 && t);
	m = (struct msg){.body = buf_sv(&o.b)};
	assert_false(get_u32(&m, &u32)); /* does not fit */
	assert_int_equal(u32, 4);
	assert_false(msg_end(&m));
	m = (struct msg){.body = buf_sv(&o.b)};
	assert_false(get_sv(&m, &s));  /* wrong type */
	assert_false(get_u64(&m, &u)); /* stays bad */
	m = (struct msg){.body = sv_skip(buf_sv(&o.b), 18)};
	assert_false(get_text(&m, &s, 10)); /* NUL */
	msg_out_free(&o);
}

static void messages_and_descriptors_keep_their_order(void **state ATTR_UNUSED)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char c = 1;
	send_text(&a, "first", -1, 1);
	send_text(&a, "second", zero, 2);
	send_text(&a, "third", -1, 3);
	send_text(&a, "fourth", null, 4);
	close(zero);
	close(null);
	while (b.msgs < 2)
		ev_turn(ev, 100);
	while (b.msgs < 4) {
		if (b.msgs == 3)
			assert_int_equal(read(b.fd, &c, 1), 1); /* still /dev/zero */
		ev_turn(ev, 100);
	}
	assert_string_equal(b.text, "fourth");
	assert_int_equal(b.last_id, 4);
	assert_int_equal(read(b.fd, &c, 1), 0); /* /dev/null */
}

static void large_messages_pass(void **state ATTR_UNUSED)
{
	struct msg_out m = MSG_OUT_INIT;
	char *big = xcalloc(1, 3u << 20);
	put_sv(&m, sv_of(big, 3u << 20));
	for (int i = 0; i < 5; i++)
		assert_int_equal(chan_send(a.chan, 1, 1, 0, &m), 0);
	assert_int_equal(chan_send(a.chan, 1, 1, 0, &m), ERR_LIMIT); /* CHAN_MAX_OUT */
	while (b.msgs < 5)
		ev_turn(ev, 100);
	assert_int_equal(chan_out_len(a.chan), 0);
	free(big);
	msg_out_free(&m);
}

static void owner_may_free_in_its_handler(void **state ATTR_UNUSED)
{
	b.free_at = 2;
	for (int i = 0; i < 4; i++)
		send_text(&a, "x", -1, 0);
	while (!a.closed)
		ev_turn(ev, 100);
	assert_int_equal(b.msgs, 2);
	assert_int_equal(a.why.code, ERR_CLOSED);
}

static void write_raw(const void *p, size_t n)
{
	assert_int_equal(send(raw, p, n, MSG_NOSIGNAL), n);
	for (int i = 0; i < 5 && !a.closed; i++)
		ev_turn(ev, 10);
}

static void nonsense_closes_the_channel(void **state ATTR_UNUSED)
{
	char header[MSG_HEADER];
	msg_frame(header, MSG_MAX_BODY + 1, 1, 0, 1, 0);
	write_raw(header, sizeof(header));
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.why.code, ERR_LIMIT);
}

static void missing_descriptors_close_the_channel(void **state ATTR_UNUSED)
{
	char header[MSG_HEADER];
	msg_frame(header, 0, 1, 1, 1, 0);
	write_raw(header, sizeof(header));
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.why.code, ERR_PROTOCOL);
	assert_int_equal(a.msgs, 0);
}

static void unclaimed_descriptors_are_closed(void **state ATTR_UNUSED)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int before = open_fds();
	struct msg_out m = MSG_OUT_INIT;
	put_str(&m, "three");
	for (int i = 0; i < 3; i++)
		put_fd(&m, null);
	assert_int_equal(chan_send(a.chan, 9, 1, 0, &m), 0);
	while (b.msgs < 1)
		ev_turn(ev, 100);
	assert_int_equal(open_fds(), before + 1); /* the one that the handler took */
	msg_out_free(&m);
	close(null);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(fields_come_back),
	    CASE(messages_and_descriptors_keep_their_order),
	    CASE(large_messages_pass),
	    CASE(owner_may_free_in_its_handler),
	    CASE(nonsense_closes_the_channel),
	    CASE(missing_descriptors_close_the_channel),
	    CASE(unclaimed_descriptors_are_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
