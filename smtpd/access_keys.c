/* access_keys.c - keys of access tables; see access_keys.h. */
#include "smtpd/access_keys.h"

static void add(struct access_keys *k, struct sv key)
{
	if (k->n < ACCESS_KEYS_MAX && key.n > 0)
		k->key[k->n++] = key;
}

/* A key made of two pieces. */
static void add_pair(struct access_keys *k, struct sv a, struct sv b)
{
	if (a.n + b.n > sizeof(k->text) - k->used)
		return;
	char *to = k->text + k->used;
	memcpy(to, a.p, a.n);
	if (b.n > 0)
		memcpy(to + a.n, b.p, b.n);
	k->used += a.n + b.n;
	add(k, sv_of(to, a.n + b.n));
}

/* The domain above; false when there is none. */
static bool parent(struct sv *host)
{
	ssize_t dot = host->n > 0 && host->p[0] != '[' ? sv_chr(sv_skip(*host, 1), '.') : -1;

	if (dot >= 0)
		*host = sv_skip(*host, (size_t)dot + 2);
	return dot >= 0;
}

/* A name of very many labels must not push the domains at its end, which tables name, out of the list. */
static void add_domain(struct access_keys *k, struct sv host)
{
	struct sv up = host;
	size_t levels = 0;

	while (parent(&up))
		levels++;
	add(k, host);
	while (parent(&host)) {
		if (levels-- <= ACCESS_LEVELS_MAX)
			add(k, host);
	}
}

void access_keys_host(struct access_keys *k, struct sv host)
{
	k->n = k->used = 0;
	add_domain(k, host);
}

void access_keys_address(struct access_keys *k, struct sv addr)
{
	char sep = sv_chr(addr, ':') >= 0 ? ':' : '.';

	while (addr.n > 0) {
		add(k, addr);
		ssize_t cut = sv_rchr(addr, sep);
		if (cut < 0)
			return;
		addr = sv_head(addr, (size_t)cut);
		while (addr.n > 0 && addr.p[addr.n - 1] == ':')
			addr.n--;
	}
}

/* The local part without its extension, "" where it has none. */
static struct sv without_extension(struct sv local, const char *delimiters)
{
	for (size_t i = 1; i < local.n; i++) {
		if (local.p[i] != '\0' && strchr(delimiters, local.p[i]) != NULL)
			return sv_head(local, i);
	}
	return SV("");
}

void access_keys_login(struct access_keys *k, struct sv addr, const char *delimiters)
{
	ssize_t at = sv_rchr(addr, '@');
	struct sv local = at < 0 ? addr : sv_head(addr, (size_t)at);
	struct sv base = without_extension(local, delimiters);

	k->n = k->used = 0;
	add(k, addr);
	if (base.n > 0)
		add_pair(k, base, sv_skip(addr, local.n));
	if (at >= 0)
		add(k, sv_skip(addr, (size_t)at));
}

void access_keys_mail(struct access_keys *k, struct sv addr, const char *delimiters)
{
	ssize_t at = sv_rchr(addr, '@');
	struct sv local = at < 0 ? addr : sv_head(addr, (size_t)at);
	struct sv domain = at < 0 ? SV("") : sv_skip(addr, (size_t)at + 1);
	struct sv base = without_extension(local, delimiters);

	k->n = k->used = 0;
	if (addr.p == NULL)
		return;
	if (addr.n == 0) {
		add(k, SV("<>"));
		return;
	}
	add(k, addr);
	if (base.n > 0)
		add_pair(k, base, sv_skip(addr, local.n));
	add_domain(k, domain);
	add_pair(k, local, SV("@"));
	if (base.n > 0)
		add_pair(k, base, SV("@"));
}
