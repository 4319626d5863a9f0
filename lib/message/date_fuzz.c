#include "message/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv s = sv_of((const char *)data, size);
	char out[DATE_MAX];
	int64_t t, back;
	int zone, z;

	if (date_parse(s, &t, &zone) == 0 && t > -62167219200LL + 86400 && t < 253402300799LL - 86400) {
		date_rfc5322(out, t, zone, NULL);
		BUG_ON(date_parse(sv_str(out), &back, &z) < 0 || back != t || z != zone);
		date_imap(out, t, zone);
		BUG_ON(date_parse_imap(sv_str(out), &back, &z) < 0 || back != t);
		(void)date_day(t, zone);
	}
	(void)date_parse_imap(s, &t, &zone);
	(void)date_parse_imap_day(s, &t);
	return 0;
}
