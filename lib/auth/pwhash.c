/* pwhash.c - crypt(3) and SCRAM verifiers. */
#include "auth/pwhash.h"

#include <crypt.h>

#include "base/codec.h"
#include "base/num.h"
#include "crypto/digest.h"
#include "crypto/rng.h"
#include "crypto/secret.h"

int pwhash_make(struct sv password, struct buf *out, struct err *err)
{
	struct crypt_data *data;
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], random[32], *pw;
	const char *hash;
	int r = 0;

	if (password.n > PWHASH_MAX_PASSWORD || sv_has_nul(password))
		return err_set(err, ERR_SYNTAX, "password too long or with a NUL byte");
	rng_bytes(random, sizeof(random));
	if (!crypt_gensalt_rn("$y$", 0, random, sizeof(random), salt, sizeof(salt)))
		return err_sys(err, "crypt_gensalt");
	data = xcalloc(1, sizeof(*data));
	pw = sv_dup(password);
	hash = crypt_rn(pw, salt, data, sizeof(*data));
	if (!hash || *hash != '$' || buf_adds(out, hash))
		r = err_set(err, ERR_TEMP, "crypt(3) failed");
	secret_free(&pw);
	secret_clear(data, sizeof(*data));
	free(data);
	return r;
}

int pwhash_check(struct sv password, struct sv hash)
{
	struct crypt_data *data;
	char *pw, *want;
	const char *got;
	int r = ERR_DENIED;

	if (password.n > PWHASH_MAX_PASSWORD || sv_has_nul(password) || sv_has_nul(hash))
		return ERR_DENIED;
	data = xcalloc(1, sizeof(*data));
	pw = sv_dup(password);
	want = sv_dup(hash);
	got = crypt_rn(pw, want, data, sizeof(*data));
	if (!got || *got == '*')
		r = ERR_UNSUPPORTED;
	else if (secret_equal(sv_str(got), hash))
		r = 0;
	secret_free(&pw);
	free(want);
	secret_clear(data, sizeof(*data));
	free(data);
	return r;
}

void scram_derive(struct sv password, struct scram_verifier *v)
{
	unsigned char salted[SCRAM_KEY], client[SCRAM_KEY];

	pbkdf2(
	    DIGEST_SHA256, password, sv_of((const char *)v->salt, v->salt_len), v->iterations, salted, sizeof(salted));
	hmac(DIGEST_SHA256, sv_of((const char *)salted, sizeof(salted)), SV("Client Key"), client);
	digest(DIGEST_SHA256, sv_of((const char *)client, sizeof(client)), v->stored);
	hmac(DIGEST_SHA256, sv_of((const char *)salted, sizeof(salted)), SV("Server Key"), v->server);
	secret_clear(salted, sizeof(salted));
	secret_clear(client, sizeof(client));
}

int scram_format(const struct scram_verifier *v, struct buf *out)
{
	buf_printf(out, "SCRAM-SHA-256$%u:", v->iterations);
	base64_encode(out, sv_of((const char *)v->salt, v->salt_len));
	buf_addc(out, '$');
	base64_encode(out, sv_of((const char *)v->stored, SCRAM_KEY));
	buf_addc(out, ':');
	base64_encode(out, sv_of((const char *)v->server, SCRAM_KEY));
	return out->overflow ? ERR_LIMIT : 0;
}

static bool decode(struct sv text, size_t min, size_t max, unsigned char *out, size_t *n)
{
	struct buf b = BUF_INIT(max + 2); /* room for what padding takes away */
	bool ok = !base64_decode(&b, text) && b.n >= min && b.n <= max;

	if (ok) {
		memcpy(out, b.p, b.n);
		*n = b.n;
	}
	buf_wipe(&b);
	return ok;
}

int scram_parse(struct sv text, struct scram_verifier *out)
{
	struct sv rest = text, mech = sv_cut(&rest, "$"), iter, salt, stored;
	struct scram_verifier v = {0};
	uint64_t n;
	size_t len;

	if (!rest.p || !sv_eqs(mech, "SCRAM-SHA-256"))
		return ERR_SYNTAX;
	iter = sv_cut(&rest, ":");
	if (!rest.p || num_range(iter, SCRAM_MIN_ITERATIONS, SCRAM_MAX_ITERATIONS, &n))
		return ERR_SYNTAX;
	v.iterations = (uint32_t)n;
	salt = sv_cut(&rest, "$");
	if (!rest.p || !decode(salt, 8, SCRAM_MAX_SALT, v.salt, &v.salt_len))
		return ERR_SYNTAX;
	stored = sv_cut(&rest, ":");
	if (!rest.p || !decode(stored, SCRAM_KEY, SCRAM_KEY, v.stored, &len) ||
	    !decode(rest, SCRAM_KEY, SCRAM_KEY, v.server, &len))
		return ERR_SYNTAX;
	*out = v;
	return 0;
}

void scram_invent(struct sv user, struct sv key, uint32_t iterations, struct scram_verifier *out)
{
	unsigned char mac[DIGEST_MAX];

	hmac(DIGEST_SHA512, key, user, mac);
	*out = (struct scram_verifier){.iterations = iterations, .salt_len = 16};
	memcpy(out->salt, mac, 16);
	rng_bytes(out->stored, SCRAM_KEY); /* no password fits it */
	rng_bytes(out->server, SCRAM_KEY);
}
