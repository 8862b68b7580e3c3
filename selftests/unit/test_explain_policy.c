// SPDX-License-Identifier: Apache-2.0
/*
 * What `weft explain` says of endpoints that NetworkPolicies close: to a request, which weft itself
 * refuses then, and to a connection, where it is the CNI that does.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/explain/explain_http.h"
#include "test_compile_util.h"

#define SERVICE(name, ip, port)                                                            \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {clusterIP: " ip \
	", selector: {app: web}, ports: [{name: " port ", port: 80}]}\n---\n"
#define POD(name, labels, ip)                                                    \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: " name ", labels: {" labels \
	"}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIP: " ip "}\n---\n"
#define WORLD                                                  \
	SERVICE("http", "10.96.0.1", "http")                   \
	SERVICE("tcp", "10.96.0.2", "tcp")                     \
	POD("one", "app: web, version: v1", "10.0.0.1")        \
	POD("two", "app: web, version: v2", "10.0.0.2")        \
	POD("cli", "app: cli", "10.0.0.3")                     \
	"apiVersion: networking.istio.io/v1\nkind: "           \
	"VirtualService\nmetadata: {name: http}\n"             \
	"spec: {hosts: [http], http: [{route: [{destination: " \
	"{host: http}}]}]}\n---\n"                             \
	"apiVersion: networking.istio.io/v1\nkind: "           \
	"Gateway\nmetadata: {name: gw}\n"                      \
	"spec: {selector: {istio: ingressgateway}, servers: "  \
	"[{port: {number: 8080, name: "                        \
	"http, protocol: HTTP}, hosts: ['*']}]}\n---\n"        \
	"apiVersion: networking.istio.io/v1\nkind: "           \
	"VirtualService\nmetadata: {name: door}\n"             \
	"spec: {hosts: ['*'], gateways: [gw], http: [{route: " \
	"[{destination: {host: "                               \
	"http}}]}]}\n---\n"
#define NETPOL(name, spec)                                                              \
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: " name \
	"}\nspec: {" spec "}\n---\n"
#define DENY NETPOL("deny", "podSelector: {matchLabels: {app: web}}")
#define DENY_V1 NETPOL("deny", "podSelector: {matchLabels: {version: v1}}")
#define LET_CLI                                                                                  \
	NETPOL("let", "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: " \
		      "{matchLabels: {app: cli}}}]}]")
#define LET_BLOCK                                                                            \
	NETPOL("let", "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: " \
		      "{cidr: 192.0.2.0/24}}]}]")
#define NO_EGRESS NETPOL("out", "podSelector: {matchLabels: {app: cli}}, policyTypes: [Egress]")

enum who { POD, LABELS, OTHER_LABELS, OUTSIDE };

static struct kv cli = { .key = "app", .value = "cli" }, other = { .key = "app", .value = "x" };
static const struct kvs cli_labels = { &cli, 1 }, other_labels = { &other, 1 };

static const struct explain_query clients[] = {
	[POD] = { .pod = "cli" },
	[LABELS] = { .labels = &cli_labels },
	[OTHER_LABELS] = { .labels = &other_labels },
	[OUTSIDE] = { .gateway = "gw", .gateway_namespace = "default" },
};

static const struct {
	const char *policies;
	enum who who;
	bool fails;	 /* 503 UF */
	unsigned closed; /* endpoints */
	const char *why; /* part of what is said; NULL: nothing is */
} rows[] = {
	{ "", POD, false, 0, NULL },
	{ DENY, POD, true, 2,
	  "NetworkPolicy default/deny (t.yaml:44:1) lets no connection from default/cli in to port "
	  "80" },
	{ DENY, LABELS, true, 2, "from such a client of namespace default in to port 80" },
	{ DENY, OUTSIDE, true, 2, "from outside in to port 80" },
	{ DENY_V1, POD, false, 1, "from default/cli in to port 80" },
	{ DENY LET_CLI, POD, false, 0, NULL },
	{ DENY LET_CLI, LABELS, false, 0, NULL },
	{ DENY LET_CLI, OTHER_LABELS, true, 2,
	  "NetworkPolicies default/deny (t.yaml:44:1), default/let (t.yaml:49:1) let no "
	  "connection" },
	{ LET_BLOCK, POD, true, 2, "default/let" },
	{ LET_BLOCK, OUTSIDE, false, 0, NULL }, /* it depends on the address */
	{ NO_EGRESS, POD, true, 2,
	  "NetworkPolicy default/out (t.yaml:44:1) lets no connection from "
	  "default/cli out to port 80" },
	{ NO_EGRESS, OUTSIDE, false, 0, NULL },
};

static void load(struct compiled *c, const char *policies)
{
	_cleanup_free_ char *yaml = NULL, *errors = NULL;

	cr_assert_geq(asprintf(&yaml, "%s%s", WORLD, policies), 0);
	c->registry = registry_new();
	c->r = rules_parse("t.yaml", yaml, strlen(yaml), &c->objects, &c->errors, NULL);
	if (!c->r)
		c->r = compile(&c->objects, c->registry, COMPILE_HTTP_APART, &c->tables,
			       &c->errors);
	errors = errors_text(&c->errors);
	cr_assert_eq(c->r, 0, "%s", errors);
}

static void check_request(const struct compiled *c, size_t i)
{
	struct explain_query q = clients[rows[i].who];
	const struct explain_request request = { 0 };
	json_auto_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	const json_t *destination;
	struct errors errors = { 0 };

	q.host = "http";
	q.port = q.gateway ? 8080 : 80;
	cr_assert_eq(explain_http(c->tables->http, c->tables, &c->objects, &q, &request, NULL,
				  &json, &errors),
		     0, "row %zu", i);
	text = explain_http_text(json);
	destination = json_array_get(json_object_get(json, "destinations"), 0);
	cr_expect_eq(json_get_int(json, "status", 0), rows[i].fails ? 503 : 200, "row %zu: %s", i,
		     text);
	cr_expect_eq(json_array_size(json_object_get(destination, "closed")), rows[i].closed,
		     "row %zu: %s", i, text);
	if (rows[i].fails)
		cr_expect(strstr(text, "503 UF (upstream connect error or disconnect/reset before "
				       "headers. reset reason: connection failure): NetworkPolic"),
			  "row %zu: %s", i, text);
	cr_expect(rows[i].why ? !!strstr(text, rows[i].why) : !strstr(text, "NetworkPolic"),
		  "row %zu: %s", i, text);
}

/* Closed or not, the connection is steered: it is for the CNI to end it. */
static void check_connection(const struct compiled *c, size_t i)
{
	_cleanup_(explain_done) struct explain_answer a = { 0 };
	struct explain_query q = clients[rows[i].who];
	struct errors errors = { 0 };
	json_auto_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	const json_t *destination;

	if (q.gateway)
		return;
	q.host = "tcp";
	q.port = 80;
	cr_assert_eq(explain(c->tables, &c->objects, &q, NULL, NULL, &a, &errors), 0);
	cr_expect_eq(a.action, EXPLAIN_ROUTE, "row %zu", i);
	json = explain_json(&a);
	text = explain_text(&a);
	destination = json_array_get(json_object_get(json, "destinations"), 0);
	cr_expect_eq(json_array_size(json_object_get(destination, "closed")), rows[i].closed,
		     "row %zu: %s", i, text);
	cr_expect_eq(json_array_size(json_object_get(json, "network_policies")), !!rows[i].why,
		     "row %zu: %s", i, text);
	cr_expect(rows[i].why ? !!strstr(text, rows[i].why) : !strstr(text, "NetworkPolic"),
		  "row %zu: %s", i, text);
}

Test(explain_policy, rows)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_compiled_ struct compiled c = { 0 };

		load(&c, rows[i].policies);
		check_request(&c, i);
		check_connection(&c, i);
	}
}

/* A copy that is not sent fails no request. */
Test(explain_policy, a_mirror_that_is_closed_is_told)
{
	_cleanup_compiled_ struct compiled c = { 0 };
	const struct explain_query q = { .pod = "one", .host = "mirrored", .port = 80 };
	const struct explain_request request = { 0 };
	json_auto_t *json = NULL;
	_cleanup_free_ char *text = NULL;
	struct errors errors = { 0 };
	const json_t *mirror;

	load(&c, "apiVersion: v1\nkind: Service\nmetadata: {name: mirrored}\nspec: {clusterIP: "
		 "10.96.0.9, selector: {app: cli}, ports: [{name: http, port: 80}]}\n---\n"
		 "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: "
		 "mirrored}\nspec: {hosts: [mirrored], http: [{route: [{destination: {host: "
		 "mirrored}}], mirror: {host: http}}]}\n---\n" DENY);
	cr_assert_eq(explain_http(c.tables->http, c.tables, &c.objects, &q, &request, NULL, &json,
				  &errors),
		     0);
	text = explain_http_text(json);
	mirror = json_array_get(json_object_get(json, "mirrors"), 0);
	cr_expect_eq(json_get_int(json, "status", 0), 200, "%s", text);
	/* One of them is the client itself. */
	cr_expect_eq(json_array_size(json_object_get(mirror, "closed")), 1, "%s", text);
	cr_expect(strstr(text, "closed: 10.0.0.2:80"), "%s", text);
	cr_expect(strstr(text, "lets no connection from default/one in to port 80"), "%s", text);
}
