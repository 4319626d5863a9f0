/* smtp_path.c - paths of MAIL and RCPT; see smtp_path.h. */
#include "proto/smtp_path.h"

#include <arpa/inet.h>

static bool is_atext(unsigned char c)
{
	return ascii_isalnum(c) || c >= 0x80 || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static int put(struct smtp_path *out, unsigned char c)
{
	if (out->n >= SMTP_ADDR_MAX)
		return ERR_LIMIT;
	if (c >= 0x80)
		out->utf8 = true;
	out->addr[out->n++] = (char)c;
	return 0;
}

/* A quoted string without its quotes (RFC 5321: Quoted-string = DQUOTE *QcontentSMTP DQUOTE). */
static int quoted(struct sv *in, struct smtp_path *out)
{
	size_t i = 1;

	for (; i < in->n && in->p[i] != '"'; i++) {
		if (in->p[i] == '\\' && ++i == in->n)
			return ERR_SYNTAX;
		unsigned char c = (unsigned char)in->p[i];
		if (c < 32 || c == 127)
			return ERR_SYNTAX;
		int rc = put(out, c);
		if (rc < 0)
			return rc;
	}
	if (i >= in->n)
		return ERR_SYNTAX;
	*in = sv_skip(*in, i + 1);
	return 0;
}

static int local_part(struct sv *in, unsigned flags, struct smtp_path *out)
{
	size_t start = out->n;
	bool strict = flags & SMTP_PATH_STRICT, was_quoted = false, last_dot = true;

	while (in->n > 0) {
		unsigned char c = (unsigned char)in->p[0];
		int rc;

		if (c == '"') {
			if (strict && in->n > 0 && out->n > start)
				return ERR_SYNTAX;
			rc = quoted(in, out);
			was_quoted = true;
			last_dot = false;
		} else if (is_atext(c) || c == '.') {
			if (strict && ((c == '.' && last_dot) || was_quoted))
				return ERR_SYNTAX;
			last_dot = c == '.';
			rc = put(out, c);
			*in = sv_skip(*in, 1);
		} else {
			break;
		}
		if (rc < 0)
			return rc;
	}
	if (out->n == start && !was_quoted)
		return ERR_SYNTAX;
	return strict && last_dot ? ERR_SYNTAX : 0;
}

static int literal(struct sv *in, struct smtp_path *out)
{
	size_t i = 0;

	for (; i < in->n && in->p[i] != ']'; i++) {
		unsigned char c = (unsigned char)in->p[i];
		if (c < 33 || c > 126 || c == '\\' || (c == '[' && i > 0))
			return ERR_SYNTAX;
		if (put(out, c) < 0)
			return ERR_LIMIT;
	}
	if (i == in->n || i == 1)
		return ERR_SYNTAX;
	*in = sv_skip(*in, i + 1);
	return put(out, ']');
}

static int domain(struct sv *in, struct smtp_path *out)
{
	size_t start = out->n, i = 0;

	if (in->n > 0 && in->p[0] == '[')
		return literal(in, out);
	for (; i < in->n; i++) {
		unsigned char c = (unsigned char)in->p[i];
		if (!(ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c >= 0x80))
			break;
		if (put(out, c) < 0)
			return ERR_LIMIT;
	}
	*in = sv_skip(*in, i);
	if (out->n - start > SMTP_DOMAIN_MAX)
		return ERR_LIMIT;
	if (out->n > start && out->addr[out->n - 1] == '.')
		out->n--; /* "example.com." is example.com */
	struct sv d = sv_of(out->addr + start, out->n - start);
	if (d.n == 0 || d.p[0] == '.' || d.p[0] == '-' || d.p[d.n - 1] == '.' || sv_find(d, SV("..")) >= 0)
		return ERR_SYNTAX;
	return 0;
}

/* "@a,@b:" before the mailbox: accepted and ignored (RFC 5321 section 3.3, appendix C). */
static int source_route(struct sv *in, struct smtp_path *out)
{
	if (in->n == 0 || in->p[0] != '@')
		return 0;
	ssize_t colon = sv_chr(*in, ':');
	if (colon < 2)
		return ERR_SYNTAX;
	for (ssize_t i = 0; i < colon; i++) {
		unsigned char c = (unsigned char)in->p[i];
		if (!(ascii_isalnum(c) || (c != 0 && strchr("@,.-_ []:", c) != NULL)))
			return ERR_SYNTAX;
	}
	*in = sv_skip(*in, (size_t)colon + 1);
	out->routed = true;
	return 0;
}

static struct sv skip_blanks(struct sv s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = sv_skip(s, 1);
	return s;
}

static int mailbox(struct sv *in, unsigned flags, struct smtp_path *out)
{
	int rc = local_part(in, flags, out);
	if (rc < 0)
		return rc;
	/* <postmaster>, and names that the host completes; one with a quoted '@' would be another address in queue
	 * form. */
	if (in->n == 0 || in->p[0] != '@')
		return sv_chr(sv_of(out->addr, out->n), '@') < 0 ? 0 : ERR_SYNTAX;
	*in = sv_skip(*in, 1);
	rc = put(out, '@');
	return rc < 0 ? rc : domain(in, out);
}

int smtp_path_parse(struct sv in, unsigned flags, struct smtp_path *out, struct sv *rest)
{
	bool bracket;
	int rc;

	out->n = 0;
	out->null = out->utf8 = out->routed = false;
	in = skip_blanks(in);
	bracket = in.n > 0 && in.p[0] == '<';
	if (!bracket && (flags & SMTP_PATH_STRICT))
		return ERR_SYNTAX;
	if (bracket) {
		in = sv_skip(in, 1);
		if (!(flags & SMTP_PATH_STRICT))
			in = skip_blanks(in);
		if (in.n > 0 && in.p[0] == '>') {
			if (!(flags & SMTP_PATH_NULL))
				return ERR_SYNTAX;
			out->null = true;
			goto close;
		}
	}
	rc = source_route(&in, out);
	if (rc == 0)
		rc = mailbox(&in, flags, out);
	if (rc < 0)
		return rc;
	if (bracket && !(flags & SMTP_PATH_STRICT))
		in = skip_blanks(in);
	if (bracket && (in.n == 0 || in.p[0] != '>'))
		return ERR_SYNTAX;
close:
	if (bracket)
		in = sv_skip(in, 1);
	if (in.n > 0 && in.p[0] != ' ' && in.p[0] != '\t')
		return ERR_SYNTAX;
	out->addr[out->n] = '\0';
	*rest = skip_blanks(in);
	return 0;
}

void smtp_path_split(struct sv addr, struct sv *local, struct sv *dom)
{
	ssize_t at = sv_rchr(addr, '@');

	*local = at < 0 ? addr : sv_head(addr, (size_t)at);
	*dom = at < 0 ? SV_NONE : sv_skip(addr, (size_t)at + 1);
}

static bool needs_quotes(struct sv local)
{
	if (local.n == 0 || local.p[0] == '.' || local.p[local.n - 1] == '.')
		return true;
	for (size_t i = 0; i < local.n; i++) {
		unsigned char c = (unsigned char)local.p[i];
		if (!is_atext(c) && c != '.')
			return true;
		if (c == '.' && local.p[i - 1] == '.')
			return true;
	}
	return false;
}

int smtp_path_quote(struct buf *out, struct sv addr)
{
	struct sv local, dom;

	if (addr.n == 0)
		return 0;
	smtp_path_split(addr, &local, &dom);
	if (!needs_quotes(local))
		return buf_addsv(out, addr);
	buf_addc(out, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\' || local.p[i] == '\r')
			buf_addc(out, '\\');
		buf_addc(out, local.p[i]);
	}
	buf_addc(out, '"');
	if (dom.p != NULL) {
		buf_addc(out, '@');
		buf_addsv(out, dom);
	}
	return out->overflow ? ERR_LIMIT : 0;
}

static bool literal_valid(struct sv host)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char addr[16];
	int family = AF_INET;

	if (host.n < 4 || host.p[host.n - 1] != ']')
		return false;
	host = sv_of(host.p + 1, host.n - 2);
	if (sv_istarts(host, SV("IPv6:"))) {
		host = sv_skip(host, 5);
		family = AF_INET6;
	}
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	return inet_pton(family, text, addr) == 1;
}

bool smtp_host_valid(struct sv host, bool allow_literal)
{
	size_t label = 0;
	bool letter = false;

	if (host.n == 0 || host.n > SMTP_DOMAIN_MAX)
		return false;
	if (host.p[0] == '[')
		return allow_literal && literal_valid(host);
	if (host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < host.n; i++) {
		unsigned char c = (unsigned char)host.p[i];
		if (c == '.') {
			if (label == 0 || host.p[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(ascii_isalnum(c) || c == '_' || c == '-' || c >= 0x80) || (c == '-' && label == 0) ||
		    ++label > 63)
			return false;
		letter = letter || !ascii_isdigit(c);
	}
	return label > 0 && letter && host.p[host.n - 1] != '-';
}

bool smtp_host_fqdn(struct sv host)
{
	if (host.n > 0 && host.p[0] == '[')
		return true;
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	return sv_chr(host, '.') > 0;
}
