/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "lib/base/similar.h"
#include "lib/schema/schema.h"

const struct schema schemas[KIND_MAX] = {
	[KIND_SERVICE] = {
		.name = "Service",
		.words = { "services", "svc" },
		.group = "",
		.versions = { "v1" },
		.message = &schema_service,
	},
	[KIND_POD] = {
		.name = "Pod",
		.words = { "pods", "po" },
		.group = "",
		.versions = { "v1" },
		.message = &schema_pod,
	},
	[KIND_ENDPOINTS] = {
		.name = "Endpoints",
		.words = { "endpoint", "ep" },
		.group = "",
		.versions = { "v1" },
		.message = &schema_endpoints,
	},
	[KIND_ENDPOINT_SLICE] = {
		.name = "EndpointSlice",
		.words = { "endpointslices" },
		.group = "discovery.k8s.io",
		.versions = { "v1", "v1beta1" },
		.message = &schema_endpoint_slice,
	},
	[KIND_NAMESPACE] = {
		.name = "Namespace",
		.words = { "namespaces", "ns" },
		.group = "",
		.versions = { "v1" },
		.message = &schema_namespace,
	},
	[KIND_VIRTUAL_SERVICE] = {
		.name = "VirtualService",
		.words = { "virtualservices", "vs" },
		.message = &schema_virtual_service,
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_DESTINATION_RULE] = {
		.name = "DestinationRule",
		.words = { "destinationrules", "dr" },
		.message = &schema_destination_rule,
		.group = "networking.istio.io",
		.versions = { "v1", "v1beta1", "v1alpha3" },
		.istio = true,
	},
	[KIND_GATEWAY] = {
		.name = "Gateway",
		.words = { "gateways", "gw" },
		.message = &schema_gateway,
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
};

const char *kind_name(enum kind kind)
{
	return schemas[kind].name;
}

/* "virtualservices.networking.istio.io" and "vs.v1.networking.istio.io" are kubectl's long forms.
 */
static bool same_suffix(const struct schema *s, const char *suffix)
{
	if (!*suffix || !strcasecmp(suffix, s->group))
		return true;
	for (const char *const *v = s->versions; *v; v++) {
		size_t len = strlen(*v);

		if (!strncasecmp(suffix, *v, len) &&
		    (!suffix[len] ||
		     (suffix[len] == '.' && !strcasecmp(suffix + len + 1, s->group))))
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
		const struct schema *s = &schemas[kind];
		bool same = is_word(s->name, word, len);

		for (const char *const *w = s->words; *w && !same; w++)
			same = is_word(*w, word, len);
		if (same)
			return same_suffix(s, suffix) ? kind : -1;
	}
	return -1;
}

const char *kind_similar(const char *word)
{
	struct similar near = similar_to(word);

	for (int kind = 0; kind < KIND_MAX; kind++) {
		similar_offer(&near, schemas[kind].name);
		for (const char *const *w = schemas[kind].words; *w; w++)
			similar_offer(&near, *w);
	}
	return near.best;
}

const char *kind_group(enum kind kind)
{
	return schemas[kind].group;
}
