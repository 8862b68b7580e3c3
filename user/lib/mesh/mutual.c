// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/mutual.h"

#include <errno.h>

#include "lib/mesh/enrol.h"

const char *mtls_mode_name(enum mtls_mode mode)
{
	static const char *const names[] = { [MTLS_UNSET] = "UNSET",
					     [MTLS_DISABLE] = "DISABLE",
					     [MTLS_PERMISSIVE] = "PERMISSIVE",
					     [MTLS_STRICT] = "STRICT" };

	return names[mode];
}

/* ---- the index ---- */

static bool is_of_root(const struct object *policy)
{
	return !strcmp(policy->meta.namespace, ROOT_NAMESPACE);
}

/* It is for some pods, if no older one is. */
static bool is_for_pods(const struct object *policy)
{
	return !policy->peer.selector.count || !is_of_root(policy);
}

static bool says_strict(const struct object *policy)
{
	const struct peer_authentication *p = &policy->peer;

	if (p->mode == MTLS_STRICT)
		return true;
	for (size_t i = 0; i < p->ports.count; i++)
		if (p->ports.items[i].mode == MTLS_STRICT)
			return true;
	return false;
}

static int index_policies(struct mesh *mesh)
{
	int r = 0;

	for (size_t i = 0; i < mesh->rules.count && !r; i++) {
		const struct object *o = mesh->rules.items[i];

		if (o->kind != KIND_PEER_AUTHENTICATION)
			continue;
		r = refs_add_at(&mesh->pool, &mesh->peers, o->meta.namespace,
				strlen(o->meta.namespace), o);
		if (is_for_pods(o) && says_strict(o))
			mesh->mutual = true;
	}
	for (size_t i = 0; i < mesh->peers.count && !r; i++)
		r = sort_by_age(mesh->peers.entries[i].value);
	return r;
}

static bool asks(const struct traffic_policy *p)
{
	return p->tls && p->tls->mode == CLIENT_TLS_ISTIO_MUTUAL;
}

static bool policy_asks(const struct dr_policy *p)
{
	if (asks(&p->policy))
		return true;
	for (size_t i = 0; i < p->ports.count; i++)
		if (asks(&p->ports.items[i].policy))
			return true;
	return false;
}

static bool rule_asks(const struct destination_rule *dr)
{
	if (policy_asks(&dr->policy))
		return true;
	for (size_t i = 0; i < dr->subsets.count; i++)
		if (policy_asks(&dr->subsets.items[i].policy))
			return true;
	return false;
}

int mutual_index(struct mesh *mesh)
{
	int r;

	mesh->mutual = false;
	r = index_policies(mesh);
	for (size_t i = 0; i < mesh->destination_rules.count && !mesh->mutual; i++)
		mesh->mutual = rule_asks(&mesh->destination_rules.items[i]->dr);
	return r;
}

bool mutual_in_use(const struct mesh *mesh)
{
	return mesh->mutual;
}

/* ---- what is in force ---- */

/* The one without a selector. */
static const struct object *whole(struct mesh *mesh, const char *ns)
{
	const struct refs *refs = bytemap_str(&mesh->peers, ns);

	for (size_t i = 0; refs && i < refs->count; i++)
		if (!refs->items[i]->peer.selector.count)
			return refs->items[i];
	return NULL;
}

/* What holds for a pod: the mode at most ports, and the policy of the workload's own. */
struct in_force {
	enum mtls_mode mode;
	const struct object *by, *workload;
};

static void apply(struct in_force *f, const struct object *policy)
{
	if (!policy || policy->peer.mode == MTLS_UNSET)
		return;
	f->mode = policy->peer.mode;
	f->by = policy;
}

static struct in_force of_namespace(struct mesh *mesh, const char *ns)
{
	struct in_force f = { .mode = MTLS_PERMISSIVE };

	apply(&f, whole(mesh, ROOT_NAMESPACE));
	if (strcmp(ns, ROOT_NAMESPACE) != 0)
		apply(&f, whole(mesh, ns));
	return f;
}

static const struct refs *of_workloads(struct mesh *mesh, const char *ns)
{
	return strcmp(ns, ROOT_NAMESPACE) != 0 ? bytemap_str(&mesh->peers, ns) : NULL;
}

static const struct object *workload_policy(struct mesh *mesh, const struct object *pod)
{
	const struct refs *refs = of_workloads(mesh, pod->meta.namespace);

	for (size_t i = 0; refs && i < refs->count; i++) {
		const struct kvs *selector = &refs->items[i]->peer.selector;

		if (selector->count && labels_hold(&pod->meta.labels, selector))
			return refs->items[i];
	}
	return NULL;
}

/* Its labels may be those that any of the policies selects. */
static struct in_force strictest(struct mesh *mesh, const struct object *pod)
{
	const struct refs *refs = of_workloads(mesh, pod->meta.namespace);
	struct in_force f = of_namespace(mesh, pod->meta.namespace);

	for (size_t i = 0; refs && i < refs->count; i++) {
		const struct object *o = refs->items[i];
		enum mtls_mode mode = says_strict(o) ? MTLS_STRICT : o->peer.mode;

		if (o->peer.selector.count && mode > f.mode) {
			f.mode = mode;
			f.by = o;
		}
	}
	return f;
}

static struct in_force in_force(struct mesh *mesh, const struct object *pod)
{
	struct in_force f;

	if (pod->pod.labels_unknown)
		return strictest(mesh, pod);
	f = of_namespace(mesh, pod->meta.namespace);
	f.workload = workload_policy(mesh, pod);
	apply(&f, f.workload);
	return f;
}

static enum mtls_mode port_mode(const struct object *policy, unsigned port)
{
	for (size_t i = 0; policy && port && i < policy->peer.ports.count; i++)
		if (policy->peer.ports.items[i].port == port)
			return policy->peer.ports.items[i].mode;
	return MTLS_UNSET;
}

enum mtls_mode mutual_mode(struct mesh *mesh, const struct object *pod, unsigned port,
			   const struct object **by)
{
	struct in_force f = in_force(mesh, pod);
	enum mtls_mode mode = port_mode(f.workload, port);

	*by = mode ? f.workload : f.by;
	return mode ? mode : f.mode;
}

const struct object *mutual_ports(struct mesh *mesh, const struct object *pod)
{
	const struct object *o = pod->pod.labels_unknown ? NULL : workload_policy(mesh, pod);

	return o && o->peer.ports.count ? o : NULL;
}

bool mutual_counts(struct mesh *mesh, const struct object *policy, const struct object **older)
{
	*older = NULL;
	if (policy->peer.selector.count)
		return is_for_pods(policy);
	*older = whole(mesh, policy->meta.namespace);
	return *older == policy;
}

bool mutual_has(struct mesh *mesh, const struct object *pod)
{
	const struct home *home;

	if (!pod_has_address(pod))
		return false;
	if (!mesh->labelled_only)
		return true;
	home = bytemap_str(&mesh->homes, pod->meta.namespace);
	return enrol_is_labelled(pod, home ? home->o : NULL);
}
