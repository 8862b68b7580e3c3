/* SPDX-License-Identifier: Apache-2.0 */
/* What of Istio's rules arrives in the model. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/model/model_http.h"
#include "lib/schema/schema_refused.h"
#include "test_rules_util.h"

#define VS "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n"
#define DR "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n"
#define GW "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec:\n"
#define HTTP VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n"

Test(model_istio, a_tcp_rule_keeps_weights_matches_and_places)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, VS "  hosts: [a]\n"
		       "  gateways: [mesh, gw]\n"
		       "  exportTo: ['.']\n"
		       "  tcp:\n"
		       "  - match:\n"
		       "    - port: 9000\n"
		       "      destinationSubnets: [10.0.0.0/8]\n"
		       "      sourceLabels: {app: sleep}\n"
		       "    route:\n"
		       "    - destination: {host: a, subset: v1, port: {number: 9000}}\n"
		       "      weight: 80\n"
		       "    - destination: {host: a, subset: ''}\n");
	const struct l4_route *route = o->vs.tcp.items;

	cr_assert_eq(o->vs.tcp.count, 1);
	cr_expect_eq(o->pos.line, 1);
	cr_expect_eq(route->pos.line, 9);
	cr_expect_eq(route->match.items[0].port, 9000);
	cr_expect_eq(route->match.items[0].destination_subnets.items[0].prefix, 104);
	cr_expect_str_eq(route->match.items[0].source_labels.items[0].value, "sleep");
	cr_assert_eq(route->route.count, 2);
	cr_expect_eq(route->route.items[0].weight, 80);
	cr_expect(route->route.items[0].weight_given);
	cr_expect_eq(route->route.items[0].destination.port, 9000);
	cr_expect_eq(route->route.items[0].destination.pos.line, 14);
	cr_expect_eq(route->route.items[0].destination.pos.col, 20);
	cr_expect_not(route->route.items[1].weight_given);
	cr_expect_null(route->route.items[1].destination.subset);
	cr_expect_str_eq(o->vs.gateways.items[1], "gw");
	cr_expect_eq(o->vs.gateways.at[1].col, 20);
}

Test(model_istio, policies_at_all_three_levels)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, DR "  host: a\n"
		       "  trafficPolicy:\n"
		       "    connectionPool: {tcp: {maxConnections: 7, connectTimeout: 1m}}\n"
		       "    portLevelSettings:\n"
		       "    - port: {number: 9000}\n"
		       "      loadBalancer: {simple: LEAST_CONN}\n"
		       "      outlierDetection: {consecutiveErrors: 3}\n"
		       "  subsets:\n"
		       "  - name: v1\n"
		       "    labels: {version: v1}\n"
		       "    trafficPolicy:\n"
		       "      loadBalancer: {consistentHash: {useSourceIp: true}}\n"
		       "      connectionPool: {http: {http1MaxPendingRequests: 1}}\n"
		       "  - name: v2\n");
	const struct destination_rule *dr = &o->dr;
	const struct traffic_policy *port = &dr->policy.ports.items[0].policy;
	const struct traffic_policy *v1 = &dr->subsets.items[0].policy.policy;

	cr_expect(dr->policy.policy.tcp.given);
	cr_expect_eq(dr->policy.policy.tcp.max_connections, 7);
	cr_expect_eq(dr->policy.policy.tcp.connect_timeout, 60000);
	cr_expect_eq(dr->policy.policy.tcp.idle_timeout, -1);
	cr_expect_not(dr->policy.policy.lb.given);
	cr_expect_eq(dr->policy.ports.items[0].port, 9000);
	cr_expect_eq(port->lb.simple, LB_SIMPLE_LEAST_REQUEST);
	cr_expect_eq(port->outlier_detection.line, 11);
	cr_expect_eq(port->outliers->consecutive_old, 3);
	cr_expect_eq(port->outliers->consecutive_5xx, -1);
	cr_expect_eq(port->tcp.connect_timeout, -1);
	cr_expect(v1->given);
	cr_expect(v1->lb.hash_source_ip);
	cr_expect_not(v1->lb.hash_http);
	cr_expect_eq(v1->http_pool.line, 17);
	cr_expect_eq(v1->http->max_pending, 1);
	cr_expect_not(dr->subsets.items[1].policy.policy.given);
	cr_expect_eq(dr->subsets.items[1].policy.policy.tcp.idle_timeout, -1);
	cr_expect_eq(dr->host_pos.line, 5);
}

Test(model_istio, keepalive_as_it_is_given)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, DR "  host: a\n"
		       "  trafficPolicy:\n"
		       "    connectionPool: {tcp: {tcpKeepalive: {probes: 127, time: "
		       "9h6m7s, interval: 1000ms}}}\n"
		       "  subsets:\n"
		       "  - name: empty\n"
		       "    trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: {}}}}\n"
		       "  - name: none\n"
		       "    trafficPolicy: {connectionPool: {tcp: {tcpKeepalive: null, "
		       "maxConnections: 1}}}\n");
	const struct tcp_keepalive *k = &o->dr.policy.policy.tcp.keepalive;

	cr_expect(k->given);
	cr_expect_eq(k->probes, 127);
	cr_expect_eq(k->time, 32767000);
	cr_expect_eq(k->interval, 1000);
	k = &o->dr.subsets.items[0].policy.policy.tcp.keepalive;
	cr_expect(k->given);
	cr_expect_eq(k->probes, 0);
	cr_expect_eq(k->time, 0);
	cr_expect_eq(k->interval, 0);
	cr_expect_not(o->dr.subsets.items[1].policy.policy.tcp.keepalive.given);
}

Test(model_istio, a_gateways_servers)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o =
		parsed_object(&p, GW "  selector: {istio: ingress}\n"
				     "  servers:\n"
				     "  - port: {number: 31400, name: tcp, protocol: tcp}\n"
				     "    hosts: ['*', ns/a.example.com]\n"
				     "  - port: {number: 80, name: http, protocol: HTTP}\n"
				     "    hosts: ['*']\n"
				     "    tls: {httpsRedirect: true}\n");

	cr_assert_eq(o->gateway.servers.count, 2);
	cr_expect_eq(o->gateway.servers.items[0].port, 31400);
	cr_expect_str_eq(o->gateway.servers.items[0].protocol, "TCP");
	cr_expect_str_eq(o->gateway.servers.items[0].hosts.items[1], "ns/a.example.com");
	cr_expect_null(o->gateway.servers.items[0].tls_mode);
	cr_expect(o->gateway.servers.items[1].https_redirect);
}

Test(model_istio, an_http_route_in_full)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p,
		VS "  hosts: [a]\n"
		   "  http:\n"
		   "  - match:\n"
		   "    - uri: {prefix: /api}\n"
		   "      headers: {end-user: {exact: jason}, x: {}}\n"
		   "      withoutHeaders: {w: {regex: '*'}, z: null}\n"
		   "    route:\n"
		   "    - destination: {host: a}\n"
		   "      headers: {request: {set: {host: b}}}\n"
		   "    timeout: 0.5s\n"
		   "    retries: {attempts: 2, perTryTimeout: 1s}\n"
		   "    fault: {delay: {fixedDelay: 7s, percent: 10}, abort: {httpStatus: 500}}\n"
		   "  - directResponse: {status: 200, body: {bytes: aGkA}}\n"
		   "  - redirect: {uri: /}\n");
	const struct http_route *r;

	cr_assert_eq(o->vs.http.count, 3);
	r = &o->vs.http.items[0];
	cr_expect_eq(r->match.items[0].uri.type, MATCH_PREFIX);
	cr_expect_str_eq(r->match.items[0].headers.items[0].name, "end-user");
	cr_expect_eq(r->match.items[0].headers.items[1].match.type, MATCH_PRESENT);
	cr_expect_eq(r->match.items[0].without_headers.items[0].match.type, MATCH_PRESENT);
	cr_expect_eq(r->match.items[0].without_headers.items[1].match.type, MATCH_PRESENT);
	cr_expect_eq(r->match.items[0].scheme.type, MATCH_NONE);
	cr_expect_str_eq(r->route.items[0].headers.request.set.items[0].value, "b");
	cr_expect_eq(r->timeout, 500);
	cr_expect_eq(r->retries->attempts, 2);
	cr_expect_eq(r->retries->backoff, -1);
	cr_expect_eq(r->fault->delay->fixed, 7000);
	cr_expect_float_eq(r->fault->delay->percent, 10, 1e-9);
	cr_expect_float_eq(r->fault->abort->percent, 0, 1e-9);
	cr_expect_eq(o->vs.http.items[1].direct_response->body_len, 3);
	cr_expect_eq(memcmp(o->vs.http.items[1].direct_response->body, "hi", 3), 0);
	cr_expect_eq(o->vs.http.items[1].timeout, -1);
	cr_expect_eq(o->vs.http.items[2].redirect->code, 301);
}

Test(model_istio, mirror_percentages_old_and_new)
{
	static const struct {
		const char *yaml;
		double percent;
	} rows[] = {
		{ "    mirror: {host: b}\n", 100 },
		{ "    mirror: {host: b}\n    mirrorPercent: 10\n", 10 },
		{ "    mirror: {host: b}\n    mirror_percent: 0\n", 0 },
		{ "    mirror: {host: b}\n    mirrorPercentage: {value: 12.5}\n", 12.5 },
		{ "    mirror: {host: b}\n    mirror_percentage: {}\n", 0 },
		{ "    mirror: {host: b}\n    mirrorPercent: 10\n    mirrorPercentage: {value: "
		  "20}\n",
		  20 },
		{ "    mirrors: [{destination: {host: b}}]\n", 100 },
		{ "    mirrors: [{destination: {host: b}, percentage: {value: 3}}]\n", 3 },
		{ "    mirrors: [{destination: {host: b}, percentage: {}}]\n", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_parsed_ struct parsed p = { 0 };
		_cleanup_free_ char *yaml = NULL;
		const struct object *o;

		cr_assert(asprintf(&yaml, "%s%s", HTTP, rows[i].yaml) > 0);
		o = parsed_object(&p, yaml);
		cr_assert_eq(o->vs.http.items[0].mirrors.count, 1);
		cr_expect_str_eq(o->vs.http.items[0].mirrors.items[0].destination.host, "b");
		cr_expect_float_eq(o->vs.http.items[0].mirrors.items[0].percent, rows[i].percent,
				   1e-9, "%s", rows[i].yaml);
	}
}

Test(model_istio, age_is_the_creation_time)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	const struct object *o = parsed_object(
		&p, "apiVersion: networking.istio.io/v1alpha3\nkind: DestinationRule\n"
		    "metadata: {name: a, creationTimestamp: '2024-03-01T10:20:30Z'}\nspec: {host: "
		    "a}\n");

	cr_expect_eq(o->meta.created, 1709288430);
}

Test(model_istio, a_refused_object_does_not_keep_the_others_out_of_the_set)
{
	_cleanup_parsed_ struct parsed p = { 0 };

	parsed_text(&p, DR "  host: a\n---\n" DR "  hots: a\n---\n" DR "  host: b\n");
	cr_expect_eq(p.r, -EINVAL);
	cr_expect_eq(p.objects.count, 2);
	cr_expect_eq(p.errors.count, 2);
}

Test(model_istio, what_has_no_effect_is_warned_about)
{
	_cleanup_parsed_ struct parsed p = { 0 };
	_cleanup_free_ char *text = NULL;

	parsed_text(&p, HTTP "    fault: {abort: {percentage: {value: 10}}}\n");
	cr_expect_eq(p.r, 0);
	text = messages(&p.errors);
	cr_expect_str_eq(
		text,
		"warning: t.yaml:8:20: spec.http[0].fault.abort: aborts nothing without httpStatus "
		"or grpcStatus\n");
}

Test(model_istio, all_that_is_refused_is_described)
{
	for (int i = 1; i < REFUSED_MAX; i++) {
		cr_expect_not_null(schema_refused[i].kind, "%d", i);
		cr_expect_not_null(schema_refused[i].what, "%d", i);
		cr_expect_not_null(schema_refused[i].why, "%d", i);
	}
}
