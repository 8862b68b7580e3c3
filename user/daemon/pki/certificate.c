// SPDX-License-Identifier: Apache-2.0
#include "daemon/pki/certificate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/pki/pem.h"

DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free);

void certificate_facts_free(struct certificate_facts *f)
{
	free(f->subject);
	*f = (struct certificate_facts){ 0 };
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
	out->not_before = pem_seconds(X509_get0_notBefore(cert));
	out->not_after = pem_seconds(X509_get0_notAfter(cert));
}

/* How many certificates `in` has from here on; -1: one that can't be read. */
static int count_certificates(BIO *in)
{
	for (int n = 0;; n++) {
		_cleanup_(X509_freep) X509 *cert = pem_certificate(in);

		if (!cert)
			return pem_at_end() ? n : -1;
	}
}

static int count_lists(BIO *in)
{
	for (int n = 0;; n++) {
		X509_CRL *crl = PEM_read_bio_X509_CRL(in, NULL, pem_no_password, NULL);

		if (!crl)
			return pem_at_end() ? n : -1;
		X509_CRL_free(crl);
	}
}

static const char *check_chain(const struct credential *c, X509 **out)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open(c->chain);

	*out = in ? pem_certificate(in) : NULL;
	if (!*out)
		return pem_at_end() ? "has no certificate" : "has a certificate that can't be read";
	return count_certificates(in) < 0 ? "has a chain that can't be read" : NULL;
}

static const char *check_key(const struct credential *c, const X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open(c->key);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key =
		in ? PEM_read_bio_PrivateKey(in, NULL, pem_no_password, NULL) : NULL;
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
	_cleanup_(BIO_free_allp) BIO *ca = pem_open(c->ca), *crl = pem_open(c->crl);

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
	_cleanup_(X509_freep) X509 *cert = pem_certificate(in);

	if (!cert)
		return 0;
	return (chain ? SSL_CTX_add1_chain_cert(ctx, cert) : SSL_CTX_use_certificate(ctx, cert)) ==
			       1
		       ? 1
		       : -EINVAL;
}

static bool uses_chain(SSL_CTX *ctx, const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open(c->chain);
	int r = in ? use_next(ctx, in, false) : -ENOMEM;

	while (r > 0)
		r = use_next(ctx, in, true);
	return !r;
}

static bool uses_key(SSL_CTX *ctx, const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open(c->key);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key =
		in ? PEM_read_bio_PrivateKey(in, NULL, pem_no_password, NULL) : NULL;

	return key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
}

static bool uses_clients(SSL_CTX *ctx, const struct credential *c)
{
	_cleanup_(BIO_free_allp) BIO *in = c->ca.len ? pem_open(c->ca) : NULL;

	for (;;) {
		_cleanup_(X509_freep) X509 *cert = in ? pem_certificate(in) : NULL;

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
