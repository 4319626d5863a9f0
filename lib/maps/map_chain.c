/* map_chain.c - tables made of tables: unionmap:{...}, pipemap:{...}, proxy:type:name. */
#include "conf/conf_lex.h"
#include "maps/map_kind.h"

struct chain {
	struct map *v[MAP_LIST_MAX];
	size_t n;
};

static int chain_open(struct map_open *o, void **ctx, struct err *err)
{
	bool braced = false;
	struct sv rest = conf_lex_unbrace(o->name, &braced), word = SV_NONE;
	struct chain *c = xcalloc(1, sizeof(*c));
	int r = 0, got = 0;
	while (braced && r == 0 && c->n < MAP_LIST_MAX && (got = conf_lex_word(&rest, ", \t\r\n", &word)) == 1)
		r = map_inner(o, word, &c->v[c->n++], err);
	if (r == 0 && (!braced || got < 0 || c->n == 0))
		r = err_set(err, ERR_SYNTAX, "bad syntax: \"%s:" SV_FMT "\"; {type:name...} is expected", o->type,
		    SV_ARG(sv_head(o->name, 80)));
	if (r < 0)
		free(c);
	else
		*ctx = c;
	return r;
}

/* All results, joined with commas. */
static int union_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	const struct chain *c = ctx;
	CLEANUP(buf_freep) struct buf all = BUF_INIT(MAP_VALUE_MAX);
	for (size_t i = 0; i < c->n; i++) {
		CLEANUP(buf_freep) struct buf one = BUF_INIT(MAP_VALUE_MAX);
		int r = map_lookup(c->v[i], key, &one, err);
		if (r < 0)
			return r;
		if (r == 1 && one.n > 0) {
			if (all.n)
				(void)buf_addc(&all, ',');
			(void)buf_addsv(&all, buf_sv(&one));
		}
	}
	if (all.n == 0)
		return 0;
	return all.overflow || buf_addsv(value, buf_sv(&all)) < 0 ? err_set(err, ERR_LIMIT, "the value is too long")
								  : 1;
}

/* The result of each is the key of the next. */
static int pipe_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	const struct chain *c = ctx;
	CLEANUP(buf_freep) struct buf now = BUF_INIT(MAP_VALUE_MAX);
	if (buf_addsv(&now, key) < 0)
		return 0;
	for (size_t i = 0; i < c->n; i++) {
		struct buf next = BUF_INIT(MAP_VALUE_MAX);
		int r = map_lookup(c->v[i], buf_sv(&now), &next, err);
		if (r != 1) {
			buf_free(&next);
			return r;
		}
		buf_free(&now);
		now = next;
	}
	return buf_addsv(value, buf_sv(&now)) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 1;
}

static bool chain_is_fixed(const void *ctx)
{
	const struct chain *c = ctx;
	for (size_t i = 0; i < c->n; i++)
		if (!map_is_fixed(c->v[i]))
			return false;
	return true;
}

static int proxy_open(struct map_open *o, void **ctx, struct err *err)
{
	struct map *inner = NULL;
	int r = map_inner(o, o->name, &inner, err);
	if (r == 0)
		*ctx = inner;
	return r;
}

static int proxy_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	return map_lookup(ctx, key, value, err);
}

static bool proxy_is_fixed(const void *ctx)
{
	return map_is_fixed(ctx);
}

static void proxy_close(void *ctx)
{
	(void)ctx; /* the table inside belongs to the store */
}

const struct map_kind map_kind_union = {
    .name = "unionmap", .is_fixed = chain_is_fixed, .open = chain_open, .lookup = union_lookup, .close = free};
const struct map_kind map_kind_pipe = {
    .name = "pipemap", .is_fixed = chain_is_fixed, .open = chain_open, .lookup = pipe_lookup, .close = free};
const struct map_kind map_kind_proxy = {
    .name = "proxy", .is_fixed = proxy_is_fixed, .open = proxy_open, .lookup = proxy_lookup, .close = proxy_close};
