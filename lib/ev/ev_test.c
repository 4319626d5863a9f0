/* ev_test.c - the loop: descriptors, timers, deferred calls, children, the pool. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "ev/ev_work.h"

struct two {
	struct ev_io a, b;
	int calls;
};

static struct two *two;

/* The first of two ready descriptors that is served stops and closes the other. */
static void stop_other(struct ev_io *io, uint32_t events ATTR_UNUSED)
{
	struct ev_io *other = io == &two->a ? &two->b : &two->a;
	two->calls++;
	ev_io_stop(other);
	ev_io_stop(io);
}

static void stopped_io_is_not_called(void **state ATTR_UNUSED)
{
	struct ev *ev = ev_new();
	int p[2], q[2];
	struct two t = {.calls = 0};
	two = &t;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(pipe2(q, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], "x", 1) + write(q[1], "x", 1), 2);
	assert_int_equal(ev_io_start(ev, &t.a, p[0], EPOLLIN, stop_other), 0);
	assert_int_equal(ev_io_start(ev, &t.b, q[0], EPOLLIN, stop_other), 0);
	ev_turn(ev, 0);
	ev_turn(ev, 0);
	assert_int_equal(t.calls, 1);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(q[i]);
	}
	ev_free(&ev);
}

static int order[8], norder;
static struct ev_timer t1, t2, t3;

static void note(struct ev_timer *t)
{
	order[norder++] = t == &t1 ? 1 : t == &t2 ? 2 : 3;
}

static void timers_run_in_order(void **state ATTR_UNUSED)
{
	struct ev *ev = ev_new();
	norder = 0;
	ev_timer_start(ev, &t3, 12, note);
	ev_timer_start(ev, &t1, 1000000, note);
	ev_timer_start(ev, &t2, 6, note);
	ev_timer_start(ev, &t1, 1, note); /* moved forward */
	while (norder < 3)
		ev_turn(ev, 100);
	assert_int_equal(order[0] * 100 + order[1] * 10 + order[2], 123);
	assert_false(ev_timer_active(&t1));
	ev_timer_start(ev, &t1, 5, note);
	ev_timer_stop(&t1);
	ev_turn(ev, 20);
	assert_int_equal(norder, 3);
	ev_free(&ev);
}

static void many_timers_keep_the_heap(void **state ATTR_UNUSED)
{
	struct ev *ev = ev_new();
	static struct ev_timer t[500];
	memset(t, 0, sizeof(t));
	for (unsigned i = 0; i < 500; i++)
		ev_timer_start(ev, &t[i], (i * 7919u) % 500 + 1000000, note);
	for (unsigned i = 0; i < 500; i += 3)
		ev_timer_stop(&t[i]);
	for (unsigned i = 0; i < 500; i += 5)
		ev_timer_start(ev, &t[i], (i * 31u) % 100 + 1000000, note);
	for (unsigned i = 0; i < 500; i++)
		ev_timer_stop(&t[i]);
	ev_turn(ev, 0);
	ev_free(&ev);
}

static int defer_runs;

static void deferred(struct ev_defer *d ATTR_UNUSED)
{
	defer_runs++;
}

static void deferred_calls_run_once(void **state ATTR_UNUSED)
{
	struct ev *ev = ev_new();
	struct ev_defer d = {0}, e = {0};
	ev_defer(ev, &d, deferred);
	ev_defer(ev, &d, deferred);
	ev_defer(ev, &e, deferred);
	ev_defer_cancel(ev, &e);
	ev_free_later(ev, xmalloc(10));
	ev_turn(ev, 0);
	ev_turn(ev, 0);
	assert_int_equal(defer_runs, 1);
	ev_free(&ev);
}

static int child_status = -1;

static void child_done(struct ev_child *c ATTR_UNUSED, int status)
{
	child_status = status;
}

static void child_end_is_seen(void **state ATTR_UNUSED)
{
	struct ev *ev = ev_new();
	struct ev_child c;
	pid_t pid = fork();
	if (pid == 0)
		_exit(7);
	assert_int_equal(ev_child_start(ev, &c, pid, child_done), 0);
	while (child_status < 0)
		ev_turn(ev, 1000);
	assert_int_equal(WEXITSTATUS(child_status), 7);
	ev_free(&ev);
}

struct job {
	struct ev_work w;
	int square;
};

static int jobs_done;

static void job_run(struct ev_work *w)
{
	struct job *j = container_of(w, struct job, w);
	j->square *= j->square;
}

static void job_done(struct ev_work *w ATTR_UNUSED)
{
	jobs_done++;
}

static void pool_runs_everything(void **state ATTR_UNUSED)
{
	struct ev *ev = ev_new();
	struct ev_pool *pool = ev_pool_new(ev, 8);
	static struct job jobs[1000];
	for (int i = 0; i < 1000; i++) {
		jobs[i] = (struct job){.w = {job_run, job_done, NULL}, .square = i};
		ev_work(pool, &jobs[i].w);
	}
	while (jobs_done < 500)
		ev_turn(ev, 1000);
	ev_pool_free(&pool); /* runs what is left */
	assert_int_equal(jobs_done, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(jobs[i].square, i * i);
	ev_free(&ev);
}

struct chain {
	struct ev_defer d;
	struct ev *ev;
	int calls;
};

static void defer_again(struct ev_defer *d)
{
	struct chain *c = container_of(d, struct chain, d);
	c->calls++;
	ev_defer(c->ev, d, defer_again);
}

/* Would hang: a deferred call that always defers itself. */
static void endless_chains_leave_turns_to_others(void **state ATTR_UNUSED)
{
	struct chain c = {.ev = ev_new()};
	ev_defer(c.ev, &c.d, defer_again);
	assert_true(ev_turn(c.ev, 1000));
	int first = c.calls;
	assert_true(first > 0);
	assert_true(ev_turn(c.ev, 100000)); /* does not sleep */
	assert_true(c.calls > first);
	ev_defer_cancel(c.ev, &c.d);
	ev_free(&c.ev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stopped_io_is_not_called),
	    cmocka_unit_test(timers_run_in_order),
	    cmocka_unit_test(many_timers_keep_the_heap),
	    cmocka_unit_test(deferred_calls_run_once),
	    cmocka_unit_test(endless_chains_leave_turns_to_others),
	    cmocka_unit_test(child_end_is_seen),
	    cmocka_unit_test(pool_runs_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
