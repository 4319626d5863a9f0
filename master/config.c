/* config.c - main.cf and master.cf for master: loads both, reports every problem, never replaces what works by what
 * does not. */
#include "conf/maincf_host.h"
#include "master/master.h"

static void report(const struct conf_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		struct buf line = BUF_INIT(4096);
		conf_problem_print(&problems->v[i], &line);
		if (problems->v[i].severity == CONF_ERROR)
			log_error("%s", buf_cstr(&line));
		else
			log_warn("%s", buf_cstr(&line));
		buf_free(&line);
	}
}

int config_load(struct master *m, struct maincf **mc, struct mastercf **services, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	CLEANUP(freep) char *main_path = xasprintf("%s/main.cf", m->config_directory);
	CLEANUP(freep) char *master_path = xasprintf("%s/master.cf", m->config_directory);
	struct maincf_args args = {
	    .path = main_path, .config_directory = m->config_directory, .host = maincf_host_default};
	int r;

	*mc = NULL;
	*services = NULL;
	if ((r = maincf_load(&args, mc, &problems, err)) == 0 &&
	    (r = mastercf_load(master_path, services, &problems, err)) == 0) {
		maincf_use_services(*mc, *services);
		maincf_check(*mc, *services, &problems);
	}
	report(&problems);
	if (r == 0 && problems.errors > 0)
		r = err_set(err, ERR_SYNTAX, "%zu errors in the configuration", problems.errors);
	conf_problems_clear(&problems);
	if (r < 0) {
		mastercf_free(services);
		maincf_free(mc);
	}
	return r;
}

char *config_value(struct master *m, const char *name)
{
	struct buf b = BUF_INIT(CONF_VALUE_MAX);
	maincf_value(m->maincf, name, NULL, 0, &b, NULL);
	return buf_steal(&b);
}

uint64_t config_num(struct master *m, const char *name)
{
	int64_t v = maincf_num(m->maincf, name);
	return v > 0 ? (uint64_t)v : 0;
}
