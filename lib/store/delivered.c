#include "store/delivered.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/codec.h"

#define VERSION 1
#define CHUNK (256u << 10)

static void put_le(char *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(v >> (8 * i));
}

static uint32_t get_le(const char *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint32_t)(unsigned char)p[i] << (8 * i);
	return v;
}

int delivered_encode(struct buf *out, struct sv name, struct sv summary)
{
	char h[DELIVERED_HEADER] = {'M', 'D', 'L', 'V'};
	char *p;

	if (name.n == 0 || name.n > 255 || summary.n == 0 || summary.n > DELIVERED_RECORD)
		return ERR_LIMIT;
	put_le(h + 4, VERSION, 2);
	put_le(h + 6, name.n, 2);
	put_le(h + 8, summary.n, 4);
	put_le(h + 12, crc32c(crc32c(0, name.p, name.n), summary.p, summary.n), 4);
	p = buf_reserve(out, sizeof(h) + name.n + summary.n);
	if (!p)
		return ERR_LIMIT;
	buf_add(out, h, sizeof(h));
	buf_addsv(out, name);
	return buf_addsv(out, summary);
}

ssize_t delivered_parse(struct sv text, struct sv *name, struct sv *summary)
{
	size_t nname, nsum;

	if (text.n < DELIVERED_HEADER)
		return 0;
	nname = get_le(text.p + 6, 2);
	nsum = get_le(text.p + 8, 4);
	if (memcmp(text.p, "MDLV", 4) != 0 || get_le(text.p + 4, 2) != VERSION || nname == 0 || nname > 255 ||
	    nsum == 0 || nsum > DELIVERED_RECORD)
		return ERR_CORRUPT;
	if (text.n < DELIVERED_HEADER + nname + nsum)
		return 0;
	if (crc32c(0, text.p + DELIVERED_HEADER, nname + nsum) != get_le(text.p + 12, 4))
		return ERR_CORRUPT;
	*name = sv_of(text.p + DELIVERED_HEADER, nname);
	*summary = sv_of(name->p + nname, nsum);
	return (ssize_t)(DELIVERED_HEADER + nname + nsum);
}

int delivered_append(const char *folder, struct sv name, struct sv summary)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(DELIVERED_HEADER + 255 + DELIVERED_RECORD);
	CLEANUP(fd_closep) int fd = -1;
	char path[1200];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s" DELIVERED_FILE, folder);

	if (n < 0 || (size_t)n >= sizeof(path) || delivered_encode(&b, name, summary) < 0)
		return ERR_LIMIT;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ERR_SYS;
	if (st.st_size > DELIVERED_MAX)
		return ERR_LIMIT;
	/* One write: the kernel keeps the records of several writers apart. */
	return write(fd, b.p, b.n) == (ssize_t)b.n ? 0 : ERR_SYS;
}

/* Records out of the buffer; what is left of an incomplete one stays. */
static int hand_out(struct buf *b, delivered_fn *fn, void *arg)
{
	struct sv rest = buf_sv(b), name, summary;
	ssize_t n;

	while ((n = delivered_parse(rest, &name, &summary)) > 0) {
		fn(arg, name, summary);
		rest = sv_skip(rest, (size_t)n);
	}
	buf_consume(b, b->n - rest.n);
	return n < 0 ? ERR_CORRUPT : 0;
}

int delivered_take(int dirfd, delivered_fn *fn, void *arg)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(DELIVERED_HEADER + 255 + DELIVERED_RECORD + CHUNK);
	CLEANUP(fd_closep) int fd = openat(dirfd, DELIVERED_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : ERR_SYS;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return ERR_CORRUPT;
	/* First away, then read: what is added to a file that has no name any more is lost, never read twice. */
	if (unlinkat(dirfd, DELIVERED_FILE, 0) < 0)
		return ERR_SYS;
	for (;;) {
		char *p = buf_reserve(&b, CHUNK);
		ssize_t n = p ? read(fd, p, CHUNK) : -1;

		if (n <= 0)
			return n < 0 ? ERR_SYS : 0;
		b.n += (size_t)n;
		if (hand_out(&b, fn, arg) < 0)
			return ERR_CORRUPT;
	}
}
