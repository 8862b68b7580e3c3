// SPDX-License-Identifier: Apache-2.0
/*
 * Over random changes of a small, crowded cluster, tables that were patched are byte for byte those
 * that compile() makes of all objects, but for the places of endpoints.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/route/pack.h"
#include "lib/route/patch.h"
#include "lib/route/shape.h"
#include "test_compile_util.h"

enum {
	NAMES_MAX = 6,
	OBJECTS_MAX = 512,
	CHANGES_MAX = 6, /* at once */
	STEPS = 1000,
};

/* ---- a cluster that changes ---- */

struct cluster_model {
	struct object *objects[OBJECTS_MAX]; /* in the order in which they came */
	size_t count;
	struct registry *registry;
	struct tables *tables;
	struct compile_index *index;
	char *warnings; /* of the last compilation of all */
	unsigned seed;
	enum compile_http http;
	bool calm;
	bool mutual;	  /* mutual TLS comes and goes, too */
	bool traces;	  /* so do Telemetries */
	bool by_requests; /* compile_requests() has made the last tables */
	size_t patched, anew, refused, added, gathered, rules, rules_refused, requests;
};

enum step_kind { STEP_ANY, STEP_RULES, STEP_REQUESTS, STEP_CALM };

/* What one step does to it. */
struct step {
	struct object_change items[CHANGES_MAX];
	size_t count;
	struct object *after[OBJECTS_MAX];
	size_t after_count;
};

static unsigned pick(struct cluster_model *m, unsigned n)
{
	m->seed = m->seed * 1103515245u + 12345u;
	return (m->seed >> 16) % n;
}

static bool chance(struct cluster_model *m, unsigned percent)
{
	return pick(m, 100) < percent;
}

static const char *one_of(struct cluster_model *m, const char *const *words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return words[pick(m, n)];
}

__attribute__((format(printf, 1, 2))) static struct object *parsed(const char *fmt, ...)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	_cleanup_free_ char *text = NULL;
	struct object *o;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	cr_assert_gt(len, 0);
	cr_assert_eq(rules_parse("cluster", text, len, &objects, &errors, NULL), 0, "%s in %s",
		     errors.count ? errors.items[0].text : "", text);
	o = TAKE_PTR(objects.items[0]);
	objects.count = 0;
	objects_free(&objects);
	errors_free(&errors);
	return o;
}

static const char *const spaces[] = { "a", "a", "b", "c", NULL };
static const char *const versions[] = { "v1", "v2", "v2, extra: x", NULL };

static struct object *random_pod(struct cluster_model *m)
{
	static const char *const phases[] = { "Running", "Running",   "Running", "Running",
					      "Pending", "Succeeded", NULL };
	static const char *const metas[] = { "", "", "", ", deletionTimestamp: now", NULL };
	static const char *const hosts[] = { "{}",
					     "{}",
					     "{}",
					     "{hostNetwork: true}",
					     "{nodeName: here}",
					     "{nodeName: there}",
					     "{containers: [{name: c, ports: [{name: web, "
					     "containerPort: 8080}]}]}",
					     NULL };
	const char *ns = one_of(m, spaces);
	unsigned name = pick(m, 3 * NAMES_MAX), own = 16 * (ns[0] - 'a') + name;
	char ip[128] = "";

	if (chance(m, 85))
		snprintf(ip, sizeof(ip), ", podIP: 10.0.0.%u", chance(m, 96) ? own : pick(m, 64));
	if (*ip && chance(m, 20))
		snprintf(ip, sizeof(ip),
			 ", podIP: 10.0.0.%u, podIPs: [{ip: 10.0.0.%u}, {ip: 'fd00::%u'}]", own,
			 own, own);
	return parsed(
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p%u, namespace: %s, labels: {app: "
		"s%u, version: %s}%s}\nspec: %s\nstatus: {phase: %s, conditions: [{type: Ready, "
		"status: '%s'}]%s}\n",
		name, ns, chance(m, 90) ? name % NAMES_MAX : pick(m, NAMES_MAX),
		one_of(m, versions), one_of(m, metas), one_of(m, hosts), one_of(m, phases),
		chance(m, 80) ? "True" : "False", ip);
}

static struct object *random_slice(struct cluster_model *m)
{
	const char *ns = one_of(m, spaces);
	unsigned service = pick(m, NAMES_MAX), n = pick(m, 6);
	_cleanup_free_ char *list = NULL;
	size_t len;
	FILE *f = open_memstream(&list, &len);
	bool six = chance(m, 10);

	for (unsigned i = 0; i < n; i++) {
		unsigned pod = chance(m, 80) ? service + NAMES_MAX * pick(m, 3)
					     : pick(m, 3 * NAMES_MAX);
		unsigned own = 16 * (ns[0] - 'a') + (chance(m, 90) ? pod : pick(m, 64));

		fprintf(f,
			"%s{addresses: [%s%u'], conditions: {ready: %s, serving: %s, terminating: "
			"%s}",
			i ? ", " : "", six ? "'fd00::" : "'10.0.0.", own,
			chance(m, 80) ? "true" : "false", chance(m, 90) ? "true" : "false",
			chance(m, 10) ? "true" : "false");
		if (chance(m, 70))
			fprintf(f, ", targetRef: {kind: %s, name: p%u, namespace: %s}",
				chance(m, 95) ? "Pod" : "Node", pod, chance(m, 95) ? ns : "b");
		if (chance(m, 30))
			fprintf(f, ", nodeName: %s", chance(m, 50) ? "here" : "there");
		fputs("}", f);
	}
	fclose(f);
	return parsed(
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%u-%u, "
		"namespace: %s, labels: {kubernetes.io/service-name: s%u}}\naddressType: "
		"%s\nports: [{name: x, port: %u}, {name: http, port: 8080}]\nendpoints: [%s]\n",
		service, pick(m, 3), ns, chance(m, 97) ? service : pick(m, NAMES_MAX),
		six ? "IPv6" : "IPv4", 80 + pick(m, 2), list);
}

static struct object *random_endpoints(struct cluster_model *m)
{
	const char *ns = one_of(m, spaces);
	unsigned service = pick(m, NAMES_MAX);

	return parsed(
		"apiVersion: v1\nkind: Endpoints\nmetadata: {name: s%u, namespace: %s}\nsubsets: "
		"[{addresses: [{ip: 10.0.0.%u}, {ip: 10.0.0.%u}], notReadyAddresses: [{ip: "
		"10.0.0.%u}], ports: [{name: x, port: 80}]}]\n",
		service, ns, pick(m, 64), pick(m, 64), pick(m, 64));
}

static struct object *random_service(struct cluster_model *m)
{
	static const char *const http[] = { "", "", ", {name: http, port: 81, targetPort: web}",
					    ", {name: tls, port: 81, targetPort: web}", NULL };
	const char *ns = one_of(m, spaces);
	unsigned n = pick(m, NAMES_MAX);
	static const char *const outside[] = {
		"",
		"",
		"externalIPs: [192.0.2.1], ",
		"externalIPs: [192.0.2.2], externalTrafficPolicy: Local, ",
		"internalTrafficPolicy: Local, ",
		NULL
	};
	char ip[64] = "", node_port[64] = "";

	if (m->mutual && n == 5)
		strcpy(ip, "clusterIP: None, ");
	else if (chance(m, 92))
		snprintf(ip, sizeof(ip), "clusterIP: 10.1.%u.%u, ", ns[0] - 'a',
			 chance(m, 97) ? n : pick(m, NAMES_MAX));
	if (chance(m, 25))
		snprintf(node_port, sizeof(node_port), ", nodePort: %u",
			 31000 + 100 * (ns[0] - 'a') + n);
	return parsed(
		"apiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: %s}\nspec: "
		"{%s%s%sselector: {app: s%u}, publishNotReadyAddresses: %s, ports: [{name: x, "
		"port: 80%s}%s]}\n",
		n, ns, ip, one_of(m, outside), *node_port ? "type: NodePort, " : "", n,
		chance(m, 10) ? "true" : "false", node_port, one_of(m, http));
}

static const char *const exports[] = {
	"", "", "", "exportTo: [.], ", "exportTo: [b], ", "exportTo: [a, c], ", NULL
};

static struct object *random_tcp_rule(struct cluster_model *m)
{
	static const char *const matches[] = {
		"", "match: [{sourceLabels: {app: s1}}], ",
		"match: [{sourceLabels: {version: v2}}, {sourceNamespace: b}], ",
		"match: [{gateways: [a/g]}, {port: 81}], ", NULL
	};
	static const char *const gateways[] = { "", "", "gateways: [mesh, a/g], ",
						"gateways: [a/g, mesh, b/g], ", NULL };
	unsigned to = pick(m, NAMES_MAX);

	return parsed(
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r%u, "
		"namespace: %s}\nspec: {%s%shosts: [s%u], tcp: [{%sroute: [{destination: {host: "
		"s%u, subset: v%u}, weight: %u}, {destination: {host: s%u, port: {number: 80}}, "
		"weight: 7}]}, {route: [{destination: {host: s%u}}]}]}\n",
		pick(m, 4), one_of(m, spaces), one_of(m, exports), one_of(m, gateways),
		pick(m, NAMES_MAX), one_of(m, matches), to, 1 + pick(m, 2), 1 + pick(m, 9),
		pick(m, NAMES_MAX), pick(m, NAMES_MAX));
}

/* A root, which delegates part of what it is asked. */
static struct object *random_http_rule(struct cluster_model *m)
{
	static const char *const matches[] = {
		"", "match: [{uri: {prefix: /x}}], ",
		"match: [{sourceLabels: {version: v2}}, {sourceNamespace: b}], ",
		"match: [{headers: {end-user: {exact: jason}}}], ", NULL
	};
	static const char *const hosts[] = { "s1",	    "s2",
					     "s3",	    "'*.a.svc.cluster.local'",
					     "www.example", "s1.b.svc.cluster.local",
					     NULL };
	static const char *const gateways[] = { "", "", "gateways: [mesh, a/web], ",
						"gateways: [b/web], ", NULL };
	static const char *const mirrors[] = { "", "", "mirror: {host: s2, subset: v1}, ", NULL };

	return parsed(
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r%u, "
		"namespace: %s}\nspec: {%s%shosts: [%s], http: [{match: [{uri: {prefix: /d}}], "
		"delegate: {name: l%u, namespace: %s}}, {%s%sroute: [{destination: {host: s%u, "
		"subset: v%u}, weight: %u}, {destination: {host: s%u, port: {number: %u}}, weight: "
		"7}]}]}\n",
		pick(m, 4), one_of(m, spaces), one_of(m, exports), one_of(m, gateways),
		one_of(m, hosts), pick(m, 3), one_of(m, spaces), one_of(m, matches),
		one_of(m, mirrors), pick(m, NAMES_MAX), 1 + pick(m, 2), 1 + pick(m, 9),
		pick(m, NAMES_MAX), 80 + pick(m, 2));
}

static struct object *random_leaf(struct cluster_model *m)
{
	static const char *const matches[] = { "", "match: [{uri: {prefix: /d/e}}], ",
					       "match: [{uri: {exact: /f}}], ", NULL };

	return parsed(
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: l%u, "
		"namespace: %s}\nspec: {%shttp: [{%sroute: [{destination: {host: s%u, subset: "
		"v%u}}]}]}\n",
		pick(m, 3), one_of(m, spaces), one_of(m, exports), one_of(m, matches),
		pick(m, NAMES_MAX), 1 + pick(m, 2));
}

/* By the SNI, in the mesh and at gateways; the kernel's where it takes every name of a service. */
static struct object *random_tls_rule(struct cluster_model *m)
{
	static const char *const names[] = { "sniHosts: [x.example]", "sniHosts: ['*.example']",
					     "sniHosts: [y.example, '*.example'], port: 80", NULL };
	static const char service[] = "sniHosts: [s1.a.svc.cluster.local], port: 80";
	static const char *const sources[] = { "",
					       "",
					       ", sourceLabels: {version: v2}",
					       ", sourceNamespace: b",
					       ", destinationSubnets: [10.96.0.0/16]",
					       NULL };
	static const char *const hosts[] = { "s1.a.svc.cluster.local, '*.example'",
					     "s2.b.svc.cluster.local, '*.example'",
					     "s1.a.svc.cluster.local", NULL };
	static const char *const gateways[] = { "", "", "gateways: [mesh, a/web], ",
						"gateways: [b/web], ", NULL };
	const char *host = one_of(m, hosts);

	return parsed(
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: t%u, "
		"namespace: %s}\nspec: {%s%shosts: [%s], tls: [{match: [{%s%s}], route: "
		"[{destination: {host: s%u, subset: v1, port: {number: 80}}, weight: %u}, "
		"{destination: {host: s%u, port: {number: 81}}, weight: 3}]}]%s}\n",
		pick(m, 3), one_of(m, spaces), one_of(m, exports), one_of(m, gateways), host,
		strchr(host, ',') ? one_of(m, names) : service, one_of(m, sources),
		pick(m, NAMES_MAX), 1 + pick(m, 9), pick(m, NAMES_MAX),
		chance(m, 30) ? ", tcp: [{route: [{destination: {host: s1, port: {number: 80}}}]}]"
			      : "");
}

static struct object *random_rule(struct cluster_model *m)
{
	if (!m->http || chance(m, 40))
		return random_tcp_rule(m);
	if (chance(m, 25))
		return random_tls_rule(m);
	return chance(m, 60) ? random_http_rule(m) : random_leaf(m);
}

static struct object *random_destination_rule(struct cluster_model *m)
{
	unsigned n = pick(m, NAMES_MAX);
	char policy[160] = "loadBalancer: {simple: PASSTHROUGH}";

	if (chance(m, 97))
		snprintf(policy, sizeof(policy), "connectionPool: {tcp: {maxConnections: %u}}%s",
			 pick(m, 4),
			 chance(m, 20) ? ", outlierDetection: {consecutive5xxErrors: 3}" : "");
	if (m->mutual && chance(m, 60))
		snprintf(policy, sizeof(policy), "tls: {mode: %s}%s",
			 chance(m, 70) ? "ISTIO_MUTUAL" : "DISABLE",
			 chance(m, 30) ? ", portLevelSettings: [{port: {number: 81}, tls: {mode: "
					 "DISABLE}}]"
				       : "");
	return parsed(
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d%u, "
		"namespace: %s}\nspec: {%shost: '%s%u%s', trafficPolicy: {%s}, subsets: [{name: "
		"v1, "
		"labels: {version: v1}}, {name: v2, labels: {version: v%u}}]}\n",
		n, one_of(m, spaces), one_of(m, exports), chance(m, 80) ? "s" : "*", n,
		chance(m, 80) ? "" : ".a.svc.cluster.local", policy, 1 + pick(m, 2));
}

static struct object *random_peer_authentication(struct cluster_model *m)
{
	static const char *const modes[] = { "STRICT", "STRICT", "PERMISSIVE", "DISABLE", NULL };
	static const char *const where[] = { "a", "b", "c", "istio-system", NULL };
	const char *mode = one_of(m, modes), *ns = one_of(m, where);
	char selector[128] = "";

	if (chance(m, 50))
		snprintf(selector, sizeof(selector),
			 "selector: {matchLabels: {app: s%u}}, portLevelMtls: {8080: {mode: %s}}, ",
			 pick(m, NAMES_MAX), one_of(m, modes));
	return parsed(
		"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a%u, "
		"namespace: %s}\nspec: {%smtls: {mode: %s}}\n",
		pick(m, 2), ns, selector, mode);
}

static struct object *random_telemetry(struct cluster_model *m)
{
	static const char *const where[] = { "a", "b", "c", "istio-system", NULL };
	static const char *const rules[] = {
		"randomSamplingPercentage: 100",
		"randomSamplingPercentage: 12.34, match: {mode: CLIENT}",
		"disableSpanReporting: true",
		"disableSpanReporting: true, match: {mode: SERVER}",
		"disableSpanReporting: false",
		"customTags: {a: {literal: {value: x}}}",
		"customTags: {a: {header: {name: A, defaultValue: x}}, b: {literal: {value: y}}}",
		NULL
	};
	const char *ns = one_of(m, where), *rule = one_of(m, rules);
	char selector[128] = "";

	if (chance(m, 60))
		snprintf(selector, sizeof(selector), "selector: {matchLabels: {%s%u}}, ",
			 chance(m, 80) ? "app: s" : "version: v", pick(m, NAMES_MAX));
	return parsed("apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t%u, "
		      "namespace: %s}\nspec: {%stracing: [{%s}]}\n",
		      pick(m, 2), ns, selector, rule);
}

static struct object *random_gateway(struct cluster_model *m)
{
	static const char *const kinds[] = { "HTTP}",
					     "HTTP}",
					     "HTTP}",
					     "HTTPS}, tls: {mode: SIMPLE, credentialName: c}",
					     "HTTPS}, tls: {mode: MUTUAL, credentialName: d}",
					     "TLS}, tls: {mode: SIMPLE, credentialName: c}",
					     "TLS}, tls: {mode: PASSTHROUGH}",
					     "HTTPS}, tls: {mode: PASSTHROUGH}",
					     NULL };
	bool tcp = !m->http || chance(m, 50);

	return parsed("apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: %s, "
		      "namespace: "
		      "%s}\nspec: {selector: {app: s%u}, servers: [{port: {number: %u, name: x, "
		      "protocol: %s, hosts: ['*']}]}\n",
		      tcp ? "g" : "web", one_of(m, spaces), pick(m, NAMES_MAX), 80 + pick(m, 2),
		      tcp ? "TCP}" : one_of(m, kinds));
}

static struct object *random_protection(struct cluster_model *m)
{
	return parsed(
		"apiVersion: weft.dev/v1alpha1\nkind: ConnectionPolicy\nmetadata: {name: default}\n"
		"spec: {%s: ['10.%u.0.0/16', '::/0'], newConnections: {total: {rate: %u}}}\n",
		chance(m, 50) ? "allow" : "deny", pick(m, 3), 1 + pick(m, 2));
}

static struct object *random_policy(struct cluster_model *m)
{
	return parsed(
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n, "
		"namespace: %s}\nspec: {podSelector: {matchLabels: {app: s%u}}, ingress: [{from: "
		"[{podSelector: {matchLabels: {version: v1}}}]}]}\n",
		one_of(m, spaces), pick(m, NAMES_MAX));
}

static struct object *random_secret(struct cluster_model *m)
{
	return parsed("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\n"
		      "stringData: {tls.crt: c, tls.key: %s}\n",
		      chance(m, 50) ? "c" : "d-cacert", one_of(m, spaces),
		      chance(m, 50) ? "''" : "k");
}

static struct object *random_namespace(struct cluster_model *m)
{
	return parsed(
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {istio-injection: "
		"%s}}\n",
		one_of(m, spaces), chance(m, 50) ? "enabled" : "disabled");
}

static const char *const request_hosts[] = { "s1",
					     "s2, s3",
					     "'*.a.svc.cluster.local'",
					     "s1.b.svc.cluster.local",
					     "s4, '*.example'",
					     "www.example",
					     NULL };

/* As the API server has it, and of what compile_requests() takes: what it does with requests is
 * another each time, the rest mostly as before. */
static struct object *random_requests(struct cluster_model *m, unsigned n)
{
	const char *const matches[] = {
		"",
		"",
		"match: [{uri: {prefix: /x}}, {uri: {regex: '/[a-z]+'}, port: 80}], ",
		"match: [{sourceNamespace: b}], ",
		"match: [{headers: {end-user: {exact: jason}}}], ",
		n % 4 ? "" : "match: [{sourceLabels: {version: v2}}], ",
		NULL
	};
	const char *const more[] = {
		"",
		"",
		"",
		"",
		"timeout: 3s, ",
		"rewrite: {uri: /y}, ",
		"fault: {abort: {httpStatus: 503, percentage: {value: 10}}}, ",
		"corsPolicy: {allowOrigins: [{regex: 'a.*'}], allowMethods: [GET]}, ",
		"headers: {request: {set: {a: b}}}, ",
		"mirror: {host: s2, subset: v1}, ",
		n % 3 ? "" : "name: x, ",
		NULL
	};
	static const char *const subsets[] = { "", "", "", ", subset: v1", ", subset: v2", NULL };
	bool other = chance(m, 5);
	unsigned to = chance(m, 90) ? n % NAMES_MAX : pick(m, NAMES_MAX), weight = 1 + pick(m, 99);
	struct object *o = parsed(
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: q%u, "
		"namespace: %s}\nspec: {%shosts: [%s], http: [%s{%s%sroute: [{destination: "
		"{host: s%u%s}, weight: %u}, {destination: {host: s%u}, weight: %u}]}]}\n",
		n, spaces[n % 4], exports[other ? pick(m, 6) : n % 6],
		request_hosts[other ? pick(m, 6) : n % 6],
		chance(m, 50) ? "{match: [{uri: {prefix: /z}}], redirect: {uri: /q}}, " : "",
		one_of(m, matches), one_of(m, more), to, one_of(m, subsets), weight,
		chance(m, 80) ? to : pick(m, NAMES_MAX), 100 - weight);

	o->pos = (struct pos){ 1, 0 };
	return o;
}

/* ---- a cluster of which nothing is missing, whose VirtualServices change ---- */

static struct object *calm_pod(unsigned ns, unsigned n, unsigned k)
{
	return parsed("apiVersion: v1\nkind: Pod\nmetadata: {name: p%u-%u, namespace: %c, labels: "
		      "{app: s%u, version: v%u}}\nspec: {}\nstatus: {phase: Running, podIP: "
		      "10.2.%u.%u}\n",
		      n, k, 'a' + ns, n, 1 + k % 2, ns, 10 * n + k + 1);
}

/* Which of its pods are ready changes. */
static struct object *calm_slice(struct cluster_model *m, unsigned ns, unsigned n)
{
	_cleanup_free_ char *list = NULL;
	size_t len;
	FILE *f = open_memstream(&list, &len);

	for (unsigned k = 0; k < 4; k++)
		fprintf(f,
			"{addresses: [10.2.%u.%u], targetRef: {kind: Pod, name: p%u-%u, namespace: "
			"%c}, conditions: {ready: %s}}, ",
			ns, 10 * n + k + 1, n, k, 'a' + ns,
			k < 2 || chance(m, 50) ? "true" : "false");
	fclose(f);
	return parsed(
		"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%u-x, "
		"namespace: %c, labels: {kubernetes.io/service-name: s%u}}\naddressType: "
		"IPv4\nports: [{name: http, port: 8080}, {name: http-b, port: 8081}]\nendpoints: "
		"[%s]\n",
		n, 'a' + ns, n, list);
}

static struct object *calm_service(unsigned ns, unsigned n)
{
	return parsed("apiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: %c}\nspec: "
		      "{clusterIP: 10.1.%u.%u, selector: {app: s%u}, ports: [{name: http, port: "
		      "80}%s]}\n",
		      n, 'a' + ns, ns, n + 1, n, n % 2 ? "" : ", {name: http-b, port: 81}");
}

/* Those of `b` for services of `a` are for its own clients: these see another virtual host. */
static struct object *calm_destination_rule(struct cluster_model *m, unsigned ns, unsigned n)
{
	return parsed(
		"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d%u, "
		"namespace: %c}\nspec: {host: s%u.%c.svc.cluster.local, %strafficPolicy: "
		"{connectionPool: {tcp: {maxConnections: %u}}}, subsets: [{name: v1, labels: "
		"{version: v1}}, {name: v2, labels: {version: v2}}]}\n",
		n, 'a' + ns, n, ns == 1 && n < 3 ? 'a' : 'a' + ns,
		ns == 1 && n < 3 ? "exportTo: [.], " : "", 1 + pick(m, 3));
}

static struct object *calm_object(struct cluster_model *m)
{
	unsigned ns = pick(m, 3), n = pick(m, NAMES_MAX);

	if (chance(m, 85))
		return random_requests(m, pick(m, 12));
	return chance(m, 70) ? calm_slice(m, ns, n) : calm_destination_rule(m, ns, n);
}

enum { RULES_FROM = 850, RULES_END = 985, ALL_KINDS = 1000 };

static struct object *random_object(struct cluster_model *m, enum step_kind kind)
{
	bool of_rules = kind == STEP_RULES;
	unsigned n = of_rules ? RULES_FROM + pick(m, RULES_END - RULES_FROM) : pick(m, ALL_KINDS);

	if (kind == STEP_REQUESTS)
		return random_requests(m, pick(m, 12));
	if (kind == STEP_CALM)
		return calm_object(m);
	if (m->mutual && n >= RULES_FROM && n < 880)
		return random_peer_authentication(m);
	if (m->traces && n >= RULES_FROM && n < 880)
		return random_telemetry(m);
	return n < 420					   ? random_pod(m)
	       : n < 800				   ? random_slice(m)
	       : n < 820				   ? random_endpoints(m)
	       : n < RULES_FROM				   ? random_service(m)
	       : n < 920				   ? random_rule(m)
	       : n < 960				   ? random_destination_rule(m)
	       : n < 980				   ? random_gateway(m)
	       : n < RULES_END				   ? random_protection(m)
	       : n < 990 && m->http == COMPILE_HTTP_NEEDED ? random_policy(m)
	       : n < 995				   ? random_secret(m)
							   : random_namespace(m);
}

static bool same_identity(const struct object *a, const struct object *b)
{
	return a->kind == b->kind && !strcmp(a->meta.name, b->meta.name) &&
	       (!a->meta.namespace || !strcmp(a->meta.namespace, b->meta.namespace));
}

static size_t position(const struct step *s, const struct object *o)
{
	size_t i = 0;

	while (i < s->after_count && !same_identity(s->after[i], o))
		i++;
	return i;
}

/* An object comes, takes the place of another, or goes. Each changes once. */
static void add_change(struct cluster_model *m, struct step *s, enum step_kind kind)
{
	struct object *o = random_object(m, kind);
	size_t at = position(s, o);
	struct object *old = at < s->after_count ? s->after[at] : NULL;
	bool goes = old && chance(m, kind >= STEP_REQUESTS ? 2 : 25);

	for (size_t i = 0; i < s->count; i++)
		if (same_identity(s->items[i].old ? s->items[i].old : s->items[i].new, o)) {
			object_free(o);
			return;
		}
	if (goes) {
		object_free(TAKE_PTR(o));
		memmove(&s->after[at], &s->after[at + 1],
			(--s->after_count - at) * sizeof(s->after[0]));
	} else {
		s->after[at] = o;
		s->after_count += at == s->after_count;
	}
	cr_assert_lt(s->after_count, OBJECTS_MAX);
	s->items[s->count++] = (struct object_change){ old, o };
}

/* ---- what is compared ---- */

#define SAME_ROWS(table)                                                                        \
	do {                                                                                    \
		cr_assert_eq(a->table.count, b->table.count, #table ", step %zu", step);        \
		cr_assert(!a->table.count || !memcmp(a->table.items, b->table.items,            \
						     a->table.count * sizeof(*a->table.items)), \
			  #table ", step %zu", step);                                           \
	} while (0)

static void same_text(const char *a, const char *b, size_t step)
{
	cr_assert(a == b || (a && b && !strcmp(a, b)), "\"%s\" and \"%s\", step %zu", a, b, step);
}

static void same_origin(const struct rule_origin *a, const struct rule_origin *b, size_t step)
{
	const char *const x[] = { a->kind,  a->namespace, a->name,	a->route,
				  a->label, a->file,	  a->conditions };
	const char *const y[] = { b->kind,  b->namespace, b->name,	b->route,
				  b->label, b->file,	  b->conditions };

	for (size_t i = 0; i < sizeof(x) / sizeof(*x); i++)
		same_text(x[i], y[i], step);
	cr_assert(!memcmp(&a->pos, &b->pos, sizeof(a->pos)) &&
		  !memcmp(&a->whole_pos, &b->whole_pos, sizeof(a->whole_pos)));
}

static void same_service(const struct service_origin *a, const struct service_origin *b,
			 size_t step)
{
	same_text(a->namespace, b->namespace, step);
	same_text(a->name, b->name, step);
	same_text(a->host, b->host, step);
	cr_assert_eq(a->skipped_count, b->skipped_count);
	for (size_t i = 0; i < a->skipped_count; i++) {
		same_origin(&a->skipped[i].rule, &b->skipped[i].rule, step);
		same_text(a->skipped[i].why, b->skipped[i].why, step);
	}
}

static void same_origins(const struct tables *a, const struct tables *b, size_t step)
{
	for (size_t i = 0; i < a->services.count; i++)
		same_service(&a->service_origins.items[i], &b->service_origins.items[i], step);
	for (size_t i = 0; i < a->unaddressed.count; i++)
		same_service(&a->unaddressed_origins.items[i], &b->unaddressed_origins.items[i],
			     step);
	for (size_t i = 0; i < a->rules.count; i++)
		same_origin(&a->rule_origins.items[i], &b->rule_origins.items[i], step);
	for (size_t i = 0; i < a->clusters.count; i++) {
		const struct cluster_origin *x = &a->cluster_origins.items[i];
		const struct cluster_origin *y = &b->cluster_origins.items[i];

		same_text(x->host, y->host, step);
		same_text(x->subset, y->subset, step);
		cr_assert(x->port == y->port && x->known == y->known);
	}
}

static void same_sources(const struct tables *a, const struct tables *b, size_t step)
{
	cr_assert_eq(a->sources.count, b->sources.count, "step %zu", step);
	for (size_t i = 0; i < a->sources.count; i++) {
		const struct source_entry *x = &a->sources.items[i], *y = &b->sources.items[i];

		cr_assert(!memcmp(&x->addr, &y->addr, sizeof(x->addr)) &&
				  x->value.ns == y->value.ns &&
				  x->value.workload == y->value.workload && x->pod == y->pod &&
				  x->labelled == y->labelled,
			  "source %zu, step %zu", i, step);
	}
}

/* Byte for byte, but for where its endpoints are; and these. */
static void same_cluster(const struct tables *a, const struct tables *b, size_t i, size_t step)
{
	const struct cluster *x = &a->clusters.items[i], *y = &b->clusters.items[i];
	struct cluster moved = *x;

	moved.ep_first = y->ep_first;
	cr_assert(!memcmp(&moved, y, sizeof(moved)), "cluster %zu, step %zu", i, step);
	cr_assert(x->ep_first + x->ep_count <= a->endpoints.count &&
			  a->endpoints.count == a->endpoint_names.count,
		  "cluster %zu, step %zu", i, step);
	if (!x->ep_count)
		return;
	cr_assert(!memcmp(&a->endpoints.items[x->ep_first], &b->endpoints.items[y->ep_first],
			  x->ep_count * sizeof(*a->endpoints.items)),
		  "endpoints of cluster %zu, step %zu", i, step);
	cr_assert(!memcmp(&a->endpoint_names.items[x->ep_first],
			  &b->endpoint_names.items[y->ep_first],
			  x->ep_count * sizeof(*a->endpoint_names.items)),
		  "names of cluster %zu, step %zu", i, step);
}

static void same_clusters(const struct tables *a, const struct tables *b, size_t step)
{
	cr_assert_eq(a->clusters.count, b->clusters.count, "step %zu", step);
	for (size_t i = 0; i < a->clusters.count; i++)
		same_cluster(a, b, i, step);
}

static void dump_row(FILE *f, const struct http_snapshot *s, enum hs_table table, __u32 row);

static void dump_ref(FILE *f, const struct http_snapshot *s, const struct hs_ref *ref,
		     const char *row)
{
	struct hs_range range = { .count = 1 };

	memcpy(&range, row + ref->at,
	       ref->kind <= HS_REF_RANGE ? sizeof(range) : sizeof(range.first));
	if (ref->kind == HS_REF_STR) {
		fprintf(f, "'%s'", hs_text(s, (struct hs_str){ range.first, range.count }));
		return;
	}
	if (ref->kind == HS_REF_NUMBER)
		range.count = 0; /* policies: there are none where rules are patched */
	if (ref->kind == HS_REF_OPTION && range.first == HS_NONE)
		range.count = 0;
	for (__u32 i = 0; i < range.count; i++)
		dump_row(f, s, ref->table, range.first + i);
}

/* What no reference says. */
static void dump_rest(FILE *f, const struct hs_shape *shape, const char *row)
{
	char copy[1024];

	cr_assert_leq(shape->size, sizeof(copy));
	memcpy(copy, row, shape->size);
	for (const struct hs_ref *ref = shape->refs; ref->kind; ref++)
		memset(copy + ref->at, 0, ref->kind <= HS_REF_RANGE ? 8 : 4);
	for (size_t i = 0; i < shape->size; i++)
		fprintf(f, "%02x", (unsigned char)copy[i]);
}

static void dump_cluster(FILE *f, const struct http_snapshot *s, const struct hs_cluster *c)
{
	struct http_members m = http_members(s, c);

	fprintf(f, "%u %s %u/%u/%u", c->id, hs_text(s, c->name), m.count, m.v4, m.service);
	for (__u32 i = 0; i < m.count; i++)
		fprintf(f, " %u", m.items[i].endpoint.id);
}

static void dump_row(FILE *f, const struct http_snapshot *s, enum hs_table table, __u32 row)
{
	const struct hs_shape *shape = &hs_shapes[table];
	const char *at;

	if (table == HS_VHOSTS)
		row = http_vhost_now(s, row);
	at = hs_at(s, table, row, shape->size);
	fprintf(f, "{%d:", table);
	if (table == HS_CLUSTERS) {
		dump_cluster(f, s, hs_cluster(s, row));
	} else {
		dump_rest(f, shape, at);
		for (const struct hs_ref *ref = shape->refs; ref->kind; ref++)
			dump_ref(f, s, ref, at);
	}
	fprintf(f, "}\n");
}

/* All that requests are decided by, without numbers of rows. The caller frees. */
static char *dump(const struct http_snapshot *s)
{
	static const enum hs_table roots[] = { HS_NAMESPACES, HS_LISTENERS, HS_ADDRESSES, HS_DOORS,
					       HS_SERVERS };
	_cleanup_free_ struct hs_source *sources = NULL;
	size_t size, count;
	char *text;
	FILE *f = open_memstream(&text, &size);

	for (size_t k = 0; k < sizeof(roots) / sizeof(*roots); k++)
		for (__u32 i = 0; i < hs_count(s, roots[k]); i++)
			dump_row(f, s, roots[k], i);
	cr_assert_eq(http_snapshot_sources(s, &sources, &count), 0);
	for (size_t i = 0; i < count; i++) {
		dump_rest(f, &hs_shapes[HS_SOURCES], (const char *)&sources[i]);
		for (const struct hs_ref *ref = hs_shapes[HS_SOURCES].refs; ref->kind; ref++)
			dump_ref(f, s, ref, (const char *)&sources[i]);
	}
	fclose(f);
	return text;
}

/* It says the same, and so do its bytes, once they are packed. */
static void same_rules(const struct http_snapshot *a, const struct http_snapshot *b, size_t step)
{
	_cleanup_free_ char *right = dump(b), *patched = dump(a), *packed = NULL;
	struct http_snapshot *whole;
	size_t size;
	void *bytes;

	cr_assert_str_eq(patched, right, "the rules, step %zu", step);
	cr_assert_eq(http_snapshot_pack(a, &bytes, &size), 0);
	cr_assert_eq(http_snapshot_own(bytes, size, &whole), 0);
	packed = dump(whole);
	cr_assert_str_eq(packed, right, "the rules, packed, step %zu", step);
	cr_assert(http_snapshot_same(a, a));
	http_snapshot_close(whole);
}

/* Packed, it is byte for byte what is compiled, unless rules were patched. */
static void same_snapshot(const struct http_snapshot *a, const struct http_snapshot *b, size_t step)
{
	_cleanup_free_ void *bytes = NULL;
	size_t size;

	cr_assert_null(b->changes);
	if (http_rules_are_patched(a)) {
		same_rules(a, b, step);
		return;
	}
	cr_assert_eq(http_snapshot_pack(a, &bytes, &size), 0);
	cr_assert_eq(size, b->header->size, "step %zu", step);
	cr_assert(!memcmp(bytes, b->header, size), "the snapshot, step %zu", step);
	cr_assert(http_snapshot_same(a, b) && http_snapshot_same(b, a));
}

static void same_tables(const struct tables *a, const struct tables *b, size_t step)
{
	SAME_ROWS(services);
	SAME_ROWS(unaddressed);
	SAME_ROWS(rules);
	SAME_ROWS(admits);
	SAME_ROWS(routes);
	SAME_ROWS(dests);
	same_clusters(a, b, step);
	SAME_ROWS(selected);
	SAME_ROWS(protection.ranges);
	cr_assert(!memcmp(&a->protection.limits, &b->protection.limits,
			  sizeof(a->protection.limits)));
	SAME_ROWS(route_names);
	SAME_ROWS(cluster_names);
	SAME_ROWS(namespaces);
	same_sources(a, b, step);
	same_origins(a, b, step);
	cr_assert_eq(a->min_timeout_ms, b->min_timeout_ms);
	cr_assert_eq(!a->http, !b->http, "step %zu", step);
	if (a->http)
		same_snapshot(a->http, b->http, step);
	cr_assert(tables_same(a, b) || (a->http && http_rules_are_patched(a->http)));
}

/* ---- steps ---- */

static void free_all(struct step *s, bool fresh)
{
	for (size_t i = 0; i < s->count; i++)
		object_free((struct object *)(fresh ? s->items[i].new : s->items[i].old));
}

/* Who is in which cluster. */
static uint64_t members_digest(const struct tables *t)
{
	uint64_t digest = 1469598103934665603u;

	for (size_t i = 0; i < t->clusters.count; i++) {
		const struct cluster *c = &t->clusters.items[i];

		for (__u32 k = c->ep_first; k < c->ep_first + c->ep_count; k++) {
			digest = (digest ^ i) * 1099511628211u;
			digest = (digest ^ t->endpoints.items[k].id) * 1099511628211u;
			digest = (digest ^ (uintptr_t)t->endpoint_names.items[k]) * 1099511628211u;
		}
	}
	return digest;
}

static struct http_members members_of(const struct tables *t, __u32 cluster)
{
	return http_members(t->http, hs_cluster(t->http, cluster));
}

static bool has_http_endpoint(const struct tables *t, __u32 id)
{
	for (__u32 i = 0; t->http && i < hs_count(t->http, HS_CLUSTERS); i++) {
		struct http_members m = members_of(t, i);

		for (__u32 k = 0; k < m.count; k++)
			if (m.items[k].endpoint.id == id)
				return true;
	}
	return false;
}

static bool has_endpoint(const struct tables *t, __u32 id)
{
	for (size_t i = 0; i < t->clusters.count; i++)
		for (__u32 k = 0; k < t->clusters.items[i].ep_count; k++)
			if (t->endpoints.items[t->clusters.items[i].ep_first + k].id == id)
				return true;
	return has_http_endpoint(t, id);
}

static void is_touched(const struct tables *t, const struct tables *before, __u32 id, size_t step)
{
	for (size_t i = 0; i < t->touched.count; i++)
		if (t->touched.items[i].id == id)
			return;
	cr_assert(has_endpoint(before, id), "endpoint %u is not told of, step %zu", id, step);
}

/* Who makes counters is told of whatever may have come. */
static void tells_of_new(const struct tables *t, const struct tables *before, size_t step)
{
	for (size_t i = 0; i < t->clusters.count; i++)
		for (__u32 k = 0; k < t->clusters.items[i].ep_count; k++)
			is_touched(t, before,
				   t->endpoints.items[t->clusters.items[i].ep_first + k].id, step);
	for (__u32 i = 0; t->http_patched && t->http && i < hs_count(t->http, HS_CLUSTERS); i++) {
		struct http_members m = members_of(t, i);

		for (__u32 k = 0; k < m.count; k++)
			is_touched(t, before, m.items[k].endpoint.id, step);
	}
}

static void compare_endpoints(struct cluster_model *m, const struct tables *t, size_t step)
{
	bool gathered = t->endpoints.items != m->tables->endpoints.items;

	m->gathered += gathered;
	m->added += !gathered && t->endpoints.count > m->tables->endpoints.count;
	tells_of_new(t, m->tables, step);
}

/* Patches before this one may have taken almost all the room. */
static void take_room(struct cluster_model *m)
{
	struct tables *owner = m->tables->owner[TABLES_ENDPOINTS];

	if (chance(m, 30) && owner->endpoints_room - owner->endpoints_taken > 4)
		owner->endpoints_taken = owner->endpoints_room - pick(m, 4);
}

static int patch(struct cluster_model *m, const struct step *s, struct tables **out,
		 struct errors *errors)
{
	uint64_t before;
	int r;

	m->by_requests = false;
	if (!m->index)
		return COMPILE_ANEW;
	take_room(m);
	before = members_digest(m->tables);
	if (compile_are_rules(s->items, s->count) &&
	    !compile_requests(&m->index, s->items, s->count, m->tables, out)) {
		m->requests++;
		m->by_requests = true;
		return 0;
	}
	cr_assert_not_null(m->index);
	if (compile_are_rules(s->items, s->count)) {
		r = compile_rules(&m->index, s->items, s->count, m->http, m->tables, out, errors);
		cr_assert(r == 0 || r == -EINVAL || (r == COMPILE_ANEW && !errors->count));
		m->rules += !r;
		m->rules_refused += r == -EINVAL;
	} else {
		r = compile_patch(&m->index, s->items, s->count, m->http, m->tables, out);
		cr_assert(r == 0 || r == COMPILE_ANEW);
	}
	cr_assert_eq(!m->index, r != 0);
	cr_assert_eq(members_digest(m->tables), before, "what is in force has changed");
	return r;
}

static void take_effect(struct cluster_model *m, struct step *s, struct tables *tables)
{
	tables_free(m->tables);
	m->tables = tables;
	memcpy(m->objects, s->after, sizeof(m->objects));
	m->count = s->after_count;
	free_all(s, false);
}

/* It is compiled, and not to be: what it was made with goes before its objects do. */
static void undo(struct cluster_model *m, struct step *s, struct tables *tables)
{
	tables_free(tables);
	compile_index_free(TAKE_PTR(m->index));
	free_all(s, true);
}

/* What is told of a change of rules is what a compilation of all objects tells of them. */
static void compare_words(struct cluster_model *m, const struct step *s, int patched,
			  const struct errors *words, int r, const char *warnings, size_t step)
{
	_cleanup_free_ char *told = errors_text(words);
	bool of_rules = compile_are_rules(s->items, s->count) && !m->by_requests;

	if (patched == COMPILE_ANEW)
		return;
	cr_assert_eq(r, patched, "step %zu: %d, not %d: %s", step, patched, r, warnings);
	cr_assert_str_eq(of_rules ? told : m->warnings, warnings,
			 "step %zu%s: \"%s\" was told, \"%s\" is right", step,
			 of_rules ? ", of rules" : "", of_rules ? told : m->warnings, warnings);
}

static void note_warnings(struct cluster_model *m, char **warnings)
{
	free(m->warnings);
	m->warnings = TAKE_PTR(*warnings);
}

static void run_step(struct cluster_model *m, size_t step)
{
	struct step s = { .after_count = m->count };
	struct tables *fresh = NULL, *tables = NULL;
	struct compile_index *index = NULL;
	struct errors errors = { 0 }, words = { 0 };
	_cleanup_free_ char *warnings = NULL;
	struct objects all;
	enum step_kind kind = m->calm			? STEP_CALM
			      : chance(m, 30)		? STEP_RULES
			      : m->http && chance(m, 5) ? STEP_REQUESTS
							: STEP_ANY;
	int r, patched;

	memcpy(s.after, m->objects, sizeof(s.after));
	for (unsigned i = 0, n = chance(m, m->calm ? 90 : 60) ? 1 : 1 + pick(m, CHANGES_MAX); i < n;
	     i++)
		add_change(m, &s, kind);
	all = (struct objects){ .items = s.after,
				.count = s.after_count,
				.node = "here",
				.tracing = { .sampling = 100, .told = m->traces } };
	patched = patch(m, &s, &tables, &words);
	r = compile_keeping(&all, m->registry, m->http, &fresh, &index, &errors);
	cr_assert(r == 0 || r == -EINVAL);
	warnings = errors_text(&errors);
	compare_words(m, &s, patched, &words, r, warnings, step);
	if (r) {
		m->refused++;
		undo(m, &s, NULL);
	} else if (!patched) {
		m->patched++;
		if (!compile_are_rules(s.items, s.count))
			compare_endpoints(m, tables, step);
		same_tables(tables, fresh, step);
		compile_index_free(index);
		tables_free(fresh);
		if (chance(m, 10)) {
			undo(m, &s, tables);
		} else {
			note_warnings(m, &warnings);
			take_effect(m, &s, tables);
		}
	} else {
		m->anew++;
		note_warnings(m, &warnings);
		take_effect(m, &s, fresh);
		m->index = index;
	}
	errors_free(&errors);
	errors_free(&words);
}

static void end_model(struct cluster_model *m)
{
	compile_index_free(m->index);
	tables_free(m->tables);
	for (size_t i = 0; i < m->count; i++)
		object_free(m->objects[i]);
	registry_free(m->registry);
	free(m->warnings);
}

static void run_all(unsigned seed, enum compile_http http)
{
	struct cluster_model m = { .seed = seed, .http = http, .registry = registry_new() };

	for (size_t i = 0; i < STEPS; i++)
		run_step(&m, i);
	cr_log_info(
		"%zu patched, %zu compiled anew, %zu refused; endpoints added by %zu, gathered by "
		"%zu; %zu of rules, %zu of them refused; %zu of requests",
		m.patched, m.anew, m.refused, m.added, m.gathered, m.rules, m.rules_refused,
		m.requests);
	cr_expect_gt(m.rules, STEPS / 40, "%zu", m.rules);
	cr_expect_gt(m.rules_refused, 0);
	cr_expect_gt(m.patched, STEPS / 5, "%zu patched, %zu anew, %zu refused", m.patched, m.anew,
		     m.refused);
	cr_expect_gt(m.added, STEPS / 75, "%zu have added endpoints", m.added);
	cr_expect_gt(m.gathered, STEPS / 250, "%zu have gathered endpoints", m.gathered);
	end_model(&m);
}

Test(compile_patch, tcp_is_as_if_compiled_anew, .timeout = 300)
{
	run_all(1, COMPILE_HTTP_NEEDED);
}

Test(compile_patch, http_is_as_if_compiled_anew, .timeout = 300)
{
	run_all(2, COMPILE_HTTP_ALWAYS);
}

/* While it is in use, changes of pods and endpoints are compiled anew; those of rules are not. */
Test(compile_patch, mutual_tls_is_as_if_compiled_anew, .timeout = 300)
{
	struct cluster_model m = {
		.seed = 4, .http = COMPILE_HTTP_ALWAYS, .registry = registry_new(), .mutual = true
	};

	for (size_t i = 0; i < STEPS; i++)
		run_step(&m, i);
	cr_expect_gt(m.rules, STEPS / 40, "%zu", m.rules);
	cr_expect_gt(m.patched, STEPS / 20, "%zu patched, %zu anew, %zu refused", m.patched, m.anew,
		     m.refused);
	end_model(&m);
}

/* Pods come to where several Telemetries hold, and leave it. */
Test(compile_patch, traces_are_as_if_compiled_anew, .timeout = 300)
{
	struct cluster_model m = {
		.seed = 5, .http = COMPILE_HTTP_ALWAYS, .registry = registry_new(), .traces = true
	};

	for (size_t i = 0; i < STEPS; i++)
		run_step(&m, i);
	cr_expect_gt(m.rules, STEPS / 40, "%zu", m.rules);
	cr_expect_gt(m.patched, STEPS / 5, "%zu patched, %zu anew, %zu refused", m.patched, m.anew,
		     m.refused);
	end_model(&m);
}

static void populate(struct cluster_model *m)
{
	for (unsigned ns = 0; ns < 3; ns++)
		for (unsigned n = 0; n < NAMES_MAX; n++) {
			for (unsigned k = 0; k < 4; k++)
				m->objects[m->count++] = calm_pod(ns, n, k);
			m->objects[m->count++] = calm_service(ns, n);
			m->objects[m->count++] = calm_slice(m, ns, n);
			m->objects[m->count++] = calm_destination_rule(m, ns, n);
		}
	for (unsigned i = 0; i < 12; i++)
		m->objects[m->count++] = random_requests(m, i);
}

/* Endpoints change between them, as they do. */
Test(compile_patch, requests_are_as_if_compiled_anew, .timeout = 300)
{
	enum { CALM_STEPS = 400 };
	struct cluster_model m = {
		.seed = 3, .http = COMPILE_HTTP_ALWAYS, .registry = registry_new(), .calm = true
	};

	populate(&m);
	for (size_t i = 0; i < CALM_STEPS; i++)
		run_step(&m, i);
	cr_log_info("%zu of requests, %zu patched, %zu compiled anew, %zu refused", m.requests,
		    m.patched, m.anew, m.refused);
	cr_expect_gt(m.requests, CALM_STEPS / 6, "%zu", m.requests);
	end_model(&m);
}

/* ---- one change ---- */

#define A_SERVICE                                                                                \
	"apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\nspec: {clusterIP: 10.1.0.1, " \
	"selector: {app: reviews}, ports: [{name: http, port: 80}, {name: http-b, port: "        \
	"81}]}\n---\n"                                                                           \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: reviews}}\nspec: "         \
	"{}\nstatus: "                                                                           \
	"{phase: Running, podIP: 10.2.0.1, conditions: [{type: Ready, status: 'True'}]}\n---\n"
#define WITH(hosts, http)                                                                       \
	A_SERVICE "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " \
		  "r}\nspec: {"                                                                 \
		  "hosts: [" hosts "], http: [" http "]}\n"
#define TO_REVIEWS "route: [{destination: {host: reviews, port: {number: 80}}}]"

/* The VirtualService comes last, in both, on the same line. */
static struct objects parsed_all(const char *text)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };

	cr_assert_eq(rules_parse("cluster", text, strlen(text), &objects, &errors, NULL), 0);
	errors_free(&errors);
	objects.items[objects.count - 1]->pos = (struct pos){ 1, 0 };
	return objects;
}

/* Patched or not, it is as if compiled anew. What compile_requests() has returned. */
static int exchanged(const char *before, const char *after)
{
	struct objects all = parsed_all(before), change = parsed_all(after);
	struct object *new = change.items[--change.count];
	struct registry *registry = registry_new();
	struct compile_index *index = NULL, *other = NULL;
	struct tables *tables, *fresh, *patched = NULL;
	struct errors errors = { 0 };
	struct object *old = all.items[all.count - 1];
	int r;

	cr_assert_eq(compile_keeping(&all, registry, COMPILE_HTTP_ALWAYS, &tables, &index, &errors),
		     0);
	r = compile_requests(&index, &(struct object_change){ old, new }, 1, tables, &patched);
	cr_assert_not_null(index);
	all.items[all.count - 1] = new;
	cr_assert_eq(compile_keeping(&all, registry, COMPILE_HTTP_ALWAYS, &fresh, &other, &errors),
		     0);
	if (!r)
		same_tables(patched, fresh, 0);
	compile_index_free(index);
	compile_index_free(other);
	tables_free(patched);
	tables_free(fresh);
	tables_free(tables);
	object_free(old);
	objects_free(&all);
	objects_free(&change);
	registry_free(registry);
	errors_free(&errors);
	return r;
}

Test(compile_patch, what_a_remark_tells_of_is_compiled)
{
	cr_expect_eq(exchanged(WITH("reviews", "{" TO_REVIEWS "}"),
			       WITH("reviews", "{route: [{destination: {host: reviews, port: "
					       "{number: 9999}}}]}")),
		     COMPILE_ANEW);
}

Test(compile_patch, a_name_that_two_hosts_claim_goes_on_to_lead_to_the_first)
{
	cr_expect_eq(exchanged(WITH("reviews, reviews.default", "{timeout: 1s, " TO_REVIEWS "}"),
			       WITH("reviews, reviews.default", "{timeout: 2s, " TO_REVIEWS "}")),
		     0);
}

Test(compile_patch, a_host_without_a_rule_that_can_hold_is_not_there)
{
	cr_expect_eq(exchanged(WITH("www.example", "{" TO_REVIEWS "}"),
			       WITH("www.example", "{match: [{port: 8443}], " TO_REVIEWS "}")),
		     COMPILE_ANEW);
	cr_expect_eq(
		exchanged(WITH("www.example", "{" TO_REVIEWS "}"),
			  WITH("www.example", "{match: [{uri: {prefix: /a}}], " TO_REVIEWS "}")),
		0);
}

/* A pod takes the place of one at another address: what compile_patch() says of it. */
static int moved(const char *rest, const char *from, const char *to)
{
	static const char pod[] = "---\n"
				  "apiVersion: v1\n"
				  "kind: Pod\n"
				  "metadata: {name: one, namespace: default, labels: {app: one}}\n"
				  "spec: {containers: [{name: main, image: none}]}\n"
				  "status: {phase: Running, podIP: %s, podIPs: [{ip: %s}]}\n";
	_cleanup_free_ char *before = NULL, *now = NULL, *after = NULL;
	struct registry *registry = registry_new();
	struct compile_index *index = NULL;
	struct tables *tables, *patched = NULL;
	struct objects all, change;
	struct errors errors = { 0 };
	int r;

	cr_assert(asprintf(&now, pod, from, from) > 0 && asprintf(&after, pod, to, to) > 0 &&
		  asprintf(&before, "%s%s", rest, now) > 0);
	all = parsed_all(before);
	change = parsed_all(after);
	cr_assert_eq(compile_keeping(&all, registry, COMPILE_HTTP_ALWAYS, &tables, &index, &errors),
		     0);
	r = compile_patch(&index,
			  &(struct object_change){ all.items[all.count - 1], change.items[0] }, 1,
			  COMPILE_HTTP_ALWAYS, tables, &patched);
	tables_free(patched);
	tables_free(tables);
	compile_index_free(index);
	objects_free(&all);
	objects_free(&change);
	registry_free(registry);
	errors_free(&errors);
	return r;
}

/* Who has the address that a Gateway is bound to is told, and decides whether it is served. */
Test(compile_patch, a_pod_at_a_gateways_address_is_compiled)
{
	static const char gateway[] =
		"---\n"
		"apiVersion: networking.istio.io/v1\n"
		"kind: Gateway\n"
		"metadata: {name: door, namespace: default}\n"
		"spec:\n"
		"  servers:\n"
		"  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [\"*\"], "
		"bind: 10.244.0.9}\n";

	cr_expect_eq(moved(gateway, "10.244.0.1", "10.244.0.2"), 0);
	cr_expect_eq(moved(gateway, "10.244.0.1", "10.244.0.9"), COMPILE_ANEW);
	cr_expect_eq(moved(gateway, "10.244.0.9", "10.244.0.1"), COMPILE_ANEW);
}

/* What a ServiceEntry selects are its endpoints, and the labels of its subsets. */
Test(compile_patch, a_pod_that_a_service_entry_selects_is_compiled)
{
	static const char entry[] = "---\n"
				    "apiVersion: networking.istio.io/v1\n"
				    "kind: ServiceEntry\n"
				    "metadata: {name: db, namespace: %s}\n"
				    "spec:\n"
				    "  hosts: [db.example.com]\n"
				    "  addresses: [10.9.0.1]\n"
				    "  ports: [{number: 5432, name: tcp, protocol: TCP}]\n"
				    "  resolution: STATIC\n"
				    "  workloadSelector: {labels: {app: %s}}\n";
	_cleanup_free_ char *own = NULL, *labelled = NULL, *elsewhere = NULL;

	cr_assert(asprintf(&own, entry, "default", "one") > 0 &&
		  asprintf(&labelled, entry, "default", "two") > 0 &&
		  asprintf(&elsewhere, entry, "other", "one") > 0);
	cr_expect_eq(moved(own, "10.244.0.1", "10.244.0.2"), COMPILE_ANEW);
	cr_expect_eq(moved(labelled, "10.244.0.1", "10.244.0.2"), 0);
	cr_expect_eq(moved(elsewhere, "10.244.0.1", "10.244.0.2"), 0);
}
