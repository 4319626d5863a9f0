/* cmd_idle.c - IDLE (RFC 2177): changes are told as they happen, until the client says DONE. */
#include "imapd/imap.h"

#define DONE_LINE_MAX 100

void cmd_idle(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	snprintf(s->idle_tag, sizeof(s->idle_tag), SV_FMT, SV_ARG(sv_head(s->tag, IMAP_TAG_MAX)));
	imap_writes(s, "+ idling\r\n");
	if (s->mb != NULL)
		mailbox_look_again(s->mb);
	imap_sync(s, true);
	s->state = IMAP_IDLE;
}

void idle_input(struct imap *s)
{
	ssize_t lf = sv_chr(buf_sv(&s->in), '\n');
	if (lf < 0 && s->in.n < DONE_LINE_MAX)
		return;
	struct sv line = sv_trim(sv_head(buf_sv(&s->in), lf < 0 ? s->in.n : (size_t)lf));
	bool done = lf >= 0 && sv_ieqs(line, "DONE");
	buf_consume(&s->in, lf < 0 ? s->in.n : (size_t)lf + 1);
	s->state = IMAP_READY;
	s->tag = sv_str(s->idle_tag);
	s->no_expunge = false;
	if (done)
		imap_done(s, "OK", "Idle completed.");
	else
		imap_done(s, "BAD", "Expected DONE.");
	s->tag = SV("*");
}

void idle_wake(struct imap *s)
{
	if (s->state != IMAP_IDLE)
		return;
	imap_sync(s, true);
	imap_flush(s);
	if (s->broken)
		imap_end(s, "Connection closed");
}

/* Keeps middle boxes from forgetting the connection, and finds out whether the client is still there. */
void idle_timer(struct imap *s)
{
	imap_writes(s, "* OK Still here\r\n");
	idle_wake(s);
	imap_timer_restart(s);
}
