/* anvil_test.c - windows, holders, bounds, facts, and who is woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/inotify.h>

#include "anvil/counters.h"
#include "anvil/facts.h"
#include "anvil/wakeups.h"

static void rates(void **state)
{
	struct counters *c = counters_new(100);
	struct holder *h = holder_new(c);
	uint32_t rate, open;

	(void)state;
	for (uint64_t t = 0; t < 10; t++)
		assert_int_equal(counters_add(c, h, SV("k"), SV("a"), 1, 0, 60, 1000 * t, &rate, &open), 0);
	assert_int_equal(rate, 10);
	assert_int_equal(counters_add(c, h, SV("k"), SV("a"), 0, 0, 60, 50000, &rate, &open), 0);
	assert_int_equal(rate, 10);
	assert_int_equal(counters_add(c, h, SV("k"), SV("a"), 0, 0, 60, 70000, &rate, &open), 0);
	assert_int_equal(rate, 0);
	assert_int_equal(counters_add(c, h, SV("k"), SV("b"), 0, 0, 60, 70000, &rate, &open), 0);
	assert_int_equal(counters_count(c), 1); /* asking makes no entry */
	counters_sweep(c, 200000, 100);
	assert_int_equal(counters_count(c), 0);
	holder_free(&h);
	counters_free(&c);
}

static void holders(void **state)
{
	struct counters *c = counters_new(2);
	struct holder *h = holder_new(c), *g = holder_new(c);
	uint32_t rate, open;

	(void)state;
	assert_int_equal(counters_add(c, h, SV("k"), SV("a"), 1, 2, 60, 0, &rate, &open), 0);
	assert_int_equal(counters_add(c, g, SV("k"), SV("a"), 1, 1, 60, 0, &rate, &open), 0);
	assert_int_equal(open, 3);
	counters_release(c, h, SV("k"), SV("a"), 1);
	counters_release(c, g, SV("k"), SV("a"), 9); /* not more than its own */
	counters_add(c, h, SV("k"), SV("a"), 0, 0, 60, 0, &rate, &open);
	assert_int_equal(open, 1);
	/* full of held entries: refused; of others: the oldest goes */
	assert_int_equal(counters_add(c, h, SV("k"), SV("b"), 1, 1, 60, 0, &rate, &open), 0);
	assert_int_equal(counters_add(c, h, SV("k"), SV("c"), 1, 0, 60, 0, &rate, &open), ERR_LIMIT);
	holder_free(&h); /* a caller dies */
	assert_int_equal(counters_add(c, g, SV("k"), SV("c"), 1, 0, 60, 0, &rate, &open), 0);
	counters_add(c, g, SV("k"), SV("b"), 0, 0, 60, 0, &rate, &open);
	assert_int_equal(open, 0);
	holder_free(&g);
	counters_free(&c);
}

static void facts(void **state)
{
	struct facts *f = facts_new(2);
	struct sv v;
	uint32_t left;

	(void)state;
	facts_set(f, SV("full"), SV("bob"), SV("yes"), 10, 1000);
	assert_true(facts_get(f, SV("full"), SV("bob"), 2000, &v, &left));
	assert_true(sv_eqs(v, "yes"));
	assert_int_equal(left, 9);
	assert_false(facts_get(f, SV("full"), SV("bob"), 11000, &v, &left));
	facts_set(f, SV("k"), SV("1"), SV(""), 10, 0);
	facts_set(f, SV("k"), SV("2"), SV("x"), 10, 0);
	facts_set(f, SV("k"), SV("3"), SV("x"), 10, 0);
	assert_int_equal(facts_count(f), 2);
	assert_false(facts_get(f, SV("k"), SV("1"), 1, &v, &left));
	facts_set(f, SV("k"), SV("3"), SV(""), 0, 0);
	assert_false(facts_get(f, SV("k"), SV("3"), 1, &v, &left));
	facts_sweep(f, 100000, 10);
	assert_int_equal(facts_count(f), 0);
	facts_free(&f);
}

static void count_wake(void *arg)
{
	++*(int *)arg;
}

static void wakeups(void **state)
{
	struct wakeups *w = wakeups_new(-1, count_wake);
	int na = 0, nb = 0, nc = 0;
	struct watcher *a = watcher_new(w, SV("bob"), &na), *b = watcher_new(w, SV("bob"), &nb),
		       *c = watcher_new(w, SV("eve"), &nc);

	(void)state;
	watcher_lent(a, 0);
	assert_int_equal(watcher_set(a, (uint32_t[]){1, 2}, 2), 0);
	assert_int_equal(watcher_set(b, (uint32_t[]){2, 3}, 2), 0);
	wakeups_event(w, 2, IN_CREATE, 1);
	wakeups_event(w, 1, IN_CREATE, 1); /* the same turn: told once */
	assert_int_equal(na, 1);
	assert_int_equal(nb, 1);
	assert_int_equal(nc, 0);
	wakeups_account(w, SV("bob"), 2);
	wakeups_account(w, SV("nobody"), 2);
	assert_int_equal(na + nb + nc, 4);
	wakeups_event(w, -1, IN_Q_OVERFLOW, 3);
	assert_int_equal(na + nb + nc, 7);
	/* a watch without sessions goes, but not while the descriptor is lent */
	watcher_free(&b);
	watcher_lent(c, 0);
	wakeups_sweep(w, 1);
	assert_int_equal(wakeups_watches(w), 3);
	assert_int_equal(watcher_set(c, (uint32_t[]){3}, 1), 0);
	assert_int_equal(watcher_set(c, NULL, 0), 0);
	wakeups_sweep(w, 2);
	assert_int_equal(wakeups_watches(w), 2);
	watcher_lent(c, 10);
	assert_int_equal(watcher_set(c, (uint32_t[]){1, 3}, 2), ERR_TEMP);
	/* the folder is removed */
	wakeups_event(w, 2, IN_IGNORED, 4);
	assert_int_equal(na, 4);
	wakeups_event(w, 1, IN_CREATE, 5);
	assert_int_equal(na, 4);
	watcher_free(&a);
	watcher_free(&c);
	wakeups_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rates), cmocka_unit_test(holders), cmocka_unit_test(facts), cmocka_unit_test(wakeups)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
