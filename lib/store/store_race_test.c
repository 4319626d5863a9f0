/*
 * store_race_test.c - several processes work on one folder while mail arrives and another program renames: every
 * session ends with the same UIDs, none was given twice, none changed its message; a stopped process stops nobody for
 * good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "store/mailbox.h"
#include "store/store_priv.h"
#include "testing/tmpdir.h"

#define SESSIONS 4
#define ARRIVALS 300

static void deliver(const char *dir, int i)
{
	char tmp[600], new[600];
	int fd;

	snprintf(tmp, sizeof(tmp), "%s/tmp/%d.d.host", dir, 1000 + i);
	snprintf(new, sizeof(new), "%s/new/%d.d.host", dir, 1000 + i);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || dprintf(fd, "Subject: %d\n\n", i) < 0 || rename(tmp, new))
		_exit(9);
	close(fd);
}

/* A session: sets and clears flags, stores summaries, and checks that sequence numbers and UIDs stay in order. */
static int session(const char *dir, int number)
{
	struct mailbox_changes ch;
	struct mailbox *mb;
	struct store *st;
	uint32_t top = 0;
	uint64_t end = clock_mono_ms() + 1500;

	if (store_open(dir, &st, NULL) || mailbox_open(st, SV("INBOX"), 0, &mb, NULL))
		return 1;
	while (clock_mono_ms() < end) {
		size_t n = mailbox_count(mb), before = n;
		uint32_t idx[3];

		for (size_t i = 0; n && i < ARRAY_LEN(idx); i++)
			idx[i] = (uint32_t)((size_t)random() % n);
		if (n &&
		    mailbox_store(mb, idx, ARRAY_LEN(idx), random() % 2 ? MB_ADD : MB_REMOVE, 1u << number, 0, NULL))
			return 2;
		if (n)
			mailbox_summary_put(mb, idx[0], SV("some bytes"));
		if (mailbox_refresh(mb, true, &ch, NULL))
			return 3;
		if (ch.n_expunged) /* nobody removes anything here */
			return 4;
		if (mailbox_count(mb) < before)
			return 5;
		for (size_t i = 0; i < mailbox_count(mb); i++)
			if (i && mailbox_msg(mb, i)->uid <= mailbox_msg(mb, i - 1)->uid)
				return 6;
		n = mailbox_count(mb);
		if (n && mailbox_msg(mb, n - 1)->uid < top)
			return 7;
		top = n ? mailbox_msg(mb, n - 1)->uid : 0;
	}
	mailbox_close(&mb);
	store_close(&st);
	return 0;
}

static void several_sessions(void **state)
{
	char *dir = tmpdir_new();
	struct mailbox_changes ch;
	struct mailbox *mb;
	struct store *st;
	pid_t pid[SESSIONS];

	(void)state;
	assert_int_equal(store_open(dir, &st, NULL), 0);
	for (int i = 0; i < SESSIONS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			srandom((unsigned)i + 1);
			_exit(session(dir, i));
		}
	}
	for (int i = 0; i < ARRIVALS; i++) {
		deliver(dir, i);
		usleep(3000);
	}
	for (int i = 0; i < SESSIONS; i++) {
		int status = 0;

		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(mailbox_open(st, SV("INBOX"), 0, &mb, NULL), 0);
	assert_int_equal(mailbox_count(mb), ARRIVALS);
	assert_int_equal(mailbox_msg(mb, ARRIVALS - 1)->uid, mailbox_uidnext(mb) - 1);
	assert_int_equal(mailbox_refresh(mb, true, &ch, NULL), 0);
	assert_int_equal(mailbox_count(mb), ARRIVALS);
	mailbox_close(&mb);
	store_close(&st);
	tmpdir_remove(&dir);
}

static void stopped_session(void **state)
{
	char *dir = tmpdir_new();
	struct mailbox_changes ch;
	struct mailbox *mb;
	struct store *st;
	struct mb_append *ap;
	uint32_t uid, idx[] = {0};
	uint64_t start;
	pid_t pid;
	int fd[2];
	char c;

	(void)state;
	assert_int_equal(store_open(dir, &st, NULL), 0);
	deliver(dir, 1);
	assert_int_equal(mailbox_open(st, SV("INBOX"), 0, &mb, NULL), 0);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (!pid) { /* holds the folder's and the index's lock, and never lets go */
		struct mailbox *own;
		struct store *s2;

		if (store_open(dir, &s2, NULL) || mailbox_open(s2, SV("INBOX"), 0, &own, NULL) || mb_lock(own, NULL))
			_exit(1);
		mailbox_summary_put(own, 0, SV("x"));
		if (open("/dev/null", O_RDONLY) < 0 || write(fd[1], "x", 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	assert_int_equal(read(fd[0], &c, 1), 1);
	start = clock_mono_ms();
	deliver(dir, 2);
	assert_int_equal(mailbox_refresh(mb, true, &ch, NULL), 0);
	assert_int_equal(mailbox_count(mb), 1); /* no UID for the second one now */
	assert_int_equal(mailbox_store(mb, idx, 1, MB_ADD, MB_SEEN, 0, NULL), 0);
	assert_int_equal(mb_append_begin(st, &ap, NULL), 0);
	assert_int_equal(mb_append_commit(&ap, mb, 0, 0, 0, &uid, NULL), ERR_TEMP);
	assert_true(clock_mono_ms() - start < 4 * STORE_LOCK_MS);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(mailbox_refresh(mb, true, &ch, NULL), 0);
	assert_int_equal(mailbox_count(mb), 2);
	assert_int_equal(mailbox_msg(mb, 1)->uid, 2);
	mailbox_close(&mb);
	store_close(&st);
	tmpdir_remove(&dir);
}

/* Another program's way with flags: no lock, any file at any time. */
static void rename_for_ever(const char *dir)
{
	char cur[600], from[900], to[902];

	snprintf(cur, sizeof(cur), "%s/cur", dir);
	for (;;) {
		DIR *d = opendir(cur);
		struct dirent *e;

		while (d && (e = readdir(d))) {
			size_t n = strlen(e->d_name);

			if (e->d_name[0] == '.' || random() % 3)
				continue;
			snprintf(from, sizeof(from), "%s/%s", cur, e->d_name);
			snprintf(to, sizeof(to), "%sS", from);
			if (e->d_name[n - 1] == 'S')
				to[strlen(to) - 2] = '\0';
			(void)rename(from, to);
		}
		if (d)
			closedir(d);
		usleep(1000);
	}
}

static void other_programs_rename(void **state)
{
	char *dir = tmpdir_new();
	struct mailbox_changes ch;
	struct mailbox *mb;
	struct store *st;
	uint64_t end;
	size_t changed = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(store_open(dir, &st, NULL), 0);
	for (int i = 0; i < 1000; i++)
		deliver(dir, i);
	assert_int_equal(mailbox_open(st, SV("INBOX"), 0, &mb, NULL), 0);
	pid = fork();
	if (!pid)
		rename_for_ever(dir);
	for (end = clock_mono_ms() + 1500; clock_mono_ms() < end;) {
		assert_int_equal(mailbox_refresh(mb, true, &ch, NULL), 0);
		assert_int_equal(ch.n_expunged, 0);
		assert_false(ch.exists);
		changed += ch.n_changed;
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(changed > 0);
	assert_int_equal(mailbox_count(mb), 1000);
	assert_int_equal(mailbox_uidnext(mb), 1001);
	mailbox_close(&mb);
	store_close(&st);
	tmpdir_remove(&dir);
}

/* A process stopped while it writes the index: the others do without. */
static void stopped_index(void **state)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1000);
	char *dir = tmpdir_new(), path[600];
	struct mailbox *mb;
	struct store *st;
	uint64_t start;
	pid_t pid;
	int fd[2];
	char c;

	(void)state;
	assert_int_equal(store_open(dir, &st, NULL), 0);
	for (int i = 0; i < 50; i++)
		deliver(dir, i);
	assert_int_equal(mailbox_open(st, SV("INBOX"), 0, &mb, NULL), 0);
	mailbox_summary_put(mb, 0, SV("one"));
	mailbox_summary_flush(mb);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (!pid) {
		int d;

		snprintf(path, sizeof(path), "%s/" INDEX_DIR, dir);
		d = open(path, O_RDONLY | O_DIRECTORY);
		if (store_lock(d, 1000, NULL) || write(fd[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(fd[0], &c, 1), 1);
	start = clock_mono_ms();
	for (size_t i = 1; i < 50; i++) {
		mailbox_summary_put(mb, i, SV("more"));
		mailbox_summary_flush(mb);
	}
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 1);
	store_relax(st);
	for (size_t i = 0; i < 50; i++)
		(void)mailbox_summary_get(mb, i, &b);
	assert_true(clock_mono_ms() - start < 10 * INDEX_LOCK_MS);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	mailbox_close(&mb);
	store_close(&st);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(several_sessions), cmocka_unit_test(other_programs_rename),
	    cmocka_unit_test(stopped_session), cmocka_unit_test(stopped_index)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
