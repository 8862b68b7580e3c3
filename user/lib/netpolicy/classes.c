// SPDX-License-Identifier: Apache-2.0
#include "lib/netpolicy/classes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/model/hostname.h"

enum { WORD = 32, PORT_LAST = 65535 };

/* Pods that have all in common that policies look at; one of them stands for all. */
struct group {
	const struct object *pod;
	__u32 class, ingress, egress;
};

/* What a peer asks of a pod. */
struct predicate {
	const struct policy_peer *peer; /* NULL: nothing but the port */
	const char *own;		/* the policy's namespace */
	const char *port_name;		/* that the pod is to have for `port`; NULL: none */
	__u32 port;
};

struct predicates {
	__u32 *items;
	size_t count;
};

struct grouped_pod {
	const struct object *pod;
	__u32 group; /* index; the node's own pods have none */
};

/* Bytes that two things have in common if they are the same. */
struct key {
	TABLE(char) bytes;
};

struct maker {
	struct policy_classes *c;
	struct netpolicies policies;
	struct bytemap label_keys, port_names; /* that any policy speaks of */
	struct bytemap group_numbers, predicate_numbers, peers_numbers, set_numbers, class_numbers,
		nodes; /* key -> index + 1 */
	TABLE(struct group) groups;
	TABLE(struct predicate) predicates;
	TABLE(struct predicates) asked; /* by c->peers */
	TABLE(struct grouped_pod) pods;
	TABLE(struct policy_set_rule) rules; /* of the set that is being made */
	TABLE(__u64 *) classes;		     /* bits of predicates, by class */
	struct key key;
};

static void maker_done(struct maker *m)
{
	struct bytemap *maps[] = { &m->label_keys,	  &m->port_names,    &m->group_numbers,
				   &m->predicate_numbers, &m->peers_numbers, &m->set_numbers,
				   &m->class_numbers,	  &m->nodes };

	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++)
		bytemap_free(maps[i]);
	netpolicies_free(&m->policies);
	free(m->groups.items);
	free(m->predicates.items);
	free(m->asked.items);
	free(m->pods.items);
	free(m->rules.items);
	free(m->classes.items);
	free(m->key.bytes.items);
}

static int key_put(struct key *k, const void *bytes, size_t len)
{
	size_t need = k->bytes.count + len;

	if (need > k->bytes.room) {
		char *items = realloc(k->bytes.items, 2 * need);

		if (!items)
			return -ENOMEM;
		k->bytes.items = items;
		k->bytes.room = 2 * need;
	}
	memcpy(k->bytes.items + k->bytes.count, bytes, len);
	k->bytes.count = need;
	return 0;
}

static int key_text(struct key *k, const char *text)
{
	return key_put(k, text, strlen(text) + 1);
}

/* Where the number of the key that was put together is noted; 0: it is new. NULL: out of memory. */
static void **number_at(struct maker *m, struct bytemap *map)
{
	const char *copy = pool_copy(&m->c->pool, m->key.bytes.items, m->key.bytes.count);

	return copy ? bytemap_at(map, copy, m->key.bytes.count) : NULL;
}

/* ---- what policies speak of ---- */

static int note(struct bytemap *map, const char *word)
{
	void **at = bytemap_at(map, word, strlen(word));

	if (!at)
		return -ENOMEM;
	*at = map;
	return 0;
}

static int note_selector(struct maker *m, const struct label_selector *s)
{
	int r = 0;

	for (size_t i = 0; s && i < s->labels.count && !r; i++)
		r = note(&m->label_keys, s->labels.items[i].key);
	for (size_t i = 0; s && i < s->expressions.count && !r; i++)
		r = note(&m->label_keys, s->expressions.items[i].key);
	return r;
}

static int note_rules(struct maker *m, const struct policy_rules *rules)
{
	int r = 0;

	for (size_t i = 0; i < rules->count; i++) {
		const struct policy_rule *rule = &rules->items[i];

		for (size_t k = 0; k < rule->peers.count && !r; k++)
			r = note_selector(m, rule->peers.items[k].pods);
		for (size_t k = 0; k < rule->ports.count && !r; k++)
			if (rule->ports.items[k].name)
				r = note(&m->port_names, rule->ports.items[k].name);
	}
	return r;
}

static int note_policies(struct maker *m)
{
	int r = 0;

	for (size_t i = 0; i < m->policies.all.policies.count && !r; i++) {
		const struct network_policy *np = &m->policies.all.policies.items[i]->policy;

		r = note_selector(m, &np->pods);
		if (!r)
			r = note_rules(m, &np->ingress);
		if (!r)
			r = note_rules(m, &np->egress);
	}
	return r;
}

/* ---- groups ---- */

static int put_ports(struct maker *m, const struct object *pod)
{
	int r = 0;

	for (size_t i = 0; i < pod->pod.ports.count && !r; i++) {
		const struct pod_port *p = &pod->pod.ports.items[i];

		if (!p->name || !protocol_is_tcp(p->protocol) ||
		    !bytemap_str(&m->port_names, p->name))
			continue;
		r = key_text(&m->key, p->name);
		if (!r)
			r = key_put(&m->key, &p->port, sizeof(p->port));
	}
	return r;
}

static int put_labels(struct maker *m, const struct kvs *labels)
{
	int r = 0;

	for (size_t i = 0; i < labels->count && !r; i++) {
		const struct kv *kv = &labels->items[i];

		if (!bytemap_str(&m->label_keys, kv->key))
			continue;
		r = key_text(&m->key, kv->key);
		if (!r)
			r = key_text(&m->key, kv->value ? kv->value : "");
	}
	return r;
}

static int group_of(struct maker *m, const struct object *pod, __u32 *out)
{
	struct group *g;
	void **at;

	m->key.bytes.count = 0;
	if (key_text(&m->key, pod->meta.namespace) ||
	    key_put(&m->key, &pod->pod.labels_unknown, sizeof(pod->pod.labels_unknown)) ||
	    put_labels(m, &pod->meta.labels) || key_text(&m->key, "") || put_ports(m, pod))
		return -ENOMEM;
	at = number_at(m, &m->group_numbers);
	if (!at)
		return -ENOMEM;
	if (!*at) {
		g = table_push(&m->groups);
		if (!g)
			return -ENOMEM;
		g->pod = pod;
		*at = (void *)(uintptr_t)m->groups.count;
	}
	*out = (__u32)(uintptr_t)*at - 1;
	return 0;
}

static int group_pods(struct maker *m, const struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *o = objects->items[i];
		struct grouped_pod *g;

		if (o->kind != KIND_POD || netpolicy_pod_is_over(o))
			continue;
		g = table_push(&m->pods);
		if (!g)
			return -ENOMEM;
		g->pod = o;
		if (!o->pod.host_network && group_of(m, o, &g->group))
			return -ENOMEM;
	}
	return 0;
}

/* ---- who a rule lets through ---- */

static int predicate_of(struct maker *m, const struct predicate *p, __u32 *out)
{
	struct predicate *row;
	void **at;

	m->key.bytes.count = 0;
	if (key_put(&m->key, &p->peer, sizeof(p->peer)) ||
	    key_put(&m->key, &p->port, sizeof(p->port)) ||
	    key_text(&m->key, p->port_name ? p->port_name : ""))
		return -ENOMEM;
	at = number_at(m, &m->predicate_numbers);
	if (!at)
		return -ENOMEM;
	if (!*at) {
		row = table_push(&m->predicates);
		if (!row)
			return -ENOMEM;
		*row = *p;
		*at = (void *)(uintptr_t)m->predicates.count;
	}
	*out = (__u32)(uintptr_t)*at - 1;
	return 0;
}

/* One rule of a policy, for one of its ports. */
struct rule_at {
	const struct policy_rule *rule;
	const char *own;       /* the policy's namespace */
	const char *port_name; /* that endpoints are to have for `port`; NULL: none */
	__u32 port;
	bool in_blocks; /* those with the port that are in an ipBlock; else the other peers */
};

static size_t count_blocks(const struct policy_rule *rule)
{
	size_t n = 0;

	for (size_t i = 0; i < rule->peers.count; i++)
		n += !!rule->peers.items[i].block;
	return n;
}

static int ask_pods(struct maker *m, const struct rule_at *at, struct predicates *out)
{
	const struct policy_rule *rule = at->rule;
	struct predicate p = { NULL, at->own, at->port_name, at->port };
	int r = 0;

	out->items = pool_alloc(&m->c->pool, (rule->peers.count + 1) * sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	if (at->port_name && (at->in_blocks || !rule->peers.count))
		return predicate_of(m, &p, &out->items[out->count++]);
	for (size_t i = 0; i < rule->peers.count && !r; i++) {
		p.peer = &rule->peers.items[i];
		if (!p.peer->block)
			r = predicate_of(m, &p, &out->items[out->count++]);
	}
	return r;
}

static int add_blocks(struct maker *m, const struct policy_rule *rule, struct policy_peers *out)
{
	out->blocks = pool_alloc(&m->c->pool, (count_blocks(rule) + 1) * sizeof(*out->blocks));
	if (!out->blocks)
		return -ENOMEM;
	for (size_t i = 0; i < rule->peers.count; i++)
		if (rule->peers.items[i].block)
			out->blocks[out->block_count++] = rule->peers.items[i].block;
	return 0;
}

static int new_peers(struct maker *m, const struct rule_at *at)
{
	struct policy_peers *peers = table_push(&m->c->peers);
	struct predicates *asked = table_push(&m->asked);

	if (!peers || !asked)
		return -ENOMEM;
	peers->everyone = !at->rule->peers.count && !at->port_name;
	peers->both = at->in_blocks;
	if ((!at->port_name || at->in_blocks) && add_blocks(m, at->rule, peers))
		return -ENOMEM;
	return ask_pods(m, at, asked);
}

static int peers_of(struct maker *m, const struct rule_at *at, size_t *out)
{
	void **slot;

	m->key.bytes.count = 0;
	if (key_put(&m->key, &at->rule, sizeof(at->rule)) ||
	    key_put(&m->key, &at->port, sizeof(at->port)) ||
	    key_put(&m->key, &at->in_blocks, sizeof(at->in_blocks)) ||
	    key_text(&m->key, at->port_name ? at->port_name : ""))
		return -ENOMEM;
	slot = number_at(m, &m->peers_numbers);
	if (!slot)
		return -ENOMEM;
	if (!*slot) {
		*slot = (void *)(uintptr_t)(m->c->peers.count + 1);
		*out = m->c->peers.count;
		return new_peers(m, at);
	}
	*out = (uintptr_t)*slot - 1;
	return 0;
}

/* ---- sets ---- */

static int add_rule(struct maker *m, const struct rule_at *at, __u32 first, __u32 last)
{
	struct policy_set_rule rule = { .first = first, .last = last };
	struct policy_set_rule *row;

	if (peers_of(m, at, &rule.peers))
		return -ENOMEM;
	row = table_push(&m->rules);
	if (!row)
		return -ENOMEM;
	*row = rule;
	return 0;
}

/* Egress by a port's name: whatever number the endpoints have for it, each for itself. */
static int add_named_egress(struct maker *m, struct rule_at at)
{
	for (size_t i = 0; i < m->groups.count; i++) {
		const struct object *pod = m->groups.items[i].pod;

		for (size_t k = 0; k < pod->pod.ports.count; k++) {
			at.port = pod->pod.ports.items[k].port;
			if (!netpolicy_pod_has_port(pod, at.port_name, at.port))
				continue;
			at.in_blocks = false;
			if (add_rule(m, &at, at.port, at.port))
				return -ENOMEM;
			at.in_blocks = true;
			if (count_blocks(at.rule) && add_rule(m, &at, at.port, at.port))
				return -ENOMEM;
		}
	}
	return 0;
}

/* Ingress by a port's name: it is the pod's own. */
static int add_named_ingress(struct maker *m, struct rule_at at, const struct object *pod)
{
	const char *name = at.port_name;
	int r = 0;

	at.port_name = NULL;
	for (size_t i = 0; i < pod->pod.ports.count && !r; i++) {
		__u32 port = pod->pod.ports.items[i].port;

		if (netpolicy_pod_has_port(pod, name, port))
			r = add_rule(m, &at, port, port);
	}
	return r;
}

static int add_port(struct maker *m, const struct rule_at *at, const struct policy_port *port,
		    bool egress, const struct object *pod)
{
	struct rule_at named = *at;

	if (!protocol_is_tcp(port->protocol))
		return 0;
	named.port_name = port->name;
	if (port->name)
		return egress ? add_named_egress(m, named) : add_named_ingress(m, named, pod);
	if (!port->port)
		return add_rule(m, at, 0, PORT_LAST);
	return add_rule(m, at, port->port, port->end_port ? port->end_port : port->port);
}

static int add_policy(struct maker *m, const struct object *o, bool egress,
		      const struct object *pod)
{
	const struct policy_rules *rules = egress ? &o->policy.egress : &o->policy.ingress;
	int r = 0;

	for (size_t i = 0; i < rules->count; i++) {
		const struct rule_at at = { .rule = &rules->items[i], .own = o->meta.namespace };

		if (!at.rule->ports.count)
			r = add_rule(m, &at, 0, PORT_LAST);
		for (size_t k = 0; k < at.rule->ports.count && !r; k++)
			r = add_port(m, &at, &at.rule->ports.items[k], egress, pod);
		if (r)
			return r;
	}
	return 0;
}

/* Several endpoints may have led to the same rule. */
static int compare_rules(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct policy_set_rule));
}

static int keep_rules(struct maker *m)
{
	struct policy_set *set = table_push(&m->c->sets);
	size_t n = 0;

	if (!set)
		return -ENOMEM;
	set->rules = pool_alloc(&m->c->pool, (m->rules.count + 1) * sizeof(*set->rules));
	if (!set->rules)
		return -ENOMEM;
	if (m->rules.count)
		qsort(m->rules.items, m->rules.count, sizeof(*m->rules.items), compare_rules);
	for (size_t i = 0; i < m->rules.count; i++)
		if (!n || compare_rules(&set->rules[n - 1], &m->rules.items[i]) != 0)
			set->rules[n++] = m->rules.items[i];
	set->count = n;
	return 0;
}

static int new_set(struct maker *m, bool egress, const struct object *pod)
{
	const struct netpolicy_list *list = netpolicies_of(&m->policies, pod->meta.namespace);
	int r = 0;

	m->rules.count = 0;
	for (size_t i = 0; i < list->policies.count && !r; i++)
		if (netpolicy_selects(list->policies.items[i], egress, netpolicy_labels(pod)))
			r = add_policy(m, list->policies.items[i], egress, pod);
	return r ? r : keep_rules(m);
}

/* Puts the policies that select the pod into the key: how many, or -ENOMEM. */
static int put_policies(struct maker *m, bool egress, const struct object *pod)
{
	const struct netpolicy_list *list = netpolicies_of(&m->policies, pod->meta.namespace);
	int n = 0;

	m->key.bytes.count = 0;
	if (key_put(&m->key, &egress, sizeof(egress)))
		return -ENOMEM;
	for (size_t i = 0; list && i < list->policies.count; i++) {
		const struct object *o = list->policies.items[i];

		if (!netpolicy_selects(o, egress, netpolicy_labels(pod)))
			continue;
		if (key_put(&m->key, &o, sizeof(o)))
			return -ENOMEM;
		n++;
	}
	return n && !egress && put_ports(m, pod) ? -ENOMEM : n;
}

/* The set of what comes in to the pod or leaves it. */
static int set_of(struct maker *m, bool egress, const struct object *pod, __u32 *out)
{
	int n = put_policies(m, egress, pod);
	void **at;

	*out = 0;
	if (n <= 0)
		return n;
	at = number_at(m, &m->set_numbers);
	if (!at)
		return -ENOMEM;
	if (!*at) {
		*at = (void *)(uintptr_t)(m->c->sets.count + 1);
		*out = m->c->sets.count + 1;
		return new_set(m, egress, pod);
	}
	*out = (__u32)(uintptr_t)*at;
	return 0;
}

static int make_sets(struct maker *m)
{
	int r = 0;

	for (size_t i = 0; i < m->groups.count && !r; i++) {
		struct group *g = &m->groups.items[i];

		r = set_of(m, false, g->pod, &g->ingress);
		if (!r)
			r = set_of(m, true, g->pod, &g->egress);
	}
	return r;
}

/* ---- classes ---- */

static bool predicate_holds(struct maker *m, const struct predicate *p, const struct object *pod)
{
	if (p->port_name && !netpolicy_pod_has_port(pod, p->port_name, p->port))
		return false;
	return !p->peer || netpolicy_peer_selects(&m->policies, p->peer, p->own,
						  pod->meta.namespace, netpolicy_labels(pod));
}

static bool bit_of(const __u64 *bits, size_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static size_t predicate_words(const struct maker *m)
{
	return m->predicates.count / 64 + 1;
}

static int new_class(struct maker *m, const __u64 *bits)
{
	size_t size = predicate_words(m) * sizeof(*bits);
	__u64 **at = table_push(&m->classes);
	__u64 *copy = at ? pool_alloc(&m->c->pool, size) : NULL;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, bits, size);
	*at = copy;
	return 0;
}

static int class_of(struct maker *m, const __u64 *bits, __u32 *out)
{
	void **at;

	m->key.bytes.count = 0;
	if (key_put(&m->key, bits, predicate_words(m) * sizeof(*bits)))
		return -ENOMEM;
	at = number_at(m, &m->class_numbers);
	if (!at)
		return -ENOMEM;
	if (!*at) {
		*at = (void *)(uintptr_t)(m->classes.count + 1);
		if (new_class(m, bits))
			return -ENOMEM;
	}
	*out = (__u32)(uintptr_t)*at - 1;
	return 0;
}

static int make_classes(struct maker *m)
{
	size_t words = predicate_words(m);
	_cleanup_free_ __u64 *bits = calloc(words, sizeof(*bits));
	__u32 none;
	int r = bits ? class_of(m, bits, &none) : -ENOMEM; /* class 0 */

	for (size_t i = 0; i < m->groups.count && !r; i++) {
		struct group *g = &m->groups.items[i];

		memset(bits, 0, words * sizeof(*bits));
		for (size_t k = 0; k < m->predicates.count; k++)
			if (predicate_holds(m, &m->predicates.items[k], g->pod))
				bits[k / 64] |= 1ull << k % 64;
		r = class_of(m, bits, &g->class);
	}
	m->c->class_words = (m->classes.count + WORD - 1) / WORD;
	return r;
}

static bool class_has_any(const struct maker *m, size_t class, const struct predicates *asked)
{
	for (size_t i = 0; i < asked->count; i++)
		if (bit_of(m->classes.items[class], asked->items[i]))
			return true;
	return false;
}

static int make_bits(struct maker *m)
{
	for (size_t i = 0; i < m->asked.count; i++) {
		__u32 *words;

		if (!m->asked.items[i].count)
			continue;
		words = pool_alloc(&m->c->pool, m->c->class_words * sizeof(*words));
		if (!words)
			return -ENOMEM;
		for (size_t k = 0; k < m->classes.count; k++)
			if (class_has_any(m, k, &m->asked.items[i]))
				words[k / WORD] |= 1u << k % WORD;
		m->c->peers.items[i].classes = words;
	}
	return 0;
}

/* ---- addresses ---- */

static int node_of(struct maker *m, const char *name, __u32 *out)
{
	void **at;

	*out = 0;
	if (!name)
		return 0;
	at = bytemap_at(&m->nodes, name, strlen(name));
	if (!at)
		return -ENOMEM;
	if (!*at)
		*at = (void *)(uintptr_t)m->nodes.count;
	*out = (__u32)(uintptr_t)*at;
	return 0;
}

static int add_addresses(struct maker *m, const struct grouped_pod *from)
{
	const struct pod_spec *pod = &from->pod->pod;
	struct policy_address row = { .host = pod->host_network }, *to;

	if (!row.host) {
		const struct group *g = &m->groups.items[from->group];

		row.class = g->class;
		row.ingress = g->ingress;
		row.egress = g->egress;
	}
	/* To policies it is like any other address. */
	if (!row.host && !row.class && !row.ingress && !row.egress)
		return 0;
	if (node_of(m, pod->node_name, &row.node))
		return -ENOMEM;
	for (size_t i = 0; i < pod->ips.count; i++) {
		if (addr_parse(pod->ips.items[i], &row.addr))
			continue;
		to = table_push(&m->c->addresses);
		if (!to)
			return -ENOMEM;
		*to = row;
	}
	return 0;
}

static int note_ingress(struct maker *m, const struct grouped_pod *from)
{
	__u32 set = from->pod->pod.host_network ? 0 : m->groups.items[from->group].ingress;
	const struct object **key = set ? pool_alloc(&m->c->pool, sizeof(*key)) : NULL;
	void **at;

	if (!set)
		return 0;
	if (!key)
		return -ENOMEM;
	*key = from->pod;
	at = bytemap_at(&m->c->ingress, key, sizeof(*key));
	if (!at)
		return -ENOMEM;
	*at = (void *)(uintptr_t)set;
	return 0;
}

static int compare_addresses(const void *a, const void *b)
{
	const struct policy_address *x = a, *y = b;

	return memcmp(&x->addr, &y->addr, sizeof(x->addr));
}

/* An address that two pods claim counts as that of the one with more policies: which of them has it
 * is not known until the other is gone. */
static bool is_stricter(const struct policy_address *a, const struct policy_address *b)
{
	return !!a->ingress + !!a->egress > !!b->ingress + !!b->egress;
}

static void sort_addresses(struct policy_classes *c)
{
	struct policy_address *list = c->addresses.items;
	size_t n = 0;

	if (!list)
		return;
	qsort(list, c->addresses.count, sizeof(*list), compare_addresses);
	for (size_t i = 0; i < c->addresses.count; i++) {
		if (!n || compare_addresses(&list[n - 1], &list[i]) != 0)
			list[n++] = list[i];
		else if (is_stricter(&list[i], &list[n - 1]))
			list[n - 1] = list[i];
	}
	c->addresses.count = n;
}

static int make_addresses(struct maker *m)
{
	int r = 0;

	for (size_t i = 0; i < m->pods.count && !r; i++) {
		r = add_addresses(m, &m->pods.items[i]);
		if (!r)
			r = note_ingress(m, &m->pods.items[i]);
	}
	sort_addresses(m->c);
	return r;
}

/* ---- the whole ---- */

static int make(struct maker *m, const struct objects *objects)
{
	int r = netpolicies_init(&m->policies, objects);

	if (r || !m->policies.all.policies.count)
		return r;
	r = note_policies(m);
	if (!r)
		r = group_pods(m, objects);
	if (!r)
		r = make_sets(m);
	if (!r)
		r = make_classes(m);
	if (!r)
		r = make_bits(m);
	return r ? r : make_addresses(m);
}

static bool any_policy(const struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i]->kind == KIND_NETWORK_POLICY)
			return true;
	return false;
}

int policy_classes_make(struct policy_classes *c, const struct objects *objects)
{
	_cleanup_(maker_done) struct maker m = { .c = c };

	*c = (struct policy_classes){ 0 };
	return any_policy(objects) ? make(&m, objects) : 0;
}

void policy_classes_free(struct policy_classes *c)
{
	free(c->peers.items);
	free(c->sets.items);
	free(c->addresses.items);
	bytemap_free(&c->ingress);
	pool_free(c->pool);
	*c = (struct policy_classes){ 0 };
}

__u32 policy_classes_ingress(struct policy_classes *c, const struct object *pod)
{
	return pod ? (__u32)(uintptr_t)bytemap_get(&c->ingress, &pod, sizeof(pod)) : 0;
}

const struct policy_address *policy_classes_at(const struct policy_classes *c,
					       const struct addr *addr)
{
	return c->addresses.count
		       ? bsearch(&(struct policy_address){ .addr = *addr }, c->addresses.items,
				 c->addresses.count, sizeof(*c->addresses.items), compare_addresses)
		       : NULL;
}
