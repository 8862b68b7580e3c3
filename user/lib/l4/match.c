// SPDX-License-Identifier: Apache-2.0
#include "lib/l4/match.h"

#include <errno.h>

#include "lib/mesh/gateways.h"

static bool match_is_bound(const struct called *to, const struct object *o,
			   const struct l4_match *m)
{
	if (!m->gateways.count)
		return true;
	if (to->gateway)
		return gateways_have(&m->gateways, o->meta.namespace, to->gateway);
	return gateways_have_mesh(&m->gateways);
}

static bool subnets_hold(const struct l4_match *m, const struct addr *addr)
{
	size_t i;

	for (i = 0; i < m->destination_subnets.count; i++)
		if (cidr_holds(&m->destination_subnets.items[i], addr))
			return true;
	return !m->destination_subnets.count;
}

const char *match_never(struct mesh *mesh, const struct called *to, const struct object *o,
			const struct l4_match *m)
{
	char text[ADDR_TEXT_MAX];

	if (to->sp && to->sp->protocol == PORT_HTTP)
		return mesh_text(mesh, "tcp: port %u carries http", to->port);
	if (!m)
		return NULL;
	if (m->port && m->port != to->port)
		return mesh_text(mesh, "port: %u is not %u", to->port, m->port);
	if (!match_is_bound(to, o, m))
		return to->gateway ? "gateways: this gateway is not among them"
				   : "gateways: mesh is not among them";
	/* At a gateway the address called is the node's, which says nothing. */
	if (to->gateway || subnets_hold(m, to->addr))
		return NULL;
	addr_format(to->addr, text);
	return mesh_text(mesh, "destinationSubnets: %s is in none of them", text);
}

static int compare_kv(const void *a, const void *b)
{
	const struct kv *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* "app=sleep, version=v1", sorted: equal label sets read the same. The caller frees. */
static char *labels_text(const struct kvs *labels)
{
	_cleanup_free_ struct kv *sorted = calloc(labels->count, sizeof(*sorted));
	char *text = NULL;
	size_t len, i;
	FILE *f;

	if (!sorted)
		return NULL;
	memcpy(sorted, labels->items, labels->count * sizeof(*sorted));
	qsort(sorted, labels->count, sizeof(*sorted), compare_kv);
	f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	for (i = 0; i < labels->count; i++)
		fprintf(f, "%s%s=%s", i ? ", " : "", sorted[i].key,
			sorted[i].value ? sorted[i].value : "");
	if (!fclose(f))
		return text;
	free(text);
	return NULL;
}

/* The number of that set of labels; 0 when out of memory. */
static __u32 selector_number(struct mesh *mesh, const struct kvs *labels, const char *text)
{
	const char *copy = mesh_text(mesh, "%s", text);
	void **at = copy ? bytemap_at(&mesh->selectors, copy, strlen(copy)) : NULL;
	struct kvs *slot;

	if (!at)
		return 0;
	if (*at)
		return (uintptr_t)*at;
	slot = table_push(&mesh->t->selectors);
	if (!slot)
		return 0;
	*slot = *labels;
	*at = (void *)(uintptr_t)mesh->t->selectors.count;
	return mesh->t->selectors.count;
}

int match_conditions(struct mesh *mesh, const struct called *to, const struct l4_match *m,
		     struct rule *rule, const char **text)
{
	_cleanup_free_ char *labels = NULL;

	/* Naming gateways, or being at one, says that the source is not a workload of the mesh. */
	if (to->gateway || m->gateways.count)
		return 0;
	if (m->source_namespace) {
		rule->ns = mesh_namespace(mesh, m->source_namespace);
		*text = mesh_text(mesh, "sourceNamespace: %s", m->source_namespace);
		if (!rule->ns || !*text)
			return -ENOMEM;
	}
	if (!m->source_labels.count)
		return 0;
	labels = labels_text(&m->source_labels);
	if (!labels)
		return -ENOMEM;
	rule->selector = selector_number(mesh, &m->source_labels, labels);
	*text = mesh_text(mesh, "%s%ssourceLabels: %s", *text, rule->ns ? "; " : "", labels);
	return rule->selector && *text ? 0 : -ENOMEM;
}

static int add_selected(struct mesh *mesh, __u32 workload, __u32 selector)
{
	struct selected_key *key = table_push(&mesh->t->selected);

	if (!key)
		return -ENOMEM;
	*key = (struct selected_key){ .workload = workload, .selector = selector };
	return 0;
}

/* Pod -> workload number, as in gen_sources. */
static int number_workloads(struct mesh *mesh, struct bytemap *numbers)
{
	size_t i;

	for (i = 0; i < mesh->pods.count; i++) {
		void **at = bytemap_at(numbers, &mesh->pods.items[i], sizeof(struct object *));

		if (!at)
			return -ENOMEM;
		*at = (void *)(uintptr_t)(i + 1);
	}
	return 0;
}

static int select_pods(struct mesh *mesh, struct bytemap *numbers, __u32 selector)
{
	const struct kvs *labels = &mesh->t->selectors.items[selector - 1];
	const struct refs *pods = mesh_pods_by_label(mesh, NULL, labels);
	size_t i;
	int r = 0;

	for (i = 0; pods && i < pods->count && !r; i++) {
		const struct object *pod = pods->items[i];

		if (labels_hold(&pod->meta.labels, labels))
			r = add_selected(mesh,
					 (uintptr_t)bytemap_get(numbers, &pod,
								sizeof(struct object *)),
					 selector);
	}
	return r;
}

int write_selected(struct mesh *mesh)
{
	struct bytemap numbers = { 0 };
	size_t i;
	int r = 0;

	if (mesh->t->selectors.count)
		r = number_workloads(mesh, &numbers);
	for (i = 0; i < mesh->t->selectors.count && !r; i++)
		r = select_pods(mesh, &numbers, i + 1);
	bytemap_free(&numbers);
	return r;
}
