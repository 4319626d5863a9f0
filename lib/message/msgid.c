#include <time.h>

#include "message/msgid.h"

int msgid_make(struct buf *out, int64_t t, const char *queue_id, const char *host)
{
	time_t when = (time_t)t;
	struct tm tm;
	char stamp[32];

	if (!gmtime_r(&when, &tm) || strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &tm) == 0)
		snprintf(stamp, sizeof(stamp), "0");
	return buf_printf(out, "<%s.%s@%s>", stamp, queue_id, host);
}

/* Skips a quoted string or a (nested) comment that begins at *i; leaves *i behind it, or at the end. */
static void skip_group(struct sv s, size_t *i)
{
	bool comment = s.p[*i] == '(';
	size_t depth = 1;

	for ((*i)++; *i < s.n && depth > 0; (*i)++) {
		char c = s.p[*i];

		if (c == '\\')
			(*i)++;
		else if (!comment && c == '"')
			depth = 0;
		else if (comment && c == '(')
			depth++;
		else if (comment && c == ')')
			depth--;
	}
	if (*i > s.n)
		*i = s.n;
}

/* End of the identifier that begins at s.p[at] == '<' (behind '>'), or 0 when it is not one. */
static size_t id_end(struct sv s, size_t at)
{
	for (size_t i = at + 1; i < s.n; i++) {
		char c = s.p[i];

		if (c == '>')
			return i > at + 1 && i + 1 - at <= MSGID_MAX ? i + 1 : 0;
		if (c == '<')
			return 0;
		if (c == '"') {
			skip_group(s, &i);
			i--;
		}
	}
	return 0;
}

bool msgid_next(struct sv *in, struct sv *id)
{
	struct sv s = *in;
	size_t i = 0;

	while (i < s.n) {
		char c = s.p[i];

		if (c == '<') {
			size_t end = id_end(s, i);

			if (end > 0) {
				*id = sv_of(s.p + i, end - i);
				*in = sv_skip(s, end);
				return true;
			}
			i++;
		} else if (c == '"' || c == '(') {
			skip_group(s, &i);
		} else {
			i++;
		}
	}
	*in = sv_skip(s, s.n);
	return false;
}
