/* access_rules.c - Postfix's restrictions (postconf(5), smtpd_recipient_restrictions), one small function each. */
#include <arpa/inet.h>

#include "proto/smtp_ext.h"
#include "smtpd/access.h"
#include "smtpd/access_keys.h"
#include "smtpd/access_lists.h"
#include "smtpd/facts.h"

static const struct smtpd_conf *conf(const struct access_ctx *c)
{
	return &c->s->g->conf;
}

static struct sv helo(const struct access_ctx *c)
{
	return c->s->helo != NULL ? sv_str(c->s->helo) : SV("");
}

static struct sv sender(const struct access_ctx *c)
{
	return c->s->txn != NULL ? c->s->txn->sender : SV_NONE;
}

static struct sv recipient(const struct access_ctx *c)
{
	return c->s->txn != NULL ? c->s->txn->now.addr : SV_NONE;
}

const char *access_subject(const struct access_ctx *c, struct sv *subject)
{
	switch (c->stage) {
	case STAGE_CLIENT: *subject = sv_str(namaddr(c->s)); return "Client host";
	case STAGE_HELO: *subject = helo(c); return "Helo command";
	case STAGE_SENDER: *subject = sender(c); return "Sender address";
	case STAGE_RELAY:
	case STAGE_RCPT: *subject = recipient(c); return "Recipient address";
	case STAGE_DATA: *subject = SV("DATA"); return "Data command";
	default: *subject = SV("END-OF-MESSAGE"); return "End-of-data";
	}
}

/* ---- unconditional, client ---- */

static enum verdict permit(struct access_ctx *c ATTR_UNUSED)
{
	return VERDICT_PERMIT;
}

static enum verdict dunno(struct access_ctx *c ATTR_UNUSED)
{
	return VERDICT_DUNNO;
}

static enum verdict reject(struct access_ctx *c)
{
	struct sv subject;
	const char *kind = access_subject(c, &subject);
	return access_refuse(
	    c, conf(c)->reject_code, "5.7.1", "<" SV_FMT ">: %s rejected: Access denied", SV_ARG(subject), kind);
}

static enum verdict defer(struct access_ctx *c)
{
	struct sv subject;
	const char *kind = access_subject(c, &subject);
	return access_refuse(
	    c, conf(c)->defer_code, "4.3.2", "<" SV_FMT ">: %s rejected: Try again later", SV_ARG(subject), kind);
}

static enum verdict defer_if_permit(struct access_ctx *c)
{
	struct sv subject;
	const char *kind = access_subject(c, &subject);
	return access_defer_if_permit(
	    c, "4.3.2", "<" SV_FMT ">: %s rejected: defer_if_permit requested", SV_ARG(subject), kind);
}

static enum verdict permit_mynetworks(struct access_ctx *c)
{
	return c->s->in_networks || c->s->local ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict permit_sasl(struct access_ctx *c)
{
	return c->s->sasl_user != NULL ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict permit_own(struct access_ctx *c)
{
	return netlist_match(&conf(c)->own, &c->s->from) ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict unauth_pipelining(struct access_ctx *c)
{
	struct sv subject;
	const char *kind = access_subject(c, &subject);

	if (!c->s->ill_pipelining)
		return VERDICT_DUNNO;
	return access_refuse(c, 503, "5.5.0", "<" SV_FMT ">: %s rejected: Improper use of SMTP command pipelining",
	    SV_ARG(subject), kind);
}

static enum verdict unknown_client(struct access_ctx *c)
{
	if (c->s->name_status == 0 || c->s->local)
		return VERDICT_DUNNO;
	return access_refuse(c, c->s->name_status == ERR_TEMP ? 450 : conf(c)->unknown_client_code, "5.7.25",
	    "Client host rejected: cannot find your hostname, [%s]", c->s->addr);
}

static enum verdict unknown_reverse(struct access_ctx *c)
{
	if (c->s->reverse_status == 0 || c->s->local)
		return VERDICT_DUNNO;
	return access_refuse(c, c->s->reverse_status == ERR_TEMP ? 450 : conf(c)->unknown_client_code, "5.7.25",
	    "Client host rejected: cannot find your reverse hostname, [%s]", c->s->addr);
}

static enum verdict plaintext(struct access_ctx *c)
{
	return c->s->tls ? VERDICT_DUNNO : access_refuse(c, 450, "4.7.1", "Session encryption is required");
}

/* ---- HELO ---- */

static enum verdict invalid_helo(struct access_ctx *c)
{
	if (helo(c).n == 0 || smtp_host_valid(helo(c), true))
		return VERDICT_DUNNO;
	return access_refuse(c, conf(c)->invalid_helo_code, "5.5.2",
	    "<" SV_FMT ">: Helo command rejected: Invalid name", SV_ARG(helo(c)));
}

static enum verdict non_fqdn_helo(struct access_ctx *c)
{
	if (helo(c).n == 0 || (smtp_host_valid(helo(c), true) && smtp_host_fqdn(helo(c))))
		return VERDICT_DUNNO;
	return access_refuse(c, conf(c)->non_fqdn_code, "5.5.2",
	    "<" SV_FMT ">: Helo command rejected: need fully-qualified hostname", SV_ARG(helo(c)));
}

/* Is there an MX, A or AAAA record?  0 yes, ERR_NOT_FOUND, ERR_TEMP, 1: wait. */
static int mail_host(struct session *s, struct sv name, bool mx, bool *null_mx)
{
	static const unsigned types[] = {RS_MX, RS_A, RS_AAAA};
	int rc = ERR_NOT_FOUND;

	*null_mx = false;
	for (size_t i = mx ? 0 : 1; i < ARRAY_LEN(types); i++) {
		struct fact *f = fact_dns(s, name, types[i]);
		if (f == NULL)
			return 1;
		*null_mx = f->null_mx;
		if (f->status == 0 && f->n > 0)
			return 0;
		if (f->status == ERR_TEMP)
			rc = ERR_TEMP;
	}
	return rc;
}

static enum verdict unknown_helo(struct access_ctx *c)
{
	bool null_mx;
	int rc;

	if (helo(c).n == 0 || helo(c).p[0] == '[')
		return VERDICT_DUNNO;
	rc = mail_host(c->s, helo(c), true, &null_mx);
	if (rc == 1)
		return VERDICT_WAIT;
	if (rc == 0)
		return VERDICT_DUNNO;
	if (rc == ERR_TEMP)
		return access_defer_if_permit(
		    c, "4.7.1", "<" SV_FMT ">: Helo command rejected: Host not found", SV_ARG(helo(c)));
	return access_refuse(c, conf(c)->unknown_helo_code, "5.7.1",
	    "<" SV_FMT ">: Helo command rejected: Host not found", SV_ARG(helo(c)));
}

/* ---- addresses ---- */

static enum verdict non_fqdn(struct access_ctx *c, struct sv addr, const char *kind)
{
	struct sv local, dom;

	smtp_path_split(addr, &local, &dom);
	if (addr.n == 0 || (dom.n > 0 && smtp_host_fqdn(dom)))
		return VERDICT_DUNNO;
	return access_refuse(c, conf(c)->non_fqdn_code, "5.5.2",
	    "<" SV_FMT ">: %s rejected: need fully-qualified address", SV_ARG(addr), kind);
}

static enum verdict non_fqdn_sender(struct access_ctx *c)
{
	return non_fqdn(c, sender(c), "Sender address");
}

static enum verdict non_fqdn_rcpt(struct access_ctx *c)
{
	if (sv_ieqs(recipient(c), "postmaster"))
		return VERDICT_DUNNO;
	return non_fqdn(c, recipient(c), "Recipient address");
}

static enum verdict unknown_domain(struct access_ctx *c, struct sv addr, const char *kind, const char *dsn)
{
	struct sv local, dom;
	struct fact *f;
	bool null_mx;
	int rc;

	smtp_path_split(addr, &local, &dom);
	if (dom.n == 0 || dom.p[0] == '[')
		return VERDICT_DUNNO;
	f = fact_address(c->s, addr);
	if (f == NULL)
		return VERDICT_WAIT;
	if (f->cls >= MAIL_CLASS_LOCAL && f->cls <= MAIL_CLASS_RELAY)
		return VERDICT_DUNNO;
	rc = mail_host(c->s, dom, true, &null_mx);
	if (rc == 1)
		return VERDICT_WAIT;
	if (rc == 0 && null_mx)
		return access_refuse(c, 550, c->stage == STAGE_SENDER ? "5.7.27" : "5.1.10",
		    "<" SV_FMT ">: %s rejected: Domain " SV_FMT " does not accept mail (nullMX)", SV_ARG(addr), kind,
		    SV_ARG(dom));
	if (rc == 0)
		return VERDICT_DUNNO;
	if (rc == ERR_TEMP)
		return access_defer_if_permit(
		    c, dsn, "<" SV_FMT ">: %s rejected: Domain not found", SV_ARG(addr), kind);
	return access_refuse(
	    c, conf(c)->unknown_address_code, dsn, "<" SV_FMT ">: %s rejected: Domain not found", SV_ARG(addr), kind);
}

static enum verdict unknown_sender(struct access_ctx *c)
{
	return unknown_domain(c, sender(c), "Sender address", "4.1.8");
}

static enum verdict unknown_rcpt(struct access_ctx *c)
{
	return unknown_domain(c, recipient(c), "Recipient address", "4.1.2");
}

static enum verdict lookup_failure(struct access_ctx *c, struct sv addr)
{
	return access_refuse(c, 451, "4.3.0", "<" SV_FMT ">: Temporary lookup failure", SV_ARG(addr));
}

/* "user%elsewhere@relayed.example": the next host may read a local part like this as an address of its own, and relay
 * what we hand it because it trusts us.  What our own tables make of it is not asked. */
static bool leads_on(struct sv addr)
{
	struct sv local, dom;

	smtp_path_split(addr, &local, &dom);
	return sv_chr(local, '@') >= 0 || sv_chr(local, '%') >= 0 || sv_chr(local, '!') >= 0;
}

/* Do we deliver or relay for this recipient's domain?  VERDICT_PERMIT yes, DUNNO no, REJECT cannot tell, WAIT. */
static enum verdict auth_destination(struct access_ctx *c)
{
	struct fact *f;

	if (recipient(c).n == 0)
		return VERDICT_DUNNO;
	f = fact_address(c->s, recipient(c));
	if (f == NULL)
		return VERDICT_WAIT;
	if (f->status == ERR_SYNTAX)
		return access_refuse(c, 501, "5.1.3",
		    "<" SV_FMT ">: Recipient address rejected: Bad recipient address syntax", SV_ARG(recipient(c)));
	if (f->cls == 0)
		return lookup_failure(c, recipient(c));
	if (f->cls != MAIL_CLASS_LOCAL && leads_on(f->canon))
		return VERDICT_DUNNO;
	return f->cls >= MAIL_CLASS_LOCAL && f->cls <= MAIL_CLASS_RELAY ? VERDICT_PERMIT : VERDICT_DUNNO;
}

static enum verdict unauth(struct access_ctx *c, int code)
{
	enum verdict v = recipient(c).n > 0 ? auth_destination(c) : VERDICT_PERMIT;

	if (v == VERDICT_PERMIT)
		return VERDICT_DUNNO;
	if (v != VERDICT_DUNNO)
		return v;
	return access_refuse(c, code, "5.7.1", "<" SV_FMT ">: Relay access denied", SV_ARG(recipient(c)));
}

static enum verdict reject_unauth(struct access_ctx *c)
{
	return unauth(c, conf(c)->relay_code);
}

static enum verdict defer_unauth(struct access_ctx *c)
{
	return unauth(c, 454);
}

static enum verdict unlisted(struct access_ctx *c, struct sv addr, const char *kind, const char *dsn)
{
	struct fact *f;

	if (addr.n == 0)
		return VERDICT_DUNNO;
	f = fact_address(c->s, addr);
	if (f == NULL)
		return VERDICT_WAIT;
	if (f->status == 0)
		return VERDICT_DUNNO;
	if (f->status == ERR_SYNTAX)
		return access_refuse(
		    c, 501, "5.1.3", "<" SV_FMT ">: %s rejected: Bad address syntax", SV_ARG(addr), kind);
	if (f->status != ERR_NOT_FOUND && f->status != ERR_DENIED)
		return lookup_failure(c, addr);
	struct sv why = f->text;
	if (why.n == 0 || !conf(c)->show_table)
		why = SV("User unknown");
	return access_refuse(c, conf(c)->unlisted_code[f->cls <= MAIL_CLASS_OTHER ? f->cls : 0], dsn,
	    "<" SV_FMT ">: %s rejected: " SV_FMT, SV_ARG(addr), kind, SV_ARG(why));
}

static enum verdict unlisted_rcpt(struct access_ctx *c)
{
	return unlisted(c, recipient(c), "Recipient address", "5.1.1");
}

static enum verdict unlisted_sender(struct access_ctx *c)
{
	return unlisted(c, sender(c), "Sender address", "5.1.0");
}

static enum verdict multi_bounce(struct access_ctx *c)
{
	struct txn *t = c->s->txn;

	if (t == NULL || t->sender.n > 0 || t->nrcpt + (c->stage == STAGE_RCPT) <= 1)
		return VERDICT_DUNNO;
	return access_refuse(
	    c, 550, "5.5.3", "<" SV_FMT ">: Recipient address rejected: Multi-recipient bounce", SV_ARG(recipient(c)));
}

/* ---- tables ---- */

static enum verdict table(struct access_ctx *c, const struct access_keys *keys, const char *kind, struct sv subject)
{
	struct fact *f;

	if (keys->n == 0)
		return VERDICT_DUNNO;
	f = fact_access(c->s, c->arg, keys->key, keys->n);
	if (f == NULL)
		return VERDICT_WAIT;
	if (f->status == ERR_NOT_FOUND)
		return VERDICT_DUNNO;
	if (f->status != 0)
		return access_refuse(
		    c, 451, "4.3.5", "<" SV_FMT ">: %s rejected: Server configuration error", SV_ARG(subject), kind);
	return access_action(c, f->text, kind, subject);
}

static enum verdict check_client(struct access_ctx *c)
{
	struct access_keys k;

	access_keys_host(&k, sv_str(c->s->name));
	access_keys_address(&k, sv_str(c->s->addr));
	return table(c, &k, "Client host", sv_str(namaddr(c->s)));
}

static enum verdict check_reverse(struct access_ctx *c)
{
	struct access_keys k;

	access_keys_host(&k, sv_str(c->s->reverse));
	return table(c, &k, "Unverified Client host", sv_str(c->s->reverse));
}

static enum verdict check_helo(struct access_ctx *c)
{
	struct access_keys k;

	access_keys_host(&k, helo(c));
	return table(c, &k, "Helo command", helo(c));
}

/* The address that mail will be from or for: tables are asked for it, so that "user%example.com@us" is no way around
 * what they say of user@example.com.  VERDICT_PERMIT: *out is there. */
static enum verdict meant(struct access_ctx *c, struct sv addr, struct sv *out)
{
	struct fact *f;

	*out = addr;
	if (addr.n == 0)
		return VERDICT_PERMIT;
	f = fact_address(c->s, addr);
	if (f == NULL)
		return VERDICT_WAIT;
	if (f->canon.n > 0)
		*out = f->canon;
	return f->canon.n > 0 || f->status == ERR_SYNTAX ? VERDICT_PERMIT : lookup_failure(c, addr);
}

static enum verdict check_mail(struct access_ctx *c, struct sv addr, const char *kind)
{
	struct access_keys k;
	struct sv key;
	enum verdict v = addr.p != NULL ? meant(c, addr, &key) : VERDICT_DUNNO;

	if (v != VERDICT_PERMIT)
		return v;
	access_keys_mail(&k, key, c->s->g->conf.delimiter);
	return table(c, &k, kind, addr);
}

static enum verdict check_sender(struct access_ctx *c)
{
	return check_mail(c, sender(c), "Sender address");
}

static enum verdict check_rcpt(struct access_ctx *c)
{
	return check_mail(c, recipient(c), "Recipient address");
}

static enum verdict check_sasl(struct access_ctx *c)
{
	struct access_keys k = {0};

	if (c->s->sasl_user != NULL)
		k.key[k.n++] = sv_str(c->s->sasl_user);
	return table(c, &k, "Sasl user", sv_str(c->s->sasl_user));
}

static enum verdict check_any(struct access_ctx *c)
{
	switch (c->stage) {
	case STAGE_CLIENT: return check_client(c);
	case STAGE_HELO: return check_helo(c);
	case STAGE_SENDER: return check_sender(c);
	default: return check_rcpt(c);
	}
}

/* ---- who may use which sender ---- */

/* Is the authenticated user in a list of login names?  Or, for nobody, is the list empty? */
static bool owns(struct sv list, struct sv user)
{
	struct sv word;

	while (sv_token(&list, " \t,", &word)) {
		if (user.n > 0 && sv_ieq(word, user))
			return true;
	}
	return false;
}

static enum verdict login_mismatch(struct access_ctx *c, bool authenticated, bool stranger)
{
	struct sv tables = sv_str(conf(c)->login_maps), table,
		  user = sv_str(c->s->sasl_user != NULL ? c->s->sasl_user : "");
	struct access_keys k;
	struct sv address;
	enum verdict v;

	if (sender(c).n == 0 || (user.n > 0 ? !authenticated : !stranger))
		return VERDICT_DUNNO;
	v = meant(c, sender(c), &address);
	if (v != VERDICT_PERMIT)
		return v;
	access_keys_login(&k, address, conf(c)->delimiter);
	while (sv_token(&tables, " \t\r\n,", &table)) {
		CLEANUP(freep) char *name = sv_dup(table);
		struct fact *f = fact_access(c->s, name, k.key, k.n);
		if (f == NULL)
			return VERDICT_WAIT;
		if (f->status == ERR_NOT_FOUND)
			continue;
		if (f->status != 0)
			return lookup_failure(c, sender(c));
		if (owns(f->text, user))
			return VERDICT_DUNNO;
		return user.n == 0 ? access_refuse(c, 553, "5.7.1",
					 "<" SV_FMT ">: Sender address rejected: not logged in", SV_ARG(sender(c)))
				   : access_refuse(c, 553, "5.7.1",
					 "<" SV_FMT ">: Sender address rejected: not owned by user " SV_FMT,
					 SV_ARG(sender(c)), SV_ARG(user));
	}
	if (user.n == 0)
		return VERDICT_DUNNO; /* nobody owns it */
	return access_refuse(c, 553, "5.7.1", "<" SV_FMT ">: Sender address rejected: not owned by user " SV_FMT,
	    SV_ARG(sender(c)), SV_ARG(user));
}

static enum verdict any_mismatch(struct access_ctx *c)
{
	return login_mismatch(c, true, true);
}

static enum verdict auth_mismatch(struct access_ctx *c)
{
	return login_mismatch(c, true, false);
}

static enum verdict unauth_mismatch(struct access_ctx *c)
{
	return login_mismatch(c, false, true);
}

enum verdict access_unsupported(struct access_ctx *c ATTR_UNUSED)
{
	return VERDICT_DUNNO;
}

const struct rule access_rules[] = {
    {"permit", ARG_NONE, permit},
    {"reject", ARG_NONE, reject},
    {"defer", ARG_NONE, defer},
    {"defer_if_permit", ARG_NONE, defer_if_permit},
    {"warn_if_reject", ARG_WARN, dunno},
    {"permit_mynetworks", ARG_NONE, permit_mynetworks},
    {"permit_sasl_authenticated", ARG_NONE, permit_sasl},
    {"permit_inet_interfaces", ARG_NONE, permit_own},
    {"permit_tls_clientcerts", ARG_NONE, dunno},
    {"permit_tls_all_clientcerts", ARG_NONE, dunno},
    {"permit_auth_destination", ARG_NONE, auth_destination},
    {"reject_unauth_destination", ARG_NONE, reject_unauth},
    {"defer_unauth_destination", ARG_NONE, defer_unauth},
    {"reject_unauth_pipelining", ARG_NONE, unauth_pipelining},
    {"reject_plaintext_session", ARG_NONE, plaintext},
    {"reject_unknown_client_hostname", ARG_NONE, unknown_client},
    {"reject_unknown_client", ARG_NONE, unknown_client},
    {"reject_unknown_reverse_client_hostname", ARG_NONE, unknown_reverse},
    {"reject_invalid_helo_hostname", ARG_NONE, invalid_helo},
    {"reject_invalid_hostname", ARG_NONE, invalid_helo},
    {"reject_non_fqdn_helo_hostname", ARG_NONE, non_fqdn_helo},
    {"reject_non_fqdn_hostname", ARG_NONE, non_fqdn_helo},
    {"reject_unknown_helo_hostname", ARG_NONE, unknown_helo},
    {"reject_unknown_hostname", ARG_NONE, unknown_helo},
    {"reject_non_fqdn_sender", ARG_NONE, non_fqdn_sender},
    {"reject_non_fqdn_recipient", ARG_NONE, non_fqdn_rcpt},
    {"reject_unknown_sender_domain", ARG_NONE, unknown_sender},
    {"reject_unknown_recipient_domain", ARG_NONE, unknown_rcpt},
    {"reject_unlisted_recipient", ARG_NONE, unlisted_rcpt},
    {"check_recipient_maps", ARG_NONE, unlisted_rcpt},
    {"reject_unlisted_sender", ARG_NONE, unlisted_sender},
    {"reject_multi_recipient_bounce", ARG_NONE, multi_bounce},
    {"check_access", ARG_TABLE, check_any},
    {"check_client_access", ARG_TABLE, check_client},
    {"check_reverse_client_hostname_access", ARG_TABLE, check_reverse},
    {"check_helo_access", ARG_TABLE, check_helo},
    {"check_sender_access", ARG_TABLE, check_sender},
    {"check_recipient_access", ARG_TABLE, check_rcpt},
    {"check_sasl_access", ARG_TABLE, check_sasl},
    {"reject_rbl_client", ARG_DOMAIN, access_rbl_client},
    {"permit_dnswl_client", ARG_DOMAIN, access_dnswl_client},
    {"reject_rhsbl_sender", ARG_DOMAIN, access_rhsbl_sender},
    {"reject_rhsbl_helo", ARG_DOMAIN, access_rhsbl_helo},
    {"reject_rhsbl_client", ARG_DOMAIN, access_rhsbl_client},
    {"reject_sender_login_mismatch", ARG_NONE, any_mismatch},
    {"reject_authenticated_sender_login_mismatch", ARG_NONE, auth_mismatch},
    {"reject_unauthenticated_sender_login_mismatch", ARG_NONE, unauth_mismatch},
    {"reject_known_sender_login_mismatch", ARG_NONE, any_mismatch},
    {"check_policy_service", ARG_TABLE, access_unsupported},
    {"check_ccert_access", ARG_TABLE, access_unsupported},
    {"check_client_a_access", ARG_TABLE, access_unsupported},
    {"check_client_mx_access", ARG_TABLE, access_unsupported},
    {"check_client_ns_access", ARG_TABLE, access_unsupported},
    {"check_helo_a_access", ARG_TABLE, access_unsupported},
    {"check_helo_mx_access", ARG_TABLE, access_unsupported},
    {"check_helo_ns_access", ARG_TABLE, access_unsupported},
    {"check_sender_a_access", ARG_TABLE, access_unsupported},
    {"check_sender_mx_access", ARG_TABLE, access_unsupported},
    {"check_sender_ns_access", ARG_TABLE, access_unsupported},
    {"check_recipient_a_access", ARG_TABLE, access_unsupported},
    {"check_recipient_mx_access", ARG_TABLE, access_unsupported},
    {"check_recipient_ns_access", ARG_TABLE, access_unsupported},
    {"reject_rhsbl_recipient", ARG_DOMAIN, access_unsupported},
    {"reject_rhsbl_reverse_client", ARG_DOMAIN, access_unsupported},
    {"permit_rhswl_client", ARG_DOMAIN, access_unsupported},
    {"permit_mx_backup", ARG_NONE, access_unsupported},
    {"permit_naked_ip_address", ARG_NONE, access_unsupported},
    {"reject_unknown_forward_client_hostname", ARG_NONE, access_unsupported},
    {"reject_unverified_recipient", ARG_NONE, access_unsupported},
    {"reject_unverified_sender", ARG_NONE, access_unsupported},
    {"sleep", ARG_DOMAIN, access_unsupported},
};
const size_t access_nrules = ARRAY_LEN(access_rules);
