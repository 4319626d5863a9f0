#include "proto/alias_rhs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv text = sv_of((const char *)data, size), name, value;
	struct alias_items l;
	unsigned line = 0, at = 0;
	struct arena a;
	int rc;

	arena_init(&a, 8 << 20);
	for (int form = ALIAS_RHS; form <= ALIAS_LINES; form++) {
		if (alias_parse(&a, text, (enum alias_form)form, 1000, &l) < 0)
			continue;
		for (size_t i = 0; i < l.n; i++) {
			BUG_ON(l.v[i].kind < ALIAS_ADDRESS || l.v[i].kind > ALIAS_BAD);
			BUG_ON(l.v[i].kind != ALIAS_BAD && l.v[i].text.n == 0);
			BUG_ON(l.v[i].kind != ALIAS_BAD && sv_has_nul(l.v[i].text));
		}
	}
	while ((rc = alias_next_entry(&a, &text, &line, &at, &name, &value)) != 0 && rc != ERR_LIMIT)
		BUG_ON(rc > 0 && (name.n == 0 || at > line));
	arena_clear(&a);
	return 0;
}
