// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/external.h"

#include <string.h>

#include "lib/model/remarks.h"

bool external_next(const struct service_spec *s, size_t *next, struct external *out)
{
	size_t balancers = s->ingress.count;

	/* A headless Service has no address at all, an ExternalName is a name alone. */
	if (str_eq(s->type, "ExternalName") || service_is_headless(s))
		return false;
	for (; *next < balancers; (*next)++) {
		const struct lb_ingress *i = &s->ingress.items[*next];

		if (i->proxied || !i->ip || addr_parse(i->ip, &out->addr))
			continue;
		out->guarded = s->source_ranges.count;
		(*next)++;
		return true;
	}
	for (; *next - balancers < s->external_ips.count; (*next)++) {
		if (addr_parse(s->external_ips.items[*next - balancers], &out->addr))
			continue;
		out->guarded = false;
		(*next)++;
		return true;
	}
	return false;
}

/* As the map has it. */
struct external_key {
	struct addr addr;
	__u64 port;
};
_Static_assert(sizeof(struct external_key) == 24, "external_key is a hash key without holes");

static void remark_taken(struct mesh *mesh, const struct host *h, const struct external *e,
			 unsigned port, const struct host *owner)
{
	const struct object *o = h->service;
	char text[ADDR_TEXT_MAX];

	addr_format_port(&e->addr, port, text);
	if (!owner)
		errors_remark(mesh->errors, REMARK_EXTERNAL_TAKEN, o, o->pos,
			      "service %s/%s: %s is a Gateway's, which is bound to it: what is "
			      "called there goes to that one",
			      o->meta.namespace, o->meta.name, text);
	else
		errors_remark(mesh->errors, REMARK_EXTERNAL_TAKEN, o, o->pos,
			      "service %s/%s: %s is service %s/%s's already: what is called there "
			      "goes to "
			      "that one",
			      o->meta.namespace, o->meta.name, text, owner->service->meta.namespace,
			      owner->service->meta.name);
}

static struct external_owner *find_owner(struct mesh *mesh, const struct addr *addr, unsigned port)
{
	struct external_key key = { .addr = *addr, .port = port };

	return bytemap_get(&mesh->externals, (const char *)&key, sizeof(key));
}

static bool give(struct mesh *mesh, const struct addr *addr, unsigned port, struct host *h,
		 bool door)
{
	struct external_key key = { .addr = *addr, .port = port };
	const char *copy = pool_copy(&mesh->pool, (const char *)&key, sizeof(key));
	struct external_owner *owner = pool_alloc(&mesh->pool, sizeof(*owner));
	void **at = copy && owner ? bytemap_at(&mesh->externals, copy, sizeof(key)) : NULL;

	if (!at) {
		mesh->nomem = true;
		return false;
	}
	*owner = (struct external_owner){ .host = h, .door = door };
	*at = owner;
	return true;
}

bool external_claim(struct mesh *mesh, struct host *h, const struct external *e, unsigned port,
		    bool door)
{
	struct host *other = bytemap_get(&mesh->addresses, e->addr.b, sizeof(e->addr.b));
	struct external_owner *owner = find_owner(mesh, &e->addr, port);

	if (!other && !owner)
		return give(mesh, &e->addr, port, h, door);
	if (other ? other != h : owner->host != h && (owner->host || !door))
		remark_taken(mesh, h, e, port, other ? other : owner->host);
	return false;
}

bool external_claim_bound(struct mesh *mesh, const struct addr *addr, unsigned port)
{
	return !bytemap_get(&mesh->addresses, addr->b, sizeof(addr->b)) &&
	       !find_owner(mesh, addr, port) && give(mesh, addr, port, NULL, true);
}

struct external_owner external_owner(struct mesh *mesh, const struct addr *addr, unsigned port)
{
	const struct external_owner *owner = find_owner(mesh, addr, port);

	return owner ? *owner : (struct external_owner){ 0 };
}
