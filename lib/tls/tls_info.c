/* tls_info.c - what a connection negotiated, in the words of Postfix's log lines. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "tls/tls_priv.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509_vfy.h>

/* "X25519", "ECDHE (P-256)", "DHE (2048 bits)" */
static void describe_kex(EVP_PKEY *key, char *out, size_t max)
{
	char group[24] = "";
	size_t n;

	switch (EVP_PKEY_base_id(key)) {
	case EVP_PKEY_EC:
		if (EVP_PKEY_get_group_name(key, group, sizeof(group), &n)) {
			const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));

			snprintf(out, max, "ECDHE (%s)", nist ? nist : group);
		}
		break;
	case EVP_PKEY_DH: snprintf(out, max, "DHE (%d bits)", EVP_PKEY_get_bits(key)); break;
	default: snprintf(out, max, "%s", OBJ_nid2sn(EVP_PKEY_base_id(key))); break;
	}
}

static void describe_key(EVP_PKEY *key, bool pss, char *out, size_t max)
{
	char group[24] = "";
	size_t n;

	switch (EVP_PKEY_base_id(key)) {
	case EVP_PKEY_EC:
		if (EVP_PKEY_get_group_name(key, group, sizeof(group), &n)) {
			const char *nist = EC_curve_nid2nist(OBJ_sn2nid(group));

			snprintf(out, max, "ECDSA (%s)", nist ? nist : group);
		} else {
			snprintf(out, max, "ECDSA (P-%d)", EVP_PKEY_get_bits(key));
		}
		break;
	case EVP_PKEY_RSA: snprintf(out, max, "%s (%d bits)", pss ? "RSA-PSS" : "RSA", EVP_PKEY_get_bits(key)); break;
	default: snprintf(out, max, "%s", OBJ_nid2sn(EVP_PKEY_base_id(key))); break;
	}
}

static void describe_signature(SSL *ssl, bool server, struct tls_info *out)
{
	X509 *cert = server ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
	EVP_PKEY *key = cert ? X509_get0_pubkey(cert) : NULL;
	int type = 0, md = 0, ok;

	if (!key || SSL_session_reused(ssl))
		return;
	ok = server ? SSL_get_signature_type_nid(ssl, &type) : SSL_get_peer_signature_type_nid(ssl, &type);
	describe_key(key, ok && type == EVP_PKEY_RSA_PSS, out->sig, sizeof(out->sig));
	ok = (server ? SSL_get_signature_nid(ssl, &md) : SSL_get_peer_signature_nid(ssl, &md)) > 0;
	if (ok && md)
		snprintf(out->digest, sizeof(out->digest), "%s", OBJ_nid2sn(md));
}

void tls_info_fill(SSL *ssl, bool server, struct tls_info *out)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	long verify = SSL_get_verify_result(ssl);
	EVP_PKEY *kex = NULL;

	*out = (struct tls_info){.protocol = SSL_get_version(ssl), .cipher = SSL_CIPHER_get_name(cipher)};
	out->bits = SSL_CIPHER_get_bits(cipher, &out->alg_bits);
	out->resumed = SSL_session_reused(ssl);
	if (SSL_get_peer_tmp_key(ssl, &kex)) {
		describe_kex(kex, out->kex, sizeof(out->kex));
		EVP_PKEY_free(kex);
	} else if (SSL_CIPHER_get_kx_nid(cipher) == NID_kx_ecdhe) { /* a TLS 1.2 server does not keep the key */
		int nid = (int)SSL_get_shared_group(ssl, 0);
		const char *nist = EC_curve_nid2nist(nid);

		if (nist)
			snprintf(out->kex, sizeof(out->kex), "ECDHE (%s)", nist);
		else if (nid > 0)
			snprintf(out->kex, sizeof(out->kex), "%s", OBJ_nid2sn(nid));
	}
	describe_signature(ssl, server, out);
	if (sni)
		snprintf(out->servername, sizeof(out->servername), "%s", sni);
	if (!server && verify != X509_V_OK)
		snprintf(out->verify_error, sizeof(out->verify_error), "%s", X509_verify_cert_error_string(verify));
	ERR_clear_error();
}

int tls_info_text(struct buf *out, const struct tls_info *info)
{
	buf_printf(out, "%s with cipher %s (%d/%d bits)", info->protocol, info->cipher, info->bits, info->alg_bits);
	if (info->kex[0])
		buf_printf(out, " key-exchange %s", info->kex);
	if (info->sig[0])
		buf_printf(out, " server-signature %s", info->sig);
	if (info->digest[0])
		buf_printf(out, " server-digest %s", info->digest);
	return out->overflow ? ERR_LIMIT : 0;
}

const char *tls_trust_word(enum tls_trust t)
{
	static const char *const words[] = {"Anonymous", "Untrusted", "Trusted", "Verified"};

	return words[t];
}
