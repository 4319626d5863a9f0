/* cmd_append.c - APPEND (RFC 3501 section 6.3.11): the message goes to the disk as it comes. */
#include "imapd/imap.h"
#include "message/date.h"

#define TAIL_MAX 8 /* bytes that may stand between the message and its line end: none but CR LF */

struct append {
	char tag[IMAP_TAG_MAX + 1];
	uint64_t left;		/* bytes of the literal still to come */
	struct mb_append *file; /* NULL: the bytes are thrown away, `err` says why */
	struct mailbox *dest;	/* may be the selected one */
	unsigned flags;
	uint32_t keywords;
	time_t date;
	struct err err;
	const char *answer; /* tagged answer instead of what err says */
	bool answered;	    /* the tagged answer was sent */
};

void append_free(struct imap *s)
{
	struct append *a = s->append;
	if (a == NULL)
		return;
	if (a->file != NULL)
		mb_append_abort(&a->file);
	if (a->dest != s->mb)
		mailbox_close(&a->dest);
	free(a);
	s->append = NULL;
}

struct arguments {
	struct sv mailbox, date;
	struct imap_lex flags; /* where the list begins; empty when there is none */
	uint64_t size;
	bool nonsync;
};

/* "mailbox [flags] [date] {size}": the form alone, so that a mailbox that is not there gets its TRYCREATE. */
static bool take_arguments(struct imap_lex *l, struct arguments *a)
{
	struct sv flag;
	*a = (struct arguments){.date = SV_NONE};
	if (!imap_lex_astring(l, &a->mailbox) || sv_has_nul(a->mailbox) || !imap_lex_sp(l))
		return false;
	if (imap_lex_peek(l, '(')) {
		a->flags = *l;
		imap_lex_char(l, '(');
		while (imap_lex_flag(l, &flag))
			imap_lex_sp(l);
		if (!imap_lex_char(l, ')') || !imap_lex_sp(l))
			return false;
	}
	if (imap_lex_quoted(l, &a->date) && !imap_lex_sp(l))
		return false;
	return imap_lex_literal_ahead(l, &a->size, &a->nonsync);
}

/* Opens the mailbox and the file; what is in the way stands in a->answer or a->err, or was answered already. */
static void prepare(struct imap *s, struct append *a, struct arguments *args)
{
	int64_t t;
	int zone;
	if (args->date.p != NULL && date_parse_imap(args->date, &t, &zone) != 0) {
		a->answer = "BAD Invalid date";
		return;
	}
	a->date = args->date.p != NULL ? (time_t)t : 0;
	if (imap_is_selected(s, args->mailbox) && !mailbox_readonly(s->mb)) {
		a->dest = s->mb; /* its snapshot takes the message up without a look at the folder */
	} else if (mailbox_open(s->store, args->mailbox, MB_NO_SCAN, &a->dest, &a->err) != 0) {
		if (a->err.code == ERR_NOT_FOUND)
			a->answer = "NO [TRYCREATE] Mailbox doesn't exist";
		return;
	}
	if (args->size > s->append_max)
		a->answer = "NO [TOOBIG] Message is too large";
	else if (args->size == 0)
		a->answer = "NO [CANNOT] Message is empty";
	else if (args->flags.in.n > 0 && !imap_take_flags(s, &args->flags, a->dest, true, &a->flags, &a->keywords))
		a->answered = true;
	else
		mb_append_begin(s->store, &a->file, &a->err);
}

/* The tagged answer of an APPEND that was refused. */
static void refuse(struct imap *s, struct append *a)
{
	if (a->answered)
		return;
	if (a->answer == NULL)
		imap_fail(s, &a->err, "TRYCREATE");
	else if (a->answer[0] == 'N')
		imap_done(s, "NO", "%s", a->answer + 3);
	else
		imap_reply(s, "BAD", "%s", a->answer + 4);
}

enum imap_literal append_begin(struct imap *s, struct imap_lex *l)
{
	struct arguments args;
	s->uid = false;
	s->no_expunge = false;
	if (!take_arguments(l, &args)) {
		imap_bad_arguments(s);
		if (s->scan
			.nonsync) /* the message is on its way, and where it ends depends on what was not understood */
			imap_bye(s, "Malformed APPEND", "Malformed APPEND");
		return LITERAL_REFUSED;
	}
	BUG_ON(s->append != NULL);
	struct append *a = s->append = xcalloc(1, sizeof(*a));
	snprintf(a->tag, sizeof(a->tag), SV_FMT, SV_ARG(sv_head(s->tag, IMAP_TAG_MAX)));
	a->left = args.size;
	prepare(s, a, &args);
	if (a->file == NULL && !args.nonsync) { /* the client waits and will not send it */
		refuse(s, a);
		append_free(s);
		return LITERAL_REFUSED;
	}
	if (a->file == NULL && args.size > s->append_max) {
		imap_bye(s, "Too large message", "[TOOBIG] Message is too large");
		append_free(s);
		return LITERAL_REFUSED;
	}
	if (!args.nonsync) {
		imap_writes(s, "+ OK\r\n");
		imap_flush(s);
	}
	s->state = args.size > 0 ? IMAP_LITERAL : IMAP_TAIL;
	return LITERAL_APPEND;
}

void append_input(struct imap *s)
{
	struct append *a = s->append;
	size_t n = a->left < s->in.n ? (size_t)a->left : s->in.n;
	if (a->file != NULL) {
		for (char *nul = s->in.p; n > 0 && (nul = memchr(nul, '\0', n - (size_t)(nul - s->in.p))) != NULL;)
			*nul = (char)0x80; /* as other servers do: no message with a NUL can be fetched (RFC 3501
					      section 4.3) */
		if (mb_append_write(a->file, sv_of(s->in.p, n), &a->err) != 0)
			mb_append_abort(&a->file);
	}
	buf_consume(&s->in, n);
	a->left -= n;
	if (a->left == 0)
		s->state = IMAP_TAIL;
}

static void finish(struct imap *s)
{
	struct append *a = s->append;
	uint32_t uid = 0;
	s->tag = sv_str(a->tag);
	if (a->file == NULL) {
		refuse(s, a);
		return;
	}
	if (mb_append_commit(&a->file, a->dest, a->flags, a->keywords, a->date, &uid, &a->err) != 0) {
		imap_fail(s, &a->err, "TRYCREATE");
		return;
	}
	s->stats.appended++;
	imap_done(s, "OK", "[APPENDUID %u %u] Append completed.", mailbox_uidvalidity(a->dest), uid);
}

void append_tail(struct imap *s)
{
	struct sv in = buf_sv(&s->in);
	ssize_t lf = sv_chr(in, '\n');
	if (lf < 0 && in.n < TAIL_MAX)
		return;
	s->state = IMAP_READY;
	if (lf < 0 || lf > 1 || (lf == 1 && in.p[0] != '\r')) {
		s->tag = sv_str(s->append->tag);
		imap_reply(s, "BAD", "Unexpected text behind the message");
		if (s->state == IMAP_READY) {
			s->skipped = 0;
			s->state = IMAP_SKIP;
		}
	} else {
		buf_consume(&s->in, (size_t)lf + 1);
		finish(s);
	}
	append_free(s);
	arena_clear(&s->arena);
	s->tag = SV("*");
}
