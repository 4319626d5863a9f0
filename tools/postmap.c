/*
 * postmap.c - postmap and postalias: build, query and change lookup tables.  A table is built beside the old one and
 * renamed over it, so readers never see half of one.
 */
#include "base/base.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>

#include "base/fsutil.h"
#include "conf/maincf.h"
#include "maps/map.h"
#include "maps/map_build.h"
#include "tools/postmap.h"

void postmap_warn(const struct postmap *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: warning: ", p->prog);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
}

ATTR_NORETURN ATTR_PRINTF(2, 3) static void fatal(const struct postmap *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s: fatal: ", p->prog);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

/* unix:passwd.byname and unix:group.byname: a tool may wait for them. */
static int unix_lookup(void *ctx, const char *name, struct sv key, struct buf *value, struct err *err)
{
	CLEANUP(freep) char *text = sv_dup(key);
	(void)ctx;
	errno = 0;
	if (name[0] == 'g') {
		const struct group *g = getgrnam(text);
		if (g && buf_printf(value, "%s:x:%u:", g->gr_name, g->gr_gid) == 0)
			return 1;
	} else {
		const struct passwd *p = getpwnam(text);
		if (p && buf_printf(value, "%s:x:%u:%u:%s:%s:%s", p->pw_name, p->pw_uid, p->pw_gid, p->pw_gecos,
			     p->pw_dir, p->pw_shell) == 0)
			return 1;
	}
	return errno == 0 || errno == ENOENT || errno == ESRCH ? 0 : err_sys(err, "look up %s", text);
}

static void show_notes(const struct postmap *p, struct map_store *s)
{
	struct sv notes = map_store_notes(s);
	while (notes.n > 0) {
		struct sv line = sv_cut(&notes, "\n");
		if (line.n)
			postmap_warn(p, SV_FMT, SV_ARG(line));
	}
	map_store_notes_done(s);
}

/* 1 found and printed, 0 not; a table that cannot answer ends the program. */
static int query_one(const struct postmap *p, struct map *m, struct sv key, bool with_key)
{
	CLEANUP(buf_freep) struct buf value = BUF_INIT(MAP_VALUE_MAX);
	struct err err = {0};
	int r = map_lookup(m, key, &value, &err);
	if (r < 0)
		fatal(p, "%s: query error", err.text);
	if (r == 0)
		return 0;
	if (value.n == 0)
		postmap_warn(
		    p, "table %s: key \"" SV_FMT "\": empty string result is not allowed", map_spec(m), SV_ARG(key));
	if (with_key)
		(void)printf(SV_FMT "\t", SV_ARG(key));
	(void)printf(SV_FMT "\n", SV_ARG(buf_sv(&value)));
	return 1;
}

static int query_table(const struct postmap *p, const char *spec)
{
	struct map_store *s = map_store_new(unix_lookup, NULL);
	struct err err = {0};
	struct map *m = map_store_get(s, sv_str(spec), p->alias ? MAP_ALIAS : 0, &err);
	int found = 0;
	if (!m)
		fatal(p, "%s", err.text);
	if (map_status(m, &err) < 0)
		fatal(p, "%s", err.text);
	show_notes(p, s);
	if (strcmp(p->key, "-") == 0) {
		char *line = NULL;
		size_t size = 0;
		ssize_t n;
		while ((n = getline(&line, &size, stdin)) > 0) {
			struct sv key = sv_of(line, (size_t)n);
			if (key.p[key.n - 1] == '\n')
				key.n--;
			found |= query_one(p, m, key, true);
		}
		free(line);
	} else {
		found = query_one(p, m, sv_str(p->key), false);
	}
	map_store_free(&s);
	return found ? 0 : 1;
}

static int print_entry(void *ctx, struct sv key, struct sv value)
{
	const struct postmap *p = ctx;
	(void)printf(p->alias ? SV_FMT ":\t" SV_FMT "\n" : SV_FMT "\t" SV_FMT "\n", SV_ARG(key), SV_ARG(value));
	return 0;
}

static int list_table(const struct postmap *p, const char *name)
{
	struct err err = {0};
	struct postmap copy = *p;
	if (map_build_each(name, print_entry, &copy, &err) < 0)
		fatal(p, "%s", err.text);
	return 0;
}

static bool is_lmdb(struct sv type)
{
	static const char *const names[] = {"lmdb", "hash", "btree", "dbm", "cdb", "sdbm"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (sv_eqs(type, names[i]))
			return true;
	return false;
}

/* One table of the command line. */
static int one_table(const struct postmap *p, const char *arg)
{
	const char *colon = strchr(arg, ':');
	CLEANUP(freep) char *spec = colon ? xstrdup(arg) : xasprintf("%s:%s", p->default_type, arg);
	const char *name = strchr(spec, ':') + 1;
	CLEANUP(freep) char *type = xstrndup(spec, (size_t)(name - spec - 1));
	if (p->mode == PM_QUERY)
		return query_table(p, spec);
	if (!is_lmdb(sv_str(type)))
		fatal(p, "unsupported map type for this operation: %s", type);
	return p->mode == PM_LIST ? list_table(p, name) : postmap_write(p, name);
}

ATTR_NORETURN static void usage(const char *prog)
{
	(void)fprintf(
	    stderr, "usage: %s [-Nfinopruvw] [-c config_dir] [-d key] [-q key] [-s] [file_type:]file_name...\n", prog);
	exit(1);
}

static void set_mode(struct postmap *p, enum postmap_mode mode)
{
	if (p->mode != PM_BUILD)
		fatal(p, "specify only one of -s -q -d -i");
	p->mode = mode;
}

static const char *read_options(struct postmap *p, int argc, char **argv)
{
	const char *dir = NULL;
	int c;
	while ((c = getopt(argc, argv, "Nbc:d:fhimnopq:rsuUvwx")) != -1) {
		switch (c) {
		case 'c': dir = optarg; break;
		case 'd':
			set_mode(p, PM_DELETE);
			p->key = optarg;
			break;
		case 'q':
			set_mode(p, PM_QUERY);
			p->key = optarg;
			break;
		case 'f': p->no_fold = true; break;
		case 'i': set_mode(p, PM_UPDATE); break;
		case 'o': p->keep_root = true; break;
		case 'p': p->own_mode = true; break;
		case 'r': p->replace = true; break;
		case 's': set_mode(p, PM_LIST); break;
		case 'w': p->quiet = true; break;
		case 'N': /* keys with NUL: none of our tables has them */
		case 'n':
		case 'u': /* keys are bytes: UTF-8 passes either way */
		case 'U':
		case 'v': break;
		default: usage(p->prog);
		}
	}
	return dir;
}

static char *default_type(const char *dir)
{
	CLEANUP(freep) char *path = NULL;
	CLEANUP(buf_freep) struct buf value = BUF_INIT(1000);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf *mc = NULL;
	if (!dir)
		dir = getenv("MAIL_CONFIG");
	path = xasprintf("%s/main.cf", dir ? dir : "/etc/merpati");
	struct maincf_args args = {.path = path};
	if (maincf_load(&args, &mc, &problems, NULL) < 0) {
		args.path = NULL; /* tables can be made without any configuration */
		(void)maincf_load(&args, &mc, &problems, NULL);
	}
	(void)maincf_value(mc, "default_database_type", NULL, 0, &value, NULL);
	conf_problems_clear(&problems);
	maincf_free(&mc);
	return buf_steal(&value);
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *prog = slash ? slash + 1 : argv[0];
	bool alias = strcmp(prog, "postalias") == 0;
	struct postmap p = {.prog = alias ? "postalias" : "postmap", .alias = alias};
	int status = 0;
	const char *dir = read_options(&p, argc, argv);
	if (optind == argc)
		usage(p.prog);
	CLEANUP(freep) char *type = default_type(dir);
	p.default_type = type;
	(void)umask(022);
	for (int i = optind; i < argc; i++) {
		int r = one_table(&p, argv[i]);
		if (p.mode == PM_QUERY || p.mode == PM_DELETE) {
			status = r == 0 ? 0 : 1;
			if (r == 0)
				break; /* the first table that has it */
		} else if (r < 0) {
			status = 1;
		}
	}
	if (fflush(stdout) != 0 || ferror(stdout))
		fatal(&p, "write error: %s", strerror(errno));
	return status;
}
