/* msg_fuzz.c - frames and fields of the messages between programs. */
#include "ipc/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = sv_of((const char *)data, size), s;
	struct msg m;
	size_t used, n;
	unsigned nfds;

	while (msg_parse(in, 4096, &m, &used, &nfds) > 0) {
		uint64_t u;
		uint32_t u32;
		int64_t i;
		bool b;
		BUG_ON(used > in.n || nfds > MSG_MAX_FDS);
		for (unsigned step = m.type; !m.bad && m.body.n > 0; step++) {
			struct msg before = m;
			(void)(get_u32(&m, &u32) || (m = before, get_u64(&m, &u)) || (m = before, get_i64(&m, &i)) ||
			       (m = before, get_bool(&m, &b)) || (m = before, get_text(&m, &s, 100)) ||
			       (m = before, get_count(&m, &n, 10)) || (m = before, get_sv(&m, &s)));
			if (m.body.n == before.body.n)
				break;
		}
		msg_end(&m);
		in = sv_skip(in, used);
	}
	return 0;
}
