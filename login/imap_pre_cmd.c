/* imap_pre_cmd.c - parsing of IMAP commands before login (RFC 3501 sections 6.1 and 6.2, RFC 4959 SASL-IR, RFC 2971
 * ID). */
#include "login/imap_pre_cmd.h"

#include "proto/imap_lex.h"

static bool no_args(struct imap_lex *l, struct imap_pre_cmd *out)
{
	(void)out;
	return imap_lex_end(l);
}

static bool login_args(struct imap_lex *l, struct imap_pre_cmd *out)
{
	return imap_lex_sp(l) && imap_lex_astring(l, &out->arg) && imap_lex_sp(l) && imap_lex_astring(l, &out->arg2) &&
	       imap_lex_end(l);
}

/* "=" is an empty initial response; base64 has bytes that an atom has not. */
static bool authenticate_args(struct imap_lex *l, struct imap_pre_cmd *out)
{
	if (!imap_lex_sp(l) || !imap_lex_atom(l, &out->arg))
		return false;
	if (imap_lex_end(l))
		return true;
	if (!imap_lex_sp(l))
		return false;
	out->arg2 = sv_trim(l->in);
	return out->arg2.n > 0 && sv_chr(out->arg2, ' ') < 0;
}

/* NIL or a list of strings; what it says does not matter here, only that it is one. */
static bool id_args(struct imap_lex *l, struct imap_pre_cmd *out)
{
	struct sv s;

	(void)out;
	if (!imap_lex_sp(l))
		return false;
	if (imap_lex_word(l, "NIL"))
		return imap_lex_end(l);
	if (!imap_lex_char(l, '('))
		return false;
	while (!imap_lex_char(l, ')')) {
		if (!imap_lex_nstring(l, &s))
			return false;
		imap_lex_sp(l);
	}
	return imap_lex_end(l);
}

static const struct {
	const char *name;
	enum imap_pre_verb verb;
	bool (*args)(struct imap_lex *l, struct imap_pre_cmd *out);
} commands[] = {
    {"CAPABILITY", IMAP_PRE_CAPABILITY, no_args},
    {"NOOP", IMAP_PRE_NOOP, no_args},
    {"LOGOUT", IMAP_PRE_LOGOUT, no_args},
    {"ID", IMAP_PRE_ID, id_args},
    {"STARTTLS", IMAP_PRE_STARTTLS, no_args},
    {"LOGIN", IMAP_PRE_LOGIN, login_args},
    {"AUTHENTICATE", IMAP_PRE_AUTHENTICATE, authenticate_args},
};

int imap_pre_parse(struct sv command, struct arena *arena, struct imap_pre_cmd *out)
{
	struct imap_lex l;
	struct sv word;

	*out = (struct imap_pre_cmd){.tag = SV("*"), .arg = SV_NONE, .arg2 = SV_NONE};
	imap_lex_init(&l, command, arena);
	if (sv_has_nul(command) || !imap_lex_tag(&l, &word) || word.n > IMAP_TAG_MAX)
		return ERR_SYNTAX;
	out->tag = word;
	if (!imap_lex_sp(&l) || !imap_lex_atom(&l, &word))
		return ERR_SYNTAX;
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!sv_ieqs(word, commands[i].name))
			continue;
		out->verb = commands[i].verb;
		return commands[i].args(&l, out) ? 0 : ERR_SYNTAX;
	}
	return 0;
}
