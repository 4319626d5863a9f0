/* pop3_cmds.c - the commands of the TRANSACTION state (RFC 1939 section 5), one row each. */
#include "pop3d/pop3.h"

static size_t count_left(const struct pop3 *p, uint64_t *size)
{
	size_t n = 0;

	*size = 0;
	for (size_t i = 0; i < p->count; i++) {
		if (p->deleted[i])
			continue;
		n++;
		*size += mailbox_msg(p->mb, i)->wsize;
	}
	return n;
}

/* Message number to index; false after saying why not. */
static bool message(struct pop3 *p, uint32_t number, size_t *i)
{
	if (number > p->count) {
		pop3_say(p, "-ERR There is no message %u.", number);
		return false;
	}
	if (p->deleted[number - 1]) {
		pop3_say(p, "-ERR Message %u is marked for deletion.", number);
		return false;
	}
	*i = number - 1;
	return true;
}

static void cmd_stat(struct pop3 *p, const struct pop3_cmd *c)
{
	uint64_t size;
	size_t n = count_left(p, &size);

	(void)c;
	pop3_say(p, "+OK %zu %llu", n, (unsigned long long)size);
}

static void cmd_list(struct pop3 *p, const struct pop3_cmd *c)
{
	uint64_t size;
	size_t i;

	if (c->number) {
		if (message(p, c->number, &i))
			pop3_say(p, "+OK %zu %llu", i + 1, (unsigned long long)mailbox_msg(p->mb, i)->wsize);
		return;
	}
	pop3_say(p, "+OK %zu messages:", count_left(p, &size));
	p->task = TASK_LIST;
	p->next = 0;
}

static int unique_id(const struct pop3 *p, size_t i, struct buf *out)
{
	return pop3_uidl_put(out, sv_str(p->uidl_format), mailbox_uidvalidity(p->mb), mailbox_msg(p->mb, i)->uid);
}

static void cmd_uidl(struct pop3 *p, const struct pop3_cmd *c)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(200);
	size_t i;

	if (c->number) {
		if (!message(p, c->number, &i))
			return;
		(void)unique_id(p, i, &b);
		pop3_say(p, "+OK %zu %s", i + 1, buf_cstr(&b));
		return;
	}
	pop3_say(p, "+OK");
	p->task = TASK_UIDL;
	p->next = 0;
}

static void send_message(struct pop3 *p, const struct pop3_cmd *c, bool top)
{
	struct err err = {0};
	size_t i;

	if (!message(p, c->number, &i))
		return;
	if (pop3_body_start(p, i, top, c->lines, &err)) {
		if (err.code != ERR_NOT_FOUND)
			log_error("user=<%s>: message %u: %s", p->s->user, mailbox_msg(p->mb, i)->uid, err.text);
		pop3_say(p,
		    err.code == ERR_NOT_FOUND ? "-ERR Message %u was removed by another session."
					      : "-ERR [SYS/TEMP] Message %u cannot be read now.",
		    c->number);
		return;
	}
	if (top) {
		p->tops++;
		pop3_say(p, "+OK");
	} else {
		p->retrs++;
		p->seen[i] = true;
		pop3_say(p, "+OK %llu octets", (unsigned long long)mailbox_msg(p->mb, i)->wsize);
	}
}

static void cmd_retr(struct pop3 *p, const struct pop3_cmd *c)
{
	send_message(p, c, false);
}

static void cmd_top(struct pop3 *p, const struct pop3_cmd *c)
{
	send_message(p, c, true);
}

static void cmd_dele(struct pop3 *p, const struct pop3_cmd *c)
{
	size_t i;

	if (!message(p, c->number, &i))
		return;
	p->deleted[i] = true;
	pop3_say(p, "+OK Marked to be deleted.");
}

static void cmd_rset(struct pop3 *p, const struct pop3_cmd *c)
{
	(void)c;
	memset(p->deleted, 0, p->count * sizeof(*p->deleted));
	pop3_say(p, "+OK");
}

static void cmd_noop(struct pop3 *p, const struct pop3_cmd *c)
{
	(void)c;
	pop3_say(p, "+OK");
}

static void cmd_capa(struct pop3 *p, const struct pop3_cmd *c)
{
	(void)c;
	pop3_say(p, "+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n.");
}

/* RFC 1939 section 6: the UPDATE state. */
static void cmd_quit(struct pop3 *p, const struct pop3_cmd *c)
{
	uint32_t *gone = xcalloc(p->count + 1, sizeof(*gone)), *seen = xcalloc(p->count + 1, sizeof(*seen));
	size_t ngone = 0, nseen = 0;
	struct err err = {0};
	int rc = 0;

	(void)c;
	for (size_t i = 0; i < p->count; i++) {
		if (p->deleted[i])
			gone[ngone++] = (uint32_t)i;
		else if (p->seen[i])
			seen[nseen++] = (uint32_t)i;
	}
	if (nseen && !p->keep_flags)
		(void)mailbox_store(p->mb, seen, nseen, MB_ADD, MB_SEEN, 0, NULL);
	if (ngone)
		rc = mailbox_expunge(p->mb, gone, ngone, true, &err);
	if (rc) {
		log_error("user=<%s>: %s", p->s->user, err.text);
		pop3_say(p, "-ERR [SYS/TEMP] Some messages could not be removed.");
	} else {
		p->removed = ngone;
		pop3_say(p, "+OK Logging out%s", ngone ? ", messages deleted." : ".");
	}
	free(gone);
	free(seen);
	p->quit = true;
	pop3_finish(p);
}

static const struct {
	enum pop3_verb verb;
	void (*run)(struct pop3 *p, const struct pop3_cmd *c);
} commands[] = {
    {POP3_RETR, cmd_retr},
    {POP3_TOP, cmd_top},
    {POP3_UIDL, cmd_uidl},
    {POP3_LIST, cmd_list},
    {POP3_STAT, cmd_stat},
    {POP3_DELE, cmd_dele},
    {POP3_RSET, cmd_rset},
    {POP3_NOOP, cmd_noop},
    {POP3_CAPA, cmd_capa},
    {POP3_QUIT, cmd_quit},
};

static void bad_command(struct pop3 *p, const char *what)
{
	pop3_say(p, "-ERR %s", what);
	if (++p->errors >= POP3_ERRORS_MAX) {
		pop3_say(p, "-ERR Too many errors.");
		pop3_finish(p);
	}
}

void pop3_command(struct pop3 *p, struct sv line)
{
	struct pop3_cmd c;
	int rc = pop3_cmd_parse(line, &c);

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].verb != c.verb)
			continue;
		if (rc)
			bad_command(p, "Wrong arguments.");
		else
			commands[i].run(p, &c);
		return;
	}
	bad_command(p, c.verb == POP3_UNKNOWN ? "Unknown command." : "Not after login.");
}

static bool run_listing(struct pop3 *p)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(POP3_CHUNK);

	while (p->next < p->count) {
		size_t i = p->next;

		if (stream_full(p->stream) && (stream_flush(p->stream) || stream_full(p->stream)))
			return false;
		for (; i < p->count && b.n < POP3_CHUNK - 200; i++) {
			if (p->deleted[i])
				continue;
			buf_printf(&b, "%zu ", i + 1);
			if (p->task == TASK_UIDL)
				(void)unique_id(p, i, &b);
			else
				buf_printf(&b, "%llu", (unsigned long long)mailbox_msg(p->mb, i)->wsize);
			buf_adds(&b, "\r\n");
		}
		p->next = i;
		if (b.n && stream_write(p->stream, b.p, b.n))
			return false;
		buf_reset(&b);
	}
	pop3_say(p, ".");
	return true;
}

bool pop3_task_run(struct pop3 *p)
{
	int rc = 1;

	if (p->task == TASK_BODY) {
		rc = pop3_body_run(p);
		if (rc < 0) { /* half a message is out: only closing tells the client */
			log_error("user=<%s>: a message cannot be read: %s", p->s->user, strerror(errno));
			pop3_finish(p);
			return false;
		}
	} else if (p->task != TASK_NONE) {
		rc = run_listing(p);
	}
	if (rc)
		p->task = TASK_NONE;
	return rc;
}
