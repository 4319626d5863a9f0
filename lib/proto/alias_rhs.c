#include "proto/alias_rhs.h"

#include "message/addr.h"

struct parser {
	struct arena *arena;
	struct alias_items items;
	size_t cap, max;
	enum alias_form form;
};

static int add_item(struct parser *p, enum alias_kind kind, struct sv text)
{
	if (p->items.n >= p->max)
		return ERR_LIMIT;
	if (p->items.n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 4;
		struct alias_item *v = arena_alloc(p->arena, cap * sizeof(*v));

		if (!v)
			return ERR_LIMIT;
		if (p->items.n > 0)
			memcpy(v, p->items.v, p->items.n * sizeof(*v));
		p->items.v = v;
		p->cap = cap;
	}
	p->items.v[p->items.n++] = (struct alias_item){.kind = kind, .text = text};
	return 0;
}

static int add_copy(struct parser *p, enum alias_kind kind, struct sv text)
{
	struct sv copy;

	if (arena_sv(p->arena, text, &copy) < 0)
		return ERR_LIMIT;
	return add_item(p, kind, copy);
}

/*
 * Length of the item at the beginning of s: up to a comma outside quotes (and, where comments and brackets mean
 * something, outside them), or to a line end in a file.  A quote that is not closed ends with its line in a file.
 */
static size_t item_len(struct sv s, enum alias_form form, bool address)
{
	bool quoted = false;
	size_t depth = 0, i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\n' && form == ALIAS_LINES)
			break;
		if (c == '\\' && i + 1 < s.n && s.p[i + 1] != '\n')
			i++;
		else if (c == '"' && depth == 0)
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (address && c == '(')
			depth++;
		else if (address && c == ')' && depth > 0)
			depth--;
		else if (c == ',' && depth == 0)
			break;
	}
	return i;
}

/* Removes the quotes of `"..."` and the backslashes in it; false when s is not one quoted string from end to end. */
static bool unquote(struct arena *a, struct sv s, struct sv *out)
{
	size_t n = 0;
	char *to;

	if (s.n < 2 || s.p[0] != '"')
		return false;
	to = arena_alloc(a, s.n);
	if (!to)
		return false;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];

		if (c == '"') {
			*out = sv_of(to, n);
			return i + 1 == s.n;
		}
		if (c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		to[n++] = c;
	}
	return false;
}

/* Tells what an item is by how it begins; strips the mark. */
static enum alias_kind kind_of(struct sv *s)
{
	static const struct sv include = {":include:", 9};

	if (s->n > 0 && s->p[0] == '|') {
		*s = sv_trim(sv_skip(*s, 1));
		return s->n > 0 && !sv_has_nul(*s) ? ALIAS_COMMAND : ALIAS_BAD;
	}
	if (s->n > 0 && s->p[0] == '/')
		return sv_has_nul(*s) ? ALIAS_BAD : ALIAS_FILE;
	if (sv_istarts(*s, include)) {
		*s = sv_trim(sv_skip(*s, include.n));
		return s->n > 0 && s->p[0] == '/' && !sv_has_nul(*s) ? ALIAS_INCLUDE : ALIAS_BAD;
	}
	return ALIAS_ADDRESS;
}

static int add_addresses(struct parser *p, struct sv item)
{
	bool user = item.p[0] == '\\';
	struct addr_list l;
	int rc = addr_parse(p->arena, user ? sv_skip(item, 1) : item, p->max, &l);

	if (rc < 0)
		return rc;
	if (l.cut)
		return ERR_LIMIT;
	for (size_t i = 0; i < l.n && rc == 0; i++) {
		const struct addr *a = &l.v[i];
		struct buf b = BUF_INIT(ADDR_LOCAL_MAX + ADDR_DOMAIN_MAX + 1);

		if (a->kind != ADDR_MAILBOX)
			continue;
		if (!addr_ok(a) || addr_internal(&b, a) < 0)
			rc = add_copy(p, ALIAS_BAD, item);
		else
			rc = add_copy(p, user ? ALIAS_USER : ALIAS_ADDRESS, buf_sv(&b));
		buf_free(&b);
	}
	return rc;
}

/* One item that begins with something else than white space, a comma or a comment line. */
static int parse_item(struct parser *p, struct sv *text)
{
	struct sv s = *text, inner;
	enum alias_kind kind = kind_of(&s);
	size_t n = item_len(*text, p->form, kind == ALIAS_ADDRESS);
	struct sv item = sv_trim(sv_head(*text, n));

	*text = sv_skip(*text, n);
	if (item.n == 0)
		return 0;
	if (item.p[0] == '"' && unquote(p->arena, item, &inner)) {
		inner = sv_trim(inner);
		kind = kind_of(&inner);
		if (kind != ALIAS_ADDRESS)
			return add_item(p, kind, inner);
		return add_addresses(p, item);
	}
	inner = item;
	kind = kind_of(&inner);
	return kind == ALIAS_ADDRESS ? add_addresses(p, item) : add_copy(p, kind, inner);
}

static size_t to_line_end(struct sv s)
{
	ssize_t lf = sv_chr(s, '\n');

	return lf < 0 ? s.n : (size_t)lf + 1;
}

int alias_parse(struct arena *a, struct sv text, enum alias_form form, size_t max, struct alias_items *out)
{
	struct parser p = {.arena = a, .form = form, .max = max};
	bool bol = true;

	if (text.n > ALIAS_TEXT_MAX)
		return ERR_LIMIT;
	while (text.n > 0) {
		char c = text.p[0];

		if (bol && c == '#' && form == ALIAS_LINES) {
			text = sv_skip(text, to_line_end(text));
			continue;
		}
		if (c == ',' || ascii_isspace((unsigned char)c)) {
			bol = c == '\n';
			text = sv_skip(text, 1);
			continue;
		}
		bol = false;
		int rc = parse_item(&p, &text);

		if (rc < 0)
			return rc;
	}
	*out = p.items;
	return 0;
}

/* Skips comment and empty lines; true when a line that says something begins at *text. */
static bool skip_idle_lines(struct sv *text, unsigned *line)
{
	while (text->n > 0) {
		size_t n = to_line_end(*text);
		struct sv t = sv_trim(sv_head(*text, n));

		if (t.n > 0 && t.p[0] != '#')
			return true;
		*text = sv_skip(*text, n);
		(*line)++;
	}
	return false;
}

/* Length of the logical line at the beginning of s: with the lines behind it that begin with white space. */
static size_t logical_len(struct sv s, unsigned *lines)
{
	size_t n = to_line_end(s), end = n;

	*lines = 1;
	for (unsigned more = 2; n < s.n; more++) {
		size_t m = to_line_end(sv_skip(s, n));
		struct sv t = sv_trim(sv_of(s.p + n, m));

		/* Comment and empty lines between continuation lines do not end the entry (aliases(5)). */
		if (t.n > 0 && t.p[0] != '#') {
			if (s.p[n] != ' ' && s.p[n] != '\t')
				break;
			end = n + m;
			*lines = more;
		}
		n += m;
	}
	return end;
}

/* Cuts the comment lines out of a logical line. */
static int without_comments(struct arena *a, struct sv s, struct sv *out)
{
	char *to = arena_alloc(a, s.n + 1);
	size_t n = 0;

	if (!to)
		return ERR_LIMIT;
	while (s.n > 0) {
		size_t m = to_line_end(s);
		struct sv t = sv_trim(sv_head(s, m));

		if (t.n > 0 && t.p[0] != '#') {
			memcpy(to + n, s.p, m);
			n += m;
		}
		s = sv_skip(s, m);
	}
	*out = sv_of(to, n);
	return 0;
}

int alias_next_entry(struct arena *a, struct sv *text, unsigned *line, unsigned *at, struct sv *name, struct sv *value)
{
	struct sv all, key, plain;
	unsigned lines;
	bool quoted = false;
	size_t n, colon;

	if (!skip_idle_lines(text, line))
		return 0;
	*at = *line + 1;
	n = logical_len(*text, &lines);
	*line += lines;
	if (without_comments(a, sv_head(*text, n), &all) < 0)
		return ERR_LIMIT;
	*text = sv_skip(*text, n);
	for (colon = 0; colon < all.n && (quoted || all.p[colon] != ':'); colon++) {
		if (all.p[colon] == '\\' && quoted)
			colon++;
		else if (all.p[colon] == '"')
			quoted = !quoted;
	}
	if (colon >= all.n || ascii_isspace((unsigned char)all.p[0]))
		return ERR_SYNTAX;
	key = sv_trim(sv_head(all, colon));
	if (key.n > 0 && key.p[0] == '"') {
		if (!unquote(a, key, &plain))
			return ERR_SYNTAX;
		key = plain;
	}
	if (key.n == 0)
		return ERR_SYNTAX;
	*name = key;
	*value = sv_trim(sv_skip(all, colon + 1));
	return 1;
}
