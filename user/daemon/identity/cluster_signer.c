// SPDX-License-Identifier: Apache-2.0
#include "daemon/identity/cluster_signer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/identity/ca.h"
#include "daemon/identity/cluster_ca.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"

enum {
	TTL_MIN_S = 600,   /* of the API */
	POLL_MIN_MS = 100, /* until the answer is looked for, longer each time */
	POLL_MAX_MS = 2000,
	OLD_MS = 30000, /* from then on even more seldom */
	POLL_OLD_MAX_MS = 30000,
	TURN_MS = 500,	       /* while there is something to be watched over */
	NO_SIGNER_MS = 2000,   /* without an answer: somebody has to sign */
	SPREAD_MS = 2000,      /* not all agents at once */
	HOLD_MS = 30000,       /* that the Lease is held without being able to sign */
	BARRED_MS = 120000,    /* that it is left to others then */
	OPEN_MS = 2000,	       /* until watching requests is tried again */
	RENEW_LEAST_MS = 5000, /* after new roots: all agents have them */
	RENEW_MOST_MS = 120000,
	NODE_MAX = 200, /* of a node's name in that of a request */
	URL_MAX = 512,
	PROBLEM_MAX = 512,
};

#define CSR_PATH "/apis/certificates.k8s.io/v1/certificatesigningrequests"

/* A request of this agent. */
struct asked {
	struct asked *next;
	struct cluster_signer *signer;
	unsigned long number;
	char *name, *csr; /* the latter PEM */
	uint64_t begun_ms, next_ms;
	unsigned wait_ms;
	bool there;	 /* the API server has it */
	bool busy, over; /* it is being asked about; freed when it is not */
};

struct cluster_signer {
	struct identity_signer signer; /* first */
	struct cluster_signer_options o;
	struct identities *ids;
	struct kube_config *config;
	struct informer *informer; /* watches the roots, and asks; NULL: nothing was asked yet */
	struct informer *requests; /* of all agents, while this one signs; or NULL */
	struct informer_resource roots_resource, requests_resource;
	char *roots_path, *roots_query;
	struct event_timer timer;
	struct lease *lease;
	struct cluster_ca *ca;
	struct asked *list;
	unsigned spread_ms;
	uint64_t held_ms, barred_ms, open_ms; /* the Lease since; not before; as the last */
	char *roots;			      /* as they were taken last; NULL: none were */
	bool roots_listed;
	char *subject; /* of the last root to end, like the next */
	int64_t not_after;
	char problem[PROBLEM_MAX]; /* "": none */
};

static void set_problem(struct cluster_signer *s, const char *problem)
{
	snprintf(s->problem, sizeof(s->problem), "%s", problem);
	json_clean(s->problem);
}

/* ---- one request ---- */

static void asked_free(struct asked *a)
{
	free(a->name);
	free(a->csr);
	free(a);
}

static void drop_over(struct cluster_signer *s)
{
	struct asked **at = &s->list;

	while (*at) {
		struct asked *a = *at;

		if (!a->over || a->busy) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		asked_free(a);
	}
}

/* In the server's words, if it has sent a Status. */
static void note_status(struct asked *a, long status, const char *body, size_t size,
			const char *error)
{
	_cleanup_json_ json_t *answer = status ? json_loadb(body, size, 0, NULL) : NULL;
	char text[PROBLEM_MAX];

	snprintf(text, sizeof(text), "a certificate can't be asked for: %s",
		 error ? error : json_get_text(answer, "message", "an answer without a reason"));
	set_problem(a->signer, text);
}

static void answer_status(struct asked *a, long status, const char *body, size_t size,
			  const char *error)
{
	note_status(a, status, body, size, error);
	a->over = true;
	identities_signed(a->signer->ids, a->number, NULL, a->signer->problem);
}

static const json_t *condition(const json_t *status, const char *type)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(status, "conditions"), i,
			   one) if (!strcmp(json_get_text(one, "type", ""), type)) return one;
	return NULL;
}

static void answer_refused(struct asked *a, const json_t *refused)
{
	char text[PROBLEM_MAX];

	snprintf(text, sizeof(text), "the certificate is denied: %s",
		 json_get_text(refused, "message", "without a reason"));
	json_clean(text);
	a->over = true;
	identities_denied(a->signer->ids, a->number, text);
}

static void answer_certificate(struct asked *a, const char *encoded)
{
	size_t len = strlen(encoded);
	_cleanup_free_ char *chain = malloc(len + 1);

	if (!chain)
		return; /* it is looked at again */
	if (!base64_decode(encoded, chain, &len))
		len = 0;
	chain[len] = '\0';
	a->over = true;
	a->signer->problem[0] = '\0';
	identities_signed(a->signer->ids, a->number, chain, NULL);
}

/* Whether the same may well be answered another time. */
static bool is_passing(long status)
{
	return !status || status == 429 || status >= 500;
}

static void got(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct asked *a = arg;
	_cleanup_json_ json_t *csr = status == 200 ? json_loadb(body, size, 0, NULL) : NULL;
	const json_t *state = json_object_get(csr, "status");
	const json_t *refused = condition(state, "Denied");
	const char *certificate = json_get_text(state, "certificate", "");

	a->busy = false;
	if (a->over)
		return;
	if (!refused)
		refused = condition(state, "Failed");
	if (refused)
		answer_refused(a, refused);
	else if (*certificate)
		answer_certificate(a, certificate);
	else if (status != 200 && !is_passing(status))
		answer_status(a, status, body, size, error);
}

static void wait_longer(struct asked *a)
{
	uint64_t now = clock_ms();
	unsigned most = now - a->begun_ms < OLD_MS ? POLL_MAX_MS : POLL_OLD_MAX_MS;

	a->wait_ms = a->wait_ms * 2 < most ? a->wait_ms * 2 : most;
	a->next_ms = now + a->wait_ms;
}

static void look(struct asked *a)
{
	char path[URL_MAX];

	snprintf(path, sizeof(path), CSR_PATH "/%s", a->name);
	a->busy = true;
	if (informer_request(a->signer->informer, "GET", path, NULL, NULL, 0, got, a))
		a->busy = false;
	wait_longer(a);
}

/* One whose fate is not known is posted again by the same name, which nobody else has: 409 says
 * that it got there the first time. */
static void posted(void *arg, long status, const char *body, size_t size, const char *error)
{
	struct asked *a = arg;

	a->busy = false;
	a->there = status == 201 || status == 409;
	if (!a->there && !a->over && !is_passing(status))
		answer_status(a, status, body, size, error);
	else if (!a->there)
		note_status(a, status, body, size, error);
}

static json_t *csr_json(const struct cluster_signer *s, const char *name, const char *csr)
{
	_cleanup_free_ char *request = base64_encode(csr, strlen(csr));
	unsigned ttl = s->o.ttl_s < TTL_MIN_S ? TTL_MIN_S : s->o.ttl_s;

	return json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:I, s:[s, s, s]}}", "apiVersion",
			 "certificates.k8s.io/v1", "kind", "CertificateSigningRequest", "metadata",
			 "name", name, "spec", "request", request ? request : "", "signerName",
			 CLUSTER_SIGNER, "expirationSeconds", (json_int_t)ttl, "usages",
			 "digital signature", "server auth", "client auth");
}

static int post(struct asked *a)
{
	_cleanup_json_ json_t *body = csr_json(a->signer, a->name, a->csr);
	_cleanup_free_ char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	return text ? informer_request(a->signer->informer, "POST", CSR_PATH, "application/json",
				       text, strlen(text), posted, a)
		    : -ENOMEM;
}

/* "weft-NODE-0123456789abcdef": never one that was there before. */
static char *name_of(const struct cluster_signer *s)
{
	uint64_t random = 0;
	char *name;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = clock_ns();
	return asprintf(&name, "weft-%.*s-%016llx", NODE_MAX, s->o.node,
			(unsigned long long)random) < 0
		       ? NULL
		       : name;
}

static void post_again(struct asked *a)
{
	a->busy = true;
	if (post(a))
		a->busy = false;
	wait_longer(a);
}

static int start(struct cluster_signer *s);

static int sign(struct identity_signer *signer, const char *identity, const char *csr,
		unsigned long number)
{
	struct cluster_signer *s = (struct cluster_signer *)signer;
	int r = s->informer ? 0 : start(s);
	struct asked *a = r ? NULL : calloc(1, sizeof(*a));

	(void)identity; /* it is in the request */
	if (!a)
		return r ? r : -ENOMEM;
	*a = (struct asked){ .signer = s,
			     .number = number,
			     .name = name_of(s),
			     .csr = strdup(csr),
			     .begun_ms = clock_ms(),
			     .next_ms = clock_ms() + POLL_MIN_MS,
			     .wait_ms = POLL_MIN_MS,
			     .busy = true };
	r = a->name && a->csr ? post(a) : -ENOMEM;
	if (r) {
		asked_free(a);
		return r;
	}
	a->next = s->list;
	s->list = a;
	event_timer_set(&s->timer, POLL_MIN_MS);
	return 0;
}

static void tell(const struct identity_signer *signer, struct identity_ca *out)
{
	const struct cluster_signer *s = (const struct cluster_signer *)signer;

	*out = (struct identity_ca){ 0 };
	if (s->ca)
		cluster_ca_tell(s->ca, out);
	out->from = "the Secret " CLUSTER_CA_SECRET;
	if (!out->subject) {
		out->subject = s->subject;
		out->not_after = s->not_after;
	}
	if (!out->problem && s->lease && *lease_error(s->lease))
		out->problem = lease_error(s->lease);
	if (!out->problem && *s->problem)
		out->problem = s->problem;
}

/* ---- the roots ---- */

/* Whether there is one in `roots` that was not in those of before. Roots that go alone change no
 * certificate. */
static bool has_another(const struct cluster_signer *s, const char *roots)
{
	_cleanup_free_ char *both = NULL;

	return s->roots && !ca_add_roots(s->roots, roots, 0, SIZE_MAX, &both) &&
	       strcmp(both, s->roots) != 0;
}

static void take_roots(struct cluster_signer *s, const char *roots)
{
	bool another = has_another(s, roots);
	char *copy = strdup(roots);
	char *subject = NULL;
	int64_t end = 0;
	int r = copy ? ca_last_root(roots, &subject, &end) : -ENOMEM;

	if (!r)
		r = identities_trust(s->ids, roots);
	if (r) {
		set_problem(s, "the ConfigMap " CLUSTER_CA_ROOTS " has roots that can't be read");
		log_warning("%s: what was believed before is", s->problem);
		free(subject);
		free(copy);
		return;
	}
	free(s->subject);
	s->subject = subject;
	s->not_after = end;
	free(s->roots);
	s->roots = copy;
	if (another)
		identities_renew_within(s->ids, RENEW_LEAST_MS, RENEW_MOST_MS);
}

/* Roots whose ConfigMap is gone, or empty, are believed as before: it is filled anew. The manifest
 * makes an empty one. */
static void roots_events(void *arg, const struct informer_event *events, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		_cleanup_json_ json_t *map = NULL;
		const char *roots;

		if (events[i].change != INFORMER_PUT ||
		    strcmp(events[i].name, CLUSTER_CA_ROOTS) != 0)
			continue;
		map = json_loadb(events[i].json, events[i].size, 0, NULL);
		roots = json_get_text(json_object_get(map, "data"), CLUSTER_CA_ROOTS_KEY, "");
		if (*roots)
			take_roots(arg, roots);
	}
}

static void roots_synced(void *arg)
{
	((struct cluster_signer *)arg)->roots_listed = true;
}

static void roots_status(void *arg, unsigned resource, const struct informer_status *status)
{
	struct cluster_signer *s = arg;

	(void)resource;
	if (status->phase == INFORMER_FORBIDDEN)
		set_problem(s, status->error);
}

/* ---- the Lease, and what its holder does ---- */

static void requests_events(void *arg, const struct informer_event *events, size_t count)
{
	struct cluster_signer *s = arg;

	for (size_t i = 0; i < count; i++)
		cluster_ca_event(s->ca, &events[i]);
}

static void requests_synced(void *arg)
{
	(void)arg;
}

static void requests_status(void *arg, unsigned resource, const struct informer_status *status)
{
	(void)resource;
	if (status->phase == INFORMER_FORBIDDEN)
		set_problem(arg, status->error);
}

static void ca_ready(void *arg)
{
	struct cluster_signer *s = arg;
	const struct informer_sink sink = { .events = requests_events,
					    .synced = requests_synced,
					    .status = requests_status,
					    .arg = s };
	int r = informer_open(s->config, &s->requests_resource, 1, &sink, s->o.loop, &s->requests);

	if (!r)
		r = informer_start(s->requests);
	if (!r)
		return;
	log_err(r, "watch requests for certificates"); /* it is tried again */
	informer_close(s->requests);
	s->requests = NULL;
	s->open_ms = clock_ms() + OPEN_MS;
}

static bool runs(void *arg, const char *node, const char *identity)
{
	const struct cluster_signer *s = arg;

	return s->o.runs(s->o.arg, node, identity);
}

static void lease_changed(void *arg, bool held)
{
	struct cluster_signer *s = arg;

	log_debug("this agent %s the certificates of the cluster",
		  held ? "signs" : "no longer signs");
	informer_close(s->requests);
	s->requests = NULL;
	s->held_ms = clock_ms();
	cluster_ca_hold(s->ca, held);
}

static uint64_t oldest_ms(const struct cluster_signer *s)
{
	uint64_t now = clock_ms(), oldest = 0;

	for (const struct asked *a = s->list; a; a = a->next)
		if (!a->over && now - a->begun_ms > oldest)
			oldest = now - a->begun_ms;
	return oldest;
}

static bool is_in_use(const struct cluster_signer *s)
{
	struct identities_state state;

	identities_tell(s->ids, &state);
	return state.wanted;
}

/* A holder that can't sign leaves it to another one. */
static void look_at_lease(struct cluster_signer *s)
{
	uint64_t now = clock_ms();

	if (!lease_held(s->lease))
		return;
	if (cluster_ca_is_ready(s->ca) && !s->requests && now >= s->open_ms)
		ca_ready(s);
	if ((cluster_ca_is_ready(s->ca) && s->requests) || now - s->held_ms < HOLD_MS ||
	    now < s->barred_ms)
		return;
	log_warning("this agent holds the Lease weft-ca and can't sign: it is left to others");
	s->barred_ms = now + BARRED_MS;
}

/* Where there is not even a root yet, no agent signs. */
static void decide(struct cluster_signer *s, bool in_use)
{
	unsigned wait = (s->roots || !s->roots_listed ? NO_SIGNER_MS : 0) + s->spread_ms;

	look_at_lease(s);
	lease_want(s->lease, in_use && clock_ms() >= s->barred_ms &&
				     (lease_held(s->lease) || oldest_ms(s) >= wait));
}

/* ---- the time ---- */

static unsigned go_over(struct cluster_signer *s)
{
	uint64_t now = clock_ms();
	unsigned next = TURN_MS;

	for (struct asked *a = s->list; a; a = a->next) {
		if (!identities_wait_for(s->ids, a->number))
			a->over = true;
		if (a->over || a->busy)
			continue;
		if (now >= a->next_ms && a->there)
			look(a);
		else if (now >= a->next_ms)
			post_again(a);
		else if (a->next_ms - now < next)
			next = (unsigned)(a->next_ms - now);
	}
	drop_over(s);
	return next;
}

static void fired(void *arg)
{
	struct cluster_signer *s = arg;
	unsigned next = go_over(s);
	bool in_use = is_in_use(s);

	decide(s, in_use);
	if (in_use || s->list || lease_held(s->lease))
		event_timer_set(&s->timer, next);
}

/* ---- its life ---- */

static void use_informer(struct cluster_signer *s, struct cluster_ca_options *ca,
			 struct lease_options *lease)
{
	*ca = (struct cluster_ca_options){ .namespace = s->o.namespace,
					   .ttl_s = s->o.ttl_s < TTL_MIN_S ? TTL_MIN_S : s->o.ttl_s,
					   .request = lease_request,
					   .server = s->informer,
					   .loop = s->o.loop,
					   .runs = runs,
					   .ready = ca_ready,
					   .arg = s };
	*lease = (struct lease_options){ .namespace = s->o.namespace,
					 .name = "weft-ca",
					 .identity = s->o.node,
					 .request = lease_request,
					 .server = s->informer,
					 .changed = lease_changed,
					 .arg = s };
}

static void stop(struct cluster_signer *s)
{
	informer_close(s->requests);
	informer_close(s->informer);
	s->informer = s->requests = NULL;
	lease_close(s->lease);
	s->lease = NULL;
	cluster_ca_close(s->ca);
	s->ca = NULL;
}

/* The first time that a certificate is needed. */
static int start(struct cluster_signer *s)
{
	const struct informer_sink sink = {
		.events = roots_events, .synced = roots_synced, .status = roots_status, .arg = s
	};
	struct cluster_ca_options ca;
	struct lease_options lease;
	int r = informer_open(s->config, &s->roots_resource, 1, &sink, s->o.loop, &s->informer);

	if (r)
		return r;
	use_informer(s, &ca, &lease);
	r = cluster_ca_open(&ca, &s->ca);
	if (!r)
		r = lease_open(&lease, s->o.loop, &s->lease);
	if (!r)
		r = informer_start(s->informer);
	if (r)
		stop(s);
	return r;
}

void cluster_signer_close(struct cluster_signer *s)
{
	if (!s)
		return;
	identities_sign_by(s->ids, NULL);
	event_timer_close(&s->timer);
	stop(s);
	while (s->list) {
		struct asked *a = s->list;

		s->list = a->next;
		asked_free(a);
	}
	kube_config_free(s->config);
	free(s->roots_path);
	free(s->roots_query);
	free(s->subject);
	free(s->roots);
	free(s);
}

/* 0 or -ENOMEM. */
static int name_resources(struct cluster_signer *s)
{
	if (asprintf(&s->roots_path, "/api/v1/namespaces/%s/configmaps", s->o.namespace) < 0)
		s->roots_path = NULL;
	if (asprintf(&s->roots_query, "fieldSelector=metadata.name%%3D%s", CLUSTER_CA_ROOTS) < 0)
		s->roots_query = NULL;
	if (!s->roots_path || !s->roots_query)
		return -ENOMEM;
	s->roots_resource = (struct informer_resource){ .path = s->roots_path,
							.api_version = "v1",
							.kind = "ConfigMap",
							.query = s->roots_query };
	s->requests_resource = (struct informer_resource){
		.path = CSR_PATH,
		.api_version = "certificates.k8s.io/v1",
		.kind = "CertificateSigningRequest",
		.query = "fieldSelector=spec.signerName%3Dweft.dev%2Fworkload",
	};
	return 0;
}

int cluster_signer_open(const struct cluster_signer_options *options, struct identities *ids,
			struct cluster_signer **out)
{
	struct cluster_signer *s = calloc(1, sizeof(*s));
	uint32_t random = 0;
	int r = -ENOMEM;

	if (!s)
		return r;
	*s = (struct cluster_signer){ .signer = { sign, tell }, .o = *options, .ids = ids };
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint32_t)clock_ns();
	s->spread_ms = random % SPREAD_MS;
	s->config = kube_config_copy(options->config);
	if (s->config)
		r = name_resources(s);
	if (!r)
		r = event_timer_open(options->loop, &s->timer, fired, s);
	if (r) {
		cluster_signer_close(s);
		return r;
	}
	identities_sign_by(ids, &s->signer);
	*out = s;
	return 0;
}
