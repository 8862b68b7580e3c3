// SPDX-License-Identifier: Apache-2.0
/*
 * Rules that are accepted and change nothing: said so, each once, and nothing is said of those that
 * do change something.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "test_compile_util.h"

#define SERVICE(name, spec) \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: " spec "\n---\n"
#define ISTIO(kind, name, spec)                                                      \
	"apiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name \
	"}\nspec: " spec "\n---\n"
#define VS(spec) ISTIO("VirtualService", "rule", spec)
#define DR(spec) ISTIO("DestinationRule", "rule", spec)
#define GATEWAY                \
	ISTIO("Gateway", "gw", \
	      "{servers: [{port: {number: 31400, name: tcp, protocol: TCP}, hosts: [\"*\"]}]}")
#define ECHO SERVICE("echo", "{clusterIP: 10.96.0.1, ports: [{name: tcp, port: 9000}]}")
#define WEB                                                                                  \
	SERVICE("web", "{clusterIP: 10.96.0.2, ports: [{name: http, port: 80}, {name: tcp, " \
		       "port: 81}]}")
#define HEADLESS SERVICE("naked", "{clusterIP: None, ports: [{name: tcp, port: 9000}]}")
#define LOCAL                                                                                  \
	SERVICE("near", "{clusterIP: 10.96.0.3, internalTrafficPolicy: Local, ports: [{name: " \
			"tcp, port: 9000}]}")
#define TO_ECHO "route: [{destination: {host: echo, port: {number: 9000}}}]"
#define LIMIT "trafficPolicy: {connectionPool: {tcp: {maxConnections: 1}}}"

static const struct row {
	const char *about, *yaml;
	const char *message; /* the one warning in full; "": there is none */
} rows[] = {
	{ "a rule for a headless service",
	  ECHO HEADLESS VS("{hosts: [naked], tcp: [{" TO_ECHO "}]}"),
	  "warning: t.yaml:14:16: spec.hosts[0]: service default/naked is headless, clients call "
	  "its "
	  "pods themselves: the rule has no effect on it" },
	{ "a policy for a headless service", HEADLESS DR("{host: naked, " LIMIT "}"),
	  "warning: t.yaml:9:8: spec.host: service default/naked is headless, clients call its "
	  "pods "
	  "themselves: the rule has no effect on it but on what VirtualServices send there" },
	{ "a rule for a node-local service", ECHO LOCAL VS("{hosts: [near], tcp: [{" TO_ECHO "}]}"),
	  "" },
	{ "a rule for a host that isn't there", ECHO VS("{hosts: [gone], tcp: [{" TO_ECHO "}]}"),
	  "warning: t.yaml:9:16: spec.hosts[0]: no service \"gone.default.svc.cluster.local\": the "
	  "rule has no effect on it" },
	{ "a policy for a host that isn't there", ECHO DR("{host: gone, " LIMIT "}"),
	  "warning: t.yaml:9:8: spec.host: no service \"gone.default.svc.cluster.local\": the rule "
	  "has no effect on it" },
	{ "a policy for a wildcard with nothing under it", ECHO DR("{host: \"*.com\", " LIMIT "}"),
	  "spec.host: no service \"*.com\": the rule has no effect on it" },
	{ "a policy alone", DR("{host: gone, " LIMIT "}"), "" },
	{ "a host from outside, at a gateway too",
	  ECHO GATEWAY VS("{hosts: [a.example.com], gateways: [mesh, gw], tcp: [{" TO_ECHO "}]}"),
	  "" },
	{ "a tls match that names a port with http",
	  ECHO WEB VS(
		  "{hosts: [web, a.test], tls: [{match: [{port: 80, sniHosts: [a.test]}], " TO_ECHO
		  "}]}"),
	  "spec.tls[0].match[0]: the port carries http, by its name or appProtocol: the rule has "
	  "no "
	  "effect there" },
	{ "a tcp rule for a port with http",
	  ECHO WEB VS("{hosts: [web], tcp: [{match: [{port: 80}], " TO_ECHO "}]}"),
	  "warning: t.yaml:14:37: spec.tcp[0].match[0]: the port carries http, by its name or "
	  "appProtocol: the rule has no effect there" },
	{ "a tcp rule for the port beside it",
	  ECHO WEB VS("{hosts: [web], tcp: [{match: [{port: 81}], " TO_ECHO "}]}"), "" },
	{ "a tcp rule for all ports, one of which carries tcp",
	  ECHO WEB VS("{hosts: [web], tcp: [{" TO_ECHO "}]}"), "" },
	{ "a port that the service lacks",
	  ECHO VS("{hosts: [echo], tcp: [{match: [{port: 1}], " TO_ECHO "}]}"),
	  "spec.tcp[0].match[0].port: no service of the rule's hosts has TCP port 1: the rule has "
	  "no effect" },
	{ "a port that the gateway lacks",
	  ECHO GATEWAY VS("{hosts: [\"*\"], gateways: [gw], tcp: [{match: [{port: 1}], " TO_ECHO
			  "}, {" TO_ECHO "}]}"),
	  "spec.tcp[0].match[0].port: no gateway of the rule has TCP port 1: the rule has no "
	  "effect" },
	{ "the gateway's port",
	  ECHO GATEWAY VS("{hosts: [\"*\"], gateways: [gw], tcp: [{match: [{port: 31400}], " TO_ECHO
			  "}]}"),
	  "" },
	{ "settings of a port that the service lacks",
	  ECHO DR("{host: echo, trafficPolicy: {portLevelSettings: [{port: {number: 1}, "
		  "loadBalancer: {simple: RANDOM}}]}}"),
	  "warning: t.yaml:9:20: spec.trafficPolicy.portLevelSettings[0].port: no service of "
	  "\"echo\" has TCP port 1: these settings have no effect" },
	{ "a destination without a port that has others than the one called",
	  ECHO WEB VS("{hosts: [echo], tcp: [{route: [{destination: {host: web}}]}]}"),
	  "warning: t.yaml:14:52: spec.tcp[0].route[0].destination: without a port it is the one "
	  "called, and service default/web has no port 9000: connections to it are refused" },
	{ "a destination without a port at a gateway, whose own is none of its service's",
	  ECHO WEB GATEWAY VS("{hosts: [\"*\"], gateways: [gw], tcp: [{route: [{destination: "
			      "{host: web}}]}]}"),
	  "spec.tcp[0].route[0].destination: without a port it is the one called, and service "
	  "default/web has no port 31400: connections to it are refused" },
	{ "a destination without a port at a gateway, whose own is one of its service's",
	  ECHO SERVICE("both", "{clusterIP: 10.96.0.3, ports: [{name: tcp, port: 31400}, {name: "
			       "tcp-b, port: 2}]}")
		  GATEWAY VS("{hosts: [\"*\"], gateways: [gw], tcp: [{route: [{destination: "
			     "{host: both}}]}]}"),
	  "" },
	{ "a destination that is another name for a service",
	  ECHO SERVICE("alias", "{type: ExternalName, externalName: "
				"echo.default.svc.cluster.local}")
		  VS("{hosts: [echo], tcp: [{route: [{destination: {host: alias}}]}]}"),
	  "" },
	{ "who calls a gateway",
	  ECHO GATEWAY VS("{hosts: [\"*\"], gateways: [gw], tcp: [{match: [{sourceLabels: {a: "
			  "b}}], " TO_ECHO "}]}"),
	  "spec.tcp[0].match[0].sourceLabels: ignored at a gateway, as in Istio" },
	{ "the address called at a gateway",
	  ECHO GATEWAY VS("{hosts: [\"*\"], gateways: [gw], tcp: [{match: [{destinationSubnets: "
			  "[10.0.0.0/8]}], " TO_ECHO "}]}"),
	  "spec.tcp[0].match[0].destinationSubnets: ignored at a gateway, as in Istio" },
	{ "who calls, beside gateways",
	  ECHO VS("{hosts: [echo], tcp: [{match: [{sourceNamespace: a, gateways: [mesh]}], " TO_ECHO
		  "}]}"),
	  "spec.tcp[0].match[0].sourceNamespace: ignored beside gateways, as in Istio" },
	{ "who calls in the mesh",
	  ECHO VS("{hosts: [echo], tcp: [{match: [{sourceNamespace: a, destinationSubnets: "
		  "[10.0.0.0/8]}], " TO_ECHO "}]}"),
	  "" },
};

static size_t lines(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

Test(compile_idle, what_has_no_effect_is_told_once)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_compiled_ struct compiled c = { 0 };
		_cleanup_free_ char *errors = NULL;
		size_t warnings = 0;

		compiled_text(&c, rows[i].yaml);
		errors = errors_text(&c.errors);
		cr_expect_not_null(c.tables, "%s:\n%s", rows[i].about, errors);
		warnings = lines(errors);
		cr_expect_eq(warnings, *rows[i].message ? 1 : 0, "%s:\n%s", rows[i].about, errors);
		cr_expect(strstr(errors, rows[i].message), "%s:\n%s", rows[i].about, errors);
	}
}
