/* cfg.c - this process's parameters, read once at its start. */
#include <ifaddrs.h>
#include <netinet/in.h>

#include "smtp/smtp.h"

/* Every parameter has an smtp_ and an lmtp_ form, as in Postfix. */
struct names {
	const struct conf *conf;
	bool lmtp;
	char name[64];
};

static const char *name_of(struct names *n, const char *suffix)
{
	snprintf(n->name, sizeof(n->name), "%s_%s", n->lmtp ? "lmtp" : "smtp", suffix);
	return n->name;
}

static const char *str(struct names *n, const char *suffix)
{
	return conf_str(n->conf, name_of(n, suffix));
}

static uint64_t ms(struct names *n, const char *suffix)
{
	return conf_time(n->conf, name_of(n, suffix)) * 1000;
}

static uint64_t num(struct names *n, const char *suffix)
{
	return conf_int(n->conf, name_of(n, suffix));
}

static bool yes(struct names *n, const char *suffix)
{
	return conf_bool(n->conf, name_of(n, suffix));
}

static void load_times(struct cfg *c, struct names *n)
{
	c->connect_timeout = ms(n, "connect_timeout");
	c->greet_timeout = c->helo_timeout = ms(n, n->lmtp ? "lhlo_timeout" : "helo_timeout");
	c->starttls_timeout = ms(n, "starttls_timeout");
	c->mail_timeout = ms(n, "mail_timeout");
	c->rcpt_timeout = ms(n, "rcpt_timeout");
	c->data_init_timeout = ms(n, "data_init_timeout");
	c->data_xfer_timeout = ms(n, "data_xfer_timeout");
	c->data_done_timeout = ms(n, "data_done_timeout");
	c->rset_timeout = ms(n, "rset_timeout");
	c->quit_timeout = ms(n, "quit_timeout");
	c->cache_time_limit = ms(n, "connection_cache_time_limit");
	c->reuse_time_limit = ms(n, "connection_reuse_time_limit");
	c->reuse_count_limit = num(n, "connection_reuse_count_limit");
}

/* One context for opportunistic TLS, one for mandatory TLS. */
static int tls_context(struct names *n, bool must, bool verify, struct tls_ctx **out, struct err *err)
{
	CLEANUP(freep) char *exclude = NULL;
	struct tls_conf conf = {
	    .ca_file = str(n, "tls_CAfile"),
	    .ca_path = str(n, "tls_CApath"),
	    .protocols = str(n, must ? "tls_mandatory_protocols" : "tls_protocols"),
	    .ciphers = str(n, must ? "tls_mandatory_ciphers" : "tls_ciphers"),
	};

	exclude =
	    xasprintf("%s %s", str(n, "tls_exclude_ciphers"), must ? str(n, "tls_mandatory_exclude_ciphers") : "");
	conf.exclude = exclude;
	conf.system_roots =
	    conf_bool(n->conf, "tls_append_default_CA") || (verify && !conf.ca_file[0] && !conf.ca_path[0]);
	return tls_ctx_client(&conf, out, err);
}

static int load_tls(struct cfg *c, struct names *n, struct err *err)
{
	const char *level = str(n, "tls_security_level");
	bool any;

	c->tls_policy_maps = str(n, "tls_policy_maps");
	c->tls_verify_match = str(n, "tls_verify_cert_match");
	c->tls_secure_match = str(n, "tls_secure_cert_match");
	c->tls_servername = str(n, "tls_servername");
	c->tls_wrapper = yes(n, "tls_wrappermode");
	c->tls_note_offer = yes(n, "tls_note_starttls_offer");
	c->tls_loglevel = (unsigned)num(n, "tls_loglevel");
	if (policy_parse(c, sv_str(level[0] ? level : "none"), &c->policy, err) < 0)
		return err_prefix(err, "tls_security_level");
	if (c->tls_wrapper && c->policy.level < TLS_LVL_ENCRYPT)
		return err_set(err, ERR_SYNTAX, "tls_wrappermode requires tls_security_level = encrypt or stronger");
	any = c->tls_policy_maps[0];
	if ((any || c->policy.level == TLS_LVL_MAY) && tls_context(n, false, false, &c->tls_may, err) < 0)
		return err->code;
	if ((any || c->policy.level > TLS_LVL_MAY) &&
	    tls_context(n, true, any || c->policy.level >= TLS_LVL_VERIFY, &c->tls_must, err) < 0)
		return err->code;
	return 0;
}

static int load_bind(
    struct names *n, const char *suffix, sa_family_t family, struct sockaddr_storage *out, bool *has, struct err *err)
{
	const char *text = str(n, suffix);
	socklen_t len;

	if (!text[0])
		return 0;
	if (!dns_addr_parse(sv_str(text), out, &len) || out->ss_family != family)
		return err_set(err, ERR_SYNTAX, "%s: \"%s\" is not an address of that family", n->name, text);
	*has = true;
	return 0;
}

static void add_own(struct cfg *c, const struct sockaddr *sa)
{
	if (c->mx.nown < SMTP_OWN_ADDRS && (sa->sa_family == AF_INET || sa->sa_family == AF_INET6))
		memcpy(&c->own[c->mx.nown++], sa,
		    sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
}

/* Our own addresses: mail that would go there loops. */
static void load_own(struct cfg *c, const struct conf *conf)
{
	const char *interfaces = conf_str(conf, "inet_interfaces");
	struct sv lists[] = {sv_str(interfaces), sv_str(conf_str(conf, "proxy_interfaces"))}, word;
	struct ifaddrs *all = NULL;
	struct sockaddr_storage ss;
	socklen_t len;

	if (strcmp(interfaces, "loopback-only") == 0)
		lists[0] = SV("127.0.0.1 ::1");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		while (sv_token(&lists[i], " \t\r\n,", &word)) {
			if (word.n > 2 && word.p[0] == '[')
				word = sv_of(word.p + 1, word.n - 2);
			if (dns_addr_parse(word, &ss, &len))
				add_own(c, (struct sockaddr *)&ss);
		}
	if (strcmp(interfaces, "all") == 0 && getifaddrs(&all) == 0) {
		for (struct ifaddrs *i = all; i; i = i->ifa_next)
			if (i->ifa_addr)
				add_own(c, i->ifa_addr);
		freeifaddrs(all);
	}
}

static void load_mx(struct cfg *c, struct names *n)
{
	struct sv families = sv_str(conf_str(n->conf, "inet_protocols")), word;
	const char *prefer = str(n, "address_preference");

	while (sv_token(&families, " \t\r\n,", &word)) {
		bool all = sv_ieqs(word, "all");

		c->mx.ipv4 |= all || sv_ieqs(word, "ipv4");
		c->mx.ipv6 |= all || sv_ieqs(word, "ipv6");
	}
	c->mx.no_dns_mx = c->lmtp;
	c->mx.prefer = strcmp(prefer, "ipv4") == 0 ? MX_IPV4 : strcmp(prefer, "ipv6") == 0 ? MX_IPV6 : MX_ANY;
	c->mx.no_shuffle = !yes(n, "randomize_addresses");
	c->mx.defer_if_no_mx_address = conf_bool(n->conf, "smtp_defer_if_no_mx_address_found");
	c->mx.timeout_ms = DNS_TIMEOUT_MS;
	c->mx.myhostname = c->myhostname;
	load_own(c, n->conf);
	c->mx.own = c->own;
	c->mx_port = c->mx;
	c->mx.detect_loops = !c->lmtp;
}

int cfg_load(struct cfg *c, struct daemon *d, struct err *err)
{
	const char *dialect = conf_str(daemon_conf(d), "smtp_dialect");
	struct names n = {.conf = daemon_conf(d)};
	struct mx_nexthop hop;
	struct sv bad;
	char port[40];

	n.lmtp = c->lmtp =
	    strcmp(dialect, "lmtp") == 0 || (strcmp(dialect, "auto") == 0 && strstr(daemon_service(d), "lmtp"));
	c->myhostname = conf_str(n.conf, "myhostname");
	c->helo_name = str(&n, n.lmtp ? "lhlo_name" : "helo_name");
	c->delay_digits = (int)conf_int(n.conf, "delay_logging_resolution_limit");
	c->soft_bounce = conf_bool(n.conf, "soft_bounce");
	snprintf(port, sizeof(port), "x:%.32s", str(&n, "tcp_port"));
	if (mx_nexthop_parse(sv_str(port), 25, &hop) < 0)
		return err_set(err, ERR_SYNTAX, "%s: not a port", n.name);
	c->port = hop.port;
	load_times(c, &n);
	c->mx_address_limit = num(&n, "mx_address_limit");
	c->mx_session_limit = num(&n, "mx_session_limit");
	c->line_length_limit = num(&n, "line_length_limit");
	c->cache_on_demand = yes(&n, "connection_cache_on_demand");
	c->cache_destinations = str(&n, "connection_cache_destinations");
	c->always_ehlo = n.lmtp || yes(&n, "always_send_ehlo");
	c->never_ehlo = !n.lmtp && yes(&n, "never_send_ehlo");
	c->skip_5xx_greeting = yes(&n, "skip_5xx_greeting");
	if (smtp_ext_list(
		sv_str(str(&n, n.lmtp ? "discard_lhlo_keywords" : "discard_ehlo_keywords")), &c->discard, &bad) < 0)
		log_warn("%s: unknown keyword \"%.*s\"", n.name, SV_ARG(bad));
	c->fallback_relay = n.lmtp ? "" : conf_str(n.conf, "smtp_fallback_relay");
	c->sasl = yes(&n, "sasl_auth_enable");
	c->sasl_filter = str(&n, "sasl_mechanism_filter");
	c->sasl_security = str(&n, "sasl_security_options");
	c->sasl_tls_security = str(&n, "sasl_tls_security_options");
	c->sasl_soft_bounce = yes(&n, "sasl_auth_soft_bounce");
	c->sasl_sender_dependent = yes(&n, "sender_dependent_authentication");
	if (load_bind(&n, "bind_address", AF_INET, &c->bind4, &c->has_bind4, err) < 0 ||
	    load_bind(&n, "bind_address6", AF_INET6, &c->bind6, &c->has_bind6, err) < 0)
		return ERR_SYNTAX;
	load_mx(c, &n);
	return load_tls(c, &n, err);
}
