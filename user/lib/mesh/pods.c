// SPDX-License-Identifier: Apache-2.0
/*
 * Pods, found by label, address or name.
 */
#include "lib/mesh/mesh.h"

#include <errno.h>

#include "lib/mesh/enrol.h"

enum { LABEL_KEY_MAX = 1024 };

static size_t put_part(char *out, size_t room, size_t at, const char *part)
{
	size_t len = strlen(part) + 1;

	if (at + len > room)
		return at;
	memcpy(out + at, part, len);
	return at + len;
}

/* "ns\0key\0value". Names and labels were validated, they fit. */
static size_t label_key(char out[LABEL_KEY_MAX], const char *ns, const struct kv *label)
{
	size_t n = put_part(out, LABEL_KEY_MAX, 0, ns);

	n = put_part(out, LABEL_KEY_MAX, n, label->key);
	return put_part(out, LABEL_KEY_MAX, n, label->value ? label->value : "");
}

static int add_labels(struct mesh *mesh, const char *ns, const struct object *o)
{
	char key[LABEL_KEY_MAX];
	size_t i;
	int r;

	for (i = 0; i < o->meta.labels.count; i++) {
		r = refs_add_at(mesh, &mesh->pods_by_label, key,
				label_key(key, ns, &o->meta.labels.items[i]), o);
		if (r)
			return r;
	}
	return 0;
}

/* Built when first asked for: most compilations need at most one of the two. */
static void label_pods(struct mesh *mesh, bool all)
{
	bool *done = all ? &mesh->labels_of_all : &mesh->labels_by_namespace;
	size_t i;

	if (*done)
		return;
	*done = true;
	for (i = 0; i < mesh->pods.count && !mesh->nomem; i++)
		mesh->nomem = add_labels(mesh, all ? "" : mesh->pods.items[i]->meta.namespace,
					 mesh->pods.items[i]);
}

const struct refs *mesh_pods_by_label(struct mesh *mesh, const char *ns, const struct kvs *labels)
{
	char key[LABEL_KEY_MAX];

	if (!labels->count)
		return NULL;
	label_pods(mesh, !ns);
	return bytemap_get(&mesh->pods_by_label, key,
			   label_key(key, ns ? ns : "", &labels->items[0]));
}

/* A finished pod's address may belong to another one by now. */
static bool pod_is_over(const struct object *o)
{
	return str_eq(o->pod.phase, "Failed") || str_eq(o->pod.phase, "Succeeded");
}

static size_t count_addresses(const struct mesh *mesh)
{
	size_t i, n = 0;

	for (i = 0; i < mesh->pods.count; i++)
		n += mesh->pods.items[i]->pod.ips.count;
	return n;
}

/* The keys of pods_by_addr are the sources' own addresses: their array is made large enough to stay
 * where it is. */
static int reserve_sources(struct mesh *mesh)
{
	size_t n = count_addresses(mesh);

	mesh->t->sources.items = calloc(n + 1, sizeof(*mesh->t->sources.items));
	if (!mesh->t->sources.items)
		return -ENOMEM;
	mesh->t->sources.room = n + 1;
	return bytemap_reserve(&mesh->pods_by_addr, n);
}

/* The Namespaces that are known, by name. */
static int index_homes(const struct mesh *mesh, struct bytemap *homes)
{
	for (size_t i = 0; i < mesh->objects->count; i++) {
		const struct object *o = mesh->objects->items[i];
		void **at;

		if (o->kind != KIND_NAMESPACE)
			continue;
		at = bytemap_at(homes, o->meta.name, strlen(o->meta.name));
		if (!at)
			return -ENOMEM;
		*at = (void *)o;
	}
	return 0;
}

/* An address that two pods claim is that of the first. */
static int add_source(struct mesh *mesh, const struct source_entry *entry, const char *ip)
{
	struct source_entry *s = &mesh->t->sources.items[mesh->t->sources.count];
	void **at;

	if (addr_parse(ip, &s->addr))
		return 0;
	at = bytemap_at(&mesh->pods_by_addr, s->addr.b, sizeof(s->addr.b));
	if (!at)
		return -ENOMEM;
	if (*at)
		return 0;
	*at = (void *)entry->pod;
	s->value = entry->value;
	s->pod = entry->pod;
	s->labelled = entry->labelled;
	mesh->t->sources.count++;
	return 0;
}

static int add_pod(struct mesh *mesh, const struct object *o, const struct object *home,
		   struct source source)
{
	const struct source_entry entry = { .value = source,
					    .pod = o,
					    .labelled = enrol_is_labelled(o, home) };
	int r = 0;

	if (pod_is_over(o) || o->pod.host_network)
		return 0;
	for (size_t k = 0; k < o->pod.ips.count && !r; k++)
		r = add_source(mesh, &entry, o->pod.ips.items[k]);
	return r;
}

int mesh_sources(struct mesh *mesh)
{
	struct bytemap homes = { 0 };
	size_t i;
	int r = reserve_sources(mesh);

	if (!r)
		r = index_homes(mesh, &homes);
	for (i = 0; i < mesh->pods.count && !r; i++) {
		const struct object *o = mesh->pods.items[i];
		const struct source source = { .ns = mesh_namespace(mesh, o->meta.namespace),
					       .workload = i + 1 };

		r = source.ns ? add_pod(mesh, o, bytemap_str(&homes, o->meta.namespace), source)
			      : -ENOMEM;
	}
	bytemap_free(&homes);
	return r;
}

static int name_pod(struct mesh *mesh, const struct object *o)
{
	char key[HOST_MAX];
	size_t len = full_name(key, o->meta.namespace, o->meta.name);
	const char *copy = pool_copy(&mesh->pool, key, len);
	void **at = copy ? bytemap_at(&mesh->pods_by_name, copy, len) : NULL;

	if (!at)
		return -ENOMEM;
	*at = (void *)o;
	return 0;
}

static const struct object *pod_named(struct mesh *mesh, const char *ns, const char *name)
{
	char key[HOST_MAX];
	size_t i;

	if (!mesh->names_of_pods)
		mesh->nomem |= !!bytemap_reserve(&mesh->pods_by_name, mesh->pods.count);
	for (i = 0; i < mesh->pods.count && !mesh->names_of_pods && !mesh->nomem; i++)
		mesh->nomem = name_pod(mesh, mesh->pods.items[i]);
	mesh->names_of_pods = true;
	return bytemap_get(&mesh->pods_by_name, key, full_name(key, ns, name));
}

const struct object *member_pod(struct mesh *mesh, struct member *m)
{
	if (m->pod)
		return m->pod;
	if (m->address && m->address->target_name && str_eq(m->address->target_kind, "Pod")) {
		const char *ns = m->address->target_namespace ? m->address->target_namespace
							      : m->ns;

		m->pod = pod_named(mesh, ns, m->address->target_name);
	}
	if (!m->pod)
		m->pod = bytemap_get(&mesh->pods_by_addr, m->endpoint.addr.b,
				     sizeof(m->endpoint.addr.b));
	return m->pod;
}
