/* cmd_append.c - APPEND (RFC 3501 section 6.3.11): the message goes to the disk as it comes. */
#include "imapd/imap.h"
#include "message/date.h"

#define TAIL_MAX 8 /* bytes that may stand between the message and its line end: none but CR LF */

struct append {
	char tag[IMAP_TAG_MAX + 1];
	uint64_t left;		/* bytes of the literal still to come */
	struct mb_append *file; /* NULL: the bytes are thrown away, `err` says why */
	struct mailbox *dest;
	unsigned flags;
	uint32_t keywords;
	time_t date;
	struct err err;
	const char *answer; /* tagged answer instead of what err says */
};

void append_free(struct imap *s)
{
	struct append *a = s->append;
	if (a == NULL)
		return;
	if (a->file != NULL)
		mb_append_abort(&a->file);
	if (a->dest != NULL)
		mailbox_close(&a->dest);
	free(a);
	s->append = NULL;
}

/* "mailbox [flags] [date] {": 1 good; 0 the client was answered; -1 BAD is due. */
static int take_arguments(struct imap *s, struct imap_lex *l, struct append *a)
{
	struct sv name, text;
	int64_t t;
	int zone;
	if (!imap_lex_astring(l, &name) || sv_has_nul(name) || !imap_lex_sp(l))
		return -1;
	if (mailbox_open(s->store, name, MB_NO_SCAN, &a->dest, &a->err) != 0) {
		if (a->err.code == ERR_NOT_FOUND)
			a->answer = "NO [TRYCREATE] Mailbox doesn't exist";
		return 1;
	}
	if (imap_lex_peek(l, '(')) {
		if (!imap_take_flags(s, l, a->dest, true, &a->flags, &a->keywords))
			return 0;
		if (!imap_lex_sp(l))
			return -1;
	}
	if (imap_lex_quoted(l, &text)) {
		if (date_parse_imap(text, &t, &zone) != 0 || !imap_lex_sp(l))
			return -1;
		a->date = (time_t)t;
	}
	return 1;
}

enum imap_literal append_begin(struct imap *s, struct imap_lex *l)
{
	uint64_t size = 0;
	bool nonsync = false;
	struct append *a = xcalloc(1, sizeof(*a));
	snprintf(a->tag, sizeof(a->tag), SV_FMT, SV_ARG(sv_head(s->tag, IMAP_TAG_MAX)));
	BUG_ON(s->append != NULL);
	s->append = a;
	s->uid = false;
	s->no_expunge = false;
	int r = take_arguments(s, l, a);
	bool announced = imap_lex_literal_ahead(l, &size, &nonsync);
	if (r > 0 && !announced)
		r = -1;
	if (r <= 0) {
		if (r < 0)
			imap_bad_arguments(s);
		if (s->scan.nonsync) /* the message is on its way and nobody knows where it would end in our reading */
			imap_bye(s, "Malformed APPEND", "Malformed APPEND");
		append_free(s);
		return LITERAL_REFUSED;
	}
	if (a->dest != NULL && a->answer == NULL && size > s->append_max)
		a->answer = "NO [TOOBIG] Message is too large";
	else if (a->dest != NULL && size == 0)
		a->answer = "NO [CANNOT] Message is empty";
	else if (a->dest != NULL)
		mb_append_begin(s->store, &a->file, &a->err);
	if (!nonsync && a->file == NULL) { /* the client waits and will not send it */
		if (a->answer != NULL)
			imap_done(s, a->answer[0] == 'N' ? "NO" : "BAD", "%s", a->answer + 3);
		else
			imap_fail(s, &a->err, "TRYCREATE");
		append_free(s);
		return LITERAL_REFUSED;
	}
	if (nonsync && a->file == NULL && size > s->append_max) {
		imap_bye(s, "Too large message", "[TOOBIG] Message is too large");
		append_free(s);
		return LITERAL_REFUSED;
	}
	if (!nonsync) {
		imap_writes(s, "+ OK\r\n");
		imap_flush(s);
	}
	a->left = size;
	s->state = IMAP_LITERAL;
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
		if (a->answer != NULL)
			imap_done(s, a->answer[0] == 'N' ? "NO" : "BAD", "%s", a->answer + 3);
		else
			imap_fail(s, &a->err, "TRYCREATE");
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
