/* access_lists.c - DNS lists of clients and domains (RFC 5782); see access_lists.h. */
#include "smtpd/access_lists.h"

#include "smtpd/facts.h"

static enum verdict listed(struct access_ctx *c, struct sv name, struct fact **found)
{
	*found = fact_dns(c->s, name, RS_A);
	if (*found == NULL)
		return VERDICT_WAIT;
	return (*found)->status == 0 && (*found)->n > 0 ? VERDICT_REJECT : VERDICT_DUNNO;
}

/* "4.3.2.1.zone" for the client; false where there is no address. */
static bool reverse_in(struct access_ctx *c, char name[512])
{
	char rev[80];
	char *cut;

	if (c->s->local || (c->s->from.ss_family != AF_INET && c->s->from.ss_family != AF_INET6))
		return false;
	dns_reverse_name(&c->s->from, rev);
	cut = strstr(rev, ".in-addr.arpa");
	if (cut == NULL)
		cut = strstr(rev, ".ip6.arpa");
	if (cut == NULL)
		return false;
	*cut = '\0';
	snprintf(name, 512, "%s.%s", rev, c->arg);
	return true;
}

enum verdict access_rbl_client(struct access_ctx *c)
{
	char name[512];
	struct fact *f;
	enum verdict v;

	if (!reverse_in(c, name))
		return VERDICT_DUNNO;
	v = listed(c, sv_str(name), &f);
	if (v != VERDICT_REJECT)
		return v;
	f = fact_dns(c->s, sv_str(name), RS_TXT);
	if (f == NULL)
		return VERDICT_WAIT;
	struct sv why = f->status == 0 && f->n > 0 ? sv_head(f->first, 200) : SV("");
	return access_refuse(c, c->s->g->conf.rbl_code, "5.7.1",
	    "Service unavailable; Client host [%s] blocked using %s%s" SV_FMT, c->s->addr, c->arg,
	    why.n > 0 ? "; " : "", SV_ARG(why));
}

enum verdict access_dnswl_client(struct access_ctx *c)
{
	char name[512];
	struct fact *f;
	enum verdict v;

	if (!reverse_in(c, name))
		return VERDICT_DUNNO;
	v = listed(c, sv_str(name), &f);
	return v == VERDICT_REJECT ? VERDICT_PERMIT : v;
}

static enum verdict rhsbl(struct access_ctx *c, struct sv dom, const char *kind)
{
	char name[512];
	struct fact *f;
	enum verdict v;

	if (dom.n == 0 || !smtp_host_valid(dom, false) || sv_eqs(dom, "unknown"))
		return VERDICT_DUNNO;
	snprintf(name, sizeof(name), SV_FMT ".%s", SV_ARG(dom), c->arg);
	v = listed(c, sv_str(name), &f);
	if (v != VERDICT_REJECT)
		return v;
	return access_refuse(c, c->s->g->conf.rbl_code, "5.7.1",
	    "Service unavailable; %s [" SV_FMT "] blocked using %s", kind, SV_ARG(dom), c->arg);
}

enum verdict access_rhsbl_sender(struct access_ctx *c)
{
	struct sv local, dom;
	smtp_path_split(c->s->txn->sender, &local, &dom);
	return rhsbl(c, dom, "Sender address");
}

enum verdict access_rhsbl_helo(struct access_ctx *c)
{
	return rhsbl(c, sv_str(c->s->helo), "Helo command");
}

enum verdict access_rhsbl_client(struct access_ctx *c)
{
	return rhsbl(c, sv_str(c->s->name), "Client host");
}
