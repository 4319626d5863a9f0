/* Postfix's notation of a next hop: domain, domain:port, [host], [host]:port. */
#include "base/num.h"
#include "dns/dns_mx.h"

static const struct {
	const char *name;
	uint16_t port;
} port_names[] = {{"smtp", 25}, {"submission", 587}, {"submissions", 465}, {"smtps", 465}, {"lmtp", 24}};

static int port_of(struct sv text, uint16_t *port)
{
	uint64_t v;

	for (size_t i = 0; i < ARRAY_LEN(port_names); i++)
		if (sv_ieqs(text, port_names[i].name)) {
			*port = port_names[i].port;
			return 0;
		}
	if (num_range(text, 1, 65535, &v) < 0)
		return ERR_SYNTAX;
	*port = (uint16_t)v;
	return 0;
}

int mx_nexthop_parse(struct sv text, uint16_t default_port, struct mx_nexthop *out)
{
	struct mx_nexthop h = {.port = default_port};
	struct sockaddr_storage ss;
	struct sv host = text, port = SV_NONE;
	socklen_t len;
	ssize_t at;

	if (sv_istarts(text, SV("inet:")))
		host = text = sv_skip(text, 5);
	if (text.n > 0 && text.p[0] == '[') {
		at = sv_chr(text, ']');
		if (at < 0)
			return ERR_SYNTAX;
		h.no_mx = true;
		host = sv_of(text.p + 1, (size_t)at - 1);
		text = sv_skip(text, (size_t)at + 1);
		if (text.n > 0) {
			if (text.p[0] != ':')
				return ERR_SYNTAX;
			port = sv_skip(text, 1);
			if (port.n == 0)
				return ERR_SYNTAX;
		}
	} else if ((at = sv_chr(text, ':')) >= 0) {
		host = sv_head(text, (size_t)at);
		port = sv_skip(text, (size_t)at + 1);
		if (port.n == 0)
			return ERR_SYNTAX;
	}
	if (port.n > 0 && port_of(port, &h.port) < 0)
		return ERR_SYNTAX;
	h.literal = dns_addr_parse(host, &ss, &len);
	if (host.n >= sizeof(h.host) || (!h.literal && !dns_name_valid(host)))
		return ERR_SYNTAX;
	if (h.literal) {
		h.no_mx = true;
		if (sv_istarts(host, SV("IPv6:")))
			host = sv_skip(host, 5);
	} else if (host.p[host.n - 1] == '.') {
		host.n--;
	}
	memcpy(h.host, host.p, host.n);
	*out = h;
	return 0;
}
