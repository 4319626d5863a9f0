/*
 * rewrite.c - the program that knows where an address goes, whether it exists and what the tables say.  It serves its
 * callers' requests as they come, never waiting: a request that needs a user who is being looked up is parked and
 * worked through again from the start when the answer is there.
 */
#include "daemon/daemon.h"

#include <sys/stat.h>

#include "base/htable.h"
#include "conf/conf_lex.h"
#include "rewrite/rw.h"

#define REFRESH_MS 1000	  /* how often tables are looked at for changes */
#define USER_WAIT_MS 8000 /* how long a request waits for the password file */
#define PARKED_MAX 10000  /* requests that wait */
#define TABLE_PATHS_MAX 500

/* A request that waits for a user. */
struct parked {
	struct serve_ticket ticket;
	uint16_t type;
	char *body;
	size_t n;
	uint64_t until;
	struct parked *prev, *next;
};

static struct rewrite {
	struct daemon *d;
	struct rw rw;
	struct parked *parked;
	size_t nparked;
	struct ev_timer tick;
	struct sandbox_path paths[TABLE_PATHS_MAX + 8];
} prog;

static void log_notes(void)
{
	struct sv notes = map_store_notes(prog.rw.store);
	while (notes.n > 0) {
		struct sv line = sv_cut(&notes, "\n");
		if (line.n)
			log_warn(SV_FMT, SV_ARG(line));
	}
	map_store_notes_done(prog.rw.store);
}

static void refresh(void)
{
	(void)map_store_refresh(prog.rw.store, clock_mono_ms(), REFRESH_MS);
	if (map_store_notes(prog.rw.store).n)
		log_notes();
}

/* --- RW_RESOLVE --- */

static int resolve_expansions(
    struct rw *g, struct arena *a, const struct rw_resolve *q, struct rw_result *r, size_t *room, struct err *err)
{
	struct sv *list = NULL;
	size_t n = 0;
	int rc = rw_expand(g, a, r->canonical, &list, &n, err);
	if (rc < 0)
		return rc;
	if (n > *room)
		return err_set(err, ERR_LIMIT, "alias expansion error: too many addresses in one request");
	r->exp = arena_alloc(a, n * sizeof(*r->exp));
	if (!r->exp)
		return err_set(err, ERR_LIMIT, "alias expansion error: too many addresses");
	for (size_t i = 0; i < n; i++) {
		struct sv canonical;
		r->exp[i].addr = list[i];
		if (q->flags & RW_ROUTE)
			rc = rw_route(g, a, list[i], q->sender, &canonical, &r->exp[i].route, err);
		if (rc < 0)
			return rc;
	}
	r->n = n;
	*room -= n;
	return 0;
}

static void resolve_one(
    struct rw *g, struct arena *a, const struct rw_resolve *q, struct sv addr, struct rw_result *r, size_t *room)
{
	struct err err = {0};
	const char *reason = "";
	int rc = rw_route(g, a, addr, q->sender, &r->canonical, q->flags & RW_ROUTE ? &r->route : NULL, &err);
	if (rc == 0 && (q->flags & RW_EXISTS))
		rc = rw_exists(g, a, r->canonical, &reason, &err);
	if (rc == 0 && (q->flags & RW_EXPAND))
		rc = resolve_expansions(g, a, q, r, room, &err);
	r->status = rc;
	if (rc == 0)
		return;
	r->n = 0;
	if (rc != ERR_NOT_FOUND && rc != ERR_SYNTAX && rc != ERR_LIMIT)
		r->status = ERR_TEMP;
	const char *text = rc == ERR_NOT_FOUND ? reason : err.text[0] ? err.text : "Temporary lookup failure";
	if (arena_sv(a, sv_head(sv_str(text), RW_MAX_REASON), &r->reason) < 0)
		r->reason = SV("");
	if (r->status == ERR_TEMP && !g->pending)
		log_warn("%s", text);
}

static int do_resolve(struct rw *g, struct arena *a, struct msg *m, struct msg_out *out)
{
	struct rw_resolve q;
	size_t room = RW_MAX_EXPANSIONS;
	if (rw_resolve_get(m, a, &q) < 0)
		return ERR_PROTOCOL;
	struct rw_result *r = arena_alloc(a, (q.n ? q.n : 1) * sizeof(*r));
	if (!r)
		return ERR_PROTOCOL;
	for (size_t i = 0; i < q.n; i++)
		resolve_one(g, a, &q, q.addr[i], &r[i], &room);
	rw_results_put(out, r, q.n);
	return 0;
}

static int do_local(struct rw *g, struct arena *a, struct msg *m, struct msg_out *out)
{
	struct rw_local who = {0};
	struct sv addr;
	if (rw_address_get(m, &addr) < 0)
		return ERR_PROTOCOL;
	rw_local_who(g, a, addr, &who);
	if (who.status == ERR_TEMP && !g->pending)
		log_warn(SV_FMT, SV_ARG(who.reason));
	rw_local_put(out, &who);
	return 0;
}

/* --- tables and lists that callers name --- */

/* Only what main.cf or an -o option mentions may be asked for. */
static bool may_ask(struct sv table)
{
	const char *list = conf_raw(daemon_conf(prog.d), "rewrite_tables");
	struct sv rest = sv_str(list ? list : ""), line;
	while (sv_token(&rest, "\n", &line))
		if (sv_eq(line, table))
			return true;
	return false;
}

static int do_access(struct rw *g, struct arena *a, struct msg *m, struct msg_out *out)
{
	CLEANUP(buf_freep) struct buf value = BUF_INIT(RW_MAX_VALUE);
	struct rw_value v = {.status = ERR_NOT_FOUND};
	struct rw_access q;
	struct err err = {0};
	(void)a;
	if (rw_access_get(m, &q) < 0)
		return ERR_PROTOCOL;
	struct map *table = may_ask(q.table) ? map_store_get(g->store, q.table, 0, &err) : NULL;
	if (!table) {
		v.status = err.code == ERR_OK ? ERR_DENIED : ERR_TEMP;
		log_warn(
		    "table " SV_FMT ": %s", SV_ARG(q.table), err.code == ERR_OK ? "no parameter names it" : err.text);
	}
	for (size_t i = 0; table && i < q.n && v.status == ERR_NOT_FOUND; i++) {
		int r = map_lookup(table, q.key[i], &value, &err);
		v.which = (uint32_t)i;
		if (r != 0)
			v.status = r == 1 ? 0 : ERR_TEMP;
	}
	if (v.status == ERR_TEMP && err.text[0] && !g->pending)
		log_warn("%s", err.text);
	v.value = v.status == 0 ? buf_sv(&value) : SV("");
	rw_value_put(out, &v);
	return 0;
}

/* A list from a caller may name no file, and only tables that a parameter names. */
static bool may_match(struct sv list)
{
	struct sv rest = list, word = SV_NONE;
	int r;
	while ((r = conf_lex_word(&rest, ", \t\r\n", &word)) == 1) {
		while (word.n > 0 && word.p[0] == '!')
			word = sv_skip(word, 1);
		struct cidr c;
		char why[160];
		if (word.n > 0 && word.p[0] == '/')
			return false;
		if (word.n > 0 && sv_chr(word, ':') >= 0 && word.p[0] != '[' && cidr_parse(word, &c, why) < 0 &&
		    !may_ask(word))
			return false;
	}
	return r == 0;
}

static bool is_own_list(struct sv list)
{
	static const char *const own[] = {
	    "mynetworks", "mydestination", "relay_domains", "virtual_alias_domains", "virtual_mailbox_domains"};
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (sv_eqs(list, conf_str(daemon_conf(prog.d), own[i])))
			return true;
	return false;
}

static int do_match(struct rw *g, struct arena *a, struct msg *m, struct msg_out *out)
{
	struct rw_value v = {.status = ERR_DENIED};
	struct match_list *l = NULL;
	struct rw_access q;
	struct err err = {0};
	(void)a;
	if (rw_access_get(m, &q) < 0 || q.n != 2)
		return ERR_PROTOCOL;
	if (is_own_list(q.table) || may_match(q.table)) {
		int r = match_list_new(&l, g->store, q.table, false, 0, &err);
		if (r == 0)
			r = match_list_host(l, q.key[0], q.key[1], &err);
		v.status = r < 0 ? ERR_TEMP : r == 1 ? 0 : ERR_NOT_FOUND;
		match_list_free(&l);
	}
	if (v.status == ERR_TEMP && !g->pending)
		log_warn("%s", err.text);
	rw_value_put(out, &v);
	return 0;
}

/* --- serving --- */

static const struct work {
	uint16_t type, reply;
	int (*run)(struct rw *g, struct arena *a, struct msg *m, struct msg_out *out);
} works[] = {{RW_RESOLVE, RW_RESOLVED, do_resolve}, {RW_LOCAL, RW_LOCAL_IS, do_local}, {RW_ACCESS, RW_VALUE, do_access},
    {RW_MATCH, RW_VALUE, do_match}};

static const struct work *work_of(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(works); i++)
		if (works[i].type == type)
			return &works[i];
	return NULL;
}

/* Works on a copy of the cursor, so that the request can be read again. */
static int run(uint16_t type, struct sv body, struct msg_out *out, bool *pending)
{
	struct arena a;
	struct msg m = {.type = type, .version = RW_VERSION, .body = body};
	arena_init(&a, RW_ARENA);
	prog.rw.pending = false;
	int r = work_of(type)->run(&prog.rw, &a, &m, out);
	*pending = prog.rw.pending;
	arena_clear(&a);
	return r;
}

static void park(struct serve_ticket t, uint16_t type, struct sv body)
{
	struct parked *p = xcalloc(1, sizeof(*p));
	p->ticket = t;
	p->type = type;
	p->body = xmalloc(body.n ? body.n : 1);
	if (body.n)
		memcpy(p->body, body.p, body.n);
	p->n = body.n;
	p->until = clock_mono_ms() + USER_WAIT_MS;
	DL_APPEND(prog.parked, p);
	prog.nparked++;
	daemon_busy(prog.d, 1);
}

static void unpark(struct parked *p)
{
	DL_DELETE(prog.parked, p);
	prog.nparked--;
	daemon_busy(prog.d, -1);
	free(p->body);
	free(p);
}

/* Tries what waits again; with `late` what has waited too long is answered as it is. */
static void retry_parked(uint64_t now)
{
	struct parked *p, *next;
	DL_FOREACH_SAFE (prog.parked, p, next) {
		struct msg_out out = MSG_OUT_INIT;
		bool pending = false;
		(void)run(p->type, sv_of(p->body, p->n), &out, &pending);
		if (!pending || now >= p->until) {
			serve_answer(prog.d, p->ticket, work_of(p->type)->reply, &out);
			unpark(p);
		}
		msg_out_free(&out);
	}
}

static int handle(struct serve_conn *c, struct msg *m)
{
	struct msg_out out = MSG_OUT_INIT;
	bool pending = false;
	refresh();
	int r = run(m->type, m->body, &out, &pending);
	if (r == 0 && pending && prog.nparked < PARKED_MAX)
		park(serve_ticket(c, m), m->type, m->body);
	else if (r == 0)
		(void)chan_reply(c->chan, m, work_of(m->type)->reply, &out);
	msg_out_free(&out);
	return r;
}

static const struct serve_entry table[] = {
    {RW_RESOLVE, "resolve", "smtpd cleanup qmgr local", handle},
    {RW_LOCAL, "local", "local", handle},
    {RW_ACCESS, "access", "smtpd cleanup local smtp", handle},
    {RW_MATCH, "match", "smtpd", handle},
};

static void on_peer(struct daemon *d, int fd, const struct caller *who)
{
	(void)serve_attach(d, fd, who, table, ARRAY_LEN(table), NULL);
}

static void on_users(void *arg)
{
	(void)arg;
	retry_parked(clock_mono_ms());
}

static void on_users_dead(void *arg)
{
	(void)arg;
	log_error("the worker for the password file has ended");
	daemon_stop(prog.d, 1);
}

static void on_tick(struct ev_timer *t)
{
	uint64_t now = clock_mono_ms();
	users_give_up(prog.rw.users, now, USER_WAIT_MS / 2);
	if (prog.parked)
		retry_parked(now);
	refresh();
	ev_timer_start(daemon_ev(prog.d), t, REFRESH_MS, on_tick);
}

/* --- start --- */

/* The folder of a table, or where it would be made: a cage cannot be widened when it appears later. */
static void add_path(size_t *n, struct sv path)
{
	CLEANUP(freep) char *folder = sv_dup(path);
	struct stat st;
	if (*n >= TABLE_PATHS_MAX || path.n == 0 || path.p[0] != '/')
		return;
	char *slash = strrchr(folder, '/');
	do {
		*slash = '\0';
		slash = strrchr(folder, '/');
	} while (slash && stat(folder, &st) < 0);
	if (folder[0] == '\0')
		return; /* never all of "/" */
	for (size_t i = 0; i < *n; i++)
		if (strcmp(folder, prog.paths[i].path) == 0)
			return;
	prog.paths[*n].path = xstrdup(folder);
	prog.paths[*n].access = SANDBOX_READ;
	(*n)++;
}

/* The folders of every file that a parameter names: rewrite reads there and nowhere else. */
static void collect_paths(const struct conf *c)
{
	static const char *const params[] = {"alias_maps", "virtual_mailbox_maps", "virtual_mailbox_domains",
	    "mydestination", "relay_domains", "mynetworks", "virtual_alias_domains", "rewrite_tables"};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		const char *text = conf_raw(c, params[i]);
		struct sv rest = sv_str(text ? text : ""), word;
		while (sv_token(&rest, ", \t\r\n{}!", &word)) {
			while (word.n > 0 && word.p[0] != '/' && sv_chr(word, ':') >= 0)
				word = sv_skip(word, (size_t)sv_chr(word, ':') + 1);
			add_path(&n, word);
		}
	}
	prog.paths[n].path = NULL;
}

static int start(struct daemon *d, struct err *err)
{
	prog.d = d;
	prog.rw.users = users_new(err);
	if (!prog.rw.users)
		return ERR_SYS;
	int r = rw_setup(&prog.rw, daemon_conf(d), err);
	if (r < 0)
		return r;
	collect_paths(daemon_conf(d));
	log_notes();
	users_start(prog.rw.users, daemon_ev(d), on_users, on_users_dead, NULL);
	ev_timer_start(daemon_ev(d), &prog.tick, REFRESH_MS, on_tick);
	return 0;
}

static const struct sandbox_profile profile = {
    .paths = prog.paths,
    .net = SANDBOX_NET_NONE,
    .memory = 4096,
    .nofile = 8192,
};

static const struct daemon_def def = {
    .program = "rewrite",
    .profile = &profile,
    .start = start,
    .on_peer = on_peer,
};

int main(int argc, char **argv)
{
	return daemon_main(argc, argv, &def);
}
