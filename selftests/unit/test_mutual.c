// SPDX-License-Identifier: Apache-2.0
/*
 * PeerAuthentication: what Istio's validation takes, and what is in force for which pod.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/mesh/mutual.h"
#include "test_compile_util.h"

#define PEER(ns, name, spec)                                                                    \
	"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {namespace: " ns \
	", name: " name "}\nspec: " spec "\n---\n"
#define AGED(ns, name, created, spec)                                                           \
	"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {namespace: " ns \
	", name: " name ", creationTimestamp: \"" created "\"}\nspec: " spec "\n---\n"
#define MODE(mode) "{mtls: {mode: " mode "}}"
#define OF(labels, rest) "{selector: {matchLabels: {" labels "}}, " rest "}"
#define WEB(rest) PEER("foo", "web", OF("app: web", rest))
#define MESH(mode) PEER("istio-system", "default", MODE(mode))
#define FOO(mode) PEER("foo", "default", MODE(mode))
#define RULE(tls)                                                                                \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {namespace: foo, " \
	"name: r}\nspec: {host: web, trafficPolicy: {tls: {mode: " tls "}}}\n---\n"

static const char pod[] =
	"apiVersion: v1\nkind: Pod\nmetadata: {namespace: foo, name: web, labels: {app: web, "
	"version: v1}}\nspec: {containers: [{name: c}]}\nstatus: {phase: Running, podIPs: [{ip: "
	"10.0.0.1}]}\n---\n";

/* ---- what is in force ---- */

struct row {
	const char *what, *policies;
	unsigned port;
	enum mtls_mode want;
	const char *by; /* "": none */
	bool used;
};

static const struct row rows[] = {
	{ "without any", "", 80, MTLS_PERMISSIVE, "", false },
	{ "an empty one", PEER("foo", "p", "{}"), 80, MTLS_PERMISSIVE, "", false },
	{ "of the mesh", MESH("STRICT"), 80, MTLS_STRICT, "default", true },
	{ "of the mesh, DISABLE", MESH("DISABLE"), 80, MTLS_DISABLE, "default", false },
	{ "of the mesh, by any name", PEER("istio-system", "x", MODE("STRICT")), 80, MTLS_STRICT,
	  "x", true },
	{ "of the mesh, with a selector without labels",
	  PEER("istio-system", "x", "{selector: {matchLabels: {}}, mtls: {mode: STRICT}}"), 80,
	  MTLS_STRICT, "x", true },
	{ "of the root namespace with a selector is for no pod",
	  PEER("istio-system", "x", OF("app: web", "mtls: {mode: STRICT}")), 80, MTLS_PERMISSIVE,
	  "", false },
	{ "of another namespace", PEER("bar", "default", MODE("STRICT")), 80, MTLS_PERMISSIVE, "",
	  true },
	{ "of the namespace", FOO("STRICT"), 80, MTLS_STRICT, "default", true },
	{ "the namespace before the mesh", MESH("STRICT") FOO("PERMISSIVE"), 80, MTLS_PERMISSIVE,
	  "default", true },
	{ "UNSET is as the mesh has it", MESH("STRICT") FOO("UNSET"), 80, MTLS_STRICT, "default",
	  true },
	{ "no mode is UNSET", MESH("STRICT") PEER("foo", "f", "{mtls: {}}"), 80, MTLS_STRICT,
	  "default", true },
	{ "UNSET everywhere", MESH("UNSET") FOO("UNSET") WEB("mtls: {mode: UNSET}"), 80,
	  MTLS_PERMISSIVE, "", false },
	{ "the workload before the namespace", FOO("STRICT") WEB("mtls: {mode: DISABLE}"), 80,
	  MTLS_DISABLE, "web", true },
	{ "of another workload", PEER("foo", "p", OF("app: other", "mtls: {mode: STRICT}")), 80,
	  MTLS_PERMISSIVE, "", true },
	{ "all of a selector counts",
	  PEER("foo", "p", OF("app: web, version: v2", "mtls: {mode: STRICT}")), 80,
	  MTLS_PERMISSIVE, "", true },
	{ "the workload UNSET", FOO("STRICT") WEB("mtls: {mode: UNSET}"), 80, MTLS_STRICT,
	  "default", true },
	{ "a port", WEB("mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), 8080,
	  MTLS_DISABLE, "web", true },
	{ "another port", WEB("mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), 80,
	  MTLS_STRICT, "web", true },
	{ "the rest", WEB("mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}"), 0,
	  MTLS_STRICT, "web", true },
	{ "only a port", WEB("portLevelMtls: {8080: {mode: STRICT}}"), 8080, MTLS_STRICT, "web",
	  true },
	{ "and not the others", WEB("portLevelMtls: {8080: {mode: STRICT}}"), 80, MTLS_PERMISSIVE,
	  "", true },
	{ "a port UNSET is as the workload", WEB("mtls: {mode: STRICT}, portLevelMtls: {80: {}}"),
	  80, MTLS_STRICT, "web", true },
	{ "a port UNSET, the workload, too",
	  FOO("STRICT") WEB("portLevelMtls: {80: {mode: UNSET}}"), 80, MTLS_STRICT, "default",
	  true },
	{ "the oldest of two for the namespace",
	  AGED("foo", "b", "2024-02-01T00:00:00Z", MODE("STRICT"))
		  AGED("foo", "a", "2024-03-01T00:00:00Z", MODE("DISABLE")),
	  80, MTLS_STRICT, "b", true },
	{ "the oldest of two for the workload",
	  AGED("foo", "b", "2024-03-01T00:00:00Z", OF("app: web", "mtls: {mode: STRICT}")) AGED(
		  "foo", "a", "2024-02-01T00:00:00Z", OF("version: v1", "mtls: {mode: DISABLE}")),
	  80, MTLS_DISABLE, "a", true },
	{ "of one age, by name",
	  AGED("foo", "b", "2024-02-01T00:00:00Z", MODE("STRICT"))
		  AGED("foo", "a", "2024-02-01T00:00:00Z", MODE("DISABLE")),
	  80, MTLS_DISABLE, "a", true },
	{ "the oldest for the workload decides alone, its ports, too",
	  AGED("foo", "b", "2024-03-01T00:00:00Z",
	       OF("app: web", "portLevelMtls: {80: {mode: STRICT}}"))
		  AGED("foo", "a", "2024-02-01T00:00:00Z", OF("app: web", "mtls: {mode: DISABLE}")),
	  80, MTLS_DISABLE, "a", true },
	{ "a DestinationRule with SIMPLE", RULE("SIMPLE"), 80, MTLS_PERMISSIVE, "", false },
};

static const struct object *find_pod(const struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i]->kind == KIND_POD)
			return objects->items[i];
	return NULL;
}

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

static void world_make(struct world *w, const char *policies)
{
	_cleanup_free_ char *yaml = NULL;

	cr_assert_gt(asprintf(&yaml, "%s%s", pod, policies), 0);
	w->registry = registry_new();
	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), &w->objects, &w->errors, NULL), 0,
		     "%s", errors_text(&w->errors));
	cr_assert_eq(mesh_init(&w->mesh, &w->objects, w->registry, &w->errors), 0);
}

Test(mutual, what_is_in_force)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(world_done) struct world w = { 0 };
		const struct object *by;

		world_make(&w, rows[i].policies);
		cr_expect_eq(mutual_mode(&w.mesh, find_pod(&w.objects), rows[i].port, &by),
			     rows[i].want, "%s", rows[i].what);
		cr_expect_str_eq(by ? by->meta.name : "", rows[i].by, "%s", rows[i].what);
		cr_expect_eq(mutual_in_use(&w.mesh), rows[i].used, "%s", rows[i].what);
	}
}

Test(mutual, a_pod_whose_labels_are_not_known_takes_the_strictest)
{
	static const struct {
		const char *policies;
		enum mtls_mode want;
	} unknown[] = {
		{ FOO("DISABLE") PEER("foo", "p", OF("app: x", "mtls: {mode: STRICT}")),
		  MTLS_STRICT },
		{ PEER("foo", "p", OF("app: x", "portLevelMtls: {80: {mode: STRICT}}")),
		  MTLS_STRICT },
		{ FOO("STRICT") PEER("foo", "p", OF("app: x", "mtls: {mode: DISABLE}")),
		  MTLS_STRICT },
		{ FOO("DISABLE"), MTLS_DISABLE },
		{ PEER("bar", "p", OF("app: x", "mtls: {mode: STRICT}")), MTLS_PERMISSIVE },
	};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		_cleanup_(world_done) struct world w = { 0 };
		struct object *o;
		const struct object *by;

		world_make(&w, unknown[i].policies);
		o = (struct object *)find_pod(&w.objects);
		o->pod.labels_unknown = true;
		o->meta.labels.count = 0;
		cr_expect_eq(mutual_mode(&w.mesh, o, 8080, &by), unknown[i].want, "%zu", i);
	}
}

/* It may be of any level and any age. */
Test(mutual, what_stands_in_for_one_that_cannot_be_read_counts_before_others)
{
	_cleanup_(world_done) struct world w = { 0 };
	const struct object *by;

	world_make(&w, AGED("foo", "old", "2024-02-01T00:00:00Z", MODE("DISABLE"))
			       WEB("mtls: {mode: DISABLE}")
				       AGED("foo", "new", "2024-03-01T00:00:00Z", MODE("STRICT")));
	cr_expect_eq(mutual_mode(&w.mesh, find_pod(&w.objects), 80, &by), MTLS_DISABLE);
	for (size_t i = 0; i < w.objects.count; i++)
		if (!strcmp(w.objects.items[i]->meta.name, "new"))
			w.objects.items[i]->stands_in = true;
	cr_expect_eq(mutual_mode(&w.mesh, find_pod(&w.objects), 80, &by), MTLS_STRICT);
	cr_expect_str_eq(by->meta.name, "new");
}

Test(mutual, a_rule_that_asks_for_it_has_it_in_use)
{
	_cleanup_(world_done) struct world w = { 0 };

	world_make(&w, RULE("SIMPLE"));
	cr_assert_not(mutual_in_use(&w.mesh));
	for (size_t i = 0; i < w.objects.count; i++)
		if (w.objects.items[i]->kind == KIND_DESTINATION_RULE)
			w.objects.items[i]->dr.policy.policy.tls->mode = CLIENT_TLS_ISTIO_MUTUAL;
	cr_assert_eq(mutual_index(&w.mesh), 0);
	cr_assert(mutual_in_use(&w.mesh));
}

/* ---- what is valid ---- */

static const struct {
	const char *spec, *error; /* NULL: it is right */
} specs[] = {
	{ "{}", NULL },
	{ "{mtls: {mode: STRICT}}", NULL },
	{ "{mtls: {mode: 3}}", "spec.mtls.mode" },
	{ "{mtls: {mode: strict}}", "spec.mtls.mode: expected one of" },
	{ "{mtls: {mod: STRICT}}", "spec.mtls.mod" },
	{ "{mtls: STRICT}", "spec.mtls: expected a map with mode" },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {80: {mode: STRICT}}}", NULL },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {\"80\": {mode: STRICT}}}", NULL },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {65535: {}}}", NULL },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {}}",
	  "spec.portLevelMtls: expected at least one port" },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {0: {mode: STRICT}}}",
	  "expected a port as the key, 1 to 65535, not \"0\"" },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {65536: {mode: STRICT}}}",
	  "not \"65536\"" },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {http: {mode: STRICT}}}",
	  "not \"http\"" },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {80: {mode: X}}}",
	  "spec.portLevelMtls.80.mode: expected one of" },
	{ "{selector: {matchLabels: {app: web}}, portLevelMtls: {80: {}, \"080\": {}}}",
	  "expected port 80 once" },
	{ "{portLevelMtls: {80: {mode: STRICT}}}", "expected together with a selector" },
	{ "{selector: {}, portLevelMtls: {80: {mode: STRICT}}}",
	  "expected together with a selector" },
	{ "{selector: {matchLabels: {}}, portLevelMtls: {80: {mode: STRICT}}}",
	  "expected together with a selector" },
	{ "{selector: {matchLabels: {app: \"*\"}}}", "spec.selector.matchLabels.app" },
	{ "{selector: {matchExpressions: []}}", "spec.selector.matchExpressions" },
	{ "{mtls: {mode: STRICT}, strict: true}", "spec.strict" },
};

Test(mutual, what_a_peer_authentication_may_say)
{
	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		_cleanup_free_ char *yaml = NULL, *said = NULL;
		_cleanup_(objects_free) struct objects objects = { 0 };
		_cleanup_(errors_free) struct errors errors = { 0 };

		cr_assert_gt(asprintf(&yaml,
				      "apiVersion: security.istio.io/v1beta1\nkind: "
				      "PeerAuthentication\nmetadata: {name: p}\nspec: %s\n",
				      specs[i].spec),
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
