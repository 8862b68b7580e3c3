// SPDX-License-Identifier: Apache-2.0
/* What the field tables say to the API server: that it can be said, and that it forbids nothing
 * that weft takes. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/crd/crd.h"
#include "lib/route/regex.h"
#include "lib/schema/validate.h"
#include "lib/yaml/tree.h"
#include "test_rules_util.h"

static char *printed(enum kind kind)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	crd_print(kind, "    a: b\n", f);
	fclose(f);
	return text;
}

/* Through lists as well: "versions.0.name". */
static const struct node *at_path(const struct node *node, const char *path)
{
	char name[64];

	while (node && *path) {
		size_t len = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		if (node_target(node)->type == NODE_LIST)
			node = validate_nth(node, strtoul(name, NULL, 10));
		else
			node = node_get(node, name);
		path += len + (path[len] == '.');
	}
	return node;
}

struct expectation {
	enum kind kind;
	const char *path; /* below spec's properties, of the first version */
	const char *value;
};

#define SPEC "spec.versions.0.schema.openAPIV3Schema.properties.spec."
#define ROUTE SPEC "properties.http.items.properties."
#define TRACING SPEC "properties.tracing.items.properties."
#define POLICY SPEC "properties.trafficPolicy.properties."

static const struct expectation expectations[] = {
	{ KIND_VIRTUAL_SERVICE, "metadata.name", "virtualservices.networking.istio.io" },
	{ KIND_VIRTUAL_SERVICE, "metadata.labels.a", "b" },
	{ KIND_VIRTUAL_SERVICE, "spec.names.shortNames.0", "vs" },
	{ KIND_VIRTUAL_SERVICE, "spec.names.listKind", "VirtualServiceList" },
	{ KIND_VIRTUAL_SERVICE, "spec.versions.0.name", "v1" },
	{ KIND_VIRTUAL_SERVICE, "spec.versions.0.storage", "true" },
	{ KIND_VIRTUAL_SERVICE, "spec.versions.2.name", "v1alpha3" },
	{ KIND_VIRTUAL_SERVICE, "spec.versions.2.storage", "false" },
	{ KIND_VIRTUAL_SERVICE, "spec.versions.2.served", "true" },
	/* A type and a range of the table. */
	{ KIND_VIRTUAL_SERVICE, ROUTE "route.items.properties.weight.type", "integer" },
	{ KIND_VIRTUAL_SERVICE, ROUTE "route.items.properties.weight.minimum", "0" },
	{ KIND_VIRTUAL_SERVICE, ROUTE "route.items.required.0", "destination" },
	{ KIND_VIRTUAL_SERVICE, ROUTE "mirrorPercentage.properties.value.maximum", "100" },
	{ KIND_VIRTUAL_SERVICE, ROUTE "mirror_percent.type", "integer" },
	{ KIND_VIRTUAL_SERVICE, ROUTE "redirect.properties.derivePort.enum.1",
	  "FROM_REQUEST_PORT" },
	/* A duration's least value. */
	{ KIND_VIRTUAL_SERVICE, ROUTE "timeout.x-kubernetes-validations.0.rule",
	  "duration(self) >= duration('1ms')" },
	/* In a map no expression is affordable. */
	{ KIND_VIRTUAL_SERVICE,
	  ROUTE "match.items.properties.headers.additionalProperties.maxProperties", "1" },
	{ KIND_VIRTUAL_SERVICE,
	  ROUTE "match.items.properties.withoutHeaders.additionalProperties.nullable", "true" },
	{ KIND_VIRTUAL_SERVICE,
	  ROUTE "match.items.properties.uri.x-kubernetes-validations.0.message",
	  "expected one of exact, prefix and regex, not several" },
	/* What weft does not carry out is told by the words of its own refusal. */
	{ KIND_VIRTUAL_SERVICE,
	  ROUTE "match.items.properties.statPrefix.x-kubernetes-validations.0.rule", "false" },
	{ KIND_DESTINATION_RULE,
	  POLICY "loadBalancer.properties.localityLbSetting.x-kubernetes-validations.0.message",
	  "weft does not carry out localityLbSetting (one node at a time knows no localities)" },
	{ KIND_DESTINATION_RULE, POLICY "outlierDetection.properties.maxEjectionPercent.maximum",
	  "100" },
	{ KIND_DESTINATION_RULE, SPEC "required.0", "host" },
	{ KIND_GATEWAY, SPEC "properties.servers.items.properties.port.required.2", "protocol" },
	{ KIND_GATEWAY, "spec.scope", "Namespaced" },
	/* weft's own: the node's first line is no namespace's, and there is one. */
	{ KIND_CONNECTION_POLICY, "metadata.name", "connectionpolicies.weft.dev" },
	{ KIND_CONNECTION_POLICY, "spec.scope", "Cluster" },
	{ KIND_TELEMETRY, "metadata.name", "telemetries.telemetry.istio.io" },
	{ KIND_TELEMETRY, "spec.names.singular", "telemetry" },
	{ KIND_TELEMETRY, "spec.names.categories.1", "telemetry-istio-io" },
	{ KIND_TELEMETRY, "spec.versions.1.name", "v1alpha1" },
	{ KIND_TELEMETRY, TRACING "randomSamplingPercentage.maximum", "100" },
	{ KIND_TELEMETRY, TRACING "match.properties.mode.enum.2", "SERVER" },
	{ KIND_TELEMETRY, TRACING "providers.items.required.0", "name" },
	{ KIND_TELEMETRY, TRACING "providers.x-kubernetes-validations.0.rule", "self.size() <= 1" },
	{ KIND_TELEMETRY, TRACING "customTags.maxProperties", "32" },
	{ KIND_TELEMETRY, TRACING "customTags.additionalProperties.properties.literal.type",
	  "object" },
	{ KIND_TELEMETRY, SPEC "properties.metrics.x-kubernetes-validations.0.rule", "false" },
	{ KIND_CONNECTION_POLICY, "spec.names.categories.0", "weft" },
	{ KIND_CONNECTION_POLICY, "spec.versions.0.name", "v1alpha1" },
	{ KIND_CONNECTION_POLICY,
	  "spec.versions.0.schema.openAPIV3Schema.x-kubernetes-validations.0.rule",
	  "self.metadata.name == 'default'" },
	{ KIND_CONNECTION_POLICY, SPEC "properties.ports.items.maximum", "65535" },
	{ KIND_CONNECTION_POLICY, SPEC "properties.ports.maxItems", "64" },
	{ KIND_CONNECTION_POLICY, SPEC "properties.synCookies.properties.mode.enum.2", "Never" },
	{ KIND_CONNECTION_POLICY,
	  SPEC "properties.newConnections.properties.perSource.properties.rate.maximum",
	  "1000000" },
};

static void check_expectation(const struct expectation *e)
{
	_cleanup_free_ char *text = printed(e->kind);
	struct documents docs = { 0 };
	struct errors errors = { 0 };
	const struct node *node;

	cr_assert_eq(yaml_parse("crd", text, strlen(text), &docs, &errors), 0);
	cr_assert_eq(docs.count, 1);
	node = at_path(docs.items[0].root, e->path);
	cr_expect(node && node_text(node) && !strcmp(node_text(node), e->value),
		  "%s: expected \"%s\", not \"%s\"", e->path, e->value,
		  node && node_text(node) ? node_text(node) : "nothing");
	documents_free(&docs);
	errors_free(&errors);
}

Test(crd, it_says_what_the_table_says)
{
	for (size_t i = 0; i < sizeof(expectations) / sizeof(*expectations); i++)
		check_expectation(&expectations[i]);
}

Test(crd, every_kind_has_one_and_no_other)
{
	for (size_t i = 0; i < crd_kind_count; i++) {
		_cleanup_free_ char *text = printed(crd_kinds[i]);

		cr_expect(strstr(text, kind_name(crd_kinds[i])));
	}
	for (int kind = 0; kind < KIND_MAX; kind++) {
		_cleanup_free_ char *text = printed((enum kind)kind);

		cr_expect(!*text || kind_infos[kind].istio || kind == KIND_CONNECTION_POLICY, "%s",
			  kind_name((enum kind)kind));
	}
}

/* Every field of Istio's kinds, but the oldest form of outlierDetection, has a type: the API server
 * tells a typo in it. */
static void check_typed(const struct message *m, const char *name, int depth)
{
	cr_assert(depth < 16, "%s has itself in it", name);
	for (const struct field *f = m->fields; f->name; f++) {
		bool shapeless = f->type == FIELD_CUSTOM || f->type == FIELD_IGNORED ||
				 f->type == FIELD_REFUSED;

		cr_expect(!shapeless || f->shape != SHAPE_ANY, "%s.%s has no shape", name, f->name);
		cr_expect(!f->pattern || !regex_problem(f->pattern), "%s.%s: %s", name, f->name,
			  f->pattern ? regex_problem(f->pattern) : "");
		if (f->message)
			check_typed(f->message, f->name, depth + 1);
	}
}

static const struct message *spec_of(const struct message *m)
{
	for (const struct field *f = m->fields; f->name; f++)
		if (!strcmp(f->name, "spec"))
			return f->message;
	return NULL;
}

Test(crd, every_field_has_a_type)
{
	check_typed(spec_of(&schema_virtual_service), "VirtualService", 0);
	check_typed(spec_of(&schema_destination_rule), "DestinationRule", 0);
	check_typed(spec_of(&schema_gateway), "Gateway", 0);
	check_typed(spec_of(&schema_connection_policy), "ConnectionPolicy", 0);
	check_typed(spec_of(&schema_telemetry), "Telemetry", 0);
}

/* ---- patterns against the checks beside them ---- */

static bool matches(const char *pattern, const char *text)
{
	struct http_regexes *r = http_regexes_new(NULL, 1);
	bool found;

	cr_assert(r && !http_regexes_set(r, 0, pattern, strlen(pattern), true));
	found = http_regex_match(r, 0, text, strlen(text));
	http_regexes_free(r);
	return found;
}

static bool is_host(const char *s)
{
	return !host_problem(s);
}

static bool is_rule_host(const char *s)
{
	return !host_problem(s) || valid_ip(s, NULL);
}

static const struct {
	const char *name, *pattern;
	bool (*taken)(const char *s);
	bool exact; /* it refuses what weft refuses, as well */
} patterns[] = {
	{ "a host", "^" CRD_HOST "$", is_host, false },
	{ "a rule's host", CRD_RULE_HOST, is_rule_host, false },
	{ "a label", "^" CRD_DNS_LABEL "$", valid_dns_label_s, true },
	{ "a label's value", CRD_LABEL_VALUE, valid_label_value, true },
	{ "a header's name", CRD_HEADER, valid_header_name, true },
};

static const char *const texts[] = {
	"",
	"a",
	"A-1",
	"-a",
	"a-",
	"a.b",
	"a..b",
	".",
	".a",
	"a.",
	"*",
	"*.a",
	"*a",
	"*-a",
	"*--a",
	"**",
	"a.*",
	"*.",
	"*-a.b.c.",
	"1.2.3.4",
	"1.2.3",
	"::1",
	"fd00::1",
	"::ffff:1.2.3.4",
	"fe80::1%lo",
	"a_b",
	"a/b",
	"a b",
	"a:80",
	"ns/a.b",
	"x-y_z.1",
	"_a",
	"a_",
	":path",
	":",
	"a:b",
	"x!#$%&'*+-.^_`|~",
	"\xc3\xa4",
	"http://a",
	"a.b.c.d.e",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

Test(crd, patterns_take_what_weft_takes)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++) {
			bool taken = patterns[i].taken(texts[k]);
			bool found = matches(patterns[i].pattern, texts[k]);

			cr_expect(found || !taken, "%s: \"%s\" is refused", patterns[i].name,
				  texts[k]);
			cr_expect(!found || taken || !patterns[i].exact, "%s: \"%s\" is taken",
				  patterns[i].name, texts[k]);
		}
}
