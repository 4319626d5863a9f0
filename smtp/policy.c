/* policy.c - the TLS policy of a next hop: smtp_tls_policy_maps, asked once while the next hop is in use; else the
 * default. */
#include "conf/conf_lex.h"
#include "ipc/api_rewrite.h"
#include "smtp/smtp.h"

#define POLICY_ASK_MS 30000

static const struct {
	const char *word;
	enum tls_level level;
} levels[] = {{"none", TLS_LVL_NONE}, {"may", TLS_LVL_MAY}, {"encrypt", TLS_LVL_ENCRYPT}, {"verify", TLS_LVL_VERIFY},
    {"secure", TLS_LVL_SECURE}};

int policy_level(struct sv word, enum tls_level *level)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (sv_ieqs(word, levels[i].word)) {
			*level = levels[i].level;
			return 0;
		}
	return ERR_SYNTAX;
}

int policy_parse(const struct cfg *cfg, struct sv text, struct tls_policy *out, struct err *err)
{
	struct tls_policy p = {.level = TLS_LVL_NONE};
	struct sv word = SV("");

	if (!sv_token(&text, " \t\r\n,", &word) || policy_level(word, &p.level) < 0)
		return err_set(err, ERR_SYNTAX, "\"" SV_FMT "\" is no level that is supported", SV_ARG(word));
	snprintf(
	    p.match, sizeof(p.match), "%s", p.level == TLS_LVL_SECURE ? cfg->tls_secure_match : cfg->tls_verify_match);
	snprintf(p.servername, sizeof(p.servername), "%s", cfg->tls_servername);
	while (sv_token(&text, " \t\r\n,", &word)) {
		struct sv name = sv_cut(&word, "=");

		if (sv_ieqs(name, "match") && word.p && word.n < sizeof(p.match))
			snprintf(p.match, sizeof(p.match), SV_FMT, SV_ARG(word));
		else if (sv_ieqs(name, "servername") && word.p && word.n < sizeof(p.servername))
			snprintf(p.servername, sizeof(p.servername), SV_FMT, SV_ARG(word));
		else
			return err_set(err, ERR_SYNTAX, "attribute \"" SV_FMT "\" is not supported", SV_ARG(name));
	}
	*out = p;
	return 0;
}

static void answer(struct job *j, const char *failure)
{
	j->policy_call = 0;
	if (failure) {
		j->policy_table = 0;
		job_policy_failed(j, failure);
		return;
	}
	j->dest->policy_known = true;
	job_policy_known(j);
}

static bool ask_next(struct job *j);

static void on_value(void *arg, int status, struct msg *reply)
{
	struct job *j = arg;
	struct rw_value v = {.status = ERR_TEMP};
	struct err err;

	j->policy_call = 0;
	if (status != 0 || reply->type != RW_VALUE || rw_value_get(reply, &v) < 0 ||
	    (v.status != 0 && v.status != ERR_NOT_FOUND)) {
		answer(j, "TLS policy lookup failed");
		return;
	}
	if (v.status == ERR_NOT_FOUND) {
		if (!ask_next(j))
			answer(j, NULL); /* the default stays */
		return;
	}
	if (policy_parse(&j->smtp->cfg, v.value, &j->dest->policy, &err) < 0) {
		log_warn("TLS policy of %s: %s", j->dest->nexthop, err.text);
		answer(j, "TLS policy is not usable");
		return;
	}
	answer(j, NULL);
}

/* Keys as in Postfix: the next hop as it is written, and for a domain its parents with a dot in front. */
static void add_keys(const struct job *j, struct rw_access *q)
{
	const char *dot = j->hop.host;

	q->key[q->n++] = sv_str(j->dest->nexthop);
	if (j->hop.no_mx || strcmp(j->hop.host, j->dest->nexthop) != 0)
		q->key[q->n++] = sv_str(j->hop.host);
	while (!j->hop.no_mx && q->n < RW_MAX_KEYS && (dot = strchr(dot + 1, '.')))
		q->key[q->n++] = sv_str(dot);
}

/* Asks the next table of the list; false when there is none. */
static bool ask_next(struct job *j)
{
	struct sv rest = sv_str(j->smtp->cfg.tls_policy_maps), table = SV_NONE;
	struct msg_out m = MSG_OUT_INIT;
	struct rw_access q = {0};

	for (unsigned i = 0; i <= j->policy_table; i++)
		if (conf_lex_word(&rest, ", \t\r\n", &table) != 1)
			return false;
	j->policy_table++;
	q.table = table;
	add_keys(j, &q);
	rw_access_put(&m, &q);
	j->policy_call = peer_call(j->smtp->rewrite, RW_ACCESS, &m, POLICY_ASK_MS, on_value, j);
	msg_out_free(&m);
	return true;
}

bool policy_ready(struct job *j)
{
	if (j->dest->policy_known)
		return true;
	j->dest->policy = j->smtp->cfg.policy;
	if (!j->smtp->rewrite) {
		j->dest->policy_known = true;
		return true;
	}
	j->policy_table = 0;
	if (ask_next(j))
		return false;
	j->dest->policy_known = true;
	return true;
}

void policy_cancel(struct job *j)
{
	if (j->policy_call)
		peer_cancel(j->smtp->rewrite, j->policy_call);
	j->policy_call = 0;
}
