/* user_child.c - the child that is a user and reads what the user wrote: .forward files, lists, commands. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/fsutil.h"
#include "local/file_child.h"
#include "local/local.h"
#include "proto/alias_rhs.h"

#define LIST_ARENA (8u << 20)

_Static_assert(LC_KINDS == ALIAS_BAD, "the messages carry the kinds of lib/proto/alias_rhs.h");

/* A file that others may write to says nothing about what the user wants. */
static int check_owner(int fd, const char *path, bool forward, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_DENIED, "%s is not a regular file", path);
	if (forward && st.st_uid != getuid() && st.st_uid != 0)
		return err_set(err, ERR_DENIED, "%s belongs to somebody else", path);
	if (forward && (st.st_mode & S_IWOTH))
		return err_set(err, ERR_DENIED, "everybody may write to %s", path);
	return 0;
}

/* ERR_NOT_FOUND when there is no such file (nor folder). */
static int read_list(struct sv name, bool forward, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *path = sv_dup(name);
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
	if (fd < 0)
		return err_set(err, ERR_TEMP, "%s: %s", path, strerror(errno));
	rc = check_owner(fd, path, forward, err);
	if (rc == 0)
		rc = fs_read_fd(fd, out, err);
	return rc == ERR_SYS ? ERR_TEMP : rc;
}

static int parse_list(struct arena *a, struct sv text, struct lc_items *out, struct err *err)
{
	struct alias_items items;

	if (alias_parse(a, text, ALIAS_LINES, LC_ITEMS_MAX, &items) < 0)
		return err_set(err, ERR_LIMIT, "too many items");
	out->v = arena_alloc(a, (items.n + 1) * sizeof(*out->v));
	if (!out->v)
		return err_set(err, ERR_LIMIT, "too many items");
	out->n = items.n;
	for (size_t i = 0; i < items.n; i++) {
		if (items.v[i].text.n > LC_TEXT_MAX)
			return err_set(err, ERR_LIMIT, "an item is too long");
		out->v[i] = (struct lc_item){(uint32_t)items.v[i].kind, items.v[i].text};
		if (sv_has_nul(items.v[i].text))
			out->v[i] = (struct lc_item){ALIAS_BAD, SV("NUL byte")};
	}
	return 0;
}

static int on_list(struct serve_conn *c, struct msg *m)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(ALIAS_TEXT_MAX);
	struct lc_items items = {.status = ERR_NOT_FOUND, .text = SV("no such file")};
	struct err err = {.text = ""};
	struct msg_out out = MSG_OUT_INIT;
	struct lc_list req;
	struct arena a;

	if (!lc_list_get(m, &req))
		return ERR_PROTOCOL;
	arena_init(&a, LIST_ARENA);
	for (size_t i = 0; i < req.n && items.status == ERR_NOT_FOUND; i++) {
		items.status = read_list(req.path[i], req.forward, &text, &err);
		items.which = (uint32_t)i;
		items.text = sv_str(err.text);
	}
	if (items.status == 0)
		items.status = parse_list(&a, buf_sv(&text), &items, &err);
	if (items.status < 0) {
		items.n = 0;
		items.text = sv_str(err.text);
	}
	lc_items_put(&out, &items);
	serve_answer(c->d, serve_ticket(c, m), LC_LIST, &out);
	msg_out_free(&out);
	arena_clear(&a);
	return 0;
}

static int on_command(struct serve_conn *c, struct msg *m)
{
	struct serve_ticket ticket = serve_ticket(c, m);
	char *body = file_keep_body(m);
	struct lc_command req = {.fd = -1};

	if (!lc_command_get(m, &req)) {
		free(body);
		return ERR_PROTOCOL;
	}
	return command_start(c->d, ticket, body, &req);
}

static const struct serve_entry table[] = {
    {LC_LIST, "LC_LIST", "local", on_list},
    {LC_COMMAND, "LC_COMMAND", "local", on_command},
};

void user_peer(struct daemon *d, int fd, const struct caller *who)
{
	serve_attach(d, fd, who, table, ARRAY_LEN(table), NULL);
}

int user_start(struct daemon *d, struct err *err ATTR_UNUSED)
{
	daemon_set_state(d, d);
	return 0;
}
