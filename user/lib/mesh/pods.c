// SPDX-License-Identifier: Apache-2.0
/*
 * Pods, found by label, address or name.
 */
#include "lib/mesh/mesh.h"

#include <errno.h>

#include "lib/mesh/enrol.h"
#include "lib/mesh/pods.h"
#include "lib/tables/sources.h"

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
		r = refs_add_at(&mesh->labels, &mesh->pods_by_label, key,
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

bool pod_has_address(const struct object *o)
{
	return !str_eq(o->pod.phase, "Failed") && !str_eq(o->pod.phase, "Succeeded") &&
	       !o->pod.host_network;
}

enum { LEAVES, COMES, LIVES };

static int life_of(const struct pod_spec *pod)
{
	if (pod->deleting)
		return LEAVES;
	return !pod->phase || !*pod->phase || str_eq(pod->phase, "Running") ? LIVES : COMES;
}

bool pod_goes_before(const struct object *pod, const struct object *other)
{
	int life = life_of(&pod->pod), others = life_of(&other->pod);

	return life != others ? life > others : pod->meta.created > other->meta.created;
}

bool pod_is_on(const struct object *pod, const char *node)
{
	const char *is = pod->pod.node_name;

	return !node || !is || !*is || str_eq(is, node);
}

static size_t count_addresses(const struct mesh *mesh)
{
	size_t i, n = 0;

	for (i = 0; i < mesh->pods.count; i++)
		n += mesh->pods.items[i]->pod.ips.count;
	return n;
}

static int reserve_sources(struct mesh *mesh)
{
	size_t n = count_addresses(mesh);

	mesh->t->sources.items = calloc(n + 1, sizeof(*mesh->t->sources.items));
	if (!mesh->t->sources.items)
		return -ENOMEM;
	mesh->t->sources.room = n + 1;
	return bytemap_reserve(&mesh->pods_by_addr, n);
}

struct home *mesh_home(struct mesh *mesh, const char *ns)
{
	struct home *home = bytemap_str(&mesh->homes, ns);
	const char *copy;
	void **at;

	if (home)
		return home;
	copy = pool_copy(&mesh->lasting, ns, strlen(ns));
	at = copy ? bytemap_at(&mesh->homes, copy, strlen(ns)) : NULL;
	if (!at)
		return NULL;
	return *at = pool_alloc(&mesh->lasting, sizeof(*home));
}

/* The Namespaces that are known. */
static int index_homes(struct mesh *mesh)
{
	for (size_t i = 0; i < mesh->objects->count; i++) {
		const struct object *o = mesh->objects->items[i];
		struct home *home;

		if (o->kind != KIND_NAMESPACE)
			continue;
		home = mesh_home(mesh, o->meta.name);
		if (!home)
			return -ENOMEM;
		home->o = o;
	}
	return 0;
}

/* The row of an address that goes to another pod, whose own will be in its place among them. */
static void take_source(struct tables *t, const struct addr *addr)
{
	struct source_entry *rows = t->sources.items;
	size_t i = 0;

	while (i < t->sources.count && memcmp(&rows[i].addr, addr, sizeof(*addr)) != 0)
		i++;
	if (i == t->sources.count)
		return;
	memmove(&rows[i], &rows[i + 1], (t->sources.count - i - 1) * sizeof(*rows));
	t->sources.count--;
}

static int contest(struct mesh *mesh, const void *addr)
{
	void **at = bytemap_at(&mesh->contested, addr, sizeof(struct addr));

	if (!at)
		return -ENOMEM;
	*at = (void *)addr;
	mesh->contests++;
	return 0;
}

static void put_source(struct mesh *mesh, const struct source_entry *entry, const struct addr *addr)
{
	struct source_entry *s = &mesh->t->sources.items[mesh->t->sources.count++];

	*s = *entry;
	s->addr = *addr;
}

/* An address that two pods claim, as one that is being deleted and the next one that has got it
 * may, is that of the one that goes before the other. */
static int add_source(struct mesh *mesh, const struct source_entry *entry, const char *ip)
{
	struct addr addr, *key;
	void **at;
	int r = 0;

	if (addr_parse(ip, &addr))
		return 0;
	key = pool_alloc(&mesh->lasting, sizeof(*key));
	if (!key)
		return -ENOMEM;
	*key = addr;
	at = bytemap_at(&mesh->pods_by_addr, key->b, sizeof(key->b));
	if (!at)
		return -ENOMEM;
	if (*at)
		r = contest(mesh, key);
	if (r || (*at && (*at == entry->pod || !pod_goes_before(entry->pod, *at))))
		return r;
	if (*at)
		take_source(mesh->t, key);
	*at = (void *)entry->pod;
	put_source(mesh, entry, key);
	return 0;
}

static int add_pod(struct mesh *mesh, const struct object *o, const struct object *home,
		   struct source source)
{
	const struct source_entry entry = { .value = source,
					    .pod = o,
					    .labelled = enrol_is_labelled(o, home) };
	int r = 0;

	if (!pod_has_address(o))
		return 0;
	for (size_t k = 0; k < o->pod.ips.count && !r; k++)
		r = add_source(mesh, &entry, o->pod.ips.items[k]);
	return r;
}

int mesh_sources(struct mesh *mesh)
{
	size_t i;
	int r = reserve_sources(mesh);

	if (!r)
		r = index_homes(mesh);
	for (i = 0; i < mesh->pods.count && !r; i++) {
		const struct object *o = mesh->pods.items[i];
		const struct source source = { .ns = mesh_namespace(mesh, o->meta.namespace),
					       .workload = i + 1 };

		struct home *home = mesh_home(mesh, o->meta.namespace);

		r = source.ns && home ? add_pod(mesh, o, home->o, source) : -ENOMEM;
		if (!r)
			home->pods++;
	}
	return r;
}

/* ---- changes ---- */

int sources_retire(struct mesh *mesh, const struct object *pod)
{
	struct addr addr;

	for (size_t i = 0; pod_has_address(pod) && i < pod->pod.ips.count; i++) {
		void **at;

		if (addr_parse(pod->pod.ips.items[i], &addr))
			continue;
		if (bytemap_get(&mesh->contested, addr.b, sizeof(addr.b)))
			return MESH_ANEW;
		at = bytemap_at(&mesh->pods_by_addr, addr.b, sizeof(addr.b));
		if (!at)
			return -ENOMEM;
		*at = NULL;
	}
	return 0;
}

/* The rows are in the order of the pods, not all of which have any: how many there are before that
 * pod's. */
static size_t rows_before(const struct mesh *mesh, size_t pod)
{
	const struct source_entry *rows = mesh->t->sources.items;
	size_t row = 0;

	for (size_t i = 0; i < pod; i++)
		while (row < mesh->t->sources.count && rows[row].pod == mesh->pods.items[i])
			row++;
	return row;
}

/* Takes that pod's rows out. */
static void take_rows(struct tables *t, size_t first, const struct object *pod)
{
	size_t end = first;

	while (end < t->sources.count && t->sources.items[end].pod == pod)
		end++;
	memmove(&t->sources.items[first], &t->sources.items[end],
		(t->sources.count - end) * sizeof(*t->sources.items));
	t->sources.count -= end - first;
}

/* Those that were added last go to where they belong. */
static int move_rows(struct tables *t, size_t first, size_t count)
{
	struct source_entry *rows = &t->sources.items[t->sources.count - count];
	_cleanup_free_ struct source_entry *copy = malloc((count + 1) * sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	memcpy(copy, rows, count * sizeof(*copy));
	memmove(&t->sources.items[first + count], &t->sources.items[first],
		(rows - &t->sources.items[first]) * sizeof(*copy));
	memcpy(&t->sources.items[first], copy, count * sizeof(*copy));
	return 0;
}

/* The sources have room for it. */
static int add_changed(struct mesh *mesh, const struct object *pod)
{
	struct home *home = mesh_home(mesh, pod->meta.namespace);
	struct source source = { .ns = mesh_namespace(mesh, pod->meta.namespace) };
	int r = home && source.ns ? 0 : -ENOMEM;

	if (!r)
		r = workload_of_labels(mesh->registry, mesh->t, &pod->meta.labels,
				       &source.workload);
	return r ? r : add_pod(mesh, pod, home->o, source);
}

int sources_change(struct mesh *mesh, const struct object_change *c, size_t at)
{
	struct tables *t = mesh->t;
	size_t first = c->old ? rows_before(mesh, at) : t->sources.count;
	size_t contests = mesh->contests, count;
	int r = 0;

	if (c->old)
		take_rows(t, first, c->old);
	count = t->sources.count;
	if (c->new)
		r = add_changed(mesh, c->new);
	if (!r && contests != mesh->contests)
		r = MESH_ANEW;
	return r ? r : move_rows(t, first, t->sources.count - count);
}

static int name_pod(struct mesh *mesh, const struct object *o)
{
	char key[HOST_MAX];
	size_t len = full_name(key, o->meta.namespace, o->meta.name);
	const char *copy = pool_copy(&mesh->lasting, key, len);
	void **at = copy ? bytemap_at(&mesh->pods_by_name, copy, len) : NULL;

	if (!at)
		return -ENOMEM;
	*at = (void *)o;
	return 0;
}

/* `at`: the pod that has the endpoint's address, which most often is the one. An index of all names
 * is made for the others alone. */
static const struct object *pod_named(struct mesh *mesh, const char *ns, const char *name,
				      const struct object *at)
{
	char key[HOST_MAX];
	size_t i;

	if (at && str_eq(at->meta.name, name) && str_eq(at->meta.namespace, ns))
		return at;
	if (!mesh->names_of_pods)
		mesh->nomem |= !!bytemap_reserve(&mesh->pods_by_name, mesh->pods.count);
	for (i = 0; i < mesh->pods.count && !mesh->names_of_pods && !mesh->nomem; i++)
		mesh->nomem = name_pod(mesh, mesh->pods.items[i]);
	mesh->names_of_pods = true;
	return bytemap_get(&mesh->pods_by_name, key, full_name(key, ns, name));
}

const struct object *member_pod(struct mesh *mesh, struct member *m)
{
	const struct endpoint_address *address = member_address(m);
	const struct addr *addr = &m->endpoint.addr;
	const struct object *at;

	if (m->pod)
		return m->pod;
	at = bytemap_get(&mesh->pods_by_addr, addr->b, sizeof(addr->b));
	m->host->knows_pods = true;
	if (address && address->target_name && str_eq(address->target_kind, "Pod")) {
		const char *ns = address->target_namespace ? address->target_namespace
							   : m->host->service->meta.namespace;

		m->pod = pod_named(mesh, ns, address->target_name, at);
		m->by_name = m->pod;
	}
	if (!m->pod)
		m->pod = at;
	return m->pod;
}

const struct kvs *member_labels(struct mesh *mesh, struct member *m)
{
	const struct object *pod;

	if (m->of_entry && m->workload)
		return &m->workload->labels;
	pod = member_pod(mesh, m);
	return pod ? &pod->meta.labels : NULL;
}
