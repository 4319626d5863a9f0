/* maincf_fuzz.c - main.cf from a stranger: parse, check everything, expand every setting. */
#include "conf/maincf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expand(void *arg, const char *name, const char *raw, unsigned line)
{
	struct buf b = BUF_INIT(65536);
	(void)raw;
	(void)line;
	(void)maincf_value(arg, name, NULL, 0, &b, NULL);
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct maincf_args args = {.config_directory = "/etc/merpati"};
	struct maincf *mc = NULL;
	struct buf blob = BUF_INIT(1 << 20);
	(void)maincf_parse(sv_of((const char *)data, size), "main.cf", &args, &mc, &problems);
	if (size % 16 == 0) /* it looks at every default too: slow */
		maincf_check(mc, NULL, &problems);
	maincf_each(mc, expand, mc);
	if (size % 16 == 1)
		(void)maincf_blob(mc, "rewrite", NULL, 0, &blob, NULL);
	buf_free(&blob);
	maincf_free(&mc);
	conf_problems_clear(&problems);
	return 0;
}
