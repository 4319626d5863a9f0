/*
 * postconf_edit.c - changes to main.cf: set (-e), remove (-X), make a comment (-#).  Everything else in the file stays
 * as it is; the file is written anew beside and renamed.
 */
#include "tools/postconf.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fsutil.h"
#include "conf/conf_lex.h"

#define EDIT_FILE_MAX (8u << 20) /* bytes of a main.cf */

struct edit {
	struct sv name, value;
	bool done;
};

static void parse_requests(const struct postconf *pc, struct edit *v)
{
	for (int i = 0; i < pc->nargs; i++) {
		const char *why = "";
		struct sv text = sv_trim(sv_str(pc->args[i]));
		if (pc->mode == PC_EDIT) {
			if (conf_lex_pair(text, &v[i].name, &v[i].value, &why) < 0)
				postconf_fatal("%s: \"%s\"",
				    strstr(why, "'='") && why[8] == '\'' ? "missing '=' after attribute name" : why,
				    pc->args[i]);
			if (sv_chr(text, '\n') >= 0)
				postconf_fatal("-e accepts no multi-line input");
		} else {
			if (sv_chr(text, '=') >= 0 || text.n == 0)
				postconf_fatal("-X and -# accept names only, no \"%s\"", pc->args[i]);
			v[i].name = text;
		}
		if (v[i].name.n == 0 || v[i].name.p[0] == '#')
			postconf_fatal("bad parameter name: \"%s\"", pc->args[i]);
	}
}

static struct edit *find_edit(struct edit *v, int n, struct sv name)
{
	for (int i = n - 1; i >= 0; i--) /* the last request for a name counts */
		if (sv_eq(v[i].name, name))
			return &v[i];
	return NULL;
}

static void put_setting(struct buf *out, struct edit *e)
{
	if (e->done)
		return;
	e->done = true;
	(void)buf_addsv(out, e->name);
	(void)buf_adds(out, e->value.n ? " = " : " =");
	(void)buf_addsv(out, e->value);
	(void)buf_addc(out, '\n');
}

/* The name that a physical line sets, if it begins a setting. */
static struct sv line_name(struct sv line)
{
	size_t n = 0;
	if (line.n == 0 || ascii_isspace((unsigned char)line.p[0]) || line.p[0] == '#')
		return SV_NONE;
	while (n < line.n && line.p[n] != '=' && !ascii_isspace((unsigned char)line.p[n]))
		n++;
	return sv_head(line, n);
}

/* Copies the file; the lines of a named setting (with those that continue it) are replaced, dropped or made comments.
 */
static void rewrite_text(const struct postconf *pc, struct sv text, struct edit *v, struct buf *out)
{
	struct edit *now = NULL;
	while (text.n > 0) {
		ssize_t nl = sv_chr(text, '\n');
		struct sv line = nl < 0 ? text : sv_head(text, (size_t)nl);
		struct sv bare = sv_trim(line);
		text = nl < 0 ? SV_NONE : sv_skip(text, (size_t)nl + 1);
		bool comment = bare.n == 0 || bare.p[0] == '#';
		struct sv name = line_name(line);
		if (name.n)
			now = find_edit(v, pc->nargs, name);
		if (now && !comment) {
			if (pc->mode == PC_EDIT && name.n)
				put_setting(out, now);
			if (pc->mode == PC_COMMENT)
				(void)buf_printf(out, "#" SV_FMT "\n", SV_ARG(line));
			continue;
		}
		(void)buf_addsv(out, line);
		(void)buf_addc(out, '\n');
	}
	for (int i = 0; pc->mode == PC_EDIT && i < pc->nargs; i++)
		if (find_edit(v, pc->nargs, v[i].name) == &v[i])
			put_setting(out, &v[i]);
}

void postconf_edit(struct postconf *pc)
{
	CLEANUP(freep) char *path = xasprintf("%s/main.cf", pc->dir);
	CLEANUP(buf_freep) struct buf text = BUF_INIT(EDIT_FILE_MAX);
	CLEANUP(buf_freep) struct buf out = BUF_INIT(2 * EDIT_FILE_MAX);
	struct edit *v = xcalloc((size_t)pc->nargs + 1, sizeof(*v));
	struct err err = {0};
	struct stat st;
	if (pc->nargs == 0)
		postconf_fatal("no parameter is named");
	parse_requests(pc, v);
	if (fs_read_file(AT_FDCWD, path, &text, &err) < 0 || stat(path, &st) < 0)
		postconf_fatal("%s", err.text);
	rewrite_text(pc, buf_sv(&text), v, &out);
	if (out.overflow)
		postconf_fatal("%s: too long", path);
	if (fs_replace_file(AT_FDCWD, path, buf_sv(&out), st.st_mode & 0777, &err) < 0)
		postconf_fatal("%s", err.text);
	if (chown(path, st.st_uid, st.st_gid) < 0)
		postconf_warn("%s: the owner could not be kept: %s", path, strerror(errno));
	free(v);
}
