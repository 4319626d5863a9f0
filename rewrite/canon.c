/* canon.c - canonical form of addresses; see canon.h. */
#include "rewrite/canon.h"

#include "base/err.h"

void canon_split(struct sv addr, struct sv *local, struct sv *domain)
{
	ssize_t at = sv_rchr(addr, '@');
	*local = at < 0 ? addr : sv_head(addr, (size_t)at);
	*domain = at < 0 ? SV_NONE : sv_skip(addr, (size_t)at + 1);
}

static bool is_atext(unsigned char ch)
{
	return ascii_isalnum(ch) || ch >= 0x80 || (ch && strchr("!#$%&'*+-/=?^_`{|}~", ch));
}

static bool is_dot_string(struct sv s)
{
	if (s.n == 0 || s.p[0] == '.' || s.p[s.n - 1] == '.')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? s.p[i - 1] == '.' : !is_atext((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

bool canon_is_routed(const struct canon_conf *c, struct sv local)
{
	if (!c->dequoted && !is_dot_string(local))
		return false;
	return sv_chr(local, '@') > 0 || (c->percent_hack && sv_chr(local, '%') > 0) ||
	       (c->swap_bangpath && sv_chr(local, '!') > 0);
}

/* "@a,@b:user@c" is user@c (RFC 5321 section 4.1.1.3: source routes are ignored). */
static struct sv drop_route(struct sv addr)
{
	ssize_t colon = addr.n > 0 && addr.p[0] == '@' ? sv_chr(addr, ':') : -1;
	return colon < 0 ? addr : sv_skip(addr, (size_t)colon + 1);
}

/* Splits an address without '@' by '!' or '%'. */
static void split_old(const struct canon_conf *c, struct sv addr, struct sv *local, struct sv *domain)
{
	ssize_t bang = c->swap_bangpath ? sv_chr(addr, '!') : -1;
	ssize_t percent = c->percent_hack ? sv_rchr(addr, '%') : -1;
	*local = addr;
	*domain = SV_NONE;
	if (bang > 0 && (size_t)bang + 1 < addr.n) {
		*domain = sv_head(addr, (size_t)bang);
		*local = sv_skip(addr, (size_t)bang + 1);
	} else if (percent > 0 && (size_t)percent + 1 < addr.n) {
		*domain = sv_skip(addr, (size_t)percent + 1);
		*local = sv_head(addr, (size_t)percent);
	}
}

/* Four numbers with dots between; their size does not matter here. */
static bool is_ipv4(struct sv s)
{
	size_t dots = 0;
	for (size_t i = 0; i < s.n; i++) {
		dots += s.p[i] == '.';
		if (s.p[i] != '.' && !ascii_isdigit((unsigned char)s.p[i]))
			return false;
	}
	return dots == 3;
}

int canon_address(const struct canon_conf *c, struct sv addr, struct buf *out)
{
	struct sv local, domain;
	if (addr.n == 0)
		return 0;
	addr = drop_route(addr);
	canon_split(addr, &local, &domain);
	if (!domain.p)
		split_old(c, addr, &local, &domain);
	if (local.n == 0 || sv_has_nul(addr))
		return ERR_SYNTAX;
	if (!domain.p && c->append_at_myorigin)
		domain = sv_str(c->myorigin);
	while (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.p && domain.n == 0)
		domain = c->null_domain ? sv_str(c->myorigin) : domain;
	(void)buf_addsv(out, local);
	if (domain.p && c->numeric_domain && is_ipv4(domain)) {
		(void)buf_adds(out, "@[");
		(void)buf_addsv(out, domain);
		(void)buf_addc(out, ']');
	} else if (domain.p) {
		(void)buf_addc(out, '@');
		(void)buf_addsv(out, domain);
		if (c->append_dot_mydomain && domain.n > 0 && domain.p[0] != '[' && sv_chr(domain, '.') < 0) {
			(void)buf_addc(out, '.');
			(void)buf_adds(out, c->mydomain);
		}
	}
	return out->overflow ? ERR_LIMIT : 0;
}

int canon_quoted(struct sv addr, struct buf *out)
{
	struct sv local, domain;
	canon_split(addr, &local, &domain);
	if (addr.n == 0)
		return 0;
	if (is_dot_string(local)) {
		(void)buf_addsv(out, addr);
		return out->overflow ? ERR_LIMIT : 0;
	}
	(void)buf_addc(out, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			(void)buf_addc(out, '\\');
		(void)buf_addc(out, local.p[i]);
	}
	(void)buf_addc(out, '"');
	if (domain.p) {
		(void)buf_addc(out, '@');
		(void)buf_addsv(out, domain);
	}
	return out->overflow ? ERR_LIMIT : 0;
}
