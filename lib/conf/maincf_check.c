/* maincf_check.c - all that is wrong with the values of a main.cf, at once; see maincf.h. */
#include "conf/conf_expand.h"
#include "conf/conf_near.h"
#include "conf/maincf_int.h"
#include "conf/mastercf.h"

/* Names that somebody refers to: a setting of such a name is the user's own parameter, not a misspelling. */
struct used {
	char *name;
	UT_hash_handle hh;
};

struct check {
	const struct maincf *mc;
	struct conf_problems *problems;
	struct used *used;
};

static void use(void *ctx, struct sv name)
{
	struct check *c = ctx;
	struct used *u = NULL;
	HASH_FIND(hh, c->used, name.p, name.n, u);
	if (u)
		return;
	u = xcalloc(1, sizeof(*u));
	u->name = sv_dup(name);
	HASH_ADD_KEYPTR(hh, c->used, u->name, name.n, u);
}

static bool is_used(const struct check *c, const char *name)
{
	struct used *u = NULL;
	HASH_FIND(hh, c->used, name, strlen(name), u);
	return u != NULL;
}

static void use_words(struct check *c, const char *list)
{
	struct sv rest = sv_str(list), word;
	while (sv_token(&rest, ", \t\r\n", &word))
		use(c, word);
}

static void collect_used(struct check *c, const struct mastercf *services)
{
	struct maincf_setting *s, *next;
	HASH_ITER (hh, c->mc->settings, s, next) {
		(void)conf_expand_names(sv_str(s->raw), use, c);
		if (strcmp(s->name, "smtpd_restriction_classes") == 0)
			use_words(c, s->raw);
	}
	for (size_t i = 0; services && i < services->n; i++) {
		const struct mcf_service *v = &services->v[i];
		for (size_t j = 0; j < v->noverrides; j++) {
			(void)conf_expand_names(sv_str(v->overrides[j].value), use, c);
			if (strcmp(v->overrides[j].name, "smtpd_restriction_classes") == 0)
				use_words(c, v->overrides[j].value);
		}
		for (size_t j = 0; j < v->argc; j++)
			(void)conf_expand_names(sv_str(v->argv[j]), use, c);
	}
}

static void check_known(struct check *c, const struct maincf_view *view, const struct conf_param *row, const char *name,
    const char *file, unsigned line)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	struct err err = {0};
	if (row->status == CONF_NOT_YET)
		conf_problem_add(
		    c->problems, CONF_WARNING, file, line, "parameter %s is not yet supported: %s", name, row->help);
	else if (row->status == CONF_UNSUPPORTED)
		conf_problem_add(
		    c->problems, CONF_WARNING, file, line, "parameter %s is not supported: %s", name, row->help);
	else if (row->status == CONF_WORKS && maincf_checked(view, row, name, &b, NULL, &err) == 0) {
		if (strcmp(name, "myorigin") == 0 && b.n > 0 && b.p[0] == '/')
			conf_problem_add(
			    c->problems, CONF_ERROR, file, line, "parameter myorigin: %s cannot be read", buf_cstr(&b));
	} else if (row->status == CONF_WORKS)
		conf_problem_add(c->problems, CONF_ERROR, file, line, "parameter %s: %s", name, err.text);
}

/* Tables of types that nothing here can read: lookups there will be "cannot tell". */
static void check_tables(struct check *c, struct sv value, const char *file, unsigned line)
{
	static const char *const missing[] = {
	    "ldap", "memcache", "mysql", "netinfo", "nis", "nisplus", "pgsql", "redis", "socketmap", "sqlite", "tcp"};
	struct sv rest = value, word;
	while (sv_token(&rest, ", \t\r\n{}", &word)) {
		if (sv_starts(word, SV("proxy:")))
			word = sv_skip(word, 6);
		for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
			size_t n = strlen(missing[i]);
			if (word.n > n + 1 && word.p[n] == ':' && sv_eqs(sv_head(word, n), missing[i]))
				conf_problem_add(c->problems, CONF_WARNING, file, line,
				    "table " SV_FMT ": type %s is not yet supported: mail that needs it is deferred",
				    SV_ARG(sv_head(word, 100)), missing[i]);
		}
	}
}

static void check_unknown(struct check *c, const char *name, const char *file, unsigned line)
{
	const char *near = conf_near(sv_str(name));
	if (is_used(c, name))
		return;
	if (near)
		conf_problem_add(
		    c->problems, CONF_WARNING, file, line, "unknown parameter %.100s: did you mean %s?", name, near);
	else
		conf_problem_add(
		    c->problems, CONF_WARNING, file, line, "unknown parameter %.100s: nothing uses it", name);
}

/* An own parameter has no type, but its $ expressions must be right. */
static void check_expression(
    struct check *c, const struct maincf_view *view, const char *name, const char *file, unsigned line)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	struct err err = {0};
	if (maincf_value(view->mc, name, view->overrides, view->n, &b, &err) < 0)
		conf_problem_add(c->problems, CONF_ERROR, file, line, "parameter %.100s: %s", name, err.text);
}

static void check_settings(struct check *c)
{
	struct maincf_setting *s, *next;
	struct maincf_view view = {c->mc, NULL, 0};
	HASH_ITER (hh, c->mc->settings, s, next) {
		const struct conf_param *row = maincf_row(c->mc, sv_str(s->name));
		const char *file = s->line ? c->mc->file : "";
		check_tables(c, sv_str(s->raw), file, s->line);
		if (row) {
			check_known(c, &view, row, s->name, file, s->line);
		} else {
			check_unknown(c, s->name, file, s->line);
			check_expression(c, &view, s->name, file, s->line);
		}
	}
}

static void check_defaults(struct check *c)
{
	struct maincf_view view = {c->mc, NULL, 0};
	for (size_t i = 0; i < conf_nparams; i++) {
		const struct conf_param *p = &conf_params[i];
		if (p->status == CONF_WORKS && p->name[0] != '*' && !maincf_setting(c->mc, sv_str(p->name)))
			check_known(c, &view, p, p->name, "", 0);
	}
}

static void check_service(struct check *c, const struct mastercf *services, const struct mcf_service *v)
{
	struct maincf_view view = {c->mc, v->overrides, v->noverrides};
	for (size_t i = 0; i < v->noverrides; i++) {
		const char *name = v->overrides[i].name;
		const struct conf_param *row = maincf_row(c->mc, sv_str(name));
		if (row) {
			check_known(c, &view, row, name, services->file, v->line);
		} else {
			check_unknown(c, name, services->file, v->line);
			check_expression(c, &view, name, services->file, v->line);
		}
	}
}

static void forget_used(struct check *c)
{
	struct used *u, *next;
	HASH_ITER (hh, c->used, u, next) {
		HASH_DEL(c->used, u);
		free(u->name);
		free(u);
	}
}

void maincf_check(const struct maincf *mc, const struct mastercf *services, struct conf_problems *problems)
{
	struct check c = {.mc = mc, .problems = problems};
	collect_used(&c, services);
	check_settings(&c);
	check_defaults(&c);
	for (size_t i = 0; services && i < services->n; i++)
		check_service(&c, services, &services->v[i]);
	forget_used(&c);
}

void maincf_each_unused(const struct maincf *mc, const struct mastercf *services,
    void (*fn)(void *arg, const char *name, const char *raw), void *arg)
{
	struct check c = {.mc = mc};
	struct maincf_setting *s, *next;
	collect_used(&c, services);
	HASH_ITER (hh, mc->settings, s, next)
		if (!maincf_row(mc, sv_str(s->name)) && !is_used(&c, s->name))
			fn(arg, s->name, s->raw);
	forget_used(&c);
}

void maincf_each_unused_option(const struct maincf *mc, const struct mastercf *services,
    void (*fn)(void *arg, const struct mcf_service *s, const struct conf_pair *option), void *arg)
{
	struct check c = {.mc = mc};
	collect_used(&c, services);
	for (size_t i = 0; services && i < services->n; i++) {
		const struct mcf_service *s = &services->v[i];
		for (size_t j = 0; j < s->noverrides; j++)
			if (!maincf_row(mc, sv_str(s->overrides[j].name)) && !is_used(&c, s->overrides[j].name))
				fn(arg, s, &s->overrides[j]);
	}
	forget_used(&c);
}
