// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/health_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytemap.h"
#include "lib/base/pool.h"
#include "lib/mesh/gateways.h"
#include "lib/model/hostname.h"

/* An endpoint that is counted. */
struct seen_key {
	struct addr addr;
	__u64 row;
};
_Static_assert(sizeof(struct seen_key) == 24, "seen_key is a hash key without holes");

/* Of a row while its endpoints are counted. */
struct tally {
	size_t count[FAMILY_MAX];
	bool slices, endpoints; /* it has objects of these kinds */
};

struct counting {
	const struct objects *objects;
	struct health_ports *out;
	struct tally *tallies; /* parallel to the rows */
	struct bytemap rows;   /* "NAMESPACE/NAME" -> the tally */
	struct bytemap seen;   /* struct seen_key -> itself */
	struct pool *pool;
};

void health_ports_free(struct health_ports *h)
{
	free(h->rows.items);
	*h = (struct health_ports){ 0 };
}

static bool is_asked(const struct object *o)
{
	const struct service_spec *s = &o->service;

	return o->kind == KIND_SERVICE && s->health_port && s->external_local && !s->foreign &&
	       str_eq(s->type, "LoadBalancer");
}

static int find_services(const struct objects *objects, struct health_ports *out)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];
		struct health_port *row = is_asked(o) ? table_push(&out->rows) : NULL;

		if (is_asked(o) && !row)
			return -ENOMEM;
		if (row)
			*row = (struct health_port){ .service = o, .port = o->service.health_port };
	}
	return 0;
}

static int index_rows(struct counting *c)
{
	c->tallies = calloc(c->out->rows.count, sizeof(*c->tallies));
	if (!c->tallies)
		return -ENOMEM;
	for (size_t i = 0; i < c->out->rows.count; i++) {
		const struct meta *m = &c->out->rows.items[i].service->meta;
		char *key = pool_printf(&c->pool, "%s/%s", m->namespace, m->name);
		void **at = key ? bytemap_at(&c->rows, key, strlen(key)) : NULL;

		if (!at)
			return -ENOMEM;
		*at = &c->tallies[i];
	}
	return 0;
}

/* An endpoint of several ports, or in several slices, is one. */
static int count_address(struct counting *c, struct tally *t, const struct addr *addr)
{
	struct seen_key key = { .addr = *addr, .row = t - c->tallies };
	const char *copy = pool_copy(&c->pool, (const char *)&key, sizeof(key));
	void **at = copy ? bytemap_at(&c->seen, copy, sizeof(key)) : NULL;

	if (!at)
		return -ENOMEM;
	if (!*at)
		t->count[addr_family(addr)]++;
	*at = (void *)copy;
	return 0;
}

static const char *node_of_pod(const struct objects *objects, const char *ns, const char *name)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_POD && str_eq(o->meta.name, name) &&
		    str_eq(o->meta.namespace, ns))
			return o->pod.node_name;
	}
	return NULL;
}

static bool is_here(const struct counting *c, const char *ns, const struct endpoint_address *a)
{
	const char *node = a->node_name;

	if (!c->objects->node)
		return true;
	if (!node && str_eq(a->target_kind, "Pod"))
		node = node_of_pod(c->objects, a->target_namespace ? a->target_namespace : ns,
				   a->target_name);
	return str_eq(node, c->objects->node);
}

static bool is_ready(const struct service_spec *s, const struct endpoint_address *a)
{
	return s->publish_not_ready || (a->ready && !a->terminating);
}

static int count_set(struct counting *c, struct tally *t, const char *ns,
		     const struct endpoint_set *set)
{
	const struct object *service = c->out->rows.items[t - c->tallies].service;
	int r = 0;

	for (size_t i = 0; i < set->addresses.count; i++) {
		const struct endpoint_address *a = &set->addresses.items[i];

		if (!is_ready(&service->service, a) || !is_here(c, ns, a))
			continue;
		for (enum family f = 0; f < FAMILY_MAX && !r; f++)
			if (a->given[f])
				r = count_address(c, t, &a->first[f]);
	}
	return r;
}

static struct tally *tally_of(struct counting *c, const struct object *o)
{
	char key[HOST_MAX];
	int n;

	if (!o->endpoints.service)
		return NULL;
	n = snprintf(key, sizeof(key), "%s/%s", o->meta.namespace, o->endpoints.service);
	return n < HOST_MAX ? bytemap_get(&c->rows, key, (size_t)n) : NULL;
}

/* EndpointSlices, or Endpoints where there are none of those. */
static int count_objects(struct counting *c, enum kind kind)
{
	int r = 0;

	for (size_t i = 0; i < c->objects->count && !r; i++) {
		const struct object *o = c->objects->items[i];
		struct tally *t = o->kind == kind ? tally_of(c, o) : NULL;

		if (!t || (kind == KIND_ENDPOINTS && t->slices))
			continue;
		*(kind == KIND_ENDPOINTS ? &t->endpoints : &t->slices) = true;
		for (size_t k = 0; k < o->endpoints.sets.count && !r; k++)
			r = count_set(c, t, o->meta.namespace, &o->endpoints.sets.items[k]);
	}
	return r;
}

static bool is_endpoint(const struct counting *c, const struct object *service,
			const struct object *o)
{
	const struct service_spec *s = &service->service;

	return o->kind == KIND_POD && s->selector.count &&
	       str_eq(o->meta.namespace, service->meta.namespace) &&
	       labels_hold(&o->meta.labels, &s->selector) && !str_eq(o->pod.phase, "Failed") &&
	       !str_eq(o->pod.phase, "Succeeded") &&
	       (s->publish_not_ready || (o->pod.ready && !o->pod.deleting)) &&
	       (!c->objects->node || str_eq(o->pod.node_name, c->objects->node));
}

/* Rules from files may have Pods alone. */
static int count_pods(struct counting *c, struct tally *t)
{
	const struct object *service = c->out->rows.items[t - c->tallies].service;
	struct addr addr;
	int r = 0;

	for (size_t i = 0; i < c->objects->count; i++) {
		const struct object *o = c->objects->items[i];

		if (!is_endpoint(c, service, o))
			continue;
		for (size_t k = 0; k < o->pod.ips.count && !r; k++)
			if (!addr_parse(o->pod.ips.items[k], &addr))
				r = count_address(c, t, &addr);
	}
	return r;
}

static bool has_port(const struct object *service, unsigned port)
{
	for (size_t i = 0; i < service->service.ports.count; i++) {
		const struct service_port *p = &service->service.ports.items[i];

		if (p->port == port || p->target_port == port)
			return true;
	}
	return false;
}

/* Whether weft itself answers at a port of the Service's. */
static bool is_door(const struct objects *objects, const struct object *service)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];

		if (o->kind != KIND_GATEWAY || !service_stands_for(service, &o->gateway))
			continue;
		for (size_t k = 0; k < o->gateway.servers.count; k++)
			if (has_port(service, o->gateway.servers.items[k].port))
				return true;
	}
	return false;
}

static void count_row(struct counting *c, size_t i)
{
	struct health_port *row = &c->out->rows.items[i];
	const size_t *count = c->tallies[i].count;

	row->local = count[FAMILY_V4] > count[FAMILY_V6] ? count[FAMILY_V4] : count[FAMILY_V6];
	if (!row->local && is_door(c->objects, row->service))
		row->local = 1;
}

static int count_all(struct counting *c)
{
	int r = index_rows(c);

	if (!r)
		r = count_objects(c, KIND_ENDPOINT_SLICE);
	if (!r)
		r = count_objects(c, KIND_ENDPOINTS);
	for (size_t i = 0; i < c->out->rows.count && !r; i++)
		if (!c->tallies[i].slices && !c->tallies[i].endpoints)
			r = count_pods(c, &c->tallies[i]);
	for (size_t i = 0; i < c->out->rows.count && !r; i++)
		count_row(c, i);
	return r;
}

int health_ports_find(const struct objects *objects, struct health_ports *out)
{
	struct counting c = { .objects = objects, .out = out };
	int r = find_services(objects, out);

	if (!r && out->rows.count)
		r = count_all(&c);
	free(c.tallies);
	bytemap_free(&c.rows);
	bytemap_free(&c.seen);
	pool_free(c.pool);
	return r;
}
