/* log_test.c - form of the lines, escaping, a reader that is stopped. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "log/log.h"

static int pair[2];

static const char *received(void)
{
	static char line[9000];
	ssize_t n = recv(pair[1], line, sizeof(line) - 1, MSG_DONTWAIT);
	line[n < 0 ? 0 : n] = '\0';
	return line;
}

static void lines_have_level_and_queue_id(void **state ATTR_UNUSED)
{
	log_open("merpati/test", LOG_SINK_LOGD, pair[0]);
	log_qid("4XyZ", "client=%s", "localhost");
	assert_string_equal(received(), "<1> 4XyZ: client=localhost");
	log_warn("x");
	assert_string_equal(received(), "<2> x");
	log_debug("hidden");
	assert_string_equal(received(), "");
}

static void text_from_outside_is_escaped(void **state ATTR_UNUSED)
{
	log_info("helo=<%s>", "a\nb\x1b[0m\xff");
	assert_string_equal(received(), "<1> helo=<a?b?[0m?>");
}

static void journal_gets_fields(void **state ATTR_UNUSED)
{
	struct log_field f = {"CLIENT", SV("host[10.0.0.1]")};
	log_open("merpati/test", LOG_SINK_JOURNAL, pair[0]);
	log_line(LOG_LVL_ERROR, "QQ", &f, 1, "no");
	const char *got = received();
	assert_non_null(strstr(got, "PRIORITY=3\n"));
	assert_non_null(strstr(got, "\nQUEUE_ID=QQ\n"));
	assert_non_null(strstr(got, "\nCLIENT=host[10.0.0.1]\n"));
	assert_non_null(strstr(got, "\nMESSAGE=error: QQ: no\n"));
}

static void stopped_reader_costs_lines_only(void **state ATTR_UNUSED)
{
	log_open("merpati/test", LOG_SINK_LOGD, pair[0]);
	for (int i = 0; i < 3000; i++)
		log_info("line %d", i);
	int seen = 0;
	bool told = false;
	for (int again = 0; again < 100; again++) {
		const char *got;
		while (*(got = received()) != '\0') {
			seen++;
			told |= strstr(got, "log lines were lost") != NULL;
		}
		log_flush();
	}
	assert_true(seen >= LOG_RING_LINES);
	assert_true(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_have_level_and_queue_id),
	    cmocka_unit_test(text_from_outside_is_escaped),
	    cmocka_unit_test(journal_gets_fields),
	    cmocka_unit_test(stopped_reader_costs_lines_only),
	};
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
