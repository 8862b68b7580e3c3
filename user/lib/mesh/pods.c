// SPDX-License-Identifier: Apache-2.0
/*
 * Pods, found by label, address or name.
 */
#include "lib/mesh/mesh.h"

#include <errno.h>

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

static int add_labels(struct world *w, const char *ns, const struct object *o)
{
	char key[LABEL_KEY_MAX];
	size_t i;
	int r;

	for (i = 0; i < o->meta.labels.count; i++) {
		r = refs_add_at(w, &w->pods_by_label, key,
				label_key(key, ns, &o->meta.labels.items[i]), o);
		if (r)
			return r;
	}
	return 0;
}

/* Built when first asked for: most compilations need at most one of the two. */
static void label_pods(struct world *w, bool all)
{
	bool *done = all ? &w->labels_of_all : &w->labels_by_namespace;
	size_t i;

	if (*done)
		return;
	*done = true;
	for (i = 0; i < w->pods.count && !w->nomem; i++)
		w->nomem = add_labels(w, all ? "" : w->pods.items[i]->meta.namespace,
				      w->pods.items[i]);
}

const struct refs *world_pods_by_label(struct world *w, const char *ns, const struct kvs *labels)
{
	char key[LABEL_KEY_MAX];

	if (!labels->count)
		return NULL;
	label_pods(w, !ns);
	return bytemap_get(&w->pods_by_label, key, label_key(key, ns ? ns : "", &labels->items[0]));
}

/* A finished pod's address may belong to another one by now. */
static bool pod_is_over(const struct object *o)
{
	return str_eq(o->pod.phase, "Failed") || str_eq(o->pod.phase, "Succeeded");
}

static size_t count_addresses(const struct world *w)
{
	size_t i, n = 0;

	for (i = 0; i < w->pods.count; i++)
		n += w->pods.items[i]->pod.ips.count;
	return n;
}

/* The keys of pods_by_addr are the sources' own addresses: their array is made large enough to stay
 * where it is. */
static int reserve_sources(struct world *w)
{
	size_t n = count_addresses(w);

	w->t->sources.items = calloc(n + 1, sizeof(*w->t->sources.items));
	if (!w->t->sources.items)
		return -ENOMEM;
	w->t->sources.room = n + 1;
	return bytemap_reserve(&w->pods_by_addr, n);
}

/* An address that two pods claim is that of the first. */
static int add_source(struct world *w, const struct object *o, const char *ip, __u32 ns,
		      __u32 workload)
{
	struct source_entry *s = &w->t->sources.items[w->t->sources.count];
	void **at;

	if (addr_parse(ip, &s->addr))
		return 0;
	at = bytemap_at(&w->pods_by_addr, s->addr.b, sizeof(s->addr.b));
	if (!at)
		return -ENOMEM;
	if (*at)
		return 0;
	*at = (void *)o;
	s->value = (struct source){ .ns = ns, .workload = workload };
	s->pod = o;
	w->t->sources.count++;
	return 0;
}

int world_sources(struct world *w)
{
	size_t i, k;
	int r = reserve_sources(w);

	for (i = 0; i < w->pods.count && !r; i++) {
		const struct object *o = w->pods.items[i];
		__u32 ns = world_namespace(w, o->meta.namespace);

		if (!ns)
			return -ENOMEM;
		for (k = 0; k < o->pod.ips.count && !pod_is_over(o) && !o->pod.host_network && !r;
		     k++)
			r = add_source(w, o, o->pod.ips.items[k], ns, i + 1);
	}
	return r;
}

static int name_pod(struct world *w, const struct object *o)
{
	char key[HOST_MAX];
	size_t len = full_name(key, o->meta.namespace, o->meta.name);
	const char *copy = pool_copy(&w->pool, key, len);
	void **at = copy ? bytemap_at(&w->pods_by_name, copy, len) : NULL;

	if (!at)
		return -ENOMEM;
	*at = (void *)o;
	return 0;
}

static const struct object *pod_named(struct world *w, const char *ns, const char *name)
{
	char key[HOST_MAX];
	size_t i;

	if (!w->names_of_pods)
		w->nomem |= !!bytemap_reserve(&w->pods_by_name, w->pods.count);
	for (i = 0; i < w->pods.count && !w->names_of_pods && !w->nomem; i++)
		w->nomem = name_pod(w, w->pods.items[i]);
	w->names_of_pods = true;
	return bytemap_get(&w->pods_by_name, key, full_name(key, ns, name));
}

const struct object *member_pod(struct world *w, struct member *m)
{
	if (m->pod)
		return m->pod;
	if (m->address && m->address->target_name && str_eq(m->address->target_kind, "Pod")) {
		const char *ns = m->address->target_namespace ? m->address->target_namespace
							      : m->ns;

		m->pod = pod_named(w, ns, m->address->target_name);
	}
	if (!m->pod)
		m->pod = bytemap_get(&w->pods_by_addr, m->endpoint.addr.b,
				     sizeof(m->endpoint.addr.b));
	return m->pod;
}
