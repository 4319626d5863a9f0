/* summary_fuzz.c - first byte 0: the rest is a record to decode; else a message, fed whole and in pieces. */
#include "message/mime_tree.h"
#include "message/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct sv record)
{
	struct summary s;
	struct mime_part p;
	struct buf body = BUF_INIT(SUMMARY_MAX);
	if (summary_decode(record, &s, NULL) != 0)
		return;
	for (size_t i = 0; i < s.nparts; i++)
		summary_part(&s, i, &p);
	mime_body_of_structure(s.bodystructure, &body);
	buf_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct sv in = sv_of((const char *)data + 1, size - 1);
	if (data[0] == 0) {
		use(in);
		return 0;
	}
	struct buf a = BUF_INIT(SUMMARY_MAX), b = BUF_INIT(SUMMARY_MAX);
	size_t step = data[0];
	int ra = summary_of_sv(in, &a, NULL);
	struct summary_builder *sb = summary_builder_new();
	for (size_t i = 0; i < in.n; i += step)
		summary_builder_feed(sb, sv_head(sv_skip(in, i), step));
	int rb = summary_builder_finish(sb, &b, NULL);
	summary_builder_free(&sb);
	BUG_ON(ra != rb || !sv_eq(buf_sv(&a), buf_sv(&b)));
	if (ra == 0) {
		struct summary s;
		BUG_ON(summary_decode(buf_sv(&a), &s, NULL) != 0); /* what we build, we accept */
		use(buf_sv(&a));
	}
	buf_free(&a);
	buf_free(&b);
	return 0;
}
