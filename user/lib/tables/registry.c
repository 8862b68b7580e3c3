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
	__u64 mark; /* registry_review()'s */
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

/* Names that go have memory of their own, in one piece; the others have the registry's. */
static bool is_passing(enum registry_kind kind)
{
	return kind == REG_PEER;
}

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
		for (size_t at = 0; is_passing(i) && at < r->kinds[i].by_id.count; at++)
			free(r->kinds[i].by_id.entries[at].value);
		bytemap_free(&r->kinds[i].by_name);
		bytemap_free(&r->kinds[i].by_id);
	}
	bytemap_free(&r->endpoints);
	pool_free(r->pool);
	free(r);
}

static struct entry *entry_new(struct registry *r, enum registry_kind kind, const char *name,
			       size_t len)
{
	size_t size = sizeof(struct entry) + len + 1;
	struct entry *e = is_passing(kind) ? malloc(size) : pool_alloc(&r->pool, size);

	if (!e)
		return NULL;
	*e = (struct entry){ .name = (char *)(e + 1) };
	memcpy(e + 1, name, len + 1);
	return e;
}

static int names_add(struct registry *r, enum registry_kind kind, const char *name, size_t len,
		     __u32 id)
{
	struct id_names *n = &r->kinds[kind];
	struct entry *e;

	if (bytemap_reserve(&n->by_id, n->by_id.count + 1) ||
	    bytemap_reserve(&n->by_name, n->by_name.count + 1))
		return -ENOMEM;
	e = entry_new(r, kind, name, len);
	if (!e)
		return -ENOMEM;
	e->id = id;
	*bytemap_at(&n->by_id, &e->id, sizeof(e->id)) = e;
	*bytemap_at(&n->by_name, e->name, len) = e;
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
	if (kind == REG_PEER &&
	    (n->by_id.count + 1 >= TRAFFIC_PEERS_MAX || n->last + 1 >= TRAFFIC_PEER_IDS_MAX))
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

	if (e) {
		e->mark = 0; /* it is wanted: a snapshot that has it may be under way */
		return e->id;
	}
	id = kind == REG_SERVICE ? hashed_id(n, name, len) : next_id(n, kind);
	return id && !names_add(r, kind, name, len, id) ? id : 0;
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
	return names_add(r, kind, name, strlen(name), id);
}

/* ---- names that go ---- */

/* The mark of a name that goes. */
#define GOES UINT64_MAX

/* Without the names that go. There is room for the others. */
static void rebuild(struct id_names *to, const struct id_names *from)
{
	for (size_t i = 0; i < from->by_id.count; i++) {
		struct entry *e = from->by_id.entries[i].value;

		if (e->mark == GOES) {
			free(e);
			continue;
		}
		*bytemap_at(&to->by_id, &e->id, sizeof(e->id)) = e;
		*bytemap_at(&to->by_name, e->name, strlen(e->name)) = e;
	}
}

static void keep_all(struct id_names *n)
{
	for (size_t i = 0; i < n->by_id.count; i++) {
		struct entry *e = n->by_id.entries[i].value;

		if (e->mark == GOES)
			e->mark = 0;
	}
}

static int drop_marked(struct id_names *n, size_t left)
{
	struct id_names fresh = { .last = n->last };

	if (bytemap_reserve(&fresh.by_id, left) || bytemap_reserve(&fresh.by_name, left)) {
		bytemap_free(&fresh.by_id);
		keep_all(n);
		return -ENOMEM;
	}
	rebuild(&fresh, n);
	bytemap_free(&n->by_id);
	bytemap_free(&n->by_name);
	*n = fresh;
	return 0;
}

int registry_review(struct registry *r, enum registry_kind kind,
		    bool (*keep)(void *arg, __u32 id, __u64 *mark), void *arg)
{
	struct id_names *n = &r->kinds[kind];
	size_t left = 0;

	if (!is_passing(kind))
		return -EINVAL;
	for (size_t i = 0; i < n->by_id.count; i++) {
		struct entry *e = n->by_id.entries[i].value;

		if (e->id == n->last || keep(arg, e->id, &e->mark))
			left++;
		else
			e->mark = GOES;
	}
	return left < n->by_id.count ? drop_marked(n, left) : 0;
}

__u32 registry_last(const struct registry *r, enum registry_kind kind)
{
	return r->kinds[kind].last;
}

size_t registry_count(const struct registry *r, enum registry_kind kind)
{
	return r->kinds[kind].by_id.count;
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
