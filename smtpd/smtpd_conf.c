/* smtpd_conf.c - the parameters of this service, checked at the start. */
#include "smtpd/smtpd_conf.h"

#include <ifaddrs.h>

#include "proto/smtp_ext.h"
#include "smtpd/access.h"

static const struct {
	const char *name;
	enum stage stage;
} lists[] = {{"smtpd_client_restrictions", STAGE_CLIENT}, {"smtpd_helo_restrictions", STAGE_HELO},
    {"smtpd_sender_restrictions", STAGE_SENDER}, {"smtpd_relay_restrictions", STAGE_RELAY},
    {"smtpd_recipient_restrictions", STAGE_RCPT}, {"smtpd_data_restrictions", STAGE_DATA},
    {"smtpd_end_of_data_restrictions", STAGE_EOD}};

static int restrictions(struct smtpd_conf *out, const struct conf *c, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		int rc = access_parse(conf_str(c, lists[i].name), &out->rules[lists[i].stage], err);
		if (rc < 0) {
			err_prefix(err, "%s", lists[i].name);
			return rc;
		}
		for (size_t k = 0; k < out->rules[lists[i].stage].n; k++) {
			const struct rule *rule = out->rules[lists[i].stage].use[k].rule;
			if (rule->ask == access_unsupported)
				log_warn("%s: restriction %s is not supported, it decides nothing", lists[i].name,
				    rule->name);
		}
	}
	return 0;
}

/* Postfix refuses to run where nothing would stop a stranger's mail from being relayed. */
static int relay_closed(const struct smtpd_conf *out, struct err *err)
{
	static const char *const closing[] = {"reject", "defer", "reject_unauth_destination",
	    "defer_unauth_destination", "defer_if_permit", "check_relay_domains"};

	if (out->lmtp)
		return 0;
	for (int stage = STAGE_RELAY; stage <= STAGE_RCPT; stage++) {
		for (size_t i = 0; i < out->rules[stage].n; i++) {
			for (size_t k = 0; k < ARRAY_LEN(closing); k++) {
				if (access_is(&out->rules[stage].use[i], closing[k]))
					return 0;
			}
		}
	}
	return err_set(err, ERR_DENIED,
	    "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least "
	    "one working instance of: reject_unauth_destination, defer_unauth_destination, reject, defer");
}

static int bare_newline(struct smtpd_conf *out, const char *value, struct err *err)
{
	if (strcmp(value, "no") == 0)
		out->bare = BARE_NO;
	else if (strcmp(value, "yes") == 0 || strcmp(value, "normalize") == 0)
		out->bare = BARE_NORMALIZE;
	else if (strcmp(value, "reject") == 0)
		out->bare = BARE_REJECT;
	else
		return err_set(err, ERR_SYNTAX, "smtpd_forbid_bare_newline: unknown value \"%s\"", value);
	return 0;
}

static int tls_level(struct smtpd_conf *out, const struct conf *c, struct err *err)
{
	const char *level = conf_str(c, "smtpd_tls_security_level");

	out->wrapper = conf_bool(c, "smtpd_tls_wrappermode");
	if (strcmp(level, "none") == 0)
		out->tls_level = TLS_LEVEL_NONE;
	else if (strcmp(level, "may") == 0)
		out->tls_level = TLS_LEVEL_MAY;
	else if (strcmp(level, "encrypt") == 0)
		out->tls_level = TLS_LEVEL_ENCRYPT;
	else if (level[0] != '\0')
		return err_set(err, ERR_SYNTAX, "smtpd_tls_security_level: unknown level \"%s\"", level);
	else if (conf_bool(c, "smtpd_enforce_tls"))
		out->tls_level = TLS_LEVEL_ENCRYPT;
	else if (conf_bool(c, "smtpd_use_tls"))
		out->tls_level = TLS_LEVEL_MAY;
	if (out->wrapper && out->tls_level == TLS_LEVEL_NONE)
		out->tls_level = TLS_LEVEL_ENCRYPT;
	return 0;
}

/* The host's own addresses (permit_inet_interfaces), read once before the cage closes. */
static int own_addresses(struct netlist *out)
{
	CLEANUP(buf_freep) struct buf text = BUF_INIT(65536);
	struct ifaddrs *all = NULL;
	char addr[64];

	if (getifaddrs(&all) < 0)
		return 0;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct sockaddr_storage ss = {0};
		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&ss, i->ifa_addr,
		    i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		buf_printf(&text, "[%s] ", dns_addr_text(&ss, addr));
	}
	freeifaddrs(all);
	return netlist_parse(out, buf_sv(&text), NULL);
}

/* local_header_rewrite_clients: whose headers may be completed. */
static int rewrite_clients(struct smtpd_conf *out, const struct conf *c, struct err *err)
{
	struct sv rest = sv_str(conf_str(c, "local_header_rewrite_clients")), word;

	while (sv_token(&rest, " \t\r\n,", &word)) {
		if (sv_ieqs(word, "permit_inet_interfaces")) {
			out->rewrite_local = true;
		} else if (sv_ieqs(word, "permit_mynetworks")) {
			out->rewrite_networks = true;
		} else if (sv_ieqs(word, "permit_sasl_authenticated")) {
			out->rewrite_sasl = true;
		} else if (sv_ieqs(word, "static:all")) {
			out->always_headers = true;
		} else if (!sv_ieqs(word, "permit_tls_clientcerts") && !sv_ieqs(word, "permit_tls_all_clientcerts")) {
			return err_set(err, ERR_UNSUPPORTED,
			    "local_header_rewrite_clients: unknown word \"" SV_FMT "\"", SV_ARG(word));
		}
	}
	own_addresses(&out->own);
	if (conf_bool(c, "always_add_missing_headers"))
		out->always_headers = true;
	return 0;
}

static int networks(struct smtpd_conf *out, const struct conf *c, struct err *err)
{
	static const struct {
		const char *name;
		size_t at;
	} all[] = {{"mynetworks", offsetof(struct smtpd_conf, mynetworks)},
	    {"smtpd_forbid_bare_newline_exclusions", offsetof(struct smtpd_conf, bare_exclusions)},
	    {"smtpd_client_event_limit_exceptions", offsetof(struct smtpd_conf, limit_exceptions)}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct netlist *l = (struct netlist *)(void *)((char *)out + all[i].at);
		int rc = netlist_parse(l, sv_str(conf_str(c, all[i].name)), err);
		if (rc < 0) {
			err_prefix(err, "%s", all[i].name);
			return rc;
		}
	}
	return 0;
}

static void numbers(struct smtpd_conf *out, const struct conf *c)
{
	const struct {
		const char *name;
		uint64_t *to;
	} ints[] = {{"message_size_limit", &out->size_limit}, {"smtpd_recipient_limit", &out->rcpt_limit},
	    {"smtpd_recipient_overshoot_limit", &out->rcpt_overshoot}, {"line_length_limit", &out->line_limit},
	    {"smtpd_soft_error_limit", &out->soft_errors}, {"smtpd_hard_error_limit", &out->hard_errors},
	    {"smtpd_junk_command_limit", &out->junk_limit}, {"smtpd_client_connection_count_limit", &out->conn_limit},
	    {"smtpd_client_connection_rate_limit", &out->conn_rate},
	    {"smtpd_client_message_rate_limit", &out->msg_rate}, {"smtpd_client_recipient_rate_limit", &out->rcpt_rate},
	    {"smtpd_client_auth_rate_limit", &out->auth_rate}};
	const struct {
		const char *name;
		int *to;
	} codes[] = {{"smtpd_forbid_bare_newline_reject_code", &out->bare_code},
	    {"unknown_address_reject_code", &out->unknown_address_code},
	    {"unknown_client_reject_code", &out->unknown_client_code},
	    {"unknown_hostname_reject_code", &out->unknown_helo_code}, {"access_map_reject_code", &out->access_code},
	    {"relay_domains_reject_code", &out->relay_code}, {"non_fqdn_reject_code", &out->non_fqdn_code},
	    {"invalid_hostname_reject_code", &out->invalid_helo_code}, {"reject_code", &out->reject_code},
	    {"defer_code", &out->defer_code}, {"maps_rbl_reject_code", &out->rbl_code},
	    {"unknown_local_recipient_reject_code", &out->unlisted_code[MAIL_CLASS_LOCAL]},
	    {"unknown_virtual_alias_reject_code", &out->unlisted_code[MAIL_CLASS_VIRTUAL_ALIAS]},
	    {"unknown_virtual_mailbox_reject_code", &out->unlisted_code[MAIL_CLASS_VIRTUAL_MAILBOX]},
	    {"unknown_relay_recipient_reject_code", &out->unlisted_code[MAIL_CLASS_RELAY]}};

	for (size_t i = 0; i < ARRAY_LEN(ints); i++)
		*ints[i].to = conf_int(c, ints[i].name);
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		*codes[i].to = (int)conf_int(c, codes[i].name);
	}
	out->unlisted_code[0] = out->unlisted_code[MAIL_CLASS_OTHER] = 550;
	out->timeout_s = conf_time(c, "smtpd_timeout");
	out->error_sleep_s = conf_time(c, "smtpd_error_sleep_time");
	out->rate_unit_s = conf_time(c, "anvil_rate_time_unit");
	out->tls_loglevel = (unsigned)conf_int(c, "smtpd_tls_loglevel");
}

static void switches(struct smtpd_conf *out, const struct conf *c)
{
	const struct {
		const char *name;
		bool *to;
	} all[] = {{"smtpd_lmtp", &out->lmtp}, {"smtpd_sasl_auth_enable", &out->sasl},
	    {"smtpd_tls_auth_only", &out->auth_only}, {"smtpd_sasl_authenticated_header", &out->sasl_header},
	    {"smtpd_tls_received_header", &out->tls_header}, {"smtpd_helo_required", &out->helo_required},
	    {"smtpd_delay_reject", &out->delay_reject}, {"disable_vrfy_command", &out->no_vrfy},
	    {"smtpd_peername_lookup", &out->peername}, {"smtpd_forbid_unauth_pipelining", &out->forbid_pipelining},
	    {"strict_rfc821_envelopes", &out->strict_paths}, {"smtpd_reject_unlisted_recipient", &out->unlisted_rcpt},
	    {"smtpd_reject_unlisted_sender", &out->unlisted_sender}, {"show_user_unknown_table_name", &out->show_table},
	    {"smtputf8_enable", &out->smtputf8}, {"soft_bounce", &out->soft_bounce}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		*all[i].to = conf_bool(c, all[i].name);
}

static void content_conf(struct smtpd_conf *out, const struct conf *c)
{
	struct sv rest = sv_str(conf_str(c, "message_drop_headers")), word;
	size_t n = 0;

	out->content = (struct content_conf){.size_limit = out->size_limit,
	    .hop_limit = (unsigned)conf_int(c, "hopcount_limit"),
	    .hostname = out->myhostname};
	while (n < CONTENT_DROP_MAX && sv_token(&rest, " \t\r\n,", &word))
		out->content.drop[n++] = sv_dup(word);
}

int smtpd_conf_load(struct smtpd_conf *out, const struct conf *c, struct err *err)
{
	struct sv bad = SV("");
	int rc;

	*out = (struct smtpd_conf){.myhostname = conf_str(c, "myhostname"),
	    .myorigin = conf_str(c, "myorigin"),
	    .banner = conf_str(c, "smtpd_banner"),
	    .mail_name = conf_str(c, "mail_name"),
	    .delimiter = conf_str(c, "recipient_delimiter"),
	    .login_maps = conf_str(c, "smtpd_sender_login_maps"),
	    .session_limit = conf_int(c, "smtpd_session_limit")};
	switches(out, c);
	numbers(out, c);
	content_conf(out, c);
	rc = tls_level(out, c, err);
	if (rc == 0)
		rc = bare_newline(out, conf_str(c, "smtpd_forbid_bare_newline"), err);
	if (rc == 0)
		rc = restrictions(out, c, err);
	if (rc == 0)
		rc = relay_closed(out, err);
	if (rc == 0)
		rc = networks(out, c, err);
	if (rc == 0)
		rc = rewrite_clients(out, c, err);
	if (rc == 0 && smtp_ext_list(sv_str(conf_str(c, "smtpd_discard_ehlo_keywords")), &out->discard, &bad) < 0)
		rc = err_set(err, ERR_SYNTAX, "smtpd_discard_ehlo_keywords: unknown keyword " SV_FMT, SV_ARG(bad));
	return rc;
}
