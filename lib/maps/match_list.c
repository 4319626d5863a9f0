/* match_list.c - pattern lists; see match_list.h. */
#include "maps/match_list.h"

#include <fcntl.h>

#include "base/fsutil.h"
#include "conf/conf_lex.h"
#include "maps/cidr.h"

#define MATCH_FILE_MAX (4u << 20) /* bytes of a /file */

enum match_kind { MATCH_NAME, MATCH_NET, MATCH_TABLE, MATCH_BROKEN };

struct pattern {
	enum match_kind kind;
	bool negated;
	char *text; /* NAME: lower case as written; BROKEN: why */
	struct cidr net;
	struct map *table;
};

struct match_list {
	struct pattern *v;
	size_t n;
	bool parents;
	unsigned flags; /* of tables: enum map_flag */
	struct map_store *store;
};

void match_list_free(struct match_list **lp)
{
	if (!*lp)
		return;
	for (size_t i = 0; i < (*lp)->n; i++)
		free((*lp)->v[i].text);
	free((*lp)->v);
	free(*lp);
	*lp = NULL;
}

static bool is_table(struct sv word)
{
	/* "type:name", but not an IPv6 address and not "[...]". */
	ssize_t colon = sv_chr(word, ':');
	struct cidr c;
	char why[160];
	return colon > 0 && word.p[0] != '[' && cidr_parse(word, &c, why) < 0 &&
	       !ascii_isdigit((unsigned char)word.p[0]);
}

static void classify(struct match_list *l, struct sv word, struct pattern *p)
{
	char why[160];
	struct err err = {0};
	if (is_table(word)) {
		p->kind = MATCH_TABLE;
		p->table = map_store_get(l->store, word, l->flags, &err);
		if (!p->table) {
			p->kind = MATCH_BROKEN;
			p->text = xstrdup(err.text);
		}
		return;
	}
	if (cidr_parse(word, &p->net, why) == 0) {
		p->kind = MATCH_NET;
		return;
	}
	if (sv_chr(word, '/') >= 0) {
		p->kind = MATCH_BROKEN;
		p->text = xstrdup(why);
		return;
	}
	p->kind = MATCH_NAME;
	p->text = sv_dup(word);
}

static int add_words(struct match_list *l, struct sv text, bool negated, bool in_file, struct err *err);

static int add_file(struct match_list *l, struct sv path, bool negated, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MATCH_FILE_MAX);
	CLEANUP(freep) char *name = sv_dup(path);
	struct conf_lex lex;
	struct sv line = SV_NONE;
	unsigned number = 0;
	int r = fs_read_file(AT_FDCWD, name, &b, err), got;
	if (r < 0)
		return r;
	conf_lex_init(&lex, buf_sv(&b));
	while (r == 0 && (got = conf_lex_next(&lex, &line, &number)) != 0)
		if (got > 0)
			r = add_words(l, line, negated, true, err);
	conf_lex_clear(&lex);
	return r;
}

static int add_words(struct match_list *l, struct sv text, bool negated, bool in_file, struct err *err)
{
	struct sv rest = text, word = SV_NONE;
	int got, r = 0;
	while (r == 0 && (got = conf_lex_word(&rest, ", \t\r\n", &word)) != 0) {
		bool no = negated;
		if (got < 0)
			return err_set(err, ERR_SYNTAX, "no closing '}' in \"" SV_FMT "\"", SV_ARG(sv_head(word, 80)));
		while (word.n > 0 && word.p[0] == '!') {
			no = !no;
			word = sv_skip(word, 1);
		}
		if (word.n == 0)
			return err_set(err, ERR_SYNTAX, "no pattern behind '!'");
		if (word.p[0] == '/') {
			if (in_file)
				return err_set(err, ERR_SYNTAX, "a file of patterns names another file");
			r = add_file(l, word, no, err);
			continue;
		}
		if (l->n == MATCH_LIST_MAX)
			return err_set(err, ERR_LIMIT, "more than %d patterns", MATCH_LIST_MAX);
		if ((l->n & (l->n - 1)) == 0) /* room doubles at powers of two */
			l->v = xreallocarray(l->v, l->n ? l->n * 2 : 1, sizeof(*l->v));
		l->v[l->n] = (struct pattern){.negated = no};
		classify(l, word, &l->v[l->n++]);
	}
	return r;
}

int match_list_new(
    struct match_list **out, struct map_store *s, struct sv text, bool parents, unsigned flags, struct err *err)
{
	struct match_list *l = xcalloc(1, sizeof(*l));
	l->store = s;
	l->parents = parents;
	l->flags = flags;
	int r = add_words(l, text, false, false, err);
	if (r < 0)
		match_list_free(&l);
	else
		*out = l;
	return r;
}

static bool name_matches(const struct match_list *l, const char *text, struct sv name)
{
	struct sv p = sv_str(text);
	if (sv_ieq(p, name))
		return true;
	if (!l->parents)
		return p.n > 1 && p.p[0] == '.' && name.n > p.n && sv_iends(name, p);
	return name.n > p.n + 1 && sv_iends(name, p) && name.p[name.n - p.n - 1] == '.';
}

static int table_has(const struct match_list *l, struct map *table, struct sv name, bool is_name, struct err *err)
{
	CLEANUP(buf_freep) struct buf value = BUF_INIT(MAP_VALUE_MAX);
	struct sv d = name;
	while (d.n > 0) {
		int r = map_lookup(table, d, &value, err);
		if (r != 0)
			return r;
		ssize_t dot = sv_chr(sv_skip(d, 1), '.');
		if (!is_name || dot < 0 || !map_is_fixed(table))
			return 0;
		d = sv_skip(d, (size_t)dot + (l->parents ? 2 : 1));
	}
	return 0;
}

static int one(const struct match_list *l, const struct pattern *p, struct sv name, const struct cidr_addr *addr,
    struct sv address, struct err *err)
{
	int r = 0;
	switch (p->kind) {
	case MATCH_NAME: return name.n > 0 && name_matches(l, p->text, name);
	case MATCH_NET: return addr && cidr_match(&p->net, addr);
	case MATCH_TABLE:
		if (name.n > 0)
			r = table_has(l, p->table, name, true, err);
		if (r == 0 && address.n > 0)
			r = table_has(l, p->table, address, false, err);
		return r;
	case MATCH_BROKEN: return err_set(err, ERR_TEMP, "%s", p->text);
	}
	return 0;
}

static int search(const struct match_list *l, struct sv name, struct sv address, struct err *err)
{
	struct cidr_addr a;
	const struct cidr_addr *addr = cidr_addr(address, &a) == 0 ? &a : NULL;
	for (size_t i = 0; i < l->n; i++) {
		int r = one(l, &l->v[i], name, addr, address, err);
		if (r != 0)
			return r < 0 ? r : !l->v[i].negated;
	}
	return 0;
}

int match_list_host(const struct match_list *l, struct sv name, struct sv address, struct err *err)
{
	return search(l, name, address, err);
}

int match_list_domain(const struct match_list *l, struct sv domain, struct err *err)
{
	/* "[1.2.3.4]" is a name here: mydestination lists address literals with their brackets or not at all. */
	return search(l, domain, SV_NONE, err);
}

int match_list_status(const struct match_list *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].kind == MATCH_BROKEN)
			return err_set(err, ERR_TEMP, "%s", l->v[i].text);
		if (l->v[i].kind == MATCH_TABLE && map_status(l->v[i].table, err) < 0)
			return ERR_TEMP;
	}
	return 0;
}
