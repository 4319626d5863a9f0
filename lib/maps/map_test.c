/* map_test.c - every table type, lookup orders, pattern lists, building and replacing tables. */
#include "base/base.h"

#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/fsutil.h"
#include "maps/cidr.h"
#include "maps/map.h"
#include "maps/map_build.h"
#include "maps/map_find.h"
#include "maps/map_source.h"
#include "maps/match_list.h"
#include "testing/tmpdir.h"

static char *dir;

static int setup(void **state)
{
	(void)state;
	dir = tmpdir_new();
	return chdir(dir);
}

static int teardown(void **state)
{
	(void)state;
	if (chdir("/") < 0)
		return -1;
	tmpdir_remove(&dir);
	return 0;
}

static void put_file(const char *name, const char *text)
{
	struct err err;
	assert_int_equal(fs_replace_file(AT_FDCWD, name, sv_str(text), 0644, &err), 0);
}

static int unix_hook(void *ctx, const char *name, struct sv key, struct buf *value, struct err *err)
{
	(void)ctx;
	(void)err;
	if (strcmp(name, "passwd.byname") != 0 || !sv_eqs(key, "bob"))
		return 0;
	return buf_adds(value, "bob:x:1000:1000::/home/bob:/bin/sh") < 0 ? ERR_TEMP : 1;
}

/* want NULL: not found; "!": ERR_TEMP. */
static void assert_lookup(struct map_store *s, const char *spec, const char *key, const char *want)
{
	struct buf b = BUF_INIT(MAP_VALUE_MAX);
	struct err err = {0};
	struct map *m = map_store_get(s, sv_str(spec), 0, &err);
	if (!m)
		fail_msg("%s: %s", spec, err.text);
	int r = map_lookup(m, sv_str(key), &b, &err);
	const char *got = r == 1 ? buf_cstr(&b) : r == 0 ? NULL : "!";
	if ((got == NULL) != (want == NULL) || (got && strcmp(got, want) != 0))
		fail_msg("%s %s: \"%s\" instead of \"%s\"", spec, key, got ? got : "(none)", want ? want : "(none)");
	buf_free(&b);
}

static void test_plain(void **state)
{
	/* As Postfix 3.7's postmap -q answers. */
	static const struct {
		const char *spec, *key, *want;
	} cases[] = {{"inline:{a=b, c=d}", "A", "b"}, {"inline:{a=b, c=d}", "e", NULL},
	    {"inline:{ {a = b c} , C=d }", "a", "b c"}, {"inline:{ {a = b c} , C=d }", "c", "d"},
	    {"static:{ x y }", "q", "x y"}, {"static:x", "q", "x"},
	    {"unionmap:{inline:{a=1},inline:{a=2}}", "a", "1,2"}, {"unionmap:{inline:{a=1},inline:{b=2}}", "b", "2"},
	    {"unionmap:{inline:{a=1},fail:x}", "a", "!"}, {"pipemap:{inline:{a=z},inline:{z=2}}", "a", "2"},
	    {"pipemap:{inline:{a=z},inline:{z=2}}", "b", NULL}, {"pipemap:{inline:{a=z},fail:x}", "c", NULL},
	    {"pipemap:{inline:{a=z},fail:x}", "a", "!"}, {"fail:foo", "a", "!"}, {"randmap:{a}", "k", "a"},
	    {"proxy:inline:{a=b}", "a", "b"}, {"proxy:unix:passwd.byname", "bob", "bob:x:1000:1000::/home/bob:/bin/sh"},
	    {"unix:passwd.byname", "eve", NULL}, {"environ:x", "MERPATI_TEST", "value"},
	    {"texthash:/nonexistent/x", "a", "!"}, {"mysql:/etc/x.cf", "a", "!"}, {"proxy:ldap:/etc/x.cf", "a", "!"}};
	static const char *const bad[] = {"inline:{a}", "inline:{a=b", "inline:x", "static:{a", "nosuch:x", "x", ":x",
	    "lmdb:", "pipemap:{}", "unix:x", "randmap:{}"};
	struct map_store *s = map_store_new(unix_hook, NULL);
	struct err err;
	(void)state;
	assert_int_equal(setenv("MERPATI_TEST", "value", 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_lookup(s, cases[i].spec, cases[i].key, cases[i].want);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(map_store_get(s, sv_str(bad[i]), 0, &err));
	map_store_free(&s);
}

static void test_text(void **state)
{
	struct map_store *s = map_store_new(NULL, NULL);
	(void)state;
	put_file(
	    "t1", "\"user name\"@x.org val1\nUser val 2\nnoval\n  cont of noval\n\"q\\\"x\" v3\nuser dupe\nlast\n");
	assert_lookup(s, "texthash:t1", "\"user name\"@x.org", "val1");
	assert_lookup(s, "texthash:t1", "user name@x.org", NULL);
	assert_lookup(s, "texthash:t1", "USER", "val 2");
	assert_lookup(s, "texthash:t1", "noval", "cont of noval");
	assert_lookup(s, "texthash:t1", "\"q\\\"x\"", "v3");
	assert_lookup(s, "texthash:t1", "last", NULL);
	struct sv notes = map_store_notes(s);
	assert_true(sv_find(notes, SV("line 6: duplicate entry: \"user\"")) >= 0);
	assert_true(sv_find(notes, SV("line 7: expected format: key whitespace value")) >= 0);
	map_store_notes_done(s);
	put_file("al", "root: bob\n\"a b\" : c,\n  d\n/etc: x\nbad line\n");
	struct err err;
	struct buf b = BUF_INIT(1000);
	struct map *m = map_store_get(s, SV("hash:al"), MAP_ALIAS, &err);
	assert_non_null(m);
	assert_int_equal(map_lookup(m, SV("a b"), &b, &err), 1);
	assert_string_equal(buf_cstr(&b), "c,  d");
	buf_free(&b);
	map_store_free(&s);
}

static void test_rules(void **state)
{
	static const char rules[] =
	    "/^a(.*)b$/ got $1 and ${1}x $(1) $$5\n/^CASE/i sensitive\n!/foo/ nofoo\nif /bar/\n"
	    "/foo.*bar(x)?/ foobar[$1]\nendif\nif !/bar/\n/foo/ only\nendif\n/unclosed\n/bad(/ x\n"
	    "/noval/\n/foo/x xx\n!/x(y)/ neg $1\n/z/ $9\nendif\n/foo/q unknown\n";
	static const char *const types[] = {"regexp:r1", "pcre:r1"};
	struct map_store *s = map_store_new(NULL, NULL);
	(void)state;
	put_file("r1", rules);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		assert_lookup(s, types[i], "aXb", "got X and Xx X $5");
		assert_lookup(s, types[i], "CASE", "sensitive");
		assert_lookup(s, types[i], "case", "nofoo");
		assert_lookup(s, types[i], "foobarx", "foobar[x]");
		assert_lookup(s, types[i], "foobar", "foobar[]");
		assert_lookup(s, types[i], "FOOq", "only");
		struct sv notes = map_store_notes(s);
		assert_true(sv_find(notes, SV("line 10: no closing regexp delimiter \"/\"")) >= 0);
		assert_true(sv_find(notes, SV("line 12: no replacement text: using empty string")) >= 0);
		assert_true(sv_find(notes, SV("line 14: $number found in negative match")) >= 0);
		assert_true(sv_find(notes, SV("line 15: out of range replacement index \"9\"")) >= 0);
		assert_true(sv_find(notes, SV("line 16: ignoring ENDIF")) >= 0);
		assert_true(sv_find(notes, SV("line 17: unknown regexp option \"q\"")) >= 0);
		map_store_notes_done(s);
	}
	put_file("huge",
	    "/a++++++++++++++++++++++++++++++++++++++/ x\n/((((a{99}){99}){99}){99})/ y\n/(ab+[+]{2,3}){1,20}/ z\n");
	assert_lookup(s, "regexp:huge", "abbb++abb+++", "z");
	assert_true(sv_find(map_store_notes(s), SV("line 2: the repetitions")) >= 0);
	map_store_notes_done(s);
	put_file("slow", "/^(a+)+$/ x\n");
	assert_lookup(s, "pcre:slow", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "!");
	put_file("c1",
	    "10.0.0.0/8 ten\n10.1.2.3/16 bad\n192.168.1.1 one\n!1.0.0.0/8 no one\n::1 six\n2001:db8::/32 doc\n"
	    "[::2] br\nif 3.0.0.0/8\n3.1.0.0/16 three\nendif\n4.4.4.4\n");
	assert_lookup(s, "cidr:c1", "10.2.3.4", "ten");
	assert_lookup(s, "cidr:c1", "192.168.1.1", "one");
	assert_lookup(s, "cidr:c1", "1.2.3.4", NULL);
	assert_lookup(s, "cidr:c1", "3.1.1.1", "no one");
	assert_lookup(s, "cidr:c1", "::1", "six");
	assert_lookup(s, "cidr:c1", "2001:db8::5", "doc");
	assert_lookup(s, "cidr:c1", "::2", "br");
	assert_lookup(s, "cidr:c1", "x", NULL);
	assert_true(sv_find(map_store_notes(s), SV("perhaps you should use \"10.1.0.0/16\" instead")) >= 0);
	map_store_free(&s);
}

static void build(const char *name, const char *const *pairs, size_t n)
{
	struct map_build *b = map_build_new();
	struct err err = {0};
	for (size_t i = 0; i + 1 < n; i += 2)
		assert_int_equal(map_build_add(b, sv_str(pairs[i]), sv_str(pairs[i + 1])), 0);
	if (map_build_finish(b, name, 0644, NULL, MAP_DUP_FIRST, NULL, NULL, &err) < 0)
		fail_msg("%s", err.text);
	map_build_free(&b);
}

static bool is_two(void *ctx, struct sv key)
{
	(void)ctx;
	return sv_eqs(key, "two");
}

static void test_lmdb(void **state)
{
	static const char *const first[] = {"two", "2", "one", "1", "one", "other", "three", "3"};
	static const char *const second[] = {"one", "new"};
	struct map_store *s = map_store_new(NULL, NULL);
	struct err err = {0};
	(void)state;
	assert_lookup(s, "lmdb:tab", "one", "!");
	build("tab", first, ARRAY_LEN(first));
	assert_int_equal(map_store_refresh(s, 1000, 500), 1);
	assert_lookup(s, "lmdb:tab", "ONE", "1");
	assert_lookup(s, "hash:tab", "two", "2");
	assert_lookup(s, "lmdb:tab", "four", NULL);
	build("tab", second, ARRAY_LEN(second));
	assert_lookup(s, "lmdb:tab", "one", "1"); /* the old one, until looked at */
	assert_int_equal(map_store_refresh(s, 1100, 500), 0);
	assert_int_equal(map_store_refresh(s, 1600, 500), 2);
	assert_lookup(s, "lmdb:tab", "one", "new");
	assert_lookup(s, "lmdb:tab", "two", NULL);
	build("tab", first, ARRAY_LEN(first));
	struct map_build *b = map_build_new();
	assert_int_equal(map_build_copy(b, "tab", is_two, NULL, &err), 0);
	assert_int_equal(map_build_count(b), 2);
	assert_int_equal(map_build_add(b, SV("one"), SV("last")), 0);
	assert_int_equal(map_build_finish(b, "tab", 0600, NULL, MAP_DUP_LAST, NULL, NULL, &err), 0);
	map_build_free(&b);
	assert_int_equal(map_store_refresh(s, 3000, 0), 2);
	assert_lookup(s, "lmdb:tab", "one", "last");
	assert_lookup(s, "lmdb:tab", "two", NULL);
	/* Garbage and absence are "cannot tell", and pass. */
	put_file("tab.lmdb", "this is not a table, not at all: it is only here to be refused by the library");
	assert_int_equal(map_store_refresh(s, 4000, 0), 2);
	assert_lookup(s, "lmdb:tab", "one", "!");
	assert_int_equal(unlink("tab.lmdb"), 0);
	assert_int_equal(map_store_refresh(s, 5000, 0), 2);
	assert_lookup(s, "lmdb:tab", "one", "!");
	struct map *optional = map_store_get(s, SV("lmdb:tab"), MAP_OPTIONAL, &err);
	struct buf v = BUF_INIT(100);
	assert_int_equal(map_lookup(optional, SV("one"), &v, &err), 0);
	put_file("tab", "one source\n");
	assert_int_equal(map_store_refresh(s, 6000, 0), 3);
	assert_lookup(s, "lmdb:tab", "one", "source");
	map_store_free(&s);
}

static void test_find(void **state)
{
	static const struct {
		const char *table, *address;
		unsigned how;
		const char *want, *ext;
		bool at_domain;
	} cases[] = {{"inline:{u@d=1}", "u+x@d", MAP_FIND_FULL, "1", "+x", false},
	    {"inline:{u+x@d=1}", "u+x@d", MAP_FIND_FULL, "1", "", false},
	    {"inline:{u=1}", "u+x@d", MAP_FIND_FULL | MAP_FIND_LOCAL, "1", "+x", false},
	    {"inline:{u+x=1}", "u+x@d", MAP_FIND_FULL | MAP_FIND_LOCAL, "1", "", false},
	    {"inline:{u=1}", "u+x@d", MAP_FIND_FULL | MAP_FIND_AT_DOMAIN, NULL, "", false},
	    {"inline:{@d=1}", "u+x@d", MAP_FIND_FULL | MAP_FIND_AT_DOMAIN, "1", "", true},
	    {"inline:{u=1}", "u+x", MAP_FIND_FULL, "1", "+x", false},
	    {"inline:{u@d=1}", "u@d", MAP_FIND_FULL, "1", "", false},
	    {"pipemap:{fail:x}", "u@d", MAP_FIND_FULL, "!", "", false}};
	struct map_store *s = map_store_new(NULL, NULL);
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct map_list l;
		struct err err = {0};
		struct buf b = BUF_INIT(1000);
		struct sv ext = SV("");
		bool at_domain = false;
		assert_int_equal(map_list_init(&l, s, sv_str(cases[i].table), 0, &err), 0);
		int r = map_find_address(&l, sv_str(cases[i].address), "+", cases[i].how, &b, &ext, &at_domain, &err);
		assert_int_equal(r, !cases[i].want ? 0 : cases[i].want[0] == '!' ? ERR_TEMP : 1);
		assert_true(sv_eqs(ext, cases[i].ext));
		assert_int_equal(at_domain, cases[i].at_domain);
		buf_free(&b);
	}
	assert_int_equal(map_split_extension(SV("a-b"), "-+", true), 1);
	assert_int_equal(map_split_extension(SV("owner-b"), "-+", true), -1);
	assert_int_equal(map_split_extension(SV("b-request"), "-+", true), -1);
	assert_int_equal(map_split_extension(SV("owner-b"), "+", true), -1);
	assert_int_equal(map_split_extension(SV("+b"), "+", true), -1);
	map_store_free(&s);
}

static void test_match(void **state)
{
	static const struct {
		const char *list;
		bool parents;
		const char *name, *addr;
		int want;
	} cases[] = {{"10.0.0.0/8, [::1]/128 [fe80::]/64", false, "", "10.1.1.1", 1},
	    {"10.0.0.0/8", false, "", "11.1.1.1", 0}, {"[::1]/128", false, "", "::1", 1},
	    {"!10.1.0.0/16 10.0.0.0/8", false, "", "10.1.1.1", 0},
	    {"!10.1.0.0/16 10.0.0.0/8", false, "", "10.2.1.1", 1}, {"example.org", false, "EXAMPLE.org", "", 1},
	    {"example.org", false, "a.example.org", "", 0}, {"example.org", true, "a.example.org", "", 1},
	    {".example.org", false, "a.b.example.org", "", 1}, {".example.org", false, "example.org", "", 0},
	    {"example.org", true, "badexample.org", "", 0}, {"inline:{example.org=x}", true, "a.example.org", "", 1},
	    {"inline:{.example.org=x}", false, "a.example.org", "", 1},
	    {"inline:{example.org=x}", false, "a.example.org", "", 0},
	    {"fail:x example.org", false, "example.org", "", ERR_TEMP},
	    {"example.org fail:x", false, "example.org", "", 1}, {"10.1.2.3/8", false, "", "10.1.2.3", ERR_TEMP},
	    {"cidr:nets", false, "h", "10.1.2.3", 1}, {"patterns", false, "patterns", "", 1},
	    {"", false, "x", "1.1.1.1", 0}};
	struct map_store *s = map_store_new(NULL, NULL);
	struct match_list *l = NULL;
	struct err err = {0};
	(void)state;
	put_file("nets", "10.1.0.0/16 x\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(match_list_new(&l, s, sv_str(cases[i].list), cases[i].parents, 0, &err), 0);
		assert_int_equal(match_list_host(l, sv_str(cases[i].name), sv_str(cases[i].addr), &err), cases[i].want);
		match_list_free(&l);
	}
	put_file("plist", "# networks\n10.0.0.0/8\n!a.org, b.org\n");
	char text[300];
	(void)snprintf(text, sizeof(text), "%s/plist", dir);
	assert_int_equal(match_list_new(&l, s, sv_str(text), false, 0, &err), 0);
	assert_int_equal(match_list_host(l, SV("b.org"), SV(""), &err), 1);
	assert_int_equal(match_list_host(l, SV("a.org"), SV("10.1.1.1"), &err), 1);
	assert_int_equal(match_list_host(l, SV("a.org"), SV("11.1.1.1"), &err), 0);
	match_list_free(&l);
	assert_true(match_list_new(&l, s, SV("/nonexistent/file"), false, 0, &err) < 0);
	map_store_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_plain), cmocka_unit_test(test_text),
	    cmocka_unit_test(test_rules), cmocka_unit_test(test_lmdb), cmocka_unit_test(test_find),
	    cmocka_unit_test(test_match)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
