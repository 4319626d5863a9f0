#include "message/addr.h"

#define LIST_FIRST 8 /* entries that the list begins with; doubled as needed */

enum tok_kind { TOK_END, TOK_ATOM, TOK_QUOTED, TOK_LITERAL, TOK_COMMENT, TOK_SPECIAL };

struct tok {
	enum tok_kind kind;
	char c;		/* TOK_SPECIAL: which of < > @ , : ; . */
	bool spaced;	/* white space or a comment stood before it */
	bool bad;	/* not closed, or a stray byte */
	size_t at;	/* where it begins in the text */
	struct sv body; /* without quotes or parentheses, backslashes still there; a literal with its brackets */
};

static bool is_special(char c)
{
	return c == '<' || c == '>' || c == '@' || c == ',' || c == ':' || c == ';' || c == '.';
}

static bool ends_atom(char c)
{
	return is_special(c) || ascii_isspace((unsigned char)c) || c == '"' || c == '(' || c == ')' || c == '[' ||
	       c == ']';
}

/* Body of a token that `close` ends; *i stands behind the opening byte and is left behind the closing one. */
static void scan_delimited(struct sv s, size_t *i, char open, char close, struct tok *t)
{
	size_t start = *i, depth = 1;

	for (; *i < s.n; (*i)++) {
		char c = s.p[*i];

		if (c == '\\' && *i + 1 < s.n) {
			(*i)++;
		} else if (c == close && --depth == 0) {
			t->body = sv_of(s.p + start, *i - start);
			(*i)++;
			return;
		} else if (open && c == open) {
			depth++;
		}
	}
	t->body = sv_of(s.p + start, *i - start);
	t->bad = true;
}

/* The token at *i; *i is left behind it. */
static void next_tok(struct sv s, size_t *i, struct tok *t)
{
	size_t from = *i;

	while (*i < s.n && ascii_isspace((unsigned char)s.p[*i]))
		(*i)++;
	*t = (struct tok){.kind = TOK_END, .spaced = *i > from, .at = *i, .body = sv_of(s.p + *i, 0)};
	if (*i >= s.n)
		return;
	char c = s.p[*i];

	if (c == '"' || c == '(' || c == '[') {
		t->kind = c == '"' ? TOK_QUOTED : c == '(' ? TOK_COMMENT : TOK_LITERAL;
		(*i)++;
		scan_delimited(s, i, c == '(' ? '(' : 0, c == '"' ? '"' : c == '(' ? ')' : ']', t);
		if (c == '[')
			t->body = sv_of(s.p + t->at, *i - t->at);
		return;
	}
	if (is_special(c)) {
		t->kind = TOK_SPECIAL;
		t->c = c;
		t->body = sv_of(s.p + *i, 1);
		(*i)++;
		return;
	}
	t->kind = TOK_ATOM;
	t->bad = c == ')' || c == ']';
	do {
		*i += s.p[*i] == '\\' && *i + 1 < s.n ? 2 : 1;
	} while (*i < s.n && !ends_atom(s.p[*i]));
	t->body = sv_of(s.p + t->at, *i - t->at);
}

struct parser {
	struct arena *arena;
	struct sv text;
	size_t at;
	struct addr_list list;
	size_t cap, max;
	bool full; /* arena used up */
};

static struct addr *add_entry(struct parser *p, enum addr_kind kind)
{
	if (p->list.n >= p->max) {
		p->list.cut = true;
		return NULL;
	}
	if (p->list.n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : LIST_FIRST;
		struct addr *v = arena_alloc(p->arena, cap * sizeof(*v));

		if (!v) {
			p->full = true;
			return NULL;
		}
		if (p->list.n > 0)
			memcpy(v, p->list.v, p->list.n * sizeof(*v));
		p->list.v = v;
		p->cap = cap;
	}
	struct addr *a = &p->list.v[p->list.n++];

	*a = (struct addr){.kind = kind};
	return a;
}

/* Copies a token's body without its backslashes; folding inside a quoted string goes too. */
static size_t put_body(char *to, const struct tok *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->body.n; i++) {
		char c = t->body.p[i];

		if (c == '\\' && i + 1 < t->body.n)
			c = t->body.p[++i];
		else if (t->kind != TOK_ATOM && (c == '\r' || c == '\n'))
			continue;
		to[n++] = c;
	}
	return n;
}

enum join { JOIN_PHRASE, JOIN_LOCAL, JOIN_DOMAIN };

/*
 * The text of the tokens between two places, comments left out.  Phrases and stray words keep one blank where white
 * space stood; around the dots and in the domain of an address white space means nothing (RFC 5322 section 4.4).  *odd
 * is set when the tokens are not what this part of an address consists of.
 */
static struct sv join(struct parser *p, size_t from, size_t to, enum join how, bool *odd)
{
	struct sv region = sv_of(p->text.p + from, to - from);
	char *out = arena_alloc(p->arena, region.n + 1);
	size_t i = 0, n = 0;
	bool dot = true, space = false;

	if (!out) {
		p->full = true;
		return SV_NONE;
	}
	for (;;) {
		struct tok t;

		next_tok(region, &i, &t);
		space |= t.spaced || t.kind == TOK_COMMENT;
		if (t.kind == TOK_END)
			break;
		if (t.kind == TOK_COMMENT)
			continue;
		bool is_dot = t.kind == TOK_SPECIAL && t.c == '.';
		bool wrong = t.bad || (t.kind == TOK_SPECIAL && !is_dot) ||
			     (t.kind == TOK_QUOTED && how == JOIN_DOMAIN) ||
			     (t.kind == TOK_LITERAL && (how != JOIN_DOMAIN || n > 0)) ||
			     (how == JOIN_DOMAIN && sv_chr(t.body, '\\') >= 0);

		if (how == JOIN_PHRASE) {
			if (n > 0 && space)
				out[n++] = ' ';
		} else {
			wrong |= n == 0 ? is_dot : dot == is_dot;
			if (n > 0 && !dot && !is_dot && space)
				out[n++] = ' ';
		}
		if (wrong)
			*odd = true;
		dot = is_dot;
		space = false;
		n += put_body(out + n, &t);
	}
	if (how != JOIN_PHRASE && n > 0 && dot)
		*odd = true;
	return sv_of(out, n);
}

/* What one element of the list looks like: places in the text. */
struct shape {
	size_t begin, end; /* the element without its separator */
	size_t lt, gt;	   /* angle brackets; SIZE_MAX when absent */
	size_t at;	   /* last '@' outside (or, with brackets, inside) of them */
	size_t route_end;  /* behind the ':' of a route, else lt + 1 */
	struct tok comment;
	char stop; /* separator: ',' ';' ':' or 0 at the end of the text */
	bool any, odd;
};

#define NOWHERE SIZE_MAX

static void note_comment(struct shape *sh, const struct tok *t)
{
	if (sh->comment.kind == TOK_END)
		sh->comment = *t;
}

/* Scans what stands in angle brackets; p->at is behind '<'. */
static void scan_angle(struct parser *p, struct shape *sh)
{
	bool route = false, first = true;
	struct tok t;

	sh->at = NOWHERE;
	sh->route_end = p->at;
	for (;;) {
		size_t before = p->at;

		next_tok(p->text, &p->at, &t);
		if (t.kind == TOK_COMMENT) {
			note_comment(sh, &t);
			continue;
		}
		if (t.kind == TOK_END) {
			sh->gt = p->text.n;
			sh->odd = true;
			return;
		}
		if (t.kind == TOK_SPECIAL && t.c == '>') {
			sh->gt = t.at;
			return;
		}
		if (t.kind == TOK_SPECIAL && first && t.c == '@') {
			route = true;
		} else if (t.kind == TOK_SPECIAL && t.c == ':' && route) {
			route = false;
			sh->at = NOWHERE;
			sh->route_end = p->at;
		} else if (t.kind == TOK_SPECIAL && (t.c == ',' || t.c == ';') && !route) {
			p->at = before; /* not closed: the separator ends it */
			sh->gt = t.at;
			sh->odd = true;
			return;
		} else if (t.kind == TOK_SPECIAL && t.c == '<' && first) {
			sh->lt = t.at; /* "<<a@b>>" */
			sh->route_end = p->at;
			sh->odd = true;
			continue;
		}
		if (t.kind == TOK_SPECIAL && t.c == '@')
			sh->at = t.at;
		first = false;
	}
}

/* Scans one element up to its separator. */
static void scan_element(struct parser *p, bool in_group, struct shape *sh)
{
	struct tok t;

	*sh = (struct shape){.begin = p->at, .lt = NOWHERE, .gt = NOWHERE, .at = NOWHERE};
	for (;;) {
		next_tok(p->text, &p->at, &t);
		sh->end = t.at;
		if (t.kind == TOK_END)
			return;
		if (t.kind == TOK_COMMENT) {
			note_comment(sh, &t);
			continue;
		}
		if (t.kind == TOK_SPECIAL && (t.c == ',' || t.c == ';')) {
			sh->stop = t.c;
			return;
		}
		if (t.kind == TOK_SPECIAL && t.c == ':' && !in_group && sh->any && sh->at == NOWHERE &&
		    sh->lt == NOWHERE) {
			sh->stop = ':';
			return;
		}
		sh->any = true;
		if (t.kind == TOK_SPECIAL && t.c == '<' && sh->lt == NOWHERE) {
			sh->lt = t.at;
			scan_angle(p, sh);
		} else if (sh->lt != NOWHERE) {
			sh->odd |= t.kind != TOK_SPECIAL || t.c != '>';
		} else if (t.kind == TOK_SPECIAL && t.c == '@') {
			sh->at = t.at;
		}
	}
}

static void take_comment(struct parser *p, const struct shape *sh, struct addr *a)
{
	char *out;

	if (sh->comment.kind == TOK_END)
		return;
	out = arena_alloc(p->arena, sh->comment.body.n + 1);
	if (!out) {
		p->full = true;
		return;
	}
	a->name = sv_trim(sv_of(out, put_body(out, &sh->comment)));
	a->comment = true;
}

static void build_mailbox(struct parser *p, const struct shape *sh, struct addr *a)
{
	size_t from = sh->begin, to = sh->end;
	bool ignored = false;

	a->odd = sh->odd;
	if (sh->lt != NOWHERE) {
		a->angle = true;
		a->name = join(p, sh->begin, sh->lt, JOIN_PHRASE, &ignored);
		from = sh->route_end;
		to = sh->gt;
		if (sh->route_end > sh->lt + 1)
			a->route = join(p, sh->lt + 1, sh->route_end - 1, JOIN_PHRASE, &ignored);
	}
	if (sh->at == NOWHERE) {
		a->local = join(p, from, to, JOIN_LOCAL, &a->odd);
		a->odd |= a->local.n == 0 && !a->angle;
	} else {
		a->local = join(p, from, sh->at, JOIN_LOCAL, &a->odd);
		a->domain = join(p, sh->at + 1, to, JOIN_DOMAIN, &a->odd);
		a->odd |= a->local.n == 0 || a->domain.n == 0;
	}
	if (a->name.n == 0)
		take_comment(p, sh, a);
}

int addr_parse(struct arena *arena, struct sv text, size_t max, struct addr_list *out)
{
	struct parser p = {.arena = arena, .text = text, .max = max};
	bool in_group = false;

	if (text.n > ADDR_TEXT_MAX)
		return ERR_LIMIT;
	while (p.at < text.n && !p.full && !p.list.cut) {
		struct shape sh;
		struct addr *a;

		scan_element(&p, in_group, &sh);
		if (sh.any) {
			a = add_entry(&p, sh.stop == ':' ? ADDR_GROUP_BEGIN : ADDR_MAILBOX);
			if (!a)
				break;
			if (sh.stop == ':') {
				bool ignored = false;

				a->name = join(&p, sh.begin, sh.end, JOIN_PHRASE, &ignored);
				in_group = true;
			} else {
				build_mailbox(&p, &sh, a);
			}
		}
		if (in_group && sh.stop != ':' && sh.stop != ',') {
			add_entry(&p, ADDR_GROUP_END); /* at ';', or at the end of the text */
			in_group = false;
		}
	}
	if (in_group && !p.full && !p.list.cut)
		add_entry(&p, ADDR_GROUP_END);
	if (p.full)
		return ERR_LIMIT;
	*out = p.list;
	return 0;
}

int addr_parse_one(struct arena *arena, struct sv text, struct addr *out)
{
	struct addr_list l;
	int rc = addr_parse(arena, text, 2, &l);

	if (rc < 0)
		return rc;
	if (l.n != 1 || l.v[0].kind != ADDR_MAILBOX || l.v[0].odd)
		return ERR_SYNTAX;
	*out = l.v[0];
	return 0;
}

static bool has_control(struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 32 || c == 127)
			return true;
	}
	return false;
}

/* A domain of bytes that cannot be taken for another part of an address; brackets only around a literal. */
static bool domain_ok(struct sv d)
{
	bool literal = d.n > 2 && d.p[0] == '[' && d.p[d.n - 1] == ']';

	if (literal)
		d = sv_of(d.p + 1, d.n - 2);
	for (size_t i = 0; i < d.n; i++) {
		unsigned char c = (unsigned char)d.p[i];

		if (c <= 32 || c == 127 || memchr("@<>()[]\\\",;", c, 11) || (c == ':' && !literal))
			return false;
	}
	return true;
}

bool addr_ok(const struct addr *a)
{
	return a->kind == ADDR_MAILBOX && !a->odd && a->local.n > 0 && a->local.n <= ADDR_LOCAL_MAX &&
	       a->domain.n <= ADDR_DOMAIN_MAX && !has_control(a->local) && domain_ok(a->domain);
}

int addr_internal(struct buf *out, const struct addr *a)
{
	size_t mark = out->n;

	if (buf_addsv(out, a->local) < 0)
		return ERR_LIMIT;
	if (a->domain.n > 0 && (buf_addc(out, '@') < 0 || buf_addsv(out, a->domain) < 0)) {
		out->n = mark;
		return ERR_LIMIT;
	}
	return 0;
}

static bool is_atext(char ch)
{
	unsigned char c = (unsigned char)ch;

	return c > 32 && c != 127 && !ends_atom(ch) && c != '\\';
}

static bool is_dot_atom(struct sv s)
{
	bool dot = true;

	for (size_t i = 0; i < s.n; i++) {
		bool is_dot = s.p[i] == '.';

		if ((is_dot && dot) || (!is_dot && !is_atext(s.p[i])))
			return false;
		dot = is_dot;
	}
	return s.n > 0 && !dot;
}

static int put_quoted(struct buf *out, struct sv s)
{
	size_t mark = out->n;

	if (buf_addc(out, '"') < 0)
		return ERR_LIMIT;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (((c == '"' || c == '\\') && buf_addc(out, '\\') < 0) || buf_addc(out, c) < 0)
			goto full;
	}
	if (buf_addc(out, '"') == 0)
		return 0;
full:
	out->n = mark;
	return ERR_LIMIT;
}

int addr_quote_local(struct buf *out, struct sv local)
{
	return is_dot_atom(local) ? buf_addsv(out, local) : put_quoted(out, local);
}

int addr_external(struct buf *out, struct sv internal)
{
	size_t mark = out->n;
	struct sv local, domain;

	if (internal.n == 0)
		return 0;
	addr_split(internal, &local, &domain);
	if (addr_quote_local(out, local) < 0 ||
	    (domain.n > 0 && (buf_addc(out, '@') < 0 || buf_addsv(out, domain) < 0))) {
		out->n = mark;
		return ERR_LIMIT;
	}
	return 0;
}

int addr_quote_phrase(struct buf *out, struct sv name)
{
	bool plain = name.n > 0;

	for (size_t i = 0; i < name.n && plain; i++)
		plain = is_atext(name.p[i]) || (name.p[i] == ' ' && i > 0 && i + 1 < name.n && name.p[i - 1] != ' ');
	return plain ? buf_addsv(out, name) : put_quoted(out, name);
}

void addr_split(struct sv internal, struct sv *local, struct sv *domain)
{
	ssize_t at = sv_rchr(internal, '@');

	*local = at < 0 ? internal : sv_head(internal, (size_t)at);
	*domain = at < 0 ? sv_head(internal, 0) : sv_skip(internal, (size_t)at + 1);
}
