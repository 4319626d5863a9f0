/*
 * hostile_smtpd.c - for a test: makes the real smtpd keep a duplicate of every spool descriptor that it closes, and
 * write into all of them again and again.  Linked with --wrap=close; the code of the program is not touched.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/base.h"

#define KEPT 64

int __real_close(int fd); /* NOLINT: ld --wrap names them */
int __wrap_close(int fd); /* NOLINT */

static int kept[KEPT];
static size_t nkept;

static void scribble(void)
{
	static const char evil[] = "EVIL EVIL EVIL EVIL EVIL EVIL EVIL EVIL";

	for (size_t i = 0; i < nkept; i++) {
		struct stat st;
		for (off_t at = 0; fstat(kept[i], &st) == 0 && at + (off_t)sizeof(evil) < st.st_size; at += 64) {
			if (pwrite(kept[i], evil, sizeof(evil) - 1, at) < 0)
				break;
		}
	}
}

int __wrap_close(int fd)
{
	struct stat st;

	scribble(); /* into those of earlier messages, whose commits were answered */
	if (nkept < KEPT && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 200);
		if (copy >= 0)
			kept[nkept++] = copy;
	}
	return __real_close(fd);
}
