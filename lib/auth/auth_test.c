/* auth_test.c - RFC 7677's example, accounts, login names, tables, and both sides of each mechanism against each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "auth/account.h"
#include "auth/pwhash.h"
#include "auth/sasl_client.h"
#include "auth/sasl_server.h"
#include "auth/user_table.h"
#include "base/codec.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "testing/tmpdir.h"

/* RFC 7677 section 3: user "user", password "pencil". */
static void rfc7677(void **state)
{
	static const char messages[] = "n=user,r=rOprNGfwEbeRWgbNEkqO,"
				       "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				       "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
				       "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
	struct scram_verifier v = {.iterations = 4096}, back;
	struct buf salt = BUF_INIT(64), proof = BUF_INIT(64), text = BUF_INIT(400), sig = BUF_INIT(64);
	unsigned char client[32], mac[32];

	(void)state;
	assert_int_equal(base64_decode(&salt, SV("W22ZaJ0SNY7soEsUEjb6gQ==")), 0);
	memcpy(v.salt, salt.p, salt.n);
	v.salt_len = salt.n;
	scram_derive(SV("pencil"), &v);
	/* ClientKey = ClientProof XOR ClientSignature; its hash is StoredKey */
	hmac(DIGEST_SHA256, sv_of((char *)v.stored, 32), sv_str(messages), mac);
	assert_int_equal(base64_decode(&proof, SV("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")), 0);
	for (int i = 0; i < 32; i++)
		client[i] = (unsigned char)(mac[i] ^ (unsigned char)proof.p[i]);
	digest(DIGEST_SHA256, sv_of((char *)client, 32), mac);
	assert_memory_equal(mac, v.stored, 32);
	hmac(DIGEST_SHA256, sv_of((char *)v.server, 32), sv_str(messages), mac);
	assert_int_equal(base64_encode(&sig, sv_of((char *)mac, 32)), 0);
	assert_string_equal(buf_cstr(&sig), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	assert_int_equal(scram_format(&v, &text), 0);
	assert_int_equal(scram_parse(buf_sv(&text), &back), 0);
	assert_memory_equal(&back, &v, sizeof(v));
	buf_free(&salt);
	buf_free(&proof);
	buf_free(&text);
	buf_free(&sig);
}

static void verifier_texts(void **state)
{
	static const char *const bad[] = {"", "SCRAM-SHA-256", "SCRAM-SHA-256$", "SCRAM-SHA-1$4096:c2FsdHNhbHQ=$a:b",
	    "SCRAM-SHA-256$10:c2FsdHNhbHQ=$a:b", "SCRAM-SHA-256$4096:$a:b",
	    "SCRAM-SHA-256$4096:c2FsdHNhbHQ=$YQ==:Yg==", "SCRAM-SHA-256$99999999999:c2FsdHNhbHQ=$YQ==:Yg=="};
	struct scram_verifier v = {.iterations = 1}, a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (scram_parse(sv_str(bad[i]), &v) != ERR_SYNTAX || v.iterations != 1)
			fail_msg("%s", bad[i]);
	}
	scram_invent(SV("nobody"), SV("key"), 4096, &a);
	scram_invent(SV("nobody"), SV("key"), 4096, &b);
	assert_memory_equal(a.salt, b.salt, sizeof(a.salt));
	scram_invent(SV("somebody"), SV("key"), 4096, &b);
	assert_memory_not_equal(a.salt, b.salt, sizeof(a.salt));
}

static void hashes(void **state)
{
	struct buf h = BUF_INIT(400);
	struct err err;

	(void)state;
	assert_int_equal(pwhash_make(SV("secret"), &h, &err), 0);
	assert_true(sv_starts(buf_sv(&h), SV("$y$")));
	assert_int_equal(pwhash_check(SV("secret"), buf_sv(&h)), 0);
	assert_int_equal(pwhash_check(SV("Secret"), buf_sv(&h)), ERR_DENIED);
	assert_int_equal(pwhash_check(SV(""), buf_sv(&h)), ERR_DENIED);
	assert_int_equal(pwhash_check(SV("secret"), SV("$nonsense$")), ERR_UNSUPPORTED);
	assert_int_equal(pwhash_make(SV("a\0b"), &h, &err), ERR_SYNTAX);
	buf_free(&h);
}

static void accounts(void **state)
{
	static const char *const bad[] = {"", "uid:5000\ngid:5000\n", "uid:0\ngid:5000\nfolder:a/b/\n",
	    "uid:5000\ngid:5000\nfolder:../b/\n", "uid:5000\ngid:5000\nfolder:/etc/\n",
	    "uid:5000\ngid:5000\nfolder:a/b\n", "uid:-1\ngid:5000\nfolder:a/\n",
	    "uid:5000\ngid:5000\nfolder:a/\ncrypt:secret\n", "nonsense", "uid:5000\ngid:5000\nfolder:a//b/\n"};
	struct account a,
	    b = {.crypt = SV("$y$x"), .scram = SV("S"), .uid = 5000, .gid = 5001, .folder = SV("example.org/u/")};
	struct buf text = BUF_INIT(1000);
	struct err err;

	(void)state;
	b.disabled = true;
	assert_int_equal(account_format(&b, &text), 0);
	buf_adds(&text, "colour:blue\n");
	assert_int_equal(account_parse(buf_sv(&text), &a, &err), 0);
	assert_true(sv_eqs(a.crypt, "$y$x") && a.uid == 5000 && a.gid == 5001 && sv_eqs(a.folder, "example.org/u/"));
	assert_true(a.disabled && sv_eqs(a.scram, "S"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (account_parse(sv_str(bad[i]), &a, &err) != ERR_CORRUPT)
			fail_msg("%s", bad[i]);
	}
	buf_free(&text);
}

static void login_names(void **state)
{
	static const struct {
		const char *name, *want;
	} cases[] = {{"Alice", "alice@example.org"}, {"Bob@B.Example", "bob@b.example"}, {"", NULL}, {"@", NULL},
	    {"a@", NULL}, {"@b", NULL}, {"a b", NULL}, {"../x", NULL}, {"a\nb", NULL}};
	struct buf out = BUF_INIT(1000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = account_normalize(sv_str(cases[i].name), SV("example.org"), &out);

		if (cases[i].want ? r || strcmp(buf_cstr(&out), cases[i].want) != 0 : r != ERR_SYNTAX || out.n)
			fail_msg("\"%s\": %d %s", cases[i].name, r, buf_cstr(&out));
		buf_reset(&out);
	}
	buf_free(&out);
}

static bool count(void *arg, struct sv key, struct sv value)
{
	(void)key;
	(void)value;
	++*(int *)arg;
	return true;
}

static void tables(void **state)
{
	char *dir = tmpdir_new(), *path = xasprintf("%s/t.lmdb", dir);
	struct user_owner own = {.mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1};
	struct user_change c = {.key = SV("a@x"), .value = SV("one")};
	struct user_table *t = NULL;
	struct sv value;
	struct err err;
	int n = 0;

	(void)state;
	assert_int_equal(user_table_open(path, &t, &err), 0);
	assert_int_equal(user_table_get(t, SV("a@x"), &value, &err), ERR_NOT_FOUND);
	c.must_be_new = true;
	assert_int_equal(user_table_change(path, &own, &c, 1, &err), 0);
	assert_int_equal(user_table_change(path, &own, &c, 1, &err), ERR_EXISTS);
	assert_int_equal(user_table_get(t, SV("a@x"), &value, &err), 0);
	assert_true(sv_eqs(value, "one"));
	c.must_be_new = false;
	c.value = SV("two");
	assert_int_equal(user_table_change(path, &own, &c, 1, &err), 0);
	c.key = SV("b@x");
	assert_int_equal(user_table_change(path, &own, &c, 1, &err), 0);
	user_table_close(&t);
	assert_int_equal(user_table_open(path, &t, &err), 0);
	assert_int_equal(user_table_get(t, SV("a@x"), &value, &err), 0);
	assert_true(sv_eqs(value, "two"));
	assert_int_equal(user_table_each(t, count, &n, &err), 0);
	assert_int_equal(n, 2);
	c.value = SV_NONE;
	assert_int_equal(user_table_change(path, &own, &c, 1, &err), 0);
	assert_int_equal(user_table_change(path, &own, &c, 1, &err), ERR_NOT_FOUND);
	user_table_close(&t);
	free(path);
	tmpdir_remove(&dir);
}

static void verifier(void *ctx, struct sv name, struct scram_verifier *out)
{
	if (!sv_eqs(name, "alice")) {
		scram_invent(name, SV("key"), 4096, out);
		return;
	}
	*out = (struct scram_verifier){.iterations = 4096, .salt_len = 16};
	memcpy(out->salt, "0123456789abcdef", 16);
	scram_derive(sv_str(ctx), out);
}

/* Plays one mechanism to its end; the server's result. */
static enum sasl_result play(struct sasl_server *srv, const char *mech, const char *user, bool initial, bool *complete)
{
	struct sasl_client_opts o = {.offered = sv_str(mech),
	    .user = sv_str(user),
	    .password = SV("open sesame"),
	    .service = "imap",
	    .host = "h"};
	struct buf to_server = BUF_INIT(4096), to_client = BUF_INIT(4096);
	struct sasl_exchange *x = NULL;
	struct sasl_client *c = NULL;
	enum sasl_result r = SASL_MORE;
	bool has = initial;
	struct err err;

	assert_int_equal(sasl_client_new(&o, &c, &err), 0);
	assert_int_equal(sasl_exchange_new(srv, sv_str(mech), &x, &err), 0);
	if (initial && sasl_client_first(c))
		assert_int_equal(sasl_client_step(c, SV(""), &to_server, &err), 0);
	else
		has = false;
	for (int i = 0; i < 8 && r == SASL_MORE; i++) {
		buf_reset(&to_client);
		r = sasl_exchange_step(x, has, buf_sv(&to_server), &to_client);
		has = true;
		buf_reset(&to_server);
		if (r == SASL_MORE && sasl_client_step(c, buf_sv(&to_client), &to_server, &err))
			fail_msg("%s: %s", mech, err.text);
	}
	if (r == SASL_OK && to_client.n)
		assert_int_equal(sasl_client_step(c, buf_sv(&to_client), &to_server, &err), 0);
	if (r == SASL_CHECK) {
		assert_true(sv_eqs(sasl_exchange_name(x), user));
		assert_true(sv_eqs(sasl_exchange_password(x), "open sesame"));
		assert_true(!sasl_exchange_authzid(x).n || sv_eqs(sasl_exchange_authzid(x), user));
	}
	*complete = sasl_client_complete(c);
	sasl_client_free(&c);
	sasl_exchange_free(&x);
	buf_free(&to_server);
	buf_free(&to_client);
	return r;
}

static void mechanisms(void **state)
{
	const struct sv bad_plain[] = {SV("\0a"), SV("\0\0b"), SV("\0a\0"), SV("x\0a\0b\0c"), SV_NONE};
	char right[] = "open sesame", wrong[] = "abracadabra";
	struct sasl_server_cb cb = {.verifier = verifier, .ctx = right};
	struct sasl_server *srv = NULL;
	struct sasl_exchange *x = NULL;
	struct buf out = BUF_INIT(4096);
	struct err err;
	bool complete;

	(void)state;
	assert_int_equal(sasl_server_new(&cb, &srv, &err), 0);
	assert_int_equal(play(srv, "PLAIN", "alice", true, &complete), SASL_CHECK);
	assert_int_equal(play(srv, "PLAIN", "alice", false, &complete), SASL_CHECK);
	assert_int_equal(play(srv, "LOGIN", "alice", false, &complete), SASL_CHECK);
	assert_int_equal(play(srv, "SCRAM-SHA-256", "alice", true, &complete), SASL_OK);
	assert_true(complete);
	assert_int_equal(play(srv, "SCRAM-SHA-256", "alice", false, &complete), SASL_OK);
	assert_int_equal(play(srv, "SCRAM-SHA-256", "mallory", true, &complete), SASL_FAILED);
	assert_false(complete);
	sasl_server_free(&srv);
	cb.ctx = wrong;
	assert_int_equal(sasl_server_new(&cb, &srv, &err), 0);
	assert_int_equal(play(srv, "SCRAM-SHA-256", "alice", true, &complete), SASL_FAILED);
	/* an initial response of LOGIN is the user name */
	assert_int_equal(sasl_exchange_new(srv, SV("login"), &x, &err), 0);
	assert_int_equal(sasl_exchange_step(x, true, SV("bob"), &out), SASL_MORE);
	assert_int_equal(sasl_exchange_step(x, true, SV("pw"), &out), SASL_CHECK);
	assert_true(sv_eqs(sasl_exchange_name(x), "bob"));
	sasl_exchange_free(&x);
	assert_int_equal(sasl_exchange_new(srv, SV("PLAIN"), &x, &err), 0);
	assert_int_equal(sasl_exchange_step(x, true, SV("no zero bytes"), &out), SASL_FAILED);
	sasl_exchange_free(&x);
	for (size_t i = 0; i < ARRAY_LEN(bad_plain); i++) {
		assert_int_equal(sasl_exchange_new(srv, SV("PLAIN"), &x, &err), 0);
		assert_int_equal(sasl_exchange_step(x, true, bad_plain[i], &out), SASL_FAILED);
		sasl_exchange_free(&x);
	}
	assert_int_equal(sasl_exchange_new(srv, SV("EXTERNAL"), &x, &err), ERR_NOT_FOUND);
	sasl_server_free(&srv);
	buf_free(&out);
}

static void client_choice(void **state)
{
	static const struct {
		const char *offered, *filter, *security, *want;
	} cases[] = {
	    {"LOGIN PLAIN", "", "", "PLAIN"},
	    {"PLAIN LOGIN SCRAM-SHA-256", "", "noanonymous", "SCRAM-SHA-256"},
	    {"PLAIN LOGIN", "", "noplaintext, noanonymous", NULL},
	    {"PLAIN LOGIN", "login", "", "LOGIN"},
	    {"SCRAM-SHA-1 PLAIN", "!scram-sha-1, plain", "", "PLAIN"},
	    {"GSSAPI", "", "", NULL},
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sasl_client_opts o = {.offered = sv_str(cases[i].offered),
		    .filter = cases[i].filter,
		    .security = cases[i].security,
		    .user = SV("u"),
		    .password = SV("p")};
		struct sasl_client *c = NULL;
		int r = sasl_client_new(&o, &c, &err);

		if (cases[i].want ? r || strcmp(sasl_client_mech(c), cases[i].want) != 0 : r != ERR_NOT_FOUND)
			fail_msg("case %zu: %d", i, r);
		sasl_client_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc7677),
	    cmocka_unit_test(verifier_texts),
	    cmocka_unit_test(hashes),
	    cmocka_unit_test(accounts),
	    cmocka_unit_test(login_names),
	    cmocka_unit_test(tables),
	    cmocka_unit_test(mechanisms),
	    cmocka_unit_test(client_choice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
