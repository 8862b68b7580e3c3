// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/ends.h"

#include <errno.h>
#include <string.h>

#include "lib/base/addr.h"
#include "lib/mesh/peer.h"

static int by_address(const void *a, const void *b)
{
	const struct pod_address *x = a, *y = b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

/* One of the node's network shares its address with others. */
static int add_pod(struct ends *e, const struct object *o)
{
	if (o->kind != KIND_POD || o->pod.host_network)
		return 0;
	for (size_t i = 0; i < o->pod.ips.count; i++) {
		struct addr addr;
		struct pod_address *p;

		if (addr_parse(o->pod.ips.items[i], &addr))
			continue;
		p = table_push(&e->pods);
		if (!p)
			return -ENOMEM;
		*p = (struct pod_address){ addr, o };
	}
	return 0;
}

int ends_refresh(struct ends *e, struct engine *engine)
{
	const struct known_set *set = engine_objects(engine);
	int r = 0;

	if (e->made && e->version == engine_version(engine))
		return 0;
	e->pods.count = 0;
	for (size_t i = 0; !r && i < set->count; i++)
		if (set->items[i].object)
			r = add_pod(e, set->items[i].object);
	if (e->pods.count)
		qsort(e->pods.items, e->pods.count, sizeof(*e->pods.items), by_address);
	e->made = !r;
	e->version = engine_version(engine);
	return r;
}

void ends_free(struct ends *e)
{
	free(e->pods.items);
	*e = (struct ends){ 0 };
}

json_t *ends_at(const struct ends *e, const struct addr *addr, unsigned port)
{
	const struct pod_address want = { .addr = *addr };
	const struct pod_address *found =
		e->pods.count
			? bsearch(&want, e->pods.items, e->pods.count, sizeof(want), by_address)
			: NULL;
	char text[ADDR_TEXT_MAX], name[TRAFFIC_PEER_NAME_MAX];
	struct peer peer;
	json_t *end;

	addr_format(addr, text);
	end = json_pack("{s:s, s:i}", "address", text, "port", (int)port);
	if (!end || !found)
		return end;
	peer_name(found->pod, name);
	peer_parse(name, &peer);
	json_object_set_new(end, "namespace", json_text(peer.ns));
	json_object_set_new(end, "pod", json_text(found->pod->meta.name));
	json_object_set_new(end, "workload", json_text(peer.workload));
	json_object_set_new(end, "app", json_text(peer.canonical_service));
	return end;
}

/* Of a Service's host: name.namespace.svc.DOMAIN. */
void ends_add_host(json_t *end, const char *host, size_t len)
{
	const char *dot = memchr(host, '.', len), *namespace = dot ? dot + 1 : NULL,
		   *next = dot ? memchr(namespace, '.', len - (size_t)(namespace - host)) : NULL;

	json_object_set_new(end, "host", json_textn(host, len));
	if (!next || len - (size_t)(next - host) < 4 || memcmp(next, ".svc", 4) != 0)
		return;
	json_object_set_new(end, "service", json_textn(host, (size_t)(dot - host)));
	if (!json_object_get(end, "namespace"))
		json_object_set_new(end, "namespace",
				    json_textn(namespace, (size_t)(next - namespace)));
}
