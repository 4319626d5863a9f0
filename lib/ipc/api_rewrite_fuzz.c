/* api_rewrite_fuzz.c - every message of the rewrite API, decoded from a stranger's bytes. */
#include "ipc/api_rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct rw_resolve q;
	struct rw_result *r;
	struct rw_local l;
	struct rw_access access;
	struct rw_value v;
	struct sv addr;
	size_t n;
	if (size < 1)
		return 0;
	struct msg m = {.version = RW_VERSION, .body = sv_of((const char *)data + 1, size - 1)};
	arena_init(&a, RW_ARENA);
	switch (data[0] % 6) {
	case 0: (void)rw_resolve_get(&m, &a, &q); break;
	case 1: (void)rw_results_get(&m, &a, &r, &n); break;
	case 2: (void)rw_local_get(&m, &l); break;
	case 3: (void)rw_access_get(&m, &access); break;
	case 4: (void)rw_value_get(&m, &v); break;
	default: (void)rw_address_get(&m, &addr); break;
	}
	arena_clear(&a);
	return 0;
}
