/* maincf_blob.c - the parameters that one program owns; see maincf.h. */
#include "conf/conf_lex.h"
#include "conf/maincf_int.h"
#include "conf/mastercf.h"

#define TABLES_MAX (1u << 20) /* bytes of rewrite_tables */

struct blob {
	const struct maincf_view *view;
	struct sv program;
	struct buf *out;
	struct err *err;
	int status;
};

static void put_pair(struct blob *b, const char *name, struct sv value)
{
	if (buf_add(b->out, name, strlen(name) + 1) < 0 || buf_addsv(b->out, value) < 0 || buf_addc(b->out, '\0') < 0)
		b->status = err_set(b->err, ERR_LIMIT, "the parameters of " SV_FMT " are too long", SV_ARG(b->program));
}

static void put_row(struct blob *b, const struct conf_param *row, const char *name)
{
	CLEANUP(buf_freep) struct buf value = BUF_INIT(CONF_VALUE_MAX);
	if (b->status < 0)
		return;
	b->status = maincf_checked(b->view, row, name, &value, NULL, b->err);
	if (b->status < 0)
		(void)err_prefix(b->err, "parameter %.100s", name);
	else
		put_pair(b, name, buf_sv(&value));
}

static bool owned_before(const struct blob *b, size_t row)
{
	for (size_t i = 0; i < row; i++)
		if (strcmp(conf_params[i].name, conf_params[row].name) == 0 &&
		    conf_param_owned(&conf_params[i], b->program))
			return true;
	return false;
}

/* A <transport>_ or <service>_ form that this program owns and that has no row of its own. */
static const struct conf_param *owned_form(const struct blob *b, const char *name)
{
	const struct conf_param *row = maincf_row(b->view->mc, sv_str(name));
	return row && row->name[0] == '*' && conf_param_owned(row, b->program) ? row : NULL;
}

static void put_forms(struct blob *b)
{
	struct maincf_setting *s, *next;
	HASH_ITER (hh, b->view->mc->settings, s, next) {
		const struct conf_param *row = owned_form(b, s->name);
		if (row)
			put_row(b, row, s->name);
	}
	for (size_t i = 0; i < b->view->n; i++) {
		const char *name = b->view->overrides[i].name;
		const struct conf_param *row = owned_form(b, name);
		bool seen = maincf_setting(b->view->mc, sv_str(name)) != NULL;
		for (size_t j = 0; j < i && !seen; j++)
			seen = strcmp(b->view->overrides[j].name, name) == 0;
		if (row && !seen)
			put_row(b, row, name);
	}
}

/* The table types, so that "inet:host:port" and the like are not taken for tables. */
static const char *const table_types[] = {"btree", "cdb", "cidr", "dbm", "environ", "fail", "hash", "inline", "ldap",
    "lmdb", "memcache", "mysql", "pcre", "pgsql", "pipemap", "proxy", "randmap", "redis", "regexp", "sdbm", "socketmap",
    "sqlite", "static", "tcp", "texthash", "unionmap", "unix"};

static bool is_table(struct sv word)
{
	ssize_t colon = sv_chr(word, ':');
	for (size_t i = 0; colon > 0 && i < ARRAY_LEN(table_types); i++)
		if (sv_eqs(sv_head(word, (size_t)colon), table_types[i]))
			return true;
	return false;
}

static void add_tables(const struct maincf_view *view, struct sv raw, struct buf *tables)
{
	CLEANUP(buf_freep) struct buf value = BUF_INIT(CONF_VALUE_MAX);
	struct sv rest, word = SV_NONE;
	if (sv_chr(raw, ':') < 0 && sv_chr(raw, '$') < 0)
		return;
	if (maincf_expand(view->mc, raw, view->overrides, view->n, &value, NULL) < 0)
		return;
	rest = buf_sv(&value);
	while (conf_lex_word(&rest, ", \t\r\n", &word) == 1)
		if (is_table(word)) {
			(void)buf_addsv(tables, word);
			(void)buf_addc(tables, '\n');
		}
}

/* Passwords for relays are auth's business: what nobody else owns is no table of rewrite's. */
static bool secret(const struct maincf *mc, const char *name)
{
	const struct conf_param *row = maincf_row(mc, sv_str(name));
	return row && strcmp(row->owners, "auth") == 0;
}

static void put_tables(struct blob *b)
{
	CLEANUP(buf_freep) struct buf tables = BUF_INIT(TABLES_MAX);
	const struct maincf *mc = b->view->mc;
	struct maincf_setting *s, *next;
	HASH_ITER (hh, mc->settings, s, next)
		if (!secret(mc, s->name))
			add_tables(b->view, sv_str(s->raw), &tables);
	for (size_t i = 0; mc->services && i < mc->services->n; i++) {
		const struct mcf_service *v = &mc->services->v[i];
		struct maincf_view view = {mc, v->overrides, v->noverrides};
		for (size_t j = 0; j < v->noverrides; j++)
			if (!secret(mc, v->overrides[j].name))
				add_tables(&view, sv_str(v->overrides[j].value), &tables);
	}
	if (tables.overflow)
		b->status = err_set(b->err, ERR_LIMIT, "the tables that the parameters name are too many");
	else if (b->status == 0)
		put_pair(b, "rewrite_tables", buf_sv(&tables));
}

int maincf_blob(const struct maincf *mc, const char *program, const struct conf_pair *overrides, size_t n,
    struct buf *out, struct err *err)
{
	struct maincf_view view = {mc, overrides, n};
	struct blob b = {.view = &view, .program = sv_str(program), .out = out, .err = err};
	for (size_t i = 0; i < conf_nparams && b.status == 0; i++) {
		const struct conf_param *p = &conf_params[i];
		if (p->name[0] != '*' && conf_param_owned(p, b.program) && !owned_before(&b, i))
			put_row(&b, p, p->name);
	}
	put_forms(&b);
	if (b.status == 0 && strcmp(program, "rewrite") == 0)
		put_tables(&b);
	return b.status;
}
