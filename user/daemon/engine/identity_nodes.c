// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine/identity_nodes.h"

#include <string.h>

#include "lib/mesh/mesh.h"
#include "lib/route/workload.h"

static bool is_text(struct authz_text text, const char *s)
{
	return s && strlen(s) == text.len && !memcmp(s, text.at, text.len);
}

static const struct object *home_of(const struct known_set *known, const char *ns)
{
	const struct known *k =
		known_find(known, &(struct object_id){ .kind = KIND_NAMESPACE, .name = ns });

	return k ? k->object : NULL;
}

static bool is_pod_of(const struct object *o, const char *node, struct authz_text ns,
		      struct authz_text account)
{
	const char *own;

	/* The API server names an account in each Pod but those that a kubelet writes of its own.
	 */
	if (!o || o->kind != KIND_POD || !o->pod.node_name || strcmp(o->pod.node_name, node) != 0)
		return false;
	own = o->pod.service_account;
	return is_text(ns, o->meta.namespace) && own && *own && is_text(account, own) &&
	       pod_has_address(o);
}

bool identity_runs_on(const struct known_set *known, enum enrol_mode mode, const char *node,
		      const char *identity)
{
	struct authz_text ns, account;

	if (identity_parse(identity, strlen(identity), &ns, &account))
		return false;
	for (size_t i = 0; i < known->count; i++) {
		const struct object *o = known->items[i].object;

		if (is_pod_of(o, node, ns, account) &&
		    enrol_pod(mode, o, home_of(known, o->meta.namespace)).in)
			return true;
	}
	return false;
}
