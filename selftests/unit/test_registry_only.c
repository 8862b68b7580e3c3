// SPDX-License-Identifier: Apache-2.0
/*
 * outboundTrafficPolicy REGISTRY_ONLY: what the tables say is known although weft does not steer
 * it, and what becomes of requests whose host is not.
 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <getopt.h>
#include <string.h>

#include "daemon/start/options.h"
#include "lib/explain/explain.h"
#include "test_compile_util.h"
#include "test_http_util.h"

#define HEADLESS                                                \
	"apiVersion: v1\nkind: Service\nmetadata: {name: db}\n" \
	"spec: {clusterIP: None, ports: [{name: tcp, port: 5432}]}\n---\n"
#define SLICE(name, address)                                                     \
	"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                 \
	"metadata: {name: " name ", labels: {kubernetes.io/service-name: db}}\n" \
	"addressType: IPv4\nendpoints: [{addresses: [" address "]}]\n"           \
	"ports: [{name: tcp, port: 5432}]\n---\n"
#define POD                                                                   \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {app: db}}\n" \
	"spec: {containers: [{name: c}]}\n"                                   \
	"status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}\n---\n"
#define FOREIGN                                                           \
	"apiVersion: v1\nkind: Service\nmetadata: {name: other, labels: " \
	"{service.kubernetes.io/service-proxy-name: other}}\n"            \
	"spec: {clusterIP: 10.96.0.9, ports: [{name: tcp, port: 80}]}\n---\n"
#define BALANCED                                                                          \
	"apiVersion: v1\nkind: Service\nmetadata: {name: lb}\n"                           \
	"spec: {type: LoadBalancer, clusterIP: 10.96.0.8, internalTrafficPolicy: Local, " \
	"ports: [{name: tcp, port: 80}]}\n"                                               \
	"status: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}\n---\n"

static void compile_text(struct compiled *c, const char *yaml, bool registry_only,
			 struct compile_index **index)
{
	c->registry = registry_new();
	c->r = rules_parse("t.yaml", yaml, strlen(yaml), &c->objects, &c->errors, NULL);
	cr_assert_eq(c->r, 0);
	c->objects.registry_only = registry_only;
	c->r = index ? compile_keeping(&c->objects, c->registry, COMPILE_HTTP_NEEDED, &c->tables,
				       index, &c->errors)
		     : compile(&c->objects, c->registry, COMPILE_HTTP_NEEDED, &c->tables,
			       &c->errors);
	cr_assert_eq(c->r, 0);
}

/* The action of what is called in the mesh; -1: it is not known. */
static int action_at(const struct tables *t, const char *address, unsigned port)
{
	struct addr addr;

	cr_assert_eq(addr_parse(address, &addr), 0);
	for (size_t i = 0; i < t->services.count; i++) {
		const struct service_entry *e = &t->services.items[i];

		if (e->key.scope == SCOPE_MESH && e->key.port == port &&
		    !memcmp(&e->key.addr, &addr, sizeof(addr)))
			return t->rules.items[e->value.rule_first].action;
	}
	return -1;
}

Test(registry_only, what_weft_does_not_steer_is_known_only_where_it_matters)
{
	static const struct {
		const char *yaml, *address;
		unsigned port;
	} rows[] = {
		{ HEADLESS SLICE("s", "192.0.2.1"), "192.0.2.1", 5432 },
		{ FOREIGN, "10.96.0.9", 80 },
		{ BALANCED, "198.51.100.1", 80 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct compiled any = { 0 }, only = { 0 };

		compile_text(&any, rows[i].yaml, false, NULL);
		compile_text(&only, rows[i].yaml, true, NULL);
		cr_expect_eq(action_at(any.tables, rows[i].address, rows[i].port), -1, "row %zu",
			     i);
		cr_expect_eq(action_at(only.tables, rows[i].address, rows[i].port), RULE_PASS,
			     "row %zu", i);
		cr_expect_eq(action_at(only.tables, rows[i].address, rows[i].port + 1), -1,
			     "row %zu", i);
		compiled_free(&any);
		compiled_free(&only);
	}
}

Test(registry_only, an_address_that_two_headless_services_have_is_written_once)
{
	struct compiled c = { 0 };
	size_t count = 0;

	compile_text(
		&c,
		HEADLESS SLICE("s", "192.0.2.1") SLICE(
			"t",
			"192.0.2.1") "apiVersion: v1\nkind: Service\nmetadata: {name: again}\n"
				     "spec: {clusterIP: None, ports: [{name: tcp, port: "
				     "5432}]}\n---\n"
				     "apiVersion: v1\nkind: Endpoints\nmetadata: {name: again}\n"
				     "subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{name: tcp, "
				     "port: 5432}]}]\n",
		true, NULL);
	for (size_t i = 0; i < c.tables->services.count; i++)
		count += c.tables->services.items[i].key.port == 5432;
	cr_expect_eq(count, 1u);
	compiled_free(&c);
}

Test(registry_only, an_address_that_another_service_has_stays_its_own)
{
	struct compiled c = { 0 };

	compile_text(
		&c,
		HEADLESS SLICE(
			"s",
			"198.51.100.7") "apiVersion: v1\nkind: Service\nmetadata: {name: lb}\n"
					"spec: {clusterIP: 10.96.0.8, externalIPs: [198.51.100.7], "
					"ports: [{name: tcp, port: 5432}]}\n",
		true, NULL);
	cr_expect_eq(action_at(c.tables, "198.51.100.7", 5432), RULE_ROUTE);
	cr_expect_eq(c.errors.count, 0u, "%s", c.errors.count ? c.errors.items[0].text : "");
	compiled_free(&c);
}

Test(registry_only, a_pod_needs_no_row_of_its_own)
{
	struct compiled c = { 0 };

	compile_text(&c, POD HEADLESS SLICE("s", "10.0.0.1"), true, NULL);
	cr_expect_eq(action_at(c.tables, "10.0.0.1", 5432), -1);
	compiled_free(&c);
}

static int patched_with(const char *before, const char *slice)
{
	struct compiled c = { 0 };
	struct compile_index *index = NULL;
	struct objects after = { 0 };
	struct errors errors = { 0 };
	struct object_change change = { 0 };
	struct tables *tables = NULL;
	int r;

	compile_text(&c, before, true, &index);
	cr_assert_eq(rules_parse("t.yaml", slice, strlen(slice), &after, &errors, NULL), 0);
	change.old = c.objects.items[c.objects.count - 1];
	change.new = after.items[0];
	r = compile_patch(&index, &change, 1, COMPILE_HTTP_NEEDED, c.tables, &tables);
	tables_free(tables);
	compile_index_free(index);
	compiled_free(&c);
	objects_free(&after);
	errors_free(&errors);
	return r;
}

Test(registry_only, endpoints_that_are_no_pods_are_compiled_anew_and_pods_are_not)
{
	cr_expect_eq(patched_with(HEADLESS SLICE("s", "192.0.2.1"), SLICE("s", "192.0.2.2")),
		     COMPILE_ANEW);
	cr_expect_eq(patched_with(POD HEADLESS SLICE("s", "10.0.0.1"), SLICE("s", "192.0.2.2")),
		     COMPILE_ANEW, "one that comes");
	cr_expect_eq(patched_with(POD HEADLESS SLICE("s", "192.0.2.2"), SLICE("s", "10.0.0.1")),
		     COMPILE_ANEW, "one that goes");
	cr_expect_eq(patched_with(POD HEADLESS SLICE("s", "10.0.0.1"), SLICE("s", "10.0.0.1")), 0);
}

/* ---- requests ---- */

#define WEB                                                                                      \
	"apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"                                 \
	"spec: {clusterIP: 10.96.0.1, selector: {app: db}, ports: [{name: http, port: 80}]}\n"   \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web}\n" \
	"spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}\n---\n"

static enum http_action found(const struct tables *t, const char *host, unsigned *status)
{
	const struct http_request q = { .method = http_span("GET"),
					.scheme = http_span("http"),
					.authority = http_span(host),
					.path = http_span("/") };
	struct http_decision d;

	cr_assert_not_null(t->http);
	http_find(t->http, http_listener(t->http, SCOPE_MESH, 80), NULL, NULL, &q, &d, NULL);
	*status = d.status;
	return d.action;
}

Test(registry_only, a_host_that_nothing_knows_is_answered_with_502)
{
	struct compiled any = { 0 }, only = { 0 };
	unsigned status;

	compile_text(&any, POD WEB, false, NULL);
	compile_text(&only, POD WEB, true, NULL);
	cr_expect_eq(found(any.tables, "www.example.com", &status), HTTP_PASSTHROUGH);
	cr_expect_eq(found(only.tables, "www.example.com", &status), HTTP_BLOCKED);
	cr_expect_eq(status, 502u);
	cr_expect_eq(found(only.tables, "web.default.svc.cluster.local", &status), HTTP_ROUTE);
	cr_expect_not(tables_same(any.tables, only.tables));
	compiled_free(&any);
	compiled_free(&only);
}

/* ---- explain ---- */

static enum explain_action explained(const char *host, unsigned port, bool registry_only)
{
	struct compiled c = { 0 };
	struct explain_answer a = { 0 };
	struct explain_query q = { .host = host, .port = port, .namespace = "default", .pod = "p" };
	struct errors errors = { 0 };
	enum explain_action action;

	compile_text(&c, POD HEADLESS SLICE("s", "192.0.2.1") WEB, registry_only, NULL);
	cr_assert_eq(explain(c.tables, &c.objects, &q, NULL, NULL, &a, &errors), 0);
	action = a.action;
	cr_expect(action != EXPLAIN_REFUSE || strstr(a.reason, "REGISTRY_ONLY"), "%s", host);
	explain_done(&a);
	errors_free(&errors);
	compiled_free(&c);
	return action;
}

Test(registry_only, explain_says_what_is_refused)
{
	cr_expect_eq(explained("www.example.com", 443, true), EXPLAIN_REFUSE);
	cr_expect_eq(explained("www.example.com", 443, false), EXPLAIN_PASSTHROUGH);
	cr_expect_eq(explained("192.0.2.7", 443, true), EXPLAIN_REFUSE);
	cr_expect_eq(explained("192.0.2.1", 5432, true), EXPLAIN_PASSTHROUGH, "db's");
	cr_expect_eq(explained("192.0.2.1", 5433, true), EXPLAIN_REFUSE);
	cr_expect_eq(explained("db", 5432, true), EXPLAIN_PASSTHROUGH);
	cr_expect_eq(explained("10.0.0.1", 1, true), EXPLAIN_PASSTHROUGH, "a pod");
	cr_expect_eq(explained("10.96.0.1", 81, true), EXPLAIN_REFUSE, "a port that web has not");
}

/* ---- the options ---- */

static int parse(const char *first, const char *second, struct options *o)
{
	char *argv[] = { (char *)"weftd", (char *)first, (char *)second, NULL };
	int argc = 1, status = 0, r;

	while (argv[argc])
		argc++;
	optind = 0;
	r = options_parse(argc, argv, o, &status);
	cr_expect_eq(status, r ? 2 : 0);
	return r;
}

Test(registry_only, options, .init = cr_redirect_stderr)
{
	struct options o;

	cr_assert_eq(parse(NULL, NULL, &o), 0);
	cr_expect_not(o.kernel.registry_only);
	cr_expect_null(o.dns);
	cr_assert_eq(parse("--outbound-traffic-policy", "REGISTRY_ONLY", &o), 0);
	cr_expect(o.kernel.registry_only);
	cr_assert_eq(parse("--outbound-traffic-policy=ALLOW_ANY", "--dns=[fd00::1]:5353", &o), 0);
	cr_expect_not(o.kernel.registry_only);
	cr_expect_str_eq(o.dns, "[fd00::1]:5353");
	cr_expect_neq(parse("--outbound-traffic-policy", "registry_only", &o), 0);
	cr_expect_neq(parse("--dns", "dns.example", &o), 0);
}
