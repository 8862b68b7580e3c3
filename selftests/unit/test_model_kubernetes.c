/* SPDX-License-Identifier: Apache-2.0 */
/* What of a cluster's own objects arrives in the model. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/kinds.h"
#include "test_rules_util.h"

#define SERVICE "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
#define POD "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}\n"
#define SLICE                                                    \
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n" \
	"metadata: {name: a-x, labels: {kubernetes.io/service-name: a}}\n"

Test(model_kubernetes, a_service_keeps_how_it_is_called_from_outside)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct service_spec *s =
		&parsed_object(&p, SERVICE
			       "status:\n"
			       "  loadBalancer:\n"
			       "    ingress:\n"
			       "    - {ip: 192.0.2.1, ports: [{port: 80, protocol: TCP}]}\n"
			       "    - {ip: 192.0.2.2, ipMode: Proxy}\n"
			       "    - {ip: 'fd00::2', ipMode: VIP}\n"
			       "    - {hostname: lb.example.com}\n"
			       "spec:\n"
			       "  type: LoadBalancer\n"
			       "  externalIPs: [198.51.100.1, 'fd00::1']\n"
			       "  externalTrafficPolicy: Local\n"
			       "  internalTrafficPolicy: Cluster\n"
			       "  loadBalancerSourceRanges: [\" 010.0.0.0/8 \", 'fd00::/8']\n"
			       "  allocateLoadBalancerNodePorts: false\n"
			       "  ports: [{port: 80}]\n")
			 ->service;

	cr_assert_eq(s->ingress.count, 4);
	cr_expect_str_eq(s->ingress.items[0].ip, "192.0.2.1");
	cr_expect_not(s->ingress.items[0].proxied);
	cr_expect(s->ingress.items[1].proxied);
	cr_expect_not(s->ingress.items[2].proxied);
	cr_expect_null(s->ingress.items[3].ip);
	cr_assert_eq(s->external_ips.count, 2);
	cr_expect_str_eq(s->external_ips.items[1], "fd00::1");
	cr_expect(s->external_local);
	cr_expect_not(s->internal_local);
	cr_assert_eq(s->source_ranges.count, 2);
	cr_expect_eq(s->source_ranges.items[0].addr.b[12], 10);
	cr_expect_eq(s->source_ranges.items[0].prefix, 104);
	cr_expect_eq(s->source_ranges.items[1].prefix, 8);
	cr_expect_str_eq(s->type, "LoadBalancer");
}

/* What is wrong outside takes nothing away inside, and opens nothing. */
Test(model_kubernetes, a_service_that_cannot_be_called_from_outside_has_its_cluster_ip)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, SERVICE
		"status:\n"
		"  loadBalancer:\n"
		"    ingress: [{ip: 192.0.2.300}, {ip: 192.0.2.1, ipMode: Odd}, {ip: 192.0.2.2}]\n"
		"spec:\n"
		"  clusterIP: 10.0.0.1\n"
		"  externalIPs: [127.0.0.1, 198.51.100.1, odd, fe80::1, 169.254.1.1]\n"
		"  loadBalancerSourceRanges: [10.0.0.0/8, odd, 192.0.2.1]\n"
		"  ports: [{port: 80}]\n");
	const struct service_spec *s = &o->service;
	_cleanup_free_ char *text = messages(&p.errors);

	cr_expect_str_eq(s->cluster_ips.items[0], "10.0.0.1");
	cr_assert_eq(s->ingress.count, 3);
	cr_expect_null(s->ingress.items[0].ip);
	cr_expect(s->ingress.items[1].proxied);
	cr_expect_not(s->ingress.items[2].proxied);
	cr_assert_eq(s->external_ips.count, 1);
	cr_expect_str_eq(s->external_ips.items[0], "198.51.100.1");
	cr_assert_eq(s->source_ranges.count, 3);
	cr_expect_eq(s->source_ranges.items[0].prefix, 104);
	for (size_t i = 1; i < 3; i++) {
		cr_expect_eq(s->source_ranges.items[i].prefix, 128);
		cr_expect_eq(addr_family(&s->source_ranges.items[i].addr), FAMILY_V6);
	}
	cr_expect_eq(p.errors.count, 8, "%s", text);
	cr_expect(strstr(text, "warning: t.yaml:9:17: spec.externalIPs[0]: \"127.0.0.1\""), "%s",
		  text);
	cr_expect(strstr(text, "spec.loadBalancerSourceRanges[1]: \"odd\" is no subnet"), "%s",
		  text);
}

Test(model_kubernetes, too_many_source_ranges_close_the_load_balancer_alone)
{
	for (int count = 512; count <= 513; count++) {
		_cleanup_parsed_ struct parsed p = { 0 };
		_cleanup_free_ char *text = NULL;
		const struct service_spec *s;
		size_t len;
		FILE *f = open_memstream(&text, &len);

		fputs(SERVICE "spec:\n  clusterIP: 10.0.0.1\n  loadBalancerSourceRanges:\n", f);
		for (int i = 0; i < count; i++)
			fprintf(f, "  - 10.%d.%d.0/24\n", i / 256, i % 256);
		fclose(f);
		s = &parsed_object(&p, text)->service;
		cr_expect_eq(s->cluster_ips.count, 1);
		cr_expect_eq(s->source_ranges.count, count == 512 ? 512 : 1);
		cr_expect_eq(s->source_ranges.items[0].prefix, count == 512 ? 120 : 128);
		cr_expect_eq(p.errors.count, (size_t)count - 512);
	}
}

Test(model_kubernetes, a_service_keeps_ports_and_addresses)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, SERVICE "spec:\n"
			    "  clusterIP: 10.0.0.1\n"
			    "  clusterIPs: [10.0.0.1, 'fd00::1']\n"
			    "  selector: {app: echo}\n"
			    "  ports:\n"
			    "  - {name: tcp, port: 9000, targetPort: echo}\n"
			    "  - {name: dns, port: 53, protocol: UDP, targetPort: 5353}\n");
	const struct service_spec *s = &o->service;

	cr_expect_eq(o->kind, KIND_SERVICE);
	cr_expect_str_eq(o->meta.namespace, "default");
	cr_expect_str_eq(s->type, "ClusterIP");
	cr_assert_eq(s->cluster_ips.count, 2);
	cr_expect_str_eq(s->cluster_ips.items[1], "fd00::1");
	cr_expect_eq(s->cluster_ips.at[1].line, 6);
	cr_assert_eq(s->ports.count, 2);
	cr_expect_eq(s->ports.items[0].port, 9000);
	cr_expect_str_eq(s->ports.items[0].target_name, "echo");
	cr_expect_str_eq(s->ports.items[0].protocol, "TCP");
	cr_expect_eq(s->ports.items[0].pos.line, 9);
	cr_expect_eq(s->ports.items[1].target_port, 5353);
	cr_expect_null(s->ports.items[1].target_name);
	cr_expect_str_eq(s->selector.items[0].value, "echo");
	cr_expect_eq(s->affinity_s, 10800);
}

/* The API server sets no limit to these lists: what it takes is read. */
Test(model_kubernetes, policies_and_pods_may_be_as_long_as_the_api_server_takes_them)
{
	enum { MANY = 20000 };
	_cleanup_parsed_ struct parsed p = { 0 };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec:\n "
	      " "
	      "podSelector: {}\n  ingress:\n  - from:\n",
	      f);
	for (int i = 0; i < MANY; i++)
		fprintf(f, "    - ipBlock: {cidr: 10.%d.%d.0/24}\n", i / 256, i % 256);
	fputs("---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - "
	      "ports:\n",
	      f);
	for (int i = 0; i < MANY; i++)
		fprintf(f, "    - containerPort: %d\n", i + 1);
	fclose(f);
	parsed_text(&p, text);
	free(text);
	cr_assert_eq(p.r, 0, "%s", p.errors.count ? p.errors.items[0].text : "");
	cr_expect_eq(p.objects.items[0]->policy.ingress.items[0].peers.count, MANY);
	cr_expect_eq(p.objects.items[1]->pod.ports.count, MANY);
}

Test(model_kubernetes, session_affinity_has_its_timeout)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, SERVICE "spec:\n"
			    "  clusterIP: None\n"
			    "  publishNotReadyAddresses: true\n"
			    "  sessionAffinity: ClientIP\n"
			    "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}\n");

	cr_expect_str_eq(o->service.session_affinity, "ClientIP");
	cr_expect_eq(o->service.affinity_s, 60);
	cr_expect_str_eq(o->service.cluster_ips.items[0], "None");
	cr_expect(o->service.publish_not_ready);
}

Test(model_kubernetes, a_node_local_service_is_weft_s_like_others)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, SERVICE "spec: {clusterIP: 10.0.0.1, internalTrafficPolicy: Local}\n");
	_cleanup_free_ char *text = messages(&p.errors);

	cr_expect(o->service.internal_local);
	cr_expect_eq(o->service.cluster_ips.count, 1);
	cr_expect_str_eq(text, "");
}

Test(model_kubernetes, a_pod_is_ready_when_kubernetes_says_so)
{
	static const struct {
		const char *status;
		bool ready;
	} rows[] = {
		{ "", true },
		{ "status: {}\n", true },
		{ "status: {phase: Running}\n", true },
		{ "status: {phase: Pending}\n", false },
		{ "status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}\n", true },
		{ "status: {phase: Running, conditions: [{type: Ready, status: 'False'}]}\n",
		  false },
		{ "status: {phase: Running, conditions: [{type: Initialized, status: 'True'}]}\n",
		  false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_parsed_ struct parsed p = { 0 };
		_cleanup_free_ char *yaml = NULL;

		cr_assert(asprintf(&yaml, "%s%s", POD, rows[i].status) > 0);
		cr_expect_eq(parsed_object(&p, yaml)->pod.ready, rows[i].ready, "%s",
			     rows[i].status);
	}
}

Test(model_kubernetes, a_pod_has_the_ports_of_all_its_containers)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p,
		"apiVersion: v1\nkind: Pod\n"
		"metadata: {name: a, namespace: b, deletionTimestamp: '2024-01-01T00:00:00Z'}\n"
		"spec:\n"
		"  hostNetwork: true\n"
		"  containers:\n"
		"  - {name: x, ports: [{containerPort: 1, name: one}], env: [{name: A}]}\n"
		"  - {name: y, ports: [{containerPort: 2, protocol: UDP}, {containerPort: 3}]}\n"
		"status: {podIP: 10.0.0.9, podIPs: [{ip: 10.0.0.9}, {ip: 'fd00::9'}]}\n");

	cr_assert_eq(o->pod.ports.count, 3);
	cr_expect_str_eq(o->pod.ports.items[0].name, "one");
	cr_expect_str_eq(o->pod.ports.items[1].protocol, "UDP");
	cr_expect_eq(o->pod.ports.items[2].port, 3);
	cr_assert_eq(o->pod.ips.count, 2);
	cr_expect_str_eq(o->pod.ips.items[1], "fd00::9");
	cr_expect(o->pod.deleting);
	cr_expect(o->pod.host_network);
	cr_expect_str_eq(o->meta.namespace, "b");
}

Test(model_kubernetes, a_pod_belongs_to_what_its_controller_belongs_to)
{
	static const struct {
		const char *labels, *owners, *workload;
	} rows[] = {
		{ "", "", NULL },
		{ "", "[]", NULL },
		{ "", "[{kind: ReplicaSet, name: web-7d9, controller: true}]", "web-7d9" },
		{ "pod-template-hash: 7d9", "[{kind: ReplicaSet, name: web-7d9, controller: true}]",
		  "web" },
		{ "pod-template-hash: d9", "[{kind: ReplicaSet, name: web-7d9, controller: true}]",
		  "web-7d9" },
		{ "pod-template-hash: web", "[{kind: ReplicaSet, name: -web, controller: true}]",
		  NULL },
		{ "pod-template-hash: '1'", "[{kind: StatefulSet, name: db-1, controller: true}]",
		  "db-1" },
		{ "", "[{kind: Job, name: dump-28401120, controller: true}]", "dump" },
		{ "", "[{kind: Job, name: dump-2840112, controller: true}]", "dump-2840112" },
		{ "", "[{kind: Job, name: dump-28401120a, controller: true}]", "dump-28401120a" },
		{ "",
		  "[{kind: DaemonSet, name: no}, {kind: DaemonSet, name: yes, controller: true}]",
		  "yes" },
		{ "", "[{kind: DaemonSet, name: no, controller: false}]", NULL },
		{ "", "[{kind: DaemonSet, name: 'a|b', controller: true}]", NULL },
		{ "", "[{kind: DaemonSet, controller: true}, a, [b], null]", NULL },
		{ "", "{kind: DaemonSet, name: no, controller: true}", NULL },
		{ "", "text", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_parsed_ struct parsed p = { 0 };
		char text[512];
		const struct object *o;

		snprintf(text, sizeof(text),
			 "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {%s}, "
			 "ownerReferences: %s}\nspec: {containers: []}\n",
			 rows[i].labels, rows[i].owners);
		o = parsed_object(&p, text);
		if (rows[i].workload)
			cr_expect_str_eq(o->pod.workload, rows[i].workload);
		else
			cr_expect_null(o->pod.workload, "%s", rows[i].owners);
	}
}

Test(model_kubernetes, what_an_endpointslice_leaves_out_is_kubernetes_default)
{
	static const struct {
		const char *conditions;
		bool ready, serving, terminating;
	} rows[] = {
		{ "", true, true, false },
		{ ", conditions: {}", true, true, false },
		{ ", conditions: {ready: false}", false, true, false },
		{ ", conditions: {ready: false, terminating: true}", false, true, true },
		{ ", conditions: {ready: true, serving: false}", true, false, false },
		{ ", conditions: {ready: false, serving: true, terminating: true}", false, true,
		  true },
		{ ", conditions: {ready: null}", true, true, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_parsed_ struct parsed p = { 0 };
		_cleanup_free_ char *yaml = NULL;
		const struct endpoint_address *a;
		const struct object *o;

		cr_assert(asprintf(&yaml,
				   SLICE
				   "addressType: IPv4\nendpoints:\n- {addresses: [10.0.0.1]%s}\n"
				   "ports: [{name: tcp, port: 9000}]\n",
				   rows[i].conditions) > 0);
		o = parsed_object(&p, yaml);
		cr_expect_str_eq(o->endpoints.service, "a");
		cr_assert_eq(o->endpoints.sets.count, 1);
		cr_expect_eq(o->endpoints.sets.items[0].ports.items[0].port, 9000);
		a = &o->endpoints.sets.items[0].addresses.items[0];
		cr_expect_eq(a->ready, rows[i].ready, "%s", rows[i].conditions);
		cr_expect_eq(a->serving, rows[i].serving, "%s", rows[i].conditions);
		cr_expect_eq(a->terminating, rows[i].terminating, "%s", rows[i].conditions);
	}
}

Test(model_kubernetes, names_in_an_endpointslice_are_no_addresses)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, SLICE "addressType: FQDN\nendpoints:\n- addresses: [a.example.com]\n");

	cr_expect_eq(o->endpoints.sets.items[0].addresses.items[0].ips.count, 0);
}

Test(model_kubernetes, endpoints_know_who_is_not_ready)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o =
		parsed_object(&p, "apiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\n"
				  "subsets:\n"
				  "- addresses: [{ip: 10.0.0.1, targetRef: {kind: Pod, name: p}}]\n"
				  "  notReadyAddresses: [{ip: 10.0.0.2}]\n"
				  "  ports: [{port: 80}]\n"
				  "- addresses: [{ip: 10.0.0.3}]\n");
	const struct endpoint_set *set = o->endpoints.sets.items;

	cr_expect_str_eq(o->endpoints.service, "a");
	cr_assert_eq(o->endpoints.sets.count, 2);
	cr_assert_eq(set->addresses.count, 2);
	cr_expect(set->addresses.items[0].ready);
	cr_expect_str_eq(set->addresses.items[0].target_name, "p");
	cr_expect_not(set->addresses.items[1].ready);
	cr_expect_str_eq(set->addresses.items[1].ips.items[0], "10.0.0.2");
}

Test(model_kubernetes, numbers_and_truths_in_every_spelling_that_kubectl_takes)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o =
		parsed_object(&p, "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n"
				  "  publishNotReadyAddresses: y\n"
				  "  ports:\n"
				  "  - {port: 0x1F, nodePort: 30_000, targetPort: 0o17}\n"
				  "  - {port: 0b11, name: b, targetPort: 8.0e2}\n");
	const struct service_port *ports = o->service.ports.items;

	cr_expect(o->service.publish_not_ready);
	cr_expect_eq(ports[0].port, 31);
	cr_expect_eq(ports[0].node_port, 30000);
	cr_expect_eq(ports[0].target_port, 15);
	cr_expect_eq(ports[1].port, 3);
	cr_expect_eq(ports[1].target_port, 800);
}

Test(model_kubernetes, unknown_kinds_and_lists_of_anything)
{
	_cleanup_parsed_ struct parsed p = { 0 };

	parsed_text(&p,
		    "apiVersion: v1\nkind: ServiceList\nitems:\n"
		    "- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {}}\n"
		    "- {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}\n"
		    "- {apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: k}}\n"
		    "---\n"
		    "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: s}\n"
		    "---\n"
		    "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n");
	cr_expect_eq(p.r, 0);
	cr_assert_eq(p.objects.count, 2);
	cr_expect_eq(p.objects.items[1]->kind, KIND_NAMESPACE);
	cr_expect_null(p.objects.items[1]->meta.namespace);
	cr_assert_eq(p.skipped.count, 3);
	cr_expect_str_eq(p.skipped.items[0].text,
			 "t.yaml:5:3: skipped: Deployment \"d\" is not a kind that weft reads");
	cr_expect_str_eq(p.skipped.items[2].text,
			 "t.yaml:8:1: skipped: ServiceAccount \"s\" is not a kind that weft reads");
}

Test(model_kubernetes, objects_outlive_the_list_they_came_in)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	struct object *kept;

	parsed_text(&p, "apiVersion: v1\nkind: List\nitems:\n"
			"- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {}}\n"
			"- {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {}}\n");
	cr_assert_eq(p.objects.count, 2);
	kept = p.objects.items[1];
	p.objects.count = 1;
	objects_free(&p.objects);
	cr_expect_str_eq(kept->meta.name, "b");
	object_free(kept);
}

Test(model_kubernetes, kinds_are_named_as_kubectl_names_them)
{
	static const struct {
		const char *word;
		int kind;
	} rows[] = {
		{ "VirtualService", KIND_VIRTUAL_SERVICE },
		{ "vs", KIND_VIRTUAL_SERVICE },
		{ "virtualservices", KIND_VIRTUAL_SERVICE },
		{ "dr", KIND_DESTINATION_RULE },
		{ "gw", KIND_GATEWAY },
		{ "svc", KIND_SERVICE },
		{ "services", KIND_SERVICE },
		{ "po", KIND_POD },
		{ "ep", KIND_ENDPOINTS },
		{ "endpointslices", KIND_ENDPOINT_SLICE },
		{ "ns", KIND_NAMESPACE },
		{ "se", KIND_SERVICE_ENTRY },
		{ "authorizationpolicies.security.istio.io", KIND_AUTHORIZATION_POLICY },
		{ "peerauthentications.security.istio.io", KIND_PEER_AUTHENTICATION },
		{ "pa", KIND_PEER_AUTHENTICATION },
		{ "telemetries.telemetry.istio.io", KIND_TELEMETRY },
		{ "telemetry.v1alpha1.telemetry.istio.io", KIND_TELEMETRY },
		{ "deployment", -1 },
		{ "", -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(kind_parse(rows[i].word), rows[i].kind, "%s", rows[i].word);
	for (int kind = 0; kind < KIND_MAX; kind++)
		cr_expect_eq(kind_parse(kind_name((enum kind)kind)), kind);
}

/* A deny-all that is passed over passes a pipeline. */
Test(model_kubernetes, a_policy_that_is_not_carried_out_is_refused_not_skipped)
{
	static const struct {
		const char *version, *kind;
		const char *said; /* NULL: skipped */
	} rows[] = {
		{ "security.istio.io/v1", "RequestAuthentication", "RequestAuthentication (" },
		{ "networking.istio.io/v1alpha3", "EnvoyFilter", "EnvoyFilter (" },
		{ "networking.istio.io/v1", "Sidecar", "Sidecar (" },
		{ "telemetry.istio.io/v1", "Telemetries", "did you mean \"Telemetry\"?" },
		{ "telemetry.istio.io/v1beta1", "Telemetry",
		  "expected the version v1 or v1alpha1" },
		{ "extensions.istio.io/v1alpha1", "WasmPlugin", "WasmPlugin (" },
		{ "authentication.istio.io/v1alpha1", "Policy", "Policy (" },
		{ "networking.k8s.io/v1", "NetworkPolicies", "did you mean \"NetworkPolicy\"?" },
		{ "networking.k8s.io/v1beta1", "NetworkPolicy", "expected the version v1" },
		{ "networking.k8s.io/v1", "IngressClass", "IngressClass (" },
		{ "networking.k8s.io/v1", "Ingress", "Ingress (" },
		{ "gateway.networking.k8s.io/v1", "Gateway", "Gateway (" },
		{ "gateway.networking.k8s.io/v1", "HTTPRoute", "HTTPRoute (" },
		{ "gateway.networking.x-k8s.io/v1alpha1", "XMesh", "XMesh (" },
		{ "policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy",
		  "AdminNetworkPolicy (" },
		{ "networking.istio.io/v1", "VirtualServise", "did you mean \"VirtualService\"?" },
		{ "networking.istio.io/v1beta1", "VirtualServices",
		  "did you mean \"VirtualService\"?" },
		{ "networking.istio.io/v1", "virtualservice", "did you mean \"VirtualService\"?" },
		{ "networking.istio.io/v2", "VirtualService",
		  "expected the version v1, v1beta1 or v1alpha3" },
		{ "networking.istio.oi/v1", "VirtualService", "expected networking.istio.io/v1" },
		{ "v1", "Servise", "did you mean \"Service\"?" },
		{ "v1", "pod", "did you mean \"Pod\"?" },
		{ "v2", "Service", "expected the version v1" },
		{ "v1", "Deployment", "weft does not carry out Deployment (" },
		{ "discovery.k8s.io/v1", "EndpointSlices", "did you mean \"EndpointSlice\"?" },
		{ "apps/v1", "Deployment", NULL },
		{ "v1", "ConfigMap", NULL },
		{ "v1", "Node", NULL },
		{ "v1", "PodTemplate", NULL },
		{ "serving.knative.dev/v1", "Service", NULL },
		{ "notistio.io/v1", "Thing", NULL },
		{ "", "Deployment", "apiVersion" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		static const struct parse_options lenient = { .skip_unknown = true };
		_cleanup_parsed_ struct parsed p = { 0 }, passed = { 0 };
		_cleanup_free_ char *yaml = NULL;

		cr_assert(asprintf(&yaml, "%s%s\nkind: %s\nmetadata: {name: x}\nspec: {}\n",
				   *rows[i].version ? "apiVersion: " : "", rows[i].version,
				   rows[i].kind) > 0);
		parsed_text(&p, yaml);
		cr_expect_eq(!p.r, !rows[i].said, "%s %s", rows[i].version, rows[i].kind);
		cr_expect_eq(p.skipped.count, rows[i].said ? 0 : 1, "%s", rows[i].kind);
		if (rows[i].said && p.errors.count)
			cr_expect(strstr(p.errors.items[0].text, rows[i].said), "%s: %s",
				  rows[i].said, p.errors.items[0].text);
		/* With --skip-unknown a kind is no reason to refuse; a version is. */
		if (rows[i].said && (strstr(rows[i].said, "ersion") || strstr(rows[i].said, "/v1")))
			continue;
		cr_expect_eq(rules_parse_with(&lenient, "t.yaml", yaml, strlen(yaml),
					      &passed.objects, &passed.errors, &passed.skipped),
			     0, "%s", rows[i].kind);
		cr_expect_eq(passed.skipped.count, 1, "%s", rows[i].kind);
	}
}
