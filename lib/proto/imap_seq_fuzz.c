/* imap_seq_fuzz.c - sets: what is read and resolved can be asked and written. */
#include "proto/imap_seq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct imap_set set;
	arena_init(&a, 1 << 20);
	if (size > 0 && imap_set_parse(&a, sv_of((const char *)data + 1, size - 1), &set) == 0) {
		imap_set_resolve(&set, data[0]);
		for (size_t i = 0; i < set.n; i++) {
			BUG_ON(set.v[i].lo > set.v[i].hi || (i > 0 && set.v[i].lo <= set.v[i - 1].hi));
			BUG_ON(!imap_set_has(&set, set.v[i].hi));
		}
	}
	arena_clear(&a);
	return 0;
}
