/* sasl_client.c - client mechanisms over GNU SASL. */
#include "auth/sasl_client.h"

#include <gsasl.h>

#include "crypto/secret.h"

struct sasl_client {
	Gsasl *gsasl;
	Gsasl_session *session;
	const struct mech *mech;
	char *user, *password, *service, *host;
	bool done;
};

/* Best first.  `first`: the client begins. */
static const struct mech {
	const char *name;
	bool first, plaintext, dictionary;
} mechs[] = {
    {"SCRAM-SHA-256", true, false, true},
    {"SCRAM-SHA-1", true, false, true},
    {"CRAM-MD5", false, false, true},
    {"PLAIN", true, true, false},
    {"LOGIN", false, true, false},
};

static bool listed(struct sv list, const char *name)
{
	struct sv tok;

	while (sv_token(&list, " \t\r\n,", &tok)) {
		if (sv_ieqs(tok, name))
			return true;
	}
	return false;
}

/* smtp_sasl_mechanism_filter: the first entry that fits decides; nothing fits: not allowed. */
static bool filtered(const char *filter, const char *name)
{
	struct sv rest = sv_str(filter ? filter : ""), tok;
	bool any = false;

	while (sv_token(&rest, " \t\r\n,", &tok)) {
		bool no = sv_starts(tok, SV("!"));

		any = true;
		if (sv_ieqs(sv_skip(tok, no), name) || sv_eqs(sv_skip(tok, no), "static:all"))
			return no;
	}
	return any;
}

static const struct mech *choose(const struct sasl_client_opts *o)
{
	struct sv security = sv_str(o->security ? o->security : "");

	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		const struct mech *m = &mechs[i];

		if (!listed(o->offered, m->name) || filtered(o->filter, m->name))
			continue;
		if ((m->plaintext && listed(security, "noplaintext")) ||
		    (m->dictionary && listed(security, "nodictionary")))
			continue;
		if (listed(security, "mutual_auth") && !sv_starts(sv_str(m->name), SV("SCRAM-")))
			continue;
		return m;
	}
	return NULL;
}

static int on_property(Gsasl *g, Gsasl_session *s, Gsasl_property prop)
{
	struct sasl_client *c = gsasl_session_hook_get(s);
	const char *value = NULL;

	(void)g;
	switch (prop) {
	case GSASL_AUTHID: value = c->user; break;
	case GSASL_PASSWORD: value = c->password; break;
	case GSASL_SERVICE: value = c->service; break;
	case GSASL_HOSTNAME: value = c->host; break;
	default: return GSASL_NO_CALLBACK;
	}
	gsasl_property_set(s, prop, value);
	return GSASL_OK;
}

int sasl_client_new(const struct sasl_client_opts *opts, struct sasl_client **out, struct err *err)
{
	const struct mech *mech = choose(opts);
	struct sasl_client *c;
	int rc;

	if (!mech)
		return err_set(err, ERR_NOT_FOUND, "no mechanism available");
	if (sv_has_nul(opts->user) || sv_has_nul(opts->password))
		return err_set(err, ERR_SYNTAX, "user name or password with a NUL byte");
	c = xcalloc(1, sizeof(*c));
	c->mech = mech;
	c->user = sv_dup(opts->user);
	c->password = sv_dup(opts->password);
	c->service = xstrdup(opts->service ? opts->service : "smtp");
	c->host = xstrdup(opts->host ? opts->host : "");
	rc = gsasl_init(&c->gsasl);
	if (rc == GSASL_OK) {
		gsasl_callback_set(c->gsasl, on_property);
		rc = gsasl_client_start(c->gsasl, mech->name, &c->session);
	}
	if (rc != GSASL_OK) {
		sasl_client_free(&c);
		return err_set(err, ERR_TEMP, "%s: %s", mech->name, gsasl_strerror(rc));
	}
	gsasl_session_hook_set(c->session, c);
	*out = c;
	return 0;
}

void sasl_client_free(struct sasl_client **pc)
{
	struct sasl_client *c = *pc;

	*pc = NULL;
	if (!c)
		return;
	if (c->session)
		gsasl_finish(c->session);
	if (c->gsasl)
		gsasl_done(c->gsasl);
	free(c->user);
	secret_free(&c->password);
	free(c->service);
	free(c->host);
	free(c);
}

const char *sasl_client_mech(const struct sasl_client *c)
{
	return c->mech->name;
}

bool sasl_client_first(const struct sasl_client *c)
{
	return c->mech->first;
}

int sasl_client_step(struct sasl_client *c, struct sv challenge, struct buf *out, struct err *err)
{
	char *p = NULL;
	size_t n = 0;
	int rc;

	if (c->done) {
		if (challenge.n)
			return err_set(err, ERR_PROTOCOL, "challenge after the end of %s", c->mech->name);
		return 0;
	}
	rc = gsasl_step(c->session, challenge.n ? challenge.p : NULL, challenge.n, &p, &n);
	if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) {
		gsasl_free(p);
		return err_set(err, ERR_PROTOCOL, "%s: %s", c->mech->name, gsasl_strerror(rc));
	}
	c->done = rc == GSASL_OK;
	rc = n ? buf_add(out, p, n) : 0;
	if (p)
		secret_clear(p, n);
	gsasl_free(p);
	return rc ? err_set(err, ERR_LIMIT, "response too long") : 0;
}

bool sasl_client_complete(const struct sasl_client *c)
{
	/* the plain-text mechanisms have nothing left to prove; GNU SASL waits for one more step after their last
	 * response */
	return c->done || c->mech->plaintext;
}
