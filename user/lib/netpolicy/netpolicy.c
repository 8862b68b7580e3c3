// SPDX-License-Identifier: Apache-2.0
#include "lib/netpolicy/netpolicy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/model/hostname.h"
#include "lib/model/label_selector.h"

#define NAMESPACE_NAME_LABEL "kubernetes.io/metadata.name"

/* ---- the index ---- */

static int list_add(struct netpolicy_list *list, const struct object *o)
{
	const struct object **at = table_push(&list->policies);

	if (!at)
		return -ENOMEM;
	*at = o;
	return 0;
}

static struct netpolicy_list *list_new(struct netpolicies *p)
{
	struct netpolicy_list *list = pool_alloc(&p->pool, sizeof(*list));
	struct netpolicy_list **at = list ? table_push(&p->lists) : NULL;

	if (!at)
		return NULL;
	*at = list;
	return list;
}

static int add_policy(struct netpolicies *p, const struct object *o)
{
	void **at = bytemap_at(&p->by_namespace, o->meta.namespace, strlen(o->meta.namespace));

	if (!at)
		return -ENOMEM;
	if (!*at)
		*at = list_new(p);
	if (!*at)
		return -ENOMEM;
	return list_add(*at, o) || list_add(&p->all, o) ? -ENOMEM : 0;
}

static int add_namespace(struct netpolicies *p, const struct object *o)
{
	void **at = bytemap_at(&p->namespaces, o->meta.name, strlen(o->meta.name));

	if (!at)
		return -ENOMEM;
	*at = (void *)o;
	return 0;
}

int netpolicies_init(struct netpolicies *p, const struct objects *objects)
{
	int r = 0;

	*p = (struct netpolicies){ 0 };
	for (size_t i = 0; i < objects->count && !r; i++) {
		const struct object *o = objects->items[i];

		if (o->kind == KIND_NETWORK_POLICY)
			r = add_policy(p, o);
		else if (o->kind == KIND_NAMESPACE)
			r = add_namespace(p, o);
	}
	return r;
}

void netpolicies_free(struct netpolicies *p)
{
	for (size_t i = 0; i < p->lists.count; i++)
		free(p->lists.items[i]->policies.items);
	free(p->lists.items);
	free(p->all.policies.items);
	bytemap_free(&p->by_namespace);
	bytemap_free(&p->namespaces);
	pool_free(p->pool);
	*p = (struct netpolicies){ 0 };
}

const struct netpolicy_list *netpolicies_of(struct netpolicies *p, const char *ns)
{
	return bytemap_str(&p->by_namespace, ns);
}

/* ---- parties ---- */

static bool is_host(const struct netpolicy_party *party)
{
	return party->pod && party->pod->pod.host_network;
}

struct netpolicy_party netpolicy_outside(const struct addr *addr)
{
	return (struct netpolicy_party){ .addr = *addr, .has_addr = true };
}

const struct kvs *netpolicy_labels(const struct object *pod)
{
	return pod->pod.labels_unknown ? NULL : &pod->meta.labels;
}

struct netpolicy_party netpolicy_pod(const struct object *pod, const struct addr *addr)
{
	struct netpolicy_party party = { .pod = pod };

	if (addr) {
		party.addr = *addr;
		party.has_addr = true;
	}
	if (!pod->pod.host_network) {
		party.ns = pod->meta.namespace;
		party.labels = netpolicy_labels(pod);
	}
	return party;
}

bool netpolicy_pod_is_over(const struct object *pod)
{
	return str_eq(pod->pod.phase, "Failed") || str_eq(pod->pod.phase, "Succeeded");
}

bool netpolicy_pod_has_port(const struct object *pod, const char *name, unsigned port)
{
	for (size_t i = 0; i < pod->pod.ports.count; i++) {
		const struct pod_port *p = &pod->pod.ports.items[i];

		if (p->port == port && str_eq(p->name, name) && protocol_is_tcp(p->protocol))
			return true;
	}
	return false;
}

/* ---- policies ---- */

bool netpolicy_selects(const struct object *policy, bool egress, const struct kvs *labels)
{
	const struct network_policy *np = &policy->policy;

	return (egress ? np->closes_egress : np->closes_ingress) &&
	       (!labels || label_selector_holds(&np->pods, labels, NULL));
}

/* Of a pod whose labels are not known only what selects every pod is sure to select it. */
static bool pods_hold(const struct label_selector *s, const struct kvs *labels)
{
	return labels ? label_selector_holds(s, labels, NULL)
		      : !s->labels.count && !s->expressions.count;
}

static bool namespace_holds(struct netpolicies *p, const struct label_selector *s, const char *ns)
{
	const struct object *o = bytemap_str(&p->namespaces, ns);
	const struct kv name = { .key = NAMESPACE_NAME_LABEL, .value = ns };
	const struct kvs none = { 0 };

	return label_selector_holds(s, o ? &o->meta.labels : &none, &name);
}

bool netpolicy_peer_selects(struct netpolicies *p, const struct policy_peer *peer, const char *own,
			    const char *ns, const struct kvs *labels)
{
	if (peer->block || (peer->pods && !pods_hold(peer->pods, labels)))
		return false;
	return peer->namespaces ? namespace_holds(p, peer->namespaces, ns) : !strcmp(own, ns);
}

/* Every IPv4 address is an IPv6 one, too, here: "::/0" is not to hold for it. */
static bool subnet_holds(const struct cidr *c, const struct addr *a)
{
	return addr_is_v4(&c->addr) == addr_is_v4(a) && cidr_holds(c, a);
}

static bool block_holds(const struct ip_block *b, const struct addr *a)
{
	if (!subnet_holds(&b->cidr, a))
		return false;
	for (size_t i = 0; i < b->except.count; i++)
		if (subnet_holds(&b->except.items[i], a))
			return false;
	return true;
}

static bool peer_holds(struct netpolicies *p, const struct policy_peer *peer, const char *own,
		       const struct netpolicy_party *party)
{
	if (peer->block)
		return party->has_addr && block_holds(peer->block, &party->addr);
	return party->ns && netpolicy_peer_selects(p, peer, own, party->ns, party->labels);
}

/* A name is that of a port of the endpoint, in both directions. */
static bool port_holds(const struct policy_port *p, const struct netpolicy_party *endpoint,
		       unsigned port)
{
	if (!protocol_is_tcp(p->protocol))
		return false;
	if (p->name)
		return endpoint->ns && endpoint->pod &&
		       netpolicy_pod_has_port(endpoint->pod, p->name, port);
	return !p->port || p->port == port ||
	       (p->end_port && port > p->port && port <= p->end_port);
}

struct connection {
	const struct netpolicy_party *client, *endpoint;
	unsigned port;
};

static bool rule_lets(struct netpolicies *p, const struct policy_rule *rule, const char *own,
		      const struct netpolicy_party *peer, const struct connection *c)
{
	bool port = !rule->ports.count, known = !rule->peers.count;

	for (size_t i = 0; i < rule->ports.count && !port; i++)
		port = port_holds(&rule->ports.items[i], c->endpoint, c->port);
	for (size_t i = 0; i < rule->peers.count && port && !known; i++)
		known = peer_holds(p, &rule->peers.items[i], own, peer);
	return port && known;
}

static bool policy_lets(struct netpolicies *p, const struct object *o, bool egress,
			const struct connection *c)
{
	const struct policy_rules *rules = egress ? &o->policy.egress : &o->policy.ingress;
	const struct netpolicy_party *peer = egress ? c->endpoint : c->client;

	for (size_t i = 0; i < rules->count; i++)
		if (rule_lets(p, &rules->items[i], o->meta.namespace, peer, c))
			return true;
	return false;
}

/* The policies of the direction that select its pod, unless one of them lets the connection
 * through. */
static int find_closing(struct netpolicies *p, bool egress, const struct connection *c,
			const struct object ***out, size_t *count)
{
	const struct netpolicy_party *own = egress ? c->client : c->endpoint;
	const struct netpolicy_list *list = own->ns ? netpolicies_of(p, own->ns) : NULL;
	const struct object **closing;
	size_t n = 0;

	*count = 0;
	if (!list)
		return 0;
	closing = pool_alloc(&p->pool, list->policies.count * sizeof(struct object *));
	if (!closing)
		return -ENOMEM;
	for (size_t i = 0; i < list->policies.count; i++) {
		const struct object *o = list->policies.items[i];

		if (!netpolicy_selects(o, egress, own->labels))
			continue;
		if (policy_lets(p, o, egress, c))
			return 0;
		closing[n++] = o;
	}
	*out = closing;
	*count = n;
	return 0;
}

static bool always_may(const struct connection *c)
{
	const struct netpolicy_party *from = c->client, *to = c->endpoint;

	if (from->has_addr && to->has_addr && !memcmp(&from->addr, &to->addr, sizeof(to->addr)))
		return true;
	return (is_host(from) || is_host(to)) && from->pod && to->pod && from->pod->pod.node_name &&
	       str_eq(from->pod->pod.node_name, to->pod->pod.node_name);
}

int netpolicy_allows(struct netpolicies *p, const struct netpolicy_party *client,
		     const struct netpolicy_party *endpoint, unsigned port,
		     struct netpolicy_closed *closed)
{
	const struct connection c = { client, endpoint, port };
	struct netpolicy_closed found = { 0 };
	int r = 0;

	if (!always_may(&c)) {
		r = find_closing(p, false, &c, &found.ingress, &found.ingress_count);
		if (!r)
			r = find_closing(p, true, &c, &found.egress, &found.egress_count);
	}
	if (r)
		return r;
	if (closed)
		*closed = found;
	return !found.ingress_count && !found.egress_count;
}
