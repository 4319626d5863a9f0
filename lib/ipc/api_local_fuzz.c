#include "ipc/api_local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the message; each decoder takes any bytes, and what it accepts keeps to its bounds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lc_save save;
	static struct lc_command command;
	int fd = -1;
	struct msg m = {.body = sv_of((const char *)data + 1, size - 1), .fds = &fd, .nfds = 1};
	struct lc_done done[3];
	struct lc_mbox mbox;
	struct lc_list list;
	struct lc_items items;
	struct arena a;

	if (size == 0)
		return 0;
	arena_init(&a, 1 << 20);
	switch (data[0] % 6) {
	case 0: (void)lc_save_get(&m, &save); break;
	case 1: (void)lc_mbox_get(&m, &mbox); break;
	case 2:
		if (lc_list_get(&m, &list))
			BUG_ON(list.n > LC_PATHS_MAX);
		break;
	case 3:
		if (lc_items_get(&m, &a, &items))
			BUG_ON(items.n > LC_ITEMS_MAX || items.status > 0);
		break;
	case 4: (void)lc_command_get(&m, &command); break;
	case 5: (void)lc_dones_get(&m, done, 3); break;
	}
	arena_clear(&a);
	return 0;
}
