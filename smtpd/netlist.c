/* netlist.c - lists of networks; see netlist.h. */
#include "smtpd/netlist.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/num.h"

static int parse_one(struct sv word, struct netlist_item *out, struct err *err)
{
	struct netlist_item it = {0};
	struct sv addr = word;
	uint64_t bits;
	char text[INET6_ADDRSTRLEN];

	while (addr.n > 0 && addr.p[0] == '!') {
		it.negated = !it.negated;
		addr = sv_skip(addr, 1);
	}
	if (sv_eqs(addr, "static:all")) {
		it.all = true;
		*out = it;
		return 0;
	}
	struct sv rest = addr;
	addr = sv_cut(&rest, "/");
	if (addr.n > 2 && addr.p[0] == '[' && addr.p[addr.n - 1] == ']')
		addr = sv_of(addr.p + 1, addr.n - 2);
	if (addr.n == 0 || addr.n >= sizeof(text))
		return err_set(err, ERR_SYNTAX, "bad network: " SV_FMT, SV_ARG(word));
	memcpy(text, addr.p, addr.n);
	text[addr.n] = '\0';
	it.v6 = sv_chr(addr, ':') >= 0;
	if (inet_pton(it.v6 ? AF_INET6 : AF_INET, text, it.addr) != 1)
		return err_set(err, ERR_UNSUPPORTED, "not an address or network: " SV_FMT, SV_ARG(word));
	it.bits = it.v6 ? 128 : 32;
	if (rest.p != NULL) {
		if (num_range(rest, 0, it.bits, &bits) < 0)
			return err_set(err, ERR_SYNTAX, "bad network length: " SV_FMT, SV_ARG(word));
		it.bits = (unsigned)bits;
	}
	*out = it;
	return 0;
}

int netlist_parse(struct netlist *out, struct sv text, struct err *err)
{
	struct netlist l = {0};
	struct sv word;

	while (sv_token(&text, " \t\r\n,", &word)) {
		int rc = l.n < NETLIST_MAX ? 0 : err_set(err, ERR_LIMIT, "too many networks");
		l.item = xreallocarray(l.item, l.n + 1, sizeof(*l.item));
		if (rc == 0)
			rc = parse_one(word, &l.item[l.n], err);
		if (rc < 0) {
			netlist_free(&l);
			*out = (struct netlist){0};
			return rc;
		}
		l.n++;
	}
	*out = l;
	return 0;
}

void netlist_free(struct netlist *l)
{
	free(l->item);
	*l = (struct netlist){0};
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned bytes = bits / 8, odd = bits % 8;

	if (memcmp(a, b, bytes) != 0)
		return false;
	return odd == 0 || ((a[bytes] ^ b[bytes]) >> (8 - odd)) == 0;
}

bool netlist_match(const struct netlist *l, const struct sockaddr_storage *ss)
{
	unsigned char addr[16];
	bool v6 = false;

	if (ss->ss_family == AF_INET) {
		memcpy(addr, &((const struct sockaddr_in *)ss)->sin_addr, 4);
	} else if (ss->ss_family == AF_INET6) {
		const struct in6_addr *a = &((const struct sockaddr_in6 *)ss)->sin6_addr;
		v6 = !IN6_IS_ADDR_V4MAPPED(a);
		if (v6)
			memcpy(addr, a, 16);
		else
			memcpy(addr, a->s6_addr + 12, 4);
	} else {
		return false;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct netlist_item *it = &l->item[i];
		if (it->all || (it->v6 == v6 && same_bits(it->addr, addr, it->bits)))
			return !it->negated;
	}
	return false;
}
