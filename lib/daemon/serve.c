/* serve.c - the serving side: dispatch by table, permits, late answers; see daemon.h. */
#include <sys/socket.h>

#include "base/htable.h"
#include "daemon/daemon_priv.h"

#define SERVE_OUT_MAX (4u << 20) /* bytes of answers that may wait for a caller that does not read them */
#define SERVE_SLOTS 1024	 /* tickets are found by connection number modulo this; chains are short */

static bool caller_listed(const char *callers, const char *program)
{
	struct sv rest = sv_str(callers), word;
	while (sv_token(&rest, " ", &word)) {
		if (sv_eqs(word, program))
			return true;
	}
	return false;
}

/* How many connections a process has here.  Sessions come from one zygote and are many. */
struct serve_caller {
	UT_hash_handle hh;
	uint64_t process;
	unsigned n;
	bool told;
};

static struct serve_caller *caller_find(struct daemon *d, uint64_t process)
{
	struct serve_caller *found;
	HASH_FIND(hh, d->serve_callers, &process, sizeof(process), found);
	return found;
}

static void caller_count(struct daemon *d, uint64_t process)
{
	struct serve_caller *caller = caller_find(d, process);
	if (caller == NULL) {
		caller = xcalloc(1, sizeof(*caller));
		caller->process = process;
		HASH_ADD(hh, d->serve_callers, process, sizeof(caller->process), caller);
	}
	caller->n++;
}

static void caller_uncount(struct daemon *d, uint64_t process)
{
	struct serve_caller *caller = caller_find(d, process);
	if (--caller->n > 0)
		return;
	HASH_DEL(d->serve_callers, caller);
	free(caller);
}

bool serve_too_many(struct daemon *d, const struct caller *who)
{
	struct serve_caller *caller = caller_find(d, who->process);
	if (caller == NULL || caller->n < SERVE_PER_CALLER || strcmp(who->program, "imapd") == 0 ||
	    strcmp(who->program, "pop3d") == 0)
		return false;
	if (!caller->told)
		log_error("%s[%d] (%s) has %u connections here: no more of them", who->program, (int)who->pid,
		    who->service, caller->n);
	caller->told = true;
	return true;
}

static void end_conn(struct serve_conn *c)
{
	struct daemon *d = c->d;
	struct serve_conn **slot = &d->serve_slots[c->number % SERVE_SLOTS];

	while (*slot != c)
		slot = &(*slot)->next;
	*slot = c->next;
	d->serve_count--;
	caller_uncount(d, c->who.process);
	chan_free(&c->chan);
	if (c->on_close != NULL)
		c->on_close(c);
	free(c);
	daemon_idle_check(d);
}

static void refuse(struct serve_conn *c, const struct msg *m, const char *name, const char *why)
{
	log_error("%s[%d] (%s): request %u (%s) %s: connection closed", c->who.program, (int)c->who.pid, c->who.service,
	    m->type, name, why);
	end_conn(c);
}

static void serve_msg(struct chan *chan ATTR_UNUSED, struct msg *m, void *arg)
{
	struct serve_conn *c = arg;
	for (size_t i = 0; i < c->n; i++) {
		const struct serve_entry *e = &c->table[i];
		if (e->type != m->type)
			continue;
		if (!(c->allowed >> i & 1))
			refuse(c, m, e->name, "is not for this caller");
		else if (e->handle(c, m) < 0)
			refuse(c, m, e->name, "is malformed or out of order");
		return;
	}
	refuse(c, m, "unknown", "is not served here");
}

static void serve_closed(struct chan *chan ATTR_UNUSED, const struct err *why, void *arg)
{
	struct serve_conn *c = arg;
	if (why->code != ERR_CLOSED)
		log_error("%s[%d]: %s", c->who.program, (int)c->who.pid, why->text);
	end_conn(c);
}

struct serve_conn *serve_attach(struct daemon *d, int fd, const struct caller *who, const struct serve_entry *table,
    size_t n, void (*on_close)(struct serve_conn *))
{
	struct serve_conn *c = xcalloc(1, sizeof(*c));

	BUG_ON(n > SERVE_MAX);
	if (d->serve_slots == NULL)
		d->serve_slots = xcalloc(SERVE_SLOTS, sizeof(struct serve_conn *));
	c->d = d;
	c->who = *who;
	c->table = table;
	c->n = n;
	c->on_close = on_close;
	for (size_t i = 0; i < n; i++) {
		if (caller_listed(table[i].callers, who->program))
			c->allowed |= 1ull << i;
	}
	c->number = ++d->serve_last;
	c->next = d->serve_slots[c->number % SERVE_SLOTS];
	d->serve_slots[c->number % SERVE_SLOTS] = c;
	d->serve_count++;
	caller_count(d, who->process);
	c->chan = chan_new(d->ev, fd, 0, serve_msg, serve_closed, c);
	daemon_idle_check(d);
	return c;
}

void serve_close(struct serve_conn *c)
{
	end_conn(c);
}

struct serve_ticket serve_ticket(struct serve_conn *c, const struct msg *m)
{
	return (struct serve_ticket){.conn = c->number, .id = m->id, .version = m->version};
}

void serve_answer(struct daemon *d, struct serve_ticket t, uint16_t type, const struct msg_out *m)
{
	struct serve_conn *c = d->serve_slots != NULL ? d->serve_slots[t.conn % SERVE_SLOTS] : NULL;
	while (c != NULL && c->number != t.conn)
		c = c->next;
	if (c == NULL)
		return; /* the caller has gone */
	if (chan_out_len(c->chan) > SERVE_OUT_MAX / 2)
		chan_flush(c->chan);
	if (c->deaf || (chan_out_len(c->chan) <= SERVE_OUT_MAX && chan_send(c->chan, type, t.version, t.id, m) == 0))
		return;
	/* A handler may be running for this connection: the loop finds it closed. */
	log_error("%s[%d]: does not read its answers: connection closed", c->who.program, (int)c->who.pid);
	c->deaf = true;
	shutdown(chan_fd(c->chan), SHUT_RDWR);
}

void serve_all_closed(struct daemon *d)
{
	for (size_t i = 0; d->serve_slots != NULL && i < SERVE_SLOTS; i++) {
		for (struct serve_conn *c = d->serve_slots[i]; c != NULL; c = c->next)
			chan_flush(c->chan); /* answers that were given but not sent yet */
	}
}
