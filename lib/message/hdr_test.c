#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "message/hdr.h"
#include "message/msgid.h"

static const char *const texts[] = {
    "",
    "\n",
    "\r\nbody",
    "A: b\n\nbody\n",
    "A: b\r\nC:d\r\n e\r\n\tf\r\n\r\nbody",
    "A : b\nB:\n \nC:  x  \n",
    "A: b\nnot a field\n",
    "not a field",
    " leading\nA: b\n",
    "From x Sat\nA: b\n",
    "A: b",
    "A: b\n ",
    ": x\n",
    "A: b\n\r\nbody",
    "A: b\n\rx\n",
};

static void note(struct buf *b, enum hdr_result res, const struct hdr_field *f)
{
	buf_printf(
	    b, "%d[" SV_FMT "=" SV_FMT "](" SV_FMT ")", (int)res, SV_ARG(f->name), SV_ARG(f->value), SV_ARG(f->raw));
}

/* Both readers say the same about the same bytes, and the reader does so for pieces of every size. */
static void test_readers_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct buf whole = BUF_INIT(1 << 16);
		struct sv in = sv_str(texts[i]);
		size_t body;
		enum hdr_result res;
		struct hdr_field f;

		while ((res = hdr_next(&in, &f)) == HDR_FIELD)
			note(&whole, res, &f);
		buf_printf(&whole, "%d", (int)res);
		body = sv_str(texts[i]).n - in.n;
		assert_int_equal(body, hdr_length(sv_str(texts[i])));
		for (size_t step = 1; step <= strlen(texts[i]) + 1; step++) {
			struct buf got = BUF_INIT(1 << 16);
			struct hdr_reader r;
			size_t at = 0, len = strlen(texts[i]);
			struct sv left = SV_NONE;
			size_t taken = 0;

			hdr_reader_init(&r, 0);
			do {
				if (left.n == 0) {
					left = sv_of(texts[i] + at, len - at < step ? len - at : step);
					at += left.n;
				}
				res = hdr_reader_feed(&r, &left, at == len, &f);
				if (res == HDR_FIELD)
					note(&got, res, &f);
				if (res == HDR_BODY)
					taken = f.raw.n;
			} while (res < HDR_END);
			buf_printf(&got, "%d", (int)res);
			assert_string_equal(buf_cstr(&got), buf_cstr(&whole));
			assert_int_equal(at - left.n - taken, body);
			assert_int_equal(r.total, body);
			hdr_reader_free(&r);
			buf_free(&got);
		}
		buf_free(&whole);
	}
}

static void test_long_field(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct hdr_reader r;
	struct hdr_field f;
	struct sv in;

	(void)state;
	buf_adds(&text, "Subject: x");
	for (int i = 0; i < 1000; i++)
		buf_adds(&text, "\n yyyyyyyyyy");
	buf_adds(&text, "\nTo: z\n\n");
	in = buf_sv(&text);
	hdr_reader_init(&r, 4096);
	assert_int_equal(hdr_reader_feed(&r, &in, true, &f), HDR_FIELD);
	assert_true(f.truncated);
	assert_int_equal(f.raw.n, 4096);
	assert_int_equal(f.raw.p[4095], '\n');
	assert_int_equal(hdr_reader_feed(&r, &in, true, &f), HDR_FIELD);
	assert_false(f.truncated);
	assert_true(sv_eqs(f.name, "To"));
	assert_int_equal(hdr_reader_feed(&r, &in, true, &f), HDR_END);
	hdr_reader_free(&r);

	/* A long line that is no field is known before it is lost. */
	buf_reset(&text);
	for (int i = 0; i < 10000; i++)
		buf_adds(&text, "zz");
	in = buf_sv(&text);
	hdr_reader_init(&r, 2048);
	assert_int_equal(hdr_reader_feed(&r, &in, false, &f), HDR_BODY);
	assert_int_equal(f.raw.n + in.n, text.n);
	hdr_reader_free(&r);
	buf_free(&text);
}

static void test_find_unfold(void **state)
{
	struct buf b = BUF_INIT(100);
	struct sv v = SV("untouched");

	(void)state;
	assert_true(hdr_find(SV("A: 1\nb: 2\r\n\t3\r\n\nB: 4\n"), "B", &v));
	assert_true(sv_eqs(v, "2\r\n\t3"));
	assert_int_equal(hdr_unfold(&b, v), 0);
	assert_string_equal(buf_cstr(&b), "2\t3");
	assert_false(hdr_find(SV("A: 1\n\nB: 4\n"), "B", &v));
	assert_true(sv_eqs(v, "2\r\n\t3"));
	buf_free(&b);
}

static void test_fold(void **state)
{
	struct buf b = BUF_INIT(1000);

	(void)state;
	hdr_fold(&b, "Subject", SV("short\r\nX-Evil: yes"), "\n");
	assert_string_equal(buf_cstr(&b), "Subject: short  X-Evil: yes\n");
	buf_reset(&b);
	hdr_fold(&b, "To",
	    SV("aaaaaaaaaaaaaaaaaaaa@example.org, bbbbbbbbbbbbbbbbbbbbbbbbbb@example.org, \"c c c c\" <d@x>"), "\r\n");
	assert_string_equal(buf_cstr(&b),
	    "To: aaaaaaaaaaaaaaaaaaaa@example.org, bbbbbbbbbbbbbbbbbbbbbbbbbb@example.org,\r\n \"c c c c\" <d@x>\r\n");
	buf_reset(&b);
	hdr_fold(&b, "X", SV(""), "\n");
	assert_string_equal(buf_cstr(&b), "X:\n");
	buf_free(&b);
	b.max = 8;
	assert_int_equal(hdr_fold(&b, "Subject", SV("x"), "\n"), ERR_LIMIT);
	assert_int_equal(b.n, 0);
	buf_free(&b);
}

static void test_msgid(void **state)
{
	struct sv in = SV("x <a@b> (c <no@no>) \"q<n@n>\" <d\"x>\"@e>\r\n <f@g"), id;
	struct buf b = BUF_INIT(200);

	(void)state;
	assert_true(msgid_next(&in, &id));
	assert_true(sv_eqs(id, "<a@b>"));
	assert_true(msgid_next(&in, &id));
	assert_true(sv_eqs(id, "<d\"x>\"@e>"));
	assert_false(msgid_next(&in, &id));
	assert_int_equal(in.n, 0);
	assert_int_equal(msgid_make(&b, 1795294800, "4Xyz", "mx.example.test"), 0);
	assert_string_equal(buf_cstr(&b), "<20261121210000.4Xyz@mx.example.test>");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_readers_agree),
	    cmocka_unit_test(test_long_field),
	    cmocka_unit_test(test_find_unfold),
	    cmocka_unit_test(test_fold),
	    cmocka_unit_test(test_msgid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
