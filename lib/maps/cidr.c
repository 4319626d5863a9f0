/* cidr.c - address/prefix patterns; see cidr.h. */
#include "maps/cidr.h"

#include <arpa/inet.h>

#include "base/err.h"
#include "base/num.h"

#define WHY_SIZE 160

int cidr_addr(struct sv text, struct cidr_addr *out)
{
	char s[INET6_ADDRSTRLEN + 1];
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = sv_of(text.p + 1, text.n - 2);
	if (text.n == 0 || text.n >= sizeof(s) || sv_has_nul(text))
		return ERR_SYNTAX;
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	struct cidr_addr a = {.n = strchr(s, ':') ? 16 : 4};
	if (inet_pton(a.n == 4 ? AF_INET : AF_INET6, s, a.b) != 1)
		return ERR_SYNTAX;
	*out = a;
	return 0;
}

/* Clears the bits behind the prefix; true when there were any. */
static bool mask(struct cidr_addr *a, unsigned bits)
{
	bool any = false;
	for (unsigned i = 0; i < a->n; i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
		unsigned char m = (unsigned char)(0xff00u >> keep);
		any |= (a->b[i] & (unsigned char)~m) != 0;
		a->b[i] &= m;
	}
	return any;
}

int cidr_parse(struct sv text, struct cidr *out, char *why)
{
	ssize_t slash = sv_rchr(text, '/');
	struct sv addr = slash < 0 ? text : sv_head(text, (size_t)slash);
	struct cidr c;
	uint64_t bits;
	if (cidr_addr(addr, &c.net) < 0) {
		(void)snprintf(why, WHY_SIZE, "bad address pattern \"" SV_FMT "\"", SV_ARG(sv_head(text, 80)));
		return ERR_SYNTAX;
	}
	bits = (uint64_t)c.net.n * 8;
	if (slash >= 0 && num_range(sv_skip(text, (size_t)slash + 1), 0, bits, &bits) < 0) {
		(void)snprintf(why, WHY_SIZE, "bad mask in \"" SV_FMT "\"", SV_ARG(sv_head(text, 80)));
		return ERR_SYNTAX;
	}
	c.bits = (unsigned)bits;
	if (mask(&c.net, c.bits)) {
		char good[INET6_ADDRSTRLEN] = "";
		(void)inet_ntop(c.net.n == 4 ? AF_INET : AF_INET6, c.net.b, good, sizeof(good));
		(void)snprintf(why, WHY_SIZE,
		    "non-null host address bits in \"" SV_FMT "\", perhaps you should use \"%s/%u\" instead",
		    SV_ARG(sv_head(text, 50)), good, c.bits);
		return ERR_SYNTAX;
	}
	*out = c;
	return 0;
}

bool cidr_match(const struct cidr *c, const struct cidr_addr *a)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;
	if (c->net.n != a->n || (whole && memcmp(c->net.b, a->b, whole) != 0))
		return false;
	return rest == 0 || ((c->net.b[whole] ^ a->b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
