/* map_rules.c - rule tables; see map_rules.h. */
#include "maps/map_rules.h"

#include "base/num.h"
#include "conf/conf_expand.h"
#include "conf/conf_lex.h"

#define WHY_SIZE 160
#define RULE_SCRATCH 64

enum rule_op { RULE_RESULT, RULE_IF, RULE_ENDIF };

struct rule {
	enum rule_op op;
	bool negated;
	unsigned line;
	void *pattern;
	char *result;
	bool literal; /* no $ in the result */
	size_t end;   /* IF: index of its ENDIF */
};

struct rules {
	const struct rules_lang *lang;
	struct rule *v;
	size_t n, cap;
	void *shared;
};

int rules_cut_delimited(struct sv *rest, struct sv *pattern, struct sv *flags, char *why)
{
	struct sv s = *rest;
	size_t i = 1;
	if (s.n == 0 || ascii_isalnum((unsigned char)s.p[0])) {
		(void)snprintf(why, WHY_SIZE, "no regexp: skipping this rule");
		return ERR_SYNTAX;
	}
	while (i < s.n && s.p[i] != s.p[0])
		i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
	if (i >= s.n) {
		(void)snprintf(why, WHY_SIZE, "no closing regexp delimiter \"%c\": skipping this rule", s.p[0]);
		return ERR_SYNTAX;
	}
	*pattern = sv_of(s.p + 1, i - 1);
	s = sv_skip(s, i + 1);
	for (i = 0; i < s.n && !ascii_isspace((unsigned char)s.p[i]); i++)
		;
	*flags = sv_head(s, i);
	*rest = sv_skip(s, i);
	return 0;
}

struct group_check {
	unsigned ngroups;
	unsigned used;
	char *why;
	bool bad;
};

static void check_group(void *ctx, struct sv name)
{
	struct group_check *c = ctx;
	uint64_t n;
	c->used++;
	if (num_range(name, 1, c->ngroups, &n) < 0) {
		c->bad = true;
		(void)snprintf(c->why, WHY_SIZE, "out of range replacement index \"" SV_FMT "\": skipping this rule",
		    SV_ARG(sv_head(name, 40)));
	}
}

static int check_result(const struct rules_lang *lang, struct sv result, unsigned ngroups, bool negated, char *why)
{
	struct group_check c = {.ngroups = ngroups, .why = why};
	if (!lang->groups)
		return 0;
	if (conf_expand_names(result, check_group, &c) < 0 && !c.bad) {
		(void)snprintf(why, WHY_SIZE, "bad $ expression in the replacement text: skipping this rule");
		return ERR_SYNTAX;
	}
	if (negated && c.used) {
		(void)snprintf(why, WHY_SIZE, "$number found in negative match replacement text: skipping this rule");
		return ERR_SYNTAX;
	}
	return c.bad ? ERR_SYNTAX : 0;
}

static bool keyword(struct sv *line, const char *word)
{
	size_t n = strlen(word);
	if (line->n < n || !sv_ieqs(sv_head(*line, n), word))
		return false;
	if (line->n > n && !ascii_isspace((unsigned char)line->p[n]))
		return false;
	*line = sv_trim(sv_skip(*line, n));
	return true;
}

static int parse_rule(const struct rules_lang *lang, struct sv line, struct rule *r, char *why)
{
	unsigned ngroups = 0;
	r->op = RULE_RESULT;
	if (keyword(&line, "endif")) {
		r->op = RULE_ENDIF;
		return 0;
	}
	if (keyword(&line, "if"))
		r->op = RULE_IF;
	while (line.n > 0 && line.p[0] == '!') {
		r->negated = !r->negated;
		line = sv_trim(sv_skip(line, 1));
	}
	int rc = lang->compile(&line, &r->pattern, &ngroups, why);
	line = sv_trim(line);
	if (rc == 0 && r->op == RULE_RESULT) {
		rc = check_result(lang, line, ngroups, r->negated, why);
		if (rc == 0 && line.n == 0 && !lang->groups) {
			(void)snprintf(why, WHY_SIZE, "no lookup result: skipping this rule");
			rc = ERR_SYNTAX;
		}
		r->literal = !lang->groups || sv_chr(line, '$') < 0;
		r->result = sv_dup(line);
	}
	return rc;
}

static void rule_free(const struct rules_lang *lang, struct rule *r)
{
	if (r->pattern)
		lang->free(r->pattern);
	free(r->result);
}

struct nesting {
	size_t at[RULE_NESTING];
	size_t depth;
};

/* Adds a parsed rule, or says why not. */
static void add_rule(struct rules *t, struct map_open *o, struct rule *r, struct nesting *nest)
{
	if (r->op == RULE_ENDIF && nest->depth == 0) {
		map_note(o, r->line, "ignoring ENDIF without matching IF");
		return;
	}
	if ((r->op == RULE_IF && nest->depth == RULE_NESTING) || t->n == RULES_MAX) {
		map_note(o, r->line, "too many rules: skipping this rule");
		rule_free(t->lang, r);
		return;
	}
	if (r->op == RULE_RESULT && r->result[0] == '\0')
		map_note(o, r->line, "no replacement text: using empty string");
	if (r->op == RULE_IF)
		nest->at[nest->depth++] = t->n;
	else if (r->op == RULE_ENDIF)
		t->v[nest->at[--nest->depth]].end = t->n;
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->v = xreallocarray(t->v, t->cap, sizeof(*t->v));
	}
	t->v[t->n++] = *r;
}

static void parse_text(struct rules *t, struct map_open *o, struct sv text)
{
	struct nesting *nest = xcalloc(1, sizeof(*nest));
	struct conf_lex lex;
	struct sv line_text = SV_NONE;
	unsigned line = 0;
	int got;
	conf_lex_init(&lex, text);
	while ((got = conf_lex_next(&lex, &line_text, &line)) != 0) {
		char why[WHY_SIZE] = "";
		struct rule r = {.line = line};
		if (got < 0) {
			map_note(o, line, "the line is too long or holds a NUL byte");
			continue;
		}
		if (parse_rule(t->lang, sv_trim(line_text), &r, why) < 0) {
			map_note(o, line, "%s", why);
			rule_free(t->lang, &r);
			continue;
		}
		add_rule(t, o, &r, nest);
	}
	while (nest->depth > 0) {
		map_note(o, t->v[nest->at[nest->depth - 1]].line, "IF has no matching ENDIF");
		t->v[nest->at[--nest->depth]].end = t->n;
	}
	conf_lex_clear(&lex);
	free(nest);
}

int rules_open(struct map_open *o, const struct rules_lang *lang, void **ctx, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(MAP_TEXT_MAX);
	int r = map_read_text(o, &text, err);
	if (r < 0)
		return r;
	struct rules *t = xcalloc(1, sizeof(*t));
	t->lang = lang;
	t->shared = lang->shared_new ? lang->shared_new() : NULL;
	parse_text(t, o, buf_sv(&text));
	*ctx = t;
	return 0;
}

void rules_close(void *ctx)
{
	struct rules *t = ctx;
	for (size_t i = 0; i < t->n; i++)
		rule_free(t->lang, &t->v[i]);
	if (t->shared)
		t->lang->shared_free(t->shared);
	free(t->v);
	free(t);
}

static bool group_value(void *ctx, struct sv name, struct sv *value)
{
	const struct rule_match *m = ctx;
	uint64_t n;
	if (num_range(name, 0, RULE_GROUPS - 1, &n) < 0)
		return false;
	*value = m->group[n].p ? m->group[n] : SV("");
	return true;
}

int rules_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	const struct rules *t = ctx;
	struct rule_match m = {.key = key, .shared = t->shared};
	MAP_SCRATCH char text[MAP_KEY_MAX + 1]; /* with a NUL behind it, as regexec(3) likes it */
	char space[RULE_SCRATCH] __attribute__((aligned(16)));
	if (key.n)
		memcpy(text, key.p, key.n);
	text[key.n] = '\0';
	m.key.p = text;
	if (t->lang->begin && !t->lang->begin(&m, space))
		return 0;
	for (size_t i = 0; i < t->n; i++) {
		const struct rule *r = &t->v[i];
		if (r->op == RULE_ENDIF)
			continue;
		int hit = t->lang->match(r->pattern, &m);
		if (hit < 0)
			return err_set(err, ERR_TEMP, "line %u: the pattern needs too much time or memory", r->line);
		bool yes = hit != 2 && (hit == 1) != r->negated;
		if (r->op == RULE_IF) {
			if (!yes)
				i = r->end;
			continue;
		}
		if (!yes)
			continue;
		if (r->literal)
			return buf_adds(value, r->result) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 1;
		int rc = conf_expand(sv_str(r->result), 0, group_value, &m, value, err);
		return rc < 0 ? rc : 1;
	}
	return 0;
}
