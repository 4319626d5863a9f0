/* facts.c - answers of rewrite and resolver, kept for a transaction; see facts.h. */
#include "smtpd/facts.h"

#include "ipc/api_rewrite.h"

#define BATCH 50 /* addresses of one question: those of pipelined RCPT commands go along */

struct fact_ask {
	struct session *s;
	uint32_t call;
	size_t n;
	struct fact *fact[BATCH];
};

static struct fact out_of_room = {.done = true, .status = ERR_TEMP};

static struct fact *find(struct txn *t, enum fact_kind kind, struct sv key, unsigned type)
{
	for (struct fact *f = t->facts; f != NULL; f = f->next) {
		if (f->kind == kind && f->type == type && sv_eq(f->key, key))
			return f;
	}
	return NULL;
}

static struct fact *add(struct session *s, enum fact_kind kind, struct sv key, unsigned type)
{
	struct txn *t = s->txn;
	struct fact *f = arena_alloc(&t->arena, sizeof(*f));

	if (f == NULL || arena_sv(&t->arena, key, &f->key) < 0)
		return NULL;
	f->s = s;
	f->kind = kind;
	f->type = type;
	f->status = ERR_TEMP;
	f->next = t->facts;
	t->facts = f;
	return f;
}

/* Keeps a text of the answer; past the arena's budget the fact cannot be told. */
static void keep(struct fact *f, struct sv text, struct sv *out)
{
	if (arena_sv(&f->s->txn->arena, text, out) < 0)
		f->status = ERR_TEMP;
}

/* ---- addresses ---- */

static void take_result(struct fact *f, const struct rw_result *r)
{
	f->done = true;
	f->ask = NULL;
	if (r == NULL)
		return;
	f->status = r->status;
	f->cls = r->route.cls;
	keep(f, r->canonical, &f->canon);
	keep(f, r->reason, &f->text);
}

static void on_resolved(void *arg, int status, struct msg *m)
{
	struct fact_ask *ask = arg;
	struct session *s = ask->s;
	struct arena a;
	struct rw_result *r = NULL;
	size_t n = 0;

	arena_init(&a, RW_ARENA);
	ask->call = 0;
	if (status == 0 && (m->type != RW_RESOLVED || rw_results_get(m, &a, &r, &n) < 0 || n != ask->n))
		status = ERR_PROTOCOL;
	for (size_t i = 0; i < ask->n; i++)
		take_result(ask->fact[i], status == 0 ? &r[i] : NULL);
	arena_clear(&a);
	session_wake(s);
}

/* Pipelined RCPT commands behind this one: their addresses are asked for in the same question. */
static void look_ahead(struct session *s, struct fact_ask *ask, struct sv *addr)
{
	struct sv rest = stream_in(s->stream), line, args;
	struct smtp_cmd cmd;
	struct smtp_path path;

	while (ask->n < BATCH && rest.p != NULL && sv_chr(rest, '\n') >= 0) {
		line = sv_cut(&rest, "\n");
		smtp_cmd_parse(line, &cmd);
		if (cmd.verb != SMTP_RCPT || smtp_cmd_keyword(cmd.args, SV("TO"), &args) < 0 ||
		    smtp_path_parse(args, 0, &path, &args) < 0)
			return;
		if (find(s->txn, FACT_ADDRESS, smtp_path_sv(&path), 0) != NULL)
			continue;
		struct fact *f = add(s, FACT_ADDRESS, smtp_path_sv(&path), 0);
		if (f == NULL)
			return;
		f->ask = ask;
		addr[ask->n] = f->key;
		ask->fact[ask->n++] = f;
	}
}

struct fact *fact_address(struct session *s, struct sv address)
{
	struct fact *f = find(s->txn, FACT_ADDRESS, address, 0);
	struct msg_out m = MSG_OUT_INIT;
	struct sv addr[BATCH];

	if (f != NULL)
		return f->done ? f : NULL;
	struct fact_ask *ask = arena_alloc(&s->txn->arena, sizeof(*ask));
	f = add(s, FACT_ADDRESS, address, 0);
	if (f == NULL || ask == NULL)
		return &out_of_room;
	ask->s = s;
	ask->n = 1;
	ask->fact[0] = f;
	f->ask = ask;
	addr[0] = f->key;
	if (s->verb == SMTP_RCPT)
		look_ahead(s, ask, addr);
	rw_resolve_put(&m,
	    &(struct rw_resolve){.flags = RW_EXISTS | RW_ROUTE, .sender = s->txn->sender, .n = ask->n, .addr = addr});
	ask->call = peer_call(s->g->rewrite, RW_RESOLVE, &m, SMTPD_ASK_MS, on_resolved, ask);
	msg_out_free(&m);
	return NULL;
}

uint32_t fact_class(struct txn *t, struct sv addr)
{
	struct fact *f = find(t, FACT_ADDRESS, addr, 0);

	return f != NULL && f->done ? f->cls : 0;
}

/* ---- tables ---- */

static void on_value(void *arg, int status, struct msg *m)
{
	struct fact *f = arg;
	struct rw_value v;

	f->ask->call = 0;
	f->ask = NULL;
	f->done = true;
	if (status == 0 && m->type == RW_VALUE && rw_value_get(m, &v) == 0) {
		f->status = v.status;
		if (v.status == 0)
			keep(f, v.value, &f->text);
	}
	session_wake(f->s);
}

struct fact *fact_access(struct session *s, const char *table, const struct sv *keys, size_t n)
{
	CLEANUP(buf_freep) struct buf key = BUF_INIT(65536);
	struct rw_access q = {.table = sv_str(table)};
	struct msg_out m = MSG_OUT_INIT;
	struct fact *f;

	buf_adds(&key, table);
	for (size_t i = 0; i < n && i < RW_MAX_KEYS; i++) {
		buf_addc(&key, '\n');
		buf_addsv(&key, keys[i]);
		q.key[q.n++] = keys[i];
	}
	f = find(s->txn, FACT_ACCESS, buf_sv(&key), 0);
	if (f != NULL)
		return f->done ? f : NULL;
	struct fact_ask *ask = arena_alloc(&s->txn->arena, sizeof(*ask));
	f = key.overflow ? NULL : add(s, FACT_ACCESS, buf_sv(&key), 0);
	if (f == NULL || ask == NULL)
		return &out_of_room;
	f->ask = ask;
	ask->s = s;
	rw_access_put(&m, &q);
	ask->call = peer_call(s->g->rewrite, RW_ACCESS, &m, SMTPD_ASK_MS, on_value, f);
	msg_out_free(&m);
	return NULL;
}

/* ---- DNS ---- */

static void on_dns(void *arg, const struct rs_answer *a)
{
	struct fact *f = arg;

	f->query = NULL;
	f->done = true;
	f->status = a->status;
	f->n = a->n;
	f->null_mx = f->type == RS_MX && a->n == 1 && a->rr[0].data.n == 0;
	if (a->n > 0)
		keep(f, a->rr[0].data, &f->first);
	session_wake(f->s);
}

struct fact *fact_dns(struct session *s, struct sv name, unsigned type)
{
	struct fact *f = find(s->txn, FACT_DNS, name, type);

	if (f != NULL)
		return f->done ? f : NULL;
	f = add(s, FACT_DNS, name, type);
	if (f == NULL)
		return &out_of_room;
	if (!dns_name_valid(name)) {
		f->done = true;
		f->status = ERR_NOT_FOUND;
		return f;
	}
	f->query = dns_query(s->g->dns, name, type, DNS_TIMEOUT_MS, on_dns, f);
	return NULL;
}

void facts_free(struct txn *t)
{
	for (struct fact *f = t->facts; f != NULL; f = f->next) {
		if (f->ask != NULL && f->ask->call != 0) {
			peer_cancel(f->s->g->rewrite, f->ask->call);
			f->ask->call = 0;
		}
		dns_cancel(&f->query);
	}
	t->facts = NULL;
}
