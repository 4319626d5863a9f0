/* map.c - the store, its handles, refreshing, lists; see map.h. */
#include "maps/map.h"

#include <fcntl.h>
#include <time.h>

#include "base/fsutil.h"
#include "conf/conf_lex.h"
#include "maps/map_kind.h"

#define NOTES_MAX 65536 /* bytes of messages that wait */

struct map {
	char *spec;
	struct sv name; /* in spec, behind "type:" */
	const struct map_kind *kind;
	void *ctx;	/* NULL while it cannot be read */
	struct err err; /* why */
	struct stat st;
	unsigned flags;
	unsigned depth;
	bool optional_empty; /* was missing, taken as empty */
};

struct map_store {
	struct map **v;
	size_t n;
	map_unix_fn *unix_fn;
	void *unix_ctx;
	uint64_t looked_ms;
	struct buf notes;
};

static const struct {
	const char *type;
	const struct map_kind *kind;
} kinds[] = {{"lmdb", &map_kind_lmdb}, {"hash", &map_kind_lmdb}, {"btree", &map_kind_lmdb}, {"dbm", &map_kind_lmdb},
    {"cdb", &map_kind_lmdb}, {"sdbm", &map_kind_lmdb}, {"texthash", &map_kind_texthash}, {"inline", &map_kind_inline},
    {"regexp", &map_kind_regexp}, {"pcre", &map_kind_pcre}, {"cidr", &map_kind_cidr}, {"static", &map_kind_static},
    {"unionmap", &map_kind_union}, {"pipemap", &map_kind_pipe}, {"randmap", &map_kind_rand}, {"fail", &map_kind_fail},
    {"environ", &map_kind_environ}, {"proxy", &map_kind_proxy}, {"unix", &map_kind_unix}, {"ldap", &map_kind_missing},
    {"memcache", &map_kind_missing}, {"mysql", &map_kind_missing}, {"netinfo", &map_kind_missing},
    {"nis", &map_kind_missing}, {"nisplus", &map_kind_missing}, {"pgsql", &map_kind_missing},
    {"redis", &map_kind_missing}, {"socketmap", &map_kind_missing}, {"sqlite", &map_kind_missing},
    {"tcp", &map_kind_missing}};

static const struct map_kind *kind_of(struct sv type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (sv_eqs(type, kinds[i].type))
			return kinds[i].kind;
	return NULL;
}

void map_note(struct map_open *o, unsigned line, const char *fmt, ...)
{
	struct buf *b = &o->store->notes;
	size_t before = b->n;
	va_list ap;
	va_start(ap, fmt);
	if (line)
		(void)buf_printf(b, "%s map " SV_FMT ", line %u: ", o->type, SV_ARG(sv_head(o->name, 200)), line);
	(void)buf_vprintf(b, fmt, ap);
	(void)buf_addc(b, '\n');
	va_end(ap);
	if (b->overflow) { /* enough was said */
		b->n = before;
		b->overflow = false;
	}
}

map_unix_fn *map_store_unix(struct map_store *s, void **ctx)
{
	*ctx = s->unix_ctx;
	return s->unix_fn;
}

struct map_store *map_store_new(map_unix_fn *unix_fn, void *ctx)
{
	struct map_store *s = xcalloc(1, sizeof(*s));
	s->unix_fn = unix_fn;
	s->unix_ctx = ctx;
	buf_init(&s->notes, NOTES_MAX);
	return s;
}

static void map_shut(struct map *m)
{
	if (m->ctx)
		m->kind->close(m->ctx);
	m->ctx = NULL;
}

void map_store_free(struct map_store **sp)
{
	struct map_store *s = *sp;
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		map_shut(s->v[i]);
		free(s->v[i]->spec);
		free(s->v[i]);
	}
	buf_free(&s->notes);
	free(s->v);
	free(s);
	*sp = NULL;
}

/* Opens into a fresh context; the old one stays when the new one is wrong in itself. */
static int map_reopen(struct map_store *s, struct map *m)
{
	char type[20];
	void *ctx = NULL;
	struct err err = {0};
	(void)snprintf(type, sizeof(type), "%.*s", (int)strcspn(m->spec, ":"), m->spec);
	struct map_open o = {.store = s, .name = m->name, .type = type, .flags = m->flags, .depth = m->depth};
	int r = m->kind->open(&o, &ctx, &err);
	if (r < 0 && err.code == ERR_SYS && err.sys == ENOENT && (m->flags & MAP_OPTIONAL)) {
		m->optional_empty = true;
		map_shut(m);
		m->err = (struct err){0};
		m->st = o.st;
		return 0;
	}
	map_shut(m);
	m->optional_empty = false;
	m->st = o.st;
	m->err = err;
	m->ctx = r < 0 ? NULL : ctx;
	return r;
}

static struct map *store_open(struct map_store *s, struct sv spec, unsigned flags, unsigned depth, struct err *err)
{
	spec = sv_trim(spec);
	ssize_t colon = sv_chr(spec, ':');
	const struct map_kind *kind = colon > 0 ? kind_of(sv_head(spec, (size_t)colon)) : NULL;
	if (colon <= 0 || (size_t)colon + 1 == spec.n || spec.n > MAP_NAME_MAX) {
		err_set(err, ERR_SYNTAX, "expecting type:name instead of \"" SV_FMT "\"", SV_ARG(sv_head(spec, 100)));
		return NULL;
	}
	if (!kind) {
		err_set(err, ERR_UNSUPPORTED, "unknown table type in \"" SV_FMT "\"", SV_ARG(sv_head(spec, 100)));
		return NULL;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->flags == flags && sv_eqs(spec, s->v[i]->spec))
			return s->v[i];
	if (s->n == MAP_STORE_MAX || depth > MAP_DEPTH) {
		err_set(err, ERR_LIMIT, depth > MAP_DEPTH ? "tables are nested too deep" : "too many tables");
		return NULL;
	}
	struct map *m = xcalloc(1, sizeof(*m));
	m->spec = sv_dup(spec);
	m->name = sv_str(m->spec + colon + 1);
	m->kind = kind;
	m->flags = flags;
	m->depth = depth;
	int r = map_reopen(s, m);
	if (r == ERR_SYNTAX || r == ERR_UNSUPPORTED || r == ERR_LIMIT) {
		if (err)
			*err = m->err;
		free(m->spec);
		free(m);
		return NULL;
	}
	s->v = xreallocarray(s->v, s->n + 1, sizeof(struct map *));
	s->v[s->n++] = m;
	return m;
}

struct map *map_store_get(struct map_store *s, struct sv spec, unsigned flags, struct err *err)
{
	return store_open(s, spec, flags, 0, err);
}

int map_inner(struct map_open *o, struct sv spec, struct map **out, struct err *err)
{
	struct err local = {0};
	struct map *m = store_open(o->store, spec, o->flags, o->depth + 1, &local);
	if (!m) {
		if (err)
			*err = local;
		return local.code;
	}
	*out = m;
	return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/*
 * True when the file that would be read now is another one than the one that was.  A file that was written less than a
 * second ago may be half-written: it is looked at again later, unless there was none before.
 */
static bool is_changed(const struct map *m)
{
	static const char *const plain[] = {"", NULL};
	const char *const *suffix = m->kind->suffixes ? m->kind->suffixes : plain;
	char path[4096];
	struct stat st = {0};
	bool found = false;
	for (; *suffix && !found; suffix++)
		if (m->name.n + strlen(*suffix) < sizeof(path)) {
			(void)snprintf(path, sizeof(path), SV_FMT "%s", SV_ARG(m->name), *suffix);
			found = stat(path, &st) == 0;
		}
	if (!found)
		return m->st.st_ino != 0;
	if (same_file(&st, &m->st))
		return false;
	struct timespec now = {0}; /* not clock_wall: file times know no offset */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	bool fresh = now.tv_sec - st.st_mtim.tv_sec <= 1 && now.tv_sec >= st.st_mtim.tv_sec;
	return m->st.st_ino == 0 || st.st_ino != m->st.st_ino || !fresh;
}

size_t map_store_refresh(struct map_store *s, uint64_t now_ms, uint64_t every_ms)
{
	size_t changed = 0;
	if (s->looked_ms && now_ms - s->looked_ms < every_ms)
		return 0;
	s->looked_ms = now_ms ? now_ms : 1;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->kind->file && is_changed(s->v[i])) {
			(void)map_reopen(s, s->v[i]);
			changed++;
		}
	return changed;
}

struct sv map_store_notes(struct map_store *s)
{
	return buf_sv(&s->notes);
}

void map_store_notes_done(struct map_store *s)
{
	buf_reset(&s->notes);
}

int map_lookup(struct map *m, struct sv key, struct buf *value, struct err *err)
{
	MAP_SCRATCH char folded[MAP_KEY_MAX];
	if (m->optional_empty || (key.n == 0 && m->kind->fixed) || key.n > MAP_KEY_MAX)
		return 0;
	if (!m->ctx)
		return err_set(err, ERR_TEMP, "table %.100s: %s", m->spec, m->err.text);
	if (m->kind->fixed) {
		for (size_t i = 0; i < key.n; i++)
			folded[i] = (char)ascii_lower((unsigned char)key.p[i]);
		key.p = folded;
	}
	struct err local = {0};
	int r = m->kind->lookup(m->ctx, key, value, &local);
	return r < 0 ? err_set(err, ERR_TEMP, "table %.100s: %s", m->spec, local.text) : r;
}

bool map_is_fixed(const struct map *m)
{
	return m->kind->is_fixed && m->ctx ? m->kind->is_fixed(m->ctx) : m->kind->fixed;
}

const char *map_spec(const struct map *m)
{
	return m->spec;
}

void map_owner(const struct map *m, uid_t *uid, gid_t *gid)
{
	*uid = m->st.st_uid;
	*gid = m->st.st_gid;
}

int map_status(const struct map *m, struct err *err)
{
	if (m->ctx || m->optional_empty)
		return 0;
	return err_set(err, ERR_TEMP, "table %.100s: %s", m->spec, m->err.text);
}

int map_read_text(struct map_open *o, struct buf *text, struct err *err)
{
	CLEANUP(freep) char *path = sv_dup(o->name);
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &o->st) < 0)
		return err_sys(err, "open %.150s", path);
	int r = fs_read_fd(fd, text, err);
	/* Too big or unreadable now: not the fault of the name. */
	return r < 0 ? err_set(err, ERR_TEMP, "%.150s: cannot be read, or is larger than %zu bytes", path, text->max)
		     : 0;
}

int map_list_init(struct map_list *l, struct map_store *s, struct sv text, unsigned flags, struct err *err)
{
	struct map_list list = {.n = 0};
	struct sv rest = text, word = SV_NONE;
	int r;
	while ((r = conf_lex_word(&rest, ", \t\r\n", &word)) == 1) {
		if (list.n == MAP_LIST_MAX)
			return err_set(err, ERR_LIMIT, "more than %d tables in one list", MAP_LIST_MAX);
		list.v[list.n] = map_store_get(s, word, flags, err);
		if (!list.v[list.n])
			return ERR_SYNTAX;
		list.n++;
	}
	if (r < 0)
		return err_set(err, ERR_SYNTAX, "no closing '}' in \"" SV_FMT "\"", SV_ARG(sv_head(word, 100)));
	*l = list;
	return 0;
}

int map_list_find(const struct map_list *l, struct sv key, bool fixed_only, struct buf *value, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (fixed_only && !map_is_fixed(l->v[i]))
			continue;
		int r = map_lookup(l->v[i], key, value, err);
		if (r != 0)
			return r;
	}
	return 0;
}
