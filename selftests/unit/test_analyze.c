// SPDX-License-Identifier: Apache-2.0
/*
 * What `weft analyze` remarks, each time beside selftests/rules/analyze.yaml: one remark with its
 * code for what is wrong, none when it is mended.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/model/remarks.h"
#include "test_compile_util.h"

#define WORLD "selftests/rules/analyze.yaml"

#define ISTIO(kind, name, spec)                                                           \
	"---\napiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name \
	"}\nspec: " spec "\n"
#define VS(spec) ISTIO("VirtualService", "rule", spec)
#define HTTP(routes) VS("{hosts: [a], http: [" routes "]}")
#define DELEGATE(routes) ISTIO("VirtualService", "leaf", "{http: [" routes "]}")
#define DR(spec) ISTIO("DestinationRule", "later", spec)
#define SERVICE(name, spec) \
	"---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: " spec "\n"
#define POD(spec, status)                                                                 \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: old, labels: {app: b}}\nspec: " \
	"{nodeName: node" spec "}\nstatus: {podIP: 10.244.1.1, " status "}\n"
#define TCP_GATEWAY                                                                             \
	ISTIO("Gateway", "t",                                                                   \
	      "{selector: {istio: ingressgateway}, servers: [{port: {number: 9000, name: tcp, " \
	      "protocol: TCP}, hosts: [\"*\"]}]}")
#define DOOR                                                                                 \
	SERVICE("door",                                                                      \
		"{clusterIP: 10.96.0.50, selector: {istio: ingressgateway}, ports: [{name: " \
		"http, port: 80}]}")
#define OUTSIDE(resolution)                                                                        \
	ISTIO("ServiceEntry", "outside",                                                           \
	      "{hosts: [outside.example.com], ports: [{number: 80, name: http, protocol: HTTP}], " \
	      "resolution: " resolution "}")                                                       \
	HTTP("{" TO("host: outside.example.com") "}")
#define PEER(ns, name, spec)                                                          \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: " \
	"{namespace: " ns ", name: " name "}\nspec: " spec "\n"
#define TELEMETRY(name, spec)                                                             \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: " name \
	"}\nspec: " spec "\n"
#define NODE_PORT                                                                             \
	SERVICE("np",                                                                         \
		"{type: NodePort, clusterIP: 10.96.0.77, selector: {app: a}, ports: [{name: " \
		"tcp, port: 80, targetPort: 8080, nodePort: 30080}]}")
#define TO_A "route: [{destination: {host: a}}]"
#define TO(destination) "route: [{destination: {" destination "}}]"

static const struct {
	const char *about, *yaml, *code, *message, *mended;
} rows[] = {
	/* Routes that earlier ones leave nothing to. */
	{ "two routes without a match", HTTP("{" TO_A "}, {" TO_A "}"), "IST0130",
	  "spec.http[1]: never used: http[0] takes everything",
	  HTTP("{match: [{method: {exact: GET}}], " TO_A "}, {" TO_A "}") },
	{ "the same match twice",
	  HTTP("{match: [{uri: {exact: /x}}], " TO_A "}, {match: [{uri: {exact: /x}}], " TO_A "}"),
	  "IST0130", "spec.http[1]: never used: http[0] has the same match",
	  HTTP("{match: [{uri: {exact: /x}}], " TO_A "}, {match: [{uri: {exact: /y}}], " TO_A
	       "}") },
	{ "a prefix within an earlier one",
	  HTTP("{match: [{uri: {prefix: /}}], " TO_A "}, {match: [{uri: {prefix: /api}}], " TO_A
	       "}"),
	  "IST0131", "spec.http[1].match[0]: never holds: http[0] takes all that it would",
	  HTTP("{match: [{uri: {prefix: /api}}], " TO_A "}, {match: [{uri: {prefix: /}}], " TO_A
	       "}") },
	{ "one of two matches",
	  HTTP("{match: [{uri: {prefix: /a}}], " TO_A
	       "}, {match: [{uri: {exact: /b}}, {uri: {exact: /ab}}], " TO_A "}"),
	  "IST0131", "spec.http[1].match[1]: never holds",
	  HTTP("{match: [{uri: {prefix: /a}}], " TO_A
	       "}, {match: [{uri: {exact: /b}}, {uri: {exact: /Ab}}], " TO_A "}") },
	{ "the same match twice in one route",
	  HTTP("{match: [{uri: {prefix: /a}}, {uri: {prefix: /a}}], " TO_A "}"), "IST0131",
	  "spec.http[0].match[1]: never holds: http[0] takes all that it would",
	  HTTP("{match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}], " TO_A "}") },
	{ "a regular expression that every path matches",
	  HTTP("{match: [{uri: {regex: /.*}}], " TO_A "}, {match: [{uri: {exact: /b}}], " TO_A "}"),
	  "IST0131", "spec.http[1].match[0]: never holds",
	  HTTP("{match: [{uri: {regex: /a.*}}], " TO_A "}, {match: [{uri: {exact: /b}}], " TO_A
	       "}") },
	{ "a path in another case, where case does not count",
	  HTTP("{match: [{uri: {prefix: /a}, ignoreUriCase: true}], " TO_A
	       "}, {match: [{uri: {exact: /AB}}], " TO_A "}"),
	  "IST0131", "spec.http[1].match[0]: never holds",
	  HTTP("{match: [{uri: {prefix: /a}}], " TO_A
	       "}, {match: [{uri: {exact: /ab}, ignoreUriCase: true}], " TO_A "}") },
	{ "a header more",
	  HTTP("{match: [{headers: {x: {exact: w}}}], " TO_A
	       "}, {match: [{headers: {x: {exact: w}, z: {exact: w}}}], " TO_A "}"),
	  "IST0131", "spec.http[1].match[0]: never holds",
	  HTTP("{match: [{headers: {x: {exact: w}, z: {exact: w}}}], " TO_A
	       "}, {match: [{headers: {x: {exact: w}}}], " TO_A "}") },
	{ "a header that the earlier match excludes",
	  HTTP("{match: [{withoutHeaders: {x: {exact: w}}}], " TO_A
	       "}, {match: [{withoutHeaders: {x: {exact: w}}, uri: {prefix: /}}], " TO_A "}"),
	  "IST0130", "has the same match",
	  HTTP("{match: [{withoutHeaders: {x: {exact: w}}}], " TO_A
	       "}, {match: [{withoutHeaders: {x: {exact: z}}}], " TO_A "}") },
	{ "a client's labels more",
	  HTTP("{match: [{sourceLabels: {a: b}}], " TO_A
	       "}, {match: [{sourceLabels: {a: b, c: d}}], " TO_A "}"),
	  "IST0131", "spec.http[1].match[0]: never holds",
	  HTTP("{match: [{sourceLabels: {a: b, c: d}}], " TO_A
	       "}, {match: [{sourceLabels: {a: b}}], " TO_A "}") },
	{ "a TCP route behind one that takes everything",
	  VS("{hosts: [mixed], tcp: [{" TO("host: mixed, port: {number: 9000}") "}, {" TO(
		  "host: mixed, port: {number: 9000}") "}]}"),
	  "IST0130", "spec.tcp[1]: never used: tcp[0] takes everything",
	  VS("{hosts: [mixed], tcp: [{" TO("host: mixed, port: {number: 9000}") "}]}") },
	{ "a subnet within an earlier one",
	  VS("{hosts: [mixed], tcp: [{match: [{destinationSubnets: [10.0.0.0/8]}], " TO(
		  "host: mixed, port: {number: 9000}") "}, {match: [{destinationSubnets: "
						       "[10.0.0.0/16]}], " TO(
							       "host: mixed, port: {number: "
							       "9000}") "}]}"),
	  "IST0131", "spec.tcp[1].match[0]: never holds",
	  VS("{hosts: [mixed], tcp: [{match: [{destinationSubnets: [10.0.0.0/16]}], " TO(
		  "host: mixed, port: {number: 9000}") "}, {match: [{destinationSubnets: "
						       "[10.0.0.0/8]}], " TO(
							       "host: mixed, port: {number: "
							       "9000}") "}]}") },

	/* Destinations and matches that lead nowhere. */
	{ "a port that the service lacks", HTTP("{" TO("host: a, port: {number: 81}") "}"),
	  "IST0101",
	  "spec.http[0].route[0].destination.port: service default/a has port 80, not 81",
	  HTTP("{" TO("host: a, port: {number: 80}") "}") },
	{ "a mirror's port that the service lacks",
	  HTTP("{" TO_A ", mirror: {host: a, port: {number: 81}}}"), "IST0101",
	  "spec.http[0].mirrors[0].destination.port: service default/a has port 80, not 81",
	  HTTP("{" TO_A ", mirror: {host: a}}") },
	{ "no port of several", HTTP("{" TO("host: two") "}"), "IST0112",
	  "service default/two has the ports 8000, 9000, and none is named: requests to port 80 "
	  "get 503",
	  HTTP("{" TO("host: one") "}") },
	{ "no port of several, at a gateway",
	  VS("{hosts: [m.example.com], gateways: [g], http: [{" TO("host: two") "}]}"), "IST0112",
	  "requests to port 80 get 503",
	  VS("{hosts: [m.example.com], gateways: [g], http: [{" TO(
		  "host: two, port: {number: 8000}") "}]}") },
	{ "a match on a port that no service has", HTTP("{match: [{port: 81}], " TO_A "}"),
	  "WEFT0102", "spec.http[0].match[0].port: no service or gateway of the rule has port 81",
	  HTTP("{match: [{port: 80}], " TO_A "}") },
	{ "a match on a port that no gateway has",
	  VS("{hosts: [m.example.com], gateways: [g], http: [{match: [{port: 8080}], " TO_A "}]}"),
	  "WEFT0102", "no service or gateway of the rule has port 8080",
	  VS("{hosts: [m.example.com], gateways: [g], http: [{match: [{port: 80}], " TO_A "}]}") },
	{ "a match at a gateway that the rule is not for",
	  HTTP("{match: [{gateways: [g]}], " TO_A "}, {" TO_A "}"), "WEFT0114",
	  "spec.http[0].match[0].gateways: spec.gateways has none of them: the match never holds",
	  VS("{hosts: [a, m.example.com], gateways: [mesh, default/g], http: [{match: [{gateways: "
	     "[g]}], " TO_A "}, {" TO_A "}]}") },
	{ "a TCP match in the mesh, of a rule for a gateway only",
	  VS("{hosts: [m.example.com], gateways: [t], tcp: [{match: [{gateways: [mesh]}], " TO(
		  "host: mixed, port: {number: 9000}") "}]}") TCP_GATEWAY,
	  "WEFT0114", "spec.tcp[0].match[0].gateways: spec.gateways has none of them",
	  VS("{hosts: [m.example.com], gateways: [t], tcp: [{match: [{gateways: [t]}], " TO(
		  "host: mixed, port: {number: 9000}") "}]}") TCP_GATEWAY },
	{ "an HTTP match on a TCP port",
	  VS("{hosts: [mixed], http: [{match: [{port: 9000}], " TO("host: mixed") "}]}"),
	  "WEFT0104", "port 9000 does not carry http",
	  VS("{hosts: [mixed], http: [{match: [{port: 80}], " TO("host: mixed") "}]}") },
	{ "a host that the gateway does not take",
	  VS("{hosts: [m.example.org], gateways: [g], http: [{" TO_A "}]}"), "IST0132",
	  "spec.hosts[0]: no server of gateway default/g takes \"m.example.org\"",
	  VS("{hosts: [m.example.com], gateways: [g], http: [{" TO_A "}]}") },
	{ "weights that are no shares",
	  HTTP("{route: [{destination: {host: a, subset: v1}, weight: 1}, {destination: {host: a, "
	       "subset: v2}, weight: 1}]}"),
	  "WEFT0108", "spec.http[0].route: the weights add up to 2, not 100",
	  HTTP("{route: [{destination: {host: a, subset: v1}, weight: 50}, {destination: {host: "
	       "a, subset: v2}, weight: 50}]}") },
	{ "a subset that is not defined", HTTP("{" TO("host: a, subset: v3") "}"), "IST0101",
	  "defines \"v3\"", HTTP("{" TO("host: a, subset: v2") "}") },

	/* Delegates. */
	{ "a delegate that is not there", HTTP("{delegate: {name: leaf}}"), "IST0101",
	  "spec.http[0].delegate: no virtualservice default/leaf",
	  HTTP("{delegate: {name: leaf}}") DELEGATE("{" TO_A "}") },
	{ "a delegate's match that can't hold",
	  HTTP("{match: [{uri: {prefix: /a}}], delegate: {name: leaf}}")
		  DELEGATE("{match: [{uri: {prefix: /b}}], " TO_A "}"),
	  "WEFT0107", "spec.http[0].match: never holds together with that of spec.http[0]",
	  HTTP("{match: [{uri: {prefix: /a}}], delegate: {name: leaf}}")
		  DELEGATE("{match: [{uri: {prefix: /a/b}}], " TO_A "}") },

	{ "a delegate that nothing leads to", DELEGATE("{" TO_A "}"), "WEFT0112",
	  "no virtualservice delegates to default/leaf",
	  HTTP("{delegate: {name: leaf}}") DELEGATE("{" TO_A "}") },

	/* DestinationRules. */
	{ "a subset that an older rule defines",
	  DR("{host: a.default.svc.cluster.local, subsets: [{name: v1, labels: {version: v2}}]}"),
	  "WEFT0106", "spec: subset v1: no effect beside the older destinationrule default/a",
	  DR("{host: a.default.svc.cluster.local, subsets: [{name: v3, labels: {version: v2}}]}") },
	{ "a trafficPolicy behind an older one",
	  DR("{host: a, subsets: [{name: v2, labels: {version: v2}}], trafficPolicy: "
	     "{connectionPool: {tcp: {maxConnections: 1}}}}"),
	  "WEFT0106", "spec: subset v2, trafficPolicy: no effect beside",
	  ISTIO("DestinationRule", "first", "{host: two}")
		  DR("{host: two, subsets: [{name: v2, labels: {version: v2}}], trafficPolicy: "
		     "{connectionPool: {tcp: {maxConnections: 1}}}}") },
	{ "a subset without pods", DR("{host: two, subsets: [{name: v3, labels: {version: v3}}]}"),
	  "IST0173", "spec.subsets[0]: no pod of service default/two has the labels of \"v3\"",
	  DR("{host: two, subsets: [{name: v3, labels: {version: v2}}]}") },
	{ "a policy for a host that is not there", DR("{host: gone}"), "IST0174",
	  "spec.host: no service", DR("{host: two}") },

	/* Services and pods. */
	{ "a service without pods that a rule leads to", HTTP("{" TO("host: empty") "}"), "IST0127",
	  "spec.selector: service default/empty has no endpoint", HTTP("{" TO_A "}") },
	{ "a ServiceEntry without workloads",
	  OUTSIDE("STATIC, workloadSelector: {labels: {app: nobody}}"), "IST0127",
	  "spec.workloadSelector: serviceentry default/outside has no endpoint: ", OUTSIDE("DNS") },
	{ "the service of a Gateway that a rule leads to", DOOR HTTP("{" TO("host: door") "}"),
	  "IST0127",
	  "service default/door has no endpoint, and weft leads no client in the mesh to the "
	  "Gateway",
	  DOOR HTTP("{" TO_A "}") },
	{ "a service without an address",
	  SERVICE("b", "{selector: {app: a}, ports: [{name: http, port: 80}]}"), "WEFT0110",
	  "spec.clusterIP: service default/b has no address",
	  SERVICE("b", "{clusterIP: None, selector: {app: a}, ports: [{name: http, port: 80}]}") },
	{ "a pod that the cluster no longer has", POD("", "phase: Running"), "WEFT0109",
	  "status.podIP: pod default/a1", POD(", hostNetwork: true", "phase: Running") },
	{ "a pod that has ended",
	  "---\napiVersion: v1\nkind: Pod\nmetadata: {name: last}\nspec: {nodeName: node}\nstatus: "
	  "{podIP: 10.244.1.2, phase: Running}\n",
	  "WEFT0109", "pod default/a2", POD("", "phase: Succeeded") },

	/* Hosts. */
	{ "two rules for one host in the mesh",
	  HTTP("{" TO_A "}") ISTIO("VirtualService", "second", "{hosts: [a], http: [{" TO_A "}]}"),
	  "IST0109", "spec.hosts[0]: virtualservice default/rule",
	  HTTP("{" TO_A "}")
		  ISTIO("VirtualService", "second", "{hosts: [mixed], http: [{" TO_A "}]}") },
	/* PeerAuthentications. */
	{ "a selector in the root namespace",
	  PEER("istio-system", "p", "{selector: {matchLabels: {app: a}}}"), "WEFT0125",
	  "spec.selector: a PeerAuthentication of istio-system with a selector is for no pod",
	  PEER("istio-system", "p", "{mtls: {mode: STRICT}}") },
	{ "two for one namespace",
	  PEER("default", "p", "{mtls: {mode: STRICT}}") PEER("default", "q",
							      "{mtls: {mode: "
							      "DISABLE}}"),
	  "WEFT0125", "peerauthentication default/p (t.yaml:52:1) is older",
	  PEER("default", "p", "{mtls: {mode: STRICT}}") PEER(
		  "default", "q", "{selector: {matchLabels: {app: a}}, mtls: {mode: DISABLE}}") },
	{ "one that selects nothing",
	  PEER("default", "p", "{selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}}"),
	  "IST0127",
	  "spec.selector: no pod of namespace default that is in the mesh has these labels",
	  PEER("default", "p", "{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}}") },
	{ "STRICT behind a nodePort", NODE_PORT PEER("default", "p", "{mtls: {mode: STRICT}}"),
	  "WEFT0126",
	  "a pod of service default/np is STRICT at port 80: what calls it from outside by its "
	  "nodePort",
	  NODE_PORT PEER("default", "p",
			 "{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: "
			 "{8080: {mode: PERMISSIVE}}}") },
	{ "STRICT behind a Gateway's server of TCP",
	  VS("{hosts: [m.example.com], gateways: [t], tcp: [{match: [{gateways: [t]}], " TO(
		  "host: mixed, port: {number: 9000}") "}]}")
		  TCP_GATEWAY PEER("default", "p", "{mtls: {mode: STRICT}}"),
	  "WEFT0126", "a pod of service default/mixed is STRICT at port 9000",
	  VS("{hosts: [m.example.com], gateways: [t], tcp: [{match: [{gateways: [t]}], " TO(
		  "host: mixed, port: {number: 9000}") "}]}")
		  TCP_GATEWAY PEER("default", "p", "{mtls: {mode: PERMISSIVE}}") },
	/* Telemetries. */
	{ "two Telemetries for one namespace", TELEMETRY("p", "{}") TELEMETRY("q", "{}"), "IST0160",
	  "telemetry default/p (t.yaml:52:1) is older",
	  TELEMETRY("p", "{}") TELEMETRY("q", "{selector: {matchLabels: {app: a}}}") },
	{ "spans without a place to go",
	  TELEMETRY("p",
		    "{tracing: [{disableSpanReporting: true}, {providers: [{name: jaeger}]}]}"),
	  "WEFT0131", "spec.tracing[1]: no span is told of, as weftd has no place for them",
	  TELEMETRY("p", "{tracing: [{disableSpanReporting: true}]}") },
};

static void analyze(struct compiled *c, const char *yaml)
{
	_cleanup_free_ char *world = file_text(WORLD), *text = NULL;

	cr_assert_not_null(world);
	cr_assert_geq(asprintf(&text, "%s%s", world, yaml), 0);
	compiled_text(c, text);
}

Test(analyze, each_fault_is_remarked_once_and_not_when_it_is_mended)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_compiled_ struct compiled wrong = { 0 }, mended = { 0 };
		_cleanup_free_ char *text = NULL, *none = NULL;
		json_auto_t *remarks = NULL;
		const json_t *remark;

		analyze(&wrong, rows[i].yaml);
		analyze(&mended, rows[i].mended);
		text = errors_text(&wrong.errors);
		none = errors_text(&mended.errors);
		remarks = remarks_json(&wrong.errors);
		remark = json_array_get(remarks, 0);
		cr_expect_not_null(wrong.tables, "%s", rows[i].about);
		cr_expect_eq(json_array_size(remarks), 1, "%s:\n%s", rows[i].about, text);
		cr_expect_str_eq(json_get_text(remark, "code", ""), rows[i].code, "%s:\n%s",
				 rows[i].about, text);
		cr_expect(strstr(json_get_text(remark, "message", ""), rows[i].message), "%s:\n%s",
			  rows[i].about, text);
		cr_expect_str_eq(none, "", "%s, mended:\n%s", rows[i].about, none);
	}
}

Test(analyze, a_remark_has_a_code_a_level_a_place_and_an_advice)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	json_auto_t *got = NULL, *want = NULL;

	analyze(&c, HTTP("{" TO_A "}, {" TO_A "}"));
	got = remarks_json(&c.errors);
	want = json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s}]", "code", "IST0130", "level", "warning",
			 "namespace", "default", "at", "t.yaml:55:64", "message",
			 "spec.http[1]: never used: http[0] takes everything", "advice",
			 "put it in front, give the earlier one a match, or delete it");
	cr_expect(json_equal(got, want), "%s", json_dumps(got, 0));
	cr_assert_eq(c.errors.count, 1);
	cr_expect_str_eq(c.errors.items[0].text,
			 "t.yaml:55:64: spec.http[1]: never used: http[0] takes everything; put it "
			 "in front, give the earlier one a match, or delete it [IST0130]");
}

/* A file of rules alone says nothing of services, nor one of services of pods. */
Test(analyze, what_the_files_leave_out_is_not_missed)
{
	static const char *const alone[] = {
		HTTP("{match: [{port: 81}], " TO_A "}") DR("{host: a, subsets: [{name: v1, labels: "
							   "{version: v1}}]}"),
		SERVICE("a",
			"{clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: "
			"80}]}") HTTP("{" TO_A "}"),
		VS("{hosts: [a], gateways: [g], http: [{match: [{gateways: [default/g]}, "
		   "{gateways: "
		   "[./g]}, {gateways: [g.default.svc.cluster.local]}], " TO_A "}]}"),
	};

	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++) {
		_cleanup_compiled_ struct compiled c = { 0 };
		_cleanup_free_ char *text = NULL;

		compiled_text(&c, alone[i]);
		text = errors_text(&c.errors);
		cr_expect(!strstr(text, "IST0127") && !strstr(text, "IST0173") &&
				  !strstr(text, "WEFT0102") && !strstr(text, "WEFT0114"),
			  "%s", text);
	}
}
