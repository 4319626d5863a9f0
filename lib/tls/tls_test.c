/* tls_test.c - handshakes over a socketpair with the key outside, both ways of signing, names, trust, and what goes
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>

#include "testing/tmpdir.h"
#include "tls/tls_fake.h"
#include "tls/tls_stream.h"

struct side {
	struct stream *s;
	struct buf got;
	bool done, failed, closed, eof;
	struct err err;
};

struct pair {
	struct ev *ev;
	struct side server, client;
};

static char *dir;
static struct ev *ev;
static struct tls_fake fake;

static void on_input(struct stream *s, void *arg)
{
	struct side *side = arg;

	buf_addsv(&side->got, stream_in(s));
	stream_consume(s, stream_in(s).n);
	side->eof = stream_eof(s);
	if (side->eof)
		stream_pause(s, true);
}

static void on_close(struct stream *s, const struct err *why, void *arg)
{
	struct side *side = arg;

	(void)s;
	side->closed = true;
	side->err = *why;
}

static void on_done(struct stream *s, void *arg, const struct err *err)
{
	struct side *side = arg;

	assert_ptr_equal(s, side->s);
	assert_false(side->done);
	side->done = true;
	side->failed = err != NULL;
	if (err)
		side->err = *err;
}

static const struct stream_cb cb = {.on_input = on_input, .on_close = on_close};

static void open_pair(struct pair *p)
{
	int sv[2];

	memset(p, 0, sizeof(*p));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	buf_init(&p->server.got, 4 << 20);
	buf_init(&p->client.got, 4 << 20);
	p->server.s = stream_new(ev, sv[0], 65536, 1 << 20, &cb, &p->server);
	p->client.s = stream_new(ev, sv[1], 65536, 1 << 20, &cb, &p->client);
}

static void close_pair(struct pair *p)
{
	stream_free(&p->server.s);
	stream_free(&p->client.s);
	buf_free(&p->server.got);
	buf_free(&p->client.got);
}

static void turn_until(const bool *what)
{
	for (int i = 0; i < 2000 && !*what; i++)
		ev_turn(ev, 10);
	assert_true(*what);
}

static void start(struct pair *p, struct tls_ctx *sctx, struct tls_ctx *cctx, const char *name, bool verify)
{
	const char *match[] = {name};
	struct tls_client_opts opts = {.servername = name, .match = match, .nmatch = 1, .verify = verify};
	struct err err;

	assert_int_equal(tls_accept(sctx, ev, p->server.s, on_done, &p->server, &err), 0);
	assert_int_equal(tls_connect(cctx, ev, p->client.s, &opts, on_done, &p->client, &err), 0);
}

static struct tls_ctx *server_ctx(const char *protocols)
{
	struct tls_conf conf = {.protocols = protocols, .ciphers = "medium", .exclude = "", .session_id = "test"};
	struct tls_ctx *ctx = NULL;
	struct err err;

	if (tls_ctx_server(&conf, &fake.certs, &fake.signer, &ctx, &err))
		fail_msg("%s", err.text);
	return ctx;
}

static struct tls_ctx *client_ctx(const char *root)
{
	char *file = root ? xasprintf("%s/%s.crt", dir, root) : NULL;
	struct tls_conf conf = {.ca_file = file};
	struct tls_ctx *ctx = NULL;
	struct err err;

	if (tls_ctx_client(&conf, &ctx, &err))
		fail_msg("%s", err.text);
	free(file);
	return ctx;
}

static void exchange(struct pair *p)
{
	char block[10000];
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	stream_write(p->client.s, "hello", 5);
	while (sent < 1000000) {
		if (!stream_write(p->server.s, block, sizeof(block)))
			sent += sizeof(block);
		ev_turn(ev, 0);
	}
	for (int i = 0; i < 2000 && (p->client.got.n < sent || p->server.got.n < 5); i++)
		ev_turn(ev, 10);
	assert_int_equal(p->client.got.n, sent);
	assert_true(sv_eqs(buf_sv(&p->server.got), "hello"));
	stream_close_after_flush(p->server.s, 1000);
	p->server.s = NULL;
	turn_until(&p->client.eof);
	assert_false(p->client.closed);
}

static void check_handshake(const char *name, bool rsa, const char *protocols, const char *want)
{
	struct tls_ctx *sctx, *cctx;
	struct tls_info info;
	struct buf text = BUF_INIT(400);
	struct pair p;

	tls_fake_init(&fake, ev);
	tls_fake_add(&fake, dir, name, rsa);
	sctx = server_ctx(protocols);
	cctx = client_ctx(name);
	open_pair(&p);
	start(&p, sctx, cctx, name, true);
	turn_until(&p.client.done);
	turn_until(&p.server.done);
	if (p.client.failed)
		fail_msg("%s", p.client.err.text);
	assert_false(p.server.failed);
	assert_int_equal(fake.asked, 1);
	assert_true(tls_info(p.server.s, &info));
	assert_int_equal(info.trust, TLS_TRUST_ANONYMOUS);
	tls_info_text(&text, &info);
	assert_string_equal(buf_cstr(&text), want);
	assert_string_equal(info.servername, name);
	buf_reset(&text);
	assert_true(tls_info(p.client.s, &info));
	assert_int_equal(info.trust, TLS_TRUST_VERIFIED);
	tls_info_text(&text, &info);
	assert_string_equal(buf_cstr(&text), want);
	exchange(&p);
	buf_free(&text);
	close_pair(&p);
	tls_ctx_unref(&sctx);
	tls_ctx_unref(&cctx);
	tls_fake_clear(&fake);
}

static void handshakes(void **state)
{
	(void)state;
	check_handshake("ec.example", false, ">=TLSv1.2",
	    "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
	    "server-signature ECDSA (P-256) server-digest SHA256");
	check_handshake("rsa.example", true, ">=TLSv1.2",
	    "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 "
	    "server-signature RSA-PSS (2048 bits) server-digest SHA256");
	check_handshake("ec.example", false, "TLSv1.2",
	    "TLSv1.2 with cipher ECDHE-ECDSA-AES256-GCM-SHA384 (256/256 bits) key-exchange X25519 "
	    "server-signature ECDSA (P-256) server-digest SHA256");
	check_handshake("rsa.example", true, "TLSv1.2",
	    "TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits) key-exchange X25519 "
	    "server-signature RSA-PSS (2048 bits) server-digest SHA256");
}

static void names(void **state)
{
	struct tls_ctx *sctx, *cctx, *other;
	struct tls_info info;
	struct pair p;

	(void)state;
	tls_fake_init(&fake, ev);
	tls_fake_add(&fake, dir, "one.example", false);
	tls_fake_add(&fake, dir, "two.example", true);
	sctx = server_ctx("");
	cctx = client_ctx("two.example");
	other = client_ctx(NULL);
	open_pair(&p);
	start(&p, sctx, cctx, "two.example", true);
	turn_until(&p.client.done);
	assert_false(p.client.failed);
	close_pair(&p);
	/* an unknown name gets the default, which this client does not trust */
	open_pair(&p);
	start(&p, sctx, cctx, "three.example", false);
	turn_until(&p.client.done);
	assert_true(tls_info(p.client.s, &info));
	assert_int_equal(info.trust, TLS_TRUST_UNTRUSTED);
	assert_string_not_equal(info.verify_error, "");
	close_pair(&p);
	open_pair(&p);
	start(&p, sctx, other, "two.example", true);
	turn_until(&p.client.done);
	assert_true(p.client.failed);
	assert_int_equal(p.client.err.code, ERR_DENIED);
	close_pair(&p);
	tls_ctx_unref(&sctx);
	tls_ctx_unref(&cctx);
	tls_ctx_unref(&other);
	tls_fake_clear(&fake);
}

static void signer_trouble(void **state)
{
	struct tls_ctx *sctx, *cctx;
	struct pair p;

	(void)state;
	tls_fake_init(&fake, ev);
	tls_fake_add(&fake, dir, "ec.example", false);
	sctx = server_ctx("");
	cctx = client_ctx(NULL);
	fake.fail_with = ERR_TEMP;
	open_pair(&p);
	start(&p, sctx, cctx, "ec.example", false);
	turn_until(&p.client.done);
	turn_until(&p.server.done);
	assert_true(p.client.failed && p.server.failed);
	close_pair(&p);
	/* freed while it waits; the client goes while the server waits */
	fake.fail_with = 0;
	fake.delay_ms = 60000;
	for (int variant = 0; variant < 2; variant++) {
		unsigned asked = fake.asked;

		open_pair(&p);
		start(&p, sctx, cctx, "ec.example", false);
		for (int i = 0; i < 2000 && fake.asked == asked; i++)
			ev_turn(ev, 10);
		assert_int_equal(fake.asked, asked + 1);
		if (variant) {
			stream_free(&p.client.s);
			turn_until(&p.server.closed);
		}
		stream_free(&p.server.s);
		assert_int_equal(fake.cancelled, variant + 1);
		close_pair(&p);
	}
	tls_ctx_unref(&sctx);
	tls_ctx_unref(&cctx);
	tls_fake_clear(&fake);
}

/* A rush: all wait for their signatures at once, and later ones find a clean table. */
static void rush(void **state)
{
	static struct pair pairs[100];
	struct tls_ctx *sctx, *cctx;

	(void)state;
	tls_fake_init(&fake, ev);
	tls_fake_add(&fake, dir, "ec.example", false);
	sctx = server_ctx("");
	cctx = client_ctx(NULL);
	fake.delay_ms = 300;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
			open_pair(&pairs[i]);
			start(&pairs[i], sctx, cctx, "ec.example", false);
		}
		for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
			turn_until(&pairs[i].server.done);
			assert_false(pairs[i].server.failed);
		}
		assert_int_equal(fake.signer.waiting, 0);
		for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
			close_pair(&pairs[i]);
	}
	tls_ctx_unref(&sctx);
	tls_ctx_unref(&cctx);
	tls_fake_clear(&fake);
}

/* RFC 3207 section 4.2: what came in the clear behind STARTTLS is not there after the handshake. */
static void starttls(void **state)
{
	struct tls_client_opts opts = {0};
	struct tls_ctx *sctx, *cctx;
	struct pair p;
	struct err err;

	(void)state;
	tls_fake_init(&fake, ev);
	tls_fake_add(&fake, dir, "ec.example", false);
	sctx = server_ctx("");
	cctx = client_ctx(NULL);
	open_pair(&p);
	stream_pause(p.server.s, true);
	stream_write(p.client.s, "INJECTED\r\n", 10);
	ev_turn(ev, 10);
	ev_turn(ev, 10);
	stream_pause(p.server.s, false);
	ev_turn(ev, 10);
	stream_write(p.server.s, "220 go\r\n", 8);
	assert_int_equal(tls_accept(sctx, ev, p.server.s, on_done, &p.server, &err), 0);
	buf_reset(&p.server.got);
	for (int i = 0; i < 100 && p.client.got.n < 8; i++)
		ev_turn(ev, 10);
	assert_true(sv_eqs(buf_sv(&p.client.got), "220 go\r\n"));
	assert_int_equal(tls_connect(cctx, ev, p.client.s, &opts, on_done, &p.client, &err), 0);
	stream_write(p.client.s, "EHLO\r\n", 6); /* waits for the handshake */
	turn_until(&p.server.done);
	assert_false(p.server.failed);
	for (int i = 0; i < 100 && p.server.got.n < 6; i++)
		ev_turn(ev, 10);
	assert_true(sv_eqs(buf_sv(&p.server.got), "EHLO\r\n"));
	close_pair(&p);
	/* no TLS at all */
	open_pair(&p);
	assert_int_equal(tls_accept(sctx, ev, p.server.s, on_done, &p.server, &err), 0);
	stream_write(p.client.s, "GET / HTTP/1.0\r\n\r\n", 18);
	turn_until(&p.server.done);
	assert_true(p.server.failed);
	close_pair(&p);
	tls_ctx_unref(&sctx);
	tls_ctx_unref(&cctx);
	tls_fake_clear(&fake);
}

static void protocols(void **state)
{
	static const struct {
		const char *text;
		int min, max, result;
	} cases[] = {
	    {"", 0x303, 0x304, 0},
	    {">=TLSv1", 0x303, 0x304, 0},
	    {">=TLSv1.3", 0x304, 0x304, 0},
	    {"!SSLv2, !SSLv3, !TLSv1.3", 0x303, 0x303, 0},
	    {"TLSv1.2", 0x303, 0x303, 0},
	    {"TLSv1.2:TLSv1.3", 0x303, 0x304, 0},
	    {">=TLSv1.2, <=TLSv1.2", 0x303, 0x303, 0},
	    {"TLSv1.1", 0, 0, ERR_SYNTAX},
	    {"!TLSv1.2 !TLSv1.3", 0, 0, ERR_SYNTAX},
	    {"TLSv9", 0, 0, ERR_SYNTAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int min = 0, max = 0, r = tls_protocols_parse(cases[i].text, &min, &max, NULL);

		if (r != cases[i].result || min != cases[i].min || max != cases[i].max)
			fail_msg("\"%s\": %d %x %x", cases[i].text, r, (unsigned)min, (unsigned)max);
	}
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	dir = tmpdir_new();
	ev = ev_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ev_free(&ev);
	tmpdir_remove(&dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(handshakes),
	    cmocka_unit_test(names),
	    cmocka_unit_test(signer_trouble),
	    cmocka_unit_test(rush),
	    cmocka_unit_test(starttls),
	    cmocka_unit_test(protocols),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
