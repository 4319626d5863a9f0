/* map_plain.c - tables without a file: static:, fail:, environ:, randmap:, and unix: through the caller's hook. */
#include <stdlib.h>
#include <sys/random.h>

#include "conf/conf_lex.h"
#include "maps/map_kind.h"

static int static_open(struct map_open *o, void **ctx, struct err *err)
{
	bool braced = false;
	struct sv value = conf_lex_unbrace(o->name, &braced);
	if (!braced && o->name.p[0] == '{')
		return err_set(
		    err, ERR_SYNTAX, "bad static:{text} syntax: \"" SV_FMT "\"", SV_ARG(sv_head(o->name, 80)));
	*ctx = sv_dup(value);
	return 0;
}

static int static_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	(void)key;
	return buf_adds(value, ctx) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 1;
}

static int fail_open(struct map_open *o, void **ctx, struct err *err)
{
	(void)err;
	*ctx = sv_dup(o->name);
	return 0;
}

static int fail_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	(void)key;
	(void)value;
	return err_set(err, ERR_TEMP, "lookups always fail: %.100s", (const char *)ctx);
}

static int environ_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	CLEANUP(freep) char *name = sv_dup(key);
	const char *v = getenv(name);
	(void)ctx;
	if (!v)
		return 0;
	return buf_adds(value, v) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 1;
}

/* A type that others have: the table is there, and cannot tell. */
static int missing_open(struct map_open *o, void **ctx, struct err *err)
{
	(void)ctx;
	return err_set(err, ERR_TEMP, "type %s is not supported", o->type);
}

#define RAND_MAX_CHOICES 1000

struct rand_map {
	char *text;
	struct sv v[RAND_MAX_CHOICES];
	size_t n;
};

static void rand_close(void *ctx)
{
	struct rand_map *m = ctx;
	free(m->text);
	free(m);
}

static int rand_open(struct map_open *o, void **ctx, struct err *err)
{
	bool braced = false;
	struct rand_map *m = xcalloc(1, sizeof(*m));
	m->text = sv_dup(conf_lex_unbrace(o->name, &braced));
	struct sv rest = sv_str(m->text), word = SV_NONE;
	int got = 0;
	while (braced && m->n < RAND_MAX_CHOICES && (got = conf_lex_word(&rest, ", \t\r\n", &word)) == 1)
		m->v[m->n++] = conf_lex_unbrace(word, NULL);
	if (!braced || got < 0 || m->n == 0) {
		rand_close(m);
		return err_set(err, ERR_SYNTAX, "bad syntax: \"randmap:" SV_FMT "\"; randmap:{value...} is expected",
		    SV_ARG(sv_head(o->name, 80)));
	}
	*ctx = m;
	return 0;
}

static int rand_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	const struct rand_map *m = ctx;
	uint32_t r = 0;
	(void)key;
	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) < 0)
		r = 0;
	return buf_addsv(value, m->v[r % m->n]) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 1;
}

struct unix_map {
	map_unix_fn *fn;
	void *ctx;
	char *name;
};

static int unix_open(struct map_open *o, void **ctx, struct err *err)
{
	void *hook_ctx;
	map_unix_fn *fn = map_store_unix(o->store, &hook_ctx);
	if (!sv_eqs(o->name, "passwd.byname") && !sv_eqs(o->name, "group.byname"))
		return err_set(err, ERR_SYNTAX, "unix:passwd.byname or unix:group.byname is expected");
	if (!fn)
		return err_set(err, ERR_UNSUPPORTED, "unix: tables are not available here");
	struct unix_map *m = xcalloc(1, sizeof(*m));
	*m = (struct unix_map){fn, hook_ctx, sv_dup(o->name)};
	*ctx = m;
	return 0;
}

static int unix_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	struct unix_map *m = ctx;
	return m->fn(m->ctx, m->name, key, value, err);
}

static void unix_close(void *ctx)
{
	struct unix_map *m = ctx;
	free(m->name);
	free(m);
}

const struct map_kind map_kind_static = {
    .name = "static", .fixed = true, .open = static_open, .lookup = static_lookup, .close = free};
const struct map_kind map_kind_fail = {.name = "fail", .open = fail_open, .lookup = fail_lookup, .close = free};
const struct map_kind map_kind_environ = {
    .name = "environ", .open = fail_open, .lookup = environ_lookup, .close = free};
const struct map_kind map_kind_missing = {
    .name = "missing", .open = missing_open, .lookup = fail_lookup, .close = free};
const struct map_kind map_kind_rand = {
    .name = "randmap", .open = rand_open, .lookup = rand_lookup, .close = rand_close};
const struct map_kind map_kind_unix = {
    .name = "unix", .fixed = true, .open = unix_open, .lookup = unix_lookup, .close = unix_close};
