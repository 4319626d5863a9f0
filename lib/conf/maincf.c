/* maincf.c - main.cf in memory and the values of names; see maincf.h. */
#include "conf/maincf.h"

#include <fcntl.h>

#include "base/fsutil.h"
#include "conf/conf_expand.h"
#include "conf/conf_lex.h"
#include "conf/maincf_int.h"

#define MAINCF_FILE_MAX (8u << 20) /* bytes of a main.cf */
#define MAINCF_SETTINGS_MAX 20000  /* names that one file sets */

const struct conf_param *maincf_row(const struct maincf *mc, struct sv name)
{
	struct maincf_row *r = NULL;
	HASH_FIND(hh, mc->index, name.p, name.n, r);
	if (r)
		return r->row;
	/* The "*_" form: the shortest prefix that has one. */
	for (size_t i = 1; i < name.n && i < CONF_NAME_MAX; i++) {
		char form[CONF_NAME_MAX + 2];
		if (name.p[i] != '_' || name.n - i + 1 > sizeof(form))
			continue;
		form[0] = '*';
		memcpy(form + 1, name.p + i, name.n - i);
		HASH_FIND(hh, mc->index, form, name.n - i + 1, r);
		if (r)
			return r->row;
	}
	return NULL;
}

const struct maincf_setting *maincf_setting(const struct maincf *mc, struct sv name)
{
	struct maincf_setting *s = NULL;
	HASH_FIND(hh, mc->settings, name.p, name.n, s);
	return s;
}

static void build_index(struct maincf *mc)
{
	mc->rows = xcalloc(conf_nparams, sizeof(*mc->rows));
	for (size_t i = 0; i < conf_nparams; i++) {
		const struct conf_param *p = &conf_params[i];
		struct maincf_row *r = NULL;
		HASH_FIND(hh, mc->index, p->name, strlen(p->name), r);
		if (r) {
			if (r->row->status != CONF_WORKS && p->status == CONF_WORKS)
				r->row = p;
			continue;
		}
		mc->rows[i].row = p;
		HASH_ADD_KEYPTR(hh, mc->index, p->name, strlen(p->name), &mc->rows[i]);
	}
}

/* Sets a name; a second setting moves to the end, as the one that counts.  False past the limit. */
static bool set(struct maincf *mc, struct sv name, struct sv raw, unsigned line)
{
	struct maincf_setting *s = NULL;
	HASH_FIND(hh, mc->settings, name.p, name.n, s);
	if (s) {
		free(s->raw);
	} else {
		if (HASH_COUNT(mc->settings) >= MAINCF_SETTINGS_MAX)
			return false;
		s = xcalloc(1, sizeof(*s));
		s->name = sv_dup(name);
		HASH_ADD_KEYPTR(hh, mc->settings, s->name, name.n, s);
	}
	s->raw = sv_dup(raw);
	s->line = line;
	return true;
}

static void parse_line(struct maincf *mc, struct sv text, unsigned line, struct conf_problems *problems)
{
	struct sv name = SV_NONE, value = SV_NONE;
	const char *why = "";
	if (conf_lex_pair(text, &name, &value, &why) < 0) {
		conf_problem_add(
		    problems, CONF_ERROR, mc->file, line, "%s: \"" SV_FMT "\"", why, SV_ARG(sv_head(text, 80)));
		return;
	}
	if (name.n > CONF_NAME_MAX) {
		conf_problem_add(
		    problems, CONF_ERROR, mc->file, line, "the parameter name is longer than %d bytes", CONF_NAME_MAX);
		return;
	}
	const struct maincf_setting *old = maincf_setting(mc, name);
	if (old)
		conf_problem_add(problems, CONF_WARNING, mc->file, line,
		    "overriding earlier entry: " SV_FMT "=%.200s (line %u)", SV_ARG(name), old->raw, old->line);
	if (!set(mc, name, value, line))
		conf_problem_add(problems, CONF_ERROR, mc->file, line, "more than %d parameters", MAINCF_SETTINGS_MAX);
}

static void parse_text(struct maincf *mc, struct sv text, struct conf_problems *problems)
{
	struct conf_lex lex;
	struct sv line_text = SV_NONE;
	unsigned line = 0;
	int r;
	conf_lex_init(&lex, text);
	while ((r = conf_lex_next(&lex, &line_text, &line)) != 0) {
		if (r < 0)
			conf_problem_add(problems, CONF_ERROR, mc->file, line,
			    r == ERR_LIMIT ? "the line is too long" : "the line holds a NUL byte");
		else if (lex.orphan)
			conf_problem_add(problems, CONF_WARNING, mc->file, line,
			    "the line begins with white space but there is no line before it to continue; ignored");
		else
			parse_line(mc, line_text, line, problems);
	}
	conf_lex_clear(&lex);
}

int maincf_parse(struct sv text, const char *file, const struct maincf_args *args, struct maincf **out,
    struct conf_problems *problems)
{
	struct maincf *mc = xcalloc(1, sizeof(*mc));
	mc->file = xstrdup(file);
	mc->host = xcalloc(1, sizeof(*mc->host));
	mc->host_fn = args->host;
	mc->host_ctx = args->ctx;
	build_index(mc);
	parse_text(mc, text, problems);
	if (args->config_directory)
		(void)set(mc, SV("config_directory"), sv_str(args->config_directory), 0);
	for (size_t i = 0; i < args->noverrides; i++)
		(void)set(mc, sv_str(args->overrides[i].name), sv_str(args->overrides[i].value), 0);
	*out = mc;
	return 0;
}

int maincf_load(const struct maincf_args *args, struct maincf **out, struct conf_problems *problems, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MAINCF_FILE_MAX);
	CLEANUP(freep) char *folder = NULL;
	struct maincf_args a = *args;
	if (!args->path)
		return maincf_parse(SV(""), "", args, out, problems);
	int r = fs_read_file(AT_FDCWD, args->path, &b, err);
	if (r < 0)
		return r;
	if (!a.config_directory) {
		const char *slash = strrchr(args->path, '/');
		folder =
		    slash ? xstrndup(args->path, slash == args->path ? 1 : (size_t)(slash - args->path)) : xstrdup(".");
		a.config_directory = folder;
	}
	return maincf_parse(buf_sv(&b), args->path, &a, out, problems);
}

void maincf_free(struct maincf **mcp)
{
	struct maincf *mc = *mcp;
	struct maincf_setting *s, *snext;
	struct maincf_host_value *h, *hnext;
	if (!mc)
		return;
	HASH_ITER (hh, mc->settings, s, snext) {
		HASH_DEL(mc->settings, s);
		free(s->name);
		free(s->raw);
		free(s);
	}
	HASH_ITER (hh, *mc->host, h, hnext) {
		HASH_DEL(*mc->host, h);
		free(h->name);
		free(h->value);
		free(h);
	}
	HASH_CLEAR(hh, mc->index);
	free(mc->rows);
	free(mc->host);
	free(mc->file);
	free(mc);
	*mcp = NULL;
}

/* The host's value for a name, asked once. */
static const char *host_value(const struct maincf *mc, struct sv name)
{
	struct maincf_host_value *h = NULL;
	struct buf b = BUF_INIT(CONF_VALUE_MAX);
	if (!mc->host_fn)
		return NULL;
	HASH_FIND(hh, *mc->host, name.p, name.n, h);
	if (h)
		return h->value;
	/* Entered before it is asked: a hook that needs the same name gets the table's default instead of no end. */
	h = xcalloc(1, sizeof(*h));
	h->name = sv_dup(name);
	HASH_ADD_KEYPTR(hh, *mc->host, h->name, name.n, h);
	if (mc->host_fn(mc->host_ctx, mc, h->name, &b) && !b.overflow)
		h->value = buf_steal(&b);
	buf_free(&b);
	return h->value;
}

bool maincf_lookup(const struct maincf_view *view, struct sv name, struct sv *value)
{
	for (size_t i = view->n; i > 0; i--)
		if (sv_eqs(name, view->overrides[i - 1].name)) {
			*value = sv_str(view->overrides[i - 1].value);
			return true;
		}
	const struct maincf_setting *s = maincf_setting(view->mc, name);
	const struct conf_param *row = s ? NULL : maincf_row(view->mc, name);
	if (!s && !row)
		return false;
	const char *host = s ? NULL : host_value(view->mc, name);
	*value = sv_str(s ? s->raw : host ? host : row->def);
	return true;
}

/*
 * myorigin = /etc/mailname: the first line of that file is the value.  Read once; an unreadable file leaves the path,
 * which no address can have as its domain, and maincf_check says so.
 */
static struct sv origin_of_file(const struct maincf *mc, struct sv path)
{
	struct maincf_host_value *h = NULL;
	CLEANUP(buf_freep) struct buf b = BUF_INIT(4096);
	HASH_FIND(hh, *mc->host, path.p, path.n, h);
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		h->name = sv_dup(path);
		HASH_ADD_KEYPTR(hh, *mc->host, h->name, path.n, h);
		if (fs_read_file(AT_FDCWD, h->name, &b, NULL) == 0) {
			struct sv rest = buf_sv(&b);
			h->value = sv_dup(sv_trim(sv_cut(&rest, "\n")));
		}
	}
	return h->value && h->value[0] ? sv_str(h->value) : path;
}

static bool lookup_cb(void *ctx, struct sv name, struct sv *value)
{
	const struct maincf_view *view = ctx;
	if (!maincf_lookup(view, name, value))
		return false;
	if (value->n > 1 && value->p[0] == '/' && sv_eqs(name, "myorigin"))
		*value = origin_of_file(view->mc, *value);
	return true;
}

int maincf_expand(const struct maincf *mc, struct sv text, const struct conf_pair *overrides, size_t n, struct buf *out,
    struct err *err)
{
	struct maincf_view view = {mc, overrides, n};
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	int r = conf_expand(text, CONF_EXPAND_RECURSE, lookup_cb, &view, &b, err);
	if (r < 0)
		return r;
	return buf_addsv(out, buf_sv(&b)) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 0;
}

int maincf_value(const struct maincf *mc, const char *name, const struct conf_pair *overrides, size_t n,
    struct buf *out, struct err *err)
{
	struct maincf_view view = {mc, overrides, n};
	struct sv raw = SV_NONE;
	if (!lookup_cb(&view, sv_str(name), &raw))
		return err_set(err, ERR_NOT_FOUND, "unknown parameter %.200s", name);
	return maincf_expand(mc, raw, overrides, n, out, err);
}

int maincf_unexpanded(const struct maincf *mc, const char *name, struct buf *out)
{
	struct maincf_view view = {mc, NULL, 0};
	struct sv raw = SV_NONE;
	if (!maincf_lookup(&view, sv_str(name), &raw))
		return ERR_NOT_FOUND;
	return buf_addsv(out, raw);
}

const char *maincf_raw(const struct maincf *mc, const char *name)
{
	const struct maincf_setting *s = maincf_setting(mc, sv_str(name));
	return s ? s->raw : NULL;
}

bool maincf_where(const struct maincf *mc, const char *name, const char **file, unsigned *line)
{
	const struct maincf_setting *s = maincf_setting(mc, sv_str(name));
	if (!s)
		return false;
	*file = s->line ? mc->file : "";
	*line = s->line;
	return true;
}

void maincf_each(
    const struct maincf *mc, void (*fn)(void *arg, const char *name, const char *raw, unsigned line), void *arg)
{
	struct maincf_setting *s, *next;
	HASH_ITER (hh, mc->settings, s, next)
		fn(arg, s->name, s->raw, s->line);
}

/* The value as it is written, with the service's overrides. */
static int literal_value(const struct maincf_view *view, const char *name, struct buf *out, struct err *err)
{
	struct sv raw = SV_NONE;
	if (!maincf_lookup(view, sv_str(name), &raw))
		return err_set(err, ERR_NOT_FOUND, "unknown parameter %.200s", name);
	return buf_addsv(out, raw) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 0;
}

int maincf_checked(const struct maincf_view *view, const struct conf_param *row, const char *name, struct buf *out,
    int64_t *num, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	char why[160];
	int r = row->raw ? literal_value(view, name, &b, err)
			 : maincf_value(view->mc, name, view->overrides, view->n, &b, err);
	if (r < 0)
		return r;
	if (sv_has_nul(buf_sv(&b)))
		return err_set(err, ERR_SYNTAX, "the value holds a NUL byte");
	r = conf_param_check(row, buf_sv(&b), num, why);
	if (r < 0)
		return err_set(err, r, "value \"%.60s\" %s", buf_cstr(&b), why);
	return buf_addsv(out, buf_sv(&b)) < 0 ? err_set(err, ERR_LIMIT, "the value is too long") : 0;
}

bool maincf_bool(const struct maincf *mc, const char *name)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	return maincf_value(mc, name, NULL, 0, &b, NULL) == 0 && sv_ieqs(buf_sv(&b), "yes");
}

int64_t maincf_num(const struct maincf *mc, const char *name)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	const struct conf_param *row = maincf_row(mc, sv_str(name));
	struct maincf_view view = {mc, NULL, 0};
	int64_t v = 0;
	if (!row)
		return 0;
	if (maincf_checked(&view, row, name, &b, &v, NULL) < 0)
		(void)conf_param_check(row, sv_str(row->def), &v, NULL);
	return v;
}

void maincf_use_services(struct maincf *mc, const struct mastercf *services)
{
	mc->services = services;
}
