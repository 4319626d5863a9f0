/* imap_lex.c - IMAP commands and tokens; see imap_lex.h. */
#include "proto/imap_lex.h"

#include "base/num.h"

/* Is `line` (without its line end) one that announces a literal?  1 yes, 0 no, -1 the number is bad. */
static int literal_at_end(struct sv line, uint64_t *size, bool *nonsync)
{
	if (line.n < 3 || line.p[line.n - 1] != '}')
		return 0;
	ssize_t open = sv_rchr(line, '{');
	if (open < 0)
		return 0;
	struct sv num = sv_of(line.p + open + 1, line.n - (size_t)open - 2);
	bool plus = num.n > 0 && num.p[num.n - 1] == '+';
	if (plus)
		num.n--;
	if (num.n == 0 || num.n > IMAP_LITERAL_DIGITS_MAX)
		return num.n == 0 ? 0 : -1;
	for (size_t i = 0; i < num.n; i++)
		if (!ascii_isdigit(num.p[i]))
			return 0;
	uint64_t n;
	if (num_u64(num, &n) != 0)
		return -1;
	*size = n;
	*nonsync = plus;
	return 1;
}

enum imap_scan_result imap_scan(struct imap_scan *s, struct sv in, size_t max_line)
{
	if (s->waiting)
		return IMAP_SCAN_LITERAL;
	if (in.n <= s->at) /* all of it was looked at */
		return IMAP_SCAN_MORE;
	const char *lf = memchr(in.p + s->at, '\n', in.n - s->at);
	size_t upto = lf ? (size_t)(lf - in.p) : in.n;
	if (s->text + (upto - s->line) > max_line)
		return IMAP_SCAN_TOO_LONG;
	s->at = upto;
	if (lf == NULL)
		return IMAP_SCAN_MORE;
	struct sv line = sv_of(in.p + s->line, upto - s->line);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	s->end = upto + 1;
	int r = literal_at_end(line, &s->literal, &s->nonsync);
	if (r == 0)
		return IMAP_SCAN_DONE;
	s->text += line.n;
	if (r < 0)
		return IMAP_SCAN_BAD;
	if (++s->literals > IMAP_LITERAL_COUNT_MAX)
		return IMAP_SCAN_TOO_LONG;
	s->waiting = true;
	return IMAP_SCAN_LITERAL;
}

void imap_scan_accept(struct imap_scan *s)
{
	BUG_ON(!s->waiting);
	s->waiting = false;
	s->line = s->at = s->end + s->literal;
}

void imap_lex_init(struct imap_lex *l, struct sv command, struct arena *arena)
{
	if (command.n > 0 && command.p[command.n - 1] == '\n')
		command.n--;
	if (command.n > 0 && command.p[command.n - 1] == '\r')
		command.n--;
	l->in = command;
	l->arena = arena;
}

bool imap_lex_end(const struct imap_lex *l)
{
	return l->in.n == 0;
}

bool imap_lex_peek(const struct imap_lex *l, char c)
{
	return l->in.n > 0 && l->in.p[0] == c;
}

bool imap_lex_char(struct imap_lex *l, char c)
{
	if (!imap_lex_peek(l, c))
		return false;
	l->in = sv_skip(l->in, 1);
	return true;
}

bool imap_lex_sp(struct imap_lex *l)
{
	if (!imap_lex_char(l, ' '))
		return false;
	while (imap_lex_char(l, ' '))
		;
	return true;
}

/* Classes of characters; RFC 3501 section 9 (atom-specials). */
enum { C_ATOM = 1, C_ASTRING = 2, C_LIST = 4, C_TAG = 8 };

static unsigned char_class(unsigned char c)
{
	if (c <= 0x20 || c >= 0x7f)
		return 0;
	switch (c) {
	case '(':
	case ')':
	case '{':
	case '"':
	case '\\': return 0;
	case '%':
	case '*': return C_LIST;
	case ']': return C_ASTRING | C_LIST | C_TAG;
	case '+': return C_ATOM | C_ASTRING | C_LIST;
	default: return C_ATOM | C_ASTRING | C_LIST | C_TAG;
	}
}

static bool take_class(struct imap_lex *l, unsigned class, struct sv *out)
{
	size_t n = 0;
	while (n < l->in.n && (char_class((unsigned char)l->in.p[n]) & class) != 0)
		n++;
	if (n == 0)
		return false;
	*out = sv_head(l->in, n);
	l->in = sv_skip(l->in, n);
	return true;
}

bool imap_lex_word(struct imap_lex *l, const char *word)
{
	struct imap_lex save = *l;
	struct sv atom;
	if (take_class(l, C_ATOM, &atom) && sv_ieqs(atom, word))
		return true;
	*l = save;
	return false;
}

bool imap_lex_tag(struct imap_lex *l, struct sv *tag)
{
	return take_class(l, C_TAG, tag);
}

bool imap_lex_atom(struct imap_lex *l, struct sv *atom)
{
	return take_class(l, C_ATOM, atom);
}

bool imap_lex_quoted(struct imap_lex *l, struct sv *s)
{
	if (!imap_lex_peek(l, '"'))
		return false;
	size_t i = 1, escapes = 0;
	for (; i < l->in.n && l->in.p[i] != '"'; i++) {
		if (l->in.p[i] == '\\') {
			escapes++;
			if (++i == l->in.n || (l->in.p[i] != '"' && l->in.p[i] != '\\'))
				return false;
		}
		if (l->in.p[i] == '\r' || l->in.p[i] == '\n' || l->in.p[i] == '\0')
			return false;
	}
	if (i >= l->in.n)
		return false;
	struct sv raw = sv_of(l->in.p + 1, i - 1);
	if (escapes > 0) {
		char *p = arena_alloc(l->arena, raw.n - escapes + 1);
		size_t n = 0;
		if (p == NULL)
			return false;
		for (size_t k = 0; k < raw.n; k++) {
			if (raw.p[k] == '\\')
				k++;
			p[n++] = raw.p[k];
		}
		raw = sv_of(p, n);
	}
	*s = raw;
	l->in = sv_skip(l->in, i + 1);
	return true;
}

/* "{n}" CRLF or LF in front of the cursor: bytes of the announcement, 0 when it is none. */
static size_t announcement(struct sv in, uint64_t *size, bool *nonsync)
{
	if (in.n == 0 || in.p[0] != '{')
		return 0;
	ssize_t close = sv_chr(sv_head(in, IMAP_LITERAL_DIGITS_MAX + 3), '}');
	if (close < 0 || literal_at_end(sv_head(in, (size_t)close + 1), size, nonsync) != 1)
		return 0;
	size_t n = (size_t)close + 1;
	if (n < in.n && in.p[n] == '\r')
		n++;
	return n < in.n && in.p[n] == '\n' ? n + 1 : 0;
}

bool imap_lex_literal(struct imap_lex *l, struct sv *s)
{
	uint64_t size;
	bool nonsync;
	size_t n = announcement(l->in, &size, &nonsync);
	if (n == 0 || size > l->in.n - n)
		return false;
	*s = sv_of(l->in.p + n, (size_t)size);
	l->in = sv_skip(l->in, n + (size_t)size);
	return true;
}

bool imap_lex_literal_ahead(struct imap_lex *l, uint64_t *size, bool *nonsync)
{
	uint64_t v;
	bool plus;
	/* imap_lex_init has dropped the line end. */
	if (!imap_lex_peek(l, '{') || literal_at_end(l->in, &v, &plus) != 1 || sv_rchr(l->in, '{') != 0)
		return false;
	*size = v;
	*nonsync = plus;
	l->in = sv_skip(l->in, l->in.n);
	return true;
}

bool imap_lex_string(struct imap_lex *l, struct sv *s)
{
	return imap_lex_quoted(l, s) || imap_lex_literal(l, s);
}

bool imap_lex_nstring(struct imap_lex *l, struct sv *s)
{
	if (imap_lex_word(l, "NIL")) {
		*s = SV_NONE;
		return true;
	}
	return imap_lex_string(l, s);
}

bool imap_lex_astring(struct imap_lex *l, struct sv *s)
{
	return take_class(l, C_ASTRING, s) || imap_lex_string(l, s);
}

bool imap_lex_list_mailbox(struct imap_lex *l, struct sv *s)
{
	return take_class(l, C_LIST, s) || imap_lex_string(l, s);
}

bool imap_lex_number64(struct imap_lex *l, uint64_t *n)
{
	size_t k = 0;
	while (k < l->in.n && ascii_isdigit(l->in.p[k]))
		k++;
	uint64_t v;
	if (k == 0 || num_u64(sv_head(l->in, k), &v) != 0)
		return false;
	*n = v;
	l->in = sv_skip(l->in, k);
	return true;
}

bool imap_lex_number(struct imap_lex *l, uint32_t *n)
{
	struct imap_lex save = *l;
	uint64_t v;
	if (imap_lex_number64(l, &v) && v <= UINT32_MAX) {
		*n = (uint32_t)v;
		return true;
	}
	*l = save;
	return false;
}

bool imap_lex_flag(struct imap_lex *l, struct sv *flag)
{
	struct imap_lex save = *l;
	bool system = imap_lex_char(l, '\\');
	struct sv name;
	if (!take_class(l, C_ATOM, &name)) {
		*l = save;
		return false;
	}
	*flag = system ? sv_of(name.p - 1, name.n + 1) : name;
	return true;
}

bool imap_lex_set(struct imap_lex *l, struct sv *set)
{
	size_t n = 0;
	while (n < l->in.n && (ascii_isdigit(l->in.p[n]) || (l->in.p[n] != '\0' && strchr(",:*$", l->in.p[n]))))
		n++;
	if (n == 0)
		return false;
	*set = sv_head(l->in, n);
	l->in = sv_skip(l->in, n);
	return true;
}
