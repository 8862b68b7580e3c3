// SPDX-License-Identifier: Apache-2.0
#include "test_tls_util.h"

#include <criterion/criterion.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DAY = 24 * 3600 };

static long serial = 1;

static void extend(X509 *cert, X509 *by, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, by, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	cr_assert_not_null(e, "%s", value);
	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

struct made_cert cert_make(const char *cn, const char *names, const struct made_cert *by, int days)
{
	struct made_cert c = { X509_new(), EVP_EC_gen("P-256") };
	X509_NAME *subject = X509_get_subject_name(c.cert);

	X509_set_version(c.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.cert), -10L * DAY);
	X509_gmtime_adj(X509_getm_notAfter(c.cert), (long)days * DAY);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
				   0);
	X509_set_issuer_name(c.cert, by ? X509_get_subject_name(by->cert) : subject);
	X509_set_pubkey(c.cert, c.key);
	extend(c.cert, by ? by->cert : c.cert, NID_basic_constraints,
	       by ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (names)
		extend(c.cert, c.cert, NID_subject_alt_name, names);
	cr_assert_gt(X509_sign(c.cert, by ? by->key : c.key, EVP_sha256()), 0);
	return c;
}

void cert_free(struct made_cert *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
}

static char *take(BIO *b)
{
	char *at, *out;
	long n = BIO_get_mem_data(b, &at);

	out = strndup(at, (size_t)n);
	BIO_free(b);
	return out;
}

char *cert_pem(const struct made_cert *c)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_X509(b, c->cert);
	return take(b);
}

char *cert_key_pem(const struct made_cert *c)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(b, c->key, NULL, NULL, 0, NULL, NULL);
	return take(b);
}

char *cert_list_pem(const struct made_cert *by, const struct made_cert *gone)
{
	X509_CRL *list = X509_CRL_new();
	ASN1_TIME *now = ASN1_TIME_adj(NULL, time(NULL), 0, -DAY);
	ASN1_TIME *next = ASN1_TIME_adj(NULL, time(NULL), 1, 0);
	BIO *b = BIO_new(BIO_s_mem());

	X509_CRL_set_version(list, 1);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(by->cert));
	X509_CRL_set1_lastUpdate(list, now);
	X509_CRL_set1_nextUpdate(list, next);
	if (gone) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(gone->cert));
		X509_REVOKED_set_revocationDate(r, now);
		X509_CRL_add0_revoked(list, r);
	}
	cr_assert_gt(X509_CRL_sign(list, by->key, EVP_sha256()), 0);
	PEM_write_bio_X509_CRL(b, list);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	X509_CRL_free(list);
	return take(b);
}

struct tls_text tls_text_of(const char *text)
{
	return (struct tls_text){ text, text ? strlen(text) : 0 };
}

struct tls_settings settings_make(const char *name, const char *chain, const char *key,
				  const char *ca)
{
	return (struct tls_settings){ .name = tls_text_of(name),
				      .chain = tls_text_of(chain),
				      .key = tls_text_of(key),
				      .ca = tls_text_of(ca),
				      .mode = ca ? TLS_MUTUAL : TLS_SIMPLE,
				      .min_version = TLS1_2_VERSION,
				      .max_version = TLS1_3_VERSION };
}

SSL_CTX *client_context(const struct made_cert *ca, const struct made_cert *own)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca->cert);
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	if (own) {
		SSL_CTX_use_certificate(c, own->cert);
		SSL_CTX_use_PrivateKey(c, own->key);
	}
	return c;
}

SSL *client_new(SSL_CTX *c, int fd, const char *name)
{
	SSL *s = SSL_new(c);

	if (name)
		SSL_set_tlsext_host_name(s, name);
	SSL_set_fd(s, fd);
	SSL_set_connect_state(s);
	return s;
}

const char *client_alert(void)
{
	unsigned long e = ERR_peek_last_error();
	int reason = ERR_GET_REASON(e);
	const int required = SSL_AD_CERTIFICATE_REQUIRED + SSL_AD_REASON_OFFSET;

	ERR_clear_error();
	if (reason == required) /* OpenSSL 3.0 has no name for it */
		return "certificate required";
	return reason > SSL_AD_REASON_OFFSET
		       ? SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET)
		       : "";
}
