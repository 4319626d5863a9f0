/* mastercf_fuzz.c - master.cf from a stranger. */
#include "conf/mastercf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct mastercf *m = NULL;
	(void)mastercf_parse(sv_of((const char *)data, size), "master.cf", &m, &problems);
	for (size_t i = 0; i < m->n; i++)
		BUG_ON(mastercf_find(m, m->v[i].name, m->v[i].type) != &m->v[i]);
	mastercf_free(&m);
	conf_problems_clear(&problems);
	return 0;
}
