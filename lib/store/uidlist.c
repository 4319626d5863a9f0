/* uidlist.c - the small text files of a folder. */
#include "store/uidlist.h"

#include "base/num.h"

#define UID_MAGIC "merpati-uid"

int uid_file_parse(struct sv text, struct uid_file *out)
{
	struct sv rest = text, f[4];
	uint64_t v, n;
	size_t i = 0;

	if (!text.n || text.p[text.n - 1] != '\n')
		return ERR_CORRUPT;
	rest.n--;
	while (rest.p) {
		if (i == 4)
			return ERR_CORRUPT;
		f[i++] = sv_cut(&rest, " ");
	}
	if (i != 4 || !sv_eqs(f[0], UID_MAGIC) || !sv_eqs(f[1], "1") || !f[2].n || f[2].p[0] != 'V' || !f[3].n ||
	    f[3].p[0] != 'N' || num_range(sv_skip(f[2], 1), 1, UINT32_MAX, &v) ||
	    num_range(sv_skip(f[3], 1), 1, UINT32_MAX, &n))
		return ERR_CORRUPT;
	*out = (struct uid_file){(uint32_t)v, (uint32_t)n};
	return 0;
}

int uid_file_format(struct buf *out, const struct uid_file *u)
{
	return buf_printf(out, UID_MAGIC " 1 V%u N%u\n", u->uidvalidity, u->next);
}

/* Version 3: "3 V1275660208 N6 G..."; version 1: "1 1173189136 24". */
int uidlist_begin(struct sv text, struct uidlist *u)
{
	struct uidlist r = {.rest = text};
	struct sv line = sv_cut(&r.rest, "\n"), f;
	uint64_t v = 0, next = 0, version;
	unsigned place = 0;

	if (!r.rest.p || !sv_token(&line, " ", &f) || num_range(f, 1, 3, &version) || version == 2)
		return ERR_CORRUPT;
	while (sv_token(&line, " ", &f)) {
		if (version == 1) {
			if (num_range(f, 1, UINT32_MAX, place++ ? &next : &v))
				return ERR_CORRUPT;
		} else if (f.p[0] == 'V') {
			if (num_range(sv_skip(f, 1), 1, UINT32_MAX, &v))
				return ERR_CORRUPT;
		} else if (f.p[0] == 'N') {
			if (num_range(sv_skip(f, 1), 1, UINT32_MAX, &next))
				return ERR_CORRUPT;
		}
	}
	if (!v || !next)
		return ERR_CORRUPT;
	r.version = (unsigned)version;
	r.head = (struct uid_file){(uint32_t)v, (uint32_t)next};
	*u = r;
	return 0;
}

int uidlist_next(struct uidlist *u, struct uidlist_entry *e)
{
	while (u->rest.p) {
		struct sv line = sv_cut(&u->rest, "\n");
		struct sv uid;
		uint64_t v;
		ssize_t at;

		if (!u->rest.p)
			break; /* a last line without its end was torn */
		uid = sv_cut(&line, " ");
		if (!line.p || num_range(uid, 1, UINT32_MAX, &v))
			continue;
		if (u->version == 3) { /* "uid [extensions ]:name" */
			at = line.n && line.p[0] == ':' ? 0 : sv_find(line, SV(" :"));
			if (at < 0)
				continue;
			line = sv_skip(line, (size_t)at + (line.p[0] == ':' ? 1 : 2));
		}
		if (!line.n)
			continue;
		*e = (struct uidlist_entry){(uint32_t)v, line};
		return 1;
	}
	return 0;
}

bool keyword_valid(struct sv name)
{
	if (!name.n || name.n > 100)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if (c <= ' ' || c >= 127 || memchr("(){%*\"\\]", c, 8))
			return false;
	}
	return true;
}

void keywords_parse(struct sv text, struct sv names[26])
{
	struct sv rest = text;

	for (int i = 0; i < 26; i++)
		names[i] = SV_NONE;
	while (rest.p) {
		struct sv line = sv_cut(&rest, "\n");
		struct sv num = sv_cut(&line, " ");
		uint64_t n;

		if (line.p && !num_range(num, 0, 25, &n) && keyword_valid(line))
			names[n] = line;
	}
}

void sublist_begin(struct sv text, struct sublist *s)
{
	*s = (struct sublist){.rest = text};
	if (sv_starts(text, SV("V\t2\n"))) {
		s->rest = sv_skip(text, 4);
		s->v2 = true;
	}
}

int sublist_next(struct sublist *s, struct buf *name)
{
	while (s->rest.p) {
		struct sv line = sv_cut(&s->rest, "\n");

		if (!line.n)
			continue;
		buf_reset(name);
		for (size_t i = 0; i < line.n; i++)
			buf_addc(name, s->v2 && line.p[i] == '\t' ? '.' : line.p[i]);
		if (!name->overflow)
			return 1;
	}
	return 0;
}
