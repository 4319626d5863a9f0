/* map_source.c - source texts of tables; see map_source.h. */
#include "maps/map_source.h"

#include "base/err.h"
#include "conf/conf_lex.h"
#include "maps/map.h"

/* Length of the key: up to the first white space that is not in "..." or behind a backslash. */
static size_t key_length(struct sv line)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < line.n; i++) {
		if (line.p[i] == '\\') {
			if (i + 1 < line.n)
				i++;
		} else if (line.p[i] == '"') {
			quoted = !quoted;
		} else if (!quoted && ascii_isspace((unsigned char)line.p[i])) {
			break;
		}
	}
	return i < line.n ? i : line.n;
}

int map_alias_line(struct sv line, struct buf *key, struct sv *value)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < line.n; i++) {
		char c = line.p[i];
		if (c == '\\' && i + 1 < line.n)
			c = line.p[++i];
		else if (c == '"') {
			quoted = !quoted;
			continue;
		} else if (c == ':' && !quoted)
			break;
		if (buf_addc(key, c) < 0)
			return ERR_SYNTAX;
	}
	if (i >= line.n || quoted)
		return ERR_SYNTAX;
	while (key->n > 0 && ascii_isspace((unsigned char)key->p[key->n - 1]))
		key->n--;
	*value = sv_trim(sv_skip(line, i + 1));
	return key->n > 0 ? 0 : ERR_SYNTAX;
}

static void note(const struct map_source *s, unsigned line, const char *text)
{
	if (s->note)
		s->note(s->ctx, line, text);
}

static int one_line(const struct map_source *s, struct sv text, unsigned line, struct buf *key)
{
	struct sv value = SV_NONE;
	buf_reset(key);
	if (s->alias) {
		if (map_alias_line(sv_trim(text), key, &value) < 0) {
			note(s, line, "expected format: key: value -- ignoring this line");
			return 0;
		}
	} else {
		size_t n = key_length(text);
		(void)buf_addsv(key, sv_head(text, n));
		value = sv_trim(sv_skip(text, n));
		if (value.n == 0) {
			note(s, line, "expected format: key whitespace value -- ignoring this line");
			return 0;
		}
		if (key->n > 0 && key->p[key->n - 1] == ':')
			note(s, line, "record is in \"key: value\" format; is this an alias file?");
	}
	if (key->overflow) {
		note(s, line, "the key is too long -- ignoring this line");
		return 0;
	}
	for (size_t i = 0; s->fold && i < key->n; i++)
		key->p[i] = (char)ascii_lower((unsigned char)key->p[i]);
	return s->entry(s->ctx, buf_sv(key), value, line);
}

int map_source_parse(struct sv text, const struct map_source *s)
{
	CLEANUP(buf_freep) struct buf key = BUF_INIT(MAP_KEY_MAX);
	struct conf_lex lex;
	struct sv line_text = SV_NONE;
	unsigned line = 0;
	int r = 0, got;
	conf_lex_init(&lex, text);
	while (r >= 0 && (got = conf_lex_next(&lex, &line_text, &line)) != 0) {
		if (got < 0)
			note(s, line, got == ERR_LIMIT ? "the line is too long" : "the line holds a NUL byte");
		else if (lex.orphan)
			note(s, line, "the line begins with white space: nothing to continue");
		else
			r = one_line(s, line_text, line, &key);
	}
	conf_lex_clear(&lex);
	return r < 0 ? r : 0;
}
