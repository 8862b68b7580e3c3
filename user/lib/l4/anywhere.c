// SPDX-License-Identifier: Apache-2.0
/*
 * Ports of ServiceEntries that are called at addresses which no table has: at any, where the name
 * that the client asks for says what it calls, or nothing but the port does; and at those of a
 * subnet.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/l4/gateway.h"
#include "lib/l4/l4.h"
#include "lib/l4/rules.h"
#include "lib/mesh/entries.h"
#include "lib/mesh/proxied.h"
#include "lib/mesh/visibility.h"
#include "lib/model/remarks.h"

enum reach { REACH_RANGE, REACH_PROXY, REACH_ANY };

/* One way to a host's port. */
struct way {
	struct mesh_port *sp;
	const struct cidr *range; /* REACH_RANGE */
	enum reach reach;
	size_t order;
};

struct ways {
	TABLE(struct way) list;
};

/* Ways to one port. */
struct site {
	const struct way *ways;
	size_t count;
	unsigned port;
};

static int add_way(struct ways *out, struct mesh_port *sp, enum reach reach,
		   const struct cidr *range)
{
	struct way *w = table_push(&out->list);

	if (!w)
		return -ENOMEM;
	*w = (struct way){ sp, range, reach, out->list.count };
	return 0;
}

/* Requests go by their Host wherever they are sent, as in Istio. */
static int add_port(struct mesh *mesh, struct ways *out, struct host *h, struct mesh_port *sp)
{
	const struct entry_host *e = host_entry(h);
	int r = 0;

	if (sp->proxied && (port_carries_http(mesh, h, sp) || host_is_anywhere(h)))
		return add_way(out, sp, REACH_PROXY, NULL);
	for (size_t i = 0; i < e->range_count && !r; i++)
		r = add_way(out, sp, REACH_RANGE, &e->ranges[i]);
	return host_is_anywhere(h) ? add_way(out, sp, REACH_ANY, NULL) : r;
}

/* By port; subnets come first, the narrowest first of all. */
static int compare_ways(const void *a, const void *b)
{
	const struct way *x = a, *y = b;

	if (x->sp->port->port != y->sp->port->port)
		return x->sp->port->port < y->sp->port->port ? -1 : 1;
	if (x->reach != y->reach)
		return x->reach < y->reach ? -1 : 1;
	if (x->reach == REACH_RANGE && x->range->prefix != y->range->prefix)
		return x->range->prefix > y->range->prefix ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static int plan_range(struct mesh *mesh, struct called to, const struct way *w, struct l4_plan *out)
{
	_cleanup_(plan_free) struct l4_plan own = { 0 };
	int r;

	if (addr_family(&w->range->addr) != to.family || !host_is_seen(w->sp->host, to.client))
		return 0;
	to.host = w->sp->host;
	to.sp = w->sp;
	to.addr = &w->range->addr;
	r = plan_called(mesh, &to, &own);
	return r ? r : plan_within(mesh, to.host->service, w->range, &own, out);
}

/* The first that the client sees, of what has the port at any address. */
static const struct way *way_for_all(const struct site *s, const char *client)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->ways[i].reach != REACH_RANGE && host_is_seen(s->ways[i].sp->host, client))
			return &s->ways[i];
	return NULL;
}

static int plan_site(struct mesh *mesh, const struct site *s, const struct called *to,
		     struct l4_plan *out)
{
	const struct way *all = way_for_all(s, to->client);
	const struct object *first = s->ways[0].sp->host->service;
	struct called at = *to;
	int r = 0;

	for (size_t i = 0; i < s->count && s->ways[i].reach == REACH_RANGE && !r; i++)
		r = plan_range(mesh, *to, &s->ways[i], out);
	if (r)
		return r;
	if (!all)
		return plan_unknown(mesh, first, first->pos, "to any other address", out);
	at.host = all->sp->host;
	at.sp = all->sp;
	return plan_called(mesh, &at, out);
}

/* ---- entries ---- */

static int write_entry(struct mesh *mesh, const struct site *s, const struct called *to,
		       const struct l4_plan *plan, __u32 ns, __u32 flags)
{
	const struct way *all = way_for_all(s, to->client);
	const struct host *h = (all ? all : s->ways)->sp->host;
	struct service_key key = {
		.addr = *to->addr, .ns = ns, .port = (__u16)s->port, .scope = SCOPE_ANYWHERE
	};
	struct service_origin origin = { .namespace = h->service->meta.namespace,
					 .name = h->service->meta.name,
					 .host = h->name };
	struct service value = { .flags = flags };
	char name[PORT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "anywhere:%u", s->port);
	value.id = registry_id(mesh->registry, REG_SERVICE, name);
	r = value.id ? plan_write(mesh, (struct l4_plan *)plan, &value) : -ENOMEM;
	return r ? r : entry_write(mesh, &key, &value, &origin, plan);
}

static int write_variants(struct mesh *mesh, const struct site *s, struct called to,
			  const struct names *names, const struct l4_plan *all, bool *any)
{
	int r = 0;

	for (size_t i = 0; i < names->count && !r; i++) {
		_cleanup_(plan_free) struct l4_plan own = { 0 };
		__u32 ns;

		to.client = names->items[i];
		r = plan_site(mesh, s, &to, &own);
		if (r || plan_equal(&own, all))
			continue;
		*any = true;
		ns = mesh_namespace(mesh, to.client);
		r = ns ? write_entry(mesh, s, &to, &own, ns, 0) : -ENOMEM;
	}
	return r;
}

static int compile_family(struct mesh *mesh, const struct site *s, enum family family,
			  const struct names *names)
{
	_cleanup_(plan_free) struct l4_plan all = { 0 };
	const struct service_key any = node_port_key(family, s->port);
	struct called to = { .port = s->port, .family = family, .addr = &any.addr };
	bool variants = false;
	int r = plan_site(mesh, s, &to, &all);

	if (!r)
		r = write_variants(mesh, s, to, names, &all, &variants);
	return r ? r : write_entry(mesh, s, &to, &all, 0, variants ? SERVICE_PER_NAMESPACE : 0);
}

/* The port has another host's connections that ask for no name: which one is meant, nothing says.
 */
static void remark_hidden(struct mesh *mesh, const struct site *s, const struct way *w)
{
	const struct object *o = w->sp->host->service;
	const struct way *all = way_for_all(s, o->meta.namespace);

	if (w->reach != REACH_ANY || !all || all == w)
		return;
	errors_remark(mesh->errors, REMARK_EXTERNAL_TAKEN, o,
		      w->sp->port->pos.line ? w->sp->port->pos : o->pos,
		      "spec.ports: \"%s\" has no address, and port %u is that of \"%s\" "
		      "already: what is called there goes to that one",
		      w->sp->host->name, s->port, all->sp->host->name);
}

static int compile_site(struct mesh *mesh, const struct site *s)
{
	_cleanup_(names_free) struct names names = { 0 };
	int r = 0;

	for (size_t i = 0; i < s->count && !r; i++) {
		r = names_add_clients(mesh, &names, s->ways[i].sp->host);
		remark_hidden(mesh, s, &s->ways[i]);
	}
	for (enum family family = 0; family < FAMILY_MAX && !r; family++)
		r = compile_family(mesh, s, family, &names);
	return r;
}

static int compile_sites(struct mesh *mesh, const struct ways *ways)
{
	size_t end;
	int r = 0;

	for (size_t i = 0; i < ways->list.count && !r; i = end) {
		struct site s = { .ways = &ways->list.items[i],
				  .port = ways->list.items[i].sp->port->port };

		for (end = i;
		     end < ways->list.count && ways->list.items[end].sp->port->port == s.port;)
			end++;
		s.count = end - i;
		r = compile_site(mesh, &s);
	}
	return r;
}

int l4_anywhere(struct mesh *mesh)
{
	struct ways ways = { 0 };
	int r = 0;

	for (size_t i = 0; mesh->entries.count && i < mesh->services.count && !r; i++) {
		struct host *h = &mesh->host_list[i];

		for (size_t k = 0; h->name && host_entry(h) && k < h->port_count && !r; k++)
			r = add_port(mesh, &ways, h, &h->ports[k]);
	}
	if (!r && ways.list.count)
		qsort(ways.list.items, ways.list.count, sizeof(*ways.list.items), compare_ways);
	if (!r)
		r = compile_sites(mesh, &ways);
	free(ways.list.items);
	return r;
}
