/* mdir_name_fuzz.c - a name that parses is formatted and parsed again with the same meaning. */
#include "store/mdir_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX + 1);
	struct sv in = sv_of((const char *)data, size);
	struct mdir_name n, again;
	int64_t date;

	(void)mdir_name_time(in);
	(void)mdir_name_dated(in, &date);
	if (mdir_name_parse(in, &n))
		return 0;
	n.upper = mdir_letters(mdir_flags(n.upper), n.upper);
	if (mdir_name_format(&b, &n, true))
		return 0;
	BUG_ON(mdir_name_parse(buf_sv(&b), &again));
	BUG_ON(again.uid != n.uid || again.upper != n.upper || again.lower != n.lower);
	BUG_ON(again.has_size != n.has_size || again.size != n.size);
	return 0;
}
