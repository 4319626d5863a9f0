/* api_anvil_fuzz.c - the first byte picks the message type, the rest is its body. */
#include "ipc/api_anvil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct an_fact_reply reply;
	struct an_watching w;
	struct an_counted counted;
	struct an_count count;
	struct an_fact fact;
	struct sv kind, key;
	struct msg m = {0};
	uint32_t n;
	int status;

	if (!size)
		return 0;
	m.body = sv_of((const char *)data + 1, size - 1);
	switch (data[0] % 9) {
	case 0: (void)an_count_decode(&m, &count); break;
	case 1: (void)an_counted_decode(&m, &counted); break;
	case 2: (void)an_release_decode(&m, &kind, &key, &n); break;
	case 3: (void)an_fact_decode(&m, &fact); break;
	case 4: (void)an_fact_get_decode(&m, &kind, &key); break;
	case 5: (void)an_fact_reply_decode(&m, &reply); break;
	case 6: (void)an_newmail_decode(&m, &key); break;
	case 7: (void)an_status_decode(&m, &status); break;
	default:
		if (an_watching_decode(&m, &w))
			BUG_ON(w.n > AN_MAX_WATCHES);
	}
	return 0;
}
