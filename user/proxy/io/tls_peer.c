// SPDX-License-Identifier: Apache-2.0
/*
 * What x-forwarded-client-cert and the access log say of a client's certificate.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lib/base/cleanup.h"
#include "proxy/io/tls_priv.h"

static void free_names(GENERAL_NAMES *n)
{
	GENERAL_NAMES_free(n);
}

DEFINE_CLEANUP(BIO *, BIO_free_all);
DEFINE_CLEANUP(GENERAL_NAMES *, free_names);

/* What has been written to `b`, from the byte `from` on. NULL: no memory. */
static char *text_of(BIO *b, size_t from)
{
	char *at;
	size_t n = (size_t)BIO_get_mem_data(b, &at);

	return n >= from ? strndup(n ? at + from : "", n - from) : NULL;
}

static bool put(BIO *to, const char *text)
{
	return BIO_puts(to, text) == (int)strlen(text);
}

static bool put_coded(BIO *to, const unsigned char *at, size_t n, const char *coded)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < n; i++) {
		const char hex[] = { '%', digits[at[i] >> 4], digits[at[i] & 15] };
		bool code = at[i] <= ' ' || at[i] >= 0x7f || strchr(coded, at[i]);

		if (BIO_write(to, code ? hex : (const char *)&at[i], code ? 3 : 1) <= 0)
			return false;
	}
	return true;
}

/* NAME=VALUE for each name of that type; what would end the value is %-coded: a client may have had
 * a certificate made with any text in it. How many there were, or -1. */
static int put_names(BIO *to, const X509 *cert, int type, const char *name)
{
	_cleanup_(free_namesp) GENERAL_NAMES *names =
		cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
	int count = 0;

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *s = n->type == type ? n->d.ia5 : NULL;

		if (!s)
			continue;
		if (!put(to, name) || !put_coded(to, ASN1_STRING_get0_data(s),
						 (size_t)ASN1_STRING_length(s), ";,\"\\"))
			return -1;
		count++;
	}
	return count;
}

/* As Envoy codes it. */
static bool put_certificate(BIO *to, X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *pem = BIO_new(BIO_s_mem());
	unsigned char *at;
	long n;

	if (!pem || PEM_write_bio_X509(pem, cert) != 1)
		return false;
	n = BIO_get_mem_data(pem, &at);
	return put(to, ";Cert=\"") && put_coded(to, at, (size_t)n, "+/=\"") && put(to, "\"");
}

/* By and Hash are Envoy's, the rest is what Istio sets: Cert (gateways alone), Subject, URI, DNS.
 * Each with a `;` before it. */
static bool put_element(BIO *to, SSL *ssl, X509 *cert, const char *subject, bool whole)
{
	char hash[2 * TLS_DIGEST + 1];
	int uris;

	if (put_names(to, SSL_get_certificate(ssl), GEN_URI, ";By=") < 0 ||
	    !tls_certificate_hash(cert, hash) || !put(to, ";Hash=") || !put(to, hash) ||
	    (whole && !put_certificate(to, cert)) || !put(to, ";Subject=\"") || !put(to, subject) ||
	    !put(to, "\""))
		return false;
	uris = put_names(to, cert, GEN_URI, ";URI=");
	return uris >= 0 && (uris || put(to, ";URI=")) &&
	       put_names(to, cert, GEN_DNS, ";DNS=") >= 0;
}

/* Control characters and all beyond ASCII are escaped. */
static char *subject_of(X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *to = BIO_new(BIO_s_mem());

	if (!to || X509_NAME_print_ex(to, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) < 0)
		return NULL;
	return text_of(to, 0);
}

static char *uris_of(X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *to = BIO_new(BIO_s_mem());
	int n = to ? put_names(to, cert, GEN_URI, ",") : -1;

	return n < 0 ? NULL : text_of(to, n > 0);
}

static int describe(SSL *ssl, X509 *cert, bool whole, struct tls_peer *out)
{
	_cleanup_(BIO_free_allp) BIO *to = BIO_new(BIO_s_mem());

	out->subject = subject_of(cert);
	out->uris = uris_of(cert);
	if (!to || !out->subject || !out->uris || !put_element(to, ssl, cert, out->subject, whole))
		return -ENOMEM;
	out->appended = text_of(to, 0);
	if (!out->appended)
		return -ENOMEM;
	*out->appended = ',';
	out->forwarded = out->appended + 1;
	out->forwarded_len = strlen(out->forwarded);
	return 0;
}

int tls_peer_read(SSL *ssl, bool whole, struct tls_peer *out)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	struct tls_peer p = { 0 };
	int r = cert ? describe(ssl, cert, whole, &p) : 0;

	ERR_clear_error();
	if (r)
		tls_peer_free(&p);
	else
		*out = p;
	return r;
}

void tls_peer_free(struct tls_peer *p)
{
	free(p->subject);
	free(p->uris);
	free(p->appended);
	*p = (struct tls_peer){ 0 };
}
