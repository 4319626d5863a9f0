/* list_match.c - mailbox patterns; see list_match.h. */
#include "imapd/list_match.h"

static bool is_inbox(struct sv name, char sep)
{
	return sv_istarts(name, SV("INBOX")) && (name.n == 5 || name.p[5] == sep);
}

bool list_match(struct sv pattern, struct sv name, char sep)
{
	/* reach[i]: the pattern so far can stand for the first i bytes of the name. */
	bool reach[512] = {true};
	bool inbox = is_inbox(name, sep);
	if (name.n >= ARRAY_LEN(reach) || pattern.n > LIST_PATTERN_MAX)
		return false;
	for (size_t k = 0; k < pattern.n; k++) {
		char c = pattern.p[k];
		if (c == '*' || c == '%') {
			for (size_t i = 1; i <= name.n; i++)
				reach[i] = reach[i] || (reach[i - 1] && (c == '*' || name.p[i - 1] != sep));
			continue;
		}
		for (size_t i = name.n; i > 0; i--) {
			char d = name.p[i - 1];
			bool same = c == d || (inbox && i <= 5 && ascii_lower(c) == ascii_lower(d));
			reach[i] = reach[i - 1] && same;
		}
		reach[0] = false;
	}
	return reach[name.n];
}
