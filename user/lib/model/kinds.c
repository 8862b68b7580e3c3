// SPDX-License-Identifier: Apache-2.0
#include "lib/model/kinds.h"

#include <string.h>
#include <strings.h>

#include "lib/base/similar.h"

const struct kind_info kind_infos[KIND_MAX] = {
	[KIND_SERVICE] = {
		.name = "Service",
		.words = { "services", "svc" },
		.group = "",
		.versions = { "v1" },
	},
	[KIND_POD] = {
		.name = "Pod",
		.words = { "pods", "po" },
		.group = "",
		.versions = { "v1" },
	},
	[KIND_ENDPOINTS] = {
		.name = "Endpoints",
		.words = { "endpoint", "ep" },
		.group = "",
		.versions = { "v1" },
	},
	[KIND_ENDPOINT_SLICE] = {
		.name = "EndpointSlice",
		.words = { "endpointslices" },
		.group = "discovery.k8s.io",
		.versions = { "v1", "v1beta1" },
	},
	[KIND_NAMESPACE] = {
		.name = "Namespace",
		.words = { "namespaces", "ns" },
		.group = "",
		.versions = { "v1" },
		.cluster_wide = true,
	},
	[KIND_NETWORK_POLICY] = {
		.name = "NetworkPolicy",
		.words = { "networkpolicies", "netpol" },
		.group = "networking.k8s.io",
		.versions = { "v1" },
	},
	[KIND_SECRET] = {
		.name = "Secret",
		.words = { "secrets" },
		.group = "",
		.versions = { "v1" },
	},
	[KIND_VIRTUAL_SERVICE] = {
		.name = "VirtualService",
		.words = { "virtualservices", "vs" },
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_DESTINATION_RULE] = {
		.name = "DestinationRule",
		.words = { "destinationrules", "dr" },
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_GATEWAY] = {
		.name = "Gateway",
		.words = { "gateways", "gw" },
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_SERVICE_ENTRY] = {
		.name = "ServiceEntry",
		.words = { "serviceentries", "se" },
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_CONNECTION_POLICY] = {
		.name = "ConnectionPolicy",
		.words = { "connectionpolicies", "connpol" },
		.group = "weft.dev",
		.versions = { "v1alpha1" },
		.cluster_wide = true,
		.only = CONNECTION_POLICY_NAME,
	},
	[KIND_AUTHORIZATION_POLICY] = {
		.name = "AuthorizationPolicy",
		.words = { "authorizationpolicies", "ap" },
		.group = "security.istio.io",
		.versions = { "v1", "v1beta1" },
		.istio = true,
	},
	[KIND_WORKLOAD_ENTRY] = {
		.name = "WorkloadEntry",
		.words = { "workloadentries", "we" },
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_PEER_AUTHENTICATION] = {
		.name = "PeerAuthentication",
		.words = { "peerauthentications", "pa" },
		.group = "security.istio.io",
		.versions = { "v1", "v1beta1" },
		.istio = true,
	},
	[KIND_TELEMETRY] = {
		.name = "Telemetry",
		.words = { "telemetries", "telemetry" },
		.group = "telemetry.istio.io",
		.versions = { "v1", "v1alpha1" },
		.istio = true,
	},
};

const char *kind_name(enum kind kind)
{
	return kind_infos[kind].name;
}

/* "virtualservices.networking.istio.io" and "vs.v1.networking.istio.io" are kubectl's long forms.
 */
static bool same_suffix(const struct kind_info *k, const char *suffix)
{
	if (!*suffix || !strcasecmp(suffix, k->group))
		return true;
	for (const char *const *v = k->versions; *v; v++) {
		size_t len = strlen(*v);

		if (!strncasecmp(suffix, *v, len) &&
		    (!suffix[len] ||
		     (suffix[len] == '.' && !strcasecmp(suffix + len + 1, k->group))))
			return true;
	}
	return false;
}

static bool is_word(const char *known, const char *word, size_t len)
{
	return strlen(known) == len && !strncasecmp(known, word, len);
}

int kind_parse(const char *word)
{
	size_t len = strcspn(word, ".");
	const char *suffix = word + len + (word[len] == '.');

	for (int kind = 0; kind < KIND_MAX; kind++) {
		const struct kind_info *k = &kind_infos[kind];
		bool same = is_word(k->name, word, len);

		for (const char *const *w = k->words; *w && !same; w++)
			same = is_word(*w, word, len);
		if (same)
			return same_suffix(k, suffix) ? kind : -1;
	}
	return -1;
}

const char *kind_similar(const char *word)
{
	struct similar near = similar_to(word);

	for (int kind = 0; kind < KIND_MAX; kind++) {
		similar_offer(&near, kind_infos[kind].name);
		for (const char *const *w = kind_infos[kind].words; *w; w++)
			similar_offer(&near, *w);
	}
	return near.best;
}

const char *kind_group(enum kind kind)
{
	return kind_infos[kind].group;
}
