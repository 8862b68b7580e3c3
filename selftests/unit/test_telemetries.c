// SPDX-License-Identifier: Apache-2.0
/*
 * Telemetry: what Istio's validation takes and weft carries out, what holds for which pod, and the
 * rows of it.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/mesh/mesh.h"
#include "lib/route/route.h"
#include "test_compile_util.h"

#define TELEMETRY(ns, name, spec)                                                       \
	"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {namespace: " ns \
	", name: " name "}\nspec: " spec "\n---\n"
#define AGED(ns, name, created, spec)                                                   \
	"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {namespace: " ns \
	", name: " name ", creationTimestamp: \"" created "\"}\nspec: " spec "\n---\n"
#define TRACING(rules) "{tracing: [" rules "]}"
#define OF(labels, rules) "{selector: {matchLabels: {" labels "}}, tracing: [" rules "]}"
#define MESH(rules) TELEMETRY("istio-system", "mesh-default", TRACING(rules))
#define FOO(rules) TELEMETRY("foo", "default", TRACING(rules))
#define WEB(rules) TELEMETRY("foo", "web", OF("app: web", rules))
#define SAMPLE(percentage) "{randomSamplingPercentage: " percentage "}"
#define OFF "{disableSpanReporting: true}"
#define ON "{disableSpanReporting: false}"
#define TAG(name, value) "{customTags: {" name ": {literal: {value: " value "}}}}"
#define MODE(mode, rest) "{match: {mode: " mode "}, " rest "}"

static const char pods[] =
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: foo, name: web, labels: {app: web, "
	"version: v1}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIPs: [{ip: "
	"10.0.0.1}]}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: foo, name: db, labels: {app: db}}\nspec: "
	"{containers: [{name: c}]}\nstatus: {phase: Running, podIPs: [{ip: 10.0.0.2}]}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: bar, name: web, labels: {app: "
	"web}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIPs: [{ip: "
	"10.0.0.3}]}\n---\n";

static const char service[] =
	"apiVersion: v1\nkind: Service\nmetadata: {namespace: foo, name: web}\nspec: {clusterIP: "
	"10.1.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}\n---\n"
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {namespace: foo, "
	"name: web}\nspec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}\n---\n";

static const char gateway[] =
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {namespace: foo, name: "
	"g}\nspec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: http, "
	"protocol: HTTP}, hosts: [\"*\"]}]}\n---\n";

/* ---- what holds ---- */

struct world {
	struct objects objects;
	struct registry *registry;
	struct errors errors;
	struct mesh mesh;
};

static void world_done(struct world *w)
{
	mesh_done(&w->mesh);
	registry_free(w->registry);
	errors_free(&w->errors);
	objects_free(&w->objects);
}

static void world_make(struct world *w, const char *telemetries, bool told)
{
	_cleanup_free_ char *yaml = NULL;

	cr_assert_gt(asprintf(&yaml, "%s%s", pods, telemetries), 0);
	w->registry = registry_new();
	w->objects.tracing = (struct tracing_defaults){ .sampling = 100, .told = told };
	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &w->objects, &w->errors, NULL), 0,
		     "%s: %s", telemetries, errors_text(&w->errors));
	cr_assert_eq(mesh_init(&w->mesh, &w->objects, w->registry, &w->errors), 0);
}

static const struct object *pod_of(const struct world *w, const char *ns, const char *name)
{
	for (size_t i = 0; i < w->objects.count; i++) {
		const struct object *o = w->objects.items[i];

		if (o->kind == KIND_POD && !strcmp(o->meta.namespace, ns) &&
		    !strcmp(o->meta.name, name))
			return o;
	}
	return NULL;
}

/* "100 CS a=x": how many are sampled, whose spans are told, and the tags. */
static char *text_of(const struct tracing *t)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	fprintf(f, "%u %s%s", t->sampling, t->told & TRACING_CLIENT ? "C" : "",
		t->told & TRACING_SERVER ? "S" : "");
	for (size_t i = 0; i < t->tag_count; i++)
		fprintf(f, " %s=%s%s%s", t->tags[i].name, t->tags[i].header ?: "",
			t->tags[i].header ? "?" : "",
			t->tags[i].literal ?: t->tags[i].default_value ?: "");
	fclose(f);
	return out;
}

static const struct {
	const char *about, *telemetries;
	const char *web, *db, *bar, *gateway; /* NULL: as the mesh's own */
} rows[] = {
	{ "without any", "", "100 CS", "100 CS", "100 CS", "100 CS" },
	{ "an empty one", TELEMETRY("foo", "t", "{}"), "100 CS", "100 CS", "100 CS", "100 CS" },
	{ "the tutorial's, of the mesh",
	  MESH("{providers: [{name: jaeger}], randomSamplingPercentage: 100.00}"), "10000 CS",
	  "10000 CS", "10000 CS", "10000 CS" },
	{ "hundredths of a percent", MESH(SAMPLE("12.345")), "1235 CS", "1235 CS", "1235 CS",
	  "1235 CS" },
	{ "none", MESH(SAMPLE("0")), "0 CS", "0 CS", "0 CS", "0 CS" },
	{ "of a namespace", FOO(SAMPLE("50")), "5000 CS", "5000 CS", "100 CS", "100 CS" },
	{ "the namespace before the mesh", MESH(SAMPLE("10")) FOO(SAMPLE("50")), "5000 CS",
	  "5000 CS", "1000 CS", "1000 CS" },
	{ "the workload before both", MESH(SAMPLE("10")) FOO(SAMPLE("50")) WEB(SAMPLE("20")),
	  "2000 CS", "5000 CS", "1000 CS", "1000 CS" },
	{ "each field by itself", MESH(SAMPLE("10")) FOO(OFF) WEB(TAG("a", "x")), "1000  a=x",
	  "1000 ", "1000 CS", "1000 CS" },
	{ "told again", MESH(OFF) WEB(ON), "100 CS", "100 ", "100 ", "100 " },
	{ "tags take the place of all tags", MESH(TAG("a", "x")) FOO(TAG("b", "y")), "100 CS b=y",
	  "100 CS b=y", "100 CS a=x", "100 CS a=x" },
	{ "no tags are none given", MESH(TAG("a", "x")) FOO("{customTags: {}}"), "100 CS a=x",
	  "100 CS a=x", "100 CS a=x", "100 CS a=x" },
	{ "tags of requests",
	  FOO("{customTags: {a: {header: {name: X-User}}, b: {header: {name: x, defaultValue: "
	      "d}}}}"),
	  "100 CS a=X-User? b=x?d", "100 CS a=X-User? b=x?d", "100 CS", "100 CS" },
	{ "of one side", FOO(MODE("SERVER", "disableSpanReporting: true")), "100 C", "100 C",
	  "100 CS", "100 CS" },
	{ "of either side, by two rules",
	  FOO(MODE("CLIENT", "disableSpanReporting: true, randomSamplingPercentage: 3") ", " MODE(
		  "SERVER", "disableSpanReporting: false")),
	  "300 S", "300 S", "100 CS", "100 CS" },
	{ "a later rule of one object", FOO(SAMPLE("50") ", " SAMPLE("30")), "3000 CS", "3000 CS",
	  "100 CS", "100 CS" },
	{ "a side off, further down on", MESH(MODE("CLIENT", "disableSpanReporting: true")) WEB(ON),
	  "100 CS", "100 S", "100 S", "100 S" },
	{ "of another workload", TELEMETRY("foo", "t", OF("app: x", SAMPLE("1"))), "100 CS",
	  "100 CS", "100 CS", "100 CS" },
	{ "all of a selector counts", TELEMETRY("foo", "t", OF("app: web, version: v2", OFF)),
	  "100 CS", "100 CS", "100 CS", "100 CS" },
	{ "a selector without labels is none",
	  TELEMETRY("foo", "t", "{selector: {matchLabels: {}}, tracing: [" OFF "]}"), "100 ",
	  "100 ", "100 CS", "100 CS" },
	{ "the oldest of two for a namespace",
	  AGED("foo", "a", "2024-03-01T00:00:00Z", TRACING(SAMPLE("10")))
		  AGED("foo", "b", "2024-02-01T00:00:00Z", TRACING(SAMPLE("20"))),
	  "2000 CS", "2000 CS", "100 CS", "100 CS" },
	{ "of one age, by name",
	  AGED("foo", "b", "2024-02-01T00:00:00Z", TRACING(SAMPLE("10")))
		  AGED("foo", "a", "2024-02-01T00:00:00Z", TRACING(SAMPLE("20"))),
	  "2000 CS", "2000 CS", "100 CS", "100 CS" },
	{ "the younger of two for the namespace gives nothing at all",
	  AGED("foo", "a", "2024-03-01T00:00:00Z", TRACING(OFF))
		  AGED("foo", "b", "2024-02-01T00:00:00Z", TRACING(SAMPLE("20"))),
	  "2000 CS", "2000 CS", "100 CS", "100 CS" },
	{ "of several for a workload the youngest comes last, and all count",
	  AGED("foo", "a", "2024-03-01T00:00:00Z", OF("app: web", SAMPLE("10"))) AGED(
		  "foo", "b", "2024-02-01T00:00:00Z", OF("version: v1", SAMPLE("20") ", " OFF)),
	  "1000 ", "100 CS", "100 CS", "100 CS" },
	{ "of the root namespace with a selector: not for other namespaces",
	  TELEMETRY("istio-system", "t", OF("app: web", OFF)), "100 CS", "100 CS", "100 CS",
	  "100 CS" },
	{ "of Istio's ingress gateway",
	  TELEMETRY("istio-system", "t", OF("istio: ingressgateway", SAMPLE("7"))), "100 CS",
	  "100 CS", "100 CS", "700 CS" },
	{ "of the gateway by both of its labels, beside the mesh's",
	  MESH(TAG("a", "x"))
		  TELEMETRY("istio-system", "t", OF("istio: ingressgateway", SAMPLE("7")))
			  TELEMETRY("istio-system", "u", OF("app: istio-ingressgateway", OFF)),
	  "100 CS a=x", "100 CS a=x", "100 CS a=x", "700  a=x" },
	{ "a gateway elsewhere is another one",
	  TELEMETRY("foo", "t", OF("istio: ingressgateway", SAMPLE("7"))), "100 CS", "100 CS",
	  "100 CS", "100 CS" },
};

static void expect_row(struct world *w, __u32 row, const char *want, const char *about)
{
	_cleanup_free_ char *is = text_of(&w->mesh.telemetries.rows.items[row]);

	cr_expect_str_eq(is, want, "%s: \"%s\", not \"%s\"", about, is, want);
}

Test(telemetries, what_holds)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(world_done) struct world w = { 0 };
		const struct {
			const char *ns, *name, *want;
		} of[] = { { "foo", "web", rows[i].web },
			   { "foo", "db", rows[i].db },
			   { "bar", "web", rows[i].bar } };

		world_make(&w, rows[i].telemetries, true);
		for (size_t k = 0; k < sizeof(of) / sizeof(*of); k++)
			expect_row(&w,
				   telemetries_row_made(&w.mesh, pod_of(&w, of[k].ns, of[k].name)),
				   of[k].want, rows[i].about);
		expect_row(&w, w.mesh.telemetries.gateway, rows[i].gateway, rows[i].about);
	}
}

Test(telemetries, without_a_place_for_spans_none_is_told_of)
{
	_cleanup_(world_done) struct world w = { 0 };

	world_make(&w, MESH("{providers: [{name: jaeger}]}") WEB(ON ", " SAMPLE("50")), false);
	expect_row(&w, 0, "100 ", "the mesh");
	expect_row(&w, telemetries_row_made(&w.mesh, pod_of(&w, "foo", "web")), "5000 ", "a pod");
}

Test(telemetries, a_pod_whose_labels_are_not_known_has_its_namespaces)
{
	_cleanup_(world_done) struct world w = { 0 };
	struct object *o;

	world_make(&w, FOO(SAMPLE("50")) WEB(SAMPLE("20")), true);
	o = (struct object *)pod_of(&w, "foo", "web");
	o->pod.labels_unknown = true;
	expect_row(&w, telemetries_row_made(&w.mesh, o), "5000 CS", "unknown labels");
}

/* Pods come and go without the others' rows getting other numbers. */
Test(telemetries, rows_hang_on_no_pod_but_where_several_hold)
{
	_cleanup_(world_done) struct world w = { 0 };
	const struct object *web;
	__u32 row;

	world_make(&w,
		   FOO(SAMPLE("50")) WEB(SAMPLE("20"))
			   TELEMETRY("foo", "v1", OF("version: v1", OFF))
				   TELEMETRY("bar", "same", TRACING(SAMPLE("50"))),
		   true);
	web = pod_of(&w, "foo", "web");
	cr_assert_eq(w.mesh.telemetries.rows.count, 4, "%zu", w.mesh.telemetries.rows.count);
	cr_expect(telemetries_row(&w.mesh.telemetries, pod_of(&w, "foo", "db"), &row));
	cr_expect_eq(row, 1);
	cr_expect(telemetries_row(&w.mesh.telemetries, pod_of(&w, "bar", "web"), &row));
	cr_expect_eq(row, 1, "what is the same is one row");
	cr_expect_not(telemetries_row(&w.mesh.telemetries, web, &row));
	cr_expect_not(telemetries_are_combined(&w.mesh.telemetries));
	cr_expect_eq(telemetries_row_made(&w.mesh, web), 4);
	expect_row(&w, 4, "2000 ", "both");
	cr_expect(telemetries_are_combined(&w.mesh.telemetries));
	telemetries_forget(&w.mesh.telemetries);
	cr_expect_eq(w.mesh.telemetries.rows.count, 4);
}

/* ---- the snapshot ---- */

static struct compiled compiled_with(const char *more, const char *telemetries)
{
	_cleanup_free_ char *yaml = NULL;
	struct compiled c = { .registry = registry_new() };

	cr_assert_gt(asprintf(&yaml, "%s%s%s%s", pods, service, more, telemetries), 0);
	c.objects.tracing = (struct tracing_defaults){ .sampling = 100, .told = true };
	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &c.objects, &c.errors, NULL), 0,
		     "%s", errors_text(&c.errors));
	c.r = compile(&c.objects, c.registry, COMPILE_HTTP_NEEDED, &c.tables, &c.errors);
	cr_assert_eq(c.r, 0, "%s", errors_text(&c.errors));
	return c;
}

/* The row of a pod's address. */
static const struct hs_tracing *traced(const struct http_snapshot *s, const char *text)
{
	const struct hs_source *source;
	struct addr addr;

	cr_assert_eq(addr_parse(text, &addr), 0);
	source = http_source_at(s, &addr);
	cr_assert(source);
	return hs_tracing(s, source->tracing);
}

Test(telemetries, the_snapshot_has_them)
{
	_cleanup_compiled_ struct compiled c = compiled_with(
		gateway,
		MESH(SAMPLE("10")) TELEMETRY("istio-system", "in", OF("istio: ingressgateway", OFF))
			FOO(MODE("CLIENT", "randomSamplingPercentage: 100"))
				WEB("{customTags: {user: {header: {name: X-User, "
				    "defaultValue: nobody}}, zone: {literal: "
				    "{value: a}}}}"));
	const struct http_snapshot *s = c.tables->http;
	const struct hs_tracing *web = traced(s, "10.0.0.1"), *db = traced(s, "10.0.0.2");
	const struct hs_tag *tag;

	cr_assert_eq(hs_count(s, HS_TRACINGS), 4);
	cr_expect_eq(hs_tracing(s, 0)->sampling, 1000);
	cr_expect_eq(hs_tracing(s, 0)->flags, HS_TRACING_CLIENT | HS_TRACING_SERVER);
	cr_expect_eq(traced(s, "10.0.0.3"), hs_tracing(s, 0));
	cr_expect_eq(db->sampling, HS_SAMPLING_ALL);
	cr_expect_eq(db->tags.count, 0);
	cr_expect_eq(web->sampling, HS_SAMPLING_ALL);
	cr_assert_eq(web->tags.count, 2);
	tag = hs_tag(s, web->tags.first);
	cr_expect_str_eq(hs_text(s, tag[0].name), "user");
	cr_expect_str_eq(hs_text(s, tag[0].header), "x-user");
	cr_expect_str_eq(hs_text(s, tag[0].value), "nobody");
	cr_expect_str_eq(hs_text(s, tag[1].name), "zone");
	cr_expect_str_eq(hs_text(s, tag[1].header), "");
	cr_expect_str_eq(hs_text(s, tag[1].value), "a");
	cr_assert_neq(s->header->gateway_tracing, 0);
	cr_expect_eq(hs_tracing(s, s->header->gateway_tracing)->flags, 0);
	cr_expect_eq(hs_tracing(s, s->header->gateway_tracing)->sampling, 1000);
}

Test(telemetries, without_a_gateway_there_is_no_row_of_it)
{
	_cleanup_compiled_ struct compiled c = compiled_with(
		"", TELEMETRY("istio-system", "in", OF("istio: ingressgateway", OFF)));

	cr_expect_eq(c.tables->http->header->gateway_tracing, 0);
}

/* What changes rules takes the other snapshot's sources, unless Telemetries are among them. */
Test(telemetries, a_change_of_them_reaches_every_pod)
{
	static const char rule[] = WEB(SAMPLE("20"));
	_cleanup_compiled_ struct compiled c = compiled_with("", WEB(OFF)), other = { 0 };
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct compile_index *index = NULL;
	struct tables *tables = NULL, *next = NULL;
	struct object_change change = { .old = c.objects.items[c.objects.count - 1] };

	other.registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", rule, sizeof(rule) - 1, &other.objects, &errors, NULL),
		     0);
	change.new = other.objects.items[0];
	cr_assert_eq(compile_keeping(&c.objects, c.registry, COMPILE_HTTP_NEEDED, &tables, &index,
				     &errors),
		     0);
	cr_expect_eq(traced(tables->http, "10.0.0.1")->flags, 0);
	cr_assert(compile_are_rules(&change, 1));
	cr_assert_eq(compile_rules(&index, &change, 1, COMPILE_HTTP_NEEDED, tables, &next, &errors),
		     0);
	cr_expect_eq(traced(next->http, "10.0.0.1")->sampling, 2000);
	cr_expect_eq(traced(next->http, "10.0.0.2")->sampling, 100);
	compile_index_free(index);
	tables_free(next);
	tables_free(tables);
}

/* ---- what is valid ---- */

static const struct {
	const char *spec, *error; /* NULL: it is right */
} specs[] = {
	{ "{}", NULL },
	{ "{tracing: []}", NULL },
	{ "{tracing: [{}]}", NULL },
	{ "{tracing: [{}, {}]}", NULL },
	{ "{tracing: {}}", "spec.tracing: expected a list" },
	{ "{selector: {matchLabels: {app: web}}}", NULL },
	{ "{selector: {matchLabels: {app: \"*\"}}}", "spec.selector.matchLabels.app" },
	{ TRACING("{providers: [{name: zipkin}]}"), NULL },
	{ TRACING("{providers: []}"), NULL },
	{ TRACING("{providers: [{name: ''}]}"),
	  "spec.tracing[0].providers[0].name: expected a text" },
	{ TRACING("{providers: [{}]}"), "providers[0].name: required" },
	{ TRACING("{providers: [{name: a}, {name: b}]}"),
	  "weft does not carry out providers beside the first one" },
	{ TRACING(SAMPLE("0")), NULL },
	{ TRACING(SAMPLE("100.0")), NULL },
	{ TRACING(SAMPLE("101")), "randomSamplingPercentage: expected a percentage from 0 to 100" },
	{ TRACING(SAMPLE("-1")), "randomSamplingPercentage: expected a percentage from 0 to 100" },
	{ TRACING(SAMPLE("x")), "randomSamplingPercentage" },
	{ TRACING(MODE("CLIENT", "randomSamplingPercentage: 1")), NULL },
	{ TRACING(MODE("CLIENT_AND_SERVER", "randomSamplingPercentage: 1")), NULL },
	{ TRACING(MODE("SERVER", "randomSamplingPercentage: 1")),
	  "weft does not carry out randomSamplingPercentage beside match.mode SERVER" },
	{ TRACING(MODE("SERVER", "disableSpanReporting: true")), NULL },
	{ TRACING("{match: {mode: BOTH}}"), "spec.tracing[0].match.mode: expected one of" },
	{ TRACING("{match: {}}"), NULL },
	{ TRACING(TAG("a", "x")), NULL },
	{ TRACING(MODE("CLIENT_AND_SERVER", "customTags: {a: {literal: {value: x}}}")), NULL },
	{ TRACING(MODE("CLIENT", "customTags: {a: {literal: {value: x}}}")),
	  "weft does not carry out customTags beside match.mode" },
	{ TRACING(TAG("a", "''")),
	  "customTags.a.literal.value: expected a text that is not empty" },
	{ TRACING(TAG("\"\"", "x")), "expected a tag's name as the key" },
	{ TRACING("{customTags: {a: }}"), "customTags.a: expected a tag" },
	{ TRACING("{customTags: {a: {}}}"), "customTags.a: expected either literal or header" },
	{ TRACING("{customTags: {a: {literal: {value: x}, header: {name: x}}}}"),
	  "customTags.a: expected either literal or header" },
	{ TRACING("{customTags: {a: {header: {name: x-user, defaultValue: ''}}}}"), NULL },
	{ TRACING("{customTags: {a: {header: {name: ''}}}}"),
	  "header.name: expected a header's name" },
	{ TRACING("{customTags: {a: {header: {name: ':path'}}}}"),
	  "header.name: expected a header's name" },
	{ TRACING("{customTags: {a: {header: {}}}}"), "header.name: required" },
	{ TRACING("{customTags: {a: {environment: {name: HOME}}}}"),
	  "customTags.a.environment: weft does not carry out environment and formatter of "
	  "customTags" },
	{ TRACING("{customTags: {a: {formatter: {value: '%PROTOCOL%'}}}}"),
	  "customTags.a.formatter: weft does not carry out" },
	{ TRACING("{useRequestIdForTraceSampling: false}"), NULL },
	{ TRACING("{useRequestIdForTraceSampling: true}"),
	  "weft does not carry out useRequestIdForTraceSampling true" },
	{ TRACING("{enableIstioTags: true}"), NULL },
	{ TRACING("{enableIstioTags: false}"), "weft does not carry out enableIstioTags false" },
	{ TRACING("{disableContextPropagation: false}"), NULL },
	{ TRACING("{disableContextPropagation: true}"),
	  "weft does not carry out disableContextPropagation true" },
	{ TRACING("{disableSpanReporting: maybe}"), "disableSpanReporting" },
	{ TRACING("{sampling: 1}"), "unknown field" },
	{ "{metrics: [{providers: [{name: prometheus}]}], tracing: [{}]}",
	  "spec.metrics: weft does not carry out metrics" },
	{ "{accessLogging: [{providers: [{name: envoy}]}]}",
	  "spec.accessLogging: weft does not carry out accessLogging" },
	{ "{targetRefs: [{kind: Gateway, name: g}]}", "weft does not carry out targetRef" },
	{ "{targetRef: {kind: Gateway, name: g}}", "weft does not carry out targetRef" },
};

Test(telemetries, what_one_may_say)
{
	static const char *const versions[] = { "v1", "v1alpha1" };

	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		_cleanup_free_ char *yaml = NULL, *said = NULL;
		_cleanup_(objects_free) struct objects objects = { 0 };
		_cleanup_(errors_free) struct errors errors = { 0 };

		cr_assert_gt(asprintf(&yaml,
				      "apiVersion: telemetry.istio.io/%s\nkind: Telemetry\n"
				      "metadata: {name: t}\nspec: %s\n",
				      versions[i % 2], specs[i].spec),
			     0);
		rules_parse("t.yaml", yaml, strlen(yaml), &objects, &errors, NULL);
		said = errors_text(&errors);
		if (specs[i].error)
			cr_expect(errors_fatal(&errors) && strstr(said, specs[i].error), "%s: %s",
				  specs[i].spec, said);
		else
			cr_expect_eq(errors.count, 0, "%s: %s", specs[i].spec, said);
	}
}

/* More could not be in one span's row. */
Test(telemetries, tags_are_counted)
{
	for (int most = 0; most < 2; most++) {
		_cleanup_free_ char *yaml = NULL;
		_cleanup_(objects_free) struct objects objects = { 0 };
		_cleanup_(errors_free) struct errors errors = { 0 };
		size_t size;
		FILE *f = open_memstream(&yaml, &size);

		fputs("apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t}\n"
		      "spec: {tracing: [{customTags: {",
		      f);
		for (int i = 0; i < TRACING_TAGS_MAX + most; i++)
			fprintf(f, "t%d: {literal: {value: x}}, ", i);
		fputs("}}]}\n", f);
		fclose(f);
		rules_parse("t.yaml", yaml, size, &objects, &errors, NULL);
		cr_expect_eq(errors_fatal(&errors), most == 1);
	}
}
