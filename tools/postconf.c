/*
 * postconf.c - show and change parameters of main.cf and services of master.cf; the manual of the parameters comes from
 * the same table.
 */
#include "tools/postconf.h"

#include <getopt.h>

#include "conf/maincf_host.h"

void postconf_warn(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fflush(stdout);
	(void)fputs("postconf: warning: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
}

ATTR_NORETURN void postconf_fatal(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fflush(stdout);
	(void)fputs("postconf: fatal: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

ATTR_NORETURN static void usage(void)
{
	(void)fputs("usage: postconf [-dfhHnpvx] [-c config_dir] [-o name=value] [name...]\n"
		    "       postconf -e|-X|-# [-c config_dir] name[=value]...\n"
		    "       postconf -M|-F|-P [-f] [-c config_dir] [service[/type[/name]]...]\n"
		    "       postconf -m\n",
	    stderr);
	exit(1);
}

static void add_override(struct postconf *pc, const char *text)
{
	const char *eq = strchr(text, '=');
	if (!eq || eq == text)
		postconf_fatal("missing '=' after attribute name: \"%s\"", text);
	pc->overrides = xreallocarray(pc->overrides, pc->noverrides + 1, sizeof(*pc->overrides));
	pc->overrides[pc->noverrides++] =
	    (struct conf_pair){sv_dup(sv_trim(sv_of(text, (size_t)(eq - text)))), sv_dup(sv_trim(sv_str(eq + 1)))};
}

static void set_mode(struct postconf *pc, enum postconf_mode mode)
{
	if (pc->mode != PC_SHOW && pc->mode != mode)
		usage();
	pc->mode = mode;
}

static void read_options(struct postconf *pc, int argc, char **argv)
{
	static const struct option longs[] = {{"manual", no_argument, NULL, 1}, {"status", no_argument, NULL, 2}, {0}};
	int c;
	while ((c = getopt_long(argc, argv, "c:defhHmMFPno:pvxX#", longs, NULL)) != -1) {
		switch (c) {
		case 1: set_mode(pc, PC_MANUAL); break;
		case 2: set_mode(pc, PC_STATUS); break;
		case 'c':
			pc->dir = optarg;
			pc->dir_given = true;
			break;
		case 'd': pc->defaults = true; break;
		case 'e': set_mode(pc, PC_EDIT); break;
		case 'f': pc->fold = true; break;
		case 'F': set_mode(pc, PC_FIELDS); break;
		case 'h': pc->no_name = true; break;
		case 'H': pc->no_value = true; break;
		case 'm': set_mode(pc, PC_TYPES); break;
		case 'M': set_mode(pc, PC_SERVICES); break;
		case 'n': pc->only_set = true; break;
		case 'o': add_override(pc, optarg); break;
		case 'p':
		case 'v': break;
		case 'P': set_mode(pc, PC_SERVICE_PARAMS); break;
		case 'x': pc->expand = true; break;
		case 'X': set_mode(pc, PC_REMOVE); break;
		case '#': set_mode(pc, PC_COMMENT); break;
		default: usage();
		}
	}
	if (pc->defaults && pc->only_set)
		postconf_fatal("specify one of -d and -n");
	pc->args = argv + optind;
	pc->nargs = argc - optind;
}

static void show_problems(const struct conf_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		CLEANUP(buf_freep) struct buf b = BUF_INIT(4000);
		struct conf_problem as_text = p->v[i];
		as_text.severity = CONF_ERROR; /* the word stands in front already */
		conf_problem_print(&as_text, &b);
		postconf_warn("%s", buf_cstr(&b));
	}
}

static void load_main(struct postconf *pc)
{
	CLEANUP(freep) char *path = xasprintf("%s/main.cf", pc->dir);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf_args args = {.path = pc->defaults ? NULL : path,
	    .host = maincf_host_default,
	    .overrides = pc->overrides,
	    .noverrides = pc->noverrides};
	struct err err = {0};
	if (pc->dir_given && !pc->defaults)
		args.config_directory = pc->dir;
	if (maincf_load(&args, &pc->mc, &problems, &err) < 0)
		postconf_fatal("%s", err.text);
	show_problems(&problems);
	conf_problems_clear(&problems);
}

static void load_services(struct postconf *pc, bool must)
{
	CLEANUP(freep) char *path = xasprintf("%s/master.cf", pc->dir);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct err err = {0};
	if (mastercf_load(path, &pc->services, &problems, &err) < 0 && must)
		postconf_fatal("%s", err.text);
	if (must)
		show_problems(&problems);
	conf_problems_clear(&problems);
}

static void print_types(void)
{
	static const char *const types[] = {"btree", "cdb", "cidr", "dbm", "environ", "fail", "hash", "inline", "lmdb",
	    "pcre", "pipemap", "proxy", "randmap", "regexp", "sdbm", "static", "texthash", "unionmap", "unix"};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		(void)puts(types[i]);
}

static void unused(void *arg, const char *name, const char *raw)
{
	const struct postconf *pc = arg;
	postconf_warn("%s/main.cf: unused parameter: %s=%s", pc->dir, name, raw);
}

static void unused_option(void *arg, const struct mcf_service *s, const struct conf_pair *option)
{
	const struct postconf *pc = arg;
	(void)s;
	postconf_warn("%s/master.cf: unused parameter: %s=%s", pc->dir, option->name, option->value);
}

static void warn_unused(struct postconf *pc)
{
	if (pc->defaults)
		return;
	maincf_each_unused(pc->mc, pc->services, unused, pc);
	maincf_each_unused_option(pc->mc, pc->services, unused_option, pc);
}

static void free_all(struct postconf *pc)
{
	for (size_t i = 0; i < pc->noverrides; i++) {
		free(pc->overrides[i].name);
		free(pc->overrides[i].value);
	}
	free(pc->overrides);
	mastercf_free(&pc->services);
	maincf_free(&pc->mc);
}

int main(int argc, char **argv)
{
	const char *env = getenv("MAIL_CONFIG");
	struct postconf pc = {.dir = env ? env : "/etc/merpati", .dir_given = env != NULL};
	read_options(&pc, argc, argv);
	bool services = pc.mode == PC_SERVICES || pc.mode == PC_FIELDS || pc.mode == PC_SERVICE_PARAMS;
	if (pc.mode == PC_SHOW || services) {
		load_main(&pc);
		load_services(&pc, services);
	}
	switch (pc.mode) {
	case PC_SHOW: postconf_show(&pc); break;
	case PC_EDIT:
	case PC_REMOVE:
	case PC_COMMENT: postconf_edit(&pc); break;
	case PC_SERVICES: postconf_services(&pc); break;
	case PC_FIELDS: postconf_fields(&pc); break;
	case PC_SERVICE_PARAMS: postconf_service_params(&pc); break;
	case PC_TYPES: print_types(); break;
	case PC_STATUS: postconf_status(); break;
	case PC_MANUAL: postconf_manual(); break;
	}
	if (pc.mode == PC_SHOW || services)
		warn_unused(&pc);
	free_all(&pc);
	if (fflush(stdout) != 0 || ferror(stdout))
		postconf_fatal("write error: %s", strerror(errno));
	return pc.status;
}
