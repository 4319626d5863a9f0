/* sets.c - message sets and flag lists of commands, against the selected mailbox; see imap.h. */
#include "imapd/imap.h"

static int by_sequence(struct imap *s, const struct imap_set *set, struct imap_list *out)
{
	size_t total = 0, count = mailbox_count(s->mb), n = 0;
	for (size_t i = 0; i < set->n; i++) {
		if (set->v[i].hi > count || set->v[i].lo == 0)
			return ERR_SYNTAX;
		total += set->v[i].hi - set->v[i].lo + 1;
	}
	out->v = arena_alloc(&s->arena, (total ? total : 1) * sizeof(*out->v));
	if (out->v == NULL)
		return ERR_LIMIT;
	for (size_t i = 0; i < set->n; i++)
		for (uint32_t k = set->v[i].lo; k <= set->v[i].hi; k++)
			out->v[n++] = k - 1;
	out->n = n;
	return 0;
}

static int by_uid(struct imap *s, const struct imap_set *set, struct imap_list *out)
{
	size_t total = 0, count = mailbox_count(s->mb), n = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < set->n; i++) {
			size_t lo = mailbox_lower(s->mb, set->v[i].lo);
			size_t hi = set->v[i].hi == UINT32_MAX ? count : mailbox_lower(s->mb, set->v[i].hi + 1);
			if (pass == 0)
				total += hi - lo;
			for (size_t k = lo; pass == 1 && k < hi; k++)
				out->v[n++] = (uint32_t)k;
		}
		if (pass == 0) {
			out->v = arena_alloc(&s->arena, (total ? total : 1) * sizeof(*out->v));
			if (out->v == NULL)
				return ERR_LIMIT;
		}
	}
	out->n = n;
	return 0;
}

int imap_messages(struct imap *s, struct sv text, struct imap_list *out)
{
	struct imap_set set;
	size_t count = mailbox_count(s->mb);
	int r = imap_set_parse(&s->arena, text, &set);
	if (r == 0) {
		uint32_t last = count == 0 ? 0 : s->uid ? mailbox_msg(s->mb, count - 1)->uid : (uint32_t)count;
		bool open = !s->uid && sv_chr(text, '*') >= 0;
		imap_set_resolve(&set, last);
		/* "7:*" with fewer messages is 3:7 after resolving; clients mean "what is there from 7". */
		for (size_t i = 0; open && i < set.n; i++)
			if (set.v[i].hi > count && set.v[i].lo <= count)
				set.v[i].hi = (uint32_t)count;
		if (open && count == 0)
			set.n = 0;
		r = s->uid ? by_uid(s, &set, out) : by_sequence(s, &set, out);
	}
	if (r == ERR_LIMIT)
		imap_done(s, "NO", "[LIMIT] Too many messages in one command");
	else if (r != 0)
		imap_reply(s, "BAD", "Invalid messageset");
	return r;
}

static const struct {
	const char *name;
	uint8_t bit;
} flag_names[] = {
    {"\\Answered", MB_ANSWERED},
    {"\\Flagged", MB_FLAGGED},
    {"\\Deleted", MB_DELETED},
    {"\\Seen", MB_SEEN},
    {"\\Draft", MB_DRAFT},
    {"$Forwarded", MB_PASSED},
};

/* 1 known, 0 a keyword, -1 a system flag that cannot be set. */
static int system_flag(struct sv name, unsigned *bit)
{
	for (size_t i = 0; i < ARRAY_LEN(flag_names); i++) {
		if (sv_ieqs(name, flag_names[i].name)) {
			*bit = flag_names[i].bit;
			return 1;
		}
	}
	return name.p[0] == '\\' ? -1 : 0;
}

static bool take_flag(
    struct imap *s, struct sv name, struct mailbox *mb, bool create, unsigned *flags, uint32_t *keywords)
{
	unsigned bit = 0;
	struct err err;
	int r = system_flag(name, &bit);
	if (r < 0) {
		imap_reply(s, "BAD", "Invalid system flag");
		return false;
	}
	if (r > 0) {
		*flags |= bit;
		return true;
	}
	r = name.n > STORE_KEYWORD_MAX ? ERR_SYNTAX : mailbox_keyword(mb, name, create, &err);
	if (r >= 0) {
		*keywords |= 1u << r;
		return true;
	}
	if (r == ERR_NOT_FOUND && !create)
		return true; /* removing what nobody has */
	if (r == ERR_SYNTAX)
		imap_reply(s, "BAD", "Invalid keyword");
	else if (r == ERR_LIMIT)
		imap_done(s, "NO", "[LIMIT] Too many keywords in this mailbox");
	else
		imap_fail(s, &err, "NONEXISTENT");
	return false;
}

bool imap_take_flags(
    struct imap *s, struct imap_lex *l, struct mailbox *mb, bool create, unsigned *flags, uint32_t *keywords)
{
	struct sv name;
	bool list = imap_lex_char(l, '(');
	*flags = 0;
	*keywords = 0;
	if (list && imap_lex_char(l, ')'))
		return true;
	do {
		if (!imap_lex_flag(l, &name)) {
			imap_bad_arguments(s);
			return false;
		}
		if (!take_flag(s, name, mb, create, flags, keywords))
			return false;
		if (!list && !imap_lex_peek(l, ' '))
			return true;
	} while (imap_lex_sp(l));
	if (list && !imap_lex_char(l, ')')) {
		imap_bad_arguments(s);
		return false;
	}
	return true;
}
