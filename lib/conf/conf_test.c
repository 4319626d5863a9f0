/* conf_test.c - the parameter table, the line syntax, $ expressions, main.cf and the process side. */
#include "base/base.h"

#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/fsutil.h"
#include "conf/conf.h"
#include "conf/conf_expand.h"
#include "conf/conf_lex.h"
#include "conf/conf_near.h"
#include "conf/maincf.h"
#include "conf/mastercf.h"
#include "testing/tmpdir.h"

static bool lookup(void *ctx, struct sv name, struct sv *value)
{
	static const char *const pairs[][2] = {{"e", ""}, {"f", "$e"}, {"v", "val"}, {"n10", "10"}, {"loop", "x$loop"},
	    {"z0", ""}, {"z1", "$z0$z0$z0$z0$z0$z0$z0$z0$z0$z0"}, {"z2", "$z1$z1$z1$z1$z1$z1$z1$z1$z1$z1"},
	    {"z3", "$z2$z2$z2$z2$z2$z2$z2$z2$z2$z2"}, {"z4", "$z3$z3$z3$z3$z3$z3$z3$z3$z3$z3"},
	    {"z5", "$z4$z4$z4$z4$z4$z4$z4$z4$z4$z4"}};
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (sv_eqs(name, pairs[i][0])) {
			*value = sv_str(pairs[i][1]);
			return true;
		}
	return false;
}

static void test_expand(void **state)
{
	/* The results are those of Postfix 3.7 for the same texts. */
	static const struct {
		const char *in, *out; /* out NULL: ERR_SYNTAX */
	} cases[] = {{"[${v?x}]", "[x]"}, {"[${f?x}]", "[x]"}, {"[${f:y}]", "[]"}, {"[${v?{a}:{b}}]", "[a]"},
	    {"[${v?{ a }:{ b }}]", "[ a ]"}, {"[${e?{ a }:{ b }}]", "[ b ]"}, {"[${v? x:y}]", "[ x:y]"},
	    {"[${{$v}=={val}?{yes}:{no}}]", "[yes]"}, {"[${{$v} == {val} ? {yes} : {no}}]", "[yes]"},
	    {"[${{10} > {9} ? {yes} : {no}}]", "[yes]"}, {"[${{a10} > {a9} ? {yes} : {no}}]", "[no]"},
	    {"[${{3.10} >level {3.9} ? {yes} : {no}}]", "[yes]"}, {"[$$v]", "[$v]"}, {"[$(v)]", "[val]"},
	    {"[${undefd}]", "[]"}, {"[${undefd:{x}}]", "[x]"}, {"[${ v }]", "[val]"}, {"[${v ? {x} : {y}}]", "[x]"},
	    {"[$v.x-$v_]", "[val.x-]"}, {"[${v:y}]", "[]"}, {"[${{$v} == {val}}]", "[true]"},
	    {"[${e:{ $v }}]", "[ val ]"}, {"[${{ $v } == {val} ? {yes} : {no}}]", "[no]"},
	    {"[${{$v} == {val}?{yes}}]", "[yes]"}, {"[${v?}]", "[]"}, {"[${v?{x}y}]", NULL},
	    {"[${v?a:b$v}]", "[a:bval]"}, {"[$(v?x)]", "[x]"}, {"[${v}}]", "[val}]"}, {"[${v?{x}:y}]", "[x]"},
	    {"[${v:{x}:{y}}]", NULL}, {"[a$]", NULL}, {"[$-x]", NULL}, {"[${v]", NULL},
	    {"[${{$v} = {val}?{x}:{y}}]", NULL}, {"[${{9} < {10}?{x}:{y}}]", "[x]"},
	    {"[${{3.6} <level {3.6.1}?{x}:{y}}]", "[x]"}, {"[${v-x}]", NULL}, {"[${v?{${e?{1}:{2}}}:{b}}]", "[2]"}};
	struct err err;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf b = BUF_INIT(1000);
		int r = conf_expand(sv_str(cases[i].in), CONF_EXPAND_RECURSE, lookup, NULL, &b, &err);
		if (cases[i].out) {
			assert_int_equal(r, 0);
			assert_string_equal(buf_cstr(&b), cases[i].out);
		} else {
			assert_int_equal(r, ERR_SYNTAX);
		}
		buf_free(&b);
	}
}

static void test_expand_limits(void **state)
{
	struct buf b = BUF_INIT(100000);
	struct err err;
	(void)state;
	assert_int_equal(conf_expand(SV("$loop"), CONF_EXPAND_RECURSE, lookup, NULL, &b, &err), ERR_LIMIT);
	assert_int_equal(conf_expand(SV("$z5"), CONF_EXPAND_RECURSE, lookup, NULL, &b, &err), ERR_LIMIT);
	assert_int_equal(conf_expand(SV("$nope"), CONF_EXPAND_STRICT, lookup, NULL, &b, &err), ERR_NOT_FOUND);
	buf_free(&b);
	b = (struct buf)BUF_INIT(3);
	assert_int_equal(conf_expand(SV("abcd"), 0, lookup, NULL, &b, &err), ERR_LIMIT);
	buf_free(&b);
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_nparams; i++) {
		const struct conf_param *p = &conf_params[i];
		char why[160];
		if (p->status == CONF_WORKS && (!*p->owners || !*p->help))
			fail_msg("%s: owners and help are needed", p->name);
		for (size_t j = 0; j < i; j++)
			if (p->status == conf_params[j].status && strcmp(p->name, conf_params[j].name) == 0)
				fail_msg("%s stands twice in the table", p->name);
		if (!strchr(p->def, '$') && p->status == CONF_WORKS &&
		    conf_param_check(p, sv_str(p->def), NULL, why) < 0)
			fail_msg("%s: the default \"%s\" %s", p->name, p->def, why);
	}
	assert_non_null(conf_param_find(SV("myhostname")));
	assert_null(conf_param_find(SV("myhostnam")));
	assert_string_equal(conf_near(SV("myhostnam")), "myhostname");
	assert_string_equal(conf_near(SV("mydesitnation")), "mydestination");
	assert_null(conf_near(SV("entirely_different_thing")));
}

static void test_check(void **state)
{
	static const struct {
		enum conf_type type;
		const char *def, *value;
		int r;
		int64_t num;
	} cases[] = {{CONF_BOOL, "no", "yes", 0, 1}, {CONF_BOOL, "no", "YES", 0, 1},
	    {CONF_BOOL, "no", "true", ERR_SYNTAX, 0}, {CONF_INT, "1", "12", 0, 12},
	    {CONF_INT, "1", "12x", ERR_SYNTAX, 0}, {CONF_INT, "1", "", ERR_SYNTAX, 0},
	    {CONF_INT, "1", "1001", ERR_LIMIT, 0}, {CONF_INT, "1", "-1", ERR_LIMIT, 0},
	    {CONF_TIME, "5d", "1", ERR_LIMIT, 0}, {CONF_TIME, "5m", "2", 0, 120}, {CONF_TIME, "5s", "2", 0, 2},
	    {CONF_TIME, "${x?{1}:{2}}s", "2m", 0, 120}, {CONF_TIME, "$y_s", "9", 0, 9},
	    {CONF_TIME, "5s", "2 m", ERR_SYNTAX, 0}, {CONF_ENUM, "a", "b", 0, 0}, {CONF_ENUM, "a", "d", ERR_SYNTAX, 0},
	    {CONF_LIST, "a", "a, c b", 0, 0}, {CONF_LIST, "a", "", 0, 0}, {CONF_LIST, "a", "a, x", ERR_SYNTAX, 0}};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf_param p = {
		    .name = "x", .type = cases[i].type, .def = cases[i].def, .max = 1000, .choices = "a b c"};
		int64_t num = 0;
		assert_int_equal(conf_param_check(&p, sv_str(cases[i].value), &num, NULL), cases[i].r);
		assert_int_equal(num, cases[i].num);
	}
}

static const char main_cf[] =
    "# comment\n"
    "  \n"
    "myhostname = mx.example.org\n"
    "mydomain = example.org\n"
    "relayhost =\n"
    "  [smtp.$mydomain]:587\n"
    "# inside\n"
    "\t, more\n"
    "message_size_limit=5\n"
    "message_size_limit = 6\n"
    "my_own = $mydomain\n"
    "mydestination = $my_own\n"
    "smtpd_recipient_restrictions = check_client_access hash:/etc/access, inet:foo:bar inline:{a=b, c=d}\n"
    "smtp_sasl_password_maps = inline:{relay=user:secret}\n";

static struct maincf *parse(const char *text, struct conf_problems *problems)
{
	struct maincf_args args = {.config_directory = "/etc/merpati"};
	struct maincf *mc = NULL;
	assert_int_equal(maincf_parse(sv_str(text), "main.cf", &args, &mc, problems), 0);
	return mc;
}

static void assert_value(const struct maincf *mc, const char *name, const char *want)
{
	struct buf b = BUF_INIT(CONF_VALUE_MAX);
	assert_int_equal(maincf_value(mc, name, NULL, 0, &b, NULL), 0);
	assert_string_equal(buf_cstr(&b), want);
	buf_free(&b);
}

static void test_maincf(void **state)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf *mc = parse(main_cf, &problems);
	const char *file;
	unsigned line;
	(void)state;
	assert_int_equal(problems.errors, 0);
	assert_int_equal(problems.warnings, 1);
	assert_int_equal(problems.v[0].line, 10);
	assert_value(mc, "myhostname", "mx.example.org");
	assert_value(mc, "myorigin", "mx.example.org");
	assert_value(mc, "relayhost", "[smtp.example.org]:587\t, more");
	assert_value(mc, "mydestination", "example.org");
	assert_value(mc, "config_directory", "/etc/merpati");
	assert_int_equal(maincf_num(mc, "message_size_limit"), 6);
	assert_true(maincf_bool(mc, "append_dot_mydomain"));
	assert_true(maincf_where(mc, "relayhost", &file, &line));
	assert_int_equal(line, 5);
	assert_string_equal(file, "main.cf");
	maincf_check(mc, NULL, &problems);
	for (size_t i = 0; i < problems.n; i++)
		assert_null(strstr(problems.v[i].text, "my_own"));
	assert_int_equal(problems.errors, 0);
	conf_problems_clear(&problems);
	maincf_free(&mc);
}

/* Debian's way: the name stands in a file. */
static void test_origin_file(void **state)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	char *dir = tmpdir_new();
	char *text = xasprintf(
	    "myorigin = %s/mailname\nmyhostname = h.$myorigin\nalias_maps = hash:/a, nis:mail.aliases\n", dir);
	char *path = xasprintf("%s/mailname", dir);
	struct maincf *mc = parse(text, &problems);
	(void)state;
	maincf_check(mc, NULL, &problems);
	assert_int_equal(problems.errors, 1);
	conf_problems_clear(&problems);
	maincf_free(&mc);
	assert_int_equal(fs_replace_file(AT_FDCWD, path, SV("mail.example.org\nx\n"), 0644, NULL), 0);
	mc = parse(text, &problems);
	maincf_check(mc, NULL, &problems);
	assert_int_equal(problems.errors, 0);
	assert_int_equal(problems.warnings, 1);
	assert_non_null(strstr(problems.v[0].text, "nis:mail.aliases"));
	assert_int_equal(problems.v[0].line, 3);
	assert_value(mc, "myorigin", "mail.example.org");
	assert_value(mc, "myhostname", "h.mail.example.org");
	conf_problems_clear(&problems);
	maincf_free(&mc);
	free(text);
	free(path);
	tmpdir_remove(&dir);
}

static void test_maincf_errors(void **state)
{
	static const char text[] = "  orphan\n"
				   "myhostnam = x\n"
				   "novalue\n"
				   "= x\n"
				   "soft_bounce = maybe\n"
				   "relayhost = ${unclosed\n"
				   "myorigin = $myorigin\n";
	static const struct {
		enum conf_severity sev;
		unsigned line;
		const char *part;
	} want[] = {{CONF_WARNING, 1, "white space"}, {CONF_ERROR, 3, "missing '='"},
	    {CONF_ERROR, 4, "missing parameter"}, {CONF_WARNING, 2, "did you mean myhostname"},
	    {CONF_ERROR, 5, "neither yes nor no"}, {CONF_ERROR, 6, "no closing bracket"}, {CONF_ERROR, 7, "nested"}};
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf *mc = parse(text, &problems);
	(void)state;
	maincf_check(mc, NULL, &problems);
	assert_true(problems.n >= ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(problems.v[i].severity, want[i].sev);
		assert_int_equal(problems.v[i].line, want[i].line);
		assert_non_null(strstr(problems.v[i].text, want[i].part));
	}
	conf_problems_clear(&problems);
	maincf_free(&mc);
}

static void test_blob(void **state)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf *mc = parse(main_cf, &problems);
	struct conf_pair o[] = {{(char *)"append_dot_mydomain", (char *)"no"}, {(char *)"my_own", (char *)"other.org"}};
	struct buf b = BUF_INIT(1 << 20);
	struct conf *c = NULL;
	struct err err = {0};
	(void)state;
	assert_int_equal(maincf_blob(mc, "rewrite", o, 2, &b, &err), 0);
	assert_int_equal(conf_from_blob(buf_sv(&b), &c, &err), 0);
	assert_string_equal(conf_str(c, "myhostname"), "mx.example.org");
	assert_string_equal(conf_str(c, "mydestination"), "other.org");
	assert_false(conf_bool(c, "append_dot_mydomain"));
	assert_int_equal(conf_int(c, "virtual_alias_recursion_limit"), 1000);
	assert_string_equal(conf_raw(c, "rewrite_tables"), "hash:/etc/access\ninline:{a=b, c=d}\n");
	assert_false(conf_has(c, "message_size_limit"));
	conf_free(&c);
	buf_free(&b);
	o[0].value = (char *)"perhaps";
	assert_int_equal(maincf_blob(mc, "rewrite", o, 2, &b, &err), ERR_SYNTAX);
	assert_non_null(strstr(err.text, "append_dot_mydomain"));
	buf_free(&b);
	assert_int_equal(conf_from_blob(SV("a\0b"), &c, &err), ERR_PROTOCOL);
	assert_int_equal(conf_from_blob(sv_of("a\0b\0a\0c\0", 8), &c, &err), ERR_PROTOCOL);
	assert_int_equal(conf_from_blob(sv_of("soft_bounce\0x\0", 14), &c, &err), ERR_SYNTAX);
	conf_problems_clear(&problems);
	maincf_free(&mc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_expand_limits),
	    cmocka_unit_test(test_table), cmocka_unit_test(test_check), cmocka_unit_test(test_maincf),
	    cmocka_unit_test(test_origin_file), cmocka_unit_test(test_maincf_errors), cmocka_unit_test(test_blob)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
