/* Queue files: ids, round trips, every truncation, every step of the commit, records, leases. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fsutil.h"
#include "spool/qfile.h"
#include "spool/spool.h"
#include "testing/tmpdir.h"

static const char content[] = "Subject: x\nFrom: a@a.org\n\nhello\n";
#define CONTENT_LEN (sizeof(content) - 1)
#define CONTENT_END (QFILE_PREAMBLE + CONTENT_LEN)

static struct mail_envelope envelope(void)
{
	struct mail_envelope e = {.sender = SV("alice@a.org"),
	    .envid = SV("id1"),
	    .flags = MAIL_8BITMIME,
	    .arrival = 1700000000123456,
	    .size = CONTENT_LEN,
	    .client_name = SV("a.org"),
	    .client_addr = SV("192.0.2.1"),
	    .helo = SV("a"),
	    .protocol = SV("ESMTP"),
	    .message_id = SV("<1@a.org>"),
	    .summary = SV("\0summary")};
	e.content.nheader = 1;
	e.content.header[0] = (struct mail_extent){QFILE_PREAMBLE, 25};
	e.content.body = (struct mail_extent){QFILE_PREAMBLE + 25, CONTENT_LEN - 25};
	return e;
}

static const struct mail_rcpt rcpts[] = {
    {.addr = {"bob@b.org", 9}, .orig = {"bob@b.org", 9}, .orcpt = {"rfc822;bob@b.org", 16}, .notify = 6},
    {.addr = {"carol@c.org", 11}, .orig = {"team@c.org", 10}, .flags = MAIL_RCPT_PROBE},
};

static void make_block(struct buf *b, const char *qid)
{
	struct mail_envelope e = envelope();
	assert_int_equal(qfile_block_put(b, sv_str(qid), &e, rcpts, 2, CONTENT_END), 0);
}

static void check_message(const struct qfile *q)
{
	assert_true(sv_eqs(q->env.sender, "alice@a.org"));
	assert_true(sv_eqs(q->env.message_id, "<1@a.org>"));
	assert_int_equal(q->env.summary.n, 8);
	assert_int_equal(q->env.arrival, 1700000000123456);
	assert_int_equal(q->env.content.nheader, 1);
	assert_int_equal(q->env.content.body.len, CONTENT_LEN - 25);
	assert_true(q->n >= 2);
	assert_true(sv_eqs(q->rcpt[0].rcpt.orcpt, "rfc822;bob@b.org"));
	assert_true(sv_eqs(q->rcpt[1].rcpt.orig, "team@c.org"));
	assert_int_equal(q->rcpt[1].rcpt.flags, MAIL_RCPT_PROBE);
}

/* A committed file in a fresh spool. */
static int commit(struct spool *s, const char *dir, char qid[QID_MAX + 1])
{
	int fd, w;
	struct err err;
	struct buf b = BUF_INIT(65536);
	assert_int_equal(spool_open(s, dir, &err), 0);
	assert_int_equal(spool_create(s, 1700000000123456, qid, &fd, &w, &err), 0);
	assert_int_equal(fs_write_all(w, content, CONTENT_LEN, &err), 0);
	assert_false(spool_alone(fd));
	close(w);
	assert_true(spool_alone(fd));
	make_block(&b, qid);
	assert_int_equal(spool_write(fd, b.p, b.n, CONTENT_END, 2, &err), 0);
	assert_int_equal(spool_link(s, fd, qid, &err), 0);
	assert_int_equal(spool_link(s, fd, qid, &err), ERR_EXISTS);
	assert_int_equal(spool_sync(s, fd, &err), 0);
	buf_free(&b);
	return fd;
}

static void test_qid(void **st)
{
	(void)st;
	char q[QID_MAX + 1];
	int64_t t;
	qid_make(q, 1700000000123456, 1234567);
	assert_int_equal(strlen(q), 6 + 4 + 1 + 4);
	assert_int_equal(qid_time(sv_str(q), &t), 0);
	assert_int_equal(t, 1700000000123456);
	assert_true(mail_qid_valid(sv_str(q)));
	qid_make(q, INT64_MAX, UINT64_MAX);
	assert_true(strlen(q) <= QID_MAX);
	qid_make(q, 0, 0);
	assert_string_equal(q, "0000000000z0");
	assert_int_equal(qid_time(SV("abc"), &t), ERR_SYNTAX);
	assert_false(mail_qid_valid(SV("../x")));
	assert_false(mail_qid_valid(SV("")));
}

static void test_commit(void **st)
{
	(void)st;
	char *dir = tmpdir_new(), qid[QID_MAX + 1];
	struct spool s;
	struct qfile q;
	struct err err;
	int fd = commit(&s, dir, qid);
	assert_int_equal(qfile_load(&q, fd, QFILE_VERIFY, &err), 0);
	check_message(&q);
	assert_true(sv_eqs(q.qid, qid));
	assert_int_equal(q.n, 2);
	assert_int_equal(q.end, q.size);
	assert_int_equal(q.rcpt[0].status, QS_WAITING);
	assert_int_equal(spool_mark(fd, q.rcpt[1].mark_at, QS_SENT, &err), 0);
	qfile_clear(&q);
	assert_int_equal(qfile_load(&q, fd, QFILE_VERIFY, &err), 0);
	assert_int_equal(q.rcpt[0].status, QS_WAITING);
	assert_int_equal(q.rcpt[1].status, QS_SENT);
	qfile_clear(&q);
	/* A changed byte of the content is found. */
	assert_int_equal(fs_pwrite_all(fd, "J", 1, QFILE_PREAMBLE + 30, &err), 0);
	assert_int_equal(qfile_load(&q, fd, 0, &err), 0);
	qfile_clear(&q);
	assert_int_equal(qfile_load(&q, fd, QFILE_VERIFY, &err), ERR_CORRUPT);
	assert_int_equal(spool_quarantine(&s, qid, &err), 0);
	assert_int_equal(spool_open_file(&s, qid, O_RDONLY, &err), ERR_NOT_FOUND);
	assert_int_equal(spool_unlink(&s, qid, &err), 0);
	close(fd);
	spool_close(&s);
	tmpdir_remove(&dir);
}

static void test_records(void **st)
{
	(void)st;
	char *dir = tmpdir_new(), qid[QID_MAX + 1];
	struct spool s;
	struct qfile q;
	struct err err;
	struct buf b = BUF_INIT(65536);
	size_t mark;
	struct mail_rcpt members[] = {{.addr = SV("d@d.org"), .orig = SV("bob@b.org")}, {.addr = SV("e@e.org")}};
	int fd = commit(&s, dir, qid);
	assert_int_equal(qfile_load(&q, fd, 0, &err), 0);
	uint64_t end = q.end;
	qfile_clear(&q);
	struct qfile_result res = {1, QO_DEFERRED, SV("4.4.1"), SV("none"), SV("Connection refused"), 17};
	assert_int_equal(qrec_result_put(&b, &res), 0);
	assert_int_equal(qrec_schedule_put(&b, 3, 1700000300), 0);
	assert_int_equal(qrec_hold_put(&b, true), 0);
	assert_int_equal(qrec_warned_put(&b), 0);
	assert_int_equal(qrec_expand_put(&b, 0, members, 2, &mark), 0);
	assert_int_equal(spool_append(fd, end, false, buf_sv(&b), &err), 0);
	/* Cut at every byte: nothing but whole records counts, and the message is always there. */
	for (size_t n = 0; n <= b.n; n++) {
		assert_int_equal(ftruncate(fd, (off_t)(end + n)), 0);
		assert_int_equal(qfile_load(&q, fd, QFILE_VERIFY, &err), 0);
		check_message(&q);
		assert_true(q.n == (n == b.n ? 4 : 2));
		assert_true(q.end <= q.size);
		assert_int_equal(q.size, end + n);
		qfile_clear(&q);
		assert_int_equal(fs_pwrite_all(fd, b.p, b.n, (off_t)end, &err), 0);
	}
	assert_int_equal(qfile_load(&q, fd, 0, &err), 0);
	assert_int_equal(q.attempts, 3);
	assert_int_equal(q.next, 1700000300);
	assert_true(q.hold);
	assert_true(q.warned);
	assert_int_equal(q.rcpt[0].status, QS_EXPANDED);
	assert_int_equal(q.rcpt[1].outcome, QO_DEFERRED);
	assert_true(sv_eqs(q.rcpt[1].text, "Connection refused"));
	assert_int_equal(q.n, 4);
	assert_int_equal(q.rcpt[2].parent, 0);
	assert_int_equal(q.rcpt[2].mark_at, end + mark);
	assert_true(sv_eqs(q.rcpt[3].rcpt.addr, "e@e.org"));
	/* A mark behind a record does not break it. */
	assert_int_equal(spool_mark(fd, q.rcpt[3].mark_at, QS_SENT, &err), 0);
	end = q.end;
	qfile_clear(&q);
	assert_int_equal(qfile_load(&q, fd, 0, &err), 0);
	assert_int_equal(q.n, 4);
	assert_int_equal(q.rcpt[3].status, QS_SENT);
	qfile_clear(&q);
	/* A torn record is cut off by the next append. */
	assert_int_equal(fs_pwrite_all(fd, b.p, 20, (off_t)end, &err), 0);
	assert_int_equal(qfile_load(&q, fd, 0, &err), 0);
	assert_int_equal(q.end, end);
	assert_int_equal(q.size, end + 20);
	buf_reset(&b);
	assert_int_equal(qrec_hold_put(&b, false), 0);
	assert_int_equal(spool_append(fd, q.end, q.size > q.end, buf_sv(&b), &err), 0);
	qfile_clear(&q);
	assert_int_equal(qfile_load(&q, fd, 0, &err), 0);
	assert_false(q.hold);
	assert_int_equal(q.end, q.size);
	/* What memory makes of an expansion is what a reader makes of it. */
	assert_int_equal(qfile_expand(&q, 1, members, 2, q.end), 0);
	assert_int_equal(q.n, 6);
	assert_true(sv_eqs(q.rcpt[4].rcpt.addr, "d@d.org"));
	assert_int_equal(q.rcpt[1].status, QS_EXPANDED);
	qfile_clear(&q);
	buf_free(&b);
	close(fd);
	spool_close(&s);
	tmpdir_remove(&dir);
}

/* A file cut anywhere before its status bytes end does not verify; so does one whose steps were not all done. */
static void test_truncated(void **st)
{
	(void)st;
	char *dir = tmpdir_new(), qid[QID_MAX + 1], all[4096];
	struct spool s;
	struct qfile q;
	struct err err;
	int fd = commit(&s, dir, qid);
	ssize_t n = pread(fd, all, sizeof(all), 0);
	assert_true(n > 100);
	for (ssize_t i = 0; i < n; i++) {
		assert_int_equal(ftruncate(fd, i), 0);
		memset(&q, 0x5a, sizeof(q));
		assert_int_equal(qfile_load(&q, fd, QFILE_VERIFY, &err), ERR_CORRUPT);
		assert_int_equal(q.n, 0x5a5a5a5a5a5a5a5a);
		assert_int_equal(fs_pwrite_all(fd, all, (size_t)n, 0, &err), 0);
	}
	/* Every byte but the status bytes counts. */
	for (ssize_t i = 0; i < n; i++) {
		char c = (char)(all[i] ^ 0x41);
		assert_int_equal(fs_pwrite_all(fd, &c, 1, i, &err), 0);
		int r = qfile_load(&q, fd, QFILE_VERIFY, &err);
		if (i < n - 2) {
			assert_true(r == ERR_CORRUPT || r == ERR_UNSUPPORTED);
		} else {
			assert_int_equal(r, 0);
			check_message(&q);
			qfile_clear(&q);
		}
		assert_int_equal(fs_pwrite_all(fd, all + i, 1, i, &err), 0);
	}
	/* Blocks of zeros, as a crash leaves them where data was never written. */
	static const char zeros[4096];
	assert_int_equal(fs_pwrite_all(fd, zeros, (size_t)n, 0, &err), 0);
	assert_int_equal(qfile_load(&q, fd, 0, &err), ERR_CORRUPT);
	/* Content and block are there, the preamble is not. */
	assert_int_equal(fs_pwrite_all(fd, all + QFILE_PREAMBLE, (size_t)n - QFILE_PREAMBLE, QFILE_PREAMBLE, &err), 0);
	assert_int_equal(qfile_load(&q, fd, 0, &err), ERR_CORRUPT);
	close(fd);
	spool_close(&s);
	tmpdir_remove(&dir);
}

/* A writer that keeps its descriptor is noticed, and what it does afterwards reaches only its own copy. */
static void test_hostile_writer(void **st)
{
	(void)st;
	char *dir = tmpdir_new(), qid[QID_MAX + 1];
	struct spool s;
	struct qfile q;
	struct err err;
	struct buf b = BUF_INIT(65536);
	int fd, w, copy, wd;
	assert_int_equal(spool_open(&s, dir, &err), 0);
	assert_int_equal(spool_create(&s, 1700000000123456, qid, &fd, &w, &err), 0);
	assert_int_equal(fs_write_all(w, content, CONTENT_LEN, &err), 0);
	wd = dup(w);
	close(w);
	assert_false(spool_alone(fd));
	assert_int_equal(spool_copy(&s, fd, CONTENT_END, &copy, &err), 0);
	make_block(&b, qid);
	assert_int_equal(spool_write(copy, b.p, b.n, CONTENT_END, 2, &err), 0);
	assert_int_equal(spool_link(&s, copy, qid, &err), 0);
	assert_int_equal(fs_pwrite_all(wd, "EVIL", 4, QFILE_PREAMBLE, &err), 0);
	assert_int_equal(ftruncate(wd, 0), 0);
	assert_int_equal(qfile_load(&q, copy, QFILE_VERIFY, &err), 0);
	check_message(&q);
	qfile_clear(&q);
	close(wd);
	close(fd);
	close(copy);
	buf_free(&b);
	spool_close(&s);
	tmpdir_remove(&dir);
}

static void test_scan(void **st)
{
	(void)st;
	char *dir = tmpdir_new(), qid[QID_MAX + 1];
	struct spool s;
	struct spool_scan sc;
	struct sv name;
	struct err err;
	int fd = commit(&s, dir, qid);
	int other = openat(s.dir, ".hidden", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(spool_scan_open(&s, &sc, &err), 0);
	assert_int_equal(spool_scan_next(&sc, &name, &err), 1);
	assert_true(sv_eqs(name, qid));
	assert_int_equal(spool_scan_next(&sc, &name, &err), 0);
	spool_scan_close(&sc);
	assert_true(spool_room(&s) > 0);
	close(other);
	close(fd);
	spool_close(&s);
	tmpdir_remove(&dir);
}

/* Content pieces that point outside the content, overlap or overflow make a block invalid. */
static void test_extents(void **st)
{
	(void)st;
	static const struct {
		const char *name;
		struct mail_extent header, body;
	} cases[] = {
	    {"into the preamble", {0, 10}, {70, 10}},
	    {"past the end", {64, 10}, {74, CONTENT_LEN}},
	    {"overlap", {64, 20}, {70, 10}},
	    {"overflow", {64, 10}, {74, UINT64_MAX - 70}},
	    {"start past the end", {64, 10}, {UINT64_MAX, 0}},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT(65536);
		struct qfile q;
		struct err err;
		struct mail_envelope e = envelope();
		e.content.header[0] = cases[i].header;
		e.content.body = cases[i].body;
		assert_int_equal(qfile_block_put(&b, SV("ABC"), &e, rcpts, 2, CONTENT_END), 0);
		qfile_seal_block(b.p, b.n, 0);
		if (qfile_parse(&q, buf_sv(&b), CONTENT_END, true, &err) != ERR_CORRUPT)
			fail_msg("%s", cases[i].name);
		buf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_qid),
	    cmocka_unit_test(test_commit),
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_hostile_writer),
	    cmocka_unit_test(test_scan),
	    cmocka_unit_test(test_extents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
