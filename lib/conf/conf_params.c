/* conf_params.c - the table of parameters and the check of one value; see conf_params.h. */
#include "conf/conf_params.h"

#include "base/err.h"
#include "base/num.h"

#define STR CONF_STR
#define BOOL CONF_BOOL
#define INT CONF_INT
#define SIZE CONF_SIZE
#define TIME CONF_TIME
#define NO_EFFECT CONF_NO_EFFECT
#define NOT_YET CONF_NOT_YET
#define UNSUPPORTED CONF_UNSUPPORTED
#define P(name_, type_, def_, min_, max_, owners_, help_)                                                              \
	{.name = (name_),                                                                                              \
	    .type = (type_),                                                                                           \
	    .def = (def_),                                                                                             \
	    .min = (min_),                                                                                             \
	    .max = (max_),                                                                                             \
	    .owners = (owners_),                                                                                       \
	    .help = (help_)},
#define E(name_, def_, choices_, owners_, help_)                                                                       \
	{.name = (name_),                                                                                              \
	    .type = CONF_ENUM,                                                                                         \
	    .def = (def_),                                                                                             \
	    .choices = (choices_),                                                                                     \
	    .owners = (owners_),                                                                                       \
	    .help = (help_)},
#define L(name_, def_, choices_, owners_, help_)                                                                       \
	{.name = (name_),                                                                                              \
	    .type = CONF_LIST,                                                                                         \
	    .def = (def_),                                                                                             \
	    .choices = (choices_),                                                                                     \
	    .owners = (owners_),                                                                                       \
	    .help = (help_)},
#define R(name_, def_, min_, max_, owners_, help_)                                                                     \
	{.name = (name_),                                                                                              \
	    .type = CONF_STR,                                                                                          \
	    .raw = true,                                                                                               \
	    .def = (def_),                                                                                             \
	    .min = (min_),                                                                                             \
	    .max = (max_),                                                                                             \
	    .owners = (owners_),                                                                                       \
	    .help = (help_)},
#define N(name_, type_, def_, status_, help_)                                                                          \
	{.name = (name_),                                                                                              \
	    .type = (type_),                                                                                           \
	    .def = (def_),                                                                                             \
	    .min = INT64_MIN,                                                                                          \
	    .owners = "",                                                                                              \
	    .status = (status_),                                                                                       \
	    .help = (help_)},

/* The generated file includes each lib/conf/params/SUBJECT.inc. */
const struct conf_param conf_params[] = {
#include "conf_params_rows.inc"
};
const size_t conf_nparams = ARRAY_LEN(conf_params);

#define WHY_SIZE 160

const struct conf_param *conf_param_find(struct sv name)
{
	const struct conf_param *found = NULL;
	for (size_t i = 0; i < conf_nparams; i++)
		if (sv_eqs(name, conf_params[i].name)) {
			if (conf_params[i].status == CONF_WORKS)
				return &conf_params[i];
			found = &conf_params[i];
		}
	return found;
}

const struct conf_param *conf_param_match(struct sv name)
{
	const struct conf_param *p = conf_param_find(name);
	if (p)
		return p;
	for (size_t i = 0; i < conf_nparams; i++) {
		struct sv form = sv_str(conf_params[i].name);
		if (!sv_starts(form, SV("*_")))
			continue;
		form = sv_skip(form, 1);
		if (name.n > form.n && sv_ends(name, form))
			return &conf_params[i];
	}
	return NULL;
}

bool conf_param_owned(const struct conf_param *p, struct sv program)
{
	struct sv rest = sv_str(p->owners), word;
	while (sv_token(&rest, " ", &word))
		if (sv_eq(word, program))
			return true;
	return false;
}

const char *conf_type_name(enum conf_type t)
{
	static const char *const names[] = {"string", "boolean", "integer", "size", "time", "one of", "list of"};
	return (size_t)t < ARRAY_LEN(names) ? names[t] : "unknown";
}

const char *conf_status_name(enum conf_status s)
{
	static const char *const names[] = {"works", "no effect", "not yet", "not supported"};
	return (size_t)s < ARRAY_LEN(names) ? names[s] : "unknown";
}

ATTR_PRINTF(3, 4) static int refuse(char *why, int code, const char *fmt, ...)
{
	if (why) {
		va_list ap;
		va_start(ap, fmt);
		(void)vsnprintf(why, WHY_SIZE, fmt, ap);
		va_end(ap);
	}
	return code;
}

/* The unit of a TIME value that has none: the one that the default is written with. */
static char default_unit(const struct conf_param *p)
{
	size_t n = strlen(p->def);
	if (n >= 2 && strchr("smhdw", p->def[n - 1]) && (ascii_isdigit(p->def[n - 2]) || p->def[n - 2] == '}'))
		return p->def[n - 1];
	return 's';
}

static int check_number(const struct conf_param *p, struct sv value, int64_t *num, char *why)
{
	int64_t v = 0;
	int r;
	if (p->type == CONF_TIME) {
		uint64_t seconds;
		r = num_duration(value, default_unit(p), &seconds);
		if (r == 0 && seconds > INT64_MAX)
			r = ERR_LIMIT;
		if (r == 0)
			v = (int64_t)seconds;
	} else {
		r = num_i64(value, &v);
	}
	if (r == ERR_SYNTAX)
		return refuse(
		    why, r, p->type == CONF_TIME ? "is not a time such as 300, 5m, 2h or 5d" : "is not a number");
	if (r < 0)
		return refuse(why, ERR_LIMIT, "is too large");
	if (v < p->min)
		return refuse(why, ERR_LIMIT, "is below the minimum of %lld", (long long)p->min);
	if (p->max > 0 && v > p->max)
		return refuse(why, ERR_LIMIT, "is above the maximum of %lld", (long long)p->max);
	*num = v;
	return 0;
}

static bool is_choice(const char *choices, struct sv word)
{
	struct sv rest = sv_str(choices), c;
	while (sv_token(&rest, " ", &c))
		if (sv_ieq(c, word))
			return true;
	return false;
}

static int check_words(const struct conf_param *p, struct sv value, char *why)
{
	struct sv rest = value, word;
	size_t n = 0;
	if (!p->choices)
		return 0;
	while (sv_token(&rest, p->type == CONF_LIST ? " ,\t\r\n" : "", &word)) {
		n++;
		if (!is_choice(p->choices, word))
			return refuse(why, ERR_SYNTAX, "has \"" SV_FMT "\": choose from: %s", SV_ARG(sv_head(word, 40)),
			    p->choices);
	}
	if (n == 0 && p->type == CONF_ENUM)
		return refuse(why, ERR_SYNTAX, "is empty: choose from: %s", p->choices);
	return 0;
}

int conf_param_check(const struct conf_param *p, struct sv value, int64_t *num, char *why)
{
	int64_t v = 0;
	int r = 0;
	switch (p->type) {
	case CONF_BOOL:
		v = sv_ieqs(value, "yes");
		if (!v && !sv_ieqs(value, "no"))
			r = refuse(why, ERR_SYNTAX, "is neither yes nor no");
		break;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_TIME: r = check_number(p, value, &v, why); break;
	case CONF_ENUM:
	case CONF_LIST: r = check_words(p, value, why); break;
	case CONF_STR:
		if (p->max > 0 && value.n > (uint64_t)p->max)
			r = refuse(why, ERR_LIMIT, "is longer than %lld bytes", (long long)p->max);
		else if (p->min > 0 && value.n < (uint64_t)p->min)
			r = refuse(why, ERR_LIMIT, "is shorter than %lld bytes", (long long)p->min);
		break;
	}
	if (r == 0 && num)
		*num = v;
	return r;
}
