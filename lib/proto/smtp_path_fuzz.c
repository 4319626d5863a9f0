/* smtp_path_fuzz.c - a path read, quoted and read again is the same address. */
#include "proto/smtp_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_path a, b;
	struct sv rest, in = sv_of((const char *)data, size);

	smtp_host_valid(in, true);
	smtp_host_fqdn(in);
	for (unsigned flags = 0; flags < 4; flags++) {
		CLEANUP(buf_freep) struct buf text = BUF_INIT(8192);
		if (smtp_path_parse(in, flags, &a, &rest) < 0 || a.null)
			continue;
		buf_addc(&text, '<');
		smtp_path_quote(&text, smtp_path_sv(&a));
		buf_addc(&text, '>');
		struct sv local, dom;
		smtp_path_split(smtp_path_sv(&a), &local, &dom);
		if (dom.p == NULL || !smtp_host_valid(dom, true))
			continue; /* "a@b" quoted, without a domain: the last '@' would divide */
		BUG_ON(smtp_path_parse(buf_sv(&text), 0, &b, &rest) < 0);
		BUG_ON(!sv_eq(smtp_path_sv(&a), smtp_path_sv(&b)));
	}
	return 0;
}
