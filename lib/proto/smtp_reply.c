/* smtp_reply.c - replies in and out; see smtp_reply.h. */
#include "proto/smtp_reply.h"

#define LINE_TEXT_MAX 500 /* 512 of RFC 5321 section 4.5.3.1.5 less code, blank and CRLF, rounded */

void smtp_reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){.text = BUF_INIT(SMTP_REPLY_TEXT_MAX)};
}

void smtp_reply_reset(struct smtp_reply *r)
{
	r->code = 0;
	r->lines = 0;
	r->dsn[0] = '\0';
	buf_reset(&r->text);
}

void smtp_reply_free(struct smtp_reply *r)
{
	buf_free(&r->text);
}

size_t smtp_dsn_prefix(struct sv text, char dsn[SMTP_DSN_MAX])
{
	size_t i = 0;

	if (text.n < 5 || !strchr("245", text.p[0]) || text.p[0] == '\0' || text.p[1] != '.')
		return 0;
	i = 2;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;
		while (i < text.n && ascii_isdigit((unsigned char)text.p[i]) && digits < 4) {
			i++;
			digits++;
		}
		if (digits < 1 || digits > 3)
			return 0;
		if (part == 0) {
			if (i >= text.n || text.p[i] != '.')
				return 0;
			i++;
		}
	}
	if (i < text.n && text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\n')
		return 0;
	if (dsn != NULL) {
		memcpy(dsn, text.p, i);
		dsn[i] = '\0';
	}
	return i;
}

int smtp_reply_line(struct smtp_reply *r, struct sv line)
{
	int code;
	char sep;

	while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
		line.n--;
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !ascii_isdigit((unsigned char)line.p[1]) ||
	    !ascii_isdigit((unsigned char)line.p[2]))
		return ERR_PROTOCOL;
	code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	sep = line.n > 3 ? line.p[3] : ' ';
	if (sep != ' ' && sep != '-')
		return ERR_PROTOCOL;
	if (r->lines > 0 && code != r->code)
		return ERR_PROTOCOL;
	if (r->lines >= SMTP_REPLY_LINES_MAX)
		return ERR_LIMIT;
	struct sv text = sv_skip(line, 4);
	if ((r->lines > 0 && buf_addc(&r->text, '\n') < 0) || buf_addsv(&r->text, text) < 0)
		return ERR_LIMIT;
	r->code = code;
	r->lines++;
	if (r->dsn[0] == '\0' && smtp_dsn_prefix(text, r->dsn) > 0 && r->dsn[0] != line.p[0])
		r->dsn[0] = '\0'; /* RFC 2034 section 4: the class must match */
	return sep == ' ';
}

/* How much of the rest goes on this line: all, or up to the last blank that fits. */
static size_t piece(struct sv rest, size_t room)
{
	size_t n = room;

	if (rest.n <= room)
		return rest.n;
	while (n > room / 2 && rest.p[n] != ' ')
		n--;
	return n > room / 2 ? n : room;
}

static void add_printable(struct buf *out, struct sv s)
{
	char *p = buf_reserve(out, s.n);

	if (p == NULL)
		return;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		p[i] = c < 32 || c == 127 ? '?' : (char)c;
	}
	out->n += s.n;
}

int smtp_reply_format(struct buf *out, int code, const char *dsn, struct sv text)
{
	size_t ndsn = dsn ? strlen(dsn) : 0, room = LINE_TEXT_MAX - ndsn - 1;
	bool more = true;

	BUG_ON(code < 200 || code > 599 || ndsn >= SMTP_DSN_MAX);
	while (more) {
		ssize_t nl = sv_chr(text, '\n');
		struct sv line = nl < 0 ? text : sv_head(text, (size_t)nl);
		size_t n = piece(line, room);

		if (n < line.n)
			text = sv_skip(text, n + (text.p[n] == ' '));
		else if (nl >= 0)
			text = sv_skip(text, (size_t)nl + 1);
		else
			more = false;
		buf_printf(out, "%03d%c", code, more ? '-' : ' ');
		if (ndsn > 0)
			buf_printf(out, "%s ", dsn);
		add_printable(out, sv_head(line, n));
		buf_add(out, "\r\n", 2);
	}
	return out->overflow ? ERR_LIMIT : 0;
}
