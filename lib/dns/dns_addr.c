#include <arpa/inet.h>

#include "dns/dns.h"

static const struct in_addr *ipv4_of(const struct sockaddr_storage *addr, struct in_addr *tmp)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)addr;

	if (addr->ss_family == AF_INET)
		return &((const struct sockaddr_in *)addr)->sin_addr;
	if (addr->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		memcpy(tmp, six->sin6_addr.s6_addr + 12, 4);
		return tmp;
	}
	return NULL;
}

const char *dns_addr_text(const struct sockaddr_storage *addr, char out[64])
{
	struct in_addr tmp;
	const struct in_addr *four = ipv4_of(addr, &tmp);

	if (four)
		inet_ntop(AF_INET, four, out, 64);
	else if (addr->ss_family != AF_INET6 ||
		 !inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)addr)->sin6_addr, out, 64))
		memcpy(out, "unknown", sizeof("unknown"));
	return out;
}

bool dns_addr_parse(struct sv text, struct sockaddr_storage *addr, socklen_t *len)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	char s[64];

	if (sv_istarts(text, SV("IPv6:")))
		text = sv_skip(text, 5);
	if (text.n == 0 || text.n >= sizeof(s) || sv_has_nul(text))
		return false;
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	if (inet_pton(AF_INET, s, &four.sin_addr) == 1) {
		memset(addr, 0, sizeof(*addr));
		memcpy(addr, &four, sizeof(four));
		*len = sizeof(four);
		return true;
	}
	if (inet_pton(AF_INET6, s, &six.sin6_addr) == 1) {
		memset(addr, 0, sizeof(*addr));
		memcpy(addr, &six, sizeof(six));
		*len = sizeof(six);
		return true;
	}
	return false;
}

void dns_reverse_name(const struct sockaddr_storage *addr, char out[80])
{
	struct in_addr tmp;
	const struct in_addr *four = ipv4_of(addr, &tmp);
	const unsigned char *p;
	size_t n = 0;

	if (four) {
		p = (const unsigned char *)four;
		snprintf(out, 80, "%u.%u.%u.%u.in-addr.arpa", p[3], p[2], p[1], p[0]);
		return;
	}
	p = ((const struct sockaddr_in6 *)addr)->sin6_addr.s6_addr;
	for (int i = 15; i >= 0; i--) {
		out[n++] = "0123456789abcdef"[p[i] & 15];
		out[n++] = '.';
		out[n++] = "0123456789abcdef"[p[i] >> 4];
		out[n++] = '.';
	}
	memcpy(out + n, "ip6.arpa", sizeof("ip6.arpa"));
}
