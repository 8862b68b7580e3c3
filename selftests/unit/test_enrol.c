// SPDX-License-Identifier: Apache-2.0
/*
 * Who is in the mesh: what labels say, and which of two that differ counts.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/json_io.h"
#include "lib/mesh/enrol.h"
#include "lib/model/remarks.h"
#include "lib/schema/parse.h"
#include "test_compile_util.h"

#define IN_MODE "\"istio.io/dataplane-mode\": ambient"
#define OUT_MODE "\"istio.io/dataplane-mode\": none"
#define INJECT(word) "\"sidecar.istio.io/inject\": \"" word "\""
#define ENABLED "istio-injection: enabled"
#define DISABLED "istio-injection: disabled"
#define REVISION(word) "\"istio.io/rev\": \"" word "\""

/* `home`: the Namespace's labels, NULL: it is not known. */
static const struct {
	const char *about, *home, *labels, *annotations;
	bool in;
	const char *why;
} rows[] = {
	/* namespaces */
	{ "a namespace that says nothing", "", "", "", false,
	  "namespace shop has no label for the mesh" },
	{ "one that is not known", NULL, "", "", false, "namespace shop is not known" },
	{ "one that is enabled", ENABLED, "", "", true,
	  "namespace shop has istio-injection=enabled" },
	{ "one that is disabled", DISABLED, "", "", false,
	  "namespace shop has istio-injection=disabled" },
	{ "another word for it", "istio-injection: \"on\"", "", "", false, "istio-injection=on" },
	{ "no word for it", "istio-injection: \"\"", "", "", false, "has no label" },
	{ "a revision", REVISION("canary"), "", "", true,
	  "namespace shop has istio.io/rev=canary" },
	{ "an empty revision", REVISION(""), "", "", false, "has no label" },
	{ "disabled, and a revision", DISABLED ", " REVISION("canary"), "", "", false,
	  "istio-injection=disabled" },
	{ "ambient", IN_MODE, "", "", true, "namespace shop has istio.io/dataplane-mode=ambient" },
	{ "ambient without injection", IN_MODE ", " DISABLED, "", "", true, "ambient" },
	{ "a mode that is none", OUT_MODE, "", "", false, "has no label" },
	{ "injection in a mode that is none", OUT_MODE ", " ENABLED, "", "", true, "enabled" },
	/* pods opt out */
	{ "a pod of mode none", ENABLED, OUT_MODE, "", false,
	  "its label istio.io/dataplane-mode=none" },
	{ "the same among ambient ones", IN_MODE, OUT_MODE, "", false, "=none" },
	{ "no injection, by label", ENABLED, INJECT("false"), "", false,
	  "its label sidecar.istio.io/inject=false" },
	{ "no injection, by annotation", ENABLED, "", INJECT("false"), false,
	  "its annotation sidecar.istio.io/inject=false" },
	{ "no injection among ambient ones", IN_MODE, INJECT("false"), "", false, "inject=false" },
	{ "the label counts before the annotation", ENABLED, INJECT("true"), INJECT("false"), true,
	  "enabled" },
	{ "and the other way round", ENABLED, INJECT("false"), INJECT("true"), false, "its label" },
	{ "a word that is none", ENABLED, INJECT("no"), "", true, "enabled" },
	/* pods opt in */
	{ "injection in a namespace that says nothing", "", INJECT("true"), "", true,
	  "its label sidecar.istio.io/inject=true" },
	{ "in one that is not known", NULL, INJECT("true"), "", true, "inject=true" },
	{ "by annotation it is none", "", "", INJECT("true"), false, "has no label" },
	{ "in one that is disabled", DISABLED, INJECT("true"), "", false, "disabled" },
	{ "a revision of its own", "", REVISION("canary"), "", true,
	  "its label istio.io/rev=canary" },
	{ "the same in one that is disabled", DISABLED, REVISION("canary"), "", false, "disabled" },
	{ "ambient", "", IN_MODE, "", true, "its label istio.io/dataplane-mode=ambient" },
	{ "ambient in one that is disabled", DISABLED, IN_MODE, "", true, "=ambient" },
	{ "ambient without injection", "", IN_MODE ", " INJECT("false"), "", true, "=ambient" },
	{ "injection of mode none", "", OUT_MODE ", " INJECT("true"), "", false, "=none" },
	{ "another mode", "", "\"istio.io/dataplane-mode\": sidecar", "", false, "has no label" },
};

static void add_namespace(char *yaml, size_t size, const char *ns, const char *labels)
{
	size_t used = strlen(yaml);

	if (labels)
		snprintf(yaml + used, size - used,
			 "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: "
			 "{%s}}\n",
			 ns, labels);
}

static void add_pod(char *yaml, size_t size, const char *ns, const char *labels,
		    const char *annotations, const char *spec)
{
	size_t used = strlen(yaml);

	snprintf(yaml + used, size - used,
		 "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: %s, labels: "
		 "{%s}, annotations: {%s}}\nspec: {%s}\n",
		 ns, labels, annotations, spec);
}

static void parse(const char *yaml, struct objects *objects)
{
	struct errors errors = { 0 };

	cr_assert_eq(rules_parse("t.yaml", yaml, strlen(yaml), objects, &errors, NULL), 0, "%s",
		     errors.count ? errors.items[0].text : yaml);
	errors_free(&errors);
}

static struct enrolment ask(const char *yaml, const char *ns, enum enrol_mode mode)
{
	struct objects objects = { 0 };
	struct enrolment e;

	parse(yaml, &objects);
	e = enrol_pod(mode, objects.items[objects.count - 1], enrol_home(&objects, ns));
	objects_free(&objects);
	return e;
}

Test(enrol, labels_of_pods_and_namespaces)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char yaml[2048] = "";
		struct enrolment e;

		add_namespace(yaml, sizeof(yaml), "shop", rows[i].home);
		add_pod(yaml, sizeof(yaml), "shop", rows[i].labels, rows[i].annotations, "");
		e = ask(yaml, "shop", ENROL_LABELLED);
		cr_expect_eq(e.in, rows[i].in, "%s: %s", rows[i].about, e.why);
		cr_expect(strstr(e.why, rows[i].why), "%s: %s", rows[i].about, e.why);
		e = ask(yaml, "shop", ENROL_ALL);
		cr_expect(e.in, "%s, where all are", rows[i].about);
	}
}

Test(enrol, the_nodes_own_network_is_never_in)
{
	char yaml[2048] = "";

	add_namespace(yaml, sizeof(yaml), "shop", ENABLED);
	add_pod(yaml, sizeof(yaml), "shop", IN_MODE, "", "hostNetwork: true");
	cr_expect_not(ask(yaml, "shop", ENROL_LABELLED).in);
	cr_expect_not(ask(yaml, "shop", ENROL_ALL).in);
}

Test(enrol, system_namespaces_take_a_label_of_their_own)
{
	static const char *const names[] = { "kube-system", "weft-system", "istio-system" };
	static const char *const labels[] = { INJECT("true"), IN_MODE, REVISION("a") };

	for (size_t n = 0; n < 3; n++) {
		for (size_t l = 0; l < 3; l++) {
			char yaml[2048] = "";

			add_namespace(yaml, sizeof(yaml), names[n], "");
			add_pod(yaml, sizeof(yaml), names[n], labels[l], "", "");
			cr_expect_not(ask(yaml, names[n], ENROL_LABELLED).in, "%s: %s", names[n],
				      labels[l]);
			*yaml = 0;
			add_namespace(yaml, sizeof(yaml), names[n], ENABLED);
			add_pod(yaml, sizeof(yaml), names[n], labels[l], "", "");
			cr_expect(ask(yaml, names[n], ENROL_LABELLED).in, "%s: %s", names[n],
				  labels[l]);
		}
	}
}

Test(enrol, a_client_that_is_no_pod)
{
	struct kv mode = { .key = "istio.io/dataplane-mode", .value = "ambient" };
	const struct kvs labels = { &mode, 1 };

	cr_expect(enrol_labels(ENROL_LABELLED, "shop", &labels, NULL).in);
	cr_expect_not(enrol_labels(ENROL_LABELLED, "shop", NULL, NULL).in);
	cr_expect(enrol_labels(ENROL_ALL, "shop", NULL, NULL).in);
}

Test(enrol, modes)
{
	cr_expect_eq(enrol_mode_parse("all"), ENROL_ALL);
	cr_expect_eq(enrol_mode_parse("labelled"), ENROL_LABELLED);
	cr_expect_eq(enrol_mode_parse("none"), -1);
	cr_expect_str_eq(enrol_mode_name(ENROL_LABELLED), "labelled");
}

#define RULE                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r, " \
	"namespace: shop}\nspec: {host: a}\n"

/* `code` NULL: nothing is remarked. */
static const struct {
	const char *about, *home, *labels, *annotations, *more, *code, *message;
} remarks[] = {
	{ "rules without a label", "", "", "", RULE, "IST0102",
	  "namespace shop has no label for the mesh, while it has rules (DestinationRule r)" },
	{ "in a namespace that is not known", NULL, "", "", RULE, "IST0102", "is not known" },
	{ "no rules", "", "", "", "", NULL, NULL },
	{ "a label", ENABLED, "", "", RULE, NULL, NULL },
	{ "a label that says no", DISABLED, "", "", RULE, NULL, NULL },
	{ "a pod that is in by itself", "", IN_MODE, "", RULE, NULL, NULL },
	{ "both labels of a namespace", ENABLED ", " REVISION("a"), "", "", "", "IST0123",
	  "istio-injection=enabled counts, and istio.io/rev=a does not" },
	{ "in and out", ENABLED, OUT_MODE ", " INJECT("true"), "", "", "WEFT0115",
	  "contradict each other: it is not in the mesh" },
	{ "out and in", ENABLED, IN_MODE ", " INJECT("false"), "", "", "WEFT0115",
	  "contradict each other: it is in the mesh" },
	{ "label and annotation", ENABLED, INJECT("true"), INJECT("false"), "", "WEFT0115",
	  "=true counts, and the annotation, false, does not" },
	{ "both alike", ENABLED, INJECT("true"), INJECT("true"), "", NULL, NULL },
};

Test(enrol, remarks)
{
	for (size_t i = 0; i < sizeof(remarks) / sizeof(*remarks); i++) {
		struct objects objects = { 0 };
		struct errors errors = { 0 };
		char yaml[4096] = "";
		json_t *json, *list;

		add_namespace(yaml, sizeof(yaml), "shop", remarks[i].home);
		add_pod(yaml, sizeof(yaml), "shop", remarks[i].labels, remarks[i].annotations, "");
		strcat(yaml, remarks[i].more);
		parse(yaml, &objects);
		enrol_remarks(ENROL_ALL, &objects, &errors);
		cr_expect_eq(errors.count, 0, "%s, where all are", remarks[i].about);
		enrol_remarks(ENROL_LABELLED, &objects, &errors);
		cr_assert_eq(errors.count, remarks[i].code != NULL, "%s: %s", remarks[i].about,
			     errors.count ? errors.items[0].text : "nothing");
		list = remarks_json(&errors);
		json = json_array_get(list, 0);
		if (json) {
			cr_expect_str_eq(json_get_text(json, "code", ""), remarks[i].code);
			cr_expect_str_eq(json_get_text(json, "namespace", ""), "shop");
			cr_expect(strstr(json_get_text(json, "message", ""), remarks[i].message),
				  "%s: %s", remarks[i].about, json_get_text(json, "message", ""));
		}
		json_decref(list);
		errors_free(&errors);
		objects_free(&objects);
	}
}
