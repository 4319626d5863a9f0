/* postconf_doc.c - the manual page and the status page of the parameters, from the table; see postconf.h. */
#include "tools/postconf.h"

static int cmp_rows(const void *a, const void *b)
{
	const struct conf_param *x = *(const struct conf_param *const *)a, *y = *(const struct conf_param *const *)b;
	return strcmp(x->name, y->name);
}

/* Rows by name; a name that works hides a row of the same name that does not. */
static const struct conf_param **sorted(size_t *n)
{
	const struct conf_param **v = xcalloc(conf_nparams, sizeof(const struct conf_param *));
	*n = 0;
	for (size_t i = 0; i < conf_nparams; i++)
		if (conf_params[i].name[0] == '*' || conf_param_find(sv_str(conf_params[i].name)) == &conf_params[i])
			v[(*n)++] = &conf_params[i];
	qsort(v, *n, sizeof(const struct conf_param *), cmp_rows);
	return v;
}

/* mdoc: a line may not begin with a control character, backslashes are doubled. */
static void put_mdoc(const char *s)
{
	if (*s == '.' || *s == '\'')
		(void)fputs("\\&", stdout);
	for (; *s; s++)
		(void)fputs(*s == '\\' ? "\\e" : (char[]){*s, '\0'}, stdout);
}

static void put_range(const struct conf_param *p)
{
	if (p->type != CONF_INT && p->type != CONF_SIZE && p->type != CONF_TIME)
		return;
	if (p->max > 0)
		(void)printf(" from %lld to %lld", (long long)p->min, (long long)p->max);
	else if (p->min > 0)
		(void)printf(", at least %lld", (long long)p->min);
}

static void put_type(const struct conf_param *p)
{
	(void)printf("%s", conf_type_name(p->type));
	if (p->choices)
		(void)printf(" %s", p->choices);
	put_range(p);
	if (p->type == CONF_TIME)
		(void)fputs(" (seconds)", stdout);
}

void postconf_manual(void)
{
	size_t n;
	const struct conf_param **v = sorted(&n);
	(void)puts(".Dd November 21, 2026\n.Dt POSTCONF 5\n.Os Merpati\n.Sh NAME\n.Nm postconf\n.Nd parameters of "
		   "main.cf\n.Sh DESCRIPTION\n"
		   "Parameters are set in\n.Pa main.cf\nas\n.Dl name = value\n"
		   "and for one service in\n.Pa master.cf\nwith\n.Fl o Ar name Ns = Ns Ar value .\n"
		   "A line that begins with white space continues the one before.\n"
		   "In values\n.Li $name , ${name} , ${name?{value}:{other}}\nand\n"
		   ".Li ${{left} == {right} ? {value} : {other}}\nare replaced;\n.Li $$\nis a dollar sign.\n"
		   "Times have the units s, m, h, d, w.\n.Sh PARAMETERS\n.Bl -tag -width Ds");
	for (size_t i = 0; i < n; i++) {
		if (v[i]->status != CONF_WORKS)
			continue;
		(void)printf(".It Va %s No (default: ", v[i]->name);
		put_mdoc(v[i]->def[0] ? v[i]->def : "empty");
		(void)puts(")");
		put_mdoc(v[i]->help);
		(void)fputs(".\nType: ", stdout);
		put_type(v[i]);
		(void)printf(".\nRead by: %s.\n", v[i]->owners);
	}
	(void)puts(".El\n.Sh SEE ALSO\n.Xr postconf 1 ,\n.Xr master 8");
	free(v);
}

static void put_cell(const char *s)
{
	for (; *s; s++)
		(void)fputs(*s == '|' ? "\\|" : (char[]){*s, '\0'}, stdout);
}

void postconf_status(void)
{
	static const enum conf_status order[] = {CONF_WORKS, CONF_NO_EFFECT, CONF_NOT_YET, CONF_UNSUPPORTED};
	size_t n, count[4] = {0};
	const struct conf_param **v = sorted(&n);
	for (size_t i = 0; i < n; i++)
		count[v[i]->status]++;
	(void)puts("# Parameters by status\n\nMade by `postconf --status` from the table in lib/conf/params.\n");
	for (size_t s = 0; s < ARRAY_LEN(order); s++)
		(void)printf("- %s: %zu\n", conf_status_name(order[s]), count[order[s]]);
	for (size_t s = 0; s < ARRAY_LEN(order); s++) {
		(void)printf("\n## %s\n\n| name | default | %s |\n|---|---|---|\n", conf_status_name(order[s]),
		    order[s] == CONF_WORKS ? "meaning" : "reason");
		for (size_t i = 0; i < n; i++) {
			if (v[i]->status != order[s])
				continue;
			(void)printf("| `%s` | ", v[i]->name);
			if (v[i]->def[0]) {
				(void)fputc('`', stdout);
				put_cell(v[i]->def);
				(void)fputc('`', stdout);
			}
			(void)fputs(" | ", stdout);
			put_cell(v[i]->help);
			(void)puts(" |");
		}
	}
	free(v);
}
