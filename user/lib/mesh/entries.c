// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/entries.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "lib/model/remarks.h"

bool entry_name(const char *given, char out[HOST_MAX])
{
	size_t len = given ? strlen(given) : 0;

	if (len && given[len - 1] == '.')
		len--;
	if (!len || len >= HOST_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)given[i]);
	out[len] = '\0';
	return true;
}

const struct strs *host_exports(const struct host *h)
{
	const struct entry_host *e = host_entry(h);

	return e ? &e->entries.items[0]->entry.export_to : NULL;
}

bool host_is_seen(const struct host *h, const char *client)
{
	const struct strs *to = host_exports(h);

	return !to || export_visible(to, h->service->meta.namespace, client);
}

/* ---- addresses ---- */

/* With the bits behind the prefix 0. */
static struct cidr whole(const struct cidr *given)
{
	struct cidr c = *given;

	for (unsigned i = c.prefix; i < 128; i++)
		c.addr.b[i / 8] &= (__u8) ~(0x80 >> i % 8);
	return c;
}

static int add_addresses(struct mesh *mesh, struct entry_host *e, const struct entry_spec *spec)
{
	size_t room = spec->ranges.count + e->addr_count + e->range_count + 1;
	struct addr *addrs = pool_alloc(&mesh->lasting, room * sizeof(*addrs));
	struct cidr *ranges = pool_alloc(&mesh->lasting, room * sizeof(*ranges));

	if (!addrs || !ranges)
		return -ENOMEM;
	if (e->addr_count)
		memcpy(addrs, e->addrs, e->addr_count * sizeof(*addrs));
	if (e->range_count)
		memcpy(ranges, e->ranges, e->range_count * sizeof(*ranges));
	e->addrs = addrs;
	e->ranges = ranges;
	for (size_t i = 0; i < spec->ranges.count; i++) {
		struct cidr c = whole(&spec->ranges.items[i]);

		if (c.prefix == 128)
			e->addrs[e->addr_count++] = c.addr;
		else
			e->ranges[e->range_count++] = c;
	}
	return 0;
}

/* ---- ports ---- */

static bool has_port(const struct service_spec *s, unsigned port)
{
	for (size_t i = 0; i < s->ports.count; i++)
		if (s->ports.items[i].port == port)
			return true;
	return false;
}

static int add_ports(struct mesh *mesh, struct entry_host *e, const struct entry_spec *spec)
{
	struct service_spec *s = &e->service.service;
	size_t room = s->ports.count + spec->ports.count + 1;
	struct service_port *items = pool_alloc(&mesh->lasting, room * sizeof(*items));

	if (!items)
		return -ENOMEM;
	if (s->ports.count)
		memcpy(items, s->ports.items, s->ports.count * sizeof(*items));
	s->ports.items = items;
	for (size_t i = 0; i < spec->ports.count; i++)
		if (!has_port(s, spec->ports.items[i].port))
			items[s->ports.count++] = spec->ports.items[i];
	return 0;
}

/* ---- hosts ---- */

static bool same_exports(const struct strs *a, const struct strs *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; i < a->count && same; i++)
		same = !strcmp(a->items[i], b->items[i]);
	return same;
}

static int unite(struct mesh *mesh, struct entry_host *e, const struct object *o)
{
	int r = refs_add(&mesh->lasting, &e->entries, o);

	if (!r)
		r = add_addresses(mesh, e, &o->entry);
	return r ? r : add_ports(mesh, e, &o->entry);
}

static struct pos host_pos(const struct object *o, size_t i)
{
	const struct strs *hosts = &o->entry.hosts;

	return hosts->at && hosts->at[i].line ? hosts->at[i] : o->pos;
}

static int begin_host(struct mesh *mesh, const struct object *o, const char *name, void **at)
{
	struct entry_host *e = pool_alloc(&mesh->lasting, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->service.kind = KIND_SERVICE_ENTRY;
	e->service.meta = o->meta;
	e->service.file = o->file;
	e->service.pos = o->pos;
	e->service.service.type = "ServiceEntry";
	e->resolution = o->entry.resolution;
	e->name = name;
	*at = e;
	return refs_add(&mesh->lasting, &mesh->services, &e->service) ?: unite(mesh, e, o);
}

static bool may_unite(const struct entry_host *e, const struct object *o)
{
	const struct object *first = e->entries.items[0];

	return str_eq(first->meta.namespace, o->meta.namespace) &&
	       e->resolution == o->entry.resolution &&
	       same_exports(&first->entry.export_to, &o->entry.export_to);
}

/* The index of a host among the entry's, and the one that is there. */
static int add_to_host(struct mesh *mesh, struct entry_host *e, const struct object *o, size_t i)
{
	const struct object *first = e->entries.items[0];
	char place[PLACE_MAX];

	if (e->entries.items[e->entries.count - 1] == o)
		return 0; /* it names the host twice */
	if (may_unite(e, o))
		return unite(mesh, e, o);
	errors_add(
		mesh->errors, o->file, host_pos(o, i),
		"spec.hosts[%zu]: weft does not carry out one host of ServiceEntries that differ "
		"in namespace, resolution or exportTo: serviceentry %s/%s (%s) has \"%s\"",
		i, first->meta.namespace, first->meta.name,
		place_text(place, sizeof(place), first->file, first->pos), e->name);
	return 0;
}

static int add_host(struct mesh *mesh, struct bytemap *known, const struct object *o, size_t i)
{
	char text[HOST_MAX], *name;
	void **at;

	if (!entry_name(o->entry.hosts.items[i], text))
		return 0;
	name = pool_copy(&mesh->lasting, text, strlen(text));
	at = name ? bytemap_at(known, name, strlen(name)) : NULL;
	if (!at)
		return -ENOMEM;
	return *at ? add_to_host(mesh, *at, o, i) : begin_host(mesh, o, name, at);
}

int entries_add(struct mesh *mesh)
{
	struct bytemap known = { 0 };
	int r = 0;

	for (size_t i = 0; i < mesh->entries.count && !r; i++) {
		const struct object *o = mesh->entries.items[i];

		for (size_t k = 0; k < o->entry.hosts.count && !r; k++)
			r = add_host(mesh, &known, o, k);
	}
	bytemap_free(&known);
	return r;
}
