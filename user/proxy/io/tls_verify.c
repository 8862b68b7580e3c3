// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a client's certificate is good: by OpenSSL, then by what the server's rules say of it.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lib/base/cleanup.h"
#include "proxy/io/tls_priv.h"

static void free_names(GENERAL_NAMES *n)
{
	GENERAL_NAMES_free(n);
}

DEFINE_CLEANUP(GENERAL_NAMES *, free_names);

/* ---- names ---- */

/* A wildcard stands for the first label, and all of it. */
static bool host_matches(const char *wanted, const char *name, size_t len)
{
	const char *dot = strchr(wanted, '.');

	if (strlen(wanted) == len && !strncasecmp(wanted, name, len))
		return true;
	return len > 2 && !memcmp(name, "*.", 2) && dot && dot != wanted &&
	       strlen(dot) == len - 1 && !strncasecmp(dot, name + 1, len - 1);
}

static bool text_is(const char *wanted, const ASN1_STRING *s)
{
	return strlen(wanted) == (size_t)ASN1_STRING_length(s) &&
	       !memcmp(wanted, ASN1_STRING_get0_data(s), strlen(wanted));
}

static bool address_is(const char *wanted, const ASN1_STRING *s)
{
	int n = ASN1_STRING_length(s);
	unsigned char a[sizeof(struct in6_addr)];

	if (n != sizeof(struct in_addr) && n != sizeof(struct in6_addr))
		return false;
	return inet_pton(n == sizeof(struct in_addr) ? AF_INET : AF_INET6, wanted, a) == 1 &&
	       !memcmp(a, ASN1_STRING_get0_data(s), (size_t)n);
}

static bool name_is(const char *wanted, const GENERAL_NAME *n)
{
	switch (n->type) {
	case GEN_DNS:
		return host_matches(wanted, (const char *)ASN1_STRING_get0_data(n->d.dNSName),
				    (size_t)ASN1_STRING_length(n->d.dNSName));
	case GEN_URI:
		return text_is(wanted, n->d.uniformResourceIdentifier);
	case GEN_EMAIL:
		return text_is(wanted, n->d.rfc822Name);
	case GEN_IPADD:
		return address_is(wanted, n->d.iPAddress);
	default:
		return false;
	}
}

bool tls_has_name(const X509 *cert, char *const *wanted)
{
	_cleanup_(free_namesp)
		GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
		for (char *const *w = wanted; *w; w++)
			if (name_is(*w, sk_GENERAL_NAME_value(names, i)))
				return true;
	return false;
}

/* ---- identities ---- */

/* Who a workload is: the only URI among the names of a leaf (SPIFFE, X509-SVID 2 and 4). NULL: that
 * is no workload's certificate. */
static const ASN1_STRING *identity_of(X509 *cert, const GENERAL_NAMES *names)
{
	const ASN1_STRING *uri = NULL;
	int uris = 0;

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type != GEN_URI)
			continue;
		uri = n->d.uniformResourceIdentifier;
		uris++;
	}
	return uris == 1 && !X509_check_ca(cert) ? uri : NULL;
}

bool tls_has_identity(X509 *cert, const char *uri)
{
	_cleanup_(free_namesp)
		GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *is = identity_of(cert, names);

	return is && text_is(uri, is);
}

/* A client's. */
static bool is_workloads(const struct tls_context *c, X509 *cert)
{
	_cleanup_(free_namesp)
		GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *is = identity_of(cert, names);

	return is && c->takes_identity((const char *)ASN1_STRING_get0_data(is),
				       (size_t)ASN1_STRING_length(is));
}

/* ---- hashes ---- */

bool tls_certificate_hash(const X509 *cert, char out[2 * TLS_DIGEST + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[TLS_DIGEST];

	if (X509_digest(cert, EVP_sha256(), hash, NULL) != 1)
		return false;
	for (size_t i = 0; i < sizeof(hash); i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[2 * sizeof(hash)] = 0;
	return true;
}

static bool key_hash(const X509 *cert, char out[2 * TLS_DIGEST])
{
	unsigned char hash[TLS_DIGEST], *key = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &key);
	bool good = n > 0 && EVP_Digest(key, (size_t)n, hash, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(key);
	return good && EVP_EncodeBlock((unsigned char *)out, hash, sizeof(hash)) > 0;
}

static bool is_one_of(const char *text, char *const *wanted)
{
	for (; wanted && *wanted; wanted++)
		if (!strcmp(*wanted, text))
			return true;
	return false;
}

/* Either will do, as Envoy has it. */
static bool has_hash(const struct tls_context *c, const X509 *cert)
{
	char text[2 * TLS_DIGEST + 1];

	if (!c->spkis && !c->hashes)
		return true;
	if (c->spkis && key_hash(cert, text) && is_one_of(text, c->spkis))
		return true;
	return c->hashes && tls_certificate_hash(cert, text) && is_one_of(text, c->hashes);
}

int tls_verify(X509_STORE_CTX *x, void *arg)
{
	const struct tls_context *c = arg;
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(x);
	X509 *cert;
	int r;

	X509_VERIFY_PARAM_set_auth_level(param, c->level);
	if (c->takes_identity && X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) != 1)
		return 0;
	r = X509_verify_cert(x);
	if (r <= 0)
		return r;
	cert = X509_STORE_CTX_get0_cert(x);
	/* Either is the alert bad_certificate. */
	if (!has_hash(c, cert))
		X509_STORE_CTX_set_error(x, X509_V_ERR_CERT_REJECTED);
	else if ((c->alt_names && !tls_has_name(cert, c->alt_names)) ||
		 (c->takes_identity && !is_workloads(c, cert)))
		X509_STORE_CTX_set_error(x, X509_V_ERR_HOSTNAME_MISMATCH);
	else
		return 1;
	return 0;
}
