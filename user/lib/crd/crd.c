// SPDX-License-Identifier: Apache-2.0
#include "lib/crd/crd.h"

#include <ctype.h>
#include <string.h>

#include "lib/crd/crd_priv.h"
#include "lib/schema/schema.h"

struct column {
	const char *name, *type, *path, *description;
};

/* What a kind has beside its fields. */
struct crd {
	enum kind kind;
	const struct message *message;
	struct column columns[5]; /* of kubectl get; ends with an empty one */
};

#define AGE                                                                                        \
	{                                                                                          \
		"Age", "date", ".metadata.creationTimestamp", "How long the object has been there" \
	}

static const struct crd crds[] = {
	{ KIND_VIRTUAL_SERVICE,
	  &schema_virtual_service,
	  { { "Gateways", "string", ".spec.gateways", "The Gateways that the rules hold for" },
	    { "Hosts", "string", ".spec.hosts", "The hosts that the rules are about" },
	    AGE } },
	{ KIND_DESTINATION_RULE,
	  &schema_destination_rule,
	  { { "Host", "string", ".spec.host", "The service that the settings are for" }, AGE } },
	{ KIND_GATEWAY, &schema_gateway, { AGE } },
	{ KIND_SERVICE_ENTRY,
	  &schema_service_entry,
	  { { "Hosts", "string", ".spec.hosts", "The hosts that are added" },
	    { "Location", "string", ".spec.location", "Whether they are part of the mesh" },
	    { "Resolution", "string", ".spec.resolution", "How their endpoints are found" },
	    AGE } },
	{ KIND_WORKLOAD_ENTRY,
	  &schema_workload_entry,
	  { { "Address", "string", ".spec.address", "Where the workload is" }, AGE } },
	{ KIND_CONNECTION_POLICY,
	  &schema_connection_policy,
	  { { "Per source", "integer", ".spec.newConnections.perSource.rate",
	      "New connections per second that a source may open" },
	    { "Total", "integer", ".spec.newConnections.total.rate",
	      "New connections per second that all of them may open" },
	    AGE } },
	{ KIND_AUTHORIZATION_POLICY,
	  &schema_authorization_policy,
	  { { "Action", "string", ".spec.action", "The action taken" }, AGE } },
	{ KIND_PEER_AUTHENTICATION,
	  &schema_peer_authentication,
	  { { "Mode", "string", ".spec.mtls.mode", "Whether mutual TLS is asked for" }, AGE } },
	{ KIND_TELEMETRY, &schema_telemetry, { AGE } },
};

const enum kind crd_kinds[] = {
	KIND_VIRTUAL_SERVICE,	   KIND_DESTINATION_RULE,    KIND_GATEWAY,
	KIND_SERVICE_ENTRY,	   KIND_WORKLOAD_ENTRY,	     KIND_CONNECTION_POLICY,
	KIND_AUTHORIZATION_POLICY, KIND_PEER_AUTHENTICATION, KIND_TELEMETRY
};
const size_t crd_kind_count = sizeof(crd_kinds) / sizeof(*crd_kinds);

static const struct crd *find(enum kind kind)
{
	for (size_t i = 0; i < sizeof(crds) / sizeof(*crds); i++)
		if (crds[i].kind == kind)
			return &crds[i];
	return NULL;
}

static const struct message *spec_of(const struct message *whole)
{
	const struct field *f = whole->fields;

	while (strcmp(f->name, "spec") != 0)
		f++;
	return f->message;
}

static void print_names(const struct kind_info *k, FILE *out)
{
	fprintf(out, "  names:\n    kind: %s\n    listKind: %sList\n    singular: ", k->name,
		k->name);
	for (const char *c = k->name; *c; c++)
		fputc(tolower((unsigned char)*c), out);
	fprintf(out, "\n    plural: %s\n    shortNames: [%s]\n", k->words[0], k->words[1]);
	fputs("    categories: [", out);
	if (k->istio) /* "networking.istio.io" -> "networking-istio-io" */
		fprintf(out, "istio-io, %.*s-istio-io]\n", (int)strcspn(k->group, "."), k->group);
	else
		fputs("weft]\n", out);
}

static void print_columns(const struct column *columns, FILE *out)
{
	fputs("    additionalPrinterColumns: &columns\n", out);
	for (; columns->name; columns++)
		fprintf(out,
			"    - name: %s\n      type: %s\n      jsonPath: %s\n      description: "
			"%s\n",
			columns->name, columns->type, columns->path, columns->description);
}

/* Of a kind that there is one object of. */
static void print_only_name(const struct kind_info *k, FILE *out)
{
	if (k->only)
		fprintf(out,
			"        x-kubernetes-validations:\n"
			"        - rule: \"self.metadata.name == '%s'\"\n"
			"          message: \"expected the name %s: there is one %s\"\n",
			k->only, k->only, k->name);
}

static void print_schema(const struct crd *crd, FILE *out)
{
	fputs("    schema: &schema\n"
	      "      openAPIV3Schema:\n"
	      "        type: object\n"
	      "        required: [spec]\n",
	      out);
	print_only_name(&kind_infos[crd->kind], out);
	fputs("        properties:\n"
	      "          apiVersion: {type: string}\n"
	      "          kind: {type: string}\n"
	      "          metadata: {type: object}\n"
	      "          status: {type: object, x-kubernetes-preserve-unknown-fields: true}\n"
	      "          spec:\n",
	      out);
	crd_print_message(spec_of(crd->message), 12, out);
}

/* All versions have the same fields; the first one is what is stored. */
static void print_version(const struct crd *crd, const char *version, bool first, FILE *out)
{
	fprintf(out,
		"  - name: %s\n    served: true\n    storage: %s\n    subresources: {status: {}}\n",
		version, first ? "true" : "false");
	if (first) {
		print_columns(crd->columns, out);
		print_schema(crd, out);
	} else {
		fputs("    additionalPrinterColumns: *columns\n    schema: *schema\n", out);
	}
}

void crd_print(enum kind kind, const char *labels, FILE *out)
{
	const struct kind_info *k = &kind_infos[kind];
	const struct crd *crd = find(kind);

	if (!crd)
		return;
	fprintf(out,
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
		"metadata:\n  name: %s.%s\n  labels:\n%sspec:\n  group: %s\n  scope: %s\n",
		k->words[0], k->group, labels, k->group,
		k->cluster_wide ? "Cluster" : "Namespaced");
	print_names(k, out);
	fputs("  versions:\n", out);
	for (const char *const *v = k->versions; *v; v++)
		print_version(crd, *v, v == k->versions, out);
}
