// SPDX-License-Identifier: Apache-2.0
/*
 * What a load balancer is told of a node's endpoints.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/mesh/health_ports.h"
#include "lib/schema/parse.h"

#define SERVICE(name, spec)                                                                  \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {type: "      \
	"LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 32000, selector: " \
	"{app: " name "}, ports: [{name: tcp, port: 80}], " spec "}\n"
#define SLICE(name, service, type, endpoints)                                               \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " name \
	", labels: {kubernetes.io/service-name: " service "}}\naddressType: " type          \
	"\nports: [{name: tcp, port: 80}]\nendpoints: [" endpoints "]\n"
#define ENDPOINT(address, node, conditions) \
	"{addresses: [\"" address "\"], nodeName: " node ", conditions: {" conditions "}}"
#define POD(name, app, node, address, more)                                                      \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", labels: {app: " app "}" more \
	"}\nspec: {nodeName: " node "}\nstatus: {phase: Running, podIP: " address "}\n"

static const struct row {
	const char *about, *yaml;
	int local; /* -1: nobody asks */
} rows[] = {
	{ "one here, one elsewhere",
	  SERVICE("a", "") SLICE("s", "a", "IPv4",
				 ENDPOINT("10.0.0.1", "here", "ready: true") ", " ENDPOINT(
					 "10.0.0.2", "there", "ready: true")),
	  1 },
	{ "both families are the same endpoints",
	  SERVICE("a", "") SLICE("s", "a", "IPv4", ENDPOINT("10.0.0.1", "here", "ready: true"))
		  SLICE("t", "a", "IPv6",
			ENDPOINT("fd00::1", "here", "ready: true") ", " ENDPOINT("fd00::2", "here",
										 "ready: true")),
	  2 },
	{ "one that is in two slices is one",
	  SERVICE("a", "") SLICE("s", "a", "IPv4", ENDPOINT("10.0.0.1", "here", "ready: true"))
		  SLICE("t", "a", "IPv4", ENDPOINT("10.0.0.1", "here", "ready: true")),
	  1 },
	{ "not ready",
	  SERVICE("a", "") SLICE("s", "a", "IPv4", ENDPOINT("10.0.0.1", "here", "ready: false")),
	  0 },
	{ "terminating ones are called, but asked for no more",
	  SERVICE("a", "") SLICE("s", "a", "IPv4",
				 ENDPOINT("10.0.0.1", "here",
					  "ready: false, serving: true, terminating: true")),
	  0 },
	{ "published all the same",
	  SERVICE("a", "publishNotReadyAddresses: true")
		  SLICE("s", "a", "IPv4", ENDPOINT("10.0.0.1", "here", "ready: false")),
	  1 },
	{ "another Service's",
	  SERVICE("a", "") SLICE("s", "b", "IPv4", ENDPOINT("10.0.0.1", "here", "ready: true")),
	  0 },
	{ "of Pods alone",
	  SERVICE("a", "") POD("p", "a", "here", "10.0.0.1", "")
		  POD("q", "a", "there", "10.0.0.2", "") POD("r", "b", "here", "10.0.0.3", "")
			  POD("s", "a", "here", "10.0.0.4",
			      ", deletionTimestamp: \"2026-01-01T00:00:00Z\""),
	  1 },
	{ "Pods don't count beside slices",
	  SERVICE("a", "") POD("p", "a", "here", "10.0.0.1", "")
		  SLICE("s", "a", "IPv4", ENDPOINT("10.0.0.1", "there", "ready: true")),
	  0 },
	{ "a Gateway is served here",
	  SERVICE("a", "") "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: "
			   "{name: g}\nspec: "
			   "{selector: {app: a}, servers: [{port: {number: 80, name: a, protocol: "
			   "HTTP}, hosts: "
			   "[\"*\"]}]}\n",
	  1 },
	{ "a Gateway of another port",
	  SERVICE("a", "") "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: "
			   "{name: g}\nspec: "
			   "{selector: {app: a}, servers: [{port: {number: 81, name: a, protocol: "
			   "HTTP}, hosts: "
			   "[\"*\"]}]}\n",
	  0 },
	{ "policy Cluster",
	  "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: LoadBalancer, "
	  "healthCheckNodePort: 32000, ports: [{port: 80}]}\n",
	  -1 },
	{ "no load balancer",
	  "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort, "
	  "externalTrafficPolicy: Local, healthCheckNodePort: 32000, ports: [{port: 80}]}\n",
	  -1 },
	{ "another proxy's",
	  "---\napiVersion: v1\nkind: Service\nmetadata: {name: a, labels: "
	  "{service.kubernetes.io/service-proxy-name: x}}\nspec: {type: LoadBalancer, "
	  "externalTrafficPolicy: Local, healthCheckNodePort: 32000, ports: [{port: 80}]}\n",
	  -1 },
};

static int local_of(const char *yaml)
{
	struct objects objects = { .node = "here" };
	struct errors errors = { 0 };
	struct health_ports found = { 0 };
	int local = -1;

	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &objects, &errors, NULL), 0);
	cr_assert_eq(health_ports_find(&objects, &found), 0);
	if (found.rows.count) {
		cr_assert_eq(found.rows.count, 1);
		cr_assert_eq(found.rows.items[0].port, 32000);
		local = (int)found.rows.items[0].local;
	}
	health_ports_free(&found);
	objects_free(&objects);
	errors_free(&errors);
	return local;
}

Test(health_ports, ready_endpoints_of_this_node_are_counted)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(local_of(rows[i].yaml), rows[i].local, "%s: %d", rows[i].about,
			     local_of(rows[i].yaml));
}
