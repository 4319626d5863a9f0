/* conf.c - the parameters of one process; see conf.h. */
#include "conf/conf.h"

#include "base/fsutil.h"
#include "base/num.h"
#include "conf/conf_params.h"

#define CONF_BLOB_MAX (16u << 20) /* bytes of all parameters of one process */

struct conf_item {
	const char *name, *value;
	const struct conf_param *row; /* NULL: a name without a row */
	int64_t num;
};

struct conf {
	char *text;
	struct conf_item *items; /* sorted by name */
	size_t n;
};

static int item_cmp(const void *a, const void *b)
{
	return strcmp(((const struct conf_item *)a)->name, ((const struct conf_item *)b)->name);
}

static struct conf_item *item_find(const struct conf *c, const char *name)
{
	struct conf_item key = {.name = name};
	return bsearch(&key, c->items, c->n, sizeof(key), item_cmp);
}

static int split_pairs(struct conf *c, size_t len, struct err *err)
{
	size_t nuls = 0;
	for (size_t i = 0; i < len; i++)
		nuls += c->text[i] == '\0';
	if (nuls % 2 || (len > 0 && c->text[len - 1] != '\0'))
		return err_set(err, ERR_PROTOCOL, "parameters are not pairs of name and value");
	c->items = xcalloc(nuls / 2 + 1, sizeof(*c->items));
	for (const char *p = c->text; p < c->text + len; c->n++) {
		struct conf_item *it = &c->items[c->n];
		it->name = p;
		it->value = p + strlen(p) + 1;
		p = it->value + strlen(it->value) + 1;
	}
	qsort(c->items, c->n, sizeof(*c->items), item_cmp);
	for (size_t i = 1; i < c->n; i++)
		if (strcmp(c->items[i - 1].name, c->items[i].name) == 0)
			return err_set(err, ERR_PROTOCOL, "parameter %.100s stands twice", c->items[i].name);
	return 0;
}

static int resolve(struct conf *c, struct err *err)
{
	char why[160];
	for (size_t i = 0; i < conf_nparams; i++) {
		struct conf_item *it = item_find(c, conf_params[i].name);
		if (it && (!it->row || conf_params[i].status == CONF_WORKS))
			it->row = &conf_params[i];
	}
	for (size_t i = 0; i < c->n; i++) {
		struct conf_item *it = &c->items[i];
		if (!it->row)
			it->row = conf_param_match(sv_str(it->name));
		if (it->row && conf_param_check(it->row, sv_str(it->value), &it->num, why) < 0)
			return err_set(
			    err, ERR_SYNTAX, "parameter %.100s: value \"%.60s\" %s", it->name, it->value, why);
	}
	return 0;
}

int conf_from_blob(struct sv blob, struct conf **out, struct err *err)
{
	if (blob.n > CONF_BLOB_MAX)
		return err_set(err, ERR_LIMIT, "parameters are larger than %u bytes", CONF_BLOB_MAX);
	struct conf *c = xcalloc(1, sizeof(*c));
	c->text = sv_dup(blob);
	int r = split_pairs(c, blob.n, err);
	if (r == 0)
		r = resolve(c, err);
	if (r < 0) {
		conf_free(&c);
		return r;
	}
	*out = c;
	return 0;
}

int conf_from_fd(int fd, struct conf **out, struct err *err)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(CONF_BLOB_MAX);
	char chunk[16384];
	ssize_t n;
	/* pread: the descriptor may be shared with processes that read it too. */
	while ((n = pread(fd, chunk, sizeof(chunk), (off_t)b.n)) > 0)
		if (buf_add(&b, chunk, (size_t)n) < 0)
			return err_set(err, ERR_LIMIT, "parameters are larger than %u bytes", CONF_BLOB_MAX);
	if (n < 0)
		return err_sys(err, "read parameters");
	return conf_from_blob(buf_sv(&b), out, err);
}

void conf_free(struct conf **c)
{
	if (!*c)
		return;
	free((*c)->items);
	free((*c)->text);
	free(*c);
	*c = NULL;
}

ATTR_NORETURN static void misuse(const char *name, const char *what)
{
	char text[300];
	(void)snprintf(text, sizeof(text), "parameter %s %s: see its row in lib/conf/params", name, what);
	bug_abort(text, __FILE__, __LINE__);
}

#define BIT(t) (1u << (t))

static const struct conf_item *need(const struct conf *c, const char *name, unsigned types, const char *what)
{
	const struct conf_item *it = item_find(c, name);
	if (!it)
		misuse(name, "is not one of this process");
	if (it->row && !(types & BIT(it->row->type)))
		misuse(name, what);
	return it;
}

const char *conf_str(const struct conf *c, const char *name)
{
	return need(c, name, BIT(CONF_STR) | BIT(CONF_ENUM) | BIT(CONF_LIST), "is not a text")->value;
}

uint64_t conf_int(const struct conf *c, const char *name)
{
	const struct conf_item *it = need(c, name, BIT(CONF_INT) | BIT(CONF_SIZE), "is not a number");
	uint64_t v = 0;
	if (it->row)
		return (uint64_t)it->num;
	if (num_u64(sv_str(it->value), &v) < 0)
		misuse(name, "is not a number");
	return v;
}

uint64_t conf_time(const struct conf *c, const char *name)
{
	const struct conf_item *it = need(c, name, BIT(CONF_TIME), "is not a time");
	uint64_t v = 0;
	if (it->row)
		return (uint64_t)it->num;
	if (num_duration(sv_str(it->value), 's', &v) < 0)
		misuse(name, "is not a time");
	return v;
}

bool conf_bool(const struct conf *c, const char *name)
{
	return strcasecmp(need(c, name, BIT(CONF_BOOL), "is not yes or no")->value, "yes") == 0;
}

bool conf_has(const struct conf *c, const char *name)
{
	return item_find(c, name) != NULL;
}

const char *conf_raw(const struct conf *c, const char *name)
{
	const struct conf_item *it = item_find(c, name);
	return it ? it->value : NULL;
}
