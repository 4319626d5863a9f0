/* imap_mutf7_fuzz.c - whatever decodes, encodes to the same bytes again. */
#include "base/utf8.h"
#include "proto/imap_mutf7.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = sv_of((const char *)data, size);
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	if (imap_mutf7_decode(&a, in) == 0) {
		BUG_ON(!utf8_valid(buf_sv(&a)));
		BUG_ON(imap_mutf7_encode(&b, buf_sv(&a)) != 0 || !sv_eq(buf_sv(&b), in));
	}
	buf_reset(&a);
	buf_reset(&b);
	if (imap_mutf7_encode(&a, in) == 0)
		BUG_ON(imap_mutf7_decode(&b, buf_sv(&a)) != 0 || !sv_eq(buf_sv(&b), in));
	buf_free(&a);
	buf_free(&b);
	return 0;
}
