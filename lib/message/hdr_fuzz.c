#include "message/hdr.h"
#include "message/msgid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The two readers must agree about names, values and the beginning of the body, for any pieces; folding must not fail.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size > 0 ? data[0] % 61 + 1 : 1, at = 0;
	struct sv text = size > 0 ? sv_of((const char *)data + 1, size - 1) : SV(""), whole = text, left = SV_NONE, id;
	struct buf out = BUF_INIT(1 << 22);
	struct hdr_reader r;
	struct hdr_field f, g;
	enum hdr_result res;

	hdr_reader_init(&r, 0);
	do {
		if (left.n == 0) {
			left = sv_of(text.p + at, text.n - at < step ? text.n - at : step);
			at += left.n;
		}
		res = hdr_reader_feed(&r, &left, at == text.n, &f);
		if (res == HDR_MORE)
			continue;
		BUG_ON(hdr_next(&whole, &g) != res);
		if (res != HDR_FIELD)
			break;
		BUG_ON(!sv_eq(f.name, g.name));
		BUG_ON(!f.truncated && (!sv_eq(f.value, g.value) || !sv_eq(f.raw, g.raw)));
		buf_reset(&out);
		BUG_ON(hdr_unfold(&out, g.value) < 0);
		BUG_ON(hdr_fold(&out, "X", g.value, "\r\n") < 0);
		for (struct sv v = g.value; msgid_next(&v, &id);)
			BUG_ON(id.n < 3 || id.n > MSGID_MAX);
	} while (res < HDR_END);
	BUG_ON(r.total != text.n - whole.n);
	hdr_reader_free(&r);
	buf_free(&out);
	return 0;
}
