// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates for mutual TLS: what a CA signs and what it refuses, when they are renewed, a CA in
 * files that changes, and what weft-proxy is given of them.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "daemon/engine/credential_keeper.h"
#include "daemon/identity/ca.h"
#include "daemon/identity/file_signer.h"
#include "daemon/identity/identity_warnings.h"
#include "daemon/pki/secret.h"
#include "daemon/supervisor/supervisor_priv.h"
#include "lib/base/cleanup.h"
#include "lib/l7/build.h"
#include "lib/model/remarks.h"
#include "lib/route/workload.h"
#include "test_tls_util.h"

/* Of daemon/identity/svid.h, which has OpenSSL's functions loaded late; here they are linked. */
int svid_request(const char *identity, char **key, char **csr);

enum { HOUR = 3600, DAY = 24 * HOUR };

#define SHOP "spiffe://cluster.local/ns/shop/sa/cart"
#define BANK "spiffe://cluster.local/ns/bank/sa/default"

DEFINE_CLEANUP(struct ca *, ca_free);
DEFINE_CLEANUP(X509 *, X509_free);
DEFINE_CLEANUP(X509_REQ *, X509_REQ_free);
DEFINE_CLEANUP(struct identities *, identities_close);
DEFINE_CLEANUP(struct file_signer *, file_signer_close);
DEFINE_CLEANUP(struct event_loop *, event_loop_close);
DEFINE_CLEANUP(struct credentials *, credentials_close);

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

static struct credential_text text(const char *s)
{
	return (struct credential_text){ s, s ? strlen(s) : 0 };
}

static int64_t seconds(const ASN1_TIME *at)
{
	struct tm tm = { 0 };

	cr_assert(ASN1_TIME_to_tm(at, &tm));
	return (int64_t)timegm(&tm);
}

/* ---- authorities ---- */

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

/* `by` NULL: a root. `usage` NULL: none. */
static struct made_cert make_ca(const char *cn, const struct made_cert *by, int64_t seconds_left,
				const char *usage)
{
	struct made_cert c = { X509_new(), EVP_EC_gen("P-256") };
	X509_NAME *subject = X509_get_subject_name(c.cert);

	X509_set_version(c.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.cert), by ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(c.cert), -10L * DAY);
	X509_gmtime_adj(X509_getm_notAfter(c.cert), (long)seconds_left);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
				   0);
	X509_set_issuer_name(c.cert, by ? X509_get_subject_name(by->cert) : subject);
	X509_set_pubkey(c.cert, c.key);
	extend(c.cert, c.cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(c.cert, c.cert, NID_subject_key_identifier, "hash");
	if (usage)
		extend(c.cert, c.cert, NID_key_usage, usage);
	cr_assert_gt(X509_sign(c.cert, by ? by->key : c.key, EVP_sha256()), 0);
	return c;
}

/* A CA of that certificate, and what leads from it to a root. */
static int read_ca(const struct made_cert *own, const struct made_cert *above,
		   const struct made_cert *roots, struct ca **out, char problem[CA_PROBLEM_MAX])
{
	_cleanup_free_ char *cert = cert_pem(own), *key = cert_key_pem(own), *chain = NULL,
			    *more = above ? cert_pem(above) : strdup(""),
			    *root = roots ? cert_pem(roots) : NULL;

	cr_assert(asprintf(&chain, "%s%s", cert, more) > 0);
	problem[0] = '\0';
	return ca_read(text(chain), text(key), text(root), now(), out, problem);
}

static struct ca *open_ca(const struct made_cert *own, const struct made_cert *above)
{
	char problem[CA_PROBLEM_MAX];
	struct ca *ca = NULL;

	cr_assert_eq(read_ca(own, above, NULL, &ca, problem), 0, "%s", problem);
	return ca;
}

static X509 *first_of(const char *chain)
{
	BIO *in = BIO_new_mem_buf(chain, -1);
	X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);

	BIO_free(in);
	cr_assert_not_null(cert, "%s", chain);
	return cert;
}

static int count_of(const char *chain)
{
	int n = 0;

	for (const char *at = chain; (at = strstr(at, "BEGIN CERTIFICATE")); at++)
		n++;
	return n;
}

/* ---- what is signed ---- */

static void expect_names(X509 *cert, const char *identity)
{
	int critical = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
	const GENERAL_NAME *name;

	cr_assert_not_null(names);
	cr_assert_eq(sk_GENERAL_NAME_num(names), 1);
	name = sk_GENERAL_NAME_value(names, 0);
	cr_expect_eq(name->type, GEN_URI);
	cr_expect_eq(ASN1_STRING_length(name->d.uniformResourceIdentifier), (int)strlen(identity));
	cr_expect(!memcmp(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), identity,
			  strlen(identity)));
	cr_expect_eq(critical, 1, "without a subject the names are critical");
	cr_expect_eq(X509_NAME_entry_count(X509_get_subject_name(cert)), 0);
	GENERAL_NAMES_free(names);
}

static bool leads_to(X509 *cert, X509 *between, X509 *root)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *rest = sk_X509_new_null();
	bool ok;

	X509_STORE_add_cert(store, root);
	if (between)
		sk_X509_push(rest, between);
	X509_STORE_CTX_init(ctx, store, cert, rest);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT);
	ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_cleanup(ctx);
	X509_STORE_CTX_init(ctx, store, cert, rest);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
	ok = ok && X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(rest);
	return ok;
}

Test(identity, a_certificate_is_as_spiffe_has_them)
{
	struct made_cert root = make_ca("root", NULL, 90 * DAY, NULL),
			 middle = make_ca("middle", &root, 30 * DAY, "critical,keyCertSign");
	_cleanup_(ca_freep) struct ca *ca = open_ca(&middle, &root);
	_cleanup_free_ char *key = NULL, *csr = NULL, *chain = NULL, *again = NULL;
	_cleanup_(X509_freep) X509 *cert = NULL, *second = NULL;
	char problem[CA_PROBLEM_MAX] = "";
	int64_t at = now();

	cr_assert_eq(svid_request(SHOP, &key, &csr), 0);
	cr_assert_eq(ca_sign(ca, csr, SHOP, HOUR, at, &chain, problem), 0, "%s", problem);
	cr_assert_eq(ca_sign(ca, csr, SHOP, HOUR, at, &again, problem), 0, "%s", problem);
	cert = first_of(chain);
	second = first_of(again);
	expect_names(cert, SHOP);
	cr_expect_eq(X509_get_version(cert), 2);
	cr_expect(leads_to(cert, middle.cert, root.cert));
	cr_expect(!leads_to(cert, NULL, root.cert));
	/* The one between is sent, the root is not. */
	cr_expect_eq(count_of(chain), 2);
	cr_expect_eq(seconds(X509_get0_notBefore(cert)), at - CA_CLOCK_SKEW_S);
	cr_expect_eq(seconds(X509_get0_notAfter(cert)), at + HOUR);
	cr_expect_eq(X509_check_ca(cert), 0);
	cr_expect_eq(X509_get_key_usage(cert), KU_DIGITAL_SIGNATURE);
	cr_expect_eq(X509_get_extended_key_usage(cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	cr_expect_not_null(X509_get0_authority_key_id(cert));
	cr_expect_geq(ASN1_STRING_length(X509_get_serialNumber(cert)), 15);
	cr_expect_neq(ASN1_INTEGER_cmp(X509_get_serialNumber(cert), X509_get_serialNumber(second)),
		      0);
	cert_free(&middle);
	cert_free(&root);
}

Test(identity, no_certificate_outlives_its_ca)
{
	struct made_cert root = make_ca("root", NULL, 10 * HOUR, NULL),
			 middle = make_ca("middle", &root, 90 * DAY, NULL);
	_cleanup_(ca_freep) struct ca *ca = open_ca(&middle, &root);
	_cleanup_free_ char *key = NULL, *csr = NULL, *chain = NULL, *late = NULL;
	_cleanup_(X509_freep) X509 *cert = NULL;
	char problem[CA_PROBLEM_MAX] = "";

	cr_assert_eq(svid_request(SHOP, &key, &csr), 0);
	cr_assert_eq(ca_sign(ca, csr, SHOP, DAY, now(), &chain, problem), 0, "%s", problem);
	cert = first_of(chain);
	cr_expect_eq(seconds(X509_get0_notAfter(cert)), seconds(X509_get0_notAfter(root.cert)));
	cr_expect_eq(ca_facts(ca).not_after, seconds(X509_get0_notAfter(root.cert)));
	cr_expect_eq(ca_sign(ca, csr, SHOP, DAY, now() + 11 * HOUR, &late, problem), -EINVAL);
	cr_expect(strstr(problem, "has expired"), "%s", problem);
	cert_free(&middle);
	cert_free(&root);
}

/* A request for `names` (OpenSSL's words; NULL: none) by `key`, which is taken over. `forged`: with
 * another key's signature. */
static char *request(const char *names, EVP_PKEY *key, bool forged)
{
	_cleanup_(X509_REQ_freep) X509_REQ *req = X509_REQ_new();
	EVP_PKEY *other = forged ? EVP_EC_gen("P-256") : NULL;
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	BIO *out = BIO_new(BIO_s_mem());
	char *at, *pem;
	long n;

	X509_REQ_set_pubkey(req, key);
	if (names)
		sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
								 names));
	X509_REQ_add_extensions(req, list);
	cr_assert_gt(X509_REQ_sign(req, other ? other : key, EVP_sha256()), 0);
	PEM_write_bio_X509_REQ(out, req);
	n = BIO_get_mem_data(out, &at);
	pem = strndup(at, (size_t)n);
	BIO_free(out);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	return pem;
}

static EVP_PKEY *p256(void)
{
	return EVP_EC_gen("P-256");
}

static EVP_PKEY *p384(void)
{
	return EVP_EC_gen("P-384");
}

static EVP_PKEY *rsa_small(void)
{
	return EVP_RSA_gen(1024);
}

static EVP_PKEY *rsa(void)
{
	return EVP_RSA_gen(2048);
}

Test(identity, a_request_is_for_its_identity_alone)
{
	static const struct {
		const char *names, *identity;
		EVP_PKEY *(*key)(void);
		bool forged;
		const char *problem; /* NULL: it is signed */
	} rows[] = {
		{ "URI:" SHOP, SHOP, p256, false, NULL },
		{ "URI:" SHOP, SHOP, rsa, false, NULL },
		{ "URI:" BANK, SHOP, p256, false, "asks for other names" },
		{ "URI:" SHOP ",URI:" BANK, SHOP, p256, false, "asks for other names" },
		{ "URI:" SHOP ",DNS:shop.example.com", SHOP, p256, false, "asks for other names" },
		{ "DNS:" SHOP, SHOP, p256, false, "asks for other names" },
		{ "URI:" SHOP "2", SHOP, p256, false, "asks for other names" },
		{ NULL, SHOP, p256, false, "asks for other names" },
		{ "URI:" SHOP, SHOP, p256, true, "is not signed with its own key" },
		{ "URI:" SHOP, SHOP, p384, false, "neither P-256 nor RSA" },
		{ "URI:" SHOP, SHOP, rsa_small, false, "neither P-256 nor RSA" },
		{ "URI:spiffe://other.example/ns/a/sa/b", "spiffe://other.example/ns/a/sa/b", p256,
		  false, "no identity of this trust domain" },
		{ "URI:spiffe://cluster.local/ns/a", "spiffe://cluster.local/ns/a", p256, false,
		  "no identity of this trust domain" },
	};
	struct made_cert root = make_ca("root", NULL, 90 * DAY, NULL);
	_cleanup_(ca_freep) struct ca *ca = open_ca(&root, NULL);

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_free_ char *csr = request(rows[i].names, rows[i].key(), rows[i].forged),
				    *chain = NULL;
		char problem[CA_PROBLEM_MAX] = "";
		int r = ca_sign(ca, csr, rows[i].identity, HOUR, now(), &chain, problem);

		cr_expect_eq(r, rows[i].problem ? -EINVAL : 0, "%zu: %s", i, problem);
		cr_expect(strstr(problem, rows[i].problem ? rows[i].problem : ""), "%zu: %s", i,
			  problem);
		if (!rows[i].problem) {
			_cleanup_(X509_freep) X509 *cert = first_of(chain);

			cr_expect_eq(count_of(chain), 1, "a root is not sent");
			expect_names(cert, SHOP);
		}
	}
	cert_free(&root);
}

Test(identity, what_is_no_ca_is_told)
{
	struct made_cert root = make_ca("root", NULL, 90 * DAY, NULL),
			 other = make_ca("other", NULL, 90 * DAY, NULL),
			 middle = make_ca("middle", &root, 90 * DAY, NULL),
			 leaf = cert_make("leaf", "DNS:a", &root, 90),
			 usage = make_ca("usage", NULL, 90 * DAY, "critical,digitalSignature"),
			 old = make_ca("old", NULL, -DAY, NULL);
	struct made_cert swapped = { root.cert, other.key };
	_cleanup_free_ char *cert = cert_pem(&root), *key = cert_key_pem(&root);
	char problem[CA_PROBLEM_MAX];
	struct ca *ca = NULL;

	cr_expect_eq(read_ca(&leaf, &root, NULL, &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "is no CA's certificate"), "%s", problem);
	cr_expect_eq(read_ca(&usage, NULL, NULL, &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "is no CA's certificate"), "%s", problem);
	cr_expect_eq(read_ca(&swapped, NULL, NULL, &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "private key that is not the certificate's"), "%s", problem);
	cr_expect_eq(read_ca(&middle, NULL, NULL, &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "does not lead to a root"), "%s", problem);
	cr_expect_eq(read_ca(&middle, &root, &other, &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "does not lead to a root"), "%s", problem);
	cr_expect_eq(read_ca(&old, NULL, NULL, &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "certificate has expired"), "%s", problem);
	cr_expect_eq(ca_read(text(cert), text("no key"), text(""), now(), &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "private key that can't be read"), "%s", problem);
	cr_expect_eq(ca_read(text("nothing"), text(key), text(""), now(), &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "certificate that can't be read"), "%s", problem);
	cr_expect_eq(ca_read(text(cert), text(key), text("nothing"), now(), &ca, problem), -EINVAL);
	cr_expect(strstr(problem, "roots that can't be read"), "%s", problem);
	cr_expect_null(ca);
	cr_expect_eq(read_ca(&middle, NULL, &root, &ca, problem), 0, "%s", problem);
	cr_expect_str_eq(ca_facts(ca).subject, "middle");
	cr_expect_eq(ca_facts(ca).root_count, 1);
	ca_free(ca);
	cert_free(&root);
	cert_free(&other);
	cert_free(&middle);
	cert_free(&leaf);
	cert_free(&usage);
	cert_free(&old);
}

/* ---- renewals ---- */

enum { REQUESTS = 32 };

/* A CA that answers when the test has it answer. */
struct slow_signer {
	struct identity_signer signer; /* first */
	struct ca *ca;
	unsigned count;
	struct {
		char *identity, *csr;
		unsigned long number;
	} asked[REQUESTS];
};

static int note_request(struct identity_signer *s, const char *identity, const char *csr,
			unsigned long number)
{
	struct slow_signer *slow = (struct slow_signer *)s;

	cr_assert_lt(slow->count, REQUESTS);
	slow->asked[slow->count].identity = strdup(identity);
	slow->asked[slow->count].csr = strdup(csr);
	slow->asked[slow->count++].number = number;
	return 0;
}

static void tell_ca(const struct identity_signer *s, struct identity_ca *out)
{
	const struct slow_signer *slow = (const struct slow_signer *)s;
	struct ca_facts facts = ca_facts(slow->ca);

	*out = (struct identity_ca){ "a test", facts.subject, facts.not_after, NULL };
}

struct bench {
	struct made_cert root;
	struct slow_signer slow;
	struct event_loop *loop;
	struct identities *ids;
	uint64_t ms;
	int64_t s;
	unsigned changes;
};

static void count_change(void *arg)
{
	((struct bench *)arg)->changes++;
}

static void bench_open(struct bench *b)
{
	*b = (struct bench){ .root = make_ca("root", NULL, 90 * DAY, NULL), .s = now() };
	b->slow = (struct slow_signer){ .signer = { note_request, tell_ca },
					.ca = open_ca(&b->root, NULL) };
	cr_assert_eq(event_loop_open(&b->loop), 0);
	cr_assert_eq(identities_open(b->loop, &b->ids), 0);
	identities_clock(b->ids, b->ms, b->s);
	identities_sign_by(b->ids, &b->slow.signer);
	identities_watch(b->ids, count_change, b);
	cr_assert_eq(identities_trust(b->ids, ca_facts(b->slow.ca).roots), 0);
}

static void bench_close(struct bench *b)
{
	identities_close(b->ids);
	event_loop_close(b->loop);
	for (unsigned i = 0; i < b->slow.count; i++) {
		free(b->slow.asked[i].identity);
		free(b->slow.asked[i].csr);
	}
	ca_free(b->slow.ca);
	cert_free(&b->root);
}

/* So many seconds later. Returns after how many ms there is something to do again. */
static unsigned pass(struct bench *b, unsigned seconds_passed)
{
	b->s += seconds_passed;
	b->ms += seconds_passed * UINT64_C(1000);
	identities_clock(b->ids, b->ms, b->s);
	return identities_turn(b->ids);
}

/* The last request but `back`, for so long; `problem`: or not. */
static void answer(struct bench *b, unsigned back, unsigned ttl_s, const char *problem)
{
	unsigned i = b->slow.count - 1 - back;
	_cleanup_free_ char *chain = NULL;
	char why[CA_PROBLEM_MAX] = "";

	if (!problem)
		cr_assert_eq(ca_sign(b->slow.ca, b->slow.asked[i].csr, b->slow.asked[i].identity,
				     ttl_s, b->s, &chain, why),
			     0, "%s", why);
	identities_signed(b->ids, b->slow.asked[i].number, chain, problem);
}

static void want_one(struct bench *b)
{
	static const char *const one[] = { SHOP };

	cr_assert_eq(identities_want(b->ids, one, 1), 0);
}

static const char *problem_of(struct bench *b, const char *identity)
{
	const char *problem = "";
	struct credential c;

	return identities_find(b->ids, identity, &c, &problem) ? "" : problem;
}

static char *chain_of(struct bench *b, const char *identity)
{
	const char *problem = "";
	struct credential c;

	cr_assert(identities_find(b->ids, identity, &c, &problem), "%s", problem);
	cr_expect(c.key.len && c.ca.len);
	return strndup(c.chain.at, c.chain.len);
}

Test(identity, a_certificate_is_renewed_after_half_of_its_time_with_another_key)
{
	_cleanup_free_ char *first = NULL, *second = NULL, *still = NULL;
	struct bench b;

	bench_open(&b);
	want_one(&b);
	cr_assert_eq(b.slow.count, 1);
	cr_expect_str_eq(problem_of(&b, SHOP), "there is no certificate yet");
	cr_expect(identities_pending(b.ids));
	answer(&b, 0, 1000, NULL);
	cr_expect(!identities_pending(b.ids));
	first = chain_of(&b, SHOP);
	pass(&b, 0);
	cr_expect_eq(b.changes, 1);
	pass(&b, 499);
	cr_expect_eq(b.slow.count, 1, "before half of its time");
	pass(&b, 52);
	cr_assert_eq(b.slow.count, 2, "after half of its time");
	cr_expect_str_neq(b.slow.asked[0].csr, b.slow.asked[1].csr, "of the same key");
	still = chain_of(&b, SHOP);
	cr_expect_str_eq(still, first);
	answer(&b, 0, 1000, NULL);
	second = chain_of(&b, SHOP);
	cr_expect_str_neq(second, first);
	pass(&b, 0);
	cr_expect_eq(b.changes, 2);
	/* It is asked again only when it is time to. */
	cr_expect_leq(pass(&b, 480), 60000);
	cr_expect_eq(b.slow.count, 2);
	bench_close(&b);
}

Test(identity, one_that_is_not_renewed_is_used_until_its_end)
{
	struct identities_state state;
	unsigned asked;
	struct bench b;

	bench_open(&b);
	want_one(&b);
	answer(&b, 0, 1000, NULL);
	pass(&b, 560);
	cr_assert_eq(b.slow.count, 2);
	answer(&b, 0, 0, "the CA is away");
	cr_expect_str_eq(problem_of(&b, SHOP), "");
	identities_tell(b.ids, &state);
	cr_expect_str_eq(state.problem, "the CA is away");
	cr_expect(state.good == 1 && state.signed_count == 1 && state.failed_count == 1);
	/* Again and again, later each time. */
	pass(&b, 0);
	cr_expect_eq(b.slow.count, 2, "at once");
	for (asked = 0; asked < 6; asked++) {
		pass(&b, 16u << asked > 60 ? 60 : 16u << asked);
		cr_expect_eq(b.slow.count, 3 + asked, "%u", asked);
		answer(&b, 0, 0, "the CA is away");
	}
	pass(&b, 1);
	cr_expect_eq(b.slow.count, 8, "after 1 s, the 7th time");
	b.changes = 0;
	pass(&b, 400);
	cr_expect_str_eq(problem_of(&b, SHOP), "the CA is away");
	cr_expect_geq(b.changes, 1, "it is not taken out of use");
	cr_assert_eq(b.slow.count, 9);
	answer(&b, 0, 1000, NULL);
	cr_expect_str_eq(problem_of(&b, SHOP), "");
	bench_close(&b);
}

/* Another request would stay with the API server as well. */
Test(identity, an_answer_that_is_late_is_waited_for_and_nothing_else_asked)
{
	struct bench b;

	bench_open(&b);
	want_one(&b);
	pass(&b, 29);
	cr_expect_eq(b.slow.count, 1);
	cr_expect(!identities_pending(b.ids), "others are to wait no longer");
	pass(&b, 2);
	cr_expect_str_eq(problem_of(&b, SHOP), "there is no answer from the CA");
	for (int i = 0; i < 60; i++)
		cr_expect_geq(pass(&b, 60), 1000, "it is looked at all the time");
	cr_assert_eq(b.slow.count, 1);
	cr_expect(identities_wait_for(b.ids, b.slow.asked[0].number));
	answer(&b, 0, 1000, NULL);
	cr_expect_str_eq(problem_of(&b, SHOP), "");
	cr_expect(!identities_wait_for(b.ids, b.slow.asked[0].number));
	bench_close(&b);
}

Test(identity, what_is_denied_is_asked_for_ever_more_seldom)
{
	struct bench b;
	unsigned asked;

	bench_open(&b);
	want_one(&b);
	for (int i = 0; i < 7200; i++) {
		if (identities_wait_for(b.ids, b.slow.asked[b.slow.count - 1].number))
			identities_denied(b.ids, b.slow.asked[b.slow.count - 1].number, "denied");
		pass(&b, 1);
	}
	cr_expect_str_eq(problem_of(&b, SHOP), "denied");
	asked = b.slow.count;
	cr_expect(asked >= 12 && asked <= 16, "%u in two hours", asked);
	/* Half an hour at most. */
	pass(&b, 1801);
	cr_expect_eq(b.slow.count, asked + 1);
	bench_close(&b);
}

Test(identity, what_is_not_wanted_any_more_is_forgotten)
{
	static const char *const both[] = { SHOP, BANK }, *const other[] = { BANK };
	struct identities_state state;
	struct bench b;

	bench_open(&b);
	cr_assert_eq(identities_want(b.ids, both, 2), 0);
	cr_assert_eq(b.slow.count, 2);
	answer(&b, 0, 1000, NULL);
	cr_assert_eq(identities_want(b.ids, other, 1), 0);
	answer(&b, 1, 1000, NULL); /* too late */
	cr_expect_str_eq(problem_of(&b, SHOP), "there is no certificate yet");
	cr_expect_str_eq(problem_of(&b, BANK), "");
	identities_tell(b.ids, &state);
	cr_expect(state.wanted == 1 && state.good == 1);
	cr_assert_eq(identities_want(b.ids, NULL, 0), 0);
	identities_tell(b.ids, &state);
	cr_expect(state.wanted == 0 && state.good == 0 && state.next_renewal == 0);
	pass(&b, 601);
	cr_expect_eq(identities_turn(b.ids), 0, "nothing is done where nothing is wanted");
	bench_close(&b);
}

Test(identity, keys_are_in_no_core)
{
	struct rlimit limit;

	secret_dump_no_core();
	cr_assert_eq(getrlimit(RLIMIT_CORE, &limit), 0);
	cr_expect_eq(limit.rlim_cur, 0);
	cr_expect_eq(prctl(PR_GET_DUMPABLE), 0, "nor in one that is piped to a program");
}

/* A pod that is replaced has another one of its account soon. */
Test(identity, the_last_pods_certificate_is_there_for_the_next_one)
{
	static const char *const one[] = { SHOP };
	_cleanup_free_ char *first = NULL, *again = NULL;
	struct bench b;

	bench_open(&b);
	want_one(&b);
	answer(&b, 0, 3000, NULL);
	first = chain_of(&b, SHOP);
	cr_assert_eq(identities_want(b.ids, NULL, 0), 0);
	pass(&b, 598);
	cr_assert_eq(identities_want(b.ids, one, 1), 0);
	again = chain_of(&b, SHOP);
	cr_expect_str_eq(again, first);
	cr_expect_eq(b.slow.count, 1);
	/* It is renewed only where it is wanted, and not kept for longer. */
	cr_assert_eq(identities_want(b.ids, NULL, 0), 0);
	pass(&b, 602);
	cr_assert_eq(identities_want(b.ids, one, 1), 0);
	cr_expect_eq(b.slow.count, 2);
	cr_expect_str_eq(problem_of(&b, SHOP), "there is no certificate yet");
	answer(&b, 0, 400, NULL);
	cr_assert_eq(identities_want(b.ids, NULL, 0), 0);
	pass(&b, 300);
	cr_expect_eq(b.slow.count, 2, "nobody needs another one");
	pass(&b, 101);
	cr_expect_eq(identities_turn(b.ids), 0, "it has expired");
	bench_close(&b);
}

Test(identity, a_certificate_that_was_not_asked_for_is_not_used)
{
	_cleanup_free_ char *key = NULL, *csr = NULL, *other_key = NULL, *bank = NULL;
	char problem[CA_PROBLEM_MAX] = "";
	struct bench b;

	bench_open(&b);
	want_one(&b);
	/* Of another key. */
	cr_assert_eq(svid_request(SHOP, &key, &csr), 0);
	cr_assert_eq(ca_sign(b.slow.ca, csr, SHOP, 1000, b.s, &other_key, problem), 0);
	identities_signed(b.ids, b.slow.asked[0].number, other_key, NULL);
	cr_expect_str_eq(problem_of(&b, SHOP), "is of another key than was asked for");
	/* Of the key, and another identity. */
	pass(&b, 2);
	cr_assert_eq(b.slow.count, 2);
	{
		BIO *in = BIO_new_mem_buf(b.slow.asked[1].csr, -1);
		X509_REQ *req = PEM_read_bio_X509_REQ(in, NULL, NULL, NULL);
		struct made_cert c = make_ca("bank", &b.root, DAY, NULL);
		BIO *out = BIO_new(BIO_s_mem());
		char *at;
		long n;

		X509_set_pubkey(c.cert, X509_REQ_get0_pubkey(req));
		extend(c.cert, c.cert, NID_subject_alt_name, "URI:" BANK);
		X509_sign(c.cert, b.root.key, EVP_sha256());
		PEM_write_bio_X509(out, c.cert);
		n = BIO_get_mem_data(out, &at);
		bank = strndup(at, (size_t)n);
		BIO_free(out);
		BIO_free(in);
		X509_REQ_free(req);
		cert_free(&c);
	}
	identities_signed(b.ids, b.slow.asked[1].number, bank, NULL);
	cr_expect_str_eq(problem_of(&b, SHOP), "is of another identity than was asked for");
	pass(&b, 5);
	cr_assert_eq(b.slow.count, 3);
	identities_signed(b.ids, b.slow.asked[2].number, "no PEM", NULL);
	cr_expect_str_eq(problem_of(&b, SHOP), "can't be read");
	bench_close(&b);
}

Test(identity, another_ca_signs_everything_anew)
{
	_cleanup_free_ char *first = NULL, *second = NULL;
	struct bench b;

	bench_open(&b);
	want_one(&b);
	answer(&b, 0, DAY, NULL);
	first = chain_of(&b, SHOP);
	identities_renew(b.ids);
	cr_expect_str_eq(problem_of(&b, SHOP), "", "what there is serves until then");
	pass(&b, 0);
	cr_assert_eq(b.slow.count, 2);
	answer(&b, 0, DAY, NULL);
	second = chain_of(&b, SHOP);
	cr_expect_str_neq(first, second);
	bench_close(&b);
}

Test(identity, new_roots_have_all_signed_anew_not_at_once)
{
	static const char *const both[] = { SHOP, BANK };
	struct bench b;

	bench_open(&b);
	cr_assert_eq(identities_want(b.ids, both, 2), 0);
	answer(&b, 1, DAY, NULL);
	identities_renew_within(b.ids, 5000, 60000);
	pass(&b, 4);
	cr_expect_eq(b.slow.count, 2);
	pass(&b, 57);
	cr_assert_eq(b.slow.count, 3, "what was asked for before is not asked for again");
	cr_expect_str_eq(b.slow.asked[2].identity, SHOP);
	bench_close(&b);
}

Test(identity, a_certificate_that_is_not_valid_yet_takes_no_others_place)
{
	_cleanup_free_ char *first = NULL, *still = NULL;
	struct identities_state state;
	struct bench b;

	bench_open(&b);
	want_one(&b);
	answer(&b, 0, DAY, NULL);
	first = chain_of(&b, SHOP);
	identities_renew(b.ids);
	pass(&b, 0);
	b.s += 2 * CA_CLOCK_SKEW_S; /* the CA's clock */
	answer(&b, 0, DAY, NULL);
	still = chain_of(&b, SHOP);
	cr_expect_str_eq(first, still);
	identities_tell(b.ids, &state);
	cr_assert_not_null(state.problem);
	cr_expect_str_eq(state.problem, "is not valid yet as it comes: the clocks differ");
	bench_close(&b);
}

static char *warnings(const struct identities *ids, int64_t at)
{
	struct errors errors = { 0 };
	char *out = strdup("");

	identities_warn(ids, at, &errors);
	for (size_t i = 0; i < errors.count; i++) {
		char *more;

		cr_assert(asprintf(&more, "%s%s\n", out, errors.items[i].text) > 0);
		free(out);
		out = more;
		cr_expect_str_eq(remark_of(&errors.items[i])->code, "WEFT0130");
	}
	errors_free(&errors);
	return out;
}

Test(identity, a_ca_that_ends_soon_or_is_missing_is_warned_of)
{
	_cleanup_free_ char *none = NULL, *fine = NULL, *soon = NULL, *late = NULL, *away = NULL,
			    *lacks = NULL;
	struct bench b;

	bench_open(&b);
	none = warnings(b.ids, b.s);
	cr_expect_str_eq(none, "");
	want_one(&b);
	answer(&b, 0, DAY, NULL);
	fine = warnings(b.ids, b.s + 70 * DAY);
	cr_expect_str_eq(fine, "");
	soon = warnings(b.ids, b.s + 80 * DAY - 60);
	cr_expect(strstr(soon, "the CA of mutual TLS, \"root\", expires in 10 days"), "%s", soon);
	late = warnings(b.ids, b.s + 91 * DAY);
	cr_expect(strstr(late, "\"root\", has expired"), "%s", late);
	pass(&b, 13 * HOUR + 1000);
	cr_assert_eq(b.slow.count, 2);
	answer(&b, 0, 0, "the CA is away");
	away = warnings(b.ids, b.s);
	cr_expect(strstr(away, "are not renewed: the CA is away"), "%s", away);
	identities_sign_by(b.ids, NULL);
	pass(&b, DAY);
	lacks = warnings(b.ids, b.s);
	cr_expect(strstr(lacks, "1 of this node's 1 identities have no certificate: mutual TLS is "
				"asked for, but there is no CA"),
		  "%s", lacks);
	bench_close(&b);
}

/* ---- a CA in files ---- */

struct folder {
	char dir[64], cert[96], key[96], roots[96];
};

static void folder_open(struct folder *f)
{
	snprintf(f->dir, sizeof(f->dir), "/tmp/weft-identity-XXXXXX");
	cr_assert_not_null(mkdtemp(f->dir));
	snprintf(f->cert, sizeof(f->cert), "%s/ca.crt", f->dir);
	snprintf(f->key, sizeof(f->key), "%s/ca.key", f->dir);
	snprintf(f->roots, sizeof(f->roots), "%s/roots.pem", f->dir);
}

static void folder_close(struct folder *f)
{
	unlink(f->cert);
	unlink(f->key);
	unlink(f->roots);
	rmdir(f->dir);
}

static void put(const char *path, const char *bytes)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	fputs(bytes, f);
	fclose(f);
}

static void put_pair(const struct folder *f, const struct made_cert *ca)
{
	_cleanup_free_ char *cert = cert_pem(ca), *key = cert_key_pem(ca);

	put(f->cert, cert);
	put(f->key, key);
}

static void put_roots(const struct folder *f, const struct made_cert *a, const struct made_cert *b)
{
	_cleanup_free_ char *one = cert_pem(a), *two = b ? cert_pem(b) : strdup(""), *both = NULL;

	cr_assert(asprintf(&both, "%s%s", one, two) > 0);
	put(f->roots, both);
}

/* Who has signed what there is. */
static char *issuer(struct identities *ids, unsigned *roots)
{
	_cleanup_free_ char *chain = NULL, *ca = NULL;
	_cleanup_(X509_freep) X509 *cert = NULL;
	char name[64] = "";
	const char *problem;
	struct credential c;

	if (!identities_find(ids, SHOP, &c, &problem))
		return strdup(problem);
	chain = strndup(c.chain.at, c.chain.len);
	ca = strndup(c.ca.at, c.ca.len);
	*roots = (unsigned)count_of(ca);
	cert = first_of(chain);
	X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_commonName, name, sizeof(name));
	return strdup(name);
}

static void expect_issuer(struct identities *ids, const char *want, unsigned root_count)
{
	unsigned roots = 0;
	_cleanup_free_ char *is = NULL;

	identities_turn(ids);
	is = issuer(ids, &roots);
	cr_expect(strstr(is, want), "%s, not %s", is, want);
	cr_expect_eq(roots, root_count, "%s: %u roots", want, roots);
}

Test(identity, a_ca_in_files_may_be_replaced)
{
	static const char *const one[] = { SHOP };
	struct made_cert a = make_ca("a", NULL, 90 * DAY, NULL),
			 b = make_ca("b", NULL, 90 * DAY, NULL), mixed = { a.cert, b.key };
	_cleanup_(event_loop_closep) struct event_loop *loop = NULL;
	_cleanup_(identities_closep) struct identities *ids = NULL;
	_cleanup_(file_signer_closep) struct file_signer *signer = NULL;
	struct file_signer_options options;
	struct identities_state state;
	struct folder f;

	folder_open(&f);
	put_pair(&f, &a);
	put_roots(&f, &a, NULL);
	cr_assert_eq(event_loop_open(&loop), 0);
	cr_assert_eq(identities_open(loop, &ids), 0);
	options = (struct file_signer_options){ f.cert, f.key, f.roots, 600, loop };
	cr_assert_eq(file_signer_open(&options, ids, &signer), 0);
	cr_assert_eq(identities_want(ids, one, 1), 0);
	expect_issuer(ids, "a", 1);

	/* First both are believed, then the other one signs, then it alone is believed. */
	put_roots(&f, &a, &b);
	file_signer_look(signer);
	expect_issuer(ids, "a", 2);
	put_pair(&f, &mixed);
	file_signer_look(signer);
	expect_issuer(ids, "a", 2);
	identities_tell(ids, &state);
	cr_expect(strstr(state.ca.problem, "private key that is not the certificate's"), "%s",
		  state.ca.problem);
	cr_expect_str_eq(state.ca.subject, "a");
	put_pair(&f, &b);
	file_signer_look(signer);
	expect_issuer(ids, "b", 2);
	identities_tell(ids, &state);
	cr_expect_null(state.ca.problem);
	cr_expect_eq(state.signed_count, 2);
	put_roots(&f, &b, NULL);
	file_signer_look(signer);
	expect_issuer(ids, "b", 1);
	identities_tell(ids, &state);
	cr_expect_eq(state.signed_count, 2, "other roots alone ask for no other certificate");
	unlink(f.key);
	file_signer_look(signer);
	identities_tell(ids, &state);
	cr_expect(strstr(state.ca.problem, "ca.key can't be read: No such file"), "%s",
		  state.ca.problem);
	expect_issuer(ids, "b", 1);
	folder_close(&f);
	cert_free(&a);
	cert_free(&b);
}

Test(identity, a_ca_in_files_may_come_late)
{
	static const char *const one[] = { SHOP };
	struct made_cert a = make_ca("a", NULL, 90 * DAY, NULL);
	_cleanup_(event_loop_closep) struct event_loop *loop = NULL;
	_cleanup_(identities_closep) struct identities *ids = NULL;
	_cleanup_(file_signer_closep) struct file_signer *signer = NULL;
	struct file_signer_options options;
	struct folder f;

	folder_open(&f);
	cr_assert_eq(event_loop_open(&loop), 0);
	cr_assert_eq(identities_open(loop, &ids), 0);
	options = (struct file_signer_options){ f.cert, f.key, NULL, 600, loop };
	cr_assert_eq(file_signer_open(&options, ids, &signer), 0);
	cr_assert_eq(identities_want(ids, one, 1), 0);
	expect_issuer(ids, "ca.crt can't be read: No such file or directory", 0);
	put_pair(&f, &a);
	file_signer_look(signer);
	expect_issuer(ids, "a", 1);
	folder_close(&f);
	cert_free(&a);
}

/* ---- what weft-proxy is given ---- */

static struct addr address(unsigned char last)
{
	struct addr a = { .b = { [10] = 0xff, [11] = 0xff, 10, 0, 0, last } };

	return a;
}

/* Two pods of this node and one of another; `gateway`: with a Gateway's listener. */
static struct http_snapshot *make_snapshot(bool mutual, bool gateway, void **bytes)
{
	static const struct {
		const char *identity;
		bool here;
	} pods[] = { { SHOP, true }, { SHOP, true }, { BANK, false } };
	struct http_snapshot *s = NULL;
	struct http_build b;
	size_t size;

	cr_assert_eq(http_build_init(&b), 0);
	for (unsigned i = 0; mutual && i < sizeof(pods) / sizeof(*pods); i++) {
		struct hs_workload w = { .addr = address((unsigned char)(i + 1)),
					 .identity = http_build_str(&b, pods[i].identity),
					 .here = pods[i].here,
					 .mode = HS_MTLS_STRICT };

		http_build_add(&b, HS_WORKLOADS, &w);
	}
	if (gateway)
		http_build_add(&b, HS_LISTENERS,
			       &(struct hs_listener){ .scope = SCOPE_NODE, .port = 80 });
	cr_assert_eq(http_build_finish(&b, bytes, &size), 0);
	http_build_done(&b);
	cr_assert_eq(http_snapshot_open(*bytes, size, &s), 0);
	return s;
}

/* Whether weft-proxy has been given it, with a key and roots. */
static bool is_given(const struct supervisor *proxy, const char *name)
{
	_cleanup_(credentials_closep) struct credentials *all = NULL;
	static char bytes[65536];
	ssize_t n = pread(proxy->credentials, bytes, sizeof(bytes), 0);
	const struct credential *c;

	cr_assert_gt(n, 0);
	cr_assert_eq(credentials_open(bytes, (size_t)n, &all), 0);
	c = credentials_find(all, name, strlen(name));
	return c && c->chain.len && c->key.len && c->ca.len;
}

/* Whether weft-proxy is to keep what it has of it, with these roots. */
static bool is_left(const struct supervisor *proxy, const char *name, const char *roots)
{
	_cleanup_(credentials_closep) struct credentials *all = NULL;
	static char bytes[65536];
	ssize_t n = pread(proxy->credentials, bytes, sizeof(bytes), 0);
	const struct credential *c;

	cr_assert_gt(n, 0);
	cr_assert_eq(credentials_open(bytes, (size_t)n, &all), 0);
	c = credentials_find(all, name, strlen(name));
	return c && !c->chain.len && !c->key.len && c->ca.len == strlen(roots) &&
	       !memcmp(c->ca.at, roots, c->ca.len);
}

/* A keeper, and what it is told of. */
struct keeping {
	struct bench bench;
	struct supervisor proxy;
	struct known_set known;
	struct credential_keeper *keeper;
	void *bytes[3];
	struct http_snapshot *pods, *gateway, *plain;
};

static void keeping_open(struct keeping *k)
{
	*k = (struct keeping){ .proxy = { .credentials = -1, .proxy = proxy_process_none } };
	bench_open(&k->bench);
	k->pods = make_snapshot(true, false, &k->bytes[0]);
	k->gateway = make_snapshot(true, true, &k->bytes[1]);
	k->plain = make_snapshot(false, true, &k->bytes[2]);
	k->keeper = credential_keeper_new(&k->proxy, NULL, k->bench.ids);
	cr_assert_not_null(k->keeper);
}

static void keeping_close(struct keeping *k)
{
	credential_keeper_free(k->keeper);
	http_snapshot_close(k->pods);
	http_snapshot_close(k->gateway);
	http_snapshot_close(k->plain);
	for (int i = 0; i < 3; i++)
		free(k->bytes[i]);
	if (k->proxy.credentials >= 0)
		close(k->proxy.credentials);
	bench_close(&k->bench);
}

static void keep(struct keeping *k, const struct http_snapshot *s, bool more)
{
	cr_assert_eq(credential_keeper_update(k->keeper, &k->known, s, NULL, more), 0);
}

Test(identity, the_proxy_is_given_what_the_pods_of_its_node_are)
{
	struct credential_state state;
	struct keeping k;

	keeping_open(&k);
	keep(&k, k.plain, false);
	cr_expect_eq(k.proxy.credentials, -1, "mutual TLS is not in use");
	cr_expect_eq(k.bench.slow.count, 0);
	keep(&k, k.pods, false);
	cr_assert_eq(k.bench.slow.count, 1, "one identity, of two pods");
	cr_expect(!is_given(&k.proxy, SHOP));
	cr_expect(is_left(&k.proxy, SHOP, identities_roots(k.bench.ids)));
	cr_expect(!is_left(&k.proxy, BANK, ""), "it is of another node");
	cr_expect(credential_keeper_lacks(k.keeper, &k.known));
	cr_expect(credential_keeper_find(k.keeper, SHOP, strlen(SHOP), &state) && !state.served);
	cr_expect_str_eq(state.problem, "there is no certificate yet");
	answer(&k.bench, 0, 1000, NULL);
	keep(&k, k.pods, false);
	cr_expect(is_given(&k.proxy, SHOP));
	cr_expect(!is_given(&k.proxy, BANK));
	cr_expect(!is_given(&k.proxy, GATEWAY_IDENTITY));
	cr_expect(!credential_keeper_lacks(k.keeper, &k.known));
	keep(&k, k.gateway, false);
	cr_assert_eq(k.bench.slow.count, 2);
	cr_expect_str_eq(k.bench.slow.asked[1].identity, GATEWAY_IDENTITY);
	answer(&k.bench, 0, 1000, NULL);
	keep(&k, k.gateway, false);
	cr_expect(is_given(&k.proxy, SHOP) && is_given(&k.proxy, GATEWAY_IDENTITY));
	/* A certificate that has expired is not left there. */
	pass(&k.bench, 1001);
	keep(&k, k.gateway, false);
	cr_expect(!is_given(&k.proxy, SHOP) && !is_given(&k.proxy, GATEWAY_IDENTITY));
	keep(&k, k.plain, false);
	cr_expect(!credential_keeper_find(k.keeper, SHOP, strlen(SHOP), &state));
	keeping_close(&k);
}

Test(identity, an_older_proxy_keeps_what_it_has_until_all_is_there)
{
	struct keeping k;

	keeping_open(&k);
	k.proxy.had_credentials = true;
	keep(&k, k.pods, true);
	cr_expect_eq(k.proxy.credentials, -1, "it would have less than before");
	answer(&k.bench, 0, 1000, NULL);
	keep(&k, k.pods, true);
	cr_expect(is_given(&k.proxy, SHOP));
	keeping_close(&k);
}

Test(identity, without_a_ca_nothing_is_given)
{
	_cleanup_free_ char *lacks = NULL;
	struct credential_state state;
	struct keeping k;

	keeping_open(&k);
	identities_sign_by(k.bench.ids, NULL);
	keep(&k, k.pods, false);
	cr_expect(!is_given(&k.proxy, SHOP));
	cr_expect(credential_keeper_find(k.keeper, SHOP, strlen(SHOP), &state));
	cr_expect_str_eq(state.problem,
			 "mutual TLS is asked for, but there is no CA: --ca-cert, or "
			 "a cluster's");
	lacks = warnings(k.bench.ids, k.bench.s);
	cr_expect(strstr(lacks, "there is no CA: --ca-cert"), "%s", lacks);
	keeping_close(&k);
}
