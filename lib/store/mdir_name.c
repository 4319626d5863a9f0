/* mdir_name.c - file names of a Maildir. */
#include "store/mdir_name.h"

#include "base/num.h"
#include "store/mailbox.h"

static const struct {
	char letter;
	unsigned flag;
} letters[] = {
    {'D', MB_DRAFT}, {'F', MB_FLAGGED}, {'P', MB_PASSED}, {'R', MB_ANSWERED}, {'S', MB_SEEN}, {'T', MB_DELETED}};

static uint32_t upper_bit(char c)
{
	return 1u << (c - 'A');
}

unsigned mdir_flags(uint32_t upper)
{
	unsigned flags = 0;

	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (upper & upper_bit(letters[i].letter))
			flags |= letters[i].flag;
	return flags;
}

uint32_t mdir_letters(unsigned flags, uint32_t old)
{
	for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
		uint32_t bit = upper_bit(letters[i].letter);

		old = flags & letters[i].flag ? old | bit : old & ~bit;
	}
	return old;
}

/* A field "X=..." of the base that this suite writes itself. */
static bool own_field(struct sv f)
{
	return f.n > 2 && f.p[1] == '=' && (f.p[0] == 'S' || f.p[0] == 'W' || f.p[0] == 'U' || f.p[0] == 'V');
}

static void parse_field(struct sv f, struct mdir_name *n, bool *has_v)
{
	struct sv value;
	uint64_t v;

	if (!own_field(f))
		return;
	value = sv_skip(f, 2);
	switch (f.p[0]) {
	case 'S':
		if (!num_u64(value, &n->size))
			n->has_size = true;
		break;
	case 'W':
		if (!num_u64(value, &n->wsize))
			n->has_wsize = true;
		break;
	case 'U':
		if (!num_range(value, 1, UINT32_MAX, &v)) {
			n->uid = (uint32_t)v;
			n->has_uid = true;
		}
		break;
	default:
		if (value.n <= 8 && !num_hex(value, &v)) {
			n->uidvalidity = (uint32_t)v;
			*has_v = true;
		}
	}
}

/* sv_cut at a comma; memchr, since this runs for every file of a folder. */
static struct sv cut_field(struct sv *rest)
{
	const char *comma = memchr(rest->p, ',', rest->n);
	struct sv f = *rest;

	if (!comma) {
		*rest = SV_NONE;
		return f;
	}
	f.n = (size_t)(comma - f.p);
	*rest = sv_skip(*rest, f.n + 1);
	return f;
}

/* Where ":2," begins; -1 when there is none. */
static ssize_t find_info(struct sv file)
{
	const char *p = file.p, *end = file.p + file.n;

	while ((p = memchr(p, ':', (size_t)(end - p)))) {
		if (end - p >= 3 && p[1] == '2' && p[2] == ',')
			return p - file.p;
		p++;
	}
	return -1;
}

int mdir_name_parse(struct sv file, struct mdir_name *out)
{
	struct mdir_name n = {0};
	bool has_v = false;
	struct sv rest;
	ssize_t at;

	if (!file.n || file.n > MDIR_NAME_MAX || file.p[0] == '.' || sv_chr(file, '/') >= 0 || sv_has_nul(file))
		return ERR_SYNTAX;
	at = find_info(file);
	if (at >= 0) {
		for (size_t i = (size_t)at + 3; i < file.n; i++) {
			char c = file.p[i];

			if (c >= 'A' && c <= 'Z')
				n.upper |= upper_bit(c);
			else if (c >= 'a' && c <= 'z')
				n.lower |= 1u << (c - 'a');
		}
		n.base = sv_head(file, (size_t)at);
	} else {
		n.base = file;
	}
	if (!n.base.n)
		return ERR_SYNTAX;
	rest = n.base;
	n.uniq = cut_field(&rest);
	while (rest.p)
		parse_field(cut_field(&rest), &n, &has_v);
	if (!n.uniq.n)
		n.uniq = n.base;
	n.has_uid = n.has_uid && has_v;
	if (!n.has_uid)
		n.uid = n.uidvalidity = 0;
	*out = n;
	return 0;
}

int mdir_name_format(struct buf *out, const struct mdir_name *n, bool info)
{
	CLEANUP(buf_freep) struct buf b = BUF_INIT(MDIR_NAME_MAX);
	struct sv rest = n->base;
	bool first = true;

	while (rest.p) {
		struct sv f = cut_field(&rest);

		if (!first && own_field(f))
			continue;
		if (!first)
			buf_addc(&b, ',');
		buf_addsv(&b, f);
		first = false;
	}
	if (n->has_size)
		buf_printf(&b, ",S=%llu", (unsigned long long)n->size);
	if (n->has_wsize)
		buf_printf(&b, ",W=%llu", (unsigned long long)n->wsize);
	if (n->has_uid)
		buf_printf(&b, ",U=%u,V=%x", n->uid, n->uidvalidity);
	if (info) {
		buf_adds(&b, ":2,");
		for (unsigned i = 0; i < 26; i++)
			if (n->upper >> i & 1)
				buf_addc(&b, (char)('A' + i));
		for (unsigned i = 0; i < 26; i++)
			if (n->lower >> i & 1)
				buf_addc(&b, (char)('a' + i));
	}
	if (b.overflow || b.p[0] == ',' || b.p[0] == ':' || sv_chr(n->base, ':') >= 0)
		return ERR_LIMIT;
	return buf_addsv(out, buf_sv(&b));
}

int64_t mdir_name_time(struct sv file)
{
	uint64_t v;
	size_t n = 0;

	while (n < file.n && ascii_isdigit(file.p[n]))
		n++;
	if (!n || n > 12 || num_u64(sv_head(file, n), &v))
		return 0;
	return (int64_t)v;
}

bool mdir_name_dated(struct sv file, int64_t *date)
{
	size_t n = 0, i;

	while (n < file.n && ascii_isdigit(file.p[n]))
		n++;
	if (!n || n > 12 || n + 18 >= file.n || file.p[n] != '.' || file.p[n + 1] != 'R')
		return false;
	for (i = n + 2; i < n + 18; i++)
		if (!ascii_isdigit(file.p[i]) && (file.p[i] < 'a' || file.p[i] > 'f'))
			return false;
	if (file.p[i] != '.')
		return false;
	*date = mdir_name_time(file);
	return true;
}
