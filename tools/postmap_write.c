/* postmap_write.c - building, updating and deleting in LMDB tables; see postmap.h. */
#include <fcntl.h>
#include <grp.h>
#include <sys/wait.h>

#include "base/fsutil.h"
#include "maps/map.h"
#include "maps/map_build.h"
#include "maps/map_source.h"
#include "tools/postmap.h"

struct writing {
	const struct postmap *p;
	struct map_build *b;
	const char *name;
};

static int add_entry(void *ctx, struct sv key, struct sv value, unsigned line)
{
	struct writing *w = ctx;
	if (map_build_add(w->b, key, value) < 0) {
		postmap_warn(w->p, "%s, line %u: the key is longer than %d bytes -- ignoring this line", w->name, line,
		    MAP_BUILD_KEY_MAX);
	}
	return 0;
}

static void on_dup(void *ctx, struct sv key)
{
	struct writing *w = ctx;
	if (!w->p->quiet && !w->p->replace)
		postmap_warn(w->p, "lmdb:%s: duplicate entry: \"" SV_FMT "\"", w->name, SV_ARG(sv_head(key, 200)));
}

static int read_stdin(struct buf *text, struct err *err)
{
	return fs_read_fd(STDIN_FILENO, text, err);
}

static void on_note(void *ctx, unsigned line, const char *text)
{
	struct writing *w = ctx;
	postmap_warn(w->p, "%s, line %u: %s", w->name, line, text);
}

static int parse_into(struct writing *w, struct sv text)
{
	struct map_source s = {
	    .entry = add_entry, .note = on_note, .ctx = w, .fold = !w->p->no_fold, .alias = w->p->alias};
	return map_source_parse(text, &s);
}

/* Keys that are to be deleted: one, or the lines of standard input. */
struct doomed {
	const struct postmap *p;
	struct sv keys; /* separated by '\n' */
	size_t hits;
};

static bool is_doomed(void *ctx, struct sv key)
{
	struct doomed *d = ctx;
	struct sv rest = d->keys;
	while (rest.n > 0) {
		struct sv k = sv_cut(&rest, "\n");
		if (d->p->no_fold ? sv_eq(k, key) : sv_ieq(k, key)) {
			d->hits++;
			return true;
		}
	}
	return false;
}

static int delete_keys(const struct postmap *p, struct map_build *b, const char *name, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(MAP_TEXT_MAX);
	struct doomed d = {.p = p, .keys = sv_str(p->key)};
	int r = 0;
	if (strcmp(p->key, "-") == 0) {
		r = read_stdin(&text, err);
		d.keys = buf_sv(&text);
	}
	if (r == 0)
		r = map_build_copy(b, name, is_doomed, &d, err);
	return r < 0 ? r : d.hits ? 0 : 1;
}

/* 0, 1: nothing to delete, negative. */
static int collect(struct writing *w, struct err *err)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(MAP_TEXT_MAX);
	int r;
	if (w->p->mode == PM_DELETE)
		return delete_keys(w->p, w->b, w->name, err);
	if (w->p->mode == PM_UPDATE) {
		r = map_build_copy(w->b, w->name, NULL, NULL, err);
		if (r < 0 && r != ERR_NOT_FOUND)
			return r;
		r = read_stdin(&text, err);
	} else {
		r = fs_read_file(AT_FDCWD, w->name, &text, err);
	}
	return r < 0 ? r : parse_into(w, buf_sv(&text));
}

static int write_table(const struct postmap *p, const char *name, const struct stat *source)
{
	struct writing w = {.p = p, .b = map_build_new(), .name = name};
	struct err err = {0};
	mode_t mode = source && !p->own_mode ? source->st_mode & 0666 : 0644;
	int r = collect(&w, &err);
	if (r == 0)
		r = map_build_finish(
		    w.b, name, mode, source, p->replace ? MAP_DUP_LAST : MAP_DUP_FIRST, on_dup, &w, &err);
	if (r < 0)
		postmap_warn(p, "%s: %s", name, err.text);
	map_build_free(&w.b);
	return r;
}

/*
 * Root does not work in folders of others as root: the table of a file that is not root's is made by a child that is
 * the owner of the file.
 */
static int write_as_owner(const struct postmap *p, const char *name, const struct stat *st)
{
	int status = 0;
	pid_t pid = fork();
	if (pid < 0) {
		postmap_warn(p, "fork: %s", strerror(errno));
		return ERR_SYS;
	}
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(st->st_gid, st->st_gid, st->st_gid) < 0 ||
		    setresuid(st->st_uid, st->st_uid, st->st_uid) < 0)
			_exit(1);
		int r = write_table(p, name, st);
		_exit(r < 0 ? 1 : r == 1 ? 2 : 0);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 1)
		return ERR_SYS;
	return WEXITSTATUS(status) == 2 ? 1 : 0;
}

int postmap_write(const struct postmap *p, const char *name)
{
	struct stat st;
	bool have = stat(name, &st) == 0;
	if (!have && p->mode == PM_BUILD) {
		postmap_warn(p, "open %s: %s", name, strerror(errno));
		return ERR_NOT_FOUND;
	}
	if (have && geteuid() == 0 && st.st_uid != 0 && !p->keep_root)
		return write_as_owner(p, name, &st);
	return write_table(p, name, have ? &st : NULL);
}
