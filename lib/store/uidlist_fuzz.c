/* uidlist_fuzz.c - all small text files of a folder from the same bytes. */
#include "store/uidlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(300);
	struct sv in = sv_of((const char *)data, size);
	struct uid_file u, v;
	struct uidlist_entry e;
	struct sv names[26];
	struct uidlist l;
	struct sublist s;

	if (!uid_file_parse(in, &u)) {
		uid_file_format(&b, &u);
		BUG_ON(uid_file_parse(buf_sv(&b), &v) || v.next != u.next || v.uidvalidity != u.uidvalidity);
	}
	if (!uidlist_begin(in, &l))
		while (uidlist_next(&l, &e))
			BUG_ON(!e.uid || !e.name.n);
	keywords_parse(in, names);
	for (int i = 0; i < 26; i++)
		BUG_ON(names[i].n && !keyword_valid(names[i]));
	sublist_begin(in, &s);
	while (sublist_next(&s, &b))
		BUG_ON(!b.n);
	return 0;
}
