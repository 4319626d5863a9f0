/* mbox_list_test.c - names that are refused, folders made, renamed, deleted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/mbox_list.h"
#include "testing/tmpdir.h"

static void names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a..b", ".a", "a.", "a/b", "../x", "a*", "%", "a\tb",
	    "\xc3\xa9", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y"};
	char out[MBOX_NAME_MAX + 1], longest[MBOX_NAME_MAX + 2], dir[MBOX_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(mbox_name_check(sv_str(bad[i]), out, NULL), ERR_SYNTAX);
	assert_int_equal(mbox_name_check(SV("a\0b"), out, NULL), ERR_SYNTAX);
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(mbox_name_check(sv_of(longest, MBOX_NAME_MAX), out, NULL), 0);
	assert_int_equal(mbox_name_check(sv_of(longest, MBOX_NAME_MAX + 1), out, NULL), ERR_SYNTAX);
	assert_int_equal(mbox_name_check(SV("iNbOx"), out, NULL), 0);
	assert_string_equal(out, "INBOX");
	mbox_dir(out, dir);
	assert_string_equal(dir, ".");
	assert_int_equal(mbox_name_check(SV("Entw&APw-rfe"), out, NULL), 0);
	mbox_dir(out, dir);
	assert_string_equal(dir, ".Entw&APw-rfe");
	assert_int_equal(mbox_use_of("sent items"), MBOX_USE_SENT);
	assert_int_equal(mbox_use_of("INBOX.Trash"), MBOX_USE_TRASH);
}

static unsigned flags_of(struct store *st, const char *name)
{
	unsigned flags = ~0u;
	struct mbox_list l;

	assert_int_equal(mbox_list(st, &l, NULL), 0);
	for (size_t i = 0; i < l.n; i++)
		if (!strcmp(l.v[i].name, name))
			flags = l.v[i].flags;
	mbox_list_free(&l);
	return flags;
}

static void life(void **state)
{
	char *dir = tmpdir_new();
	struct mailbox *mb;
	struct mb_status s;
	struct store *st;
	uint32_t first;

	(void)state;
	assert_int_equal(store_open(dir, &st, NULL), 0);
	assert_int_equal(flags_of(st, "INBOX"), 0);
	assert_int_equal(mbox_create(st, SV("A.B."), NULL), 0);
	assert_int_equal(mbox_create(st, SV("A.B"), NULL), ERR_EXISTS);
	assert_int_equal(mbox_create(st, SV("inbox"), NULL), ERR_EXISTS);
	assert_int_equal(flags_of(st, "A"), MBOX_NOSELECT | MBOX_CHILDREN);
	assert_int_equal(flags_of(st, "A.B"), 0);
	assert_int_equal(mbox_exists(st, SV("A"), NULL), ERR_NOT_FOUND);
	assert_int_equal(mbox_exists(st, SV("A.B"), NULL), 0);
	assert_int_equal(mailbox_open(st, SV("A"), 0, &mb, NULL), ERR_NOT_FOUND);
	assert_int_equal(mbox_create(st, SV("A"), NULL), 0);
	assert_int_equal(flags_of(st, "A"), MBOX_CHILDREN);
	assert_int_equal(mbox_subscribe(st, SV("A.B"), true, NULL), 0);
	assert_int_equal(flags_of(st, "A.B"), MBOX_SUBSCRIBED);
	assert_int_equal(mailbox_status(st, SV("A.B"), &s, NULL), 0);
	first = s.uidvalidity;
	assert_int_equal(mbox_rename(st, SV("A"), SV("A.C"), NULL), ERR_DENIED);
	assert_int_equal(mbox_rename(st, SV("A"), SV("X.Y"), NULL), 0);
	assert_int_equal(flags_of(st, "X.Y.B"), 0);
	assert_int_equal(flags_of(st, "A.B"), MBOX_NOSELECT | MBOX_NONEXISTENT | MBOX_SUBSCRIBED);
	assert_int_equal(mailbox_status(st, SV("X.Y.B"), &s, NULL), 0);
	assert_int_equal(s.uidvalidity, first);
	assert_int_equal(mbox_delete(st, SV("X.Y.B"), NULL), 0);
	assert_int_equal(mbox_delete(st, SV("X.Y.B"), NULL), ERR_NOT_FOUND);
	assert_int_equal(mbox_delete(st, SV("INBOX"), NULL), ERR_DENIED);
	assert_int_equal(mbox_create(st, SV("X.Y.B"), NULL), 0);
	assert_int_equal(mailbox_status(st, SV("X.Y.B"), &s, NULL), 0);
	assert_true(s.uidvalidity > first);
	assert_int_equal(mbox_subscribe(st, SV("A.B"), false, NULL), 0);
	assert_int_equal(flags_of(st, "A.B"), ~0u);
	assert_int_equal(mbox_rename(st, SV("INBOX"), SV("Old"), NULL), 0);
	assert_int_equal(mbox_exists(st, SV("Old"), NULL), 0);
	store_close(&st);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(life)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
