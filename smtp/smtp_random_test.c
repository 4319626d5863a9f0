/* A thousand deliveries to servers that say anything at all. */
#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "smtp/smtp_stage.h"

#define END                                                                                                            \
	{                                                                                                              \
		NULL, NULL                                                                                             \
	}

/* A server that says anything at all, at any time: every job still ends, and nothing is reported twice. */
static const char *const anything[] = {"220 x ESMTP\r\n", "250 ok\r\n", "250-x\r\n250-PIPELINING\r\n250 DSN\r\n",
    "354 go\r\n", "421 bye\r\n", "450 4.2.0 no\r\n", "550 5.1.1 no\r\n", "250-a\r\n", "250", "\r\n", "999 x\r\n",
    "250-a\r\n550 b\r\n", "\xff\x01\r\n", "220 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n", "503 sequence\r\n", "",
    "!close", "250 ok\r\n", "354 go\r\n", "220 x\r\n"};
static uint32_t dice = 1;

static uint32_t roll(uint32_t n)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % n;
}

static void answer_anything(struct ev_io *io, uint32_t events)
{
	static char in[65536];
	ssize_t n = recv(io->fd, in, sizeof(in), MSG_DONTWAIT);
	const char *out = anything[roll(ARRAY_LEN(anything))];
	int fd = io->fd;

	(void)events;
	if (n > 0 && strcmp(out, "!close") != 0 && send(fd, out, strlen(out), MSG_NOSIGNAL) >= 0)
		return;
	ev_io_stop(io);
	close(fd);
	ev_free_later(stage.smtp.ev, io);
}

static void accept_anything(struct ev_io *io, uint32_t events)
{
	struct ev_io *c = xcalloc(1, sizeof(*c));
	int fd = accept4(io->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (roll(8) > 0 && send(fd, "220 x ESMTP\r\n", 13, MSG_NOSIGNAL) < 0)
		fail();
	ev_io_start(stage.smtp.ev, c, fd, EPOLLIN, answer_anything);
}

static void random_servers(void **state)
{
	struct order o = {.rcpt = {"a@b.org", "b@b.org", "c@b.org"}};
	static const struct fake_step none[] = {END};

	(void)state;
	stage.smtp.cfg.greet_timeout = stage.smtp.cfg.helo_timeout = stage.smtp.cfg.mail_timeout =
	    stage.smtp.cfg.rcpt_timeout = stage.smtp.cfg.data_init_timeout = stage.smtp.cfg.data_xfer_timeout =
		stage.smtp.cfg.data_done_timeout = 20;
	fake_start(&stage.one, stage.smtp.ev, "127.0.0.1", 0, none);
	stage.one.listener.cb = accept_anything;
	snprintf(stage.hop, sizeof(stage.hop), "[127.0.0.1]:%u", stage.one.port);
	o.nexthop = stage.hop;
	for (int round = 0; round < 60; round++) {
		stage.smtp.cfg.lmtp = round % 5 == 4;
		memset(stage.got, 0, sizeof(stage.got));
		for (unsigned i = 0; i < 20; i++)
			deliver(i, &o);
		for (unsigned i = 0; i < 20; i++) {
			wait_for(i);
			assert_int_equal(stage.got[i].results, 3);
		}
	}
	stage.smtp.cfg.lmtp = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(random_servers, stage_setup, stage_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
