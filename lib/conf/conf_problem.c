/* conf_problem.c - the list of what is wrong in a file; see maincf.h. */
#include "conf/maincf.h"

#define PROBLEM_TEXT_MAX 1000

void conf_problem_add(
    struct conf_problems *p, enum conf_severity sev, const char *file, unsigned line, const char *fmt, ...)
{
	struct buf text = BUF_INIT(PROBLEM_TEXT_MAX);
	va_list ap;
	if (sev == CONF_ERROR)
		p->errors++;
	else
		p->warnings++;
	if (p->n == CONF_PROBLEMS_MAX)
		return;
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 16;
		p->v = xreallocarray(p->v, p->cap, sizeof(*p->v));
	}
	va_start(ap, fmt);
	if (buf_vprintf(&text, fmt, ap) < 0)
		(void)buf_adds(&text, "(a message too long to show)");
	va_end(ap);
	p->v[p->n++] = (struct conf_problem){
	    .severity = sev, .file = xstrdup(file ? file : ""), .line = line, .text = buf_steal(&text)};
}

void conf_problems_clear(struct conf_problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].file);
		free(p->v[i].text);
	}
	free(p->v);
	*p = (struct conf_problems)CONF_PROBLEMS_INIT;
}

void conf_problem_print(const struct conf_problem *p, struct buf *out)
{
	if (p->file[0])
		(void)buf_adds(out, p->file);
	if (p->line)
		(void)buf_printf(out, ", line %u", p->line);
	if (p->file[0] || p->line)
		(void)buf_adds(out, ": ");
	(void)buf_printf(out, "%s%s", p->severity == CONF_WARNING ? "warning: " : "", p->text);
}
