/* conf_expand.c - $ expressions; see conf_expand.h. */
#include "conf/conf_expand.h"

#include "base/num.h"

struct expand {
	unsigned flags;
	conf_lookup_fn *lookup; /* NULL: only names are wanted */
	void (*name)(void *ctx, struct sv name);
	void *ctx;
	struct buf *out;
	struct err *err;
	unsigned steps;
};

static int expand_text(struct expand *x, struct sv text, unsigned depth, struct buf *out);

static bool is_name(char c)
{
	return ascii_isalnum((unsigned char)c) || c == '_';
}

static struct sv skip_space(struct sv s)
{
	while (s.n > 0 && ascii_isspace((unsigned char)s.p[0]))
		s = sv_skip(s, 1);
	return s;
}

static int bad(struct expand *x, const char *what, struct sv at)
{
	return err_set(x->err, ERR_SYNTAX, "%s at \"" SV_FMT "\"", what, SV_ARG(sv_head(at, 60)));
}

/* Length of the bracketed text at the start of s, with its brackets; 0 when they do not balance. */
static size_t balanced(struct sv s, char open, char close)
{
	size_t depth = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == open)
			depth++;
		else if (s.p[i] == close && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Takes "{payload}" from *s; the payload keeps its white space. */
static int take_payload(struct expand *x, struct sv *s, struct sv *payload)
{
	size_t n = s->n > 0 && s->p[0] == '{' ? balanced(*s, '{', '}') : 0;
	if (n == 0)
		return bad(x, "\"{value}\" expected", *s);
	*payload = sv_of(s->p + 1, n - 2);
	*s = sv_skip(*s, n);
	return 0;
}

/*
 * What follows the name or the comparison inside ${ }: sets the two texts; *given tells that there were any.  Without
 * braces the text is all that is left, ':' included.
 */
static int take_branches(struct expand *x, struct sv s, struct sv *yes, struct sv *no, bool *given)
{
	struct sv rest = skip_space(s);
	int r = 0;
	*yes = *no = SV("");
	*given = rest.n > 0;
	if (rest.n == 0)
		return 0;
	char op = rest.p[0];
	if (op != '?' && op != ':')
		return bad(x, "\"?\" or \":\" expected", rest);
	rest = sv_skip(rest, 1);
	struct sv *first = op == '?' ? yes : no;
	struct sv braces = skip_space(rest);
	if (braces.n == 0 || braces.p[0] != '{') {
		*first = rest;
		return 0;
	}
	r = take_payload(x, &braces, first);
	if (r < 0)
		return r;
	braces = skip_space(braces);
	if (braces.n == 0)
		return 0;
	if (op != '?' || braces.p[0] != ':')
		return bad(x, op == '?' ? "\":\" expected" : "unexpected text", braces);
	braces = sv_skip(braces, 1);
	struct sv other = skip_space(braces);
	if (other.n == 0 || other.p[0] != '{') {
		*no = braces;
		return 0;
	}
	r = take_payload(x, &other, no);
	if (r == 0 && skip_space(other).n > 0)
		return bad(x, "unexpected text", other);
	return r;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Compatibility levels: up to three numbers separated by dots.  False when it is none. */
static bool parse_level(struct sv s, uint64_t level[3])
{
	struct sv rest = sv_trim(s);
	level[0] = level[1] = level[2] = 0;
	for (int i = 0; rest.p; i++) {
		struct sv part = sv_cut(&rest, ".");
		if (i == 3 || num_u64(part, &level[i]) < 0)
			return false;
	}
	return true;
}

static int compare_levels(struct expand *x, struct sv left, struct sv right, int *cmp)
{
	uint64_t a[3], b[3];
	if (!parse_level(left, a) || !parse_level(right, b))
		return bad(x, "bad compatibility level", parse_level(left, a) ? right : left);
	*cmp = 0;
	for (int i = 0; i < 3 && *cmp == 0; i++)
		*cmp = cmp_u64(a[i], b[i]);
	return 0;
}

static int compare_plain(struct sv left, struct sv right)
{
	uint64_t a, b;
	if (num_u64(left, &a) == 0 && num_u64(right, &b) == 0)
		return cmp_u64(a, b);
	size_t n = left.n < right.n ? left.n : right.n;
	int r = n ? memcmp(left.p, right.p, n) : 0;
	return r ? r : cmp_u64(left.n, right.n);
}

/* Bits of the results for which an operator holds: 1 less, 2 equal, 4 greater.  Longer names first. */
static const struct relation {
	const char *name;
	unsigned holds;
	bool level;
} relations[] = {
    {"==level", 2, true},
    {"!=level", 5, true},
    {"<=level", 3, true},
    {">=level", 6, true},
    {"<level", 1, true},
    {">level", 4, true},
    {"==", 2, false},
    {"!=", 5, false},
    {"<=", 3, false},
    {">=", 6, false},
    {"<", 1, false},
    {">", 4, false},
};

static int expand_operand(struct expand *x, struct sv *s, unsigned depth, struct buf *out)
{
	struct sv payload = SV_NONE;
	int r = take_payload(x, s, &payload);
	return r < 0 ? r : expand_text(x, payload, depth + 1, out);
}

/* "{left} op {right}" at the start of *s; *truth is what it says. */
static int eval_relation(struct expand *x, struct sv *s, unsigned depth, bool *truth)
{
	CLEANUP(buf_freep) struct buf left = BUF_INIT(x->out->max);
	CLEANUP(buf_freep) struct buf right = BUF_INIT(x->out->max);
	const struct relation *rel = NULL;
	int cmp = 0;
	int r = expand_operand(x, s, depth, &left);
	if (r < 0)
		return r;
	*s = skip_space(*s);
	for (size_t i = 0; i < ARRAY_LEN(relations) && !rel; i++)
		if (sv_starts(*s, sv_str(relations[i].name)))
			rel = &relations[i];
	if (!rel)
		return bad(x, "one of == != < <= >= > expected", *s);
	*s = skip_space(sv_skip(*s, strlen(rel->name)));
	r = expand_operand(x, s, depth, &right);
	if (r < 0)
		return r;
	if (!x->lookup) {
		*truth = true;
		return 0;
	}
	if (rel->level)
		r = compare_levels(x, buf_sv(&left), buf_sv(&right), &cmp);
	else
		cmp = compare_plain(buf_sv(&left), buf_sv(&right));
	if (r == 0)
		*truth = rel->holds & (cmp < 0 ? 1u : cmp == 0 ? 2u : 4u);
	return r;
}

static int find_value(struct expand *x, struct sv name, struct sv *value)
{
	*value = SV("");
	if (++x->steps > CONF_EXPAND_STEPS)
		return err_set(x->err, ERR_LIMIT, "more than %d names in one value", CONF_EXPAND_STEPS);
	if (!x->lookup) {
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): who has no lookup has name */
		x->name(x->ctx, name);
		return 0;
	}
	if (!x->lookup(x->ctx, name, value) && (x->flags & CONF_EXPAND_STRICT))
		return err_set(x->err, ERR_NOT_FOUND, "unknown name $" SV_FMT, SV_ARG(sv_head(name, 100)));
	return 0;
}

static int put_value(struct expand *x, struct sv value, unsigned depth, struct buf *out)
{
	if (x->flags & CONF_EXPAND_RECURSE)
		return expand_text(x, value, depth + 1, out);
	return buf_addsv(out, value) < 0 ? err_set(x->err, ERR_LIMIT, "the value is too long") : 0;
}

/* The inside of ${ } or $( ). */
static int expand_braced(struct expand *x, struct sv in, unsigned depth, struct buf *out)
{
	struct sv s = skip_space(in), value = SV(""), yes, no;
	bool truth = false, given = false;
	bool relation = s.n > 0 && s.p[0] == '{';
	int r;
	if (relation) {
		r = eval_relation(x, &s, depth, &truth);
	} else {
		size_t n = 0;
		while (n < s.n && is_name(s.p[n]))
			n++;
		if (n == 0)
			return bad(x, "empty name", in);
		r = find_value(x, sv_head(s, n), &value);
		truth = value.n > 0;
		s = sv_skip(s, n);
	}
	if (r == 0)
		r = take_branches(x, s, &yes, &no, &given);
	if (r < 0)
		return r;
	if (!given)
		return relation ? expand_text(x, truth ? SV("true") : SV(""), depth + 1, out)
				: put_value(x, value, depth, out);
	if (!x->lookup) { /* names of both branches */
		r = expand_text(x, yes, depth + 1, out);
		return r < 0 ? r : expand_text(x, no, depth + 1, out);
	}
	return expand_text(x, truth ? yes : no, depth + 1, out);
}

/* One expression; *s begins behind its '$'. */
static int expand_one(struct expand *x, struct sv *s, unsigned depth, struct buf *out)
{
	struct sv value;
	if (s->n > 0 && s->p[0] == '$') {
		*s = sv_skip(*s, 1);
		return buf_addc(out, '$') < 0 ? err_set(x->err, ERR_LIMIT, "the value is too long") : 0;
	}
	if (s->n > 0 && (s->p[0] == '{' || s->p[0] == '(')) {
		size_t n = balanced(*s, s->p[0], s->p[0] == '{' ? '}' : ')');
		if (n == 0)
			return bad(x, "no closing bracket", *s);
		struct sv in = sv_of(s->p + 1, n - 2);
		*s = sv_skip(*s, n);
		return expand_braced(x, in, depth, out);
	}
	size_t n = 0;
	while (n < s->n && is_name(s->p[n]))
		n++;
	if (n == 0)
		return bad(x, "'$' without a name (write $$ for a dollar sign)", *s);
	int r = find_value(x, sv_head(*s, n), &value);
	*s = sv_skip(*s, n);
	return r < 0 ? r : put_value(x, value, depth, out);
}

static int expand_text(struct expand *x, struct sv text, unsigned depth, struct buf *out)
{
	int r = 0;
	if (depth > CONF_EXPAND_DEPTH)
		return err_set(x->err, ERR_LIMIT, "names are nested deeper than %d: does one stand for itself?",
		    CONF_EXPAND_DEPTH);
	while (text.n > 0 && r == 0) {
		ssize_t at = sv_chr(text, '$');
		if (buf_addsv(out, at < 0 ? text : sv_head(text, (size_t)at)) < 0)
			return err_set(x->err, ERR_LIMIT, "the value is too long");
		if (at < 0)
			break;
		text = sv_skip(text, (size_t)at + 1);
		r = expand_one(x, &text, depth, out);
	}
	return r;
}

int conf_expand(struct sv text, unsigned flags, conf_lookup_fn *lookup, void *ctx, struct buf *out, struct err *err)
{
	struct expand x = {.flags = flags, .lookup = lookup, .ctx = ctx, .out = out, .err = err};
	return expand_text(&x, text, 0, out);
}

int conf_expand_names(struct sv text, void (*fn)(void *ctx, struct sv name), void *ctx)
{
	CLEANUP(buf_freep) struct buf out = BUF_INIT(text.n * 4 + 64);
	struct expand x = {.name = fn, .ctx = ctx, .out = &out};
	return expand_text(&x, text, 0, &out);
}
