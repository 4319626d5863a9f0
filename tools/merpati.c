/* merpati.c - merpati(8): the command of the postmaster.  One verb, one function. */
#include <getopt.h>
#include <sysexits.h>

#include "conf/maincf_host.h"
#include "log/log.h"
#include "tools/merpati.h"

static int user_verb(struct merpati *t, int argc, char **argv)
{
	setenv("MAIL_CONFIG", t->config_directory, 1);
	return merpati_user(argc, argv);
}

static int version_verb(struct merpati *t ATTR_UNUSED, int argc ATTR_UNUSED, char **argv ATTR_UNUSED)
{
	puts("merpati " MERPATI_VERSION);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct merpati *t, int argc, char **argv);
	const char *help;
} verbs[] = {
    {"start", merpati_start, "start the mail system"},
    {"stop", merpati_stop, "stop it: sessions finish, nothing is lost"},
    {"reload", merpati_reload, "put changed files in force without dropping a connection"},
    {"status", merpati_status, "services, processes, sessions"},
    {"check", merpati_check, "[--switchboard]: test main.cf and master.cf; who may talk to whom"},
    {"user", user_verb, "add|passwd|del|list ...: accounts"},
    {"version", version_verb, "print the version"},
};

static int usage(void)
{
	fputs("usage: merpati [-c config_directory] verb [arguments]\n", stderr);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(stderr, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	return EX_USAGE;
}

char *merpati_value(const struct merpati *t, const char *name)
{
	struct buf b = BUF_INIT(CONF_VALUE_MAX);
	maincf_value(t->maincf, name, NULL, 0, &b, NULL);
	return buf_steal(&b);
}

static int load(struct merpati *t)
{
	CLEANUP(freep) char *path = xasprintf("%s/main.cf", t->config_directory);
	struct maincf_args args = {.path = path, .config_directory = t->config_directory, .host = maincf_host_default};
	struct err err;
	int r = maincf_load(&args, &t->maincf, &t->problems, &err);

	if (r < 0) {
		fprintf(stderr, "merpati: %s\n", err.text);
		return EX_CONFIG;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct merpati t = {.config_directory = getenv("MAIL_CONFIG")};
	int c;

	log_open("merpati", LOG_SINK_STDERR, -1);
	while ((c = getopt(argc, argv, "+c:")) != -1) {
		if (c != 'c')
			return usage();
		t.config_directory = optarg;
	}
	if (t.config_directory == NULL)
		t.config_directory = "/etc/merpati";
	argc -= optind;
	argv += optind;
	for (size_t i = 0; argc > 0 && i < ARRAY_LEN(verbs); i++) {
		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		int r = verbs[i].run == version_verb ? 0 : load(&t);
		optind = 0; /* glibc: scan a new argument vector */
		if (r == 0)
			r = verbs[i].run(&t, argc, argv);
		conf_problems_clear(&t.problems);
		maincf_free(&t.maincf);
		return r;
	}
	return usage();
}
