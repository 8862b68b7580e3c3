// SPDX-License-Identifier: Apache-2.0
#include "lib/l4/match.h"

#include <errno.h>

#include "lib/base/cleanup.h"
#include "lib/l4/l4.h"
#include "lib/mesh/gateways.h"
#include "lib/mesh/proxied.h"
#include "lib/tables/sources.h"

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
	if (m->sni_hosts.count && to->sp && !tls_match_is_at(m, to->sp))
		return mesh_text(mesh,
				 "sniHosts: port %u is not declared to carry tls, and the match "
				 "does not name it",
				 to->port);
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

/* The id of that set of labels, which the tables then have; 0 when out of memory. */
static __u32 selector_id(struct mesh *mesh, const struct kvs *labels, const char *text)
{
	__u32 id = registry_id(mesh->registry, REG_SELECTOR, text);
	const char *name = id ? registry_name(mesh->registry, REG_SELECTOR, id) : NULL;
	void **at = name ? bytemap_at(&mesh->selectors, name, strlen(name)) : NULL;
	struct source_selector *slot;

	if (!at)
		return 0;
	if (*at)
		return id;
	slot = table_push(&mesh->t->selectors);
	if (!slot)
		return 0;
	*slot = (struct source_selector){ .labels = *labels, .id = id };
	*at = slot;
	return id;
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
	rule->selector = selector_id(mesh, &m->source_labels, labels);
	*text = mesh_text(mesh, "%s%ssourceLabels: %s", *text, rule->ns ? "; " : "", labels);
	return rule->selector && *text ? 0 : -ENOMEM;
}

/* A selector that holds for a pod. */
struct held {
	__u32 pod; /* its number (mesh_sources()) */
	__u32 selector;
};

struct holding {
	struct bytemap numbers; /* pod -> its number */
	TABLE(struct held) held;
	__u32 *workloads; /* by a pod's number */
	__u32 *selectors; /* room for all of one pod */
};

static void holding_free(struct holding *h)
{
	bytemap_free(&h->numbers);
	free(h->held.items);
	free(h->workloads);
	free(h->selectors);
}

static int number_pods(struct mesh *mesh, struct holding *h)
{
	size_t i;

	h->workloads = calloc(mesh->pods.count + 1, sizeof(*h->workloads));
	h->selectors = calloc(mesh->t->selectors.count, sizeof(*h->selectors));
	if (!h->workloads || !h->selectors)
		return -ENOMEM;
	for (i = 0; i < mesh->pods.count; i++) {
		void **at = bytemap_at(&h->numbers, &mesh->pods.items[i], sizeof(struct object *));

		if (!at)
			return -ENOMEM;
		*at = (void *)(uintptr_t)(i + 1);
	}
	return 0;
}

static int select_pods(struct mesh *mesh, struct holding *h, const struct source_selector *s)
{
	const struct refs *pods = mesh_pods_by_label(mesh, NULL, &s->labels);
	size_t i;

	for (i = 0; pods && i < pods->count; i++) {
		const struct object *pod = pods->items[i];
		struct held *held;

		if (!labels_hold(&pod->meta.labels, &s->labels))
			continue;
		held = table_push(&h->held);
		if (!held)
			return -ENOMEM;
		held->pod = (uintptr_t)bytemap_get(&h->numbers, &pod, sizeof(struct object *));
		held->selector = s->id;
	}
	return 0;
}

static int compare_held(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	return (x->pod > y->pod) - (x->pod < y->pod);
}

static int name_workloads(struct mesh *mesh, struct holding *h)
{
	size_t i, n, count;
	int r = 0;

	if (h->held.count)
		qsort(h->held.items, h->held.count, sizeof(*h->held.items), compare_held);
	for (i = 0; i < h->held.count && !r; i += count) {
		const struct held *first = &h->held.items[i];

		for (n = i, count = 0; n < h->held.count && h->held.items[n].pod == first->pod; n++)
			h->selectors[count++] = h->held.items[n].selector;
		r = workload_of(mesh->registry, h->selectors, count, &h->workloads[first->pod]);
	}
	return r;
}

static int hold(struct mesh *mesh, struct holding *h)
{
	size_t i;
	int r = number_pods(mesh, h);

	for (i = 0; i < mesh->t->selectors.count && !r; i++)
		r = select_pods(mesh, h, &mesh->t->selectors.items[i]);
	return r ? r : name_workloads(mesh, h);
}

int l4_workloads(struct mesh *mesh)
{
	_cleanup_(holding_free) struct holding h = { 0 };
	struct tables *t = mesh->t;
	size_t i;
	int r = t->selectors.count ? hold(mesh, &h) : 0;

	for (i = 0; i < t->sources.count && !r; i++) {
		__u32 *workload = &t->sources.items[i].value.workload;

		*workload = t->selectors.count ? h.workloads[*workload] : 0;
	}
	return r ? r : selected_write(mesh->registry, t);
}
