// SPDX-License-Identifier: Apache-2.0
/*
 * A server's certificate, key and rules -> an SSL_CTX.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/base/cleanup.h"
#include "proxy/io/tls.h"
#include "proxy/io/tls_priv.h"

/* As Envoy has it, without what offers no forward secrecy. */
static const char default_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
				      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
				      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
/* Of TLS 1.3, likewise: AES-128 costs less, and is no weaker than the key exchange. */
static const char suites[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

DEFINE_CLEANUP(BIO *, BIO_free_all);
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
DEFINE_CLEANUP(X509 *, X509_free);
DEFINE_CLEANUP(struct tls_context *, tls_context_unref);

/* ---- PEM ---- */

/* There is nobody to ask for a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *open_text(struct tls_text t)
{
	return t.len <= INT32_MAX ? BIO_new_mem_buf(t.len ? t.at : "", (int)t.len) : NULL;
}

/* The next certificate: 1; 0: there is none, which is no error; -EINVAL. */
static int next_certificate(BIO *from, X509 **out)
{
	unsigned long e;

	*out = PEM_read_bio_X509(from, NULL, no_passphrase, NULL);
	if (*out)
		return 1;
	e = ERR_peek_last_error();
	ERR_clear_error();
	if (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
		return 0;
	return -EINVAL;
}

int tls_take_chain(SSL_CTX *ctx, struct tls_text pem)
{
	_cleanup_(BIO_free_allp) BIO *from = open_text(pem);
	size_t n = 0;
	int r = from ? 1 : -ENOMEM;

	while (r > 0) {
		_cleanup_(X509_freep) X509 *cert = NULL;

		r = next_certificate(from, &cert);
		if (r > 0 && (n++ ? SSL_CTX_add1_chain_cert(ctx, cert)
				  : SSL_CTX_use_certificate(ctx, cert)) != 1)
			r = -EINVAL;
	}
	return r ? r : n ? 0 : -EINVAL;
}

int tls_take_key(SSL_CTX *ctx, struct tls_text pem)
{
	_cleanup_(BIO_free_allp) BIO *from = open_text(pem);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;

	if (!from)
		return -ENOMEM;
	key = PEM_read_bio_PrivateKey(from, NULL, no_passphrase, NULL);
	if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return -EINVAL;
	return 0;
}

int tls_take_authorities(SSL_CTX *ctx, struct tls_text pem, bool tell)
{
	_cleanup_(BIO_free_allp) BIO *from = open_text(pem);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	size_t n = 0;
	int r = from ? 1 : -ENOMEM;

	while (r > 0) {
		_cleanup_(X509_freep) X509 *cert = NULL;

		r = next_certificate(from, &cert);
		if (r > 0 && (X509_STORE_add_cert(store, cert) != 1 ||
			      (tell && SSL_CTX_add_client_CA(ctx, cert) != 1)))
			r = -EINVAL;
		n += r > 0;
	}
	return r ? r : n ? 0 : -EINVAL;
}

/* As Envoy: where there are lists, each authority of a chain must have one. */
int tls_take_lists(SSL_CTX *ctx, struct tls_text pem)
{
	_cleanup_(BIO_free_allp) BIO *from = open_text(pem);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	size_t n = 0;
	X509_CRL *list;
	int r = from ? 0 : -ENOMEM;

	while (!r && (list = PEM_read_bio_X509_CRL(from, NULL, no_passphrase, NULL))) {
		r = X509_STORE_add_crl(store, list) == 1 ? 0 : -EINVAL;
		X509_CRL_free(list);
		n++;
	}
	if (!r && (!n || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		r = -EINVAL;
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return r;
}

/* ---- what a client's certificate must have ---- */

void tls_free_texts(char **texts)
{
	for (size_t i = 0; texts && texts[i]; i++)
		free(texts[i]);
	free(texts);
}

char **tls_copy_texts(const struct tls_texts *from)
{
	char **to = from->count ? calloc(from->count + 1, sizeof(*to)) : NULL;

	for (size_t i = 0; to && i < from->count; i++) {
		to[i] = strndup(from->items[i].at, from->items[i].len);
		if (!to[i]) {
			tls_free_texts(to);
			return NULL;
		}
	}
	return to;
}

static int take_rules(struct tls_context *c, const struct tls_settings *s)
{
	c->alt_names = tls_copy_texts(&s->alt_names);
	c->spkis = tls_copy_texts(&s->spkis);
	c->hashes = tls_copy_texts(&s->hashes);
	return (s->alt_names.count && !c->alt_names) || (s->spkis.count && !c->spkis) ||
			       (s->hashes.count && !c->hashes)
		       ? -ENOMEM
		       : 0;
}

/* ---- which sessions are the server's ---- */

static bool digest_text(EVP_MD_CTX *md, struct tls_text t)
{
	uint64_t n = t.len;

	return EVP_DigestUpdate(md, &n, sizeof(n)) == 1 && EVP_DigestUpdate(md, t.at, t.len) == 1;
}

static bool digest_texts(EVP_MD_CTX *md, const struct tls_texts *t)
{
	uint64_t n = t->count;
	bool good = EVP_DigestUpdate(md, &n, sizeof(n)) == 1;

	for (size_t i = 0; good && i < t->count; i++)
		good = digest_text(md, t->items[i]);
	return good;
}

/* A client that is resumed is not checked again: everything that it was checked by is in here. Nor
 * does it see a certificate: what it has seen is in here, too. */
static int identify(struct tls_context *c, const struct tls_settings *s)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint32_t mode = s->mode;
	bool good = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(md, &mode, sizeof(mode)) == 1 && digest_text(md, s->name) &&
		    digest_text(md, s->chain) && digest_text(md, s->ca) &&
		    digest_text(md, s->crl) && digest_texts(md, &s->alt_names) &&
		    digest_texts(md, &s->spkis) && digest_texts(md, &s->hashes) &&
		    EVP_DigestFinal_ex(md, c->session_id, NULL) == 1;

	EVP_MD_CTX_free(md);
	return good ? 0 : -ENOMEM;
}

/* ---- all of it ---- */

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
			   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	/* A client that speaks none of them is told so (RFC 7301 3.2). */
	return SSL_select_next_proto((unsigned char **)out, n, ours, sizeof(ours) - 1, in,
				     in_len) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* "istio-peer-exchange" is none to agree on: its client would send what it knows of itself before
 * all else. One that offers nothing better is answered without any. */
static int select_mesh(SSL *ssl, const unsigned char **out, unsigned char *n,
		       const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x0eistio-http/1.1\x05istio";

	(void)ssl;
	(void)arg;
	return SSL_select_next_proto((unsigned char **)out, n, ours, sizeof(ours) - 1, in,
				     in_len) == OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_NOACK;
}

int tls_take_ciphers(SSL_CTX *ctx, struct tls_text list)
{
	_cleanup_free_ char *text = list.len ? strndup(list.at, list.len) : strdup(default_ciphers);

	if (!text)
		return -ENOMEM;
	return SSL_CTX_set_cipher_list(ctx, text) == 1 && SSL_CTX_set_ciphersuites(ctx, suites) == 1
		       ? 0
		       : -EINVAL;
}

/* Versions before TLS 1.2 sign with SHA-1, which OpenSSL does on its lowest level only. Clients'
 * certificates are none the weaker for it: tls_verify() keeps the level. */
static void take_level(struct tls_context *c)
{
	c->level = SSL_CTX_get_security_level(c->ssl);
	if (c->min_version < TLS1_2_VERSION)
		SSL_CTX_set_security_level(c->ssl, 0);
}

static int take_clients(struct tls_context *c, const struct tls_settings *s, const char **why)
{
	int r = 0;

	if (s->mode == TLS_SIMPLE)
		return 0;
	*why = "the certificates of the clients' authorities";
	r = tls_take_authorities(c->ssl, s->ca, true);
	/* An authority that another one has signed may be given without that one, as Envoy has it.
	 */
	X509_STORE_set_flags(SSL_CTX_get_cert_store(c->ssl), X509_V_FLAG_PARTIAL_CHAIN);
	if (!r && s->crl.len) {
		*why = "the revocation lists";
		r = tls_take_lists(c->ssl, s->crl);
	}
	SSL_CTX_set_cert_verify_callback(c->ssl, tls_verify, c);
	return r ? r : take_rules(c, s);
}

static int fill(struct tls_context *c, const struct tls_settings *s, const char **why)
{
	int r;

	take_level(c);
	*why = "the cipher suites";
	r = tls_take_ciphers(c->ssl, s->ciphers);
	if (!r) {
		*why = "the certificate chain";
		r = tls_take_chain(c->ssl, s->chain);
	}
	if (!r) {
		*why = "the key";
		r = tls_take_key(c->ssl, s->key);
	}
	if (!r)
		r = take_clients(c, s, why);
	return r ? r : identify(c, s);
}

int tls_context_new(const struct tls_base *b, const struct tls_settings *s,
		    struct tls_context **out, const char **why)
{
	_cleanup_(tls_context_unrefp) struct tls_context *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->mode = s->mode;
	c->min_version = s->min_version;
	c->max_version = s->max_version;
	c->takes_identity = s->takes_identity;
	c->ssl = SSL_CTX_new(TLS_server_method());
	if (!c->ssl)
		return -ENOMEM;
	SSL_CTX_set_app_data(c->ssl, (void *)b);
	if (s->takes_identity)
		SSL_CTX_set_alpn_select_cb(c->ssl, select_mesh, NULL);
	else if (!s->opaque)
		SSL_CTX_set_alpn_select_cb(c->ssl, select_protocol, NULL);
	r = fill(c, s, why);
	ERR_clear_error();
	if (!r)
		*out = TAKE_PTR(c);
	return r;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void tls_context_unref(struct tls_context *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	SSL_CTX_free(c->ssl);
	tls_free_texts(c->alt_names);
	tls_free_texts(c->spkis);
	tls_free_texts(c->hashes);
	free(c);
}

int tls_context_use(struct tls_context *c, SSL *ssl)
{
	int verify = c->mode == TLS_SIMPLE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;

	if (c->mode == TLS_MUTUAL)
		verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_set_verify(ssl, verify, NULL);
	if (c->min_version < TLS1_2_VERSION)
		SSL_set_security_level(ssl, 0);
	return SSL_set_SSL_CTX(ssl, c->ssl) &&
			       SSL_set_min_proto_version(ssl, c->min_version) == 1 &&
			       SSL_set_max_proto_version(ssl, c->max_version) == 1 &&
			       SSL_set_session_id_context(ssl, c->session_id,
							  sizeof(c->session_id)) == 1
		       ? 0
		       : -ENOMEM;
}
