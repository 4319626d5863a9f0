/* mime_param.c - the values of MIME header fields (RFC 2045 section 5.1), read with tolerance; see mime.h. */
#include "message/mime.h"

#define COMMENT_DEPTH_MAX 50

/* Skips white space and comments. */
static void skip_cfws(struct sv *s)
{
	unsigned depth = 0;
	size_t i = 0;
	if (s->n == 0)
		return;
	for (; i < s->n; i++) {
		char c = s->p[i];
		if (c == '(' && depth < COMMENT_DEPTH_MAX)
			depth++;
		else if (depth > 0 && c == ')')
			depth--;
		else if (depth > 0 && c == '\\')
			i++;
		else if (depth == 0 && !ascii_isspace(c))
			break;
	}
	*s = sv_skip(*s, i);
}

static bool token_char(char c)
{
	return (unsigned char)c > 0x20 && (unsigned char)c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
}

static struct sv take_token(struct sv *s)
{
	size_t n = 0;
	while (n < s->n && token_char(s->p[n]))
		n++;
	if (n == 0)
		return SV_NONE;
	struct sv out = sv_head(*s, n);
	*s = sv_skip(*s, n);
	return out;
}

bool mime_token(struct sv *rest, struct sv *token)
{
	skip_cfws(rest);
	struct sv t = take_token(rest);
	if (t.n == 0)
		return false;
	*token = t;
	return true;
}

bool mime_type(struct sv value, struct sv *type, struct sv *subtype, struct sv *params)
{
	struct sv s = value, t, u;
	if (!mime_token(&s, &t))
		return false;
	skip_cfws(&s);
	if (s.n == 0 || s.p[0] != '/')
		return false;
	s = sv_skip(s, 1);
	if (!mime_token(&s, &u))
		return false;
	*type = t;
	*subtype = u;
	ssize_t semi = sv_chr(s, ';');
	*params = semi < 0 ? sv_of(s.p + s.n, 0) : sv_skip(s, (size_t)semi);
	return true;
}

/* A quoted string without quotes and backslashes; false when the arena is full.  A missing end quote is forgiven. */
static bool take_quoted(struct sv *s, struct arena *arena, struct sv *out)
{
	size_t n = 0, i = 1;
	char *p = arena_alloc(arena, s->n + 1);
	if (p == NULL)
		return false;
	for (; i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\' && i + 1 < s->n)
			i++;
		p[n++] = s->p[i];
	}
	*out = sv_of(p, n);
	*s = sv_skip(*s, i + 1);
	return true;
}

/* Moves to the next ';' that is not inside a quoted string. */
static void skip_to_semicolon(struct sv *s)
{
	size_t i = 0;
	bool quoted = false;
	for (; i < s->n && (quoted || s->p[i] != ';'); i++) {
		if (s->p[i] == '\\' && quoted)
			i++;
		else if (s->p[i] == '"')
			quoted = !quoted;
	}
	*s = sv_skip(*s, i);
}

/* A value without quotes: all up to ';', white space or a comment (file names with '/' or '=' occur). */
static struct sv take_bare(struct sv *s)
{
	size_t n = 0;
	while (n < s->n && s->p[n] != ';' && !ascii_isspace(s->p[n]) && s->p[n] != '(' && s->p[n] != '"')
		n++;
	struct sv out = sv_head(*s, n);
	*s = sv_skip(*s, n);
	return out;
}

bool mime_param(struct sv *rest, struct arena *arena, struct sv *name, struct sv *value)
{
	while (rest->n > 0) {
		skip_to_semicolon(rest);
		*rest = sv_skip(*rest, 1);
		skip_cfws(rest);
		struct sv n = take_token(rest), v;
		skip_cfws(rest);
		if (n.n == 0 || rest->n == 0 || rest->p[0] != '=')
			continue;
		*rest = sv_skip(*rest, 1);
		skip_cfws(rest);
		if (rest->n > 0 && rest->p[0] == '"') {
			if (!take_quoted(rest, arena, &v))
				return false;
		} else {
			v = take_bare(rest);
		}
		*name = n;
		*value = v;
		return true;
	}
	return false;
}
