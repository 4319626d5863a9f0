/* sasl_server.c - server mechanisms: SCRAM-SHA-256 and LOGIN over GNU SASL, PLAIN here. */
#include "auth/sasl_server.h"

#include <gsasl.h>

#include "base/codec.h"
#include "crypto/secret.h"

struct sasl_server {
	Gsasl *gsasl;
	struct sasl_server_cb cb;
};

struct sasl_exchange {
	struct sasl_server *server;
	Gsasl_session *session;
	bool plain; /* spoken here: GNU SASL prepares each password with stringprep, a third of what a login costs auth
		     */
	bool login; /* its first challenge is due before the client has said anything */
	bool checked;
	char *name, *authzid, *password;
};

static const char *const mechs[] = {"SCRAM-SHA-256", "PLAIN", "LOGIN"};

static const char *mech_of(struct sv mech)
{
	for (size_t i = 0; i < ARRAY_LEN(mechs); i++) {
		if (sv_ieqs(mech, mechs[i]))
			return mechs[i];
	}
	return NULL;
}

bool sasl_server_known(struct sv mech)
{
	return mech_of(mech) != NULL;
}

bool sasl_server_needs_verifier(struct sv mech)
{
	return sv_ieqs(mech, "SCRAM-SHA-256");
}

static void set_base64(Gsasl_session *s, Gsasl_property prop, const unsigned char *p, size_t n)
{
	struct buf b = BUF_INIT(256);

	base64_encode(&b, sv_of((const char *)p, n));
	gsasl_property_set(s, prop, buf_cstr(&b));
	buf_wipe(&b);
}

/* All four values at once, so that one exchange is judged by one reading of the account. */
static int give_verifier(struct sasl_exchange *x, Gsasl_session *s)
{
	const char *name = gsasl_property_fast(s, GSASL_AUTHID);
	struct scram_verifier v;
	char iterations[16];

	if (!name)
		return GSASL_NO_CALLBACK;
	x->server->cb.verifier(x->server->cb.ctx, sv_str(name), &v);
	snprintf(iterations, sizeof(iterations), "%u", v.iterations);
	gsasl_property_set(s, GSASL_SCRAM_ITER, iterations);
	set_base64(s, GSASL_SCRAM_SALT, v.salt, v.salt_len);
	set_base64(s, GSASL_SCRAM_STOREDKEY, v.stored, SCRAM_KEY);
	set_base64(s, GSASL_SCRAM_SERVERKEY, v.server, SCRAM_KEY);
	secret_clear(&v, sizeof(v));
	return GSASL_OK;
}

static int on_property(Gsasl *g, Gsasl_session *s, Gsasl_property prop)
{
	struct sasl_exchange *x = gsasl_session_hook_get(s);

	(void)g;
	switch (prop) {
	case GSASL_VALIDATE_SIMPLE: x->checked = true; return GSASL_OK; /* the caller will check */
	case GSASL_SCRAM_ITER:
	case GSASL_SCRAM_SALT:
	case GSASL_SCRAM_STOREDKEY:
	case GSASL_SCRAM_SERVERKEY: return give_verifier(x, s);
	default: return GSASL_NO_CALLBACK;
	}
}

int sasl_server_new(const struct sasl_server_cb *cb, struct sasl_server **out, struct err *err)
{
	struct sasl_server *s = xcalloc(1, sizeof(*s));
	int rc = gsasl_init(&s->gsasl);

	if (rc != GSASL_OK) {
		free(s);
		return err_set(err, ERR_TEMP, "GNU SASL: %s", gsasl_strerror(rc));
	}
	s->cb = *cb;
	gsasl_callback_set(s->gsasl, on_property);
	*out = s;
	return 0;
}

void sasl_server_free(struct sasl_server **s)
{
	if (*s)
		gsasl_done((*s)->gsasl);
	free(*s);
	*s = NULL;
}

int sasl_exchange_new(struct sasl_server *s, struct sv mech, struct sasl_exchange **out, struct err *err)
{
	const char *name = mech_of(mech);
	struct sasl_exchange *x;
	int rc;

	if (!name)
		return err_set(err, ERR_NOT_FOUND, "unknown mechanism");
	x = xcalloc(1, sizeof(*x));
	x->server = s;
	x->login = !strcmp(name, "LOGIN");
	x->plain = !strcmp(name, "PLAIN");
	if (x->plain) {
		*out = x;
		return 0;
	}
	rc = gsasl_server_start(s->gsasl, name, &x->session);
	if (rc != GSASL_OK) {
		free(x);
		return err_set(err, ERR_NOT_FOUND, "%s: %s", name, gsasl_strerror(rc));
	}
	gsasl_session_hook_set(x->session, x);
	*out = x;
	return 0;
}

static void keep(Gsasl_session *s, Gsasl_property prop, char **out)
{
	const char *v = gsasl_property_fast(s, prop);

	secret_free(out);
	*out = v ? xstrdup(v) : NULL;
	if (v && prop == GSASL_PASSWORD)
		gsasl_property_set(s, prop, ""); /* no second copy stays */
}

void sasl_exchange_free(struct sasl_exchange **px)
{
	struct sasl_exchange *x = *px;

	*px = NULL;
	if (!x)
		return;
	if (x->session)
		gsasl_finish(x->session);
	free(x->name);
	free(x->authzid);
	secret_free(&x->password);
	free(x);
}

/* RFC 4616: [authzid] NUL authcid NUL passwd, no NUL in any of them. */
static enum sasl_result step_plain(struct sasl_exchange *x, bool has, struct sv response)
{
	struct sv rest = response, authzid, name;
	ssize_t one, two;

	if (!has)
		return SASL_MORE;
	one = sv_chr(rest, '\0');
	if (one < 0 || x->name)
		return SASL_FAILED;
	authzid = sv_head(rest, (size_t)one);
	rest = sv_skip(rest, (size_t)one + 1);
	two = sv_chr(rest, '\0');
	if (two <= 0)
		return SASL_FAILED;
	name = sv_head(rest, (size_t)two);
	rest = sv_skip(rest, (size_t)two + 1);
	if (!rest.n || sv_has_nul(rest))
		return SASL_FAILED;
	x->authzid = sv_dup(authzid);
	x->name = sv_dup(name);
	x->password = sv_dup(rest);
	return SASL_CHECK;
}

enum sasl_result sasl_exchange_step(struct sasl_exchange *x, bool has, struct sv response, struct buf *out)
{
	char *p = NULL;
	size_t n = 0;
	int rc;

	if (x->plain)
		return step_plain(x, has, response);
	if (x->login && has) { /* an initial response of LOGIN answers its first challenge */
		rc = gsasl_step(x->session, NULL, 0, &p, &n);
		gsasl_free(p);
		p = NULL;
		n = 0;
		if (rc != GSASL_NEEDS_MORE)
			return SASL_FAILED;
	}
	x->login = false;
	rc = gsasl_step(x->session, has ? response.p : NULL, has ? response.n : 0, &p, &n);
	if ((rc == GSASL_OK || rc == GSASL_NEEDS_MORE) && n && buf_add(out, p, n))
		rc = GSASL_MECHANISM_PARSE_ERROR;
	gsasl_free(p);
	if (rc == GSASL_NEEDS_MORE)
		return SASL_MORE;
	if (rc != GSASL_OK)
		return SASL_FAILED;
	keep(x->session, GSASL_AUTHID, &x->name);
	keep(x->session, GSASL_AUTHZID, &x->authzid);
	if (!x->checked)
		return SASL_OK;
	keep(x->session, GSASL_PASSWORD, &x->password);
	return SASL_CHECK;
}

struct sv sasl_exchange_name(const struct sasl_exchange *x)
{
	return x->name ? sv_str(x->name) : SV("");
}

struct sv sasl_exchange_authzid(const struct sasl_exchange *x)
{
	return x->authzid ? sv_str(x->authzid) : SV("");
}

struct sv sasl_exchange_password(const struct sasl_exchange *x)
{
	return x->password ? sv_str(x->password) : SV("");
}
