/* rng.c - getrandom(2), without a pool of our own that a fork could duplicate. */
#include "crypto/rng.h"

#include <sys/random.h>

void rng_bytes(void *p, size_t n)
{
	char *at = p;

	while (n) {
		ssize_t r = getrandom(at, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		BUG_ON(r <= 0);
		at += r;
		n -= (size_t)r;
	}
}
