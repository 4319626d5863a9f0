/* tls_ctx.c - contexts: versions, ciphers, roots, certificates by server name, session tickets. */
#include "tls/tls_priv.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/buf.h"
#include "base/clock.h"

#define TLS_GROUPS "X25519:P-256:P-384"

int tls_err(struct err *err, int code, const char *what)
{
	unsigned long e = ERR_get_error();
	char text[160] = "no details";

	if (e)
		ERR_error_string_n(e, text, sizeof(text));
	ERR_clear_error();
	return err_set(err, code, "%s: %s", what, text);
}

static int version_of(struct sv name)
{
	static const struct {
		const char *name;
		int version;
	} names[] = {{"SSLv2", 0x0002}, {"SSLv3", SSL3_VERSION}, {"TLSv1", TLS1_VERSION}, {"TLSv1.0", TLS1_VERSION},
	    {"TLSv1.1", TLS1_1_VERSION}, {"TLSv1.2", TLS1_2_VERSION}, {"TLSv1.3", TLS1_3_VERSION}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (sv_ieqs(name, names[i].name))
			return names[i].version;
	}
	return 0;
}

struct version_set {
	int min, max;
	bool listed; /* some version is named without "!" */
	bool want12, want13, not12, not13;
};

static int add_version(struct version_set *v, struct sv tok, struct err *err)
{
	bool ge = sv_starts(tok, SV(">=")), le = sv_starts(tok, SV("<=")), no = sv_starts(tok, SV("!"));
	struct sv name = sv_skip(tok, ge || le ? 2 : no);
	int version = version_of(name);

	if (!version)
		return err_set(err, ERR_SYNTAX, "unknown TLS protocol \"" SV_FMT "\"", SV_ARG(sv_head(tok, 40)));
	if (ge) {
		v->min = version;
	} else if (le) {
		v->max = version;
	} else if (no) {
		v->not12 |= version == TLS1_2_VERSION;
		v->not13 |= version == TLS1_3_VERSION;
	} else {
		v->listed = true;
		v->want12 |= version == TLS1_2_VERSION;
		v->want13 |= version == TLS1_3_VERSION;
	}
	return 0;
}

int tls_protocols_parse(const char *text, int *min, int *max, struct err *err)
{
	struct version_set v = {.min = TLS1_2_VERSION, .max = TLS1_3_VERSION};
	struct sv rest = sv_str(text ? text : ""), tok;

	while (sv_token(&rest, " \t\r\n,:", &tok)) {
		if (add_version(&v, tok, err))
			return ERR_SYNTAX;
	}
	if (v.min < TLS1_2_VERSION)
		v.min = TLS1_2_VERSION; /* RFC 8996: older versions are not spoken */
	if (v.not12 || (v.listed && !v.want12))
		v.min = TLS1_3_VERSION;
	if (v.not13 || (v.listed && !v.want13))
		v.max = TLS1_2_VERSION < v.max ? TLS1_2_VERSION : v.max;
	if (v.max < v.min)
		return err_set(err, ERR_SYNTAX, "no TLS protocol of \"%.60s\" can be used", text);
	*min = v.min;
	*max = v.max;
	return 0;
}

static int cipher_string(const struct tls_conf *conf, bool server, struct buf *out, struct err *err)
{
	static const struct {
		const char *grade, *text;
	} grades[] = {{"high", "HIGH:!aNULL:!eNULL:@STRENGTH"}, {"medium", "HIGH:MEDIUM:!aNULL:!eNULL:@STRENGTH"},
	    {"low", "HIGH:MEDIUM:!aNULL:!eNULL:@STRENGTH"}, {"export", "HIGH:MEDIUM:!aNULL:!eNULL:@STRENGTH"}};
	struct sv rest = sv_str(conf->exclude ? conf->exclude : ""), tok;
	const char *grade = conf->ciphers && *conf->ciphers ? conf->ciphers : "medium", *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(grades); i++) {
		if (sv_ieqs(sv_str(grade), grades[i].grade))
			text = grades[i].text;
	}
	if (!text)
		return err_set(err, ERR_SYNTAX, "unknown TLS cipher grade \"%.40s\"", grade);
	buf_adds(out, text);
	if (server)
		buf_adds(out, ":!kRSA"); /* the key is elsewhere and only signs */
	while (sv_token(&rest, " \t\r\n,:", &tok))
		buf_printf(out, ":!" SV_FMT, SV_ARG(tok));
	return out->overflow ? err_set(err, ERR_LIMIT, "TLS cipher list too long") : 0;
}

static int ssl_ctx_new(const struct tls_conf *conf, bool server, SSL_CTX **out, struct err *err)
{
	CLEANUP(buf_freep) struct buf ciphers = BUF_INIT(4096);
	SSL_CTX *ssl;
	int min, max;

	if (tls_protocols_parse(conf->protocols, &min, &max, err) || cipher_string(conf, server, &ciphers, err))
		return ERR_SYNTAX;
	ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (!ssl)
		return tls_err(err, ERR_TEMP, "TLS context");
	SSL_CTX_set_min_proto_version(ssl, min);
	SSL_CTX_set_max_proto_version(ssl, max);
	SSL_CTX_set_options(ssl,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_SINGLE_ECDH_USE);
	if (conf->prefer_server)
		SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(
	    ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (!SSL_CTX_set_cipher_list(ssl, buf_cstr(&ciphers)) || !SSL_CTX_set1_groups_list(ssl, TLS_GROUPS)) {
		SSL_CTX_free(ssl);
		return tls_err(err, ERR_SYNTAX, "TLS ciphers");
	}
	*out = ssl;
	return 0;
}

static struct tls_site *add_site(struct tls_ctx *ctx, SSL_CTX *ssl, struct sv names)
{
	struct tls_site *site;

	ctx->sites = xreallocarray(ctx->sites, ctx->nsites + 1, sizeof(*ctx->sites));
	site = &ctx->sites[ctx->nsites++];
	*site = (struct tls_site){.ssl = ssl, .names = sv_dup(names)};
	SSL_CTX_set_app_data(ssl, ctx);
	return site;
}

static struct tls_ctx *ctx_new(void)
{
	struct tls_ctx *ctx = xcalloc(1, sizeof(*ctx));

	ctx->refs = 1;
	return ctx;
}

struct tls_ctx *tls_ctx_ref(struct tls_ctx *ctx)
{
	ctx->refs++;
	return ctx;
}

void tls_ctx_unref(struct tls_ctx **pctx)
{
	struct tls_ctx *ctx = *pctx;

	*pctx = NULL;
	if (!ctx || --ctx->refs)
		return;
	for (size_t i = 0; i < ctx->nsites; i++) {
		SSL_CTX_free(ctx->sites[i].ssl);
		free(ctx->sites[i].names);
	}
	free(ctx->sites);
	tls_key_clear(ctx);
	OPENSSL_cleanse(&ctx->tickets, sizeof(ctx->tickets));
	free(ctx);
}

int tls_ctx_client(const struct tls_conf *conf, struct tls_ctx **out, struct err *err)
{
	const char *file = conf->ca_file && *conf->ca_file ? conf->ca_file : NULL;
	const char *path = conf->ca_path && *conf->ca_path ? conf->ca_path : NULL;
	struct tls_ctx *ctx;
	SSL_CTX *ssl = NULL;
	int r;

	r = ssl_ctx_new(conf, false, &ssl, err);
	if (r)
		return r;
	if ((file && !SSL_CTX_load_verify_file(ssl, file)) || (path && !SSL_CTX_load_verify_dir(ssl, path))) {
		tls_err(err, ERR_SYS, "loading trusted certificates");
		SSL_CTX_free(ssl);
		return ERR_SYS;
	}
	if (conf->system_roots)
		SSL_CTX_set_default_verify_paths(ssl);
	ERR_clear_error();
	ctx = ctx_new();
	add_site(ctx, ssl, SV(""));
	*out = ctx;
	return 0;
}

/* RFC 6125: the wildcard stands for the whole leftmost label. */
static bool name_matches(struct sv pattern, struct sv host)
{
	ssize_t dot;

	if (sv_ieq(pattern, host))
		return true;
	if (!sv_starts(pattern, SV("*.")))
		return false;
	dot = sv_chr(host, '.');
	return dot > 0 && sv_ieq(sv_skip(pattern, 1), sv_skip(host, (size_t)dot));
}

static struct tls_site *site_for(struct tls_ctx *ctx, struct sv host)
{
	for (size_t i = 0; i < ctx->nsites; i++) {
		struct sv rest = sv_str(ctx->sites[i].names), name;

		while (sv_token(&rest, " ", &name)) {
			if (name_matches(name, host))
				return &ctx->sites[i];
		}
	}
	return NULL;
}

static int on_servername(SSL *ssl, int *alert, void *arg)
{
	struct tls_ctx *ctx = arg;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct tls_site *site = host ? site_for(ctx, sv_str(host)) : NULL;

	(void)alert;
	if (!site)
		return SSL_TLSEXT_ERR_OK; /* mail servers go on with the default: the client decides */
	SSL_set_SSL_CTX(ssl, site->ssl);
	return SSL_TLSEXT_ERR_OK;
}

static const struct kd_ticket *ticket_by_name(const struct kd_tickets *t, const unsigned char *name, size_t *at)
{
	for (*at = 0; *at < t->n; ++*at) {
		if (!memcmp(t->keys[*at].name, name, KD_TICKET_NAME))
			return &t->keys[*at];
	}
	return NULL;
}

/* 1 go on, 2 go on and give a new ticket, 0 ticket not known, -1 error (as OpenSSL wants it). */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cctx,
    EVP_MAC_CTX *hctx, int enc)
{
	struct tls_ctx *ctx = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	const struct kd_ticket *k = NULL;
	OSSL_PARAM params[3];
	size_t at = 0;

	if (!ctx || !ctx->tickets.n)
		return enc ? -1 : 0;
	if (enc) {
		k = &ctx->tickets.keys[0];
		memcpy(name, k->name, KD_TICKET_NAME);
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
			return -1;
	} else {
		k = ticket_by_name(&ctx->tickets, name, &at);
		if (!k || k->expires < clock_wall())
			return 0;
	}
	params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->hmac, KD_TICKET_KEY);
	params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "sha256", 0);
	params[2] = OSSL_PARAM_construct_end();
	if (!EVP_CipherInit_ex(cctx, EVP_aes_256_cbc(), NULL, k->aes, iv, enc) || !EVP_MAC_CTX_set_params(hctx, params))
		return -1;
	return enc || at == 0 ? 1 : 2;
}

void tls_ctx_tickets(struct tls_ctx *ctx, const struct kd_tickets *tickets)
{
	ctx->tickets = *tickets;
	for (size_t i = 0; i < ctx->nsites; i++) {
		SSL_CTX *ssl = ctx->sites[i].ssl;

		if (tickets->n)
			SSL_CTX_clear_options(ssl, SSL_OP_NO_TICKET);
		else
			SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ssl, tickets->n ? 1 : 0);
	}
}

static int load_chain(SSL_CTX *ssl, struct sv pem, X509 **leaf, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = bio ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
	int r = 0;

	if (!x || !SSL_CTX_use_certificate(ssl, x)) {
		X509_free(x);
		BIO_free(bio);
		return tls_err(err, ERR_SYNTAX, "certificate");
	}
	*leaf = x;
	SSL_CTX_clear_chain_certs(ssl);
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		if (!SSL_CTX_add0_chain_cert(ssl, x)) {
			X509_free(x);
			r = tls_err(err, ERR_SYNTAX, "certificate chain");
			break;
		}
	}
	ERR_clear_error(); /* the end of the text is reported as an error */
	BIO_free(bio);
	return r;
}

static int load_cert(struct tls_ctx *ctx, struct tls_site *site, const struct kd_cert *cert, struct err *err)
{
	EVP_PKEY *key = NULL;
	X509 *leaf = NULL;
	int r = load_chain(site->ssl, cert->chain, &leaf, err);

	if (!r) {
		key = tls_key_new(ctx, leaf, cert->key, err);
		if (!key)
			r = ERR_UNSUPPORTED;
		else if (!SSL_CTX_use_PrivateKey(site->ssl, key))
			r = tls_err(err, ERR_SYNTAX, "private key handle");
		else if (EVP_PKEY_base_id(key) == EVP_PKEY_RSA)
			site->has_rsa = true;
		else
			site->has_ec = true;
	}
	EVP_PKEY_free(key);
	X509_free(leaf);
	return r;
}

static int new_site(
    struct tls_ctx *ctx, const struct tls_conf *conf, struct sv names, struct tls_site **out, struct err *err)
{
	struct sv id = sv_head(sv_str(conf->session_id ? conf->session_id : ""), SSL_MAX_SID_CTX_LENGTH);
	SSL_CTX *ssl;
	int r = ssl_ctx_new(conf, true, &ssl, err);

	if (r)
		return r;
	SSL_CTX_set_mode(ssl, SSL_MODE_ASYNC);
	SSL_CTX_set_session_id_context(
	    ssl, (const unsigned char *)(id.n ? id.p : "merpati"), id.n ? (unsigned)id.n : 7);
	SSL_CTX_set_tlsext_servername_callback(ssl, on_servername);
	SSL_CTX_set_tlsext_servername_arg(ssl, ctx);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
	*out = add_site(ctx, ssl, names);
	return 0;
}

/* Which site a certificate belongs to: one of the same names, else a new one. */
static int site_of_cert(struct tls_ctx *ctx, const struct tls_conf *conf, const struct kd_cert *cert,
    struct tls_site **out, struct err *err)
{
	for (size_t i = 0; i < ctx->nsites; i++) {
		if (sv_ieqs(cert->names, ctx->sites[i].names)) {
			*out = &ctx->sites[i];
			return 0;
		}
	}
	return new_site(ctx, conf, cert->names, out, err);
}

int tls_ctx_server(const struct tls_conf *conf, const struct kd_certs *certs, struct tls_signer *signer,
    struct tls_ctx **out, struct err *err)
{
	struct tls_ctx *ctx = ctx_new();
	size_t used = 0;
	int r = 0;

	ctx->signer = signer;
	ctx->generation = certs->generation;
	for (size_t i = 0; i < certs->n; i++) {
		struct tls_site *site;

		r = site_of_cert(ctx, conf, &certs->certs[i], &site, err);
		if (r)
			break;
		r = load_cert(ctx, site, &certs->certs[i], err);
		if (!r)
			used++;
	}
	/* the default answers every client: where its own certificate cannot be used, another stands in */
	for (size_t i = 0; used && i < certs->n && !ctx->sites[0].has_rsa && !ctx->sites[0].has_ec; i++)
		load_cert(ctx, &ctx->sites[0], &certs->certs[i], NULL);
	if (!used) {
		tls_ctx_unref(&ctx);
		return r ? ERR_NOT_FOUND : err_set(err, ERR_NOT_FOUND, "no certificate");
	}
	tls_ctx_tickets(ctx, &(struct kd_tickets){.n = 0});
	*out = ctx;
	return 0;
}
