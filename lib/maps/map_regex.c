/* map_regex.c - regexp:file (POSIX expressions) and pcre:file (PCRE2). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/base.h"

#include <pcre2.h>
#include <regex.h>

#include "maps/map_rules.h"

#define WHY_SIZE 160
#define PCRE_MATCH_LIMIT 1000000 /* steps of one match: bad patterns end as ERR_TEMP instead of standing still */
#define PCRE_HEAP_LIMIT 4096	 /* KiB of one match */

/*
 * regcomp(3) of glibc copies what is repeated ("x{9}" nine times, "x+" once more) and calls itself for each '(': a
 * short pattern can take all memory or the whole stack.  So its size is estimated first.
 */
#define POSIX_COST_MAX 100000 /* copies of single characters */
#define POSIX_DEPTH_MAX 200   /* '(' inside '(' */

static uint64_t capped(uint64_t v)
{
	return v > POSIX_COST_MAX ? POSIX_COST_MAX + 1 : v;
}

/* The factor of a repetition operator at the start of *s, which is skipped; 0 when there is none. */
static uint64_t posix_repeat(struct sv *s)
{
	uint64_t low = 0, high = 0;
	size_t i = 1;
	if (s->n == 0 || !strchr("*?+{", s->p[0]))
		return 0;
	char op = s->p[0];
	if (op != '{') {
		*s = sv_skip(*s, 1);
		return op == '+' ? 2 : 1;
	}
	for (; i < s->n && ascii_isdigit((unsigned char)s->p[i]); i++)
		low = capped(low * 10 + (uint64_t)(s->p[i] - '0'));
	if (i < s->n && s->p[i] == ',')
		for (i++; i < s->n && ascii_isdigit((unsigned char)s->p[i]); i++)
			high = capped(high * 10 + (uint64_t)(s->p[i] - '0'));
	*s = sv_skip(*s, i < s->n && s->p[i] == '}' ? i + 1 : 1);
	return 1 + (high > low ? high : low);
}

/* Skips a bracket expression, whose ']' may stand first. */
static void posix_skip_class(struct sv *s)
{
	size_t i = 1;
	if (i < s->n && s->p[i] == '^')
		i++;
	if (i < s->n)
		i++;
	while (i < s->n && s->p[i] != ']')
		i++;
	*s = sv_skip(*s, i + 1);
}

/* Estimate of a pattern up to its end or the ')' that closes the group. */
static uint64_t posix_cost(struct sv *s, unsigned depth)
{
	uint64_t total = 0, factor;
	if (depth > POSIX_DEPTH_MAX)
		return POSIX_COST_MAX + 1;
	while (s->n > 0 && total <= POSIX_COST_MAX) {
		uint64_t atom = 1;
		char c = s->p[0];
		if (c == ')' && depth > 0)
			return total;
		if (c == '[') {
			posix_skip_class(s);
		} else if (c == '(') {
			*s = sv_skip(*s, 1);
			atom = 1 + posix_cost(s, depth + 1);
			*s = sv_skip(*s, 1);
		} else {
			*s = sv_skip(*s, c == '\\' ? 2 : 1);
		}
		while ((factor = posix_repeat(s)) > 0)
			atom = capped(atom * factor);
		total = capped(total + atom);
	}
	return total;
}

struct posix_pattern {
	regex_t re;
	unsigned ngroups;
};

static int posix_compile(struct sv *rest, void **pattern, unsigned *ngroups, char *why)
{
	struct sv text, flags;
	int options = REG_EXTENDED | REG_ICASE;
	int r = rules_cut_delimited(rest, &text, &flags, why);
	if (r < 0)
		return r;
	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i': options ^= REG_ICASE; break;
		case 'm': options ^= REG_NEWLINE; break;
		case 'x': options ^= REG_EXTENDED; break;
		default:
			(void)snprintf(why, WHY_SIZE, "unknown regexp option \"%c\": skipping this rule", flags.p[i]);
			return ERR_SYNTAX;
		}
	}
	struct sv rest_of_pattern = text;
	if (posix_cost(&rest_of_pattern, 0) > POSIX_COST_MAX) {
		(void)snprintf(why, WHY_SIZE, "the repetitions of the pattern are too many: skipping this rule");
		return ERR_SYNTAX;
	}
	CLEANUP(freep) char *source = sv_dup(text);
	struct posix_pattern *p = xcalloc(1, sizeof(*p));
	int rc = regcomp(&p->re, source, options);
	if (rc != 0 || p->re.re_nsub >= RULE_GROUPS) {
		if (rc != 0)
			(void)regerror(rc, &p->re, why, WHY_SIZE);
		else
			(void)snprintf(why, WHY_SIZE, "more than %d groups: skipping this rule", RULE_GROUPS - 1);
		if (rc == 0)
			regfree(&p->re);
		free(p);
		return ERR_SYNTAX;
	}
	*ngroups = p->ngroups = (unsigned)p->re.re_nsub;
	*pattern = p;
	return 0;
}

static int posix_match(const void *pattern, struct rule_match *m)
{
	const struct posix_pattern *p = pattern;
	MAP_SCRATCH regmatch_t g[RULE_GROUPS];
	g[0].rm_so = 0;
	g[0].rm_eo = (regoff_t)m->key.n;
	int rc = regexec(&p->re, m->key.p, p->ngroups + 1, g, REG_STARTEND);
	if (rc == REG_NOMATCH)
		return 0;
	if (rc != 0)
		return ERR_TEMP;
	for (unsigned i = 0; i <= p->ngroups; i++)
		m->group[i] =
		    g[i].rm_so < 0 ? SV_NONE : sv_of(m->key.p + g[i].rm_so, (size_t)(g[i].rm_eo - g[i].rm_so));
	return 1;
}

static void posix_free(void *pattern)
{
	struct posix_pattern *p = pattern;
	regfree(&p->re);
	free(p);
}

struct pcre_pattern {
	pcre2_code *code;
	unsigned ngroups;
};

/* One for all patterns of a table: each would keep 20 KiB of frames from its first match on. */
struct pcre_shared {
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

static void *pcre_shared_new(void)
{
	struct pcre_shared *s = xcalloc(1, sizeof(*s));
	s->data = pcre2_match_data_create(RULE_GROUPS, NULL);
	s->limits = pcre2_match_context_create(NULL);
	BUG_ON(!s->data || !s->limits);
	(void)pcre2_set_match_limit(s->limits, PCRE_MATCH_LIMIT);
	(void)pcre2_set_heap_limit(s->limits, PCRE_HEAP_LIMIT);
	return s;
}

static void pcre_shared_free(void *shared)
{
	struct pcre_shared *s = shared;
	pcre2_match_context_free(s->limits);
	pcre2_match_data_free(s->data);
	free(s);
}

static const struct {
	char flag;
	uint32_t option;
} pcre_flags[] = {{'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL}, {'x', PCRE2_EXTENDED},
    {'A', PCRE2_ANCHORED}, {'E', PCRE2_DOLLAR_ENDONLY}, {'U', PCRE2_UNGREEDY}, {'X', 0}};

static int pcre_options(struct sv flags, uint32_t *options, char *why)
{
	*options = PCRE2_CASELESS | PCRE2_DOTALL;
	for (size_t i = 0; i < flags.n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(pcre_flags) && pcre_flags[k].flag != flags.p[i])
			k++;
		if (k == ARRAY_LEN(pcre_flags)) {
			(void)snprintf(why, WHY_SIZE, "unknown regexp option \"%c\": skipping this rule", flags.p[i]);
			return ERR_SYNTAX;
		}
		*options ^= pcre_flags[k].option;
	}
	return 0;
}

static void pcre_free(void *pattern)
{
	struct pcre_pattern *p = pattern;
	pcre2_code_free(p->code);
	free(p);
}

static int pcre_compile(struct sv *rest, void **pattern, unsigned *ngroups, char *why)
{
	struct sv text, flags;
	uint32_t options = 0, groups = 0;
	int code = 0;
	size_t at = 0;
	int r = rules_cut_delimited(rest, &text, &flags, why);
	if (r == 0)
		r = pcre_options(flags, &options, why);
	if (r < 0)
		return r;
	pcre2_code *re = pcre2_compile((PCRE2_SPTR)text.p, text.n, options, &code, &at, NULL);
	if (!re) {
		unsigned char message[100] = "";
		(void)pcre2_get_error_message(code, message, sizeof(message));
		(void)snprintf(why, WHY_SIZE, "error in regex at offset %zu: %s", at, (const char *)message);
		return ERR_SYNTAX;
	}
	(void)pcre2_pattern_info(re, PCRE2_INFO_CAPTURECOUNT, &groups);
	struct pcre_pattern *p = xcalloc(1, sizeof(*p));
	p->code = re;
	p->ngroups = groups;
	if (groups >= RULE_GROUPS) {
		pcre_free(p);
		(void)snprintf(why, WHY_SIZE, "more than %d groups: skipping this rule", RULE_GROUPS - 1);
		return ERR_SYNTAX;
	}
	*ngroups = groups;
	*pattern = p;
	return 0;
}

static int pcre_match(const void *pattern, struct rule_match *m)
{
	const struct pcre_pattern *p = pattern;
	const struct pcre_shared *s = m->shared;
	int rc = pcre2_match(p->code, (PCRE2_SPTR)m->key.p, m->key.n, 0, 0, s->data, s->limits);
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0)
		return ERR_TEMP;
	const size_t *v = pcre2_get_ovector_pointer(s->data);
	for (unsigned i = 0; i <= p->ngroups; i++) {
		bool set = i < (unsigned)rc && v[2 * i] != PCRE2_UNSET;
		m->group[i] = set ? sv_of(m->key.p + v[2 * i], v[2 * i + 1] - v[2 * i]) : SV_NONE;
	}
	return 1;
}

static const struct rules_lang posix_lang = {
    .compile = posix_compile, .match = posix_match, .free = posix_free, .groups = true};
static const struct rules_lang pcre_lang = {.compile = pcre_compile,
    .match = pcre_match,
    .free = pcre_free,
    .shared_new = pcre_shared_new,
    .shared_free = pcre_shared_free,
    .groups = true};

static int regexp_open(struct map_open *o, void **ctx, struct err *err)
{
	return rules_open(o, &posix_lang, ctx, err);
}

static int pcre_open(struct map_open *o, void **ctx, struct err *err)
{
	return rules_open(o, &pcre_lang, ctx, err);
}

const struct map_kind map_kind_regexp = {
    .name = "regexp", .file = true, .open = regexp_open, .lookup = rules_lookup, .close = rules_close};
const struct map_kind map_kind_pcre = {
    .name = "pcre", .file = true, .open = pcre_open, .lookup = rules_lookup, .close = rules_close};
