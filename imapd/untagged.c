/* untagged.c - answers: tagged ones, and what has changed in the mailbox; see imap.h. */
#include "imapd/imap.h"

static const struct {
	const char *name;
	uint8_t len, bit;
} flag_names[] = {
    {"\\Answered", 9, MB_ANSWERED},
    {"\\Flagged", 8, MB_FLAGGED},
    {"\\Deleted", 8, MB_DELETED},
    {"\\Seen", 5, MB_SEEN},
    {"\\Draft", 6, MB_DRAFT},
    {"$Forwarded", 10, MB_PASSED},
    {"\\Recent", 7, MB_RECENT},
};

ATTR_PRINTF(3, 0)
static void tagged(struct imap *s, const char *status, const char *fmt, va_list ap)
{
	struct buf line = BUF_INIT(8192);
	buf_printf(&line, SV_FMT " %s ", SV_ARG(s->tag), status);
	buf_vprintf(&line, fmt, ap);
	buf_adds(&line, "\r\n");
	imap_write(s, line.p, line.n);
	buf_free(&line);
	s->bad = strcmp(status, "BAD") == 0 ? s->bad + 1 : 0;
	if (s->bad >= IMAP_BAD_MAX)
		imap_bye(s, "Too many invalid commands", "Too many invalid IMAP commands.");
}

void imap_reply(struct imap *s, const char *status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	tagged(s, status, fmt, ap);
	va_end(ap);
}

void imap_done(struct imap *s, const char *status, const char *fmt, ...)
{
	va_list ap;
	imap_sync(s, !s->no_expunge);
	va_start(ap, fmt);
	tagged(s, status, fmt, ap);
	va_end(ap);
}

/* RFC 5530. */
void imap_fail(struct imap *s, const struct err *err, const char *code_not_found)
{
	switch (err->code) {
	case ERR_NOT_FOUND: imap_done(s, "NO", "[%s] Mailbox doesn't exist", code_not_found); return;
	case ERR_EXISTS: imap_done(s, "NO", "[ALREADYEXISTS] Mailbox already exists"); return;
	case ERR_SYNTAX: imap_done(s, "NO", "[CANNOT] Invalid mailbox name"); return;
	case ERR_DENIED: imap_done(s, "NO", "[CANNOT] Not possible with this mailbox"); return;
	case ERR_LIMIT: imap_done(s, "NO", "[LIMIT] A limit was reached"); return;
	case ERR_TEMP: imap_done(s, "NO", "[INUSE] Mailbox is in use, try again"); return;
	case ERR_SYS:
		if (err->sys == ENOSPC || err->sys == EDQUOT) {
			log_warn("user=<%s>: %s", s->zs->user, err->text);
			imap_done(s, "NO", "[OVERQUOTA] No room left");
			return;
		}
		break;
	default: break;
	}
	log_error("user=<%s>: %s", s->zs->user, err->text);
	imap_done(s, "NO", "[SERVERBUG] Internal error, see the server's log");
}

void imap_send_flags(struct imap *s, size_t i)
{
	const struct mb_msg *m = mailbox_msg(s->mb, i);
	size_t room, n;
	/* Longest: every flag and 26 keywords. */
	char *to = imap_room(s, 8192, &room);
	memcpy(to, "FLAGS (", 7);
	n = 7;
	size_t first = n;
	for (size_t k = 0; k < ARRAY_LEN(flag_names); k++) {
		if (!(m->flags & flag_names[k].bit))
			continue;
		if (n > first)
			to[n++] = ' ';
		memcpy(to + n, flag_names[k].name, flag_names[k].len);
		n += flag_names[k].len;
	}
	for (unsigned k = 0; m->keywords != 0 && k < STORE_KEYWORDS; k++) {
		const char *name = m->keywords >> k & 1 ? mailbox_keyword_name(s->mb, k) : NULL;
		if (name != NULL)
			n +=
			    (size_t)snprintf(to + n, room - n, "%s%.*s", n > first ? " " : "", STORE_KEYWORD_MAX, name);
	}
	to[n++] = ')';
	imap_advance(s, n);
}

void imap_send_flag_lists(struct imap *s)
{
	CLEANUP(buf_freep) struct buf list = BUF_INIT(8192);
	unsigned used = 0;
	s->keywords_told = 0;
	buf_adds(&list, "\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded");
	for (unsigned k = 0; k < STORE_KEYWORDS; k++) {
		const char *name = mailbox_keyword_name(s->mb, k);
		if (name == NULL)
			continue;
		used++;
		s->keywords_told |= 1u << k;
		buf_printf(&list, " %s", name);
	}
	imap_printf(s, "* FLAGS (%s)\r\n", buf_cstr(&list));
	if (mailbox_readonly(s->mb))
		imap_writes(s, "* OK [PERMANENTFLAGS ()] Read-only mailbox.\r\n");
	else
		imap_printf(s, "* OK [PERMANENTFLAGS (%s%s)] Flags permitted.\r\n", buf_cstr(&list),
		    used < STORE_KEYWORDS ? " \\*" : "");
}

static uint32_t keywords_known(const struct imap *s)
{
	uint32_t known = 0;
	for (unsigned k = 0; k < STORE_KEYWORDS; k++)
		if (mailbox_keyword_name(s->mb, k) != NULL)
			known |= 1u << k;
	return known;
}

void imap_sync(struct imap *s, bool expunge)
{
	struct mailbox_changes c;
	struct err err;
	if (s->mb == NULL || s->broken || s->state == IMAP_OVER)
		return;
	if (mailbox_refresh(s->mb, expunge, &c, &err) != 0) {
		if (err.code == ERR_NOT_FOUND || (err.code == ERR_SYS && err.sys == ENOENT)) {
			/* Another session has deleted it: IMAP has no other way to tell. */
			imap_bye(s, "Mailbox was deleted", "Selected mailbox was deleted, have to disconnect.");
			return;
		}
		if (err.code == ERR_CLOSED) { /* every UID that the client knows means something else now */
			imap_bye(s, "UIDVALIDITY changed", "UIDVALIDITY of the selected mailbox has changed.");
			return;
		}
		log_error("user=<%s>: %s", s->zs->user, err.text);
		return;
	}
	for (size_t i = 0; i < c.n_expunged; i++)
		imap_printf(s, "* %u EXPUNGE\r\n", c.expunged[i]);
	if (c.exists)
		imap_printf(s, "* %zu EXISTS\r\n* %zu RECENT\r\n", mailbox_count(s->mb), mailbox_recent(s->mb));
	if (c.keywords && keywords_known(s) != s->keywords_told)
		imap_send_flag_lists(s);
	for (size_t i = 0; i < c.n_changed; i++) {
		imap_printf(s, "* %u FETCH (", c.changed[i]);
		imap_send_flags(s, c.changed[i] - 1);
		imap_writes(s, ")\r\n");
	}
}

void imap_put_capabilities(struct imap *s, struct buf *out)
{
	buf_printf(out,
	    "CAPABILITY IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE SPECIAL-USE CHILDREN UNSELECT "
	    "ESEARCH "
	    "WITHIN APPENDLIMIT=%llu",
	    (unsigned long long)s->append_max);
}

void imap_greet(struct imap *s)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(1024);
	imap_put_capabilities(s, &b);
	imap_printf(s, "%.*s OK [%s] Logged in\r\n", IMAP_TAG_MAX, s->zs->tag, buf_cstr(&b));
}
