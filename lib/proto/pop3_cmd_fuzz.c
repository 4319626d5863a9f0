/* pop3_cmd_fuzz.c - a command line, a UIDL form and a text to be stuffed from the same bytes. */
#include "proto/pop3_cmd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(2 * size + 100);
	struct sv in = sv_of((const char *)data, size);
	struct pop3_cmd c;
	bool bol = true;

	if (!pop3_cmd_parse(in, &c)) {
		BUG_ON(c.verb == POP3_RETR && !c.number);
		BUG_ON(c.arg.n > size || c.arg2.n > size);
	}
	if (!pop3_uidl_check(in)) {
		BUG_ON(pop3_uidl_put(&b, in, UINT32_MAX, UINT32_MAX));
		BUG_ON(b.n > POP3_UIDL_MAX);
	}
	buf_reset(&b);
	BUG_ON(pop3_stuff(&b, in, &bol));
	for (size_t i = 0; i + 1 < b.n; i++) /* no line may be a lone dot */
		BUG_ON(b.p[i] == '.' && b.p[i + 1] == '\r' && (i == 0 || b.p[i - 1] == '\n'));
	return 0;
}
