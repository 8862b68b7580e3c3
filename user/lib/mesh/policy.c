// SPDX-License-Identifier: Apache-2.0
#include "lib/mesh/policy.h"

#include <errno.h>

#include "lib/mesh/endpoints.h"
#include "lib/mesh/entries.h"
#include "lib/base/text.h"

enum {
	CONNECT_TIMEOUT_MS = 10000, /* what Istio's users get without asking */
	IDLE_TIMEOUT_MS = 3600000,
};

static bool same_rules(const struct view *v, const struct object **rules, size_t count)
{
	return v->count == count &&
	       (!count || !memcmp(v->rules, rules, count * sizeof(struct object *)));
}

/* A rule that no other namespace than its own ever sees. */
static bool is_private(const struct object *o)
{
	const struct strs *to = &o->dr.export_to;

	return to->count == 1 &&
	       (str_eq(to->items[0], ".") || str_eq(to->items[0], o->meta.namespace));
}

/* Which of a namespace's rules are looked at. */
enum shelf {
	SHELF_OWN,	/* all, by a client of the namespace itself */
	SHELF_PRIVATE,	/* only those that are private */
	SHELF_EXPORTED, /* only those that are not */
};

static bool is_on(enum shelf shelf, const struct object *o, const char *client)
{
	if (shelf == SHELF_OWN)
		return export_visible(&o->dr.export_to, o->meta.namespace, client);
	return is_private(o) == (shelf == SHELF_PRIVATE);
}

/* The rules of namespace `ns` for the most specific host that any on the shelf names; without those
 * that are not shown to the client. */
static int rules_in(struct mesh *mesh, const struct host *h, const char *ns, enum shelf shelf,
		    const char *client, struct refs *out)
{
	struct host_iter it = host_iter(&mesh->dr_index, h->name);
	const struct hosted *hosted;
	bool any = false;
	size_t i;

	while (!any && (hosted = host_iter_next(&it))) {
		for (i = 0; i < hosted->refs.count; i++) {
			const struct object *o = hosted->refs.items[i];

			if (!str_eq(o->meta.namespace, ns) || !is_on(shelf, o, client))
				continue;
			any = true;
			if (export_visible(&o->dr.export_to, ns, client) &&
			    refs_add(&mesh->pool, out, o))
				return -1;
		}
	}
	return 0;
}

/* A client in the root namespace has only what is private there before the service's own: else the
 * rules that are meant for everyone would hide those of every service. */
static int find_rules(struct mesh *mesh, const struct host *h, const char *client, struct refs *out)
{
	bool root = client && str_eq(client, ROOT_NAMESPACE);
	int r = 0;

	if (client)
		r = rules_in(mesh, h, client, root ? SHELF_PRIVATE : SHELF_OWN, client, out);
	if (!r && !out->count)
		r = rules_in(mesh, h, h->service->meta.namespace, SHELF_EXPORTED, client, out);
	if (!r && !out->count)
		r = rules_in(mesh, h, ROOT_NAMESPACE, SHELF_EXPORTED, client, out);
	return r;
}

struct view *host_view(struct mesh *mesh, struct host *h, const char *client)
{
	struct refs found = { 0 };
	struct view *v;

	if (find_rules(mesh, h, client, &found))
		return NULL;
	for (v = h->views; v; v = v->next)
		if (same_rules(v, found.items, found.count))
			return v;
	v = pool_alloc(&mesh->pool, sizeof(*v));
	if (!v)
		return NULL;
	*v = (struct view){ .rules = found.items, .count = found.count, .next = h->views };
	h->views = v;
	return v;
}

const struct subset *view_subset(const struct view *v, const char *name)
{
	size_t i, k;

	for (i = 0; i < v->count; i++) {
		const struct destination_rule *dr = &v->rules[i]->dr;

		for (k = 0; k < dr->subsets.count; k++)
			if (!strcmp(dr->subsets.items[k].name, name))
				return &dr->subsets.items[k];
	}
	return NULL;
}

static const struct traffic_policy *port_level(const struct dr_policy *p, unsigned port)
{
	size_t i;

	for (i = 0; i < p->ports.count; i++)
		if (p->ports.items[i].port == port)
			return &p->ports.items[i].policy;
	return NULL;
}

/* connectionPool is one field: a subset that gives either half of it replaces both. */
static void override(struct traffic_policy *p, const struct traffic_policy *with)
{
	if (with->tcp.given || with->http_pool.line) {
		p->tcp = with->tcp;
		p->http_pool = with->http_pool;
		p->http = with->http;
	}
	if (with->lb.given)
		p->lb = with->lb;
	if (with->outlier_detection.line) {
		p->outlier_detection = with->outlier_detection;
		p->outliers = with->outliers;
	}
	if (with->retry_budget.given)
		p->retry_budget = with->retry_budget;
	if (with->tls)
		p->tls = with->tls;
}

struct traffic_policy view_policy(const struct view *v, unsigned port, const struct subset *subset)
{
	const struct traffic_policy *level;
	struct traffic_policy p = { 0 };
	size_t i;

	for (i = 0; i < v->count; i++) {
		const struct dr_policy *top = &v->rules[i]->dr.policy;

		if (!top->policy.given && !top->ports.count)
			continue;
		level = port_level(top, port);
		p = level ? *level : top->policy;
		break;
	}
	if (!subset)
		return p;
	override(&p, &subset->policy.policy);
	level = port_level(&subset->policy, port);
	return level ? *level : p;
}

static __u32 whole_ms(struct plan_cluster *c, msecs given, bool present, __u32 otherwise)
{
	__u32 ms;

	if (!present || given < 0)
		return otherwise;
	ms = given > UINT32_MAX ? UINT32_MAX : given;
	if (ms && (!c->shortest_ms || ms < c->shortest_ms))
		c->shortest_ms = ms;
	return ms;
}

static enum lb_policy lb_policy(const struct load_balancer *lb)
{
	if (lb->hash_source_ip)
		return LB_SOURCE_IP;
	switch (lb->simple) {
	case LB_SIMPLE_ROUND_ROBIN:
		return LB_ROUND_ROBIN;
	case LB_SIMPLE_RANDOM:
		return LB_RANDOM;
	case LB_SIMPLE_PASSTHROUGH:
		return LB_PASSTHROUGH;
	default:
		return LB_LEAST_REQUEST;
	}
}

static void apply_keepalive(struct cluster *c, const struct tcp_keepalive *k)
{
	c->keepalive = k->given;
	c->keepalive_time_s = k->time / 1000;
	c->keepalive_interval_s = k->interval / 1000;
	c->keepalive_probes = k->probes;
}

static void apply_policy(struct plan_cluster *c, const struct traffic_policy *p)
{
	const struct tcp_pool *tcp = &p->tcp;
	struct cluster *v = &c->values;

	v->max_connections = tcp->given && tcp->max_connections > 0 ? tcp->max_connections : 0;
	v->connect_timeout_ms = whole_ms(c, tcp->connect_timeout, tcp->given, CONNECT_TIMEOUT_MS);
	if (!v->connect_timeout_ms)
		v->connect_timeout_ms = CONNECT_TIMEOUT_MS;
	v->idle_timeout_ms = whole_ms(c, tcp->idle_timeout, tcp->given, IDLE_TIMEOUT_MS);
	v->max_duration_ms = whole_ms(c, tcp->max_duration, tcp->given, 0);
	apply_keepalive(v, &tcp->keepalive);
	v->lb = lb_policy(&p->lb);
}

static bool same_keepalive(const struct cluster *a, const struct cluster *b)
{
	return a->keepalive == b->keepalive && a->keepalive_time_s == b->keepalive_time_s &&
	       a->keepalive_interval_s == b->keepalive_interval_s &&
	       a->keepalive_probes == b->keepalive_probes;
}

static bool same_policy(const struct cluster *a, const struct cluster *b)
{
	return a->max_connections == b->max_connections &&
	       a->connect_timeout_ms == b->connect_timeout_ms &&
	       a->idle_timeout_ms == b->idle_timeout_ms &&
	       a->max_duration_ms == b->max_duration_ms && a->lb == b->lb && same_keepalive(a, b);
}

static bool same_labels(const struct subset *a, const struct subset *b)
{
	if (!a || !b || a == b)
		return a == b;
	return labels_hold(&a->labels, &b->labels) && labels_hold(&b->labels, &a->labels);
}

bool client_tls_is_for(const struct client_tls *t, bool gateway)
{
	if (!t || t->mode == CLIENT_TLS_DISABLE || t->mode == CLIENT_TLS_ISTIO_MUTUAL)
		return false;
	return gateway || !t->credential || !*t->credential;
}

bool client_tls_is_mutual(const struct client_tls *t)
{
	return t && t->mode == CLIENT_TLS_ISTIO_MUTUAL;
}

/* One made for another view that comes to the same policy and endpoints. */
static struct plan_cluster *cluster_alike(const struct plan_cluster *like, const struct subset *s)
{
	struct plan_cluster *c;

	for (c = like->sp->clusters; c; c = c->next)
		if (!c->outside && c->family == like->family && !strcmp(c->subset, like->subset) &&
		    same_labels(s, like->subset[0] ? view_subset(c->view, like->subset) : NULL) &&
		    same_policy(&c->values, &like->values))
			return c;
	return NULL;
}

static const char *direction_of(const struct plan_cluster *c)
{
	return c->outside ? "outside" : "outbound";
}

/* No DestinationRule names subsets for callers from outside. */
static const char *subset_of(const struct plan_cluster *c)
{
	return c->local ? "local" : c->subset;
}

static size_t name_in(char out[CLUSTER_NAME_MAX], const char *direction, const char *host,
		      unsigned port, const char *subset)
{
	char number[NUMBER_MAX];
	const char *const parts[] = { direction, "|", text_number(number, port), "|", subset, "|",
				      host,	 NULL };

	return text_join(out, CLUSTER_NAME_MAX, parts);
}

size_t cluster_name(char out[CLUSTER_NAME_MAX], const char *host, unsigned port, const char *subset)
{
	return name_in(out, "outbound", host, port, subset);
}

/* A copy that lasts, with its id and name. NULL when out of memory. */
static struct plan_cluster *cluster_keep(struct mesh *mesh, const struct plan_cluster *from)
{
	struct plan_cluster *c = pool_alloc(&mesh->pool, sizeof(*c));
	char text[CLUSTER_NAME_MAX];

	if (!c)
		return NULL;
	name_in(text, direction_of(from), from->host, from->port, subset_of(from));
	*c = *from;
	c->values.id = registry_id(mesh->registry, REG_CLUSTER, text);
	c->name = registry_name(mesh->registry, REG_CLUSTER, c->values.id);
	return c->name ? c : NULL;
}

static bool member_is_in(struct mesh *mesh, struct member *m, const struct subset *s)
{
	const struct kvs *labels;

	if (!s || !s->labels.count)
		return true;
	labels = member_labels(mesh, m);
	return labels && labels_hold(labels, &s->labels);
}

/* As kube-proxy has it: one whose node nothing tells is none of this node's. */
static bool member_is_here(struct mesh *mesh, struct member *m)
{
	const struct endpoint_address *address = member_address(m);
	const char *node = address ? address->node_name : NULL;
	const struct object *pod;

	if (!mesh->node)
		return true;
	if (!node) {
		pod = member_pod(mesh, m);
		node = pod ? pod->pod.node_name : NULL;
	}
	return str_eq(node, mesh->node);
}

/* The policy for callers from outside, or for those of the cluster. */
static bool is_local(const struct plan_cluster *c)
{
	return c->outside ? c->local : c->sp->host->service->service.internal_local;
}

static size_t divisor(size_t a, size_t b)
{
	while (b) {
		size_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static size_t member_weight(const struct member *m)
{
	int64_t weight = m->of_entry && m->workload ? m->workload->weight : 0;

	return weight > 1 ? (size_t)weight : 1;
}

/* What all weights are multiples of; 0: there are none. *sum: of them all. */
static size_t common_weight(const struct members *all, size_t *sum)
{
	size_t common = 0;

	*sum = 0;
	for (size_t i = 0; i < all->count; i++) {
		common = divisor(member_weight(&all->items[i]), common);
		*sum += member_weight(&all->items[i]);
	}
	return common;
}

static void add_members(struct mesh *mesh, struct plan_cluster *c, struct members *all, size_t from,
			size_t to, const struct subset *s)
{
	for (size_t i = from; i < to; i++)
		if (member_is_in(mesh, &all->items[i], s) &&
		    (!is_local(c) || member_is_here(mesh, &all->items[i])))
			c->members[c->count++] = &all->items[i];
}

/* A ServiceEntry's: each as often as its weight says, all in turn. */
static void add_weighted(struct mesh *mesh, struct plan_cluster *c, struct members *all,
			 const struct subset *s, size_t common)
{
	bool any = true;

	for (size_t round = 0; any && c->count < CLUSTER_MAX_ENDPOINTS; round++) {
		any = false;
		for (size_t i = 0; i < all->count && c->count < CLUSTER_MAX_ENDPOINTS; i++) {
			struct member *m = &all->items[i];

			if (member_weight(m) / common <= round || !member_is_in(mesh, m, s))
				continue;
			c->members[c->count++] = m;
			any = true;
		}
	}
}

/* Room that is there already is used again. */
static int members_room(struct mesh *mesh, struct plan_cluster *c, size_t count)
{
	if (c->room > count)
		return 0;
	c->room = count + c->room / 2 + 1;
	c->members = pool_alloc(&mesh->pool, c->room * sizeof(*c->members));
	return c->members ? 0 : -ENOMEM;
}

/*
 * Endpoints that terminate but still serve are called only where none is ready, as kube-proxy does
 * it. A subset is a cluster of its own, as it is to Envoy: it falls back by itself, whatever the
 * rest of the service has. A route to it asks for these pods: refusing its connections while one of
 * them still serves would be of no use.
 */
static int add_endpoints(struct mesh *mesh, struct plan_cluster *c, const struct subset *s)
{
	struct members *all = port_members(mesh, c->sp, c->family);
	size_t common = 1, rows = all ? all->count : 0;

	if (all && host_entry(c->sp->host))
		common = common_weight(all, &rows);
	if (!all || members_room(mesh, c, rows))
		return -ENOMEM;
	c->count = 0;
	if (rows > all->count) {
		add_weighted(mesh, c, all, s, common);
		return 0;
	}
	add_members(mesh, c, all, 0, all->ready, s);
	if (!c->count)
		add_members(mesh, c, all, all->ready, all->count, s);
	return 0;
}

struct plan_cluster *cluster_known(struct mesh *mesh, struct mesh_port *sp, const char *subset,
				   enum family family, struct view *view)
{
	const struct subset *s = subset[0] ? view_subset(view, subset) : NULL;
	struct plan_cluster made = { .sp = sp,
				     .view = view,
				     .host = sp->host->name,
				     .subset = s ? s->name : "",
				     .port = sp->port->port,
				     .family = family,
				     .next = sp->clusters };
	struct traffic_policy policy;
	struct plan_cluster *c;

	if (subset[0] && !s)
		return cluster_unknown(mesh, sp->host->name, sp->port->port, subset);
	for (c = sp->clusters; c; c = c->next)
		if (!c->outside && c->view == view && c->family == family &&
		    !strcmp(c->subset, subset))
			return c;
	policy = view_policy(view, sp->port->port, s);
	apply_policy(&made, &policy);
	if (host_keeps_address(sp->host))
		made.values.lb = LB_PASSTHROUGH;
	c = cluster_alike(&made, s);
	if (c)
		return c;
	c = cluster_keep(mesh, &made);
	if (!c || add_endpoints(mesh, c, s))
		return NULL;
	sp->clusters = c;
	return c;
}

struct plan_cluster *cluster_outside(struct mesh *mesh, struct mesh_port *sp, enum family family,
				     bool local)
{
	struct plan_cluster made = { .sp = sp,
				     .host = sp->host->name,
				     .subset = "",
				     .port = sp->port->port,
				     .family = family,
				     .outside = true,
				     .local = local,
				     .next = sp->clusters };
	struct traffic_policy none = { 0 };
	struct plan_cluster *c;

	for (c = sp->clusters; c; c = c->next)
		if (c->outside && c->local == local && c->family == family)
			return c;
	apply_policy(&made, &none);
	c = cluster_keep(mesh, &made);
	if (!c || add_endpoints(mesh, c, NULL))
		return NULL;
	sp->clusters = c;
	return c;
}

int cluster_again(struct mesh *mesh, struct plan_cluster *c)
{
	return add_endpoints(mesh, c, c->subset[0] ? view_subset(c->view, c->subset) : NULL);
}

struct plan_cluster *cluster_unknown(struct mesh *mesh, const char *host, unsigned port,
				     const char *subset)
{
	struct plan_cluster made = { .subset = subset, .port = port };
	struct traffic_policy none = { 0 };
	char text[CLUSTER_NAME_MAX];
	struct plan_cluster *c;
	void **at;

	cluster_name(text, host, port, subset);
	c = bytemap_str(&mesh->unknown, text);
	if (c)
		return c;
	apply_policy(&made, &none);
	made.host = pool_copy(&mesh->pool, host, strlen(host));
	c = made.host ? cluster_keep(mesh, &made) : NULL;
	at = c ? bytemap_at(&mesh->unknown, c->name, strlen(c->name)) : NULL;
	if (!at)
		return NULL;
	*at = c;
	return c;
}
