/* smtp_cmd.c - verbs and the simplest arguments of SMTP commands; see smtp_cmd.h. */
#include "proto/smtp_cmd.h"

#include "base/err.h"
#include "base/num.h"

static const char *const verb_names[SMTP_VERBS] = {
    [SMTP_UNKNOWN] = "UNKNOWN",
    [SMTP_HELO] = "HELO",
    [SMTP_EHLO] = "EHLO",
    [SMTP_LHLO] = "LHLO",
    [SMTP_MAIL] = "MAIL",
    [SMTP_RCPT] = "RCPT",
    [SMTP_DATA] = "DATA",
    [SMTP_BDAT] = "BDAT",
    [SMTP_RSET] = "RSET",
    [SMTP_NOOP] = "NOOP",
    [SMTP_VRFY] = "VRFY",
    [SMTP_EXPN] = "EXPN",
    [SMTP_HELP] = "HELP",
    [SMTP_ETRN] = "ETRN",
    [SMTP_AUTH] = "AUTH",
    [SMTP_STARTTLS] = "STARTTLS",
    [SMTP_QUIT] = "QUIT",
};

const char *smtp_verb_name(enum smtp_verb verb)
{
	return (unsigned)verb < SMTP_VERBS ? verb_names[verb] : verb_names[SMTP_UNKNOWN];
}

void smtp_cmd_parse(struct sv line, struct smtp_cmd *cmd)
{
	struct sv rest = sv_trim(line);
	size_t n = 0;

	while (n < rest.n && !ascii_isspace((unsigned char)rest.p[n]))
		n++;
	cmd->word = sv_head(rest, n);
	cmd->args = sv_trim(sv_skip(rest, n));
	cmd->verb = SMTP_UNKNOWN;
	for (int v = SMTP_UNKNOWN + 1; v < SMTP_VERBS; v++) {
		if (sv_ieqs(cmd->word, verb_names[v])) {
			cmd->verb = (enum smtp_verb)v;
			break;
		}
	}
}

int smtp_cmd_keyword(struct sv args, struct sv keyword, struct sv *rest)
{
	if (!sv_istarts(args, keyword))
		return ERR_SYNTAX;
	args = sv_trim(sv_skip(args, keyword.n));
	if (args.n == 0 || args.p[0] != ':')
		return ERR_SYNTAX;
	*rest = sv_trim(sv_skip(args, 1));
	return 0;
}

int smtp_bdat_args(struct sv args, uint64_t *size, bool *last)
{
	struct sv rest = args, number, word;
	uint64_t n;
	bool is_last = false;
	int rc;

	if (!sv_token(&rest, " \t", &number))
		return ERR_SYNTAX;
	rc = num_u64(number, &n);
	if (rc < 0)
		return rc;
	if (sv_token(&rest, " \t", &word)) {
		if (!sv_ieqs(word, "LAST"))
			return ERR_SYNTAX;
		is_last = true;
		if (sv_token(&rest, " \t", &word))
			return ERR_SYNTAX;
	}
	*size = n;
	*last = is_last;
	return 0;
}
