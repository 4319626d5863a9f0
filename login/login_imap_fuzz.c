/* login_imap_fuzz.c - any bytes as the stream of a client before login, cut into commands and parsed. */
#include "login/imap_pre_cmd.h"
#include "login/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct sv all, struct sv part)
{
	return part.p >= all.p && part.p + part.n <= all.p + all.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv in = sv_of((const char *)data, size);
	struct imap_scan scan = {0};

	while (in.n) {
		struct imap_pre_cmd cmd;
		struct arena arena;

		switch (imap_scan(&scan, in, LOGIN_LINE_MAX)) {
		case IMAP_SCAN_LITERAL:
			if (scan.literal > LOGIN_LITERAL_MAX)
				return 0;
			imap_scan_accept(&scan);
			continue;
		case IMAP_SCAN_DONE: break;
		default: return 0;
		}
		BUG_ON(scan.end == 0 || scan.end > in.n);
		arena_init(&arena, 65536);
		if (!imap_pre_parse(sv_head(in, scan.end), &arena, &cmd)) {
			BUG_ON(cmd.tag.n == 0 || cmd.tag.n > IMAP_TAG_MAX || !inside(in, cmd.tag));
			BUG_ON(cmd.verb == IMAP_PRE_LOGIN && (!cmd.arg.p || !cmd.arg2.p));
		}
		arena_clear(&arena);
		in = sv_skip(in, scan.end);
		scan = (struct imap_scan){0};
	}
	return 0;
}
