/* rewrite_test.c - canonical forms, classes, routes, virtual aliases, existence, local recipients; no processes. */
#include "base/base.h"

#include <setjmp.h>
#include <cmocka.h>

#include "conf/maincf.h"
#include "rewrite/rw.h"

static const char base_cf[] =
    "compatibility_level = 3.6\n"
    "myhostname = mx.example.org\nmydomain = example.org\nmynetworks = 127.0.0.0/8\nrecipient_delimiter = +\n"
    "default_privs = nobody\n"
    "mydestination = $myhostname, example.org, localhost.example.org\n"
    "virtual_alias_domains = alias.test\nvirtual_mailbox_domains = box.test\nrelay_domains = relay.test\n"
    "virtual_alias_maps = inline:{ {info@alias.test=bob@example.org, eve@box.test} {a@alias.test=b@alias.test} "
    "{b@alias.test=a@alias.test} {self@example.org=self@example.org, x@else.test} {@dom.test=@box.test} "
    "{gone@alias.test=nobody2@box.test} {list=carol@box.test} {big@alias.test=c1@box.test, c2@box.test, c3@box.test} "
    "{ext@alias.test=eve@box.test}}\n"
    "virtual_alias_expansion_limit = 2\n"
    "virtual_mailbox_maps = inline:{eve@box.test=box.test/eve/ carol@box.test=box.test/carol/}\n"
    "alias_maps = inline:{ {root=bob} {dead=nosuch, nosuch2} {cmd=|/bin/true} {team=bob, outside@far.test} "
    "{team2=team} "
    "{owner-team=bob} {me=me} {loop1=loop2} {loop2=loop1}}\n"
    "local_recipient_maps = inline:{bob=x me=x} $alias_maps\n"
    "relay_recipient_maps = inline:{known@relay.test=x}\n"
    "transport_maps = inline:{ {far.test=smtp:[gw.test]:26} {only.test=slow:} {.sub.test=:hop.test} "
    "{eve@box.test=lmtp:unix:x}}\n";

static struct maincf *mc;
static struct conf *conf;
static struct rw rw;
static struct arena arena;

static void up(const char *extra)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(100000);
	CLEANUP(buf_freep) struct buf blob = BUF_INIT(1 << 20);
	struct maincf_args args = {.config_directory = "/etc/merpati"};
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct err err = {0};
	(void)buf_printf(&text, "%s%s", base_cf, extra);
	assert_int_equal(maincf_parse(buf_sv(&text), "main.cf", &args, &mc, &problems), 0);
	assert_int_equal(problems.errors, 0);
	if (maincf_blob(mc, "rewrite", NULL, 0, &blob, &err) < 0 || conf_from_blob(buf_sv(&blob), &conf, &err) < 0 ||
	    rw_setup(&rw, conf, &err) < 0)
		fail_msg("%s", err.text);
	conf_problems_clear(&problems);
	arena_init(&arena, RW_ARENA);
}

static void down(void)
{
	arena_clear(&arena);
	rw_clear(&rw);
	conf_free(&conf);
	maincf_free(&mc);
}

static void assert_sv(struct sv got, const char *want)
{
	if (!sv_eqs(got, want))
		fail_msg("\"" SV_FMT "\" instead of \"%s\"", SV_ARG(got), want);
}

static void test_canon(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: ERR_SYNTAX */
	} cases[] = {{"user", "user@mx.example.org"}, {"user@host", "user@host.example.org"}, {"user@a.b", "user@a.b"},
	    {"user@a.b.", "user@a.b"}, {"@a,@b:user@c.d", "user@c.d"}, {"site!user", "user@site.example.org"},
	    {"user%far.test", "user@far.test"}, {"user@[1.2.3.4]", "user@[1.2.3.4]"}, {"a b@x.y", "a b@x.y"},
	    {"@x", NULL}, {"a@b@c.d", "a@b@c.d"}, {"", ""}};
	struct canon_conf c = {.myorigin = "mx.example.org",
	    .mydomain = "example.org",
	    .append_at_myorigin = true,
	    .append_dot_mydomain = true,
	    .swap_bangpath = true,
	    .percent_hack = true,
	    .dequoted = true};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT(1024);
		int r = canon_address(&c, sv_str(cases[i].in), &b);
		assert_int_equal(r, cases[i].out ? 0 : ERR_SYNTAX);
		if (cases[i].out)
			assert_string_equal(buf_cstr(&b), cases[i].out);
		buf_free(&b);
	}
	struct buf b = BUF_INIT(1024);
	c.null_domain = c.numeric_domain = true;
	assert_int_equal(canon_address(&c, SV("u@"), &b) + canon_address(&c, SV(" "), &b), 0);
	assert_true(sv_starts(buf_sv(&b), SV("u@mx.example.org")));
	buf_reset(&b);
	assert_int_equal(canon_address(&c, SV("u@1.2.3.4"), &b), 0);
	assert_string_equal(buf_cstr(&b), "u@[1.2.3.4]");
	buf_reset(&b);
	assert_true(canon_is_routed(&c, SV("a b%c")));
	c.dequoted = false;
	assert_false(canon_is_routed(&c, SV("a b%c")));
	assert_int_equal(canon_quoted(SV("a \"b@x.y"), &b), 0);
	assert_string_equal(buf_cstr(&b), "\"a \\\"b\"@x.y");
	buf_reset(&b);
	assert_int_equal(canon_quoted(SV("a.b+c@x.y"), &b), 0);
	assert_string_equal(buf_cstr(&b), "a.b+c@x.y");
	buf_free(&b);
}

static void test_route(void **state)
{
	static const struct {
		const char *in, *canonical;
		unsigned cls;
		const char *transport, *nexthop;
	} cases[] = {{"bob@example.org", "bob@example.org", MAIL_CLASS_LOCAL, "local", "mx.example.org"},
	    {"bob@EXAMPLE.org", "bob@EXAMPLE.org", MAIL_CLASS_LOCAL, "local", "mx.example.org"},
	    {"eve@box.test", "eve@box.test", MAIL_CLASS_VIRTUAL_MAILBOX, "lmtp", "unix:x"},
	    {"eve+tag@box.test", "eve+tag@box.test", MAIL_CLASS_VIRTUAL_MAILBOX, "lmtp", "unix:x"},
	    {"x@box.test", "x@box.test", MAIL_CLASS_VIRTUAL_MAILBOX, "virtual", "box.test"},
	    {"x@alias.test", "x@alias.test", MAIL_CLASS_VIRTUAL_ALIAS, "error",
		"5.1.1 User unknown in virtual alias table"},
	    {"x@relay.test", "x@relay.test", MAIL_CLASS_RELAY, "relay", "relay.test"},
	    {"x@sub.relay.test", "x@sub.relay.test", MAIL_CLASS_RELAY, "relay", "sub.relay.test"},
	    {"x@far.test", "x@far.test", MAIL_CLASS_OTHER, "smtp", "[gw.test]:26"},
	    {"x@only.test", "x@only.test", MAIL_CLASS_OTHER, "slow", "only.test"},
	    {"x@a.sub.test", "x@a.sub.test", MAIL_CLASS_OTHER, "smtp", "hop.test"},
	    {"x@any.test", "x@any.test", MAIL_CLASS_OTHER, "smtp", "any.test"},
	    {"x%far.test@example.org", "x@far.test", MAIL_CLASS_OTHER, "smtp", "[gw.test]:26"},
	    {"x@[127.0.0.1]", "x@[127.0.0.1]", MAIL_CLASS_LOCAL, "local", "mx.example.org"},
	    {"", "MAILER-DAEMON@mx.example.org", MAIL_CLASS_LOCAL, "local", "mx.example.org"}};
	(void)state;
	up("");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mail_route r = {0};
		struct sv canonical = SV("");
		struct err err = {0};
		if (rw_route(&rw, &arena, sv_str(cases[i].in), SV("s@x.y"), &canonical, &r, &err) < 0)
			fail_msg("%s: %s", cases[i].in, err.text);
		assert_sv(canonical, cases[i].canonical);
		assert_int_equal(r.cls, cases[i].cls);
		assert_sv(r.transport, cases[i].transport);
		assert_sv(r.nexthop, cases[i].nexthop);
	}
	down();
}

static void test_relayhost(void **state)
{
	static const struct {
		const char *in, *sender, *transport, *nexthop;
	} cases[] = {{"x@any.test", "s@x.y", "smtp", "[relay.isp]:587"}, {"x@any.test", "own@x.y", "smtp", "[own.isp]"},
	    {"x@relay.test", "s@x.y", "relay", "[relay.isp]:587"},
	    {"bob@example.org", "s@x.y", "local", "mx.example.org"}, {"x@any.test", "t@dep.y", "other", "x"},
	    {"x@only.test", "s@x.y", "slow", "only.test"}};
	(void)state;
	up("relayhost = [relay.isp]:587\nsender_dependent_relayhost_maps = inline:{own@x.y=[own.isp]}\n"
	   "sender_dependent_default_transport_maps = inline:{@dep.y=other:x}\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct mail_route r = {0};
		struct sv canonical;
		assert_int_equal(
		    rw_route(&rw, &arena, sv_str(cases[i].in), sv_str(cases[i].sender), &canonical, &r, NULL), 0);
		assert_sv(r.transport, cases[i].transport);
		assert_sv(r.nexthop, cases[i].nexthop);
	}
	down();
}

static void test_expand(void **state)
{
	static const struct {
		const char *in;
		int r;
		const char *out[4];
	} cases[] = {{"info@alias.test", 0, {"bob@example.org", "eve@box.test"}}, {"a@alias.test", ERR_LIMIT, {NULL}},
	    {"self@example.org", 0, {"self@example.org", "x@else.test"}}, {"u+t@dom.test", 0, {"u+t@box.test"}},
	    {"plain@any.test", 0, {"plain@any.test"}}, {"list@example.org", 0, {"carol@box.test"}},
	    {"list@mx.example.org", 0, {"carol@box.test"}}, {"list@any.test", 0, {"list@any.test"}},
	    {"big@alias.test", ERR_LIMIT, {NULL}}, {"ext+tag@alias.test", 0, {"eve+tag@box.test"}},
	    {"INFO@Alias.Test", 0, {"bob@example.org", "eve@box.test"}}};
	(void)state;
	up("");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sv *out = NULL;
		size_t n = 0;
		struct err err = {0};
		int r = rw_expand(&rw, &arena, sv_str(cases[i].in), &out, &n, &err);
		if (r != cases[i].r)
			fail_msg("%s: %d %s", cases[i].in, r, err.text);
		for (size_t j = 0; j < 3 && cases[i].out[j]; j++) {
			assert_true(j < n);
			assert_sv(out[j], cases[i].out[j]);
			assert_true(cases[i].out[j + 1] || n == j + 1);
		}
	}
	down();
}

static void test_exists(void **state)
{
	static const struct {
		const char *in;
		int r;
		const char *reason;
	} cases[] = {{"bob@example.org", 0, NULL}, {"bob+x@example.org", 0, NULL},
	    {"nosuch@example.org", ERR_NOT_FOUND, "User unknown in local recipient table"},
	    {"root@example.org", 0, NULL}, {"dead@example.org", ERR_NOT_FOUND, "User unknown in local recipient table"},
	    {"cmd@example.org", 0, NULL}, {"team2@example.org", 0, NULL}, {"me@example.org", 0, NULL},
	    {"loop1@example.org", 0, NULL}, {"eve@box.test", 0, NULL}, {"eve+x@box.test", 0, NULL},
	    {"zoe@box.test", ERR_NOT_FOUND, "User unknown in virtual mailbox table"}, {"info@alias.test", 0, NULL},
	    {"zoe@alias.test", ERR_NOT_FOUND, "User unknown in virtual alias table"},
	    {"gone@alias.test", ERR_NOT_FOUND, "User unknown in virtual mailbox table"}, {"known@relay.test", 0, NULL},
	    {"zoe@relay.test", ERR_NOT_FOUND, "User unknown in relay recipient table"}, {"x@any.test", 0, NULL},
	    {"eve@dom.test", 0, NULL}, {"zoe@dom.test", ERR_NOT_FOUND, "User unknown in virtual mailbox table"}};
	(void)state;
	up("");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *reason = "";
		struct err err = {0};
		int r = rw_exists(&rw, &arena, sv_str(cases[i].in), &reason, &err);
		if (r != cases[i].r || (cases[i].reason && strcmp(reason, cases[i].reason) != 0))
			fail_msg("%s: %d \"%s\" %s", cases[i].in, r, reason, err.text);
	}
	down();
}

/* A table that cannot be read never makes a "no". */
static void test_unreadable(void **state)
{
	static const struct {
		const char *extra, *in;
	} cases[] = {{"virtual_mailbox_maps = lmdb:/nonexistent/x\n", "zoe@box.test"},
	    {"local_recipient_maps = lmdb:/nonexistent/x\n", "zoe@example.org"},
	    {"relay_recipient_maps = lmdb:/nonexistent/x\n", "zoe@relay.test"},
	    {"virtual_alias_maps = lmdb:/nonexistent/x\n", "zoe@any.test"},
	    {"virtual_alias_maps = lmdb:/nonexistent/x\nvirtual_alias_domains = $virtual_alias_maps\n", "zoe@any.test"},
	    {"mydestination = fail:x\n", "zoe@any.test"}, {"virtual_mailbox_domains = fail:x\n", "zoe@any.test"},
	    {"relay_domains = fail:x\n", "zoe@any.test"}, {"alias_maps = fail:x\n", "zoe@example.org"},
	    {"alias_maps = inline:{dead=x@box.test}\nvirtual_mailbox_maps = fail:x\n", "dead@example.org"}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *reason = "";
		up(cases[i].extra);
		assert_int_equal(rw_exists(&rw, &arena, sv_str(cases[i].in), &reason, NULL), ERR_TEMP);
		down();
	}
	up("transport_maps = fail:x\n");
	struct sv canonical;
	struct mail_route r;
	assert_int_equal(rw_route(&rw, &arena, SV("x@any.test"), SV(""), &canonical, &r, NULL), ERR_TEMP);
	down();
}

static void test_who(void **state)
{
	struct rw_local w;
	(void)state;
	up("");
	rw_local_who(&rw, &arena, SV("team+x@example.org"), &w);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.kind, RW_LOCAL_ALIAS);
	assert_sv(w.rhs, "bob, outside@far.test");
	assert_sv(w.owner, "owner-team@mx.example.org");
	assert_sv(w.user, "team");
	assert_sv(w.extension, "x");
	assert_int_not_equal(w.uid, 0);
	rw_local_who(&rw, &arena, SV("eve+tag@box.test"), &w);
	assert_int_equal(w.kind, RW_LOCAL_VIRTUAL);
	assert_sv(w.mailbox, "/var/mail/merpati/box.test/eve/");
	assert_sv(w.user, "eve@box.test");
	assert_sv(w.extension, "tag");
	assert_int_equal(w.uid, 5000);
	rw_local_who(&rw, &arena, SV("zoe@box.test"), &w);
	assert_int_equal(w.status, ERR_NOT_FOUND);
	assert_sv(w.reason, "unknown user: \"zoe@box.test\"");
	down();
	up("virtual_mailbox_maps = inline:{eve@box.test=../../etc/}\n");
	rw_local_who(&rw, &arena, SV("eve@box.test"), &w);
	assert_int_equal(w.status, ERR_TEMP);
	down();
	up("virtual_uid_maps = static:0\n");
	rw_local_who(&rw, &arena, SV("eve@box.test"), &w);
	assert_int_equal(w.status, ERR_TEMP);
	down();
}

struct waiting {
	struct ev *ev;
	unsigned rounds;
	bool dead;
};

static void on_ready(void *arg)
{
	struct waiting *w = arg;
	w->rounds++;
	ev_stop(w->ev);
}

static void on_dead(void *arg)
{
	((struct waiting *)arg)->dead = true;
}

static void test_users(void **state)
{
	struct waiting w = {.ev = ev_new()};
	struct err err;
	struct users *u = users_new(&err);
	struct buf line = BUF_INIT(USERS_LINE_MAX);
	bool pending = false;
	(void)state;
	assert_non_null(u);
	users_start(u, w.ev, on_ready, on_dead, &w);
	assert_int_equal(users_find(u, false, SV("root"), 1, &line, &pending), ERR_TEMP);
	assert_true(pending);
	while (!w.rounds && !w.dead)
		(void)ev_turn(w.ev, 1000);
	pending = false;
	assert_int_equal(users_find(u, false, SV("root"), 1, &line, &pending), 1);
	assert_true(sv_starts(buf_sv(&line), SV("root:x:0:0:")));
	assert_false(pending);
	assert_int_equal(users_find(u, false, SV("../x"), 1, &line, &pending), 0);
	users_free(&u);
	ev_free(&w.ev);
	buf_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_canon), cmocka_unit_test(test_route),
	    cmocka_unit_test(test_relayhost), cmocka_unit_test(test_expand), cmocka_unit_test(test_exists),
	    cmocka_unit_test(test_unreadable), cmocka_unit_test(test_who), cmocka_unit_test(test_users)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
