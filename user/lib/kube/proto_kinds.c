// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/kube/proto_kinds.h"

/* ---- k8s.io/apimachinery ---- */

static const struct proto_field owner_fields[] = {
	{ 1, "kind", .type = PROTO_STRING, .zero = true },
	{ 3, "name", .type = PROTO_STRING, .zero = true },
	{ 4, "uid", .type = PROTO_STRING, .zero = true },
	{ 5, "apiVersion", .type = PROTO_STRING, .zero = true },
	{ 6, "controller", .type = PROTO_BOOL, .zero = true },
	{ 7, "blockOwnerDeletion", .type = PROTO_BOOL, .zero = true },
	{ 0 },
};

static const struct proto_message owner = { .fields = owner_fields };

static const struct proto_field meta_fields[] = {
	{ 1, "name", .type = PROTO_STRING },
	{ 3, "namespace", .type = PROTO_STRING },
	{ 5, "uid", .type = PROTO_STRING },
	{ 6, "resourceVersion", .type = PROTO_STRING },
	{ 7, "generation", .type = PROTO_INT },
	{ 8, "creationTimestamp", .type = PROTO_TIME },
	{ 9, "deletionTimestamp", .type = PROTO_TIME },
	{ 11, "labels", .type = PROTO_MAP },
	{ 12, "annotations", .type = PROTO_MAP },
	{ 13, "ownerReferences", .type = PROTO_MESSAGE, .list = true, .message = &owner },
	{ 0 },
};

static const struct proto_message meta = { .fields = meta_fields, .partial = true };

static const struct proto_field requirement_fields[] = {
	{ 1, "key", .type = PROTO_STRING, .zero = true },
	{ 2, "operator", .type = PROTO_STRING, .zero = true },
	{ 3, "values", .type = PROTO_STRING, .list = true },
	{ 0 },
};

static const struct proto_message requirement = { .fields = requirement_fields };

static const struct proto_field selector_fields[] = {
	{ 1, "matchLabels", .type = PROTO_MAP },
	{ 2, "matchExpressions", .type = PROTO_MESSAGE, .list = true, .message = &requirement },
	{ 0 },
};

static const struct proto_message selector = { .fields = selector_fields };

/* ---- core/v1: Namespace, Pod ---- */

static const struct proto_field namespace_fields[] = {
	{ 1, "metadata", .type = PROTO_MESSAGE, .message = &meta },
	{ 0 },
};

static const struct proto_message namespace = { .fields = namespace_fields, .partial = true };

static const struct proto_field container_port_fields[] = {
	{ 1, "name", .type = PROTO_STRING },
	{ 2, "hostPort", .type = PROTO_INT },
	{ 3, "containerPort", .type = PROTO_INT, .zero = true },
	{ 4, "protocol", .type = PROTO_STRING },
	{ 5, "hostIP", .type = PROTO_STRING },
	{ 0 },
};

static const struct proto_message container_port = { .fields = container_port_fields };

static const struct proto_field container_fields[] = {
	{ 6, "ports", .type = PROTO_MESSAGE, .list = true, .message = &container_port },
	{ 24, "restartPolicy", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message container = { .fields = container_fields, .partial = true };

static const struct proto_field pod_spec_fields[] = {
	{ 2, "containers", .type = PROTO_MESSAGE, .list = true, .message = &container },
	{ 8, "serviceAccountName", .type = PROTO_STRING },
	{ 10, "nodeName", .type = PROTO_STRING },
	{ 11, "hostNetwork", .type = PROTO_BOOL },
	{ 16, "hostname", .type = PROTO_STRING },
	{ 17, "subdomain", .type = PROTO_STRING },
	{ 20, "initContainers", .type = PROTO_MESSAGE, .list = true, .message = &container },
	{ 0 },
};

static const struct proto_message pod_spec = { .fields = pod_spec_fields, .partial = true };

static const struct proto_field condition_fields[] = {
	{ 1, "type", .type = PROTO_STRING, .zero = true },
	{ 2, "status", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message condition = { .fields = condition_fields, .partial = true };

static const struct proto_field pod_ip_fields[] = {
	{ 1, "ip", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message pod_ip = { .fields = pod_ip_fields };

static const struct proto_field pod_status_fields[] = {
	{ 1, "phase", .type = PROTO_STRING },
	{ 2, "conditions", .type = PROTO_MESSAGE, .list = true, .message = &condition },
	{ 6, "podIP", .type = PROTO_STRING },
	{ 12, "podIPs", .type = PROTO_MESSAGE, .list = true, .message = &pod_ip },
	{ 0 },
};

static const struct proto_message pod_status = { .fields = pod_status_fields, .partial = true };

static const struct proto_field pod_fields[] = {
	{ 1, "metadata", .type = PROTO_MESSAGE, .message = &meta },
	{ 2, "spec", .type = PROTO_MESSAGE, .message = &pod_spec },
	{ 3, "status", .type = PROTO_MESSAGE, .message = &pod_status },
	{ 0 },
};

static const struct proto_message pod = { .fields = pod_fields };

/* ---- core/v1: Service ---- */

static const struct proto_field service_port_fields[] = {
	{ 1, "name", .type = PROTO_STRING },
	{ 2, "protocol", .type = PROTO_STRING },
	{ 3, "port", .type = PROTO_INT, .zero = true },
	{ 4, "targetPort", .type = PROTO_INT_OR_STRING },
	{ 5, "nodePort", .type = PROTO_INT },
	{ 6, "appProtocol", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message service_port = { .fields = service_port_fields };

static const struct proto_field client_ip_fields[] = {
	{ 1, "timeoutSeconds", .type = PROTO_INT, .zero = true },
	{ 0 },
};

static const struct proto_message client_ip = { .fields = client_ip_fields };

static const struct proto_field affinity_fields[] = {
	{ 1, "clientIP", .type = PROTO_MESSAGE, .message = &client_ip },
	{ 0 },
};

static const struct proto_message affinity = { .fields = affinity_fields };

static const struct proto_field service_spec_fields[] = {
	{ 1, "ports", .type = PROTO_MESSAGE, .list = true, .message = &service_port },
	{ 2, "selector", .type = PROTO_MAP },
	{ 3, "clusterIP", .type = PROTO_STRING },
	{ 4, "type", .type = PROTO_STRING },
	{ 5, "externalIPs", .type = PROTO_STRING, .list = true },
	{ 7, "sessionAffinity", .type = PROTO_STRING },
	{ 8, "loadBalancerIP", .type = PROTO_STRING },
	{ 9, "loadBalancerSourceRanges", .type = PROTO_STRING, .list = true },
	{ 10, "externalName", .type = PROTO_STRING },
	{ 11, "externalTrafficPolicy", .type = PROTO_STRING },
	{ 12, "healthCheckNodePort", .type = PROTO_INT },
	{ 13, "publishNotReadyAddresses", .type = PROTO_BOOL },
	{ 14, "sessionAffinityConfig", .type = PROTO_MESSAGE, .message = &affinity },
	{ 17, "ipFamilyPolicy", .type = PROTO_STRING, .zero = true },
	{ 18, "clusterIPs", .type = PROTO_STRING, .list = true },
	{ 19, "ipFamilies", .type = PROTO_STRING, .list = true },
	{ 20, "allocateLoadBalancerNodePorts", .type = PROTO_BOOL, .zero = true },
	{ 21, "loadBalancerClass", .type = PROTO_STRING, .zero = true },
	{ 22, "internalTrafficPolicy", .type = PROTO_STRING, .zero = true },
	{ 23, "trafficDistribution", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message service_spec = { .fields = service_spec_fields, .partial = true };

static const struct proto_field ingress_port_fields[] = {
	{ 1, "port", .type = PROTO_INT, .zero = true },
	{ 2, "protocol", .type = PROTO_STRING, .zero = true },
	{ 3, "error", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message ingress_port = { .fields = ingress_port_fields };

static const struct proto_field load_balancer_ingress_fields[] = {
	{ 1, "ip", .type = PROTO_STRING },
	{ 2, "hostname", .type = PROTO_STRING },
	{ 3, "ipMode", .type = PROTO_STRING, .zero = true },
	{ 4, "ports", .type = PROTO_MESSAGE, .list = true, .message = &ingress_port },
	{ 0 },
};

static const struct proto_message load_balancer_ingress = { .fields =
								    load_balancer_ingress_fields };

static const struct proto_field load_balancer_fields[] = {
	{ 1, "ingress", .type = PROTO_MESSAGE, .list = true, .message = &load_balancer_ingress },
	{ 0 },
};

static const struct proto_message load_balancer = { .fields = load_balancer_fields };

static const struct proto_field service_status_fields[] = {
	{ 1, "loadBalancer", .type = PROTO_MESSAGE, .message = &load_balancer },
	{ 0 },
};

static const struct proto_message service_status = { .fields = service_status_fields,
						     .partial = true };

static const struct proto_field service_fields[] = {
	{ 1, "metadata", .type = PROTO_MESSAGE, .message = &meta },
	{ 2, "spec", .type = PROTO_MESSAGE, .message = &service_spec },
	{ 3, "status", .type = PROTO_MESSAGE, .message = &service_status },
	{ 0 },
};

static const struct proto_message service = { .fields = service_fields };

/* ---- discovery/v1 ---- */

static const struct proto_field conditions_fields[] = {
	{ 1, "ready", .type = PROTO_BOOL, .zero = true },
	{ 2, "serving", .type = PROTO_BOOL, .zero = true },
	{ 3, "terminating", .type = PROTO_BOOL, .zero = true },
	{ 0 },
};

static const struct proto_message conditions = { .fields = conditions_fields };

static const struct proto_field reference_fields[] = {
	{ 1, "kind", .type = PROTO_STRING },
	{ 2, "namespace", .type = PROTO_STRING },
	{ 3, "name", .type = PROTO_STRING },
	{ 4, "uid", .type = PROTO_STRING },
	{ 0 },
};

static const struct proto_message reference = { .fields = reference_fields, .partial = true };

static const struct proto_field endpoint_fields[] = {
	{ 1, "addresses", .type = PROTO_STRING, .list = true },
	{ 2, "conditions", .type = PROTO_MESSAGE, .message = &conditions },
	{ 3, "hostname", .type = PROTO_STRING, .zero = true },
	{ 4, "targetRef", .type = PROTO_MESSAGE, .message = &reference },
	{ 6, "nodeName", .type = PROTO_STRING, .zero = true },
	{ 7, "zone", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message endpoint = { .fields = endpoint_fields, .partial = true };

static const struct proto_field endpoint_port_fields[] = {
	{ 1, "name", .type = PROTO_STRING, .zero = true },
	{ 2, "protocol", .type = PROTO_STRING, .zero = true },
	{ 3, "port", .type = PROTO_INT, .zero = true },
	{ 4, "appProtocol", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message endpoint_port = { .fields = endpoint_port_fields };

static const struct proto_field slice_fields[] = {
	{ 1, "metadata", .type = PROTO_MESSAGE, .message = &meta },
	{ 2, "endpoints", .type = PROTO_MESSAGE, .list = true, .message = &endpoint },
	{ 3, "ports", .type = PROTO_MESSAGE, .list = true, .message = &endpoint_port },
	{ 4, "addressType", .type = PROTO_STRING, .zero = true },
	{ 0 },
};

static const struct proto_message slice = { .fields = slice_fields };

/* ---- networking/v1: NetworkPolicy ---- */

static const struct proto_field policy_port_fields[] = {
	{ 1, "protocol", .type = PROTO_STRING, .zero = true },
	{ 2, "port", .type = PROTO_INT_OR_STRING },
	{ 3, "endPort", .type = PROTO_INT, .zero = true },
	{ 0 },
};

static const struct proto_message policy_port = { .fields = policy_port_fields };

static const struct proto_field block_fields[] = {
	{ 1, "cidr", .type = PROTO_STRING, .zero = true },
	{ 2, "except", .type = PROTO_STRING, .list = true },
	{ 0 },
};

static const struct proto_message block = { .fields = block_fields };

static const struct proto_field peer_fields[] = {
	{ 1, "podSelector", .type = PROTO_MESSAGE, .message = &selector },
	{ 2, "namespaceSelector", .type = PROTO_MESSAGE, .message = &selector },
	{ 3, "ipBlock", .type = PROTO_MESSAGE, .message = &block },
	{ 0 },
};

static const struct proto_message peer = { .fields = peer_fields };

static const struct proto_field ingress_fields[] = {
	{ 1, "ports", .type = PROTO_MESSAGE, .list = true, .message = &policy_port },
	{ 2, "from", .type = PROTO_MESSAGE, .list = true, .message = &peer },
	{ 0 },
};

static const struct proto_message ingress = { .fields = ingress_fields };

static const struct proto_field egress_fields[] = {
	{ 1, "ports", .type = PROTO_MESSAGE, .list = true, .message = &policy_port },
	{ 2, "to", .type = PROTO_MESSAGE, .list = true, .message = &peer },
	{ 0 },
};

static const struct proto_message egress = { .fields = egress_fields };

static const struct proto_field policy_spec_fields[] = {
	{ 1, "podSelector", .type = PROTO_MESSAGE, .message = &selector },
	{ 2, "ingress", .type = PROTO_MESSAGE, .list = true, .message = &ingress },
	{ 3, "egress", .type = PROTO_MESSAGE, .list = true, .message = &egress },
	{ 4, "policyTypes", .type = PROTO_STRING, .list = true },
	{ 0 },
};

static const struct proto_message policy_spec = { .fields = policy_spec_fields };

static const struct proto_field policy_fields[] = {
	{ 1, "metadata", .type = PROTO_MESSAGE, .message = &meta },
	{ 2, "spec", .type = PROTO_MESSAGE, .message = &policy_spec },
	{ 0 },
};

static const struct proto_message policy = { .fields = policy_fields };

/* ---- all of them ---- */

const struct proto_message *proto_kind(const char *api_version, const char *kind)
{
	static const struct {
		const char *api_version, *kind;
		const struct proto_message *message;
	} all[] = {
		{ "v1", "Namespace", &namespace },
		{ "v1", "Pod", &pod },
		{ "v1", "Service", &service },
		{ "discovery.k8s.io/v1", "EndpointSlice", &slice },
		{ "networking.k8s.io/v1", "NetworkPolicy", &policy },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!strcmp(all[i].kind, kind) && !strcmp(all[i].api_version, api_version))
			return all[i].message;
	return NULL;
}

const struct proto_field *proto_field(const struct proto_message *m, uint32_t number)
{
	const struct proto_field *f = m->fields;

	while (f->name && f->number != number)
		f++;
	return f->name ? f : NULL;
}

const struct proto_field *proto_field_named(const struct proto_message *m, const char *name,
					    size_t len)
{
	const struct proto_field *f = m->fields;

	while (f->name && (strlen(f->name) != len || memcmp(f->name, name, len) != 0))
		f++;
	return f->name ? f : NULL;
}
