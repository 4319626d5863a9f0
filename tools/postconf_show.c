/* postconf_show.c - printing of parameters and services; see postconf.h. */
#include "tools/postconf.h"

#define LINE_WIDTH 80 /* of folded output */

/* The words of a value with one blank between; with -f lines are broken before LINE_WIDTH. */
static void print_words(const struct postconf *pc, struct sv text, size_t column, size_t first)
{
	struct sv rest = text, word;
	bool any = false;
	while (sv_token(&rest, " \t\r\n", &word)) {
		if (pc->fold && any && column + 1 + word.n > LINE_WIDTH) {
			(void)fputs("\n    ", stdout);
			column = 4;
		} else if (any || first) {
			(void)fputc(' ', stdout);
			column++;
		}
		(void)fwrite(word.p, 1, word.n, stdout);
		column += word.n;
		any = true;
	}
}

void postconf_print(const struct postconf *pc, const char *name, struct sv value)
{
	if (pc->no_value) {
		(void)puts(name);
		return;
	}
	if (pc->no_name) {
		print_words(pc, value, 0, 0);
	} else {
		int n = printf("%s =", name);
		print_words(pc, value, n > 0 ? (size_t)n : 0, 1);
	}
	(void)fputc('\n', stdout);
}

static bool show_one(struct postconf *pc, const char *name)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	struct err err = {0};
	bool set = maincf_raw(pc->mc, name) != NULL;
	int r = maincf_unexpanded(pc->mc, name, &b);
	if (r < 0)
		return false;
	if (pc->only_set && !set)
		return true;
	if (pc->expand) {
		buf_reset(&b);
		r = maincf_value(pc->mc, name, NULL, 0, &b, &err);
	}
	if (r < 0)
		postconf_fatal("%s: %s", name, err.text);
	postconf_print(pc, name, buf_sv(&b));
	return true;
}

struct names {
	const char **v;
	size_t n, cap;
};

static void add_name(struct names *l, const char *name)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 256;
		l->v = xreallocarray(l->v, l->cap, sizeof(char *));
	}
	l->v[l->n++] = name;
}

static void add_setting(void *arg, const char *name, const char *raw, unsigned line)
{
	(void)raw;
	(void)line;
	add_name(arg, name);
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_unused(void *arg, const char *name, const char *raw)
{
	(void)raw;
	add_name(arg, name);
}

static bool has_name(const struct names *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], name) == 0)
			return true;
	return false;
}

void postconf_show(struct postconf *pc)
{
	struct names l = {0}, unused = {0};
	if (pc->nargs > 0) {
		for (int i = 0; i < pc->nargs; i++)
			if (!show_one(pc, pc->args[i]))
				postconf_warn("%s: unknown parameter", pc->args[i]);
		return;
	}
	if (!pc->only_set)
		for (size_t i = 0; i < conf_nparams; i++)
			if (conf_params[i].name[0] != '*')
				add_name(&l, conf_params[i].name);
	maincf_each(pc->mc, add_setting, &l);
	maincf_each_unused(pc->mc, pc->services, add_unused, &unused);
	qsort(l.v, l.n, sizeof(char *), cmp_names);
	for (size_t i = 0; i < l.n; i++)
		if ((i == 0 || strcmp(l.v[i - 1], l.v[i]) != 0) && !has_name(&unused, l.v[i]))
			(void)show_one(pc, l.v[i]);
	free(l.v);
	free(unused.v);
}

/* "service", "service/type", "service/type/name": does a request cover this service?  *name is the third part. */
static bool covers(const char *request, const struct mcf_service *s, struct sv *name)
{
	struct sv rest = sv_str(request);
	struct sv service = sv_cut(&rest, "/");
	*name = SV_NONE;
	if (!sv_eqs(service, s->name) && !sv_eqs(service, "*"))
		return false;
	if (!rest.p)
		return true;
	struct sv type = sv_cut(&rest, "/");
	*name = rest;
	return sv_eqs(type, mcf_type_name(s->type)) || sv_eqs(type, "*");
}

static void print_argument(const struct postconf *pc, const char *arg, bool fresh, size_t *column)
{
	bool braces = arg[0] == '\0' || strpbrk(arg, " \t\r\n") != NULL;
	size_t n = strlen(arg) + (braces ? 2 : 0);
	if (pc->fold && (fresh || *column + 1 + n > LINE_WIDTH)) {
		(void)fputs("\n   ", stdout);
		*column = 3;
	}
	*column += 1 + n;
	(void)printf(braces ? " {%s}" : " %s", arg);
}

/* The options first: folded, each -o has a line of its own.  What is behind the first other word is only words. */
static void print_arguments(const struct postconf *pc, const struct mcf_service *s, size_t column)
{
	size_t pair = 0;
	bool options = true, fresh = false;
	for (size_t i = 0; i < s->argc; i++) {
		options = options && s->argv[i][0] == '-';
		if (!options || strcmp(s->argv[i], "-o") != 0 || i + 1 == s->argc || pair == s->noverrides) {
			print_argument(pc, s->argv[i], fresh, &column);
			fresh = false;
			continue;
		}
		const struct conf_pair *o = &s->overrides[pair++];
		bool braces = strpbrk(o->value, " \t\r\n") != NULL;
		(void)printf(braces ? "%s -o {%s=%s}" : "%s -o %s=%s", pc->fold ? "\n   " : "", o->name, o->value);
		fresh = true;
		i++;
	}
	(void)fputc('\n', stdout);
}

static void print_service(const struct postconf *pc, const struct mcf_service *s)
{
	static const unsigned stops[MCF_COLUMNS] = {0, 11, 17, 25, 33, 41, 49, 57};
	size_t column = 0;
	for (size_t i = 0; i < MCF_COLUMNS; i++) {
		do {
			if (i > 0)
				column += (size_t)printf(" ");
		} while (column < stops[i]);
		column += (size_t)printf("%s", s->column[i]);
	}
	print_arguments(pc, s, column);
}

static void for_services(
    struct postconf *pc, void (*fn)(struct postconf *pc, const struct mcf_service *s, struct sv name))
{
	struct sv name;
	if (pc->nargs == 0)
		for (size_t i = 0; i < pc->services->n; i++)
			fn(pc, &pc->services->v[i], SV_NONE);
	for (int a = 0; a < pc->nargs; a++) {
		bool any = false;
		for (size_t i = 0; i < pc->services->n; i++)
			if (covers(pc->args[a], &pc->services->v[i], &name)) {
				fn(pc, &pc->services->v[i], name);
				any = true;
			}
		if (!any)
			postconf_warn("unmatched request: \"%s\"", pc->args[a]);
	}
}

static void service_line(struct postconf *pc, const struct mcf_service *s, struct sv name)
{
	(void)name;
	print_service(pc, s);
}

void postconf_services(struct postconf *pc)
{
	for_services(pc, service_line);
}

static void field_lines(struct postconf *pc, const struct mcf_service *s, struct sv name)
{
	static const char *const fields[MCF_COLUMNS] = {
	    "service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit", "command"};
	for (size_t i = 0; i < MCF_COLUMNS; i++) {
		if (name.n && !sv_eqs(name, fields[i]) && !sv_eqs(name, "*"))
			continue;
		if (!pc->no_name)
			(void)printf("%s/%s/%s = ", s->name, mcf_type_name(s->type), fields[i]);
		(void)printf("%s", s->column[i]);
		if (i + 1 == MCF_COLUMNS)
			print_arguments(pc, s, 0);
		else
			(void)fputc('\n', stdout);
	}
}

void postconf_fields(struct postconf *pc)
{
	for_services(pc, field_lines);
}

static int cmp_pairs(const void *a, const void *b)
{
	return strcmp(((const struct conf_pair *)a)->name, ((const struct conf_pair *)b)->name);
}

static void param_line(struct postconf *pc, const struct mcf_service *s, const struct conf_pair *o)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_VALUE_MAX);
	CLEANUP(freep) char *full = xasprintf("%s/%s/%s", s->name, mcf_type_name(s->type), o->name);
	struct err err = {0};
	if (!pc->expand)
		(void)buf_adds(&b, o->value);
	else if (maincf_expand(pc->mc, sv_str(o->value), s->overrides, s->noverrides, &b, &err) < 0)
		postconf_fatal("%s: %s", full, err.text);
	postconf_print(pc, full, buf_sv(&b));
}

/* Each name once: the last setting counts. */
static void param_lines(struct postconf *pc, const struct mcf_service *s, struct sv name)
{
	struct conf_pair *v = xcalloc(s->noverrides + 1, sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < s->noverrides; i++) {
		size_t k = 0;
		while (k < n && strcmp(v[k].name, s->overrides[i].name) != 0)
			k++;
		v[k] = s->overrides[i];
		n += k == n;
	}
	qsort(v, n, sizeof(*v), cmp_pairs);
	for (size_t i = 0; i < n; i++)
		if (!name.n || sv_eqs(name, v[i].name) || sv_eqs(name, "*"))
			param_line(pc, s, &v[i]);
	free(v);
}

void postconf_service_params(struct postconf *pc)
{
	for_services(pc, param_lines);
}
