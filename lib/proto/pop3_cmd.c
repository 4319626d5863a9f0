/* pop3_cmd.c - POP3 command lines. */
#include "proto/pop3_cmd.h"

#include "base/num.h"

enum form { FORM_NONE, FORM_ONE, FORM_REST, FORM_TWO, FORM_AUTH, FORM_NUMBER, FORM_NUMBER_OPT, FORM_NUMBERS };

static const struct {
	const char *word;
	enum pop3_verb verb;
	enum form form;
} verbs[] = {
    {"USER", POP3_USER, FORM_REST},
    {"PASS", POP3_PASS, FORM_REST},
    {"APOP", POP3_APOP, FORM_TWO},
    {"AUTH", POP3_AUTH, FORM_AUTH},
    {"STLS", POP3_STLS, FORM_NONE},
    {"CAPA", POP3_CAPA, FORM_NONE},
    {"QUIT", POP3_QUIT, FORM_NONE},
    {"NOOP", POP3_NOOP, FORM_NONE},
    {"STAT", POP3_STAT, FORM_NONE},
    {"LIST", POP3_LIST, FORM_NUMBER_OPT},
    {"RETR", POP3_RETR, FORM_NUMBER},
    {"DELE", POP3_DELE, FORM_NUMBER},
    {"RSET", POP3_RSET, FORM_NONE},
    {"TOP", POP3_TOP, FORM_NUMBERS},
    {"UIDL", POP3_UIDL, FORM_NUMBER_OPT},
};

/* Digits only; what does not fit is UINT32_MAX. */
static int take_number(struct sv *rest, uint32_t min, uint32_t *out)
{
	struct sv t;
	int rc;

	if (!sv_token(rest, " ", &t))
		return ERR_SYNTAX;
	for (size_t i = 0; i < t.n; i++)
		if (!ascii_isdigit(t.p[i]))
			return ERR_SYNTAX;
	rc = num_u32(t, out);
	if (rc)
		*out = UINT32_MAX;
	return *out < min ? ERR_SYNTAX : 0;
}

static bool at_end(struct sv rest)
{
	return !sv_trim(rest).n;
}

static int parse_args(enum form form, struct sv rest, struct pop3_cmd *c)
{
	switch (form) {
	case FORM_NONE: return at_end(rest) ? 0 : ERR_SYNTAX;
	case FORM_REST: /* a password may begin and end with blanks: only the one behind the word is not part of it */
		c->arg = rest;
		return rest.n ? 0 : ERR_SYNTAX;
	case FORM_ONE: return sv_token(&rest, " ", &c->arg) && at_end(rest) ? 0 : ERR_SYNTAX;
	case FORM_TWO:
		return sv_token(&rest, " ", &c->arg) && sv_token(&rest, " ", &c->arg2) && at_end(rest) ? 0 : ERR_SYNTAX;
	case FORM_AUTH:
		if (sv_token(&rest, " ", &c->arg))
			(void)sv_token(&rest, " ", &c->arg2);
		return at_end(rest) ? 0 : ERR_SYNTAX;
	case FORM_NUMBER_OPT:
		if (at_end(rest))
			return 0;
		/* fall through */
	case FORM_NUMBER: return !take_number(&rest, 1, &c->number) && at_end(rest) ? 0 : ERR_SYNTAX;
	case FORM_NUMBERS:
		return !take_number(&rest, 1, &c->number) && !take_number(&rest, 0, &c->lines) && at_end(rest)
			   ? 0
			   : ERR_SYNTAX;
	}
	return ERR_SYNTAX;
}

int pop3_cmd_parse(struct sv line, struct pop3_cmd *out)
{
	struct pop3_cmd c = {.verb = POP3_UNKNOWN, .arg = SV_NONE, .arg2 = SV_NONE};
	struct sv rest = line;
	struct sv word = sv_cut(&rest, " ");
	int rc = 0;

	if (!rest.p)
		rest = sv_of("", 0);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (!sv_ieqs(word, verbs[i].word))
			continue;
		c.verb = verbs[i].verb;
		rc = parse_args(verbs[i].form, rest, &c);
		break;
	}
	if (sv_has_nul(line))
		rc = ERR_SYNTAX;
	*out = c;
	return rc;
}

/* One element of the format at *f: letter 'u', 'v', '%' or 0 for a literal byte, which *byte gets. */
static int uidl_element(struct sv *f, char *letter, unsigned *width, char *hex, char *byte)
{
	char c = f->p[0];

	*f = sv_skip(*f, 1);
	*letter = 0;
	*width = 0;
	*hex = 0;
	*byte = c;
	if (c <= ' ' || c >= 127)
		return ERR_SYNTAX;
	if (c != '%')
		return 0;
	while (f->n && ascii_isdigit(f->p[0])) {
		*width = *width * 10 + (unsigned)(f->p[0] - '0');
		*f = sv_skip(*f, 1);
		if (*width > 20)
			return ERR_SYNTAX;
	}
	if (f->n && (f->p[0] == 'X' || f->p[0] == 'x')) {
		*hex = f->p[0];
		*f = sv_skip(*f, 1);
	}
	if (!f->n || (f->p[0] != 'u' && f->p[0] != 'v' && f->p[0] != '%'))
		return ERR_SYNTAX;
	*letter = f->p[0];
	*f = sv_skip(*f, 1);
	return 0;
}

int pop3_uidl_check(struct sv format)
{
	bool has_uid = false;
	size_t longest = 0;

	while (format.n) {
		char letter, hex, byte;
		unsigned width;

		if (uidl_element(&format, &letter, &width, &hex, &byte))
			return ERR_SYNTAX;
		has_uid = has_uid || letter == 'u';
		if (letter == 'u' || letter == 'v')
			longest += width > 10 ? width : 10;
		else
			longest++;
	}
	return has_uid && longest <= POP3_UIDL_MAX ? 0 : ERR_SYNTAX;
}

int pop3_uidl_put(struct buf *out, struct sv format, uint32_t uidvalidity, uint32_t uid)
{
	while (format.n) {
		char letter, hex, byte;
		unsigned width;
		uint32_t v;
		int rc;

		if (uidl_element(&format, &letter, &width, &hex, &byte))
			return ERR_SYNTAX;
		v = letter == 'u' ? uid : uidvalidity;
		if (letter == 0 || letter == '%')
			rc = buf_addc(out, byte);
		else if (hex == 'X')
			rc = buf_printf(out, "%0*X", (int)width, v);
		else if (hex == 'x')
			rc = buf_printf(out, "%0*x", (int)width, v);
		else
			rc = buf_printf(out, "%0*u", (int)width, v);
		if (rc)
			return rc;
	}
	return 0;
}

int pop3_stuff(struct buf *out, struct sv in, bool *bol)
{
	while (in.n) {
		const char *lf = memchr(in.p, '\n', in.n);
		size_t n = lf ? (size_t)(lf - in.p) + 1 : in.n;
		int rc = 0;

		if (*bol && in.p[0] == '.')
			rc = buf_addc(out, '.');
		if (!rc)
			rc = buf_add(out, in.p, n);
		if (rc)
			return rc;
		*bol = lf != NULL;
		in = sv_skip(in, n);
	}
	return 0;
}
