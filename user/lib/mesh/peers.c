// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/peers.h"

#include <errno.h>

#include "lib/mesh/mesh.h"

const char *mtls_mode_name(enum mtls_mode mode)
{
	static const char *const names[] = { [MTLS_UNSET] = "UNSET",
					     [MTLS_DISABLE] = "DISABLE",
					     [MTLS_PERMISSIVE] = "PERMISSIVE",
					     [MTLS_STRICT] = "STRICT" };

	return names[mode];
}

/* ---- the index ---- */

static bool is_root(const char *ns)
{
	return !strcmp(ns, ROOT_NAMESPACE);
}

/* It is for some pods, if no older one is. */
static bool is_for_pods(const struct object *policy)
{
	return !policy->peer.selector.count || !is_root(policy->meta.namespace);
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

int peers_add(struct pool **pool, struct peers *p, const struct object *o)
{
	if (o->kind != KIND_PEER_AUTHENTICATION)
		return 0;
	p->strict |= is_for_pods(o) && says_strict(o);
	return refs_add_at(pool, &p->by_namespace, o->meta.namespace, strlen(o->meta.namespace), o);
}

int peers_settle(struct peers *p)
{
	int r = 0;

	for (size_t i = 0; i < p->by_namespace.count && !r; i++)
		r = sort_by_age(p->by_namespace.entries[i].value);
	return r;
}

void peers_free(struct peers *p)
{
	bytemap_free(&p->by_namespace);
	*p = (struct peers){ 0 };
}

/* ---- levels ---- */

/* What holds for a pod: the mode at most ports, and the policy of the workload's own. */
struct in_force {
	enum mtls_mode mode;
	const struct object *by, *workload;
};

/* The one for the whole namespace. */
static const struct object *whole(struct peers *p, const char *ns)
{
	const struct refs *refs = bytemap_str(&p->by_namespace, ns);

	for (size_t i = 0; refs && i < refs->count; i++)
		if (!refs->items[i]->peer.selector.count)
			return refs->items[i];
	return NULL;
}

static void apply(struct in_force *f, const struct object *policy)
{
	if (!policy || policy->peer.mode == MTLS_UNSET)
		return;
	f->mode = policy->peer.mode;
	f->by = policy;
}

static struct in_force of_namespace(struct peers *p, const char *ns)
{
	struct in_force f = { .mode = MTLS_PERMISSIVE };

	apply(&f, whole(p, ROOT_NAMESPACE));
	if (!is_root(ns))
		apply(&f, whole(p, ns));
	return f;
}

static const struct refs *of_workloads(struct peers *p, const char *ns)
{
	return is_root(ns) ? NULL : bytemap_str(&p->by_namespace, ns);
}

static const struct object *workload_policy(struct peers *p, const struct object *pod)
{
	const struct refs *refs = of_workloads(p, pod->meta.namespace);

	for (size_t i = 0; refs && i < refs->count; i++) {
		const struct kvs *selector = &refs->items[i]->peer.selector;

		if (selector->count && labels_hold(&pod->meta.labels, selector))
			return refs->items[i];
	}
	return NULL;
}

/* ---- what can't be read ---- */

/* Its labels may be those that any of the policies selects. */
static void apply_strictest(struct in_force *f, struct peers *p, const struct object *pod)
{
	const struct refs *refs = of_workloads(p, pod->meta.namespace);

	for (size_t i = 0; refs && i < refs->count; i++) {
		const struct object *o = refs->items[i];
		enum mtls_mode mode = says_strict(o) ? MTLS_STRICT : (enum mtls_mode)o->peer.mode;

		if (o->peer.selector.count && mode > f->mode)
			*f = (struct in_force){ .mode = mode, .by = o };
	}
}

bool peers_selects(const struct object *policy, const struct object *pod)
{
	bool here = !strcmp(policy->meta.namespace, pod->meta.namespace);

	if (!policy->peer.selector.count)
		return here || is_root(policy->meta.namespace);
	return here && is_for_pods(policy) &&
	       (pod->pod.labels_unknown || labels_hold(&pod->meta.labels, &policy->peer.selector));
}

static void apply_stand_ins(struct in_force *f, const struct refs *refs, const struct object *pod)
{
	for (size_t i = 0; refs && i < refs->count; i++) {
		const struct object *o = refs->items[i];

		if (o->stands_in && says_strict(o) && peers_selects(o, pod))
			*f = (struct in_force){ .mode = MTLS_STRICT, .by = o };
	}
}

/* ---- answers ---- */

static struct in_force in_force(struct peers *p, const struct object *pod)
{
	struct in_force f = of_namespace(p, pod->meta.namespace);

	if (pod->pod.labels_unknown) {
		apply_strictest(&f, p, pod);
	} else {
		f.workload = workload_policy(p, pod);
		apply(&f, f.workload);
	}
	apply_stand_ins(&f, bytemap_str(&p->by_namespace, ROOT_NAMESPACE), pod);
	apply_stand_ins(&f, of_workloads(p, pod->meta.namespace), pod);
	return f;
}

static enum mtls_mode port_mode(const struct object *policy, unsigned port)
{
	for (size_t i = 0; policy && port && i < policy->peer.ports.count; i++)
		if (policy->peer.ports.items[i].port == port)
			return policy->peer.ports.items[i].mode;
	return MTLS_UNSET;
}

enum mtls_mode peers_mode(struct peers *p, const struct object *pod, unsigned port,
			  const struct object **by)
{
	struct in_force f = in_force(p, pod);
	enum mtls_mode mode = port_mode(f.workload, port);

	*by = mode ? f.workload : f.by;
	return mode ? mode : f.mode;
}

struct authz_strict peers_strict(struct peers *p, const struct object *pod)
{
	struct in_force f = in_force(p, pod);

	return (struct authz_strict){
		.by = f.mode == MTLS_STRICT ? f.by : NULL,
		.ports = f.workload && f.workload->peer.ports.count ? f.workload : NULL,
	};
}

bool peers_counts(struct peers *p, const struct object *policy, const struct object **older)
{
	*older = NULL;
	if (policy->peer.selector.count)
		return is_for_pods(policy);
	*older = whole(p, policy->meta.namespace);
	return *older == policy;
}
