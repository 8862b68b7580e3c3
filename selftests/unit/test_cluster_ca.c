// SPDX-License-Identifier: Apache-2.0
/*
 * The CA of a cluster: which CertificateSigningRequests are signed, for whom, and which are denied;
 * where the CA is from, and what comes of a server that refuses.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "daemon/engine/identity_nodes.h"
#include "daemon/identity/ca.h"
#include "daemon/identity/cluster_ca.h"
#include "lib/base/base64.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/route/workload.h"
#include "lib/schema/parse.h"

/* Of daemon/identity/svid.h, which has OpenSSL's functions loaded late; here they are linked. */
int svid_request(const char *identity, char **key, char **csr);

#define SHOP "spiffe://cluster.local/ns/shop/sa/cart"
#define AGENTS "system:serviceaccount:weft-system:weft"

/* An API server with the objects that this is about. */
struct server {
	struct cluster_ca *ca;
	struct event_loop *loop;
	json_t *secret, *map, *requests; /* the last: name -> CertificateSigningRequest */
	int version;
	bool forbids;	    /* the Secret */
	bool forbids_map;   /* the ConfigMap */
	bool is_ready;	    /* cluster_ca has said so */
	bool pod_known;	    /* of SHOP, on node-a */
	unsigned conflicts; /* how many changes are refused as too late */
	unsigned secrets_made;
	uint64_t now;
};

static json_t *versioned(struct server *s, json_t *object)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", ++s->version);
	json_object_set_new(json_object_get(object, "metadata"), "resourceVersion",
			    json_string(text));
	return object;
}

/* As the API server keeps them. */
static void encode_data(json_t *secret)
{
	json_t *given = json_object_get(secret, "stringData"), *data = json_object(), *value;
	const char *key;

	json_object_foreach(given, key, value)
	{
		_cleanup_free_ char *text =
			base64_encode(json_string_value(value), json_string_length(value));

		json_object_set_new(data, key, json_string(text));
	}
	if (given)
		json_object_set_new(secret, "data", data);
	else
		json_decref(data);
	json_object_del(secret, "stringData");
}

static int one_object(struct server *s, json_t **at, const char *method, const char *body)
{
	if (!strcmp(method, "GET"))
		return *at ? 200 : 404;
	if (!strcmp(method, "POST") && *at)
		return 409;
	json_decref(*at);
	*at = versioned(s, json_loads(body, 0, NULL));
	encode_data(*at);
	return strcmp(method, "POST") ? 200 : 201;
}

static void tell_request(struct server *s, const char *name);

static int patch_request(struct server *s, const char *path, const char *body, json_t **out)
{
	_cleanup_free_ char *name = strdup(strstr(path, "requests/") + strlen("requests/"));
	_cleanup_json_ json_t *patch = json_loads(body, 0, NULL);
	const char *part = strrchr(path, '/') + 1;
	json_t *object;

	*strchr(name, '/') = '\0';
	object = json_object_get(s->requests, name);
	cr_assert(object && (!strcmp(part, "approval") || !strcmp(part, "status")), "%s", path);
	if (s->conflicts) {
		s->conflicts--;
		versioned(s, object);
		tell_request(s, name);
		return 409;
	}
	cr_expect_str_eq(json_get_text(json_object_get(patch, "metadata"), "resourceVersion", ""),
			 json_get_text(json_object_get(object, "metadata"), "resourceVersion",
				       "-"));
	if (!json_object_get(object, "status"))
		json_object_set_new(object, "status", json_object());
	json_object_update(json_object_get(object, "status"), json_object_get(patch, "status"));
	*out = versioned(s, object);
	tell_request(s, name);
	return 200;
}

static int answer(struct server *s, const char *method, const char *path, const char *body,
		  json_t **out)
{
	static const char of_ours[] = "/api/v1/namespaces/weft-system/";
	int status;

	if (strstr(path, "selfsubjectreviews")) {
		*out = json_pack("{s:{s:{s:s}}}", "status", "userInfo", "username", AGENTS);
		json_array_append_new(json_object_get(s->requests, "garbage"), *out);
		return 201;
	}
	if (strstr(path, "/certificatesigningrequests/"))
		return patch_request(s, path, body, out);
	cr_assert(!strncmp(path, of_ours, strlen(of_ours)), "%s", path);
	if (strstr(path, "/secrets")) {
		if (s->forbids)
			return 403;
		s->secrets_made += !strcmp(method, "POST");
		status = one_object(s, &s->secret, method, body);
		*out = s->secret;
		return status;
	}
	cr_assert_not_null(strstr(path, "/configmaps"));
	if (s->forbids_map)
		return 403;
	status = one_object(s, &s->map, method, body);
	*out = s->map;
	return status;
}

static int request(void *server, const char *method, const char *path, const char *type,
		   const char *body, size_t size, informer_reply_fn done, void *arg)
{
	struct server *s = server;
	_cleanup_free_ char *copy = body ? strndup(body, size) : NULL, *text = NULL;
	json_t *object = NULL;
	int status = answer(s, method, path, copy, &object);

	cr_expect_eq(!type, !body);
	text = object ? json_dumps(object, 0)
		      : strdup("{\"kind\": \"Status\", \"message\": \"no\"}");
	done(arg, status, text, strlen(text), NULL);
	return 0;
}

static bool runs(void *arg, const char *node, const char *identity)
{
	const struct server *s = arg;

	return s->pod_known && !strcmp(node, "node-a") && !strcmp(identity, SHOP);
}

static void ready(void *arg)
{
	((struct server *)arg)->is_ready = true;
}

static void server_open(struct server *s)
{
	struct cluster_ca_options options = { .namespace = "weft-system",
					      .ttl_s = 3600,
					      .request = request,
					      .server = s,
					      .runs = runs,
					      .ready = ready,
					      .arg = s };

	*s = (struct server){ .requests = json_pack("{s:[]}", "garbage"),
			      .pod_known = true,
			      .now = 1000 };
	cr_assert_eq(event_loop_open(&s->loop), 0);
	options.loop = s->loop;
	cr_assert_eq(cluster_ca_open(&options, &s->ca), 0);
}

static void server_close(struct server *s)
{
	cluster_ca_close(s->ca);
	event_loop_close(s->loop);
	json_decref(s->secret);
	json_decref(s->map);
	json_decref(s->requests);
}

static void pass(struct server *s, unsigned ms)
{
	s->now += ms;
	for (int i = 0; i < 8; i++)
		cluster_ca_turn(s->ca, s->now);
}

static void tell_request(struct server *s, const char *name)
{
	json_t *object = json_object_get(s->requests, name);
	_cleanup_free_ char *text = json_dumps(object, 0);
	const struct informer_event e = {
		.change = INFORMER_PUT,
		.namespace = "",
		.name = name,
		.resource_version =
			json_get_text(json_object_get(object, "metadata"), "resourceVersion", ""),
		.json = text,
		.size = strlen(text),
	};

	cluster_ca_event(s->ca, &e);
}

/* `node` NULL: the token is bound to none. */
static void ask_pem(struct server *s, const char *name, const char *user, const char *node,
		    const char *pem, const char *signer)
{
	_cleanup_free_ char *encoded = base64_encode(pem, strlen(pem));
	json_t *extra = node ? json_pack("{s:[s]}", "authentication.kubernetes.io/node-name", node)
			     : json_object();
	json_t *object = json_pack("{s:{s:s}, s:{s:s, s:s, s:s, s:i, s:o}}", "metadata", "name",
				   name, "spec", "request", encoded, "signerName", signer,
				   "username", user, "expirationSeconds", 600, "extra", extra);

	json_object_set_new(s->requests, name, versioned(s, object));
	tell_request(s, name);
}

static void ask(struct server *s, const char *name, const char *user, const char *node,
		const char *identity)
{
	_cleanup_free_ char *key = NULL, *csr = NULL;

	cr_assert_eq(svid_request(identity, &key, &csr), 0);
	ask_pem(s, name, user, node, csr, CLUSTER_SIGNER);
}

/* "" while nothing is decided, "signed", "Approved", or "Denied: why". */
static const char *fate(const struct server *s, const char *name)
{
	static char text[512];
	const json_t *status = json_object_get(json_object_get(s->requests, name), "status");
	const json_t *one = json_array_get(json_object_get(status, "conditions"), 0);

	if (*json_get_text(status, "certificate", ""))
		return "signed";
	if (!one)
		return "";
	snprintf(text, sizeof(text), "%s: %s", json_get_text(one, "type", ""),
		 json_get_text(one, "message", ""));
	return text;
}

static char *certificate(const struct server *s, const char *name)
{
	const char *encoded = json_get_text(
		json_object_get(json_object_get(s->requests, name), "status"), "certificate", "");
	size_t len = strlen(encoded);
	char *out = malloc(len + 1);

	cr_assert(base64_decode(encoded, out, &len));
	out[len] = '\0';
	return out;
}

static const char *roots(const struct server *s)
{
	return json_get_text(json_object_get(s->map, "data"), "root-cert.pem", "");
}

/* When the CA took its place. */
static void set_since(struct server *s, int64_t at)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)at);
	json_object_set_new(json_object_get(s->map, "data"), "since", json_string(text));
}

/* Whether the certificate was signed by the one root. */
static bool is_signed_by(const char *chain, const char *root_pem)
{
	BIO *a = BIO_new_mem_buf(chain, -1), *b = BIO_new_mem_buf(root_pem, -1);
	X509 *cert = PEM_read_bio_X509(a, NULL, NULL, NULL),
	     *root = PEM_read_bio_X509(b, NULL, NULL, NULL);
	bool ok = cert && root && X509_verify(cert, X509_get0_pubkey(root)) == 1;

	X509_free(cert);
	X509_free(root);
	BIO_free(a);
	BIO_free(b);
	return ok;
}

Test(cluster_ca, one_that_is_missing_is_made_and_its_root_told_to_all)
{
	_cleanup_free_ char *chain = NULL, *subject = NULL;
	struct identity_ca told;
	int64_t end = 0;
	struct server s;

	server_open(&s);
	pass(&s, 0);
	cr_expect_eq(s.secrets_made, 0, "by an agent that does not hold the Lease");
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	cr_expect(s.is_ready);
	cr_expect_eq(s.secrets_made, 1);
	cr_assert_eq(ca_last_root(roots(&s), &subject, &end), 0);
	cr_expect_str_eq(subject, "weft CA");
	cr_expect_lt(llabs(end - time(NULL) - INT64_C(3650) * 86400), 3600);
	cluster_ca_tell(s.ca, &told);
	cr_expect(told.subject && !strcmp(told.subject, "weft CA") && !told.problem);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	cr_expect_str_eq(fate(&s, "a"), "signed");
	chain = certificate(&s, "a");
	cr_expect(is_signed_by(chain, roots(&s)));
	/* Another agent's that holds it next is the same. */
	cluster_ca_hold(s.ca, false);
	pass(&s, 1000);
	cluster_ca_hold(s.ca, true);
	pass(&s, 1000);
	cr_expect_eq(s.secrets_made, 1);
	ask(&s, "b", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	cr_expect_str_eq(fate(&s, "b"), "signed");
	server_close(&s);
}

/* As the manifest has it. */
static json_t *empty_object(struct server *s, const char *name)
{
	return versioned(s, json_pack("{s:{s:s, s:{s:s}}}", "metadata", "name", name, "labels",
				      "app.kubernetes.io/managed-by", "weft"));
}

static void expect_label(const json_t *object)
{
	const json_t *labels = json_object_get(json_object_get(object, "metadata"), "labels");

	cr_expect_str_eq(json_get_text(labels, "app.kubernetes.io/managed-by", ""), "weft");
}

Test(cluster_ca, what_the_manifest_has_made_is_filled)
{
	_cleanup_free_ char *chain = NULL;
	struct identity_ca told;
	struct server s;

	server_open(&s);
	s.secret = empty_object(&s, "weft-ca");
	s.map = empty_object(&s, "weft-ca-root");
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	cr_expect(s.is_ready);
	cr_expect_eq(s.secrets_made, 0);
	cr_expect(*json_get_text(json_object_get(s.secret, "data"), "ca.key", ""));
	expect_label(s.secret);
	expect_label(s.map);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	chain = certificate(&s, "a");
	cr_expect(is_signed_by(chain, roots(&s)));
	/* One that has been emptied is as one that is gone. */
	json_decref(s.secret);
	s.secret = empty_object(&s, "weft-ca");
	pass(&s, 31000);
	pass(&s, 6000);
	cr_expect_null(json_object_get(s.secret, "data"));
	cluster_ca_tell(s.ca, &told);
	cr_expect(told.problem && strstr(told.problem, "the Secret weft-ca: is gone"), "%s",
		  told.problem);
	server_close(&s);
}

Test(cluster_ca, a_node_gets_certificates_of_its_own_pods_alone)
{
	static const struct {
		const char *what, *user, *node, *identity, *fate;
	} rows[] = {
		{ "its own pod", AGENTS, "node-a", SHOP, "signed" },
		{ "a Gateway", AGENTS, "node-b", GATEWAY_IDENTITY, "signed" },
		{ "another node's pod", AGENTS, "node-b", SHOP,
		  "Denied: node node-b runs no pod of the mesh that is " SHOP },
		{ "no pod", AGENTS, "node-a", "spiffe://cluster.local/ns/shop/sa/admin",
		  "Denied: node node-a runs no pod of the mesh that is "
		  "spiffe://cluster.local/ns/shop/sa/admin" },
		{ "no agent", "system:serviceaccount:shop:cart", "node-a", SHOP,
		  "Denied: it is not asked for by an agent's account" },
		{ "no agent, a Gateway", "system:serviceaccount:shop:cart", "node-a",
		  GATEWAY_IDENTITY, "Denied: it is not asked for by an agent's account" },
		{ "no node", AGENTS, NULL, SHOP,
		  "Denied: the agent's token is bound to no node: the API server binds those of "
		  "pods from Kubernetes 1.30 on" },
		{ "no node, a Gateway", AGENTS, NULL, GATEWAY_IDENTITY,
		  "Denied: the agent's token is bound to no node: the API server binds those of "
		  "pods from Kubernetes 1.30 on" },
	};
	struct server s;

	server_open(&s);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		ask(&s, rows[i].what, rows[i].user, rows[i].node, rows[i].identity);
	ask_pem(&s, "garbage in", AGENTS, "node-a", "no PEM", CLUSTER_SIGNER);
	ask_pem(&s, "another signer's", AGENTS, "node-a", "no PEM",
		"kubernetes.io/kubelet-serving");
	pass(&s, 0);
	cr_expect_str_eq(fate(&s, "another node's pod"), "", "before its pod may be known");
	pass(&s, 5000);
	pass(&s, 6000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_str_eq(fate(&s, rows[i].what), rows[i].fate, "%s: %s", rows[i].what,
				 fate(&s, rows[i].what));
	cr_expect_str_eq(fate(&s, "garbage in"),
			 "Denied: the request is not for one URI, the identity, alone");
	cr_expect_str_eq(fate(&s, "another signer's"), "");
	server_close(&s);
}

Test(cluster_ca, a_pod_may_be_known_late)
{
	struct server s;

	server_open(&s);
	s.pod_known = false;
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	pass(&s, 4000);
	cr_expect_str_eq(fate(&s, "a"), "");
	s.pod_known = true;
	pass(&s, 1000);
	cr_expect_str_eq(fate(&s, "a"), "signed");
	server_close(&s);
}

Test(cluster_ca, what_was_changed_meanwhile_is_judged_again)
{
	struct server s;

	server_open(&s);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	s.conflicts = 1;
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	pass(&s, 6000);
	cr_expect_str_eq(fate(&s, "a"), "signed");
	server_close(&s);
}

Test(cluster_ca, a_secret_that_is_not_to_be_had_is_told)
{
	struct identity_ca told;
	struct server s;

	server_open(&s);
	s.forbids = true;
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	cr_expect(!s.is_ready);
	cluster_ca_tell(s.ca, &told);
	cr_expect(told.problem && strstr(told.problem, "the Secret weft-ca can't be read: no"),
		  "%s", told.problem);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 1000);
	cr_expect_str_eq(fate(&s, "a"), "", "without a CA nothing is approved");
	s.forbids = false;
	pass(&s, 5000);
	cr_expect_str_eq(fate(&s, "a"), "signed");
	cluster_ca_tell(s.ca, &told);
	cr_expect_null(told.problem);
	server_close(&s);
}

/* ---- a user's own ---- */

static void put_secret(struct server *s, const char *key_name, const char *key,
		       const char *cert_name, const char *cert, const char *root_name,
		       const char *root)
{
	json_decref(s->secret);
	s->secret = json_pack("{s:{s:s}, s:{s:s, s:s, s:s}}", "metadata", "name", "weft-ca",
			      "stringData", key_name, key, cert_name, cert, root_name, root);
	encode_data(s->secret);
}

Test(cluster_ca, a_users_secret_is_taken_as_it_is)
{
	static const char *const names[][3] = {
		{ "ca.key", "ca.crt", "root-cert.pem" },
		{ "ca-key.pem", "ca-cert.pem", "root-cert.pem" }, /* istiod's cacerts */
		{ "tls.key", "tls.crt", "ca.crt" },		  /* cert-manager's */
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_free_ char *cert = NULL, *key = NULL, *chain = NULL;
		struct identity_ca told;
		struct server s;

		cr_assert_eq(ca_make("ours", 90, time(NULL), &cert, &key), 0);
		server_open(&s);
		put_secret(&s, names[i][0], key, names[i][1], cert, names[i][2], cert);
		cluster_ca_hold(s.ca, true);
		pass(&s, 0);
		cr_expect_eq(s.secrets_made, 0);
		cluster_ca_tell(s.ca, &told);
		cr_assert(told.subject && !strcmp(told.subject, "ours"), "%s: %s", names[i][0],
			  told.problem);
		cr_expect_str_eq(roots(&s), cert);
		ask(&s, "a", AGENTS, "node-a", SHOP);
		pass(&s, 0);
		cr_expect_str_eq(fate(&s, "a"), "signed");
		chain = certificate(&s, "a");
		cr_expect(is_signed_by(chain, cert));
		server_close(&s);
	}
}

Test(cluster_ca, another_ca_in_the_secret_takes_its_place)
{
	_cleanup_free_ char *cert = NULL, *key = NULL, *other = NULL, *other_key = NULL,
			    *both = NULL, *chain = NULL;
	struct identity_ca told;
	struct server s;

	cr_assert_eq(ca_make("one", 90, time(NULL), &cert, &key), 0);
	cr_assert_eq(ca_make("two", 90, time(NULL), &other, &other_key), 0);
	cr_assert(asprintf(&both, "%s%s", cert, other) > 0);
	server_open(&s);
	put_secret(&s, "ca.key", key, "ca.crt", cert, "root-cert.pem", cert);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	put_secret(&s, "ca.key", key, "ca.crt", other, "root-cert.pem", both);
	pass(&s, 31000);
	cluster_ca_tell(s.ca, &told);
	cr_expect_str_eq(told.subject, "one");
	cr_expect(told.problem && strstr(told.problem, "private key that is not"), "%s",
		  told.problem);
	cr_expect_str_eq(roots(&s), cert);
	put_secret(&s, "ca.key", other_key, "ca.crt", other, "root-cert.pem", both);
	pass(&s, 31000);
	cluster_ca_tell(s.ca, &told);
	cr_expect_str_eq(told.subject, "two");
	cr_expect_null(told.problem);
	cr_expect_str_eq(roots(&s), both);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	chain = certificate(&s, "a");
	cr_expect(is_signed_by(chain, other));
	server_close(&s);
}

Test(cluster_ca, roots_of_before_are_told_until_their_certificates_have_ended)
{
	_cleanup_free_ char *cert = NULL, *key = NULL, *other = NULL, *other_key = NULL,
			    *both = NULL;
	struct server s;

	cr_assert_eq(ca_make("one", 90, time(NULL), &cert, &key), 0);
	cr_assert_eq(ca_make("two", 90, time(NULL), &other, &other_key), 0);
	cr_assert(asprintf(&both, "%s%s", other, cert) > 0);
	server_open(&s);
	put_secret(&s, "ca.key", key, "ca.crt", cert, "root-cert.pem", cert);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	put_secret(&s, "ca.key", other_key, "ca.crt", other, "root-cert.pem", other);
	pass(&s, 31000);
	cr_expect_str_eq(roots(&s), both);
	pass(&s, 31000);
	cr_expect_str_eq(roots(&s), both);
	/* Certificates are good for an hour. */
	set_since(&s, time(NULL) - 3600);
	pass(&s, 31000);
	cr_expect_str_eq(roots(&s), both, "for clocks that differ");
	set_since(&s, time(NULL) - 3800);
	pass(&s, 31000);
	cr_expect_str_eq(roots(&s), other);
	server_close(&s);
}

Test(cluster_ca, a_root_that_has_expired_is_told_no_more)
{
	_cleanup_free_ char *cert = NULL, *key = NULL, *other = NULL, *other_key = NULL;
	struct server s;

	cr_assert_eq(ca_make("one", 1, time(NULL) - 2 * 86400, &cert, &key), 0);
	cr_assert_eq(ca_make("two", 90, time(NULL), &other, &other_key), 0);
	server_open(&s);
	s.map = json_pack("{s:{s:s}, s:{s:s}}", "metadata", "resourceVersion", "1", "data",
			  "root-cert.pem", cert);
	put_secret(&s, "ca.key", other_key, "ca.crt", other, "root-cert.pem", other);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	cr_expect_str_eq(roots(&s), other);
	server_close(&s);
}

Test(cluster_ca, another_ca_signs_once_its_root_is_told)
{
	_cleanup_free_ char *cert = NULL, *key = NULL, *other = NULL, *other_key = NULL,
			    *first = NULL, *second = NULL;
	struct server s;

	cr_assert_eq(ca_make("one", 90, time(NULL), &cert, &key), 0);
	cr_assert_eq(ca_make("two", 90, time(NULL), &other, &other_key), 0);
	server_open(&s);
	put_secret(&s, "ca.key", key, "ca.crt", cert, "root-cert.pem", cert);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	s.forbids_map = true;
	put_secret(&s, "ca.key", other_key, "ca.crt", other, "root-cert.pem", other);
	pass(&s, 31000);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	first = certificate(&s, "a");
	cr_expect(is_signed_by(first, cert));
	s.forbids_map = false;
	pass(&s, 6000);
	ask(&s, "b", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	second = certificate(&s, "b");
	cr_expect(is_signed_by(second, other));
	server_close(&s);
}

Test(cluster_ca, a_secret_that_goes_is_no_reason_for_another_ca)
{
	_cleanup_free_ char *chain = NULL, *before = NULL;
	struct identity_ca told;
	struct server s;

	server_open(&s);
	cluster_ca_hold(s.ca, true);
	pass(&s, 0);
	before = strdup(roots(&s));
	json_decref(s.secret);
	s.secret = NULL;
	pass(&s, 31000);
	pass(&s, 6000);
	cr_expect_eq(s.secrets_made, 1);
	cluster_ca_tell(s.ca, &told);
	cr_expect(told.problem && strstr(told.problem, "the Secret weft-ca: is gone"), "%s",
		  told.problem);
	ask(&s, "a", AGENTS, "node-a", SHOP);
	pass(&s, 0);
	chain = certificate(&s, "a");
	cr_expect(is_signed_by(chain, before));
	cr_expect_str_eq(roots(&s), before);
	server_close(&s);
}

/* ---- which nodes run what ---- */

static const char pods[] =
	"{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio-injection: "
	"enabled}}}\n"
	"---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, spec: {nodeName: "
	"node-a, "
	"serviceAccountName: cart}, status: {phase: Running}}\n"
	"---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}, spec: {nodeName: "
	"node-b}, "
	"status: {phase: Running}}\n"
	"---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: c, namespace: shop}, spec: {nodeName: "
	"node-c, "
	"serviceAccountName: cart}, status: {phase: Succeeded}}\n"
	"---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: d, namespace: shop}, spec: {nodeName: "
	"node-d, "
	"serviceAccountName: cart, hostNetwork: true}, status: {phase: Running}}\n"
	"---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: f, namespace: shop}, spec: {nodeName: "
	"node-e, "
	"serviceAccountName: default}, status: {phase: Running}}\n"
	"---\n"
	"{apiVersion: v1, kind: Pod, metadata: {name: e, namespace: out}, spec: {nodeName: node-a, "
	"serviceAccountName: cart}, status: {phase: Running}}\n";

Test(cluster_ca, the_pods_of_the_mesh_say_which_node_runs_an_identity)
{
	static const struct {
		const char *node, *identity;
		bool runs;
	} rows[] = {
		{ "node-a", SHOP, true },
		{ "node-b", SHOP, false },
		{ "node-b", "spiffe://cluster.local/ns/shop/sa/default",
		  false }, /* none is named */
		{ "node-e", "spiffe://cluster.local/ns/shop/sa/default", true },
		{ "node-a", "spiffe://cluster.local/ns/shop/sa/default", false },
		{ "node-c", SHOP, false }, /* it has ended */
		{ "node-d", SHOP, false }, /* on the node's network */
		{ "node-a", "spiffe://cluster.local/ns/out/sa/cart", false }, /* not in the mesh */
		{ "node-a", "spiffe://other/ns/shop/sa/cart", false },
		{ "node-a", "spiffe://cluster.local/ns/shop/sa/car", false },
	};
	struct errors errors = { 0 };
	struct objects objects = { 0 };
	struct known_set known = { 0 };

	cr_assert_eq(rules_parse("t.yaml", pods, strlen(pods), &objects, &errors, NULL), 0, "%s",
		     errors.count ? errors.items[0].text : "");
	for (size_t i = 0; i < objects.count; i++)
		cr_assert_eq(known_add(&known, objects.items[i], NULL, 0), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(identity_runs_on(&known, ENROL_LABELLED, rows[i].node,
					      rows[i].identity),
			     rows[i].runs, "%s %s", rows[i].node, rows[i].identity);
	cr_expect(identity_runs_on(&known, ENROL_ALL, "node-a",
				   "spiffe://cluster.local/ns/out/sa/cart"));
	known_free(&known);
	objects_free(&objects);
	errors_free(&errors);
}
