// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/decide_user.h"

#include <stddef.h>
#include <string.h>

#include "lib/model/hostname.h"
#include "weft/conn.h"

/* A question, and what it is asked of: decide() hands the accessors the question alone. */
struct asked {
	struct question q;
	const struct tables *t;
	const struct decide_context *c;
	struct source given;
};

typedef const struct asked *tables_ref;

static tables_ref tables_of(const struct question *q)
{
	return (tables_ref)((const char *)q - offsetof(struct asked, q));
}

/* A workload number that no Pod has, for a client that is none. */
enum { NO_POD = 0xffffffff };

static const struct service *table_service(tables_ref a, const struct service_key *key)
{
	size_t i;

	for (i = 0; i < a->t->services.count; i++)
		if (!memcmp(&a->t->services.items[i].key, key, sizeof(*key)))
			return &a->t->services.items[i].value;
	for (i = 0; i < a->t->unaddressed.count; i++)
		if (!memcmp(&a->t->unaddressed.items[i].key, key, sizeof(*key)))
			return &a->t->unaddressed.items[i].value;
	return NULL;
}

static const struct rule *table_rule(tables_ref a, __u32 i)
{
	return i < a->t->rules.count ? &a->t->rules.items[i] : NULL;
}

static const struct admit *table_admit(tables_ref a, __u32 i)
{
	return i < a->t->admits.count ? &a->t->admits.items[i] : NULL;
}

static const struct route *table_route(tables_ref a, __u32 i)
{
	return i < a->t->routes.count ? &a->t->routes.items[i] : NULL;
}

static const struct dest *table_dest(tables_ref a, __u32 i)
{
	return i < a->t->dests.count ? &a->t->dests.items[i] : NULL;
}

static const struct cluster *table_cluster(tables_ref a, __u32 i)
{
	return i < a->t->clusters.count ? &a->t->clusters.items[i] : NULL;
}

static const struct endpoint *table_endpoint(tables_ref a, __u32 i)
{
	return i < a->t->endpoints.count ? &a->t->endpoints.items[i] : NULL;
}

static struct endpoint_range cluster_range(const struct cluster *c)
{
	return (struct endpoint_range){ c->ep_first, c->ep_count };
}

static const struct source *table_source(tables_ref a, const struct addr *addr)
{
	size_t i;

	if (a->c->given)
		return &a->given;
	for (i = 0; i < a->t->sources.count; i++)
		if (!memcmp(&a->t->sources.items[i].addr, addr, sizeof(*addr)))
			return &a->t->sources.items[i].value;
	return NULL;
}

static int may_be_anywhere(tables_ref a, const struct addr *addr, __u16 port)
{
	(void)port;
	if (addr_is_on_link(addr))
		return 0;
	for (size_t i = 0; i < a->t->sources.count; i++)
		if (!memcmp(&a->t->sources.items[i].addr, addr, sizeof(*addr)))
			return 0;
	return 1;
}

static int table_selected(tables_ref a, const struct selected_key *key)
{
	size_t i;

	if (key->workload == (__u32)NO_POD) {
		static const struct kvs none;
		const struct kvs *labels = a->c->labels ? a->c->labels : &none;
		const struct kvs *wanted = tables_selector(a->t, key->selector);

		return wanted && labels_hold(labels, wanted);
	}
	for (i = 0; i < a->t->selected.count; i++)
		if (a->t->selected.items[i].workload == key->workload &&
		    a->t->selected.items[i].selector == key->selector)
			return 1;
	return 0;
}

static __u64 route_turn(tables_ref a, __u32 id, int dry)
{
	(void)dry;
	return a->c->route_turn ? a->c->route_turn(a->c->arg, id) : 0;
}

static __u64 cluster_turn(tables_ref a, __u32 id, int dry)
{
	(void)dry;
	return a->c->cluster_turn ? a->c->cluster_turn(a->c->arg, id) : 0;
}

static __u64 endpoint_active(tables_ref a, __u32 id)
{
	return a->c->endpoint_active ? a->c->endpoint_active(a->c->arg, id) : 0;
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
	struct asked asked = {
		.q = *q, .t = t, .c = context, .given = { .ns = context->ns, .workload = NO_POD }
	};

	asked.q.dry = 1;
	memset(v, 0, sizeof(*v));
	decide(&asked.q, v);
}
