#include "dns/dns_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned types[] = {RS_A, RS_AAAA, RS_MX, RS_PTR, RS_TXT, RS_TLSA, RS_CNAME, RS_SRV};
	static struct rs_answer a;
	struct arena mem;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		arena_init(&mem, DNS_WIRE_MEM);
		if (dns_wire_read(sv_of((const char *)data, size), SV("b.org"), types[i], &mem, &a) == 0) {
			BUG_ON(a.n > RS_MAX_RECORDS || a.canon.n > RS_MAX_NAME);
			for (size_t k = 0; k < a.n; k++) {
				BUG_ON(a.rr[k].data.n > RS_MAX_DATA);
				if ((types[i] == RS_MX || types[i] == RS_PTR) && a.rr[k].data.n > 0)
					BUG_ON(!dns_wire_name_ok(a.rr[k].data));
			}
		}
		arena_clear(&mem);
	}
	return 0;
}
