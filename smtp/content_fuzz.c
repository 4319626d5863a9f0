#include "smtp/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Cut anywhere, the encoding is the same; nothing in it is a line end but CRLF, and no line is a lone dot. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct content whole = {.line_limit = 20}, cut = {.line_limit = 20};
	struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
	size_t at = size > 0 ? data[0] % size : 0;
	struct sv in = sv_of((const char *)data, size);

	content_encode(&whole, in, &a);
	content_encode(&cut, sv_head(in, at), &b);
	content_encode(&cut, sv_skip(in, at), &b);
	BUG_ON(a.n != b.n || (a.n > 0 && memcmp(a.p, b.p, a.n) != 0));
	for (size_t i = 0; i < a.n; i++) {
		BUG_ON(a.p[i] == '\r' && (i + 1 == a.n || a.p[i + 1] != '\n'));
		BUG_ON(a.p[i] == '\n' && (i == 0 || a.p[i - 1] != '\r'));
		BUG_ON(a.p[i] == '.' && (i == 0 || a.p[i - 1] == '\n') && i + 1 < a.n && a.p[i + 1] != '.');
	}
	buf_free(&a);
	buf_free(&b);
	return 0;
}
