/* keyd_test.c - key rings notice renewed files and survive bad ones; ticket keys rotate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/fsutil.h"
#include "keyd/keys.h"
#include "keyd/tickets.h"
#include "testing/tmpdir.h"

static void make_cert(const char *dir, const char *name, const char *cn)
{
	char *cmd =
	    xasprintf("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s "
		      "-addext subjectAltName=DNS:%s -keyout %s/%s.key -out %s/%s.crt 2>%s/log",
		cn, cn, dir, name, dir, name, dir);

	assert_int_equal(system(cmd), 0); /* NOLINT(cert-env33-c): a test */
	free(cmd);
}

static void renewal(void **state)
{
	char *dir = tmpdir_new(), *cert, *key;
	struct key_sources src = {.chain_files = "", .cert_file = {"", ""}, .key_file = {"", ""}};
	struct key_ring *ring = NULL;
	uint64_t first, second;
	struct err err;

	(void)state;
	make_cert(dir, "a", "one.example");
	cert = xasprintf("%s/a.crt", dir);
	key = xasprintf("%s/a.key", dir);
	src.cert_file[0] = cert;
	src.key_file[0] = key;
	assert_int_equal(key_ring_open(&src, &ring, &err), 0);
	assert_int_equal(key_ring_now(ring)->n, 1);
	assert_string_equal(key_ring_now(ring)->pairs[0].names, "one.example");
	first = key_ring_now(ring)->generation;
	assert_int_equal(key_ring_refresh(ring, &err), 0);
	make_cert(dir, "a", "two.example");
	assert_int_equal(key_ring_refresh(ring, &err), 1);
	second = key_ring_now(ring)->generation;
	assert_true(first != second);
	assert_non_null(key_ring_find(ring, first));
	assert_null(key_ring_find(ring, first + second));
	/* damage: the old key stays, the complaint is not repeated, repair is noticed */
	assert_int_equal(fs_replace_file(AT_FDCWD, key, SV("broken"), 0600, &err), 0);
	assert_true(key_ring_refresh(ring, &err) < 0);
	assert_int_equal(key_ring_refresh(ring, &err), 0);
	assert_int_equal(key_ring_now(ring)->generation, second);
	make_cert(dir, "a", "three.example");
	assert_int_equal(key_ring_refresh(ring, &err), 1);
	assert_string_equal(key_ring_now(ring)->pairs[0].names, "three.example");
	key_ring_free(&ring);
	src.cert_file[0] = "/nonexistent/file";
	assert_true(key_ring_open(&src, &ring, &err) < 0);
	assert_null(ring);
	src.cert_file[0] = "";
	assert_int_equal(key_ring_open(&src, &ring, &err), 0);
	assert_int_equal(key_ring_now(ring)->n, 0);
	key_ring_free(&ring);
	free(cert);
	free(key);
	tmpdir_remove(&dir);
}

static void rotation(void **state)
{
	struct kd_tickets t = {0};
	unsigned char name[KD_TICKET_NAME];

	(void)state;
	assert_false(tickets_rotate(&t, 1000, 0));
	assert_true(tickets_rotate(&t, 1000, 3600));
	assert_int_equal(t.n, 1);
	memcpy(name, t.keys[0].name, sizeof(name));
	assert_false(tickets_rotate(&t, 1000 + 1799, 3600));
	assert_true(tickets_rotate(&t, 1000 + 1800, 3600));
	assert_int_equal(t.n, 2);
	assert_memory_equal(t.keys[1].name, name, sizeof(name));
	assert_memory_not_equal(t.keys[0].name, name, sizeof(name));
	assert_true(tickets_rotate(&t, 1000 + 3600, 3600));
	assert_int_equal(t.n, 3);
	assert_true(tickets_rotate(&t, 1000 + 5400, 3600));
	assert_int_equal(t.n, 3); /* the first has expired */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(renewal),
	    cmocka_unit_test(rotation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
