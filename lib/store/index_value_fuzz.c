/* index_value_fuzz.c - a stored value of any bytes; one that we encoded comes back. */
#include "store/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1u << 20);
	struct sv in = sv_of((const char *)data, size), out;

	if (!index_value_decode(in, SV("name"), &out))
		BUG_ON(out.n > size);
	if (!index_value_encode(&b, SV("name"), in))
		BUG_ON(index_value_decode(buf_sv(&b), SV("name"), &out) || !sv_eq(in, out));
	return 0;
}
