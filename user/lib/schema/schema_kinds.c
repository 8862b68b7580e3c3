/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

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

int kind_parse(const char *word)
{
	for (int kind = 0; kind < KIND_MAX; kind++) {
		if (!strcasecmp(word, schemas[kind].name))
			return kind;
		for (const char *const *w = schemas[kind].words; *w; w++)
			if (!strcasecmp(word, *w))
				return kind;
	}
	return -1;
}
