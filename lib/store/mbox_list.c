/* mbox_list.c - which folders there are, and which are subscribed. */
#include "store/mbox_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "store/store_priv.h"

#define SUBSCRIPTIONS "subscriptions"
#define NAMES_MAX (8u << 20) /* bytes of all names together */

/* Names gathered while listing; each is NUL-terminated in mem, `at` stays right when mem moves. */
struct found {
	size_t at;
	unsigned flags;
};
struct gather {
	struct found *v;
	size_t n, cap;
	struct buf mem;
};

static void gather_add(struct gather *g, const char *name, unsigned flags)
{
	size_t at = g->mem.n;

	if (g->n >= MBOX_MAX + MBOX_SUBSCRIBED_MAX || buf_add(&g->mem, name, strlen(name) + 1))
		return;
	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 32;
		g->v = xreallocarray(g->v, g->cap, sizeof(*g->v));
	}
	g->v[g->n++] = (struct found){at, flags};
}

/* The levels above a name: there, but not to be selected unless a folder of that name is found too. */
static void gather_parents(struct gather *g, const char *name, unsigned flags)
{
	char up[MBOX_NAME_MAX + 1];
	char *dot;

	snprintf(up, sizeof(up), "%s", name);
	while ((dot = strrchr(up, MBOX_SEP))) {
		*dot = '\0';
		if (strcmp(up, "INBOX") != 0)
			gather_add(g, up, flags);
	}
}

static int gather_dirs(struct store *st, struct gather *g, struct err *err)
{
	int fd = openat(st->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		fd_close(&fd);
		return err_sys(err, "%s", st->path);
	}
	while ((d = readdir(dir))) {
		char canon[MBOX_NAME_MAX + 1];
		struct stat sb;

		if (d->d_name[0] != '.' || mbox_name_check(sv_str(d->d_name + 1), canon, NULL) ||
		    !strcmp(canon, "INBOX") || strcmp(canon, d->d_name + 1) != 0)
			continue;
		if (d->d_type != DT_DIR &&
		    (d->d_type != DT_UNKNOWN || fstatat(st->dirfd, d->d_name, &sb, AT_SYMLINK_NOFOLLOW) ||
			!S_ISDIR(sb.st_mode)))
			continue;
		gather_add(g, canon, 0);
		gather_parents(g, canon, MBOX_NOSELECT | MBOX_CHILDREN);
	}
	closedir(dir);
	return 0;
}

static void gather_subscribed(struct store *st, struct gather *g)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(NAMES_MAX);
	CLEANUP(buf_freep) struct buf name = BUF_INIT(MBOX_NAME_MAX + 1);
	struct sublist sl;
	size_t n = 0;

	if (fs_read_file(st->dirfd, SUBSCRIPTIONS, &text, NULL))
		return;
	sublist_begin(buf_sv(&text), &sl);
	while (n++ < MBOX_SUBSCRIBED_MAX && sublist_next(&sl, &name)) {
		char canon[MBOX_NAME_MAX + 1];

		if (!mbox_name_check(buf_sv(&name), canon, NULL))
			gather_add(g, canon, MBOX_SUBSCRIBED | MBOX_NOSELECT | MBOX_NONEXISTENT);
	}
}

static int entry_cmp(const void *a, const void *b)
{
	const struct mbox_entry *x = a, *y = b;
	int ix = strcmp(x->name, "INBOX") != 0, iy = strcmp(y->name, "INBOX") != 0;

	return ix != iy ? ix - iy : strcmp(x->name, y->name);
}

/* Entries of one name become one: it exists if one of them says so. */
static size_t unite(struct mbox_entry *v, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		struct mbox_entry *last = out ? &v[out - 1] : NULL;

		if (last && !strcmp(last->name, v[i].name)) {
			unsigned both = (last->flags & v[i].flags) & (MBOX_NOSELECT | MBOX_NONEXISTENT);

			last->flags = ((last->flags | v[i].flags) & (MBOX_CHILDREN | MBOX_SUBSCRIBED)) | both;
		} else {
			v[out++] = v[i];
		}
	}
	return out;
}

/* Sets MBOX_CHILDREN of every folder that has one below it. */
static void mark_children(struct mbox_entry *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char up[MBOX_NAME_MAX + 1];
		struct mbox_entry key = {.name = up}, *hit;
		char *dot;

		if (v[i].flags & MBOX_NONEXISTENT)
			continue;
		snprintf(up, sizeof(up), "%s", v[i].name);
		dot = strrchr(up, MBOX_SEP);
		if (!dot)
			continue;
		*dot = '\0';
		hit = bsearch(&key, v, n, sizeof(*v), entry_cmp);
		if (hit)
			hit->flags |= MBOX_CHILDREN;
	}
}

int mbox_list(struct store *st, struct mbox_list *out, struct err *err)
{
	struct gather g = {.mem = BUF_INIT(NAMES_MAX)};
	struct mbox_list l = {0};
	int rc;

	gather_add(&g, "INBOX", 0);
	rc = gather_dirs(st, &g, err);
	if (rc) {
		free(g.v);
		buf_free(&g.mem);
		return rc;
	}
	gather_subscribed(st, &g);
	l.v = xcalloc(g.n, sizeof(*l.v));
	l.mem = buf_steal(&g.mem);
	for (size_t i = 0; i < g.n; i++)
		l.v[i] = (struct mbox_entry){.name = l.mem + g.v[i].at, .flags = g.v[i].flags};
	qsort(l.v, g.n, sizeof(*l.v), entry_cmp);
	l.n = unite(l.v, g.n);
	mark_children(l.v, l.n);
	for (size_t i = 0; i < l.n; i++)
		l.v[i].use = l.v[i].flags & MBOX_NOSELECT ? MBOX_USE_NONE : mbox_use_of(l.v[i].name);
	free(g.v);
	*out = l;
	return 0;
}

void mbox_list_free(struct mbox_list *l)
{
	free(l->v);
	free(l->mem);
	*l = (struct mbox_list){0};
}

int mbox_exists(struct store *st, struct sv name, struct err *err)
{
	char canon[MBOX_NAME_MAX + 1], dir[MBOX_NAME_MAX + 2];
	int fd, rc = mbox_name_check(name, canon, err);

	if (rc)
		return rc;
	mbox_dir(canon, dir);
	rc = store_open_dir(st->dirfd, dir, &fd, err);
	if (!rc)
		fd_close(&fd);
	return rc;
}

/* The file anew, in the form (version 1 or 2) that it had. */
static int rewrite_subscriptions(struct store *st, const char *canon, bool on, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(NAMES_MAX);
	CLEANUP(buf_freep) struct buf name = BUF_INIT(MBOX_NAME_MAX + 1);
	CLEANUP(buf_freep) struct buf out = BUF_INIT(NAMES_MAX);
	struct err why = {0};
	struct sublist sl;
	size_t n = 0;
	int rc = fs_read_file(st->dirfd, SUBSCRIPTIONS, &text, &why);

	if (rc && why.sys != ENOENT)
		return err_set(err, rc, "%s", why.text);
	sublist_begin(buf_sv(&text), &sl);
	if (sl.v2)
		buf_adds(&out, "V\t2\n\n");
	while (sublist_next(&sl, &name)) {
		bool same = sv_eqs(buf_sv(&name), canon);

		if (same && on)
			return 0;
		if (same)
			continue;
		for (size_t i = 0; sl.v2 && i < name.n; i++)
			name.p[i] = name.p[i] == MBOX_SEP ? '\t' : name.p[i];
		buf_addsv(&out, buf_sv(&name));
		buf_addc(&out, '\n');
		n++;
	}
	if (on) {
		for (const char *p = canon; *p; p++)
			buf_addc(&out, sl.v2 && *p == MBOX_SEP ? '\t' : *p);
		buf_addc(&out, '\n');
	}
	if (out.overflow || n >= MBOX_SUBSCRIBED_MAX)
		return err_set(err, ERR_LIMIT, "too many subscriptions");
	return store_put_file(st, st->dirfd, SUBSCRIPTIONS, buf_sv(&out), err);
}

int mbox_subscribe(struct store *st, struct sv name, bool on, struct err *err)
{
	char canon[MBOX_NAME_MAX + 1];
	int rc = mbox_name_check(name, canon, err);

	if (rc)
		return rc;
	rc = store_lock(st->dirfd, STORE_LOCK_MS, err);
	if (rc)
		return rc == ERR_TIMEOUT ? err_set(err, ERR_TEMP, "the account is in use") : rc;
	rc = rewrite_subscriptions(st, canon, on, err);
	store_unlock(st->dirfd);
	return rc;
}
