/* smtp_reply_fuzz.c - any bytes as lines of a reply; what is formatted parses again. */
#include "proto/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct sv rest, int want)
{
	struct smtp_reply r;
	int rc = 0;

	smtp_reply_init(&r);
	while (rest.p != NULL && rc == 0) {
		struct sv line = sv_cut(&rest, "\n");
		if (want && line.n == 0 && rest.p == NULL)
			break;
		rc = smtp_reply_line(&r, line);
		BUG_ON(strlen(r.dsn) >= SMTP_DSN_MAX);
	}
	BUG_ON(want && rc != 1 && rc != ERR_LIMIT);
	BUG_ON(want && rc == 1 && r.code != want);
	smtp_reply_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_freep) struct buf out = BUF_INIT(1 << 20);
	struct sv in = sv_of((const char *)data, size);

	parse(in, 0);
	if (smtp_reply_format(&out, 550, "5.1.1", in) == 0)
		parse(buf_sv(&out), 550);
	return 0;
}
