// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/svid.h"

#include <errno.h>
#include <string.h>

#include "daemon/pki/pem.h"
#include "daemon/pki/secret.h"

/* The table of openssl.h has no stacks' functions of their own. */
static void extensions_free(STACK_OF(X509_EXTENSION) * list)
{
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

DEFINE_CLEANUP(X509_REQ *, X509_REQ_free);
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free);
DEFINE_CLEANUP(STACK_OF(X509_EXTENSION) *, extensions_free);

static struct credential_text text_of(const char *s)
{
	return (struct credential_text){ s, strlen(s) };
}

/* ---- names ---- */

static GENERAL_NAME *uri_name(const char *uri)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *text = ASN1_STRING_type_new(V_ASN1_IA5STRING);

	if (!name || !text || !ASN1_STRING_set(text, uri, (int)strlen(uri))) {
		ASN1_STRING_free(text);
		GENERAL_NAME_free(name);
		return NULL;
	}
	GENERAL_NAME_set0_value(name, GEN_URI, text);
	return name;
}

GENERAL_NAMES *svid_names(const char *identity)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *name = names ? uri_name(identity) : NULL;

	if (!name)
		return NULL;
	if (!sk_GENERAL_NAME_push(names, name)) {
		GENERAL_NAME_free(name);
		return NULL;
	}
	return TAKE_PTR(names);
}

bool svid_names_are(const GENERAL_NAMES *names, const char *identity)
{
	const GENERAL_NAME *name;
	size_t len = strlen(identity);

	if (!names || sk_GENERAL_NAME_num(names) != 1)
		return false;
	name = sk_GENERAL_NAME_value(names, 0);
	return name->type == GEN_URI &&
	       (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier) == len &&
	       !memcmp(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), identity, len);
}

char *svid_uri(const GENERAL_NAMES *names)
{
	const GENERAL_NAME *name = names ? sk_GENERAL_NAME_value(names, 0) : NULL;
	char *uri = NULL;

	if (name && name->type == GEN_URI)
		uri = strndup(
			(const char *)ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
			(size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
	if (uri && svid_names_are(names, uri))
		return uri;
	free(uri); /* there are more, or it has a NUL in it */
	return NULL;
}

/* ---- a request ---- */

static bool add_names(X509_REQ *req, const char *identity)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = svid_names(identity);
	_cleanup_(extensions_freep) STACK_OF(X509_EXTENSION) *list = NULL;

	return names &&
	       X509V3_add1_i2d(&list, NID_subject_alt_name, names, 1, X509V3_ADD_DEFAULT) == 1 &&
	       X509_REQ_add_extensions(req, list) == 1;
}

static char *request_text(const char *identity, EVP_PKEY *key)
{
	_cleanup_(X509_REQ_freep) X509_REQ *req = X509_REQ_new();
	_cleanup_(BIO_free_allp) BIO *out = BIO_new(BIO_s_mem());

	if (!req || !out || X509_REQ_set_version(req, X509_REQ_VERSION_1) != 1 ||
	    X509_REQ_set_pubkey(req, key) != 1 || !add_names(req, identity) ||
	    X509_REQ_sign(req, key, EVP_sha256()) <= 0 || PEM_write_bio_X509_REQ(out, req) != 1)
		return NULL;
	return pem_written(out);
}

char *svid_key_text(EVP_PKEY *key)
{
	_cleanup_(BIO_free_allp) BIO *out = BIO_new(BIO_s_mem());

	if (!out || PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) != 1)
		return NULL;
	return pem_written(out);
}

int svid_request(const char *identity, char **key, char **csr)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *pair = NULL;
	char *request, *private;

	if (openssl_load())
		return -EIO;
	secret_dump_no_core();
	pair = EVP_EC_gen("P-256");
	request = pair ? request_text(identity, pair) : NULL;
	private = request ? svid_key_text(pair) : NULL;
	ERR_clear_error();
	if (!private) {
		free(request);
		return -EIO;
	}
	*key = private;
	*csr = request;
	return 0;
}

/* ---- a certificate that has come ---- */

static const char *check(X509 *cert, EVP_PKEY *pair, const char *identity, int64_t now)
{
	_cleanup_(GENERAL_NAMES_freep)
		GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	if (!pair || X509_check_private_key(cert, pair) != 1)
		return "is of another key than was asked for";
	if (!svid_names_are(names, identity))
		return "is of another identity than was asked for";
	if (pem_seconds(X509_get0_notBefore(cert)) > now)
		return "is not valid yet as it comes: the clocks differ";
	if (pem_seconds(X509_get0_notAfter(cert)) <= now)
		return "has expired as it comes: the clocks differ";
	return NULL;
}

const char *svid_check(const char *identity, const char *key, const char *chain, int64_t now,
		       int64_t *not_after)
{
	_cleanup_(BIO_free_allp) BIO *in = NULL;
	_cleanup_(X509_freep) X509 *cert = NULL;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *pair = NULL;
	const char *problem;

	if (openssl_load())
		return "can't be looked at: there is no OpenSSL";
	in = pem_open(text_of(chain));
	cert = in ? pem_certificate(in) : NULL;
	pair = pem_key(text_of(key));
	problem = cert ? check(cert, pair, identity, now) : "can't be read";
	if (!problem)
		*not_after = pem_seconds(X509_get0_notAfter(cert));
	ERR_clear_error();
	return problem;
}
