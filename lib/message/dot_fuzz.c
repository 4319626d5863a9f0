/* dot_fuzz.c - any pieces decode to the same text, and decoding what was encoded gives it back. */
#include "message/dot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool whole(struct sv in, unsigned flags, struct buf *out)
{
	struct dot d = {.flags = flags};
	size_t before;

	do {
		before = in.n;
		if (dot_decode(&d, &in, out, 1 << 16, true))
			return true;
	} while (in.n > 0 && in.n != before);
	return false;
}

static bool pieces(struct sv in, unsigned flags, size_t step, struct buf *out)
{
	struct dot d = {.flags = flags};
	size_t shown = 0;

	for (;;) {
		shown = shown + step < in.n ? shown + step : in.n;
		struct sv part = sv_head(in, shown);
		size_t before = part.n;
		if (dot_decode(&d, &part, out, 4 + step % 60, shown == in.n))
			return true;
		shown -= before - part.n;
		in = sv_skip(in, before - part.n);
		if (before == part.n && shown == in.n)
			return false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 1 << 15)
		return 0;
	struct sv in = sv_of((const char *)data + 2, size - 2);
	CLEANUP(buf_freep) struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20), c = BUF_INIT(1 << 20);
	bool end_a = whole(in, data[0] & 3, &a), end_b = pieces(in, data[0] & 3, 1 + data[1] % 40, &b);

	BUG_ON(end_a != end_b || a.overflow || b.overflow);
	BUG_ON(!sv_eq(buf_sv(&a), buf_sv(&b)));
	if (a.n == 0)
		return 0;
	/* a holds LF lines without CR: encoding and decoding gives it back, with the last line ended. */
	struct dot_enc e = {0};
	size_t half = a.n / 2;
	dot_encode(&e, sv_head(buf_sv(&a), half), &c);
	dot_encode(&e, sv_skip(buf_sv(&a), half), &c);
	dot_encode_end(&e, &c);
	buf_reset(&b);
	BUG_ON(!whole(buf_sv(&c), DOT_STRICT, &b));
	if (a.n > 0 && a.p[a.n - 1] != '\n')
		buf_addc(&a, '\n');
	BUG_ON(!sv_eq(buf_sv(&a), buf_sv(&b)));
	return 0;
}
