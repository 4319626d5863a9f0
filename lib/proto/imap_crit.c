/* imap_crit.c - SEARCH criteria; see imap_crit.h. */
#include "proto/imap_crit.h"

#include "message/date.h"

enum arg { ARG_NONE, ARG_TEXT, ARG_FIELD_TEXT, ARG_DATE, ARG_NUMBER, ARG_SET, ARG_KEYWORD, ARG_NOT, ARG_OR };

static const struct key {
	const char *name;
	uint8_t arg;
	uint8_t type;
	uint8_t flag;
	bool negate;
	const char *field;
} keys[] = {
    {"ALL", ARG_NONE, IMAP_C_ALL, 0, false, NULL},
    {"ANSWERED", ARG_NONE, IMAP_C_FLAG, IMAP_CF_ANSWERED, false, NULL},
    {"BCC", ARG_TEXT, IMAP_C_HEADER, 0, false, "Bcc"},
    {"BEFORE", ARG_DATE, IMAP_C_BEFORE, 0, false, NULL},
    {"BODY", ARG_TEXT, IMAP_C_BODY, 0, false, NULL},
    {"CC", ARG_TEXT, IMAP_C_HEADER, 0, false, "Cc"},
    {"DELETED", ARG_NONE, IMAP_C_FLAG, IMAP_CF_DELETED, false, NULL},
    {"DRAFT", ARG_NONE, IMAP_C_FLAG, IMAP_CF_DRAFT, false, NULL},
    {"FLAGGED", ARG_NONE, IMAP_C_FLAG, IMAP_CF_FLAGGED, false, NULL},
    {"FROM", ARG_TEXT, IMAP_C_HEADER, 0, false, "From"},
    {"HEADER", ARG_FIELD_TEXT, IMAP_C_HEADER, 0, false, NULL},
    {"KEYWORD", ARG_KEYWORD, IMAP_C_KEYWORD, 0, false, NULL},
    {"LARGER", ARG_NUMBER, IMAP_C_LARGER, 0, false, NULL},
    {"NOT", ARG_NOT, 0, 0, false, NULL},
    {"OLD", ARG_NONE, IMAP_C_FLAG, IMAP_CF_RECENT, true, NULL},
    {"OLDER", ARG_NUMBER, IMAP_C_OLDER, 0, false, NULL},
    {"ON", ARG_DATE, IMAP_C_ON, 0, false, NULL},
    {"OR", ARG_OR, IMAP_C_OR, 0, false, NULL},
    {"RECENT", ARG_NONE, IMAP_C_FLAG, IMAP_CF_RECENT, false, NULL},
    {"SEEN", ARG_NONE, IMAP_C_FLAG, IMAP_CF_SEEN, false, NULL},
    {"SENTBEFORE", ARG_DATE, IMAP_C_SENTBEFORE, 0, false, NULL},
    {"SENTON", ARG_DATE, IMAP_C_SENTON, 0, false, NULL},
    {"SENTSINCE", ARG_DATE, IMAP_C_SENTSINCE, 0, false, NULL},
    {"SINCE", ARG_DATE, IMAP_C_SINCE, 0, false, NULL},
    {"SMALLER", ARG_NUMBER, IMAP_C_SMALLER, 0, false, NULL},
    {"SUBJECT", ARG_TEXT, IMAP_C_HEADER, 0, false, "Subject"},
    {"TEXT", ARG_TEXT, IMAP_C_TEXT, 0, false, NULL},
    {"TO", ARG_TEXT, IMAP_C_HEADER, 0, false, "To"},
    {"UID", ARG_SET, IMAP_C_UID, 0, false, NULL},
    {"UNANSWERED", ARG_NONE, IMAP_C_FLAG, IMAP_CF_ANSWERED, true, NULL},
    {"UNDELETED", ARG_NONE, IMAP_C_FLAG, IMAP_CF_DELETED, true, NULL},
    {"UNDRAFT", ARG_NONE, IMAP_C_FLAG, IMAP_CF_DRAFT, true, NULL},
    {"UNFLAGGED", ARG_NONE, IMAP_C_FLAG, IMAP_CF_FLAGGED, true, NULL},
    {"UNKEYWORD", ARG_KEYWORD, IMAP_C_KEYWORD, 0, true, NULL},
    {"UNSEEN", ARG_NONE, IMAP_C_FLAG, IMAP_CF_SEEN, true, NULL},
    {"YOUNGER", ARG_NUMBER, IMAP_C_YOUNGER, 0, false, NULL},
};

struct parse {
	struct imap_lex *l;
	struct err *err;
	size_t count;
};

static struct imap_crit *fail(struct parse *p, int code, const char *text)
{
	err_set(p->err, code, "%s", text);
	return NULL;
}

static struct imap_crit *new_crit(struct parse *p, enum imap_crit_type type)
{
	struct imap_crit *c = ++p->count <= IMAP_CRIT_MAX ? arena_alloc(p->l->arena, sizeof(*c)) : NULL;
	if (c == NULL)
		return fail(p, ERR_LIMIT, "Too many search keys");
	c->type = type;
	return c;
}

static struct imap_crit *take_key(struct parse *p, unsigned depth);

static bool take_date(struct imap_lex *l, int64_t *day)
{
	struct sv s;
	return imap_lex_astring(l, &s) && date_parse_imap_day(s, day) == 0;
}

static struct imap_crit *take_two(struct parse *p, struct imap_crit * or, unsigned depth)
{
	or->child = imap_lex_sp(p->l) ? take_key(p, depth + 1) : fail(p, ERR_SYNTAX, "Missing search key");
	if (or->child == NULL)
		return NULL;
	or->child->next = imap_lex_sp(p->l) ? take_key(p, depth + 1) : fail(p, ERR_SYNTAX, "Missing search key");
	return or->child->next ? or : NULL;
}

static struct imap_crit *take_args(struct parse *p, const struct key *k, unsigned depth)
{
	struct imap_lex *l = p->l;
	struct imap_crit *c;
	struct sv s;
	if (k->arg == ARG_NOT) {
		c = imap_lex_sp(l) ? take_key(p, depth + 1) : fail(p, ERR_SYNTAX, "Missing search key");
		if (c != NULL)
			c->negate = !c->negate;
		return c;
	}
	c = new_crit(p, k->type);
	if (c == NULL)
		return NULL;
	c->flag = k->flag;
	c->negate = k->negate;
	c->field = sv_str(k->field);
	bool ok = k->arg == ARG_NONE || k->arg == ARG_OR || imap_lex_sp(l);
	switch (ok ? k->arg : ARG_NONE) {
	case ARG_OR: return take_two(p, c, depth);
	case ARG_TEXT: ok = imap_lex_astring(l, &c->text); break;
	case ARG_FIELD_TEXT:
		ok = imap_lex_astring(l, &c->field) && imap_lex_sp(l) && imap_lex_astring(l, &c->text);
		break;
	case ARG_KEYWORD: ok = imap_lex_flag(l, &c->text); break;
	case ARG_DATE: ok = take_date(l, &c->day); break;
	case ARG_NUMBER: ok = imap_lex_number64(l, &c->number); break;
	case ARG_SET: ok = imap_lex_set(l, &s) && imap_set_parse(l->arena, s, &c->set) == 0; break;
	default: break;
	}
	return ok ? c : fail(p, ERR_SYNTAX, "Invalid search argument");
}

static struct imap_crit *take_list(struct parse *p, unsigned depth, bool paren)
{
	struct imap_crit *and = new_crit(p, IMAP_C_AND), **last;
	if (and == NULL)
		return NULL;
	last = &and->child;
	do {
		*last = take_key(p, depth + 1);
		if (*last == NULL)
			return NULL;
		last = &(*last)->next;
	} while (imap_lex_sp(p->l));
	if (paren && !imap_lex_char(p->l, ')'))
		return fail(p, ERR_SYNTAX, "Missing ')' in search keys");
	return and;
}

static struct imap_crit *take_key(struct parse *p, unsigned depth)
{
	struct imap_lex *l = p->l;
	struct sv s;
	if (depth > IMAP_CRIT_DEPTH_MAX)
		return fail(p, ERR_LIMIT, "Search keys nested too deeply");
	if (imap_lex_char(l, '('))
		return take_list(p, depth, true);
	struct imap_lex save = *l;
	if (imap_lex_set(l, &s)) {
		struct imap_crit *c = new_crit(p, IMAP_C_SEQ);
		if (c != NULL && imap_set_parse(l->arena, s, &c->set) != 0)
			return fail(p, ERR_SYNTAX, "Invalid messageset");
		return c;
	}
	*l = save;
	if (!imap_lex_atom(l, &s))
		return fail(p, ERR_SYNTAX, "Missing search key");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (sv_ieqs(s, keys[i].name))
			return take_args(p, &keys[i], depth);
	return fail(p, ERR_SYNTAX, "Unknown search key");
}

static int take_return(struct imap_lex *l, struct imap_search *out, struct err *err)
{
	static const char *const names[] = {"MIN", "MAX", "ALL", "COUNT"};
	struct sv s;
	if (!imap_lex_word(l, "RETURN"))
		return 0;
	out->extended = true;
	if (!imap_lex_sp(l) || !imap_lex_char(l, '('))
		return err_set(err, ERR_SYNTAX, "Invalid search return options");
	while (imap_lex_atom(l, &s)) {
		size_t i = 0;
		while (i < ARRAY_LEN(names) && !sv_ieqs(s, names[i]))
			i++;
		if (i == ARRAY_LEN(names))
			return err_set(err, ERR_SYNTAX, "Unknown search return option");
		out->ret |= 1u << i;
		if (!imap_lex_sp(l))
			break;
	}
	if (!imap_lex_char(l, ')') || !imap_lex_sp(l))
		return err_set(err, ERR_SYNTAX, "Invalid search return options");
	if (out->ret == 0)
		out->ret = IMAP_RET_ALL;
	return 0;
}

int imap_search_parse(struct imap_lex *l, struct imap_search *out, struct err *err)
{
	struct imap_search s = {.charset = SV_NONE};
	struct parse p = {.l = l, .err = err};
	struct err local;
	if (p.err == NULL)
		p.err = &local;
	int r = take_return(l, &s, p.err);
	if (r != 0)
		return r;
	if (imap_lex_word(l, "CHARSET") && (!imap_lex_sp(l) || !imap_lex_astring(l, &s.charset) || !imap_lex_sp(l)))
		return err_set(p.err, ERR_SYNTAX, "Invalid charset argument");
	s.root = take_list(&p, 0, false);
	if (s.root == NULL)
		return p.err->code;
	if (!imap_lex_end(l))
		return err_set(p.err, ERR_SYNTAX, "Unexpected text behind the search keys");
	*out = s;
	return 0;
}
