// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/ca.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/identity/svid.h"
#include "daemon/pki/pem.h"
#include "daemon/pki/secret.h"
#include "lib/base/table.h"
#include "lib/route/workload.h"

enum { SERIAL_BYTES = 16, RSA_MIN_BITS = 2048, DAY_S = 86400 };

struct certificates {
	TABLE(X509 *) list;
};

struct ca {
	struct certificates chain; /* its own first */
	EVP_PKEY *key;
	char *subject, *above, *roots; /* `above`: what clients are sent of the chain */
	unsigned root_count;
	int64_t not_after;
};

static void extensions_free(STACK_OF(X509_EXTENSION) * list)
{
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}

DEFINE_CLEANUP(X509_REQ *, X509_REQ_free);
DEFINE_CLEANUP(X509_STORE *, X509_STORE_free);
DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free);
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free);
DEFINE_CLEANUP(STACK_OF(X509_EXTENSION) *, extensions_free);

static int wrong(char problem[CA_PROBLEM_MAX], const char *what)
{
	snprintf(problem, CA_PROBLEM_MAX, "%s", what);
	return -EINVAL;
}

/* ---- certificates ---- */

static void certificates_free(struct certificates *c)
{
	for (size_t i = 0; i < c->list.count; i++)
		X509_free(c->list.items[i]);
	free(c->list.items);
}

/* All of a text. 0; -EINVAL: there is none, or one that can't be read; -ENOMEM. */
static int certificates_read(struct certificates *c, struct credential_text text)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open(text);

	for (;;) {
		_cleanup_(X509_freep) X509 *cert = in ? pem_certificate(in) : NULL;
		X509 **at = cert ? table_push(&c->list) : NULL;

		if (!cert)
			return in && pem_at_end() && c->list.count ? 0 : -EINVAL;
		if (!at)
			return -ENOMEM;
		*at = TAKE_PTR(cert);
	}
}

/* PEM, the caller's. NULL when out of memory. */
static char *certificate_text(X509 *cert)
{
	_cleanup_(BIO_free_allp) BIO *out = BIO_new(BIO_s_mem());

	return out && PEM_write_bio_X509(out, cert) == 1 ? pem_written(out) : NULL;
}

/* Roots are known to who believes them: they are not sent. */
static char *text_above(const struct certificates *chain)
{
	char *text = strdup("");

	for (size_t i = 0; text && i < chain->list.count; i++) {
		_cleanup_free_ char *before = text, *one = NULL;

		if (X509_self_signed(chain->list.items[i], 0) == 1) {
			before = NULL;
			continue;
		}
		one = certificate_text(chain->list.items[i]);
		if (!one || asprintf(&text, "%s%s", before, one) < 0)
			text = NULL;
	}
	return text;
}

static char *subject_text(const X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	char text[CA_PROBLEM_MAX];

	if (X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text)) <= 0)
		X509_NAME_oneline(name, text, sizeof(text));
	return strdup(text);
}

/* ---- a CA ---- */

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	certificates_free(&ca->chain);
	EVP_PKEY_free(ca->key);
	free(ca->subject);
	free(ca->above);
	free(ca->roots);
	free(ca);
}

DEFINE_CLEANUP(struct ca *, ca_free);

static X509 *own(const struct ca *ca)
{
	return ca->chain.list.items[0];
}

/* 1: a CA by its basic constraints, with the right to sign certificates. */
static int check_pair(const struct ca *ca, char problem[CA_PROBLEM_MAX])
{
	if (X509_check_ca(own(ca)) != 1)
		return wrong(problem, "is no CA's certificate (basicConstraints, keyUsage)");
	if (X509_check_private_key(own(ca), ca->key) != 1)
		return wrong(problem, "has a private key that is not the certificate's");
	return 0;
}

/* As those who believe the roots will check it. */
static int check_path(const struct ca *ca, const struct certificates *roots, int64_t now,
		      char problem[CA_PROBLEM_MAX])
{
	_cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();
	_cleanup_(X509_STORE_CTX_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *rest = sk_X509_new_null();
	int ok = store && ctx && rest;

	for (size_t i = 0; ok && i < roots->list.count; i++)
		ok = X509_STORE_add_cert(store, roots->list.items[i]) == 1;
	for (size_t i = 1; ok && i < ca->chain.list.count; i++)
		ok = sk_X509_push(rest, ca->chain.list.items[i]) > 0;
	ok = ok && X509_STORE_CTX_init(ctx, store, own(ca), rest) == 1;
	if (!ok) {
		sk_X509_free(rest);
		return -ENOMEM;
	}
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
	ok = X509_verify_cert(ctx) == 1;
	sk_X509_free(rest);
	if (ok)
		return 0;
	snprintf(problem, CA_PROBLEM_MAX, "does not lead to a root that is believed: %s",
		 X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	return -EINVAL;
}

static int take_roots(struct ca *ca, struct credential_text text, struct certificates *roots,
		      char problem[CA_PROBLEM_MAX])
{
	X509 **at;
	int r;

	if (text.len) {
		r = certificates_read(roots, text);
		ca->roots = strndup(text.at, text.len);
		if (r == -EINVAL)
			return wrong(problem, "has roots that can't be read");
	} else {
		at = table_push(&roots->list);
		r = at ? 0 : -ENOMEM;
		if (at) {
			*at = ca->chain.list.items[ca->chain.list.count - 1];
			X509_up_ref(*at);
			ca->roots = certificate_text(*at);
		}
	}
	ca->root_count = (unsigned)roots->list.count;
	return r ? r : ca->roots ? 0 : -ENOMEM;
}

static void take_end(struct ca *ca)
{
	for (size_t i = 0; i < ca->chain.list.count; i++) {
		int64_t end = pem_seconds(X509_get0_notAfter(ca->chain.list.items[i]));

		if (!i || end < ca->not_after)
			ca->not_after = end;
	}
}

static int read_pair(struct ca *ca, struct credential_text chain, struct credential_text key,
		     char problem[CA_PROBLEM_MAX])
{
	int r = certificates_read(&ca->chain, chain);

	if (r)
		return r == -EINVAL ? wrong(problem, "has a certificate that can't be read") : r;
	ca->key = pem_key(key);
	if (!ca->key)
		return wrong(problem, "has a private key that can't be read, or is encrypted");
	return check_pair(ca, problem);
}

int ca_read(struct credential_text chain, struct credential_text key, struct credential_text roots,
	    int64_t now, struct ca **out, char problem[CA_PROBLEM_MAX])
{
	_cleanup_(ca_freep) struct ca *ca = calloc(1, sizeof(*ca));
	_cleanup_(certificates_free) struct certificates believed = { 0 };
	int r = ca ? 0 : -ENOMEM;

	if (!r && openssl_load())
		return wrong(problem, "can't be looked at: there is no OpenSSL");
	secret_dump_no_core();
	if (!r)
		r = read_pair(ca, chain, key, problem);
	if (!r)
		r = take_roots(ca, roots, &believed, problem);
	if (!r)
		r = check_path(ca, &believed, now, problem);
	ERR_clear_error();
	if (r)
		return r;
	take_end(ca);
	ca->subject = subject_text(own(ca));
	ca->above = text_above(&ca->chain);
	if (!ca->subject || !ca->above)
		return -ENOMEM;
	*out = TAKE_PTR(ca);
	return 0;
}

struct ca_facts ca_facts(const struct ca *ca)
{
	return (struct ca_facts){ ca->subject, ca->not_after, ca->roots, ca->root_count };
}

int ca_last_root(const char *roots, char **subject, int64_t *not_after)
{
	_cleanup_(certificates_free) struct certificates list = { 0 };
	const X509 *last = NULL;
	int r = openssl_load();

	if (!r)
		r = certificates_read(&list, (struct credential_text){ roots, strlen(roots) });
	if (r)
		return r == -ENOMEM ? r : -EINVAL;
	for (size_t i = 0; i < list.list.count; i++) {
		int64_t end = pem_seconds(X509_get0_notAfter(list.list.items[i]));

		if (last && end <= *not_after)
			continue;
		last = list.list.items[i];
		*not_after = end;
	}
	*subject = subject_text(last);
	return *subject ? 0 : -ENOMEM;
}

/* However they were written. */
static bool is_among(const struct certificates *list, const char *text)
{
	bool found = false;

	for (size_t i = 0; !found && i < list->list.count; i++) {
		_cleanup_free_ char *one = certificate_text(list->list.items[i]);

		found = one && !strcmp(one, text);
	}
	return found;
}

/* Behind `text`, unless it has expired or is there. */
static int add_root(struct certificates *list, char **text, X509 *cert, int64_t now)
{
	_cleanup_free_ char *one = certificate_text(cert), *before = NULL;
	X509 **at;

	if (!one)
		return -ENOMEM;
	if (pem_seconds(X509_get0_notAfter(cert)) <= now || is_among(list, one))
		return 0;
	at = table_push(&list->list);
	if (!at)
		return -ENOMEM;
	X509_up_ref(cert);
	*at = cert;
	before = *text;
	if (asprintf(text, "%s%s%s", before, before[strlen(before) - 1] == '\n' ? "" : "\n", one) >=
	    0)
		return 0;
	*text = NULL;
	return -ENOMEM;
}

int ca_add_roots(const char *roots, const char *more, int64_t now, size_t most, char **out)
{
	_cleanup_(certificates_free) struct certificates list = { 0 }, others = { 0 };
	_cleanup_free_ char *text = strdup(roots);
	int r = openssl_load();

	if (!r)
		r = certificates_read(&list, (struct credential_text){ roots, strlen(roots) });
	if (r || !text)
		return r == -ENOMEM || !text ? -ENOMEM : -EINVAL;
	if (certificates_read(&others, (struct credential_text){ more, strlen(more) }) == 0)
		for (size_t i = 0; !r && i < others.list.count && list.list.count < most; i++)
			r = add_root(&list, &text, others.list.items[i], now);
	ERR_clear_error();
	if (!r)
		*out = TAKE_PTR(text);
	return r;
}

/* ---- a request ---- */

static bool is_key_good(const EVP_PKEY *key)
{
	char group[32] = "";

	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= RSA_MIN_BITS;
	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       (!strcmp(group, "prime256v1") || !strcmp(group, "P-256"));
}

static char *requested(X509_REQ *req)
{
	_cleanup_(extensions_freep) STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(req);
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names =
		list ? X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL) : NULL;

	return svid_uri(names);
}

static bool asks_for(X509_REQ *req, const char *identity)
{
	_cleanup_free_ char *uri = requested(req);

	return uri && !strcmp(uri, identity);
}

static int check_request(X509_REQ *req, const char *identity, char problem[CA_PROBLEM_MAX])
{
	struct authz_text ns, account;
	EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;

	if (identity_parse(identity, strlen(identity), &ns, &account))
		return wrong(problem, "is for no identity of this trust domain");
	if (!key)
		return wrong(problem, "can't be read");
	if (!is_key_good(key))
		return wrong(problem, "has a key that is neither P-256 nor RSA of 2048 bits");
	if (X509_REQ_verify(req, key) != 1)
		return wrong(problem, "is not signed with its own key");
	if (!asks_for(req, identity))
		return wrong(problem, "asks for other names than its identity alone");
	return 0;
}

/* ---- a certificate ---- */

/* No two of one CA are alike (RFC 5280, 4.1.2.2). */
static bool set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return false;
	bytes[0] |= 1; /* no zeros in front */
	return ASN1_STRING_set(X509_get_serialNumber(cert), bytes, sizeof(bytes)) == 1;
}

static bool set_times(X509 *cert, const struct ca *ca, unsigned ttl_s, int64_t now)
{
	int64_t end = now + ttl_s;

	if (end > ca->not_after)
		end = ca->not_after;
	return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now - CA_CLOCK_SKEW_S)) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)end);
}

static bool add_extension(X509 *cert, X509 *by, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx(&ctx, by, cert, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = e && X509_add_ext(cert, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool add_extensions(X509 *cert, X509 *by, const char *identity)
{
	static const struct {
		int nid;
		const char *value;
	} rows[] = {
		{ NID_basic_constraints, "critical,CA:FALSE" },
		{ NID_key_usage, "critical,digitalSignature" },
		{ NID_ext_key_usage, "serverAuth,clientAuth" },
		{ NID_subject_key_identifier, "hash" },
		{ NID_authority_key_identifier, "keyid" },
	};
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = svid_names(identity);
	bool ok = names &&
		  X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 1, X509V3_ADD_DEFAULT) == 1;

	for (size_t i = 0; ok && i < sizeof(rows) / sizeof(*rows); i++)
		ok = add_extension(cert, by, rows[i].nid, rows[i].value);
	return ok;
}

/* Ed25519 has a digest of its own. */
static bool sign(X509 *cert, EVP_PKEY *key)
{
	const EVP_MD *md =
		EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256();

	return X509_sign(cert, key, md) > 0;
}

static X509 *make(const struct ca *ca, X509_REQ *req, const char *identity, unsigned ttl_s,
		  int64_t now)
{
	_cleanup_(X509_freep) X509 *cert = X509_new();

	if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 || !set_serial(cert) ||
	    X509_set_issuer_name(cert, X509_get_subject_name(own(ca))) != 1 ||
	    !set_times(cert, ca, ttl_s, now) ||
	    X509_set_pubkey(cert, X509_REQ_get0_pubkey(req)) != 1 ||
	    !add_extensions(cert, own(ca), identity) || !sign(cert, ca->key))
		return NULL;
	return TAKE_PTR(cert);
}

static X509_REQ *read_request(const char *csr)
{
	_cleanup_(BIO_free_allp) BIO *in = pem_open((struct credential_text){ csr, strlen(csr) });

	return in ? PEM_read_bio_X509_REQ(in, NULL, pem_no_password, NULL) : NULL;
}

char *ca_requested(const char *csr)
{
	_cleanup_(X509_REQ_freep) X509_REQ *req = openssl_load() ? NULL : read_request(csr);
	char *uri = req ? requested(req) : NULL;

	if (!uri)
		ERR_clear_error();
	return uri;
}

int ca_sign(const struct ca *ca, const char *csr, const char *identity, unsigned ttl_s, int64_t now,
	    char **chain, char problem[CA_PROBLEM_MAX])
{
	_cleanup_(X509_REQ_freep) X509_REQ *req = read_request(csr);
	_cleanup_(X509_freep) X509 *cert = NULL;
	_cleanup_free_ char *text = NULL;
	int r = check_request(req, identity, problem);

	if (!r && now >= ca->not_after)
		r = wrong(problem, "can't be signed: the CA has expired");
	if (!r)
		cert = make(ca, req, identity, ttl_s, now);
	text = cert ? certificate_text(cert) : NULL;
	ERR_clear_error();
	if (r || !text)
		return r ? r : -EIO;
	return asprintf(chain, "%s%s", text, ca->above) < 0 ? -ENOMEM : 0;
}

/* ---- a new one ---- */

static X509_NAME *root_name(const char *name)
{
	X509_NAME *n = X509_NAME_new();

	if (n && X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
					    -1, 0) == 1)
		return n;
	X509_NAME_free(n);
	return NULL;
}

static bool add_root_extensions(X509 *cert)
{
	return add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_extension(cert, cert, NID_subject_key_identifier, "hash");
}

static X509 *make_root(const char *name, unsigned days, int64_t now, EVP_PKEY *key)
{
	_cleanup_(X509_freep) X509 *cert = X509_new();
	X509_NAME *n = root_name(name);
	bool ok = cert && n && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
		  X509_set_subject_name(cert, n) == 1 && X509_set_issuer_name(cert, n) == 1;

	X509_NAME_free(n);
	ok = ok && ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now - CA_CLOCK_SKEW_S)) &&
	     ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(now + (int64_t)days * DAY_S)) &&
	     X509_set_pubkey(cert, key) == 1 && add_root_extensions(cert) && sign(cert, key);
	return ok ? TAKE_PTR(cert) : NULL;
}

int ca_make(const char *name, unsigned days, int64_t now, char **cert, char **key)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *pair = NULL;
	_cleanup_(X509_freep) X509 *root = NULL;
	_cleanup_free_ char *text = NULL;

	if (openssl_load())
		return -EIO;
	secret_dump_no_core();
	pair = EVP_EC_gen("P-256");
	root = pair ? make_root(name, days, now, pair) : NULL;
	text = root ? certificate_text(root) : NULL;
	*key = text ? svid_key_text(pair) : NULL;
	ERR_clear_error();
	if (!*key)
		return -EIO;
	*cert = TAKE_PTR(text);
	return 0;
}
