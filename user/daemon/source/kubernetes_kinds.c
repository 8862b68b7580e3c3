// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of the Kubernetes API, and what is kept of it.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/model/model.h"

#define META                                                                      \
	"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", \
		"metadata.creationTimestamp"

/* What weft writes of an object. */
#define STATUS \
	"metadata.generation", "status.conditions[type=Reconciled]", "status.observedGeneration"

static const char *const namespace_fields[] = { META, NULL };
static const char *const spec_fields[] = { META, "spec", NULL };
const char *const *const kube_plain_fields = spec_fields;
static const char *const rule_fields[] = { META, STATUS, "spec", NULL };
static const char *const refused_fields[] = { META, STATUS, NULL };

static const char *const service_fields[] = {
	META,
	"spec.type",
	"spec.clusterIP",
	"spec.clusterIPs",
	"spec.selector",
	"spec.ports",
	"spec.sessionAffinity",
	"spec.sessionAffinityConfig",
	"spec.externalName",
	"spec.publishNotReadyAddresses",
	"spec.internalTrafficPolicy",
	"spec.externalTrafficPolicy",
	"spec.externalIPs",
	"spec.trafficDistribution",
	"spec.loadBalancerSourceRanges",
	"spec.healthCheckNodePort",
	"status.loadBalancer",
	NULL,
};

/* Of those of KUBE_SECRETS_NAMESPACE. An Opaque one may have anything else beside what weft reads.
 */
static const char *const secret_fields[] = {
	META,
	"type",
	"data.'tls.crt'",
	"data.'tls.key'",
	"data.'ca.crt'",
	"data.'ca.crl'",
	"data.cert",
	"data.key",
	"data.cacert",
	"data.crl",
	NULL,
};

static const char *const slice_fields[] = {
	META,
	"addressType",
	"ports",
	"endpoints.addresses",
	"endpoints.conditions",
	"endpoints.nodeName",
	"endpoints.targetRef.kind",
	"endpoints.targetRef.name",
	"endpoints.targetRef.namespace",
	NULL,
};

static const char *const pod_fields[] = {
	META,
	"metadata.annotations.'sidecar.istio.io/inject'",
	"metadata.deletionTimestamp",
	"metadata.ownerReferences.kind",
	"metadata.ownerReferences.name",
	"metadata.ownerReferences.controller",
	"spec.containers.ports",
	"spec.initContainers.ports",
	"spec.serviceAccountName",
	"spec.nodeName",
	"spec.subdomain",
	"spec.hostname",
	"spec.hostNetwork",
	"status.phase",
	"status.podIP",
	"status.podIPs",
	"status.conditions[type=Ready].type",
	"status.conditions[type=Ready].status",
	NULL,
};

static const char *const istio_before[] = { "networking.istio.io/v1beta1",
					    "networking.istio.io/v1alpha3", NULL };
static const char *const security_before[] = { "security.istio.io/v1beta1", NULL };
static const char *const telemetry_before[] = { "telemetry.istio.io/v1alpha1", NULL };

#define CORE "", "v1", NULL
#define ISTIO "networking.istio.io", "v1", istio_before
#define SECURITY "security.istio.io", "v1", security_before

/* Those that have no say in which objects are right come without `others`: pods come and go. */
const struct kube_kind kube_kinds[] = {
	{ CORE, "services", "Service", "service", KIND_SERVICE, false, true, service_fields },
	{ "discovery.k8s.io", "v1", NULL, "endpointslices", "EndpointSlice", "endpointslice",
	  KIND_ENDPOINT_SLICE, false, false, slice_fields },
	{ CORE, "pods", "Pod", "pod", KIND_POD, false, false, pod_fields },
	{ CORE, "namespaces", "Namespace", "namespace", KIND_NAMESPACE, false, true,
	  namespace_fields },
	{ ISTIO, "virtualservices", "VirtualService", "virtualservice", KIND_VIRTUAL_SERVICE, true,
	  true, rule_fields },
	{ ISTIO, "destinationrules", "DestinationRule", "destinationrule", KIND_DESTINATION_RULE,
	  true, true, rule_fields },
	{ ISTIO, "gateways", "Gateway", "gateway", KIND_GATEWAY, true, true, rule_fields },
	{ "networking.k8s.io", "v1", NULL, "networkpolicies", "NetworkPolicy", "networkpolicy",
	  KIND_NETWORK_POLICY, false, false, spec_fields },
	{ ISTIO, "serviceentries", "ServiceEntry", "serviceentry", KIND_SERVICE_ENTRY, true, true,
	  rule_fields },
	{ ISTIO, "sidecars", "Sidecar", "sidecar", -1, true, false, refused_fields },
	{ SECURITY, "authorizationpolicies", "AuthorizationPolicy", "authorizationpolicy",
	  KIND_AUTHORIZATION_POLICY, true, false, rule_fields },
	{ SECURITY, "peerauthentications", "PeerAuthentication", "peerauthentication",
	  KIND_PEER_AUTHENTICATION, true, false, rule_fields },
	{ SECURITY, "requestauthentications", "RequestAuthentication", "requestauthentication", -1,
	  true, false, refused_fields },
	{ CORE, "secrets", "Secret", "secret", KIND_SECRET, false, false, secret_fields },
	{ "weft.dev", "v1alpha1", NULL, "connectionpolicies", "ConnectionPolicy",
	  "connectionpolicy", KIND_CONNECTION_POLICY, true, false, rule_fields },
	{ ISTIO, "workloadentries", "WorkloadEntry", "workloadentry", KIND_WORKLOAD_ENTRY, true,
	  false, rule_fields },
	{ "telemetry.istio.io", "v1", telemetry_before, "telemetries", "Telemetry", "telemetry",
	  KIND_TELEMETRY, true, false, rule_fields },
};

_Static_assert(sizeof(kube_kinds) / sizeof(*kube_kinds) <= 64, "kube_source has a bit for each");

const size_t kube_kind_count = sizeof(kube_kinds) / sizeof(*kube_kinds);

int kube_kind_of_word(const char *word, size_t len)
{
	for (size_t i = 0; i < kube_kind_count; i++)
		if (strlen(kube_kinds[i].word) == len && !memcmp(kube_kinds[i].word, word, len))
			return (int)i;
	return -1;
}

int kube_kind_of_plural(const char *plural)
{
	for (size_t i = 0; i < kube_kind_count; i++)
		if (!strcmp(kube_kinds[i].plural, plural))
			return (int)i;
	return -1;
}

int kube_kind_of_name(const char *name)
{
	for (size_t i = 0; i < kube_kind_count; i++)
		if (!strcmp(kube_kinds[i].name, name))
			return (int)i;
	return -1;
}

bool kube_kind_has_status(const struct kube_kind *k)
{
	return k->fields == rule_fields || k->fields == refused_fields;
}

uint64_t kube_kinds_hash(const struct kube_kind *kinds, size_t count)
{
	uint64_t h = KUBE_HASH_FIRST;

	/* The NULs are part of it; an empty text ends a kind. */
	for (size_t i = 0; i < count; i++) {
		h = kube_hash(h, kinds[i].plural, strlen(kinds[i].plural) + 1);
		for (const char *const *path = kinds[i].fields; *path; path++)
			h = kube_hash(h, *path, strlen(*path) + 1);
		h = kube_hash(h, "", 1);
	}
	return h;
}

void kube_kind_path(char path[KUBE_PATH_MAX], const struct kube_kind *k, const char *api_version,
		    const char *namespace)
{
	bool own = k->kind == KIND_SECRET;

	snprintf(path, KUBE_PATH_MAX, "/%s/%s/%s%s%s%s", *k->group ? "apis" : "api", api_version,
		 own ? "namespaces/" : "", own ? namespace : "", own ? "/" : "", k->plural);
}

bool kube_kind_is_kept(unsigned kind)
{
	return kube_kinds[kind].kind != KIND_SECRET;
}
