/* content_test.c - what becomes of a message on its way into the spool, in one piece and byte by byte. */
#include "smtpd/content.h"

#include <setjmp.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "ipc/api_cleanup.h"
#include "message/summary.h"

static const struct content_conf conf = {
    .size_limit = 1 << 20, .hop_limit = 3, .hostname = "mx.test", .drop = {"bcc", "return-path"}};

struct result {
	struct buf text, summary;
	struct mail_content where;
	char msgid[200];
	int rc;
	bool large, loop;
};

static void feed(struct content *c, struct sv in, size_t step)
{
	while (in.n > 0) {
		size_t room = content_room(c), n = step < in.n ? step : in.n;
		if (n > room)
			n = room;
		buf_add(content_buf(c), in.p, n);
		content_added(c);
		in = sv_skip(in, n);
	}
}

static void run(struct sv in, size_t step, bool complete, struct result *r)
{
	int fd = memfd_create("spool", MFD_CLOEXEC);
	struct content_start start = {.qid = "QID",
	    .now = 0,
	    .received = SV("Received: trace\n"),
	    .complete = complete,
	    .sender = SV("a b@c.org"),
	    .summary = true};
	struct content *c = content_new(&conf, &start, fd);

	lseek(fd, CL_CONTENT_START, SEEK_SET);
	feed(c, in, step);
	*r = (struct result){.text = BUF_INIT(1 << 22), .summary = BUF_INIT(1 << 20)};
	r->rc = content_finish(c, NULL);
	r->large = content_too_large(c);
	r->loop = content_hops_exceeded(c);
	content_extents(c, &r->where);
	snprintf(r->msgid, sizeof(r->msgid), SV_FMT, SV_ARG(content_msgid(c)));
	buf_addsv(&r->summary, content_summary(c));
	off_t size = lseek(fd, 0, SEEK_END);
	for (off_t at = CL_CONTENT_START; at < size;) {
		char data[65536];
		ssize_t n = pread(fd, data, sizeof(data), at);
		assert_true(n > 0);
		buf_add(&r->text, data, (size_t)n);
		at += n;
	}
	content_free(&c);
	close(fd);
}

static void result_free(struct result *r)
{
	buf_free(&r->text);
	buf_free(&r->summary);
}

#define ADDED                                                                                                          \
	"Message-Id: <19700101000000.QID@mx.test>\nDate: Thu,  1 Jan 1970 00:00:00 +0000 (UTC)\nFrom: \"a b\"@c.org\n"

static const struct {
	const char *name, *in, *out; /* out: behind the trace field */
	size_t body;		     /* bytes of the body piece */
	bool complete;
	const char *msgid;
} cases[] = {
    {"plain", "A: b\n\nbody\n", "A: b\n\nbody\n", 6, false, ""},
    {"msgid", "Message-ID: <x@y>\n\n", "Message-ID: <x@y>\n\n", 1, false, "<x@y>"},
    {"no body", "A: b\n", "A: b\n", 0, false, ""},
    {"no line end", "A: b\n\nend", "A: b\n\nend\n", 5, false, ""},
    {"header without end", "A: b", "A: b\n", 0, false, ""},
    {"empty", "", "", 0, false, ""},
    {"empty line", "\n", "\n", 1, false, ""},
    {"no header", "hello\nworld\n", "\nhello\nworld\n", 13, false, ""},
    {"header, then a line that is none", "A: b\nhello world\n", "A: b\n\nhello world\n", 13, false, ""},
    {"begins folded", " x\nA: b\n", "\n x\nA: b\n", 9, false, ""},
    {"dropped", "A: b\nBcc: x,\n y,\n\tz\nRETURN-PATH: <q>\nC: d\n\n", "A: b\nC: d\n\n", 1, false, ""},
    {"folded", "A: b\n c\nBcc:x\n\nBcc: body\n", "A: b\n c\n\nBcc: body\n", 11, false, ""},
    {"mailbox line", "From x@y Thu\nA: b\n\n", "X-Mailbox-Line: From x@y Thu\nA: b\n\n", 1, false, ""},
    {"completed", "A: b\n\nx\n", "A: b\n" ADDED "\nx\n", 3, true, "<19700101000000.QID@mx.test>"},
    {"completed, no body", "A: b\n", "A: b\n" ADDED, 0, true, "<19700101000000.QID@mx.test>"},
    {"complete already", "from: x\ndate: y\nmessage-id: <z@z>\n\n", "from: x\ndate: y\nmessage-id: <z@z>\n\n", 1, true,
	"<z@z>"},
    {"resent", "Resent-To: x\nResent-From: y\nResent-Date: z\nResent-Message-Id: <m@n>\n\n",
	"Resent-To: x\nResent-From: y\nResent-Date: z\nResent-Message-Id: <m@n>\n\n", 1, true, ""},
};

static void test_cases(void **state ATTR_UNUSED)
{
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t step = 1; step <= 100; step += 9) {
			CLEANUP(buf_freep) struct buf want = BUF_INIT(4096), again = BUF_INIT(1 << 20);
			struct result r;
			run(sv_str(cases[i].in), step, cases[i].complete, &r);
			buf_printf(&want, "Received: trace\n%s", cases[i].out);
			if (!sv_eq(buf_sv(&want), buf_sv(&r.text)))
				print_error("%s (pieces of %zu):\n%s", cases[i].name, step, buf_cstr(&r.text));
			assert_int_equal(r.rc, 0);
			assert_true(sv_eq(buf_sv(&want), buf_sv(&r.text)));
			assert_int_equal(r.where.body.len, cases[i].body);
			assert_int_equal(r.where.header[0].at, CL_CONTENT_START);
			assert_int_equal(mail_content_size(&r.where), r.text.n);
			assert_int_equal(r.where.body.at, r.where.header[0].at + r.where.header[0].len);
			assert_string_equal(r.msgid, cases[i].msgid);
			/* The summary that travels is the one that the file would give. */
			assert_int_equal(summary_of_sv(buf_sv(&r.text), &again, NULL), 0);
			assert_true(sv_eq(buf_sv(&again), buf_sv(&r.summary)));
			result_free(&r);
		}
	}
}

static void test_large(void **state ATTR_UNUSED)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(4 << 20);
	struct result r;

	buf_adds(&b, "A: b\n");
	for (int i = 0; i < 3000; i++) /* a header of many pieces */
		buf_printf(&b, "X-%d: %0100d\n", i, i);
	buf_adds(&b, "\n");
	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "%0100d\n", i);
	run(buf_sv(&b), 10000, false, &r);
	assert_int_equal(r.rc, 0);
	assert_int_equal(r.text.n, b.n + strlen("Received: trace\n"));
	assert_true(sv_ends(buf_sv(&r.text), buf_sv(&b)));
	assert_int_equal(r.where.body.len, 5000 * 101 + 1);
	result_free(&r);
	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "%0100d\n", i);
	run(buf_sv(&b), 10000, false, &r);
	assert_int_equal(r.rc, ERR_LIMIT);
	assert_true(r.large);
	assert_true(r.text.n <= conf.size_limit + 2 * CONTENT_PIECE);
	result_free(&r);
}

/* A "header" line that never ends is a body, and keeps no more than a piece in memory. */
static void test_endless_line(void **state ATTR_UNUSED)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(4 << 20);
	struct result r;

	buf_adds(&b, "A: b\nX:");
	for (int i = 0; i < 500000; i++)
		buf_addc(&b, 'x');
	run(buf_sv(&b), 7000, true, &r);
	assert_int_equal(r.rc, 0);
	assert_int_equal(mail_content_size(&r.where), r.text.n);
	assert_int_equal(r.where.body.len, 500000 + 2 + 1 + 1);
	result_free(&r);
}

static void test_loop(void **state ATTR_UNUSED)
{
	struct result r;

	run(SV("Received: 1\nReceived : 2\n x\n\nReceived: body\n"), 5, false, &r);
	assert_int_equal(r.rc, 0);
	result_free(&r);
	run(SV("Received: 1\nReceived : 2\nRECEIVED: 3\n\n"), 5, false, &r);
	assert_int_equal(r.rc, ERR_LIMIT);
	assert_true(r.loop && !r.large);
	result_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_large),
	    cmocka_unit_test(test_endless_line), cmocka_unit_test(test_loop)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
