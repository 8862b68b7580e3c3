// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine/certificate.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/engine/openssl.h"
#include "lib/base/cleanup.h"

DEFINE_CLEANUP(BIO *, BIO_free_all);
DEFINE_CLEANUP(X509 *, X509_free);
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free);
DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free);

void certificate_facts_free(struct certificate_facts *f)
{
	free(f->subject);
	*f = (struct certificate_facts){ 0 };
}

static BIO *open_text(struct credential_text text)
{
	return text.len <= INT_MAX ? BIO_new_mem_buf(text.at, (int)text.len) : NULL;
}

/* Whether the last thing that was read failed only because nothing more is there. */
static bool at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return end;
}

static int64_t seconds(const ASN1_TIME *at)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(at, &tm) ? (int64_t)timegm(&tm) : 0;
}

static char *common_name(const X509 *cert)
{
	char text[256];
	int n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text,
					  sizeof(text));

	return n > 0 ? strndup(text, (size_t)n) : NULL;
}

static char *first_dns_name(X509 *cert)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char *found = NULL;

	for (int i = 0; names && !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			found = strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
					(size_t)ASN1_STRING_length(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	return found;
}

static void take_facts(X509 *cert, struct certificate_facts *out)
{
	out->subject = common_name(cert);
	if (!out->subject)
		out->subject = first_dns_name(cert);
	out->not_before = seconds(X509_get0_notBefore(cert));
	out->not_after = seconds(X509_get0_notAfter(cert));
}

/* One that is encrypted can't be read: there is nobody to ask for a password. */
static int no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

/* How many certificates `in` has from here on; -1: one that can't be read. */
static int count_certificates(BIO *in)
{
	for (int n = 0;; n++) {
		_cleanup_(X509_freep) X509 *cert = PEM_read_bio_X509(in, NULL, no_password, NULL);

		if (!cert)
			return at_end() ? n : -1;
	}
}

static int count_lists(BIO *in)
{
	for (int n = 0;; n++) {
		X509_CRL *crl = PEM_read_bio_X509_CRL(in, NULL, no_password, NULL);

		if (!crl)
			return at_end() ? n : -1;
		X509_CRL_free(crl);
	}
}

static const char *check_chain(const struct credential *c, X509 **out)
{
	_cleanup_(BIO_free_allp) BIO *in = open_text(c->chain);

	*out = in ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;
	if (!*out)
		return at_end() ? "has no certificate" : "has a certificate that can't be read";
	return count_certificates(in) < 0 ? "has a chain that can't be read" : NULL;
}

static const char *check_key(const struct credential *c, const X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *in = open_text(c->key);
	_cleanup_(EVP_PKEY_freep)
		EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;
	bool fits = key && X509_check_private_key(cert, key) == 1;

	ERR_clear_error();
	if (!c->key.len)
		return "has no private key";
	if (!key)
		return "has a private key that can't be read, or is encrypted";
	return fits ? NULL : "has a private key that is not the certificate's";
}

static const char *check_peers(const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *ca = open_text(c->ca), *crl = open_text(c->crl);

	if (c->ca.len && (!ca || count_certificates(ca) < 1))
		return "has a CA of clients' certificates that can't be read";
	if (c->crl.len && (!crl || count_lists(crl) < 1))
		return "has a list of revoked certificates (CRL) that can't be read";
	return NULL;
}

/* ---- what weft-proxy does with it ---- */

/* The certificate that is next, in a context; `chain`: it is one of the chain. 0: there is none. */
static int use_next(SSL_CTX *ctx, BIO *in, bool chain)
{
	_cleanup_(X509_freep) X509 *cert = PEM_read_bio_X509(in, NULL, no_password, NULL);

	if (!cert)
		return 0;
	return (chain ? SSL_CTX_add1_chain_cert(ctx, cert) : SSL_CTX_use_certificate(ctx, cert)) ==
			       1
		       ? 1
		       : -EINVAL;
}

static bool uses_chain(SSL_CTX *ctx, const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *in = open_text(c->chain);
	int r = in ? use_next(ctx, in, false) : -ENOMEM;

	while (r > 0)
		r = use_next(ctx, in, true);
	return !r;
}

static bool uses_key(SSL_CTX *ctx, const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *in = open_text(c->key);
	_cleanup_(EVP_PKEY_freep)
		EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, no_password, NULL) : NULL;

	return key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
}

static bool uses_clients(SSL_CTX *ctx, const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *in = c->ca.len ? open_text(c->ca) : NULL;

	for (;;) {
		_cleanup_(X509_freep)
			X509 *cert = in ? PEM_read_bio_X509(in, NULL, no_password, NULL) : NULL;

		if (!cert)
			return in || !c->ca.len;
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) != 1 ||
		    SSL_CTX_add_client_CA(ctx, cert) != 1)
			return false;
	}
}

/* What can be read is not always taken: OpenSSL's security level asks for keys and signatures of
 * some strength. Servers that take versions before TLS 1.2 have a lower one, and may be refused
 * here what they could use. */
static const char *check_use(const struct credential *c)
{
	_cleanup_(SSL_CTX_freep) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	const char *problem = NULL;

	if (!ctx)
		problem = "can't be looked at: out of memory";
	else if (!uses_chain(ctx, c))
		problem = "has a certificate that OpenSSL does not use: its key or a signature of "
			  "its chain is too weak";
	else if (!uses_key(ctx, c))
		problem = "has a private key that OpenSSL does not use";
	else if (!uses_clients(ctx, c))
		problem = "has a CA of clients' certificates that OpenSSL does not use";
	ERR_clear_error();
	return problem;
}

const char *certificate_check(const struct credential *c, struct certificate_facts *out)
{
	_cleanup_(X509_freep) X509 *cert = NULL;
	const char *problem = NULL;

	if (openssl_load())
		return "can't be looked at: there is no OpenSSL";
	problem = check_chain(c, &cert);
	if (!problem)
		problem = check_key(c, cert);
	if (!problem)
		problem = check_peers(c);
	if (!problem)
		problem = check_use(c);
	if (!problem)
		take_facts(cert, out);
	return problem;
}

const char *certificate_check_client(const struct credential *c, struct certificate_facts *out)
{
	const char *problem;

	if (c->chain.len || c->key.len)
		return certificate_check(c, out);
	if (openssl_load())
		return "can't be looked at: there is no OpenSSL";
	problem = check_peers(c);
	if (!problem && !c->ca.len && !c->crl.len)
		problem = "has neither a certificate nor a CA";
	return problem;
}
