/* map_cidr.c - cidr:file: rules of network patterns; keys are addresses. */
#include "maps/cidr.h"
#include "maps/map_rules.h"

static int compile(struct sv *rest, void **pattern, unsigned *ngroups, char *why)
{
	struct cidr c;
	size_t n = 0;
	while (n < rest->n && !ascii_isspace((unsigned char)rest->p[n]))
		n++;
	int r = cidr_parse(sv_head(*rest, n), &c, why);
	if (r < 0)
		return r;
	*rest = sv_skip(*rest, n);
	*ngroups = 0;
	*pattern = xmalloc(sizeof(c));
	memcpy(*pattern, &c, sizeof(c));
	return 0;
}

static bool begin(struct rule_match *m, void *space)
{
	m->scratch = space;
	return cidr_addr(m->key, space) == 0;
}

static int match(const void *pattern, struct rule_match *m)
{
	const struct cidr *c = pattern;
	const struct cidr_addr *a = m->scratch;
	return c->net.n != a->n ? 2 : cidr_match(c, a);
}

static const struct rules_lang lang = {.compile = compile, .begin = begin, .match = match, .free = free};

static int cidr_open(struct map_open *o, void **ctx, struct err *err)
{
	return rules_open(o, &lang, ctx, err);
}

const struct map_kind map_kind_cidr = {
    .name = "cidr", .file = true, .open = cidr_open, .lookup = rules_lookup, .close = rules_close};
