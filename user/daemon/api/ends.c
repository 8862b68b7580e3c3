// SPDX-License-Identifier: Apache-2.0
#include "daemon/api/ends.h"

#include <string.h>

#include "lib/base/addr.h"
#include "lib/mesh/peer.h"

json_t *ends_at(const struct engine *e, const struct addr *addr, unsigned port)
{
	const struct object *pod = engine_pod_at(e, addr);
	char text[ADDR_TEXT_MAX], name[TRAFFIC_PEER_NAME_MAX];
	struct peer peer;
	json_t *end;

	addr_format(addr, text);
	end = json_pack("{s:s, s:i}", "address", text, "port", (int)port);
	if (!end || !pod)
		return end;
	peer_name(pod, name);
	peer_parse(name, &peer);
	json_object_set_new(end, "namespace", json_text(peer.ns));
	json_object_set_new(end, "pod", json_text(pod->meta.name));
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
