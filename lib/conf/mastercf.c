/* mastercf.c - master.cf; see mastercf.h. */
#include "conf/mastercf.h"

#include <fcntl.h>

#include "base/fsutil.h"
#include "base/num.h"
#include "conf/conf_lex.h"

#define MASTERCF_FILE_MAX (4u << 20) /* bytes of a master.cf */
#define MCF_MAXPROC_MAX 100000

static const char *const type_names[] = {"inet", "unix", "fifo", "pass", "unix-dgram"};

const char *mcf_type_name(enum mcf_type t)
{
	return (size_t)t < ARRAY_LEN(type_names) ? type_names[t] : "unknown";
}

struct entry {
	struct mastercf *m;
	struct conf_problems *problems;
	struct mcf_service s;
	bool bad;
};

ATTR_PRINTF(2, 3) static void complain(struct entry *e, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->bad = true;
	conf_problem_add(e->problems, CONF_ERROR, e->m->file, e->s.line, "%s", text);
}

static void service_clear(struct mcf_service *s)
{
	free(s->name);
	free(s->host);
	free(s->port);
	free(s->command);
	for (size_t i = 0; i < s->argc; i++)
		free(s->argv[i]);
	free(s->argv);
	for (size_t i = 0; i < s->noverrides; i++) {
		free(s->overrides[i].name);
		free(s->overrides[i].value);
	}
	free(s->overrides);
	for (size_t i = 0; i < MCF_COLUMNS; i++)
		free(s->column[i]);
}

static bool valid_port(struct sv port)
{
	uint64_t number;
	if (port.n == 0 || port.n > 64)
		return false;
	if (ascii_isdigit((unsigned char)port.p[0]))
		return num_range(port, 1, 65535, &number) == 0;
	for (size_t i = 0; i < port.n; i++)
		if (!ascii_isalnum((unsigned char)port.p[i]) && !strchr("-_+.", port.p[i]))
			return false;
	return true;
}

/* "smtp", "25", "host:port", "[::1]:25", "::1:25" as inet_listen takes them. */
static void set_inet_name(struct entry *e, struct sv name)
{
	struct sv host = SV(""), port = name;
	ssize_t colon = sv_rchr(name, ':');
	if (colon >= 0) {
		host = sv_head(name, (size_t)colon);
		port = sv_skip(name, (size_t)colon + 1);
		if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
			host = sv_of(host.p + 1, host.n - 2);
		else if (sv_chr(host, '[') >= 0 || sv_chr(host, ']') >= 0)
			complain(e, "bad host in \"" SV_FMT "\": write [address]:port", SV_ARG(sv_head(name, 80)));
	}
	if (!valid_port(port))
		complain(e, "bad port in \"" SV_FMT "\"", SV_ARG(sv_head(name, 80)));
	e->s.host = sv_dup(host);
	e->s.port = sv_dup(port);
}

static void set_name(struct entry *e, struct sv name)
{
	e->s.name = sv_dup(name);
	if (e->s.type == MCF_INET) {
		set_inet_name(e, name);
		return;
	}
	e->s.host = xstrdup("");
	e->s.port = xstrdup("");
	/* It becomes a file below public/ or private/. */
	if (name.n > 100 || name.p[0] == '/' || name.p[0] == '.' || sv_find(name, SV("..")) >= 0)
		complain(e, "bad service name \"" SV_FMT "\"", SV_ARG(sv_head(name, 80)));
}

static void set_type(struct entry *e, struct sv word)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (sv_eqs(word, type_names[i])) {
			e->s.type = (enum mcf_type)i;
			return;
		}
	complain(
	    e, "bad transport type \"" SV_FMT "\": inet, unix, fifo, pass or unix-dgram", SV_ARG(sv_head(word, 40)));
}

/* y, n or '-'. */
static int yes_no(struct entry *e, struct sv word, const char *column, int dash)
{
	if (sv_eqs(word, "-"))
		return dash;
	if (sv_eqs(word, "y") || sv_eqs(word, "n"))
		return word.p[0] == 'y';
	complain(e, "column \"%s\" is \"" SV_FMT "\": y, n or - is expected", column, SV_ARG(sv_head(word, 40)));
	return dash;
}

static void set_wakeup(struct entry *e, struct sv word)
{
	if (sv_eqs(word, "-"))
		return;
	if (word.n > 1 && word.p[word.n - 1] == '?') {
		e->s.wakeup_if_used = true;
		word.n--;
	}
	if (num_u32(word, &e->s.wakeup) < 0 || e->s.wakeup > INT32_MAX)
		complain(e, "column \"wakeup\" is \"" SV_FMT "\": seconds are expected", SV_ARG(sv_head(word, 40)));
}

static void set_maxproc(struct entry *e, struct sv word)
{
	uint64_t n = 0;
	e->s.maxproc_default = sv_eqs(word, "-");
	if (!e->s.maxproc_default && num_range(word, 0, MCF_MAXPROC_MAX, &n) < 0)
		complain(e, "column \"maxproc\" is \"" SV_FMT "\": a number up to %d is expected",
		    SV_ARG(sv_head(word, 40)), MCF_MAXPROC_MAX);
	e->s.maxproc = (unsigned)n;
}

static void add_override(struct entry *e, const char *word, bool braced)
{
	struct sv name = SV_NONE, value = SV_NONE;
	const char *why = "";
	if (conf_lex_pair(sv_str(word), &name, &value, &why) < 0) {
		complain(e, "-o %.80s: %s", word, why);
		return;
	}
	/* Outside braces "name = value" would have been three words. */
	if (!braced && value.p && strlen(word) != name.n + 1 + value.n)
		complain(e, "-o %.80s: no white space around '=' outside { }", word);
	if (name.n > CONF_NAME_MAX)
		complain(e, "-o %.80s: the name is too long", word);
	e->s.overrides = xreallocarray(e->s.overrides, e->s.noverrides + 1, sizeof(*e->s.overrides));
	e->s.overrides[e->s.noverrides++] = (struct conf_pair){sv_dup(name), sv_dup(value)};
}

/* The options that every program understands: -o, -v, -D; they end at the first word without '-'. */
static void read_options(struct entry *e, const bool *braced)
{
	for (size_t i = 0; i < e->s.argc; i++) {
		const char *a = e->s.argv[i];
		if (a[0] != '-' || a[1] == '\0' || strcmp(a, "--") == 0)
			return;
		if (strcmp(a, "-o") == 0) {
			if (++i == e->s.argc)
				complain(e, "-o needs name=value");
			else
				add_override(e, e->s.argv[i], braced[i]);
		} else if (strncmp(a, "-o", 2) == 0) {
			add_override(e, a + 2, false);
		} else if (strspn(a + 1, "v") == strlen(a + 1)) {
			e->s.verbose += (unsigned)strlen(a + 1);
		} else if (strcmp(a, "-D") == 0) {
			e->s.debug = true;
		}
	}
}

static void read_arguments(struct entry *e, struct sv rest)
{
	bool braced[MCF_ARGS_MAX] = {false};
	struct sv word = SV_NONE;
	int r = 0;
	e->s.argv = xcalloc(MCF_ARGS_MAX + 1, sizeof(*e->s.argv));
	while (e->s.argc < MCF_ARGS_MAX && (r = conf_lex_word(&rest, " \t\r\n", &word)) == 1) {
		/* { name = value } is one argument without its braces; braces inside a word stay. */
		struct sv in = conf_lex_unbrace(word, &braced[e->s.argc]);
		e->s.argv[e->s.argc++] = sv_dup(in);
	}
	if (r < 0) {
		complain(e, "no closing '}' for \"" SV_FMT "\"", SV_ARG(sv_head(word, 60)));
		return;
	}
	if (r == 1 && sv_trim(rest).n > 0)
		complain(e, "more than %d arguments", MCF_ARGS_MAX);
	read_options(e, braced);
}

static void read_entry(struct entry *e, struct sv text)
{
	static const char *const columns[MCF_COLUMNS] = {
	    "service name", "type", "private", "unprivileged", "chroot", "wakeup", "maxproc", "command"};
	struct sv word[MCF_COLUMNS], rest = text;
	for (size_t i = 0; i < MCF_COLUMNS; i++)
		if (!sv_token(&rest, " \t\r\n", &word[i])) {
			complain(e,
			    "the column \"%s\" is missing: name type private unpriv chroot wakeup maxproc command is "
			    "expected",
			    columns[i]);
			return;
		}
	for (size_t i = 0; i < MCF_COLUMNS; i++)
		e->s.column[i] = sv_dup(word[i]);
	set_type(e, word[1]);
	set_name(e, word[0]);
	int private = yes_no(e, word[2], columns[2], -1);
	if (e->s.type == MCF_INET && private == 1)
		complain(e, "an inet service cannot be private: write n");
	e->s.is_private = private < 0 ? e->s.type != MCF_INET : private;
	e->s.unprivileged = yes_no(e, word[3], columns[3], 1);
	e->s.chroot = yes_no(e, word[4], columns[4], -1);
	set_wakeup(e, word[5]);
	set_maxproc(e, word[6]);
	e->s.command = sv_dup(word[7]);
	if (word[7].n > 200 || sv_chr(word[7], '/') >= 0)
		complain(e, "the command \"" SV_FMT "\" is not the name of a program", SV_ARG(sv_head(word[7], 60)));
	read_arguments(e, rest);
}

static void add_service(struct entry *e)
{
	struct mastercf *m = e->m;
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].type == e->s.type && strcmp(m->v[i].name, e->s.name) == 0) {
			conf_problem_add(e->problems, CONF_WARNING, m->file, e->s.line,
			    "service %s %s stands twice (line %u): this entry counts", e->s.name,
			    mcf_type_name(e->s.type), m->v[i].line);
			service_clear(&m->v[i]);
			m->v[i] = e->s;
			return;
		}
	m->v = xreallocarray(m->v, m->n + 1, sizeof(*m->v));
	m->v[m->n++] = e->s;
}

int mastercf_parse(struct sv text, const char *file, struct mastercf **out, struct conf_problems *problems)
{
	struct mastercf *m = xcalloc(1, sizeof(*m));
	struct conf_lex lex;
	struct sv line_text = SV_NONE;
	unsigned line = 0;
	int r;
	m->file = xstrdup(file);
	conf_lex_init(&lex, text);
	while ((r = conf_lex_next(&lex, &line_text, &line)) != 0) {
		struct entry e = {.m = m, .problems = problems, .s = {.line = line, .file = m->file, .chroot = -1}};
		if (r < 0)
			complain(&e, r == ERR_LIMIT ? "the line is too long" : "the line holds a NUL byte");
		else if (lex.orphan)
			complain(&e, "the line begins with white space but there is no line before it to continue");
		else if (m->n == MCF_SERVICES_MAX)
			complain(&e, "more than %d services", MCF_SERVICES_MAX);
		else
			read_entry(&e, line_text);
		if (e.bad)
			service_clear(&e.s);
		else
			add_service(&e);
	}
	conf_lex_clear(&lex);
	*out = m;
	return 0;
}

int mastercf_load(const char *path, struct mastercf **out, struct conf_problems *problems, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MASTERCF_FILE_MAX);
	int r = fs_read_file(AT_FDCWD, path, &b, err);
	return r < 0 ? r : mastercf_parse(buf_sv(&b), path, out, problems);
}

void mastercf_free(struct mastercf **m)
{
	if (!*m)
		return;
	for (size_t i = 0; i < (*m)->n; i++)
		service_clear(&(*m)->v[i]);
	free((*m)->v);
	free((*m)->file);
	free(*m);
	*m = NULL;
}

const struct mcf_service *mastercf_find(const struct mastercf *m, const char *name, enum mcf_type type)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].type == type && strcmp(m->v[i].name, name) == 0)
			return &m->v[i];
	return NULL;
}
