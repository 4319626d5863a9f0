/* imap_cmds.c - the table of commands, how they are dispatched, and the smallest of them; see imap.h. */
#include "imapd/imap.h"

enum {
	SELECTED = 1,	/* only with a mailbox */
	UID_TOO = 2,	/* may have the UID prefix */
	UID_ONLY = 4,	/* in its form with arguments */
	NO_EXPUNGE = 8, /* RFC 3501 section 7.4.1: EXPUNGE may not be sent in answer to it (without UID) */
	NO_ARGS = 16
};

static void cmd_capability(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	buf_reset(&s->scratch);
	imap_put_capabilities(s, &s->scratch);
	imap_printf(s, "* %s\r\n", buf_cstr(&s->scratch));
	imap_done(s, "OK", "Capability completed.");
}

static void cmd_noop(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	imap_done(s, "OK", "NOOP completed.");
}

static void cmd_check(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	mailbox_summary_flush(s->mb);
	imap_done(s, "OK", "Check completed.");
}

static void cmd_logout(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	imap_writes(s, "* BYE Logging out\r\n");
	imap_reply(s, "OK", "Logout completed.");
	imap_end(s, "Logged out");
}

static void cmd_namespace(struct imap *s, struct imap_lex *l ATTR_UNUSED)
{
	imap_writes(s, "* NAMESPACE ((\"\" \".\")) NIL NIL\r\n");
	imap_done(s, "OK", "Namespace completed.");
}

/* RFC 2971: what the client says is looked at only for its form. */
static void cmd_id(struct imap *s, struct imap_lex *l)
{
	struct sv v;
	unsigned n = 0;
	bool ok = imap_lex_sp(l);
	if (ok && imap_lex_char(l, '(')) {
		while (ok && !imap_lex_peek(l, ')') && n < 60) {
			ok = (n == 0 || imap_lex_sp(l)) && imap_lex_nstring(l, &v);
			n++;
		}
		ok = ok && imap_lex_char(l, ')') && n % 2 == 0;
	} else {
		ok = ok && imap_lex_word(l, "NIL");
	}
	if (!ok || !imap_lex_end(l)) {
		imap_bad_arguments(s);
		return;
	}
	imap_writes(s, "* ID (\"name\" \"Merpati\")\r\n");
	imap_done(s, "OK", "ID completed.");
}

/* RFC 5161: no extension of ours needs enabling, so none is listed. */
static void cmd_enable(struct imap *s, struct imap_lex *l)
{
	struct sv name;
	unsigned n = 0;
	while (imap_lex_sp(l) && imap_lex_atom(l, &name))
		n++;
	if (n == 0 || !imap_lex_end(l)) {
		imap_bad_arguments(s);
		return;
	}
	imap_writes(s, "* ENABLED\r\n");
	imap_done(s, "OK", "Enabled.");
}

static const struct command {
	const char *name;
	unsigned flags;
	imap_cmd_fn *run;
} commands[] = {
    {"APPEND", 0, NULL}, /* complete without a literal: never right */
    {"CAPABILITY", NO_ARGS, cmd_capability},
    {"CHECK", SELECTED | NO_ARGS, cmd_check},
    {"CLOSE", SELECTED | NO_ARGS, cmd_close},
    {"COPY", SELECTED | UID_TOO, cmd_copy},
    {"CREATE", 0, cmd_create},
    {"DELETE", 0, cmd_delete},
    {"ENABLE", 0, cmd_enable},
    {"EXAMINE", 0, cmd_examine},
    {"EXPUNGE", SELECTED | UID_TOO, cmd_expunge},
    {"FETCH", SELECTED | UID_TOO | NO_EXPUNGE, cmd_fetch},
    {"ID", 0, cmd_id},
    {"IDLE", NO_ARGS, cmd_idle},
    {"LIST", 0, cmd_list},
    {"LOGOUT", NO_ARGS, cmd_logout},
    {"LSUB", 0, cmd_lsub},
    {"MOVE", SELECTED | UID_TOO, cmd_move},
    {"NAMESPACE", NO_ARGS, cmd_namespace},
    {"NOOP", NO_ARGS, cmd_noop},
    {"RENAME", 0, cmd_rename},
    {"SEARCH", SELECTED | UID_TOO | NO_EXPUNGE, cmd_search},
    {"SELECT", 0, cmd_select},
    {"STATUS", 0, cmd_status},
    {"STORE", SELECTED | UID_TOO | NO_EXPUNGE, cmd_store},
    {"SUBSCRIBE", 0, cmd_subscribe},
    {"UNSELECT", SELECTED | NO_ARGS, cmd_unselect},
    {"UNSUBSCRIBE", 0, cmd_unsubscribe},
};

static const struct command *find_command(struct sv name)
{
	size_t lo = 0, hi = ARRAY_LEN(commands);
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int c = sv_icmp(name, sv_str(commands[mid].name));
		if (c == 0)
			return &commands[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

void imap_bad_arguments(struct imap *s)
{
	imap_reply(s, "BAD", "Invalid arguments.");
}

bool imap_expect_end(struct imap *s, struct imap_lex *l)
{
	if (imap_lex_end(l))
		return true;
	imap_bad_arguments(s);
	return false;
}

bool imap_take_mailbox(struct imap *s, struct imap_lex *l, struct sv *name)
{
	if (imap_lex_sp(l) && imap_lex_astring(l, name) && !sv_has_nul(*name))
		return true;
	imap_bad_arguments(s);
	return false;
}

/* Tag and command name; answers what is wrong with them.  NULL then. */
static const struct command *begin(struct imap *s, struct imap_lex *l, struct sv line)
{
	struct sv name;
	imap_lex_init(l, line, &s->arena);
	s->tag = SV("*");
	s->uid = false;
	struct sv tag;
	if (!imap_lex_tag(l, &tag) || tag.n > IMAP_TAG_MAX || !imap_lex_sp(l)) {
		imap_reply(s, "BAD", "Error in IMAP command received by server.");
		return NULL;
	}
	s->tag = tag;
	if (!imap_lex_atom(l, &name)) {
		imap_reply(s, "BAD", "Error in IMAP command received by server.");
		return NULL;
	}
	if (sv_ieqs(name, "UID")) {
		s->uid = true;
		if (!imap_lex_sp(l) || !imap_lex_atom(l, &name)) {
			imap_bad_arguments(s);
			return NULL;
		}
	}
	const struct command *c = find_command(name);
	if (c == NULL || (s->uid && (c->flags & UID_TOO) == 0)) {
		if (sv_ieqs(name, "LOGIN") || sv_ieqs(name, "AUTHENTICATE") || sv_ieqs(name, "STARTTLS"))
			imap_reply(s, "BAD", "Already logged in.");
		else
			imap_reply(s, "BAD", "Unknown command.");
		return NULL;
	}
	if ((c->flags & SELECTED) && s->mb == NULL) {
		imap_reply(s, "BAD", "No mailbox selected.");
		return NULL;
	}
	s->no_expunge = (c->flags & NO_EXPUNGE) != 0 && !s->uid;
	return c;
}

void imap_command(struct imap *s, struct sv line)
{
	struct imap_lex l;
	const struct command *c = begin(s, &l, line);
	if (c == NULL)
		return;
	if (c->run == NULL || ((c->flags & NO_ARGS) && !imap_lex_end(&l))) {
		imap_bad_arguments(s);
		return;
	}
	c->run(s, &l);
}

/* A command line has announced a literal. */
enum imap_literal imap_literal(struct imap *s, struct sv prefix, uint64_t size, bool nonsync)
{
	struct imap_lex l;
	struct sv tag, name;
	imap_lex_init(&l, prefix, &s->arena);
	if (imap_lex_tag(&l, &tag) && tag.n <= IMAP_TAG_MAX && imap_lex_sp(&l) && imap_lex_atom(&l, &name) &&
	    sv_ieqs(name, "APPEND") && imap_lex_sp(&l)) {
		uint64_t ahead;
		bool plus;
		struct imap_lex at = l;
		if (!imap_lex_literal_ahead(&at, &ahead, &plus)) { /* else it is the mailbox name */
			s->tag = tag;
			return append_begin(s, &l);
		}
	}
	if (size <= IMAP_LITERALS_MAX && s->literals + size <= IMAP_LITERALS_MAX)
		return LITERAL_TAKE;
	imap_lex_init(&l, prefix, &s->arena);
	s->tag = imap_lex_tag(&l, &tag) && tag.n <= IMAP_TAG_MAX ? tag : SV("*");
	if (nonsync) { /* the bytes are on their way: RFC 7888 section 4 allows to hang up */
		imap_bye(s, "Too large literal", "[TOOBIG] Literal too large");
		return LITERAL_REFUSED;
	}
	imap_reply(s, "BAD", "[TOOBIG] Literal too large");
	return LITERAL_REFUSED;
}
