/* qp.c - quoted-printable and base64; see qp.h. */
#include "message/qp.h"

#include "message/mime.h"

enum part_encoding part_encoding(struct sv value)
{
	struct sv token;
	if (mime_token(&value, &token)) {
		if (sv_ieqs(token, "quoted-printable"))
			return PART_QP;
		if (sv_ieqs(token, "base64"))
			return PART_BASE64;
	}
	return PART_IDENTITY;
}

static int hex(char c)
{
	if (ascii_isdigit(c))
		return c - '0';
	int l = ascii_lower(c);
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* d->held begins with '='; c is the next byte. */
static void qp_escape(struct part_decoder *d, char c, struct buf *out)
{
	d->held[d->nheld++] = c;
	if (d->nheld == 2) {
		if (c == '\n')
			d->nheld = 0; /* soft line end */
		else if (c == '\r' || hex(c) >= 0)
			return;
	} else if (d->held[1] == '\r') {
		if (c == '\n')
			d->nheld = 0;
	} else if (hex(c) >= 0) {
		buf_addc(out, (char)(hex(d->held[1]) * 16 + hex(c)));
		d->nheld = 0;
	}
	if (d->nheld > 0)
		buf_add(out, d->held, d->nheld);
	d->nheld = 0;
}

static void qp(struct part_decoder *d, struct sv in, struct buf *out)
{
	size_t i = 0;
	while (i < in.n) {
		if (d->nheld > 0) {
			qp_escape(d, in.p[i++], out);
			continue;
		}
		const char *eq = memchr(in.p + i, '=', in.n - i);
		size_t end = eq ? (size_t)(eq - in.p) : in.n;
		buf_add(out, in.p + i, end - i);
		i = end;
		if (eq != NULL) {
			d->held[d->nheld++] = '=';
			i++;
		}
	}
}

static int base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void base64(struct part_decoder *d, struct sv in, struct buf *out)
{
	char *to = buf_reserve(out, in.n);
	size_t n = 0;
	if (to == NULL)
		return;
	for (size_t i = 0; i < in.n; i++) {
		int v = base64_digit((unsigned char)in.p[i]);
		if (v < 0) {
			if (in.p[i] == '=')
				d->nbits = 0;
			continue;
		}
		d->bits = d->bits << 6 | (uint32_t)v;
		d->nbits += 6;
		if (d->nbits >= 8) {
			d->nbits -= 8;
			to[n++] = (char)(d->bits >> d->nbits & 0xff);
		}
	}
	out->n += n;
}

void part_decode(struct part_decoder *d, struct sv in, struct buf *out)
{
	switch (d->encoding) {
	case PART_IDENTITY: buf_addsv(out, in); break;
	case PART_QP: qp(d, in, out); break;
	case PART_BASE64: base64(d, in, out); break;
	}
}

void part_decode_end(struct part_decoder *d, struct buf *out)
{
	if (d->nheld > 0)
		buf_add(out, d->held, d->nheld);
	d->nheld = 0;
}
