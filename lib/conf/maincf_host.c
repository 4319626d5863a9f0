/* maincf_host.c - defaults that depend on the host; see maincf_host.h. */
#include "conf/maincf_host.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>

#define HOST_NETS_MAX 256 /* networks in a default mynetworks */

/* gethostname, and the domain behind it when the name has none (as main.cf says, else "localdomain"). */
static bool put_myhostname(const struct maincf *mc, struct buf *out)
{
	char name[256];
	if (gethostname(name, sizeof(name)) < 0)
		return false;
	name[sizeof(name) - 1] = '\0';
	(void)buf_adds(out, name);
	if (strchr(name, '.'))
		return true;
	(void)buf_addc(out, '.');
	const char *domain = maincf_raw(mc, "mydomain");
	(void)buf_adds(out, domain ? domain : "localdomain");
	return true;
}

/* What is behind the first dot of the host name. */
static bool put_mydomain(const struct maincf *mc, struct buf *out)
{
	CLEANUP(buf_freep) struct buf host = BUF_INIT(1024);
	if (maincf_value(mc, "myhostname", NULL, 0, &host, NULL) < 0)
		return false;
	ssize_t dot = sv_chr(buf_sv(&host), '.');
	if (dot < 0)
		return false;
	(void)buf_addsv(out, sv_skip(buf_sv(&host), (size_t)dot + 1));
	return true;
}

static bool wants(struct sv interfaces, struct sv address, bool loopback)
{
	struct sv rest = interfaces, word;
	while (sv_token(&rest, ", \t\r\n", &word)) {
		if (sv_eqs(word, "all") || (sv_eqs(word, "loopback-only") && loopback))
			return true;
		if (word.n > 1 && word.p[0] == '[')
			word = sv_of(word.p + 1, word.n - 2);
		if (sv_ieq(word, address) || (loopback && sv_ieqs(word, "localhost")))
			return true;
	}
	return false;
}

static unsigned mask_bits(const unsigned char *mask, size_t n)
{
	unsigned bits = 0;
	for (size_t i = 0; i < n; i++)
		bits += (unsigned)__builtin_popcount(mask[i]);
	return bits;
}

static unsigned class_bits(const unsigned char *a)
{
	return a[0] < 128 ? 8 : a[0] < 192 ? 16 : 24;
}

/* Clears the host bits and writes address/bits, unless it is in the text already. */
static void put_net(struct buf *out, int family, unsigned char *a, size_t n, unsigned bits)
{
	char text[INET6_ADDRSTRLEN], word[INET6_ADDRSTRLEN + 16];
	for (size_t i = 0; i < n; i++) {
		unsigned keep = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - (unsigned)(8 * i) : 0;
		a[i] = (unsigned char)(a[i] & (0xff00u >> keep));
	}
	if (!inet_ntop(family, a, text, sizeof(text)))
		return;
	(void)snprintf(word, sizeof(word), family == AF_INET6 ? "[%s]/%u" : "%s/%u", text, bits);
	struct sv rest = buf_sv(out), have;
	while (sv_token(&rest, " ", &have))
		if (sv_eqs(have, word))
			return;
	if (out->n)
		(void)buf_addc(out, ' ');
	(void)buf_adds(out, word);
}

struct nets {
	struct sv interfaces, protocols, style;
	struct buf *out;
	unsigned n;
};

static void add_interface(struct nets *w, const struct ifaddrs *i, int family)
{
	char text[NI_MAXHOST];
	unsigned char addr[16], mask[16];
	size_t n = family == AF_INET ? 4 : 16;
	if (!i->ifa_addr || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP) || !i->ifa_netmask)
		return;
	const void *a = family == AF_INET ? (const void *)&((const struct sockaddr_in *)i->ifa_addr)->sin_addr
					  : (const void *)&((const struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
	const void *m = family == AF_INET ? (const void *)&((const struct sockaddr_in *)i->ifa_netmask)->sin_addr
					  : (const void *)&((const struct sockaddr_in6 *)i->ifa_netmask)->sin6_addr;
	memcpy(addr, a, n);
	memcpy(mask, m, n);
	if (!inet_ntop(family, addr, text, sizeof(text)) ||
	    !wants(w->interfaces, sv_str(text), i->ifa_flags & IFF_LOOPBACK))
		return;
	unsigned bits = (unsigned)n * 8;
	bool loop4 = family == AF_INET && addr[0] == 127;
	if (sv_ieqs(w->style, "subnet") || loop4)
		bits = loop4 ? 8 : mask_bits(mask, n);
	else if (sv_ieqs(w->style, "class") && family == AF_INET)
		bits = class_bits(addr);
	if (w->n++ < HOST_NETS_MAX)
		put_net(w->out, family, addr, n, bits);
}

static bool has_protocol(struct sv list, const char *name)
{
	struct sv rest = list, word;
	while (sv_token(&rest, ", \t", &word))
		if (sv_ieqs(word, name) || sv_ieqs(word, "all"))
			return true;
	return false;
}

static bool put_mynetworks(const struct maincf *mc, struct buf *out)
{
	CLEANUP(buf_freep) struct buf interfaces = BUF_INIT(65536);
	CLEANUP(buf_freep) struct buf protocols = BUF_INIT(1024);
	CLEANUP(buf_freep) struct buf style = BUF_INIT(1024);
	struct ifaddrs *list = NULL;
	if (maincf_value(mc, "inet_interfaces", NULL, 0, &interfaces, NULL) < 0 ||
	    maincf_value(mc, "inet_protocols", NULL, 0, &protocols, NULL) < 0 ||
	    maincf_value(mc, "mynetworks_style", NULL, 0, &style, NULL) < 0 || getifaddrs(&list) < 0)
		return false;
	struct nets w = {buf_sv(&interfaces), buf_sv(&protocols), buf_sv(&style), out, 0};
	for (struct ifaddrs *i = list; i && has_protocol(w.protocols, "ipv4"); i = i->ifa_next)
		add_interface(&w, i, AF_INET);
	for (struct ifaddrs *i = list; i && has_protocol(w.protocols, "ipv6"); i = i->ifa_next)
		add_interface(&w, i, AF_INET6);
	freeifaddrs(list);
	return out->n > 0;
}

bool maincf_host_default(void *ctx, const struct maincf *mc, const char *name, struct buf *out)
{
	static const struct {
		const char *name;
		bool (*put)(const struct maincf *, struct buf *);
	} known[] = {{"myhostname", put_myhostname}, {"mydomain", put_mydomain}, {"mynetworks", put_mynetworks}};
	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].put(mc, out);
	return false;
}
