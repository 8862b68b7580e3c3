// SPDX-License-Identifier: Apache-2.0
/*
 * What can only be refused, or warned of, once all objects are known.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "test_compile_util.h"

#define SERVICE(name, ip, ports)                                                           \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {clusterIP: " ip \
	", ports: [" ports "]}\n---\n"
#define ISTIO(kind, name, spec)                                                      \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name \
	"}\nspec: " spec "\n---\n"
#define VS(name, spec) ISTIO("VirtualService", name, spec)
#define DR(name, spec) ISTIO("DestinationRule", name, spec)
#define GW(name, spec) ISTIO("Gateway", name, spec)
#define ECHO SERVICE("echo", "10.96.0.1", "{name: tcp, port: 9000}")

#define LONG "a-name-of-sixty-characters-as-it-is-made-by-many-a-generator"

struct row {
	const char *about, *yaml;
	const char *message; /* part of what is said; "": nothing is */
};

static const struct row refused[] = {
	{ "a subset that the host's rule lacks",
	  ECHO DR("echo", "{host: echo, subsets: [{name: v1, labels: {v: a}}]}")
		  VS("echo",
		     "{hosts: [echo], tcp: [{route: [{destination: {host: echo, subset: v9}}]}]}"),
	  "t.yaml:14:52: spec.tcp[0].route[0].destination.subset: subset \"v9\" is not defined by "
	  "destinationrule "
	  "default/echo (t.yaml:6:1)" },
	{ "a port that the service lacks",
	  ECHO VS("echo", "{hosts: [echo], tcp: [{route: [{destination: {host: echo, port: "
			  "{number: 1}}}]}]}"),
	  "spec.tcp[0].route[0].destination.port.number: expected a TCP port of service "
	  "default/echo, not \"1\"" },
	{ "two services with one address", ECHO SERVICE("twin", "10.96.0.1", "{port: 80}"),
	  "spec.clusterIP: conflicting: 10.96.0.1 is service default/echo's (t.yaml:1:1)" },
	{ "a second address that another service has",
	  ECHO "apiVersion: v1\nkind: Service\nmetadata: {name: twin}\nspec: {clusterIPs: "
	       "[10.96.0.2, 10.96.0.1], ports: [{port: 80}]}\n",
	  "t.yaml:9:32: spec.clusterIP: conflicting: 10.96.0.1 is service default/echo's" },
	{ "outlier detection",
	  ECHO DR("echo",
		  "{host: echo, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}}"),
	  "spec.trafficPolicy.outlierDetection: weft does not carry out outlier detection of "
	  "TCP" },
	{ "outlier detection by a wildcard, in a subset's port",
	  ECHO DR("echo", "{host: \"*.svc.cluster.local\", subsets: [{name: a, labels: {a: b}, "
			  "trafficPolicy: {"
			  "portLevelSettings: [{port: {number: 9000}, outlierDetection: "
			  "{consecutive5xxErrors: 1}}]}}]}"),
	  "spec.subsets[0].trafficPolicy.portLevelSettings[0].outlierDetection: weft does not "
	  "carry out" },
	{ "hashing on a header",
	  ECHO DR("echo", "{host: echo, trafficPolicy: {loadBalancer: {consistentHash: "
			  "{httpHeaderName: x}}}}"),
	  "spec.trafficPolicy.loadBalancer.consistentHash: weft does not carry out hashing "
	  "of HTTP" },
	{ "a route to an ExternalName",
	  "apiVersion: v1\nkind: Service\nmetadata: {name: out}\nspec: {type: ExternalName, "
	  "externalName: a.example.com}\n---\n" VS("echo",
						   "{hosts: [echo], tcp: [{route: [{destination: "
						   "{host: out, port: {number: 1}}}]}]}"),
	  "spec.tcp[0].route[0].destination.host: weft does not carry out routes to an "
	  "ExternalName service" },
};

static const struct row warned_of[] = {
	{ "tls routes without a port where none is declared to carry TLS",
	  ECHO VS("echo",
		  "{hosts: [echo.default.svc.cluster.local], tls: [{match: [{sniHosts: "
		  "[echo.default.svc.cluster.local]}], route: [{destination: {host: echo}}]}]}"),
	  "spec.tls[0].match[0]: no port of the rule's services carries tls, by its name or "
	  "appProtocol: the rule has no effect in the mesh" },
	{ "tls routes for the name of an earlier one",
	  ECHO VS("echo",
		  "{hosts: [echo.default.svc.cluster.local, \"*.example.com\"], tls: "
		  "[{match: [{port: 9000, sniHosts: [a.example.com, B.example.com]}], route: "
		  "[{destination: {host: echo}}]}, {match: [{port: 9000, sniHosts: "
		  "[b.example.com], sourceNamespace: x}], route: [{destination: {host: echo}}]}]}"),
	  "spec.tls[1].match[0]: never holds: tls[0] takes all that it would" },
	{ "tls routes at a gateway that ends TLS",
	  ECHO GW("gw",
		  "{servers: [{port: {number: 443, name: tls, protocol: TLS}, tls: {mode: SIMPLE, "
		  "credentialName: c}, hosts: [\"*\"]}]}")
		  VS("echo",
		     "{hosts: [a.example.com], gateways: [gw], tls: [{match: [{port: 443, "
		     "sniHosts: [a.example.com]}], route: [{destination: {host: echo}}]}]}"),
	  "spec.tls[0].match[0]: no server of the rule's gateways has the mode PASSTHROUGH there: "
	  "the rule has no effect at them" },
	{ "a certificate of a server that shows none",
	  GW("gw", "{servers: [{port: {number: 443, name: tls, protocol: TLS}, tls: {mode: "
		   "PASSTHROUGH, credentialName: c}, hosts: [\"*\"]}]}"),
	  "tls.credentialName: has no effect in the mode PASSTHROUGH" },
	{ "a gateway that isn't there",
	  ECHO VS("echo", "{hosts: [echo], gateways: [mesh, other/gw], tcp: [{route: "
			  "[{destination: {host: echo}}]}]}"),
	  "t.yaml:9:40: spec.gateways[1]: no gateway \"other/gw\": the rule has no effect there" },
	{ "two gateways for one port",
	  ECHO GW("gw",
		  "{servers: [{port: {number: 7, name: tcp, protocol: TCP}, hosts: [\"*\"]}]}")
		  GW("late",
		     "{servers: [{port: {number: 7, name: tcp, protocol: TCP}, hosts: [\"*\"]}]}")
			  VS("echo", "{hosts: [\"*\"], gateways: [gw, late], tcp: [{route: "
				     "[{destination: {host: echo}}]}]}"),
	  "spec.servers[0].port: an older gateway serves port 7 already: this one has no effect" },
	{ "a subset without any rule for the host",
	  ECHO VS("echo",
		  "{hosts: [echo], tcp: [{route: [{destination: {host: echo, subset: v9}}]}]}"),
	  "spec.tcp[0].route[0].destination.subset: no destinationrule for "
	  "\"echo.default.svc.cluster.local\" defines \"v9\"" },
	{ "a destination that isn't there",
	  ECHO VS("echo", "{hosts: [echo], tcp: [{route: [{destination: {host: other}}]}]}"),
	  "no service \"other.default.svc.cluster.local\"" },
	{ "http routes where nothing carries HTTP",
	  ECHO VS("echo", "{hosts: [echo], http: [{route: [{destination: {host: echo}}]}]}"),
	  "spec.http: no port of the rule's hosts carries http, by its name or appProtocol: the "
	  "rules have no effect" },
	{ "two rules for one host",
	  ECHO VS("one", "{hosts: [echo], tcp: [{route: [{destination: {host: echo}}]}]}")
		  VS("two", "{hosts: [echo.default.svc.cluster.local], tcp: [{route: "
			    "[{destination: {host: echo}}]}]}"),
	  "spec.hosts[0]: virtualservice default/one (t.yaml:6:1) is older" },
};

#define RPC(ports) SERVICE("rpc", "10.96.0.9", ports)
#define TO_RPC "http: [{route: [{destination: {host: rpc}}]}]"

/* An HTTP/2 client gets 400, and a user would not suspect a rule of it: hence the warning. */
static const struct row http2[] = {
	{ "a rule for a port named grpc",
	  RPC("{name: grpc, port: 9090}") VS("rpc", "{hosts: [rpc], " TO_RPC "}"),
	  "warning: t.yaml:9:16: spec.hosts[0]: port 9090 of service default/rpc carries \"grpc\": "
	  "weft does not speak HTTP/2 yet and answers it with 400" },
	{ "one by a wildcard, for a port named grpc-web-x",
	  RPC("{name: grpc-web-x, port: 80}") VS("rpc", "{hosts: [\"*.local\"], " TO_RPC "}"),
	  "spec.hosts[0]: port 80 of service default/rpc carries \"grpc-web-x\"" },
	{ "a rule for a port named http2-x",
	  RPC("{name: http2-x, port: 80}") VS("rpc", "{hosts: [rpc], " TO_RPC "}"),
	  "spec.hosts[0]: port 80 of service default/rpc carries \"http2-x\"" },
	{ "a rule for a port by its appProtocol",
	  RPC("{name: web, appProtocol: kubernetes.io/h2c, port: 80}")
		  VS("rpc", "{hosts: [rpc], " TO_RPC "}"),
	  "spec.hosts[0]: port 80 of service default/rpc carries \"kubernetes.io/h2c\"" },
	{ "a policy for requests",
	  RPC("{name: grpc, port: 80}")
		  DR("rpc", "{host: rpc, trafficPolicy: {outlierDetection: {}}}"),
	  "warning: t.yaml:9:8: spec.host: port 80 of service default/rpc carries \"grpc\"" },
	{ "a destination that another service's rule has",
	  RPC("{name: grpc, port: 80}") SERVICE("web", "10.96.0.1", "{name: http, port: 80}")
		  VS("web", "{hosts: [web], " TO_RPC "}"),
	  "spec.http[0].route[0].destination: port 80 of service default/rpc carries \"grpc\": "
	  "weft "
	  "does not speak HTTP/2 yet and sends requests there in HTTP/1.1" },
	{ "a mirror",
	  RPC("{name: grpc, port: 80}") SERVICE("web", "10.96.0.1", "{name: http, port: 80}")
		  VS("web", "{hosts: [web], http: [{route: [{destination: {host: web}}], mirror: "
			    "{host: rpc}}]}"),
	  "spec.http[0].mirrors[0].destination: port 80 of service default/rpc carries \"grpc\"" },
	{ "a gateway's protocol",
	  GW("gw", "{servers: [{port: {number: 80, name: a, protocol: GRPC}, hosts: [\"*\"]}]}"),
	  "warning: t.yaml:4:18: spec.servers[0].port.protocol: GRPC: weft does not speak HTTP/2 "
	  "yet and answers it with 400" },
	{ "the port beside it is HTTP, too, and the rule is told of once",
	  RPC("{name: grpc, port: 80}, {name: http, port: 81}")
		  VS("rpc", "{hosts: [rpc], http: [{route: [{destination: {host: rpc, port: "
			    "{number: 80}}}]}]}"),
	  "spec.hosts[0]: port 80" },
};

static const struct row accepted[] = {
	{ "tls routes for some names only",
	  ECHO VS("echo",
		  "{hosts: [\"*.default.svc.cluster.local\"], "
		  "tls: [{match: [{port: 9000, sniHosts: [\"b.default.svc.cluster.local\"]}], "
		  "route: [{destination: {host: echo}}]}]}"),
	  "" },
	{ "tls routes for a name behind one that is wider",
	  ECHO VS("echo", "{hosts: [echo.default.svc.cluster.local, \"*.example.com\"], tls: "
			  "[{match: [{port: 9000, sniHosts: [\"*.example.com\"]}], route: "
			  "[{destination: {host: echo}}]}, {match: [{port: 9000, sniHosts: "
			  "[b.example.com]}], route: [{destination: {host: echo}}]}]}"),
	  "" },
	{ "tls routes for a name beside the service's",
	  ECHO VS("echo", "{hosts: [echo.default.svc.cluster.local, \"*.example.com\"], tls: "
			  "[{match: [{port: 9000, sniHosts: [b.example.com]}], route: "
			  "[{destination: {host: echo}}]}]}"),
	  "" },
	{ "tls and tcp routes for one port",
	  ECHO VS("echo", "{hosts: [echo.default.svc.cluster.local], tcp: [{route: [{destination: "
			  "{host: echo}}]}], tls: "
			  "[{match: [{port: 9000, sniHosts: [echo.default.svc.cluster.local]}], "
			  "route: [{destination: {host: echo}}]}]}"),
	  "" },
	{ "a gateway that passes TLS through, by its mode or without one",
	  ECHO GW("gw", "{servers: [{port: {number: 443, name: tls, protocol: TLS}, tls: {mode: "
			"PASSTHROUGH}, hosts: [a.example.com]}, {port: {number: 443, name: https, "
			"protocol: HTTPS}, tls: {}, hosts: [b.example.com]}]}")
		  VS("echo",
		     "{hosts: [a.example.com], gateways: [gw], tls: [{match: [{port: 443, "
		     "sniHosts: [a.example.com]}], route: [{destination: {host: echo}}]}]}"),
	  "" },
	{ "gRPC that no rule speaks of",
	  RPC("{name: grpc, port: 80}")
		  DR("rpc", "{host: rpc, trafficPolicy: {loadBalancer: {simple: RANDOM}}}"),
	  "" },
	{ "a rule for a port beside gRPC's, by another service's name",
	  RPC("{name: http, port: 80}") VS("rpc", "{hosts: [rpc], " TO_RPC "}"), "" },
	{ "a subset that a wildcard rule defines",
	  ECHO DR("all", "{host: \"*.local\", subsets: [{name: v9, labels: {v: a}}]}")
		  VS("echo",
		     "{hosts: [echo], tcp: [{route: [{destination: {host: echo, subset: v9}}]}]}"),
	  "" },
	{ "outlier detection of an unknown host",
	  DR("echo",
	     "{host: nowhere, trafficPolicy: {outlierDetection: {consecutive5xxErrors: 1}}}"),
	  "" },
	{ "http routes, policies and a gateway",
	  SERVICE("echo", "10.96.0.1", "{name: tcp, port: 1}, {name: http, port: 2}")
		  DR("echo", "{host: echo, trafficPolicy: {connectionPool: {http: "
			     "{http1MaxPendingRequests: 1}}, outlierDetection: {}, loadBalancer: "
			     "{consistentHash: {httpHeaderName: x}}}}")
			  GW("gw", "{servers: [{port: {number: 80, name: http, protocol: HTTP}, "
				   "hosts: [\"*\"]}]}")
				  VS("echo", "{hosts: [echo], gateways: [mesh, gw], http: [{route: "
					     "[{destination: {host: echo, port: {number: 2}}}]}]}"),
	  "" },
	{ "a rule whose name is too long for a counter's",
	  ECHO VS(LONG LONG LONG LONG,
		  "{hosts: [echo], tcp: [{route: [{destination: {host: echo}}]}]}"),
	  "" },
	{ "http routes at a port that says nothing of its protocol",
	  SERVICE("echo", "10.96.0.1", "{port: 80}")
		  VS("echo", "{hosts: [echo], http: [{route: [{destination: {host: echo}}]}]}"),
	  "" },
	{ "an http pool of a TCP service",
	  ECHO DR("echo", "{host: echo, trafficPolicy: {connectionPool: {http: "
			  "{http1MaxPendingRequests: 1}}}}"),
	  "" },
	{ "an http pool of the TCP port beside an http port",
	  SERVICE("echo", "10.96.0.1", "{name: tcp, port: 1}, {name: http, port: 2}")
		  DR("echo", "{host: echo, trafficPolicy: {portLevelSettings: [{port: {number: 1}, "
			     "connectionPool: "
			     "{http: {http1MaxPendingRequests: 1}}}]}}"),
	  "" },
};

static void check(const struct row *row, int r)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	_cleanup_free_ char *errors = NULL;

	compiled_text(&c, row->yaml);
	errors = errors_text(&c.errors);
	cr_expect_eq(c.r, r, "%s: %d\n%s", row->about, c.r, errors);
	cr_expect_eq(!!c.tables, !r, "%s", row->about);
	if (*row->message)
		cr_expect(strstr(errors, row->message), "%s:\n%s", row->about, errors);
	else
		cr_expect_str_eq(errors, "", "%s:\n%s", row->about, errors);
}

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

Test(compile_errors, what_is_refused_is_told_with_its_place)
{
	size_t i;

	for (i = 0; i < ROWS(refused); i++)
		check(&refused[i], -EINVAL);
}

Test(compile_errors, what_is_only_odd_is_warned_of)
{
	size_t i;

	for (i = 0; i < ROWS(warned_of); i++)
		check(&warned_of[i], 0);
}

Test(compile_errors, a_rule_for_a_port_with_http2_is_warned_of_once)
{
	size_t i;

	for (i = 0; i < ROWS(http2); i++) {
		_cleanup_compiled_ struct compiled c = { 0 };

		check(&http2[i], 0);
		compiled_text(&c, http2[i].yaml);
		cr_expect_eq(c.errors.count, 1, "%s: %zu", http2[i].about, c.errors.count);
	}
}

Test(compile_errors, what_changes_nothing_is_accepted_in_silence)
{
	size_t i;

	for (i = 0; i < ROWS(accepted); i++)
		check(&accepted[i], 0);
}

/* `weft explain -f` compiles the two parts apart, `weft validate -f` together. */
Test(compile_errors, explain_names_all_that_validate_does)
{
	static const char yaml[] = "apiVersion: v1\nkind: Service\nmetadata: {name: ext}\n"
				   "spec: {type: ExternalName, externalName: example.com}\n---\n"
		/* clang-format off */
		ECHO
		DR("echo", "{host: echo, subsets: [{name: v1, labels: {v: a}}]}")
		VS("echo", "{hosts: [echo], tcp: [{route: [{destination: {host: echo, subset: v2}}]}]}")
		VS("web", "{hosts: [web], http: [{route: [{destination: {host: ext}}]}]}");
	/* clang-format on */
	static const enum compile_http ways[] = { COMPILE_HTTP_NEEDED, COMPILE_HTTP_APART };
	_cleanup_compiled_ struct compiled c = { .registry = registry_new() };

	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &c.objects, &c.errors, NULL), 0);
	for (size_t i = 0; i < ROWS(ways); i++) {
		_cleanup_free_ char *errors = NULL;

		errors_free(&c.errors);
		cr_expect_eq(compile(&c.objects, c.registry, ways[i], &c.tables, &c.errors),
			     -EINVAL);
		errors = errors_text(&c.errors);
		cr_expect(strstr(errors, "subset \"v2\" is not defined"), "%s", errors);
		cr_expect(strstr(errors, "not \"ext\""), "%s", errors);
	}
}
