// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/cluster_ca.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/identity/ca.h"
#include "daemon/pki/secret.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/route/workload.h"

enum {
	ROOT_DAYS = 3650,    /* of a CA that is made here */
	RETRY_MS = 5000,     /* after a failure */
	LOOK_MS = 30000,     /* until the Secret is looked at again: a user may replace it */
	POD_WAIT_MS = 10000, /* that a pod may be known to its own node, and not here yet */
	POD_LOOK_MS = 500,
	IN_FLIGHT_MAX = 16,
	ROOTS_MAX = 8, /* that are told, those of former CAs among them */
	URL_MAX = 512,
	PROBLEM_MAX = 512,
};

#define CSR_PATH "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define REVIEW_PATH "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define NODE_KEY "authentication.kubernetes.io/node-name"

static const char plain_type[] = "application/json", merge_type[] = "application/merge-patch+json";

/* What is asked for before anything is signed, in this order. */
enum step { STEP_SELF, STEP_SECRET, STEP_ROOTS, STEP_READY };

/* A CertificateSigningRequest that is to be decided on, or signed. */
struct csr {
	struct csr *next;
	struct cluster_ca *ca;
	char *name, *version; /* resourceVersion */
	char *user, *node;    /* who asks, by the API server; node "": not told */
	char *pem;
	char *chain; /* what comes of it; NULL: it is not judged yet */
	unsigned ttl_s;
	uint64_t first_ms, next_ms; /* when it was looked at first; when it is to be again */
	bool approved, busy;
	bool over; /* decided on, or gone: freed when it is not busy */
};

struct cluster_ca {
	struct cluster_ca_options o;
	struct event_timer timer;
	enum step step;
	bool held, ready; /* ready: it signs */
	bool busy;	  /* a request for the step is under way */
	uint64_t now_ms, next_ms, look_ms;
	char *user;		/* what the API server calls the agents */
	struct ca *ca, *coming; /* who signs; who does once its roots are told */
	char problem[PROBLEM_MAX];
	struct csr *list;
	unsigned in_flight;
};

/* ---- requests ---- */

static void wake(struct cluster_ca *c, unsigned ms)
{
	event_timer_set(&c->timer, ms);
}

/* Frees `body`. False: it can't be sent. */
static bool ask(struct cluster_ca *c, const char *method, const char *path, json_t *body,
		informer_reply_fn done, void *arg)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *type = !body ? NULL : !strcmp(method, "PATCH") ? merge_type : plain_type;
	bool sent = (text || !body) && !c->o.request(c->o.server, method, path, type, text,
						     text ? strlen(text) : 0, done, arg);

	json_decref(body);
	secret_free(text);
	return sent;
}

static void path_of(const struct cluster_ca *c, const char *plural, const char *name,
		    char path[URL_MAX])
{
	snprintf(path, URL_MAX, "/api/v1/namespaces/%s/%s%s%s", c->o.namespace, plural,
		 *name ? "/" : "", name);
}

/* In the server's words, if it has sent a Status. */
static void fail(struct cluster_ca *c, const char *what, long status, const char *body, size_t size,
		 const char *error)
{
	_cleanup_json_ json_t *answer = status ? json_loadb(body, size, 0, NULL) : NULL;
	char text[PROBLEM_MAX];

	snprintf(text, sizeof(text), "%s: %s", what,
		 error ? error : json_get_text(answer, "message", "an answer without a reason"));
	json_clean(text);
	if (strcmp(text, c->problem) != 0)
		log_warning("the cluster's CA: %s", text);
	memcpy(c->problem, text, sizeof(text));
	c->next_ms = c->now_ms + RETRY_MS;
}

/* A request of the step. */
static void send_step(struct cluster_ca *c, const char *method, const char *path, json_t *body,
		      informer_reply_fn done)
{
	c->busy = true; /* it may be answered at once */
	if (ask(c, method, path, body, done, c))
		return;
	c->busy = false;
	c->next_ms = c->now_ms + RETRY_MS;
}

/* What the step's answer is about may not be wanted any more. */
static bool answers_step(struct cluster_ca *c, enum step step)
{
	c->busy = false;
	wake(c, 1);
	return c->held && c->step == step;
}

/* ---- who the agents are ---- */

static void got_self(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct cluster_ca *c = arg;
	_cleanup_json_ json_t *answer = NULL;
	const char *user;

	if (!answers_step(c, STEP_SELF))
		return;
	answer = status == 201 ? json_loadb(body, size, 0, NULL) : NULL;
	user = json_get_text(json_object_get(json_object_get(answer, "status"), "userInfo"),
			     "username", "");
	if (!*user) {
		fail(c, "who the agents are is not told", status, body, size, error);
		return;
	}
	free(c->user);
	c->user = strdup(user);
	if (c->user)
		c->step = STEP_SECRET;
}

static void ask_self(struct cluster_ca *c)
{
	send_step(c, "POST", REVIEW_PATH,
		  json_pack("{s:s, s:s}", "apiVersion", "authentication.k8s.io/v1", "kind",
			    "SelfSubjectReview"),
		  got_self);
}

/* ---- the Secret ---- */

/* A value of a Secret's data, decoded; "" where there is none. NULL when out of memory. */
static char *value_of(const json_t *data, const char *key)
{
	const char *text = json_get_text(data, key, "");
	size_t len = strlen(text);
	char *out = malloc(len + 1);

	if (!out)
		return NULL;
	if (!base64_decode(text, out, &len))
		len = 0;
	out[len] = '\0';
	return out;
}

/* By the names that weft, istiod's users (cacerts) and cert-manager give them. */
static int read_secret(const json_t *data, struct ca **out, char problem[CA_PROBLEM_MAX])
{
	static const char *const names[][4] = { { "ca.key", "ca.crt", "root-cert.pem", "" },
						{ "ca-key.pem", "cert-chain.pem", "root-cert.pem",
						  "ca-cert.pem" },
						{ "tls.key", "tls.crt", "ca.crt", "" } };
	enum { NAMES = sizeof(names) / sizeof(*names) };
	const char *const *n = names[0];
	char *key, *chain, *roots;
	int r = -ENOMEM;

	for (int i = 0; i < NAMES; i++)
		if (json_object_get(data, names[i][0])) {
			n = names[i];
			break;
		}
	key = value_of(data, n[0]);
	chain = value_of(data, n[1]);
	roots = value_of(data, n[2]);
	if (chain && !*chain) {
		free(chain);
		chain = value_of(data, n[3]);
	}
	if (key && chain && roots)
		r = ca_read((struct credential_text){ chain, strlen(chain) },
			    (struct credential_text){ key, strlen(key) },
			    (struct credential_text){ roots, strlen(roots) }, (int64_t)time(NULL),
			    out, problem);
	secret_free(key);
	free(chain);
	free(roots);
	return r;
}

static void take_secret(struct cluster_ca *c, const json_t *secret)
{
	char problem[CA_PROBLEM_MAX] = "can't be read: out of memory";
	struct ca *ca = NULL;

	if (read_secret(json_object_get(secret, "data"), &ca, problem)) {
		fail(c, "the Secret " CLUSTER_CA_SECRET, 0, NULL, 0, problem);
		return;
	}
	ca_free(c->coming);
	c->coming = ca;
	c->step = STEP_ROOTS;
	c->look_ms = c->now_ms + LOOK_MS;
}

static void made_secret(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct cluster_ca *c = arg;

	if (!answers_step(c, STEP_SECRET))
		return;
	if (status == 200 || status == 201)
		log_info("a CA is made for the cluster: the Secret %s/" CLUSTER_CA_SECRET,
			 c->o.namespace);
	else if (status != 409) /* another one was faster: what it has made is read */
		fail(c,
		     "the Secret " CLUSTER_CA_SECRET
		     " can't be written (the manifest has an empty one: apply it again)",
		     status, body, size, error);
}

static json_t *object_json(const struct cluster_ca *c, const char *kind, const char *name)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "v1", "kind", kind, "metadata",
			 "namespace", c->o.namespace, "name", name);
}

/* `was`: as in write_secret(). NULL when out of memory. */
static json_t *secret_json(const struct cluster_ca *c, const json_t *was, const char *cert,
			   const char *key)
{
	json_t *secret = was ? json_deep_copy(was) : object_json(c, "Secret", CLUSTER_CA_SECRET);

	json_object_set_new(secret, "stringData",
			    json_pack("{s:s, s:s, s:s}", "ca.crt", cert, "ca.key", key,
				      "root-cert.pem", cert));
	return secret;
}

/* With a CA that is made here. `was`: the empty one that is there, this version of it; NULL: none
 * is.
 */
static void write_secret(struct cluster_ca *c, const json_t *was)
{
	_cleanup_free_ char *cert = NULL;
	char path[URL_MAX], *key = NULL;

	if (ca_make("weft CA", ROOT_DAYS, (int64_t)time(NULL), &cert, &key)) {
		fail(c, "a CA can't be made", 0, NULL, 0, "OpenSSL fails");
		return;
	}
	path_of(c, "secrets", was ? CLUSTER_CA_SECRET : "", path);
	send_step(c, was ? "PUT" : "POST", path, secret_json(c, was, cert, key), made_secret);
	secret_free(key);
}

/* The one that the manifest has made, or none. */
static void fill_secret(struct cluster_ca *c, const json_t *was)
{
	if (c->ca) /* another one would be a stranger to all certificates */
		fail(c, "the Secret " CLUSTER_CA_SECRET, 0, NULL, 0,
		     "is gone: its CA signs on, until this agent ends: put it back");
	else
		write_secret(c, was);
}

static void got_secret(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct cluster_ca *c = arg;
	_cleanup_json_ json_t *secret = NULL;

	if (!answers_step(c, STEP_SECRET))
		return;
	secret = status == 200 ? json_loadb(body, size, 0, NULL) : NULL;
	if (status == 404 || (secret && !json_object_size(json_object_get(secret, "data"))))
		fill_secret(c, secret);
	else if (status == 200)
		take_secret(c, secret);
	else
		fail(c, "the Secret " CLUSTER_CA_SECRET " can't be read", status, body, size,
		     error);
}

static void ask_secret(struct cluster_ca *c)
{
	char path[URL_MAX];

	path_of(c, "secrets", CLUSTER_CA_SECRET, path);
	send_step(c, "GET", path, NULL, got_secret);
}

/* ---- the roots, for all agents ---- */

static void be_ready(struct cluster_ca *c)
{
	c->problem[0] = '\0';
	c->step = STEP_READY;
	ca_free(c->ca);
	c->ca = TAKE_PTR(c->coming);
	if (c->ready)
		return;
	c->ready = true;
	log_info("this agent signs the certificates of the cluster's workloads: the CA is \"%s\"",
		 ca_facts(c->ca).subject);
	c->o.ready(c->o.arg);
}

static void put_roots(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct cluster_ca *c = arg;

	if (!answers_step(c, STEP_ROOTS))
		return;
	if (status == 200 || status == 201)
		be_ready(c);
	else if (status != 409)
		fail(c, "the ConfigMap " CLUSTER_CA_ROOTS " can't be written", status, body, size,
		     error);
}

/* What is to be told: the CA's own roots, and those that were told before until the certificates
 * of then have ended. `data`: of the ConfigMap; `since`: of that CA. NULL: it fails. */
static char *roots_to_tell(const struct cluster_ca *c, const json_t *data, int64_t *since)
{
	const char *own = ca_facts(c->coming).roots;
	int64_t now = (int64_t)time(NULL);
	char *out = NULL;

	*since = strtoll(json_get_text(data, CLUSTER_CA_SINCE_KEY, "0"), NULL, 10);
	if (strcmp(json_get_text(data, CLUSTER_CA_OWN_KEY, ""), own) != 0)
		*since = now;
	if (now - *since > (int64_t)c->o.ttl_s + CA_CLOCK_SKEW_S)
		return strdup(own);
	return ca_add_roots(own, json_get_text(data, CLUSTER_CA_ROOTS_KEY, ""), now, ROOTS_MAX,
			    &out)
		       ? NULL
		       : out;
}

/* `was`: the one that is there, this version of it; NULL: none is. */
static void write_roots(struct cluster_ca *c, const json_t *was, const char *roots, int64_t since)
{
	json_t *map = was ? json_deep_copy(was) : object_json(c, "ConfigMap", CLUSTER_CA_ROOTS);
	char path[URL_MAX], text[32];

	snprintf(text, sizeof(text), "%lld", (long long)since);
	json_object_set_new(map, "data",
			    json_pack("{s:s, s:s, s:s}", CLUSTER_CA_ROOTS_KEY, roots,
				      CLUSTER_CA_OWN_KEY, ca_facts(c->coming).roots,
				      CLUSTER_CA_SINCE_KEY, text));
	path_of(c, "configmaps", was ? CLUSTER_CA_ROOTS : "", path);
	send_step(c, was ? "PUT" : "POST", path, map, put_roots);
}

static void got_roots(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct cluster_ca *c = arg;
	_cleanup_json_ json_t *map = NULL;
	_cleanup_free_ char *roots = NULL;
	const json_t *data;
	int64_t since = 0;

	if (!answers_step(c, STEP_ROOTS))
		return;
	if (status != 200 && status != 404) {
		fail(c, "the ConfigMap " CLUSTER_CA_ROOTS " can't be read", status, body, size,
		     error);
		return;
	}
	map = status == 200 ? json_loadb(body, size, 0, NULL) : NULL;
	data = json_object_get(map, "data");
	roots = roots_to_tell(c, data, &since);
	if (!roots)
		fail(c, "the ConfigMap " CLUSTER_CA_ROOTS " can't be written", 0, NULL, 0,
		     "out of memory");
	else if (!strcmp(json_get_text(data, CLUSTER_CA_ROOTS_KEY, ""), roots) &&
		 !strcmp(json_get_text(data, CLUSTER_CA_OWN_KEY, ""), ca_facts(c->coming).roots))
		be_ready(c);
	else
		write_roots(c, map, roots, since);
}

static void ask_roots(struct cluster_ca *c)
{
	char path[URL_MAX];

	path_of(c, "configmaps", CLUSTER_CA_ROOTS, path);
	send_step(c, "GET", path, NULL, got_roots);
}

/* ---- requests for certificates ---- */

static void csr_free(struct csr *q)
{
	free(q->name);
	free(q->version);
	free(q->user);
	free(q->node);
	free(q->pem);
	free(q->chain);
	free(q);
}

static struct csr *find(const struct cluster_ca *c, const char *name)
{
	for (struct csr *q = c->list; q; q = q->next)
		if (!q->over && !strcmp(q->name, name))
			return q;
	return NULL;
}

static void drop_over(struct cluster_ca *c)
{
	struct csr **at = &c->list;

	while (*at) {
		struct csr *q = *at;

		if (!q->over || q->busy) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		csr_free(q);
	}
}

static bool has_condition(const json_t *status, const char *type)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(status, "conditions"), i,
			   one) if (!strcmp(json_get_text(one, "type", ""), type)) return true;
	return false;
}

static bool is_decided(const json_t *status)
{
	return *json_get_text(status, "certificate", "") || has_condition(status, "Denied") ||
	       has_condition(status, "Failed");
}

/* The one node that the requester's token is bound to; "" where the API server does not say. */
static const char *node_of(const json_t *spec)
{
	const json_t *list = json_object_get(json_object_get(spec, "extra"), NODE_KEY);
	const char *node = json_string_value(json_array_get(list, 0));

	return node && json_array_size(list) == 1 ? node : "";
}

/* All that a request keeps for its whole life. 0 or -ENOMEM. */
static int fill(struct csr *q, const struct cluster_ca *c, const json_t *spec)
{
	json_int_t ttl = json_get_int(spec, "expirationSeconds", c->o.ttl_s);

	q->ttl_s = ttl > 0 && ttl < c->o.ttl_s ? (unsigned)ttl : c->o.ttl_s;
	q->user = strdup(json_get_text(spec, "username", ""));
	q->node = strdup(node_of(spec));
	q->pem = value_of(spec, "request");
	return q->user && q->node && q->pem ? 0 : -ENOMEM;
}

static struct csr *add(struct cluster_ca *c, const char *name, const json_t *spec)
{
	struct csr *q = calloc(1, sizeof(*q)), **last = &c->list;

	if (!q)
		return NULL;
	q->ca = c;
	q->name = strdup(name);
	if (!q->name || fill(q, c, spec)) {
		csr_free(q);
		return NULL;
	}
	while (*last)
		last = &(*last)->next;
	*last = q;
	return q;
}

static void see(struct cluster_ca *c, const struct informer_event *e)
{
	_cleanup_json_ json_t *object = json_loadb(e->json, e->size, 0, NULL);
	const json_t *spec = json_object_get(object, "spec"),
		     *status = json_object_get(object, "status");
	struct csr *q = find(c, e->name);

	if (strcmp(json_get_text(spec, "signerName", ""), CLUSTER_SIGNER) != 0)
		return;
	if (is_decided(status)) {
		if (q)
			q->over = true;
		return;
	}
	if (!q)
		q = add(c, e->name, spec);
	if (!q)
		return; /* out of memory: it is asked again */
	free(q->version);
	q->version = strdup(e->resource_version);
	q->approved = has_condition(status, "Approved");
	q->next_ms = 0;
	wake(c, 1);
}

void cluster_ca_event(struct cluster_ca *c, const struct informer_event *e)
{
	struct csr *q;

	if (!c->held)
		return;
	q = find(c, e->name);
	if (e->change == INFORMER_PUT)
		see(c, e);
	else if (q)
		q->over = true;
}

/* ---- what becomes of one ---- */

static void ended(struct csr *q)
{
	q->busy = false;
	q->ca->in_flight--;
	q->next_ms = q->ca->now_ms + RETRY_MS;
	wake(q->ca, 1);
}

/* The next version of it comes by the watch where somebody else has changed it. */
static void failed(struct csr *q, const char *what, long status, const char *body, size_t size,
		   const char *error)
{
	if (status == 404)
		q->over = true;
	else if (status != 409)
		fail(q->ca, what, status, body, size, error);
}

static void denied(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct csr *q = arg;

	ended(q);
	if (status == 200)
		q->over = true;
	else
		failed(q, "a request can't be denied", status, body, size, error);
}

static void certified(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct csr *q = arg;

	ended(q);
	if (status == 200)
		q->over = true;
	else
		failed(q, "a certificate can't be handed out", status, body, size, error);
}

static void approved(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct csr *q = arg;
	_cleanup_json_ json_t *object = status == 200 ? json_loadb(body, size, 0, NULL) : NULL;
	const char *version =
		json_get_text(json_object_get(object, "metadata"), "resourceVersion", "");
	char *copy = *version ? strdup(version) : NULL;

	ended(q);
	if (!copy) {
		failed(q, "a request can't be approved", status, body, size, error);
		return;
	}
	free(q->version);
	q->version = copy;
	q->approved = true;
	q->next_ms = 0;
}

/* A change of the very version that was judged. NULL when out of memory. */
static json_t *patch_json(const struct csr *q, json_t *status)
{
	return json_pack("{s:{s:s}, s:o}", "metadata", "resourceVersion", q->version, "status",
			 status);
}

static json_t *condition_json(const char *type, const char *reason, const char *message)
{
	return json_pack("{s:[{s:s, s:s, s:s, s:o}]}", "conditions", "type", type, "status", "True",
			 "reason", reason, "message", json_text(message));
}

static void patch(struct csr *q, const char *part, json_t *status, informer_reply_fn done)
{
	char path[URL_MAX];

	snprintf(path, sizeof(path), CSR_PATH "/%s/%s", q->name, part);
	q->busy = true; /* it may be answered at once */
	q->ca->in_flight++;
	if (ask(q->ca, "PATCH", path, patch_json(q, status), done, q))
		return;
	q->busy = false;
	q->ca->in_flight--;
	q->next_ms = q->ca->now_ms + RETRY_MS;
}

static void deny(struct csr *q, const char *reason, const char *message)
{
	log_warning("the certificate that %s asks for is denied: %s", q->name, message);
	if (q->approved) { /* somebody else has: it stays without a certificate all the same */
		q->over = true;
		return;
	}
	patch(q, "approval", condition_json("Denied", reason, message), denied);
}

/* The node may know of a pod before this one does. */
static void judge_pod(struct csr *q, const char *identity)
{
	struct cluster_ca *c = q->ca;
	char problem[CA_PROBLEM_MAX] = "OpenSSL fails", text[PROBLEM_MAX];
	int r;

	if (strcmp(identity, GATEWAY_IDENTITY) != 0 && !c->o.runs(c->o.arg, q->node, identity)) {
		q->next_ms = c->now_ms + POD_LOOK_MS;
		snprintf(text, sizeof(text), "node %s runs no pod of the mesh that is %s", q->node,
			 identity);
		if (c->now_ms - q->first_ms >= POD_WAIT_MS)
			deny(q, "NoSuchPod", text);
		return;
	}
	r = ca_sign(c->ca, q->pem, identity, q->ttl_s, (int64_t)time(NULL), &q->chain, problem);
	if (r == -EINVAL) {
		snprintf(text, sizeof(text), "the request %s", problem);
		deny(q, "BadRequest", text);
	} else if (r) {
		fail(c, "a certificate can't be signed", 0, NULL, 0, problem);
		q->next_ms = c->now_ms + RETRY_MS;
	}
}

static void judge(struct csr *q)
{
	_cleanup_free_ char *identity = ca_requested(q->pem);

	if (strcmp(q->user, q->ca->user) != 0)
		deny(q, "NoAgent", "it is not asked for by an agent's account");
	else if (!*q->node)
		deny(q, "NoNode",
		     "the agent's token is bound to no node: the API server binds those "
		     "of pods from Kubernetes 1.30 on");
	else if (!identity)
		deny(q, "BadRequest", "the request is not for one URI, the identity, alone");
	else
		judge_pod(q, identity);
}

static void hand_out(struct csr *q)
{
	_cleanup_free_ char *text = base64_encode(q->chain, strlen(q->chain));

	patch(q, "status", json_pack("{s:o}", "certificate", json_text(text)), certified);
}

/* One step, where it is time to. */
static void go_on(struct csr *q)
{
	if (!q->first_ms)
		q->first_ms = q->ca->now_ms;
	if (!q->chain)
		judge(q);
	if (q->over || q->busy || !q->chain)
		return;
	if (q->approved)
		hand_out(q);
	else
		patch(q, "approval",
		      condition_json("Approved", "PodOfNode",
				     "the node runs a pod of the mesh that is this identity"),
		      approved);
}

/* ---- the time ---- */

static void take_step(struct cluster_ca *c)
{
	static void (*const steps[])(struct cluster_ca * c) = {
		[STEP_SELF] = ask_self, [STEP_SECRET] = ask_secret, [STEP_ROOTS] = ask_roots
	};

	steps[c->step](c);
}

static unsigned until(uint64_t at, uint64_t now)
{
	return at > now ? (unsigned)(at - now) : 1;
}

static unsigned go_over(struct cluster_ca *c)
{
	unsigned next = LOOK_MS;

	for (struct csr *q = c->list; q; q = q->next) {
		if (!q->busy && !q->over && c->now_ms >= q->next_ms && c->in_flight < IN_FLIGHT_MAX)
			go_on(q);
		if (!q->busy && !q->over && until(q->next_ms, c->now_ms) < next)
			next = until(q->next_ms, c->now_ms);
	}
	return c->in_flight < IN_FLIGHT_MAX ? next : RETRY_MS;
}

unsigned cluster_ca_turn(struct cluster_ca *c, uint64_t now_ms)
{
	unsigned next, step;

	c->now_ms = now_ms;
	drop_over(c);
	if (!c->held)
		return 0;
	if (c->step == STEP_READY && now_ms >= c->look_ms)
		c->step = STEP_SECRET;
	if (c->step != STEP_READY && !c->busy && now_ms >= c->next_ms)
		take_step(c);
	next = c->ready ? go_over(c) : LOOK_MS;
	if (c->busy)
		return next;
	step = until(c->step == STEP_READY ? c->look_ms : c->next_ms, now_ms);
	return step < next ? step : next;
}

static void fired(void *arg)
{
	struct cluster_ca *c = arg;
	unsigned next = cluster_ca_turn(c, clock_ms());

	if (next)
		wake(c, next);
}

/* ---- its life ---- */

void cluster_ca_hold(struct cluster_ca *c, bool held)
{
	if (c->held == held)
		return;
	c->held = held;
	c->ready = false;
	c->step = STEP_SELF;
	c->next_ms = 0;
	c->problem[0] = '\0';
	for (struct csr *q = c->list; q; q = q->next)
		q->over = true;
	if (!held) {
		ca_free(c->ca);
		ca_free(c->coming);
		c->ca = c->coming = NULL;
	}
	wake(c, 1);
}

bool cluster_ca_is_ready(const struct cluster_ca *c)
{
	return c->ready;
}

void cluster_ca_tell(const struct cluster_ca *c, struct identity_ca *out)
{
	*out = (struct identity_ca){ .from = "the Secret " CLUSTER_CA_SECRET,
				     .problem = *c->problem ? c->problem : NULL };
	if (!c->ca)
		return;
	out->subject = ca_facts(c->ca).subject;
	out->not_after = ca_facts(c->ca).not_after;
}

int cluster_ca_open(const struct cluster_ca_options *options, struct cluster_ca **out)
{
	struct cluster_ca *c = calloc(1, sizeof(*c));
	int r = c ? event_timer_open(options->loop, &c->timer, fired, c) : -ENOMEM;

	if (r) {
		free(c);
		return r;
	}
	c->o = *options;
	*out = c;
	return 0;
}

void cluster_ca_close(struct cluster_ca *c)
{
	if (!c)
		return;
	event_timer_close(&c->timer);
	while (c->list) {
		struct csr *q = c->list;

		c->list = q->next;
		csr_free(q);
	}
	ca_free(c->ca);
	ca_free(c->coming);
	free(c->user);
	free(c);
}
