/* map_text.c - tables held in memory: texthash:file and inline:{ name=value ... }. */
#include "maps/map_text.h"

#include "base/arena.h"
#include "base/htable.h"
#include "conf/conf_lex.h"
#include "maps/map_source.h"

#define TEXT_ARENA ((size_t)4 * MAP_TEXT_MAX) /* memory of one table */

struct text_entry {
	struct sv key, value;
	UT_hash_handle hh;
};

struct text_map {
	struct text_entry *entries;
	struct arena arena;
};

struct loading {
	struct text_map *t;
	struct map_open *o;
};

static int add(void *ctx, struct sv key, struct sv value, unsigned line)
{
	struct loading *l = ctx;
	struct text_entry *e = NULL;
	HASH_FIND(hh, l->t->entries, key.p, key.n, e);
	if (e) {
		map_note(l->o, line, "duplicate entry: \"" SV_FMT "\"", SV_ARG(sv_head(key, 100)));
		return 0;
	}
	e = arena_alloc(&l->t->arena, sizeof(*e));
	if (!e || arena_sv(&l->t->arena, key, &e->key) < 0 || arena_sv(&l->t->arena, value, &e->value) < 0)
		return ERR_LIMIT;
	HASH_ADD_KEYPTR(hh, l->t->entries, e->key.p, e->key.n, e);
	return 0;
}

static void note(void *ctx, unsigned line, const char *text)
{
	struct loading *l = ctx;
	map_note(l->o, line, "%s", text);
}

int map_text_load(struct map_open *o, void **ctx, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(MAP_TEXT_MAX);
	int r = map_read_text(o, &text, err);
	if (r < 0)
		return r;
	struct text_map *t = xcalloc(1, sizeof(*t));
	struct loading l = {t, o};
	struct map_source s = {.entry = add, .note = note, .ctx = &l, .fold = true, .alias = o->flags & MAP_ALIAS};
	arena_init(&t->arena, TEXT_ARENA);
	if (map_source_parse(buf_sv(&text), &s) < 0) {
		map_text_close(t);
		return err_set(err, ERR_TEMP, "the table is too large for memory");
	}
	*ctx = t;
	return 0;
}

static int inline_pair(struct loading *l, struct sv word, struct err *err)
{
	struct sv key = SV_NONE, value = SV_NONE;
	const char *why = "";
	char folded[MAP_KEY_MAX];
	if (conf_lex_pair(conf_lex_unbrace(word, NULL), &key, &value, &why) < 0)
		return err_set(err, ERR_SYNTAX, "%s in \"" SV_FMT "\": inline:{name=value, {name = value}} is expected",
		    why, SV_ARG(sv_head(word, 80)));
	if (key.n > MAP_KEY_MAX)
		return err_set(err, ERR_SYNTAX, "inline: a name is too long");
	for (size_t i = 0; i < key.n; i++)
		folded[i] = (char)ascii_lower((unsigned char)key.p[i]);
	return add(l, sv_of(folded, key.n), value, 0) < 0 ? err_set(err, ERR_SYNTAX, "inline: too long") : 0;
}

static int inline_open(struct map_open *o, void **ctx, struct err *err)
{
	bool braced = false;
	struct sv rest = conf_lex_unbrace(o->name, &braced), word = SV_NONE;
	struct text_map *t = xcalloc(1, sizeof(*t));
	struct loading l = {t, o};
	int r = 0, got = 0;
	size_t n = 0;
	arena_init(&t->arena, TEXT_ARENA);
	while (braced && r == 0 && (got = conf_lex_word(&rest, ", \t\r\n", &word)) == 1) {
		r = inline_pair(&l, word, err);
		n++;
	}
	if (r == 0 && (!braced || got < 0 || n == 0))
		r = err_set(err, ERR_SYNTAX, "bad syntax: \"inline:" SV_FMT "\"; inline:{name=value...} is expected",
		    SV_ARG(sv_head(o->name, 80)));
	if (r < 0)
		map_text_close(t);
	else
		*ctx = t;
	return r;
}

int map_text_lookup(void *ctx, struct sv key, struct buf *value, struct err *err)
{
	const struct text_map *t = ctx;
	struct text_entry *e = NULL;
	HASH_FIND(hh, t->entries, key.p, key.n, e);
	if (!e)
		return 0;
	return buf_addsv(value, e->value) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 1;
}

void map_text_close(void *ctx)
{
	struct text_map *t = ctx;
	HASH_CLEAR(hh, t->entries);
	arena_clear(&t->arena);
	free(t);
}

const struct map_kind map_kind_texthash = {
    .name = "texthash",
    .fixed = true,
    .file = true,
    .open = map_text_load,
    .lookup = map_text_lookup,
    .close = map_text_close,
};

const struct map_kind map_kind_inline = {
    .name = "inline",
    .fixed = true,
    .open = inline_open,
    .lookup = map_text_lookup,
    .close = map_text_close,
};
