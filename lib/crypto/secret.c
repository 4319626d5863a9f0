/* secret.c - clearing and comparing secrets. */
#include "crypto/secret.h"

#include <openssl/crypto.h>

void secret_clear(void *p, size_t n)
{
	if (p)
		OPENSSL_cleanse(p, n);
}

void secret_free(char **s)
{
	if (!*s)
		return;
	OPENSSL_cleanse(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

bool secret_equal(struct sv a, struct sv b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
