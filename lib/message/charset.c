/* charset.c - any character set to UTF-8; see charset.h. */
#include "message/charset.h"

#include <unistd.h>

#define OUT_STEP 4096
#define UTF8_PER_BYTE 4

/* Where glibc has its modules; "" is a path that is never there. */
#if defined(__x86_64__)
#define MULTIARCH "/usr/lib/x86_64-linux-gnu/gconv"
#elif defined(__aarch64__)
#define MULTIARCH "/usr/lib/aarch64-linux-gnu/gconv"
#else
#define MULTIARCH ""
#endif

const char *charset_modules(void)
{
	static const char *const places[] = {MULTIARCH, "/usr/lib64/gconv", "/usr/lib/gconv"};
	iconv_t cd = iconv_open("UTF-8", "UTF-16LE"); /* built in: reads the modules' index and loads none */

	if (cd != (iconv_t)-1)
		iconv_close(cd);
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (places[i][0] && access(places[i], R_OK | X_OK) == 0)
			return places[i];
	return NULL;
}

static const struct {
	const char *alias, *name;
} aliases[] = {
    /* What mail calls ISO 8859-1 and ASCII is in practice Windows's; GBK and GB2312 are parts of GB18030. */
    {"iso-8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"ks_c_5601-1987", "EUC-KR"},
};

void charset_open(struct charset *c, struct sv name)
{
	char text[CHARSET_NAME_MAX + 1];
	*c = (struct charset){.cd = (iconv_t)-1, .known = true};
	if (name.n == 0 || sv_ieqs(name, "us-ascii") || sv_ieqs(name, "utf-8") || sv_ieqs(name, "utf8") ||
	    sv_ieqs(name, "ascii"))
		return;
	c->known = false;
	if (name.n > CHARSET_NAME_MAX)
		return;
	for (size_t i = 0; i < name.n; i++) {
		/* No "//TRANSLIT" and no path from outside. */
		if (!ascii_isalnum(name.p[i]) && (name.p[i] == '\0' || strchr("-_.:+", name.p[i]) == NULL))
			return;
		text[i] = name.p[i];
	}
	text[name.n] = '\0';
	const char *use = text;
	for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
		if (sv_ieqs(name, aliases[i].alias))
			use = aliases[i].name;
	c->cd = iconv_open("UTF-8", use);
	c->known = c->cd != (iconv_t)-1;
}

void charset_close(struct charset *c)
{
	if (c->cd != (iconv_t)-1)
		iconv_close(c->cd);
	c->cd = (iconv_t)-1;
}

void charset_reset(struct charset *c)
{
	c->nheld = 0;
	if (c->cd != (iconv_t)-1)
		iconv(c->cd, NULL, NULL, NULL, NULL);
}

/* Converts *p..*p+*n; what is left is an incomplete character (or the output is full). */
static void run(struct charset *c, char **p, size_t *n, struct buf *out)
{
	while (*n > 0) {
		size_t want = *n * UTF8_PER_BYTE < OUT_STEP ? *n * UTF8_PER_BYTE + 16 : OUT_STEP;
		char *to = buf_reserve(out, want), *start = to;
		size_t room = want;
		if (to == NULL) {
			*n = 0;
			return;
		}
		size_t r = iconv(c->cd, p, n, &to, &room);
		out->n += (size_t)(to - start);
		if (r != (size_t)-1 || errno == E2BIG)
			continue;
		if (errno == EINVAL)
			return;
		buf_addc(out, '?');
		++*p;
		--*n;
	}
}

void charset_convert(struct charset *c, struct sv in, struct buf *out)
{
	if (c->cd == (iconv_t)-1) {
		buf_addsv(out, in);
		return;
	}
	/* A character that was split: one byte more at a time until it is whole. */
	while (c->nheld > 0 && in.n > 0) {
		c->held[c->nheld++] = in.p[0];
		in = sv_skip(in, 1);
		char *p = c->held;
		size_t n = c->nheld;
		run(c, &p, &n, out);
		memmove(c->held, p, n);
		c->nheld = n < CHARSET_HELD_MAX ? n : 0;
	}
	char *p = (char *)(uintptr_t)in.p; /* iconv does not write to its input */
	size_t n = in.n;
	run(c, &p, &n, out);
	if (n > 0 && n < CHARSET_HELD_MAX) {
		memcpy(c->held, p, n);
		c->nheld = n;
	}
}
