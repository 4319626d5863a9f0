/* store_test.c - names, UIDs, flags, append, copy, move, takeover, index, with one session and with two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "store/mbox_list.h"
#include "store/store_priv.h"
#include "testing/tmpdir.h"

struct fix {
	char *dir;
	struct store *st;
};

static int setup(void **state)
{
	struct fix *f = xcalloc(1, sizeof(*f));
	struct err err;

	f->dir = tmpdir_new();
	*state = f;
	return store_open(f->dir, &f->st, &err);
}

static int teardown(void **state)
{
	struct fix *f = *state;

	store_close(&f->st);
	tmpdir_remove(&f->dir);
	free(f);
	return 0;
}

static void drop_file(const struct fix *f, const char *where, const char *name, const char *text)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", f->dir, where, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static struct mailbox *box(const struct fix *f, const char *name, unsigned flags)
{
	struct mailbox *mb = NULL;
	struct err err = {0};
	int rc = mailbox_open(f->st, sv_str(name), flags, &mb, &err);

	if (rc)
		print_message("%s: %s\n", name, err.text);
	assert_int_equal(rc, 0);
	return mb;
}

static void refresh(struct mailbox *mb, bool expunge, struct mailbox_changes *ch)
{
	struct err err = {0};

	assert_int_equal(mailbox_refresh(mb, expunge, ch, &err), 0);
}

static uint32_t append(const struct fix *f, struct mailbox *mb, const char *text, unsigned flags)
{
	struct mb_append *ap;
	uint32_t uid = 0;

	assert_int_equal(mb_append_begin(f->st, &ap, NULL), 0);
	for (const char *p = text; *p; p++)
		assert_int_equal(mb_append_write(ap, sv_of(p, 1), NULL), 0);
	assert_int_equal(mb_append_commit(&ap, mb, flags, 0, 1000000000, &uid, NULL), 0);
	return uid;
}

static void names(void **state)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1000);
	struct mdir_name n;
	int64_t date;

	(void)state;
	assert_int_equal(mdir_name_parse(SV("1.M2P3.host,S=10,X=keep,W=12,U=5,V=ff:2,FSXab"), &n), 0);
	assert_int_equal(n.size, 10);
	assert_int_equal(n.wsize, 12);
	assert_int_equal(n.uid, 5);
	assert_int_equal(n.uidvalidity, 0xff);
	assert_int_equal(mdir_flags(n.upper), MB_FLAGGED | MB_SEEN);
	assert_int_equal(n.lower, 3);
	n.upper = mdir_letters(MB_DELETED, n.upper);
	n.uid = 6;
	assert_int_equal(mdir_name_format(&b, &n, true), 0);
	assert_string_equal(buf_cstr(&b), "1.M2P3.host,X=keep,S=10,W=12,U=6,V=ff:2,TXab");
	assert_int_equal(mdir_name_parse(SV("1.x,U=5"), &n), 0);
	assert_false(n.has_uid); /* without V it may be anybody's */
	assert_int_equal(mdir_name_parse(SV(".hidden"), &n), ERR_SYNTAX);
	assert_int_equal(mdir_name_parse(SV(":2,S"), &n), ERR_SYNTAX);
	assert_true(mdir_name_dated(SV("1000.R0123456789abcdef.host,S=1"), &date));
	assert_int_equal(date, 1000);
	assert_false(mdir_name_dated(SV("1000.M1P1.host"), &date));
}

static void small_files(void **state)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1000);
	struct uidlist_entry e;
	struct sv kw[26];
	struct sublist sl;
	struct uid_file u;
	struct uidlist l;

	(void)state;
	assert_int_equal(uid_file_parse(SV("merpati-uid 1 V5 N9\n"), &u), 0);
	assert_int_equal(u.next, 9);
	assert_int_equal(uid_file_parse(SV("merpati-uid 1 V5 N9"), &u), ERR_CORRUPT);
	assert_int_equal(uid_file_parse(SV("merpati-uid 1 V0 N9\n"), &u), ERR_CORRUPT);
	assert_int_equal(uidlist_begin(SV("3 V77 N5 Gabc\n2 W10 :b:2,S\nnonsense\n4 :d\n5 :torn"), &l), 0);
	assert_int_equal(l.head.uidvalidity, 77);
	assert_int_equal(uidlist_next(&l, &e), 1);
	assert_int_equal(e.uid, 2);
	assert_true(sv_eqs(e.name, "b:2,S"));
	assert_int_equal(uidlist_next(&l, &e), 1);
	assert_int_equal(e.uid, 4);
	assert_int_equal(uidlist_next(&l, &e), 0);
	keywords_parse(SV("0 $Junk\n3 work\n99 no\n4 bad word\n"), kw);
	assert_true(sv_eqs(kw[0], "$Junk"));
	assert_true(sv_eqs(kw[3], "work"));
	assert_false(kw[4].n);
	sublist_begin(SV("V\t2\n\nA\tB\nC\n"), &sl);
	assert_int_equal(sublist_next(&sl, &b), 1);
	assert_string_equal(buf_cstr(&b), "A.B");
}

static void uids_and_flags(void **state)
{
	struct fix *f = *state;
	struct mailbox_changes ch;
	struct mailbox *mb, *two;
	uint32_t idx[] = {0};

	drop_file(f, "new", "200.b.host", "b\nb\n");
	drop_file(f, "new", "100.a.host", "a\r\n");
	drop_file(f, "cur", "300.c.host:2,S", "c");
	mb = box(f, "inbox", 0);
	assert_int_equal(mailbox_count(mb), 3);
	assert_int_equal(mailbox_recent(mb), 2);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 1);
	assert_int_equal(mailbox_msg(mb, 0)->size, 3);
	assert_int_equal(mailbox_msg(mb, 0)->wsize, 3);
	assert_int_equal(mailbox_msg(mb, 1)->wsize, 6);
	assert_int_equal(mailbox_msg(mb, 2)->flags & MB_FLAGS, MB_SEEN);
	assert_int_equal(mailbox_uidnext(mb), 4);
	two = box(f, "INBOX", 0);
	assert_int_equal(mailbox_count(two), 3);
	assert_int_equal(mailbox_recent(two), 0);
	assert_int_equal(mailbox_uidvalidity(two), mailbox_uidvalidity(mb));
	assert_int_equal(mailbox_store(mb, idx, 1, MB_ADD, MB_FLAGGED | MB_DELETED, 0, NULL), 0);
	refresh(mb, true, &ch);
	assert_int_equal(ch.n_changed, 0); /* our own */
	refresh(two, true, &ch);
	assert_int_equal(ch.n_changed, 1);
	assert_int_equal(ch.changed[0], 1);
	assert_int_equal(mailbox_msg(two, 0)->flags & MB_FLAGS, MB_FLAGGED | MB_DELETED);
	/* stale name in `mb` after a change by `two` */
	assert_int_equal(mailbox_store(two, idx, 1, MB_REMOVE, MB_FLAGGED, 0, NULL), 0);
	assert_int_equal(mailbox_store(mb, idx, 1, MB_ADD, MB_SEEN, 0, NULL), 0);
	assert_int_equal(mailbox_msg(mb, 0)->flags & MB_FLAGS, MB_SEEN | MB_DELETED);
	assert_int_equal(mailbox_expunge(two, NULL, 0, false, NULL), 0);
	refresh(mb, false, &ch);
	assert_int_equal(ch.n_expunged, 0);
	assert_int_equal(mailbox_count(mb), 3);
	assert_true(mailbox_msg(mb, 0)->flags & MB_GONE);
	assert_int_equal(mailbox_body(mb, 0, NULL), ERR_NOT_FOUND);
	refresh(mb, true, &ch);
	assert_int_equal(ch.n_expunged, 1);
	assert_int_equal(ch.expunged[0], 1);
	assert_int_equal(mailbox_count(mb), 2);
	drop_file(f, "new", "400.d.host", "dd");
	refresh(two, true, &ch);
	assert_true(ch.exists);
	refresh(mb, true, &ch);
	assert_true(ch.exists);
	assert_int_equal(mailbox_msg(mb, 2)->uid, 4);
	assert_int_equal(mailbox_recent(two), 1);
	mailbox_close(&mb);
	mailbox_close(&two);
	/* UIDs outlive everything, an expunged last one too */
	mb = box(f, "INBOX", 0);
	idx[0] = 2;
	assert_int_equal(mailbox_expunge(mb, idx, 1, true, NULL), 0);
	mailbox_close(&mb);
	mb = box(f, "INBOX", MB_READONLY);
	assert_int_equal(mailbox_count(mb), 2);
	assert_int_equal(mailbox_uidnext(mb), 5);
	assert_int_equal(mailbox_store(mb, idx, 1, MB_ADD, MB_SEEN, 0, NULL), ERR_DENIED);
	mailbox_close(&mb);
}

/* A session's own message joins its snapshot without a reading of the folder, unless others may have come before it. */
static void append_to_selected(void **state)
{
	struct fix *f = *state;
	struct mailbox_changes ch;
	struct mailbox *mb = box(f, "INBOX", 0), *two = box(f, "INBOX", 0);
	unsigned quiet = 0;

	for (uint32_t i = 1; i <= 40; i++) {
		assert_int_equal(append(f, mb, "a\r\n", i & 1 ? MB_SEEN : 0), i);
		quiet += mb_quiet(mb);
		refresh(mb, true, &ch);
		assert_true(ch.exists);
		assert_int_equal(mailbox_count(mb), i);
		assert_int_equal(mailbox_recent(mb), i);
		assert_int_equal(mailbox_msg(mb, i - 1)->uid, i);
		assert_int_equal(mailbox_msg(mb, i - 1)->flags, MB_RECENT | (i & 1 ? MB_SEEN : 0));
	}
	mailbox_look_again(mb);
	assert_false(mb_quiet(mb));
	assert_true(quiet > 0); /* once a second it is looked all the same */
	assert_int_equal(append(f, two, "b", 0), 41);
	assert_int_equal(append(f, mb, "c", 0), 42);
	refresh(mb, true, &ch);
	refresh(two, true, &ch);
	assert_int_equal(mailbox_count(mb), 42);
	assert_int_equal(mailbox_count(two), 42);
	for (size_t i = 0; i < 42; i++) {
		assert_int_equal(mailbox_msg(mb, i)->uid, i + 1);
		assert_int_equal(mailbox_msg(two, i)->uid, i + 1);
	}
	mailbox_close(&mb);
	mailbox_close(&two);
}

static void examine_keeps_recent(void **state)
{
	struct fix *f = *state;
	struct mailbox *mb;
	struct mb_status s;

	drop_file(f, "new", "100.a.host", "a\n");
	mb = box(f, "INBOX", MB_READONLY);
	assert_int_equal(mailbox_recent(mb), 1);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 1);
	mailbox_close(&mb);
	assert_int_equal(mailbox_status(f->st, SV("INBOX"), &s, NULL), 0);
	assert_int_equal(s.recent, 1);
	assert_int_equal(s.unseen, 1);
	assert_int_equal(s.uidnext, 2);
	assert_int_equal(s.size, 3);
	mb = box(f, "INBOX", 0);
	assert_int_equal(mailbox_recent(mb), 1);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 1);
	mailbox_close(&mb);
}

static void foreign_uids(void **state)
{
	struct fix *f = *state;
	struct mailbox_changes ch;
	struct mailbox *mb;
	char from[700], to[700];
	uint32_t v;

	drop_file(f, "cur", "100.a.host,S=1,W=1,U=7,V=1234:2,", "a");
	mb = box(f, "INBOX", 0);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 1);
	v = mailbox_uidvalidity(mb);
	/* a copy made by hand gets a UID of its own */
	snprintf(from, sizeof(from), "%s/cur/100.a.host,S=1,W=1,U=1,V=%x:2,", f->dir, v);
	snprintf(to, sizeof(to), "%s/cur/100.copy.host,S=1,W=1,U=1,V=%x:2,", f->dir, v);
	assert_int_equal(link(from, to), 0);
	refresh(mb, true, &ch);
	assert_int_equal(mailbox_count(mb), 2);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 1);
	assert_int_equal(mailbox_msg(mb, 1)->uid, 2);
	mailbox_close(&mb);
}

static void appends(void **state)
{
	struct fix *f = *state;
	struct mailbox_changes ch;
	struct mailbox *mb, *other;
	char text[64] = "";
	int fd;

	assert_int_equal(mbox_create(f->st, SV("Sent"), NULL), 0);
	mb = box(f, "Sent", 0);
	other = box(f, "Sent", MB_NO_SCAN);
	assert_int_equal(append(f, other, "A: b\r\n\r\nx\ry\r\n\r", MB_SEEN), 1);
	assert_int_equal(append(f, other, "B: b\r\n\r\n", 0), 2);
	refresh(mb, true, &ch);
	assert_true(ch.exists);
	assert_int_equal(mailbox_count(mb), 2);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 1);
	assert_int_equal(mailbox_msg(mb, 0)->flags & MB_FLAGS, MB_SEEN);
	assert_int_equal(mailbox_msg(mb, 0)->wsize, 14);
	assert_int_equal(mailbox_msg(mb, 0)->size, 11);
	assert_int_equal(mailbox_date(mb, 0), 1000000000);
	assert_int_equal(mailbox_recent(mb), 1);
	fd = mailbox_body(mb, 0, NULL);
	assert_int_equal(read(fd, text, sizeof(text)), 11);
	assert_string_equal(text, "A: b\n\nx\ry\n\r");
	close(fd);
	mailbox_close(&mb);
	mailbox_close(&other);
}

static void copy_and_move(void **state)
{
	struct fix *f = *state;
	struct mailbox *in, *out;
	struct mailbox_changes ch;
	struct mb_uidmap map;
	uint32_t idx[] = {0, 1};
	int bit;

	assert_int_equal(mbox_create(f->st, SV("Work.2026"), NULL), 0);
	in = box(f, "INBOX", 0);
	append(f, in, "A: 1\r\n\r\n", 0);
	append(f, in, "A: 22\r\n\r\n", MB_FLAGGED);
	refresh(in, true, &ch);
	bit = mailbox_keyword(in, SV("$Work"), true, NULL);
	assert_int_equal(bit, 0);
	assert_int_equal(mailbox_keyword(in, SV("bad word"), true, NULL), ERR_SYNTAX);
	assert_int_equal(mailbox_store(in, idx, 1, MB_ADD, 0, 1u << bit, NULL), 0);
	mailbox_summary_put(in, 0, SV("summary"));
	out = box(f, "Work.2026", MB_NO_SCAN);
	assert_int_equal(mailbox_keyword(out, SV("other"), true, NULL), 0);
	assert_int_equal(mailbox_copy(in, idx, 2, out, &map, NULL), 0);
	assert_int_equal(map.n, 2);
	assert_int_equal(map.src[1], 2);
	assert_int_equal(map.dst[1], 2);
	mb_uidmap_free(&map);
	assert_int_equal(mailbox_move(in, idx, 2, out, &map, NULL), 0);
	assert_int_equal(map.dst[0], 3);
	mb_uidmap_free(&map);
	refresh(in, true, &ch);
	assert_int_equal(ch.n_expunged, 2);
	assert_int_equal(ch.expunged[0], 2);
	mailbox_close(&out);
	mailbox_close(&in);
}

static void copied_content(void **state)
{
	struct fix *f = *state;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(100);
	struct mailbox *in, *out;
	struct mailbox_changes ch;
	struct mb_uidmap map;
	uint32_t idx[] = {0};

	assert_int_equal(mbox_create(f->st, SV("Work"), NULL), 0);
	in = box(f, "INBOX", 0);
	append(f, in, "A: 1\r\n\r\n", MB_FLAGGED);
	refresh(in, true, &ch);
	assert_int_equal(mailbox_keyword(in, SV("$Work"), true, NULL), 0);
	assert_int_equal(mailbox_store(in, idx, 1, MB_ADD, 0, 1, NULL), 0);
	mailbox_summary_put(in, 0, SV("summary"));
	out = box(f, "Work", MB_NO_SCAN);
	assert_int_equal(mailbox_keyword(out, SV("other"), true, NULL), 0);
	assert_int_equal(mailbox_copy(in, idx, 1, out, &map, NULL), 0);
	mb_uidmap_free(&map);
	/* the same folder, opened once and twice */
	assert_int_equal(mailbox_copy(in, idx, 1, in, &map, NULL), 0);
	assert_int_equal(map.dst[0], 2);
	mb_uidmap_free(&map);
	mailbox_close(&out);
	out = box(f, "Work", 0);
	assert_int_equal(mailbox_count(out), 1);
	assert_int_equal(mailbox_msg(out, 0)->flags & MB_FLAGS, MB_FLAGGED);
	assert_int_equal(mailbox_msg(out, 0)->keywords, 2);
	assert_string_equal(mailbox_keyword_name(out, 1), "$Work");
	assert_int_equal(mailbox_date(out, 0), 1000000000);
	assert_int_equal(mailbox_summary_get(out, 0, &b), 1);
	assert_string_equal(buf_cstr(&b), "summary");
	mailbox_close(&in);
	mailbox_close(&out);
}

static void takeover(void **state)
{
	struct fix *f = *state;
	struct mailbox *mb;
	struct mbox_list l;

	drop_file(f, "cur", "300.c.host,S=1,W=1:2,Sa", "c");
	drop_file(f, "cur", "100.a.host:2,", "a");
	drop_file(f, "new", "400.d.host", "d");
	drop_file(f, ".", "dovecot-uidlist", "3 V4711 N21 Gx\n12 :100.a.host:2,S\n20 W1 :300.c.host,S=1,W=1\n");
	drop_file(f, ".", "dovecot-keywords", "0 $Label1\n");
	drop_file(f, ".", "subscriptions", "V\t2\n\nSent\nA\tB\n");
	mb = box(f, "INBOX", 0);
	assert_int_equal(mailbox_uidvalidity(mb), 4711);
	assert_int_equal(mailbox_count(mb), 3);
	assert_int_equal(mailbox_msg(mb, 0)->uid, 12);
	assert_int_equal(mailbox_msg(mb, 1)->uid, 20);
	assert_int_equal(mailbox_msg(mb, 1)->keywords, 1);
	assert_int_equal(mailbox_msg(mb, 2)->uid, 21);
	assert_string_equal(mailbox_keyword_name(mb, 0), "$Label1");
	mailbox_close(&mb);
	assert_int_equal(mbox_subscribe(f->st, SV("C.D"), true, NULL), 0);
	assert_int_equal(mbox_list(f->st, &l, NULL), 0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[0].name, "INBOX");
	assert_string_equal(l.v[1].name, "A.B");
	assert_int_equal(l.v[1].flags, MBOX_NOSELECT | MBOX_NONEXISTENT | MBOX_SUBSCRIBED);
	assert_string_equal(l.v[2].name, "C.D");
	mbox_list_free(&l);
}

static void index_survives_anything(void **state)
{
	struct fix *f = *state;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1000);
	struct mailbox_changes ch;
	struct mailbox *mb = box(f, "INBOX", 0);
	char path[600];

	append(f, mb, "A: 1\r\n\r\n", 0);
	refresh(mb, true, &ch);
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 0);
	mailbox_summary_put(mb, 0, SV("one"));
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 1); /* not written yet */
	mailbox_summary_flush(mb);
	buf_reset(&b);
	store_relax(f->st);
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 1);
	assert_string_equal(buf_cstr(&b), "one");
	/* deleted under the session */
	snprintf(path, sizeof(path), "%s/" INDEX_DIR "/data.mdb", f->dir);
	assert_int_equal(unlink(path), 0);
	mailbox_summary_put(mb, 0, SV("two"));
	mailbox_summary_flush(mb);
	mailbox_summary_put(mb, 0, SV("three"));
	mailbox_summary_flush(mb);
	buf_reset(&b);
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 1);
	assert_string_equal(buf_cstr(&b), "three");
	/* garbage in its place */
	store_relax(f->st);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, 30000), 0);
	buf_reset(&b);
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 0);
	mailbox_summary_put(mb, 0, SV("four"));
	mailbox_summary_flush(mb);
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 1);
	/* another boot that did not end well */
	store_relax(f->st);
	snprintf(path, sizeof(path), "%s/" INDEX_DIR "/state", f->dir);
	assert_int_equal(unlink(path), 0);
	drop_file(f, INDEX_DIR, "state", "d 00000000-0000-0000-0000-000000000000\n");
	buf_reset(&b);
	assert_int_equal(mailbox_summary_get(mb, 0, &b), 0);
	mailbox_close(&mb);
}

static void crlf(void **state)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(100);
	char last = 0;

	(void)state;
	assert_int_equal(mail_crlf(&b, SV("a\nb\r"), &last), 0);
	assert_int_equal(mail_crlf(&b, SV("\nc\r\n\n"), &last), 0);
	assert_string_equal(buf_cstr(&b), "a\r\nb\r\nc\r\n\r\n");
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(small_files), T(uids_and_flags),
	    T(examine_keeps_recent), T(append_to_selected), T(foreign_uids), T(appends), T(copy_and_move),
	    T(copied_content), T(takeover), T(index_survives_anything), cmocka_unit_test(crlf)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
