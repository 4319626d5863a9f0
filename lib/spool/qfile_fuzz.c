/* A whole queue file from the fuzzer: every byte of it may be wrong. */
#include <fcntl.h>
#include <sys/mman.h>

#include "base/codec.h"
#include "spool/qbytes.h"
#include "spool/qfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct qfile *q)
{
	struct buf out = BUF_INIT(QFILE_BLOCK_MAX);
	struct mail_rcpt *r = xcalloc(q->n + 1, sizeof(*r));
	for (size_t i = 0; i < q->n; i++)
		r[i] = q->rcpt[i].rcpt;
	BUG_ON(q->end > q->size);
	if (q->n <= MAIL_RCPTS_MAX)
		(void)qfile_block_put(&out, q->qid, &q->env, r, q->n, q->content_end);
	free(r);
	buf_free(&out);
}

/* Makes the checksums right, so that the fuzzer gets behind them. */
static void repair(char *p, size_t n)
{
	if (n < 36 || rd32(p + 4) < 36 || rd32(p + 4) > n)
		return;
	size_t at = rd32(p + 4);
	le32(p + at - 4, crc32c(0, p, at - 4));
	at += rd32(p + 20) % 64;
	while (at + 16 <= n) {
		uint64_t len = rd32(p + at);
		if (len > n - at - 16)
			return;
		le32(p + at + 12 + len, crc32c(0, p + at, 12 + len));
		at += 16 + len + rd32(p + at + 8) % 64;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qfile q;
	if (size < 2)
		return 0;
	/* First byte: how it is read.  1: the bytes are a block and what follows it (2: block only); else through a
	 * file. */
	if (data[0] & 1) {
		char *p = xmalloc(size);
		memcpy(p, data + 1, size - 1);
		repair(p, size - 1);
		if (qfile_parse(&q, sv_of(p, size - 1), QFILE_PREAMBLE, (data[0] & 2) != 0, NULL) == 0) {
			walk(&q);
			qfile_clear(&q);
		}
		free(p);
		return 0;
	}
	int fd = memfd_create("qfile", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1 &&
	    qfile_load(&q, fd, data[0] & 2 ? QFILE_VERIFY : 0, NULL) == 0) {
		walk(&q);
		qfile_clear(&q);
	}
	if (fd >= 0)
		close(fd);
	return 0;
}
