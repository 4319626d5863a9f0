/* conf_lex.c - logical lines, name = value, words with braces; see conf_lex.h. */
#include "conf/conf_lex.h"

#include "base/err.h"

void conf_lex_init(struct conf_lex *lex, struct sv text)
{
	*lex = (struct conf_lex){.rest = text, .line = 1, .text = BUF_INIT(CONF_LINE_MAX)};
}

void conf_lex_clear(struct conf_lex *lex)
{
	buf_free(&lex->text);
}

/* Cuts one physical line (without its end) from the rest. */
static struct sv physical(struct conf_lex *lex)
{
	ssize_t nl = sv_chr(lex->rest, '\n');
	struct sv line = nl < 0 ? lex->rest : sv_head(lex->rest, (size_t)nl);
	lex->rest = nl < 0 ? sv_skip(lex->rest, lex->rest.n) : sv_skip(lex->rest, (size_t)nl + 1);
	lex->line++;
	return line;
}

static bool is_skipped(struct sv line)
{
	struct sv t = sv_trim(line);
	return t.n == 0 || t.p[0] == '#';
}

int conf_lex_next(struct conf_lex *lex, struct sv *text, unsigned *line)
{
	bool have = false;
	unsigned first = 0;
	buf_reset(&lex->text);
	lex->orphan = false;
	while (lex->rest.n > 0) {
		bool continues = ascii_isspace((unsigned char)lex->rest.p[0]);
		struct conf_lex before = {.rest = lex->rest, .line = lex->line};
		struct sv phys = physical(lex);
		if (is_skipped(phys))
			continue;
		if (have && !continues) {
			lex->rest = before.rest;
			lex->line = before.line;
			break;
		}
		if (!have) {
			have = true;
			first = before.line;
			lex->orphan = continues;
		}
		(void)buf_addsv(&lex->text, phys);
	}
	if (!have)
		return 0;
	*line = first;
	if (lex->text.overflow)
		return ERR_LIMIT;
	struct sv all = buf_sv(&lex->text);
	while (all.n > 0 && ascii_isspace((unsigned char)all.p[all.n - 1]))
		all.n--;
	if (sv_has_nul(all))
		return ERR_SYNTAX;
	*text = all;
	return 1;
}

int conf_lex_pair(struct sv text, struct sv *name, struct sv *value, const char **why)
{
	size_t n = 0;
	text = sv_trim(text);
	while (n < text.n && text.p[n] != '=' && !ascii_isspace((unsigned char)text.p[n]))
		n++;
	if (n == 0) {
		*why = "missing parameter name before '='";
		return ERR_SYNTAX;
	}
	struct sv rest = sv_trim(sv_skip(text, n));
	if (rest.n == 0 || rest.p[0] != '=') {
		*why = "missing '=' after the parameter name";
		return ERR_SYNTAX;
	}
	*name = sv_head(text, n);
	*value = sv_trim(sv_skip(rest, 1));
	return 0;
}

int conf_lex_word(struct sv *rest, const char *seps, struct sv *word)
{
	size_t n = 0, depth = 0;
	while (rest->n > 0 && rest->p[0] && strchr(seps, rest->p[0]))
		*rest = sv_skip(*rest, 1);
	if (rest->n == 0)
		return 0;
	for (; n < rest->n; n++) {
		char c = rest->p[n];
		if (c == '{')
			depth++;
		else if (c == '}' && depth > 0)
			depth--;
		else if (depth == 0 && c && strchr(seps, c))
			break;
	}
	*word = sv_head(*rest, n);
	*rest = sv_skip(*rest, n);
	return depth > 0 ? ERR_SYNTAX : 1;
}

struct sv conf_lex_unbrace(struct sv word, bool *was)
{
	bool braced = word.n >= 2 && word.p[0] == '{' && word.p[word.n - 1] == '}';
	if (was)
		*was = braced;
	return braced ? sv_trim(sv_of(word.p + 1, word.n - 2)) : word;
}
