#include "store/delivered.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is what would be written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv text = sv_of((const char *)data, size), name, summary;
	struct buf b = BUF_INIT(2u << 20);
	ssize_t n;

	while ((n = delivered_parse(text, &name, &summary)) > 0) {
		buf_reset(&b);
		BUG_ON(delivered_encode(&b, name, summary) < 0 || !sv_eq(buf_sv(&b), sv_head(text, (size_t)n)));
		text = sv_skip(text, (size_t)n);
	}
	buf_free(&b);
	return 0;
}
