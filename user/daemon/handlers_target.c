// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "handlers_tables.h"
#include "handlers_target.h"
#include "host.h"

enum { NAME_MAX_TEXT = 512, PORT_MAX = 65535 };

/* "NAMESPACE/POD" or "POD". */
static const struct object *find_pod(struct weftd *d, const char *from, struct reply *reply)
{
	_cleanup_free_ char *copy = strdup(from);
	char *slash = copy ? strchr(copy, '/') : NULL;
	struct object_id id = { KIND_POD, "default", copy };
	const struct known *known;

	if (!copy)
		return NULL;
	if (slash) {
		*slash = 0;
		id.namespace = copy;
		id.name = slash + 1;
	}
	known = known_find(engine_objects(d->engine), &id);
	if (!known)
		refuse(reply, "--from", "no pod \"%s\" in namespace %s", id.name, id.namespace);
	return known ? known->object : NULL;
}

/* "HOST:PORT", "ADDRESS:PORT", "[ADDRESS]:PORT" */
static int split(const char *to, char host[NAME_MAX_TEXT], unsigned *port, struct reply *reply)
{
	const char *colon = strrchr(to, ':');
	size_t len = colon ? (size_t)(colon - to) : 0;
	unsigned long n;
	char *end;

	if (!len || len >= NAME_MAX_TEXT || !colon[1])
		return refuse(reply, "--to", "HOST:PORT is expected, not \"%s\"", to);
	n = strtoul(colon + 1, &end, 10);
	if (*end || colon[1] < '0' || colon[1] > '9' || n < 1 || n > PORT_MAX)
		return refuse(reply, "--to", "a port from 1 to 65535 is expected, not \"%s\"", colon + 1);
	if (to[0] == '[' && to[len - 1] == ']') {
		to++;
		len -= 2;
	}
	memcpy(host, to, len);
	host[len] = 0;
	*port = (unsigned)n;
	return 0;
}

/* What a client of namespace `ns` means by `host`: NAME, NAME.NS, NAME.NS.svc or the FQDN. */
static const struct object *find_service(struct weftd *d, const char *host, const char *ns)
{
	char copy[NAME_MAX_TEXT];
	char *namespace, *rest;
	struct object_id id = { KIND_SERVICE, ns, copy };
	const struct known *known;
	size_t len;

	snprintf(copy, sizeof(copy), "%s", host);
	len = strlen(copy);
	if (len && copy[len - 1] == '.')
		copy[len - 1] = 0;
	namespace = strchr(copy, '.');
	if (namespace) {
		*namespace++ = 0;
		rest = strchr(namespace, '.');
		if (rest)
			*rest++ = 0;
		if (rest && strcmp(rest, "svc") != 0 && strcmp(rest, "svc.cluster.local") != 0)
			return NULL;
		id.namespace = namespace;
	}
	known = known_find(engine_objects(d->engine), &id);
	return known ? known->object : NULL;
}

/* The first address of a family, or of any (`v4` < 0). */
static int pick(const struct strs *ips, int v4, struct addr *out)
{
	for (size_t i = 0; i < ips->count; i++) {
		struct addr a;

		if (addr_parse(ips->items[i], &a) || (v4 >= 0 && addr_is_v4(&a) != (v4 > 0)))
			continue;
		*out = a;
		return 0;
	}
	return -ENOENT;
}

static int resolve(struct weftd *d, const char *host, const struct object *pod, struct addr *out, struct reply *reply)
{
	const struct object *service;
	struct addr own;

	if (!addr_parse(host, out))
		return 0;
	service = find_service(d, host, pod->meta.namespace);
	if (!service)
		return refuse(reply, "--to", "no service \"%s\" for a client of namespace %s; an address is fine, too",
			      host, pod->meta.namespace);
	if (pick(&pod->pod.ips, -1, &own))
		return refuse(reply, "--from", "pod \"%s\" has no address", pod->meta.name);
	if (pick(&service->service.cluster_ips, addr_is_v4(&own), out) && pick(&service->service.cluster_ips, -1, out))
		return refuse(reply, "--to",
			      "service \"%s\" has no address of its own (headless or ExternalName): weft lets it pass",
			      host);
	return 0;
}

static int same_addr(void *arg, const struct addr *a)
{
	return memcmp(arg, a, sizeof(*a)) == 0;
}

/* As the hooks see it: a Service's own address before the node's. */
static int find_scope(struct weftd *d, struct question *q)
{
	int r;

	q->scope = SCOPE_MESH;
	if (tables_find_service(engine_tables(d->engine), &q->dst, q->port, SCOPE_MESH, 0) >= 0)
		return 0;
	r = kernel_each_node_addr(d->kernel, same_addr, &q->dst);
	if (r > 0)
		q->scope = SCOPE_NODE;
	return r < 0 ? r : 0;
}

int target_find(struct weftd *d, const json_t *args, struct question *out, struct reply *reply)
{
	const char *from = json_get_text(args, "from", "");
	const char *to = json_get_text(args, "to", "");
	const struct object *pod = find_pod(d, from, reply);
	struct question q = { .dry = 1 };
	char host[NAME_MAX_TEXT];
	unsigned port;
	int r;

	if (!pod)
		return -EINVAL;
	r = split(to, host, &port, reply);
	if (!r)
		r = resolve(d, host, pod, &q.dst, reply);
	if (r)
		return r;
	q.port = port;
	if (pick(&pod->pod.ips, addr_is_v4(&q.dst), &q.client))
		return refuse(reply, "--from", "pod \"%s\" has no address of the family of \"%s\"", from, to);
	q.source = q.client;
	r = find_scope(d, &q);
	if (!r)
		*out = q;
	return r;
}
