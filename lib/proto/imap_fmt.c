/* imap_fmt.c - pieces of responses; see imap_fmt.h. */
#include "proto/imap_fmt.h"

#include "message/mime_tree.h"

static bool atom_char(unsigned char c)
{
	return c > 0x20 && c < 0x7f && strchr("(){%*\"\\]", c) == NULL;
}

bool imap_is_atom(struct sv s, size_t max)
{
	if (s.n == 0 || s.n > max)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!atom_char((unsigned char)s.p[i]))
			return false;
	return true;
}

int imap_put_nstring(struct buf *out, struct sv s)
{
	mime_put_nstring(out, s);
	return out->overflow ? ERR_LIMIT : 0;
}

int imap_put_astring(struct buf *out, struct sv s)
{
	if (imap_is_atom(s, 1000) && !sv_ieqs(s, "NIL"))
		return buf_addsv(out, s);
	return imap_put_nstring(out, sv_of(s.p ? s.p : "", s.n));
}

int imap_put_text(struct buf *out, struct sv s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		buf_addc(out, c < 0x20 || c >= 0x7f ? '?' : (char)c);
	}
	return out->overflow ? ERR_LIMIT : 0;
}
