#include "message/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read as a good address must be read again as the same one from its external form. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr_list l = {0};
	struct arena a, b;

	arena_init(&a, 4 << 20);
	if (addr_parse(&a, sv_of((const char *)data, size), 1000, &l) == 0) {
		for (size_t i = 0; i < l.n; i++) {
			struct buf in = BUF_INIT(2000), ext = BUF_INIT(5000);
			struct addr again;

			if (addr_ok(&l.v[i])) {
				arena_init(&b, 1 << 20);
				BUG_ON(addr_internal(&in, &l.v[i]) < 0);
				BUG_ON(addr_external(&ext, buf_sv(&in)) < 0);
				if (l.v[i].domain.n > 0) {
					BUG_ON(addr_parse_one(&b, buf_sv(&ext), &again) < 0);
					BUG_ON(!sv_eq(again.local, l.v[i].local));
				}
				arena_clear(&b);
			}
			buf_free(&in);
			buf_free(&ext);
		}
	}
	arena_clear(&a);
	return 0;
}
