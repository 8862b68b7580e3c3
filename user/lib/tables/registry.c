// SPDX-License-Identifier: Apache-2.0
/*
 * Stable ids: per kind, one table of (name, id) pairs with an index by name and one by id. Ids
 * found elsewhere, and those that are hashes, leave gaps, so an id is not an index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytemap.h"
#include "lib/base/addr.h"
#include "lib/base/pool.h"
#include "lib/tables/registry.h"
#include "weft/traffic.h"

struct entry {
	const char *name;
	__u32 id;
};

struct id_names {
	struct bytemap by_name, by_id; /* -> struct entry */
	__u32 last;
};

/* What an endpoint is found by: it has no holes. */
struct endpoint_key {
	struct addr addr;
	__u64 port;
};

struct registry {
	struct id_names kinds[REG_MAX];
	struct bytemap endpoints; /* struct endpoint_key -> struct known_endpoint */
	__u64 stamp;
	struct pool *pool;
};

struct registry *registry_new(void)
{
	return calloc(1, sizeof(struct registry));
}

void registry_free(struct registry *r)
{
	size_t i;

	if (!r)
		return;
	for (i = 0; i < REG_MAX; i++) {
		bytemap_free(&r->kinds[i].by_name);
		bytemap_free(&r->kinds[i].by_id);
	}
	bytemap_free(&r->endpoints);
	pool_free(r->pool);
	free(r);
}

static int names_add(struct registry *r, struct id_names *n, const char *name, size_t len, __u32 id)
{
	struct entry *e = pool_alloc(&r->pool, sizeof(*e));
	char *copy = pool_copy(&r->pool, name, len);
	void **by_name, **by_id;

	if (!e || !copy)
		return -ENOMEM;
	*e = (struct entry){ .name = copy, .id = id };
	by_id = bytemap_at(&n->by_id, &e->id, sizeof(e->id));
	if (!by_id)
		return -ENOMEM;
	*by_id = e;
	by_name = bytemap_at(&n->by_name, copy, len);
	if (!by_name)
		return -ENOMEM;
	*by_name = e;
	if (id > n->last)
		n->last = id;
	return 0;
}

/* Ids of clusters are indexes of `limits`: once the last one has been given, those that are free.
 */
static __u32 next_cluster_id(struct id_names *n)
{
	__u32 id = n->last + 1;

	if (id < CLUSTER_IDS_MAX)
		return id;
	for (id = 1; id < CLUSTER_IDS_MAX && bytemap_get(&n->by_id, &id, sizeof(id)); id++)
		;
	return id < CLUSTER_IDS_MAX ? id : 0;
}

static __u32 next_id(struct id_names *n, enum registry_kind kind)
{
	if (kind == REG_CLUSTER)
		return next_cluster_id(n);
	if (kind == REG_PEER && n->last + 1 >= TRAFFIC_PEERS_MAX)
		return 0;
	return n->last == UINT32_MAX ? 0 : n->last + 1;
}

/* The hash, or the first free number behind it; 0 is no id. */
static __u32 hashed_id(struct id_names *n, const char *name, size_t len)
{
	__u32 id = bytes_hash(name, len);

	while (!id || bytemap_get(&n->by_id, &id, sizeof(id)))
		id++;
	return id;
}

__u32 registry_id(struct registry *r, enum registry_kind kind, const char *name)
{
	struct id_names *n = &r->kinds[kind];
	size_t len = strlen(name);
	struct entry *e = bytemap_get(&n->by_name, name, len);
	__u32 id;

	if (e)
		return e->id;
	id = kind == REG_SERVICE ? hashed_id(n, name, len) : next_id(n, kind);
	return id && !names_add(r, n, name, len, id) ? id : 0;
}

const char *registry_name(struct registry *r, enum registry_kind kind, __u32 id)
{
	struct entry *e = bytemap_get(&r->kinds[kind].by_id, &id, sizeof(id));

	return e ? e->name : NULL;
}

int registry_adopt(struct registry *r, enum registry_kind kind, const char *name, __u32 id)
{
	struct id_names *n = &r->kinds[kind];
	struct entry *by_name = bytemap_str(&n->by_name, name);
	struct entry *by_id = bytemap_get(&n->by_id, &id, sizeof(id));

	if (!id)
		return -EINVAL;
	if (by_name && by_name == by_id)
		return 0;
	if (by_name || by_id)
		return -EEXIST;
	return names_add(r, n, name, strlen(name), id);
}

/* The endpoint and the key that leads to it lie side by side: one less trip to memory. */
struct keyed_endpoint {
	struct known_endpoint known;
	struct endpoint_key key;
};

static struct known_endpoint *endpoint_new(struct registry *r, const struct endpoint_key *key)
{
	struct keyed_endpoint *e = pool_alloc(&r->pool, sizeof(*e));
	char name[ADDR_TEXT_MAX];
	void **at;

	if (!e)
		return NULL;
	e->key = *key;
	addr_format_port(&key->addr, key->port, name);
	e->known.endpoint.addr = key->addr;
	e->known.endpoint.port = key->port;
	e->known.endpoint.id = registry_id(r, REG_ENDPOINT, name);
	e->known.name = registry_name(r, REG_ENDPOINT, e->known.endpoint.id);
	at = e->known.name ? bytemap_at(&r->endpoints, &e->key, sizeof(e->key)) : NULL;
	if (!at)
		return NULL;
	*at = &e->known;
	return &e->known;
}

struct known_endpoint *registry_endpoint(struct registry *r, const struct addr *addr, __u16 port)
{
	struct endpoint_key key = { .addr = *addr, .port = port };
	struct known_endpoint *e = bytemap_get(&r->endpoints, &key, sizeof(key));

	return e ? e : endpoint_new(r, &key);
}

__u64 registry_stamp(struct registry *r)
{
	return ++r->stamp;
}
