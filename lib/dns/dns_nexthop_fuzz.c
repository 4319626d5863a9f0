#include "dns/dns_mx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Next hops, and answers of `resolver` as they come over the channel. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rs_answer a;
	struct msg m = {.body = sv_of((const char *)data, size)};
	struct sv in = sv_of((const char *)data, size);
	struct sockaddr_storage ss;
	struct mx_nexthop h;
	struct rs_query q;
	socklen_t len;
	char text[64];

	if (mx_nexthop_parse(in, 25, &h) == 0)
		BUG_ON(h.port == 0 || h.host[0] == '\0' || strlen(h.host) >= sizeof(h.host));
	if (dns_addr_parse(in, &ss, &len))
		dns_addr_text(&ss, text);
	if (rs_answer_get(&m, &a) == 0)
		BUG_ON(a.n > RS_MAX_RECORDS);
	m = (struct msg){.body = in};
	(void)!rs_query_get(&m, &q);
	return 0;
}
