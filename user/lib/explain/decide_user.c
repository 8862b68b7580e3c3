// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/decide_user.h"

#include <string.h>

#include "lib/model/hostname.h"
#include "weft/conn.h"

/* decide() takes no context of the includer's: what it reads is set for the duration of one call.
 */
static _Thread_local struct {
	const struct tables *t;
	const struct decide_context *c;
	struct source given;
} now;

/* A workload number that no Pod has, for a client that is none. */
enum { NO_POD = 0xffffffff };

static const struct service *table_service(__u32 generation, const struct service_key *key)
{
	size_t i;

	(void)generation;
	for (i = 0; i < now.t->services.count; i++)
		if (!memcmp(&now.t->services.items[i].key, key, sizeof(*key)))
			return &now.t->services.items[i].value;
	for (i = 0; i < now.t->unaddressed.count; i++)
		if (!memcmp(&now.t->unaddressed.items[i].key, key, sizeof(*key)))
			return &now.t->unaddressed.items[i].value;
	return NULL;
}

static const struct rule *table_rule(__u32 generation, __u32 i)
{
	(void)generation;
	return i < now.t->rules.count ? &now.t->rules.items[i] : NULL;
}

static const struct route *table_route(__u32 generation, __u32 i)
{
	(void)generation;
	return i < now.t->routes.count ? &now.t->routes.items[i] : NULL;
}

static const struct dest *table_dest(__u32 generation, __u32 i)
{
	(void)generation;
	return i < now.t->dests.count ? &now.t->dests.items[i] : NULL;
}

static const struct cluster *table_cluster(__u32 generation, __u32 i)
{
	(void)generation;
	return i < now.t->clusters.count ? &now.t->clusters.items[i] : NULL;
}

static const struct endpoint *table_endpoint(__u32 generation, __u32 i)
{
	(void)generation;
	return i < now.t->endpoints.count ? &now.t->endpoints.items[i] : NULL;
}

static const struct source *table_source(__u32 generation, const struct addr *addr)
{
	size_t i;

	(void)generation;
	if (now.c->given)
		return &now.given;
	for (i = 0; i < now.t->sources.count; i++)
		if (!memcmp(&now.t->sources.items[i].addr, addr, sizeof(*addr)))
			return &now.t->sources.items[i].value;
	return NULL;
}

static int table_selected(__u32 generation, const struct selected_key *key)
{
	size_t i;

	(void)generation;
	if (key->workload == (__u32)NO_POD) {
		static const struct kvs none;
		const struct kvs *labels = now.c->labels ? now.c->labels : &none;

		return key->selector - 1 < now.t->selectors.count &&
		       labels_hold(labels, &now.t->selectors.items[key->selector - 1]);
	}
	for (i = 0; i < now.t->selected.count; i++)
		if (now.t->selected.items[i].workload == key->workload &&
		    now.t->selected.items[i].selector == key->selector)
			return 1;
	return 0;
}

static __u64 route_turn(__u32 id, int dry)
{
	(void)dry;
	return now.c->route_turn ? now.c->route_turn(now.c->arg, id) : 0;
}

static __u64 cluster_turn(__u32 id, int dry)
{
	(void)dry;
	return now.c->cluster_turn ? now.c->cluster_turn(now.c->arg, id) : 0;
}

static __u64 endpoint_active(__u32 id)
{
	return now.c->endpoint_active ? now.c->endpoint_active(now.c->arg, id) : 0;
}

/* The same answer to the same question. */
static __u32 random_u32(void)
{
	return 0;
}

static __u32 affinity_endpoint(const struct affinity_key *key, __u32 timeout_s)
{
	(void)key;
	(void)timeout_s;
	return 0;
}

static long bpf_loop(__u32 n, long (*callback)(__u32 index, void *ctx), void *ctx, __u64 flags)
{
	__u32 i;

	(void)flags;
	for (i = 0; i < n; i++)
		if (callback(i, ctx))
			return i + 1;
	return n;
}

#include "bpf/decide.bpf.h"

void decide_tables(const struct tables *t, const struct decide_context *context,
		   const struct question *q, struct verdict *v)
{
	struct question dry = *q;

	now.t = t;
	now.c = context;
	now.given = (struct source){ .ns = context->ns, .workload = NO_POD };
	dry.dry = 1;
	memset(v, 0, sizeof(*v));
	decide(&dry, v);
	now.t = NULL;
	now.c = NULL;
}
