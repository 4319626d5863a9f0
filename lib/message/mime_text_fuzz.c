/* mime_text_fuzz.c - parts, headers and search: the same result however the bytes are cut. */
#include "message/qp.h"
#include "message/rfc2047.h"
#include "message/rfc2231.h"
#include "message/text_find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct sv in = sv_of((const char *)data + 2, size - 2);
	struct buf a = BUF_INIT(1 << 22), b = BUF_INIT(1 << 22), needle = BUF_INIT(TEXT_FIND_MAX);
	struct part_decoder whole = {.encoding = data[0] % 3}, piece = whole;
	size_t step = data[1] % 16 + 1, cut = in.n / 8;
	struct text_find f, g;
	part_decode(&whole, in, &a);
	part_decode_end(&whole, &a);
	for (struct sv s = in; s.n > 0; s = sv_skip(s, step))
		part_decode(&piece, sv_head(s, step), &b);
	part_decode_end(&piece, &b);
	BUG_ON(!sv_eq(buf_sv(&a), buf_sv(&b)));
	buf_reset(&b);
	rfc2047_decode(&b, in);
	rfc2231_param(&b, in, "filename");
	text_fold(&needle, sv_head(in, cut < 20 ? cut : 20));
	text_find_init(&f, buf_sv(&needle));
	text_find_init(&g, buf_sv(&needle));
	text_find_feed(&f, buf_sv(&a));
	for (struct sv s = buf_sv(&a); s.n > 0; s = sv_skip(s, step))
		text_find_feed(&g, sv_head(s, step));
	BUG_ON(g.found && !f.found && f.ascii);
	text_find_free(&f);
	text_find_free(&g);
	buf_free(&a);
	buf_free(&b);
	buf_free(&needle);
	return 0;
}
