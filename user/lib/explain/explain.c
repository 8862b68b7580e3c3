// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain.h"

#include <errno.h>
#include <string.h>

#include "lib/base/pool.h"
#include "lib/explain/explain_authz.h"
#include "lib/explain/explain_policy.h"
#include "lib/explain/explain_target.h"
#include "lib/mesh/mesh.h"

const char *explain_action_name(enum explain_action action)
{
	static const char *const names[] = { "route", "no_cluster", "no_endpoint", "passthrough",
					     "refuse" };

	return names[action];
}

void explain_done(struct explain_answer *a)
{
	size_t i;

	for (i = 0; i < a->destinations.count; i++) {
		free(a->destinations.items[i].endpoints);
		free(a->destinations.items[i].closed);
	}
	free(a->destinations.items);
	free(a->policies.items);
	free(a->refusals.items);
	free(a->audits.items);
	free(a->skipped.items);
	pool_free(a->pool);
	*a = (struct explain_answer){ 0 };
}

static int add_skipped(struct explain_answer *a, const struct rule_origin *rule, const char *why)
{
	struct explain_skipped *s = table_push(&a->skipped);
	char at[PLACE_MAX];

	if (!s)
		return -ENOMEM;
	s->rule = pool_printf(&a->pool, "%s %s/%s%s%s", rule->kind, rule->namespace, rule->name,
			      *rule->route ? " " : "", rule->route);
	s->at = pool_printf(&a->pool, "%s", place_text(at, sizeof(at), rule->file, rule->pos));
	s->why = why;
	return s->rule && s->at && why ? 0 : -ENOMEM;
}

/* The first label that the client lacks or has another value of. */
static char *why_labels(struct explain_answer *a, const struct explain_client *client,
			const struct kvs *wanted)
{
	size_t i;

	for (i = 0; i < wanted->count; i++) {
		const char *key = wanted->items[i].key;
		const char *want = wanted->items[i].value ? wanted->items[i].value : "";
		const char *has = client->labels ? labels_get(client->labels, key) : NULL;

		if (!has)
			return pool_printf(&a->pool,
					   "sourceLabels: %s: the client has none, not '%s'", key,
					   want);
		if (!str_eq(has, want))
			return pool_printf(&a->pool, "sourceLabels: %s: '%s' is not '%s'", key, has,
					   want);
	}
	return pool_printf(&a->pool, "sourceLabels: not those of the client");
}

static char *why_not(const struct tables *t, struct explain_answer *a,
		     const struct explain_client *client, const struct rule *rule)
{
	const char *ns = client->namespace ? client->namespace : "";
	const char *wanted = rule->ns ? tables_namespace(t, rule->ns) : NULL;
	const struct kvs *labels;

	if (wanted && !str_eq(ns, wanted))
		return pool_printf(&a->pool, "sourceNamespace: '%s' is not '%s'", ns, wanted);
	labels = rule->selector ? tables_selector(t, rule->selector) : NULL;
	if (!labels)
		return pool_printf(&a->pool, "another generation of rules decided");
	return why_labels(a, client, labels);
}

/* In the order in which they would be tried: compile time's reasons first, those of this client
 * after. */
static int explain_skips(const struct tables *t, const struct explain_client *client,
			 const struct explain_target *to, struct explain_answer *a)
{
	const struct service_origin *from = to->origin;
	__u32 i;
	size_t k;
	int r = 0;

	for (k = 0; k < from->skipped_count && !r; k++)
		r = add_skipped(a, &from->skipped[k].rule, from->skipped[k].why);
	for (i = to->entry->value.rule_first; i < a->verdict.rule && !r; i++) {
		const struct rule *rule = &t->rules.items[i];

		if (rule->action != RULE_WITHIN)
			r = add_skipped(a, &t->rule_origins.items[i], why_not(t, a, client, rule));
		else if (a->verdict.rule - i > rule->selector)
			i += rule->selector; /* of a subnet that is not called */
	}
	return r;
}

static int add_endpoints(const struct tables *t, const struct cluster *c,
			 struct explain_destination *d)
{
	__u32 i;

	d->endpoints = calloc(c->ep_count + 1, sizeof(*d->endpoints));
	if (!d->endpoints)
		return -ENOMEM;
	for (i = 0; i < c->ep_count; i++)
		d->endpoints[i] = t->endpoint_names.items[c->ep_first + i];
	d->endpoint_count = c->ep_count;
	return 0;
}

/* A list of sentences in the answer, each of them once. */
struct sentences {
	const char ***items;
	size_t *count, *room;
};

#define SENTENCES(table)                                         \
	(struct sentences)                                       \
	{                                                        \
		&(table)->items, &(table)->count, &(table)->room \
	}

static int add_sentence(struct explain_answer *a, struct sentences list, const char *why)
{
	const char **at;

	for (size_t i = 0; i < *list.count; i++)
		if (str_eq((*list.items)[i], why))
			return 0;
	at = table_grow((void **)list.items, list.count, list.room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	*at = pool_copy(&a->pool, why, strlen(why));
	return *at ? 0 : -ENOMEM;
}

/* Whether policies close the endpoint: 1, 0, -ENOMEM. */
static int is_closed(const struct endpoint *e, struct explain_policies *p, struct explain_answer *a)
{
	static const struct explain_authz_request connection;
	const char *why, *refusal = NULL;
	int r = explain_policies_ask(p, &e->addr, e->port, &why);

	if (!r && why)
		r = add_sentence(a, SENTENCES(&a->policies), why);
	if (!r && p->authz)
		r = explain_authz_ask(p->authz, &connection, &e->addr, e->port, &refusal);
	if (!r && refusal)
		r = add_sentence(a, SENTENCES(&a->refusals), refusal);
	return r ? r : why || refusal;
}

/* What explain_authz_ask() has found meanwhile. */
static int add_audits(const struct explain_policies *p, struct explain_answer *a)
{
	int r = 0;

	for (size_t i = 0; p->authz && i < p->authz->audits.count && !r; i++)
		r = add_sentence(a, SENTENCES(&a->audits), p->authz->audits.items[i]);
	return r;
}

static int add_closed(const struct tables *t, const struct cluster *c, struct explain_policies *p,
		      struct explain_answer *a, struct explain_destination *d)
{
	d->closed = calloc(c->ep_count + 1, sizeof(*d->closed));
	if (!d->closed)
		return -ENOMEM;
	for (__u32 i = 0; i < c->ep_count; i++) {
		const struct endpoint *e = &t->endpoints.items[c->ep_first + i];
		int r = is_closed(e, p, a);

		if (r < 0)
			return r;
		if (r)
			d->closed[d->closed_count++] = t->endpoint_names.items[c->ep_first + i];
	}
	return 0;
}

static int add_destinations(const struct tables *t, const struct route *route,
			    struct explain_policies *p, struct explain_answer *a)
{
	__u32 i, before = 0;
	int r = 0;

	for (i = 0; i < route->dest_count && !r; i++) {
		const struct dest *dest = &t->dests.items[route->dest_first + i];
		const struct cluster_origin *origin = &t->cluster_origins.items[dest->cluster];
		struct explain_destination *d = table_push(&a->destinations);

		if (!d)
			return -ENOMEM;
		d->host = origin->host;
		d->subset = origin->subset;
		d->port = origin->port;
		d->weight = route->dest_count == 1 ? 100 : dest->end - before;
		d->max_connections = t->clusters.items[dest->cluster].max_connections;
		r = add_endpoints(t, &t->clusters.items[dest->cluster], d);
		if (!r)
			r = add_closed(t, &t->clusters.items[dest->cluster], p, a, d);
		before = dest->end;
	}
	return r ? r : add_audits(p, a);
}

static const char *name_of_cluster(const struct tables *t, const struct verdict *v)
{
	return v->cluster && v->cluster_index < t->cluster_names.count
		       ? t->cluster_names.items[v->cluster_index]
		       : NULL;
}

static const char *endpoint_name(const struct tables *t, const struct verdict *v)
{
	const struct cluster *c;
	__u32 i;

	if (!v->endpoint || v->cluster_index >= t->clusters.count)
		return NULL;
	c = &t->clusters.items[v->cluster_index];
	for (i = 0; i < c->ep_count; i++)
		if (t->endpoints.items[c->ep_first + i].id == v->endpoint)
			return t->endpoint_names.items[c->ep_first + i];
	return NULL;
}

static bool any_endpoint(const struct explain_answer *a)
{
	for (size_t i = 0; i < a->destinations.count; i++)
		if (a->destinations.items[i].endpoint_count)
			return true;
	return false;
}

/* Why the next connection is refused although a rule routes it. */
static int explain_refusal(struct explain_answer *a)
{
	if (a->verdict.reason == REASON_NO_ENDPOINT || a->verdict.reason == REASON_OVERFLOW) {
		a->reason = pool_printf(&a->pool, "the connection is refused: %s %s",
					a->cluster ? a->cluster : "the destination",
					a->verdict.reason == REASON_OVERFLOW
						? "has as many connections as maxConnections allows"
						: "has no endpoint");
		if (!a->reason)
			return -ENOMEM;
	}
	if (a->action == EXPLAIN_ROUTE && !any_endpoint(a))
		a->action = EXPLAIN_NO_ENDPOINT;
	return 0;
}

/* The service is there, only the port is wrong. */
static int explain_other_ports(struct explain_answer *a, const struct object *service,
			       unsigned port)
{
	_cleanup_free_ char *ports = explain_service_ports(service);

	if (ports)
		a->reason = pool_printf(&a->pool, "service %s/%s is there, with %s, not %u",
					service->meta.namespace, service->meta.name, ports, port);
	return ports && a->reason ? 0 : -ENOMEM;
}

static int explain_unregistered(struct explain_answer *a, const char *why)
{
	a->action = EXPLAIN_REFUSE;
	a->reason = pool_printf(&a->pool,
				"%s, and outboundTrafficPolicy is REGISTRY_ONLY: the connection is "
				"refused (BlackHoleCluster)",
				why ? why : "nothing knows it");
	a->cluster = "BlackHoleCluster";
	return a->reason ? 0 : -ENOMEM;
}

/* What the rule says. Whether an endpoint is there to take the connection is another matter, told
 * by the verdict. */
static int explain_rule(const struct tables *t, const struct explain_client *client,
			const struct explain_target *to, struct explain_policies *p,
			struct explain_answer *a)
{
	const struct rule *rule;
	int r;

	/* Another generation answered than the one that these tables are of. */
	if (!a->verdict.service ||
	    a->verdict.rule - to->entry->value.rule_first >= to->entry->value.rule_count)
		return -ESTALE;
	rule = &t->rules.items[a->verdict.rule];
	a->rule = &t->rule_origins.items[a->verdict.rule];
	a->service = to->origin;
	r = explain_skips(t, client, to, a);
	if (r)
		return r;
	switch (rule->action) {
	case RULE_PASS:
		a->action = EXPLAIN_PASSTHROUGH;
		return 0;
	case RULE_REFUSE:
		a->action = EXPLAIN_NO_CLUSTER;
		a->reason = "the rule's destination does not exist";
		return 0;
	case RULE_PROXY:
		a->action = EXPLAIN_ROUTE;
		a->reason = "weft-proxy decides for each request";
		return 0;
	case RULE_UNREGISTERED:
		return explain_unregistered(a, "to the client no Service or ServiceEntry is there");
	case RULE_WITHIN: /* decides nothing */
		return -ESTALE;
	case RULE_ADMIT:
		a->action = EXPLAIN_REFUSE;
		a->reason = "the client's address is in none of the service's "
			    "loadBalancerSourceRanges";
		return 0;
	}
	a->action = a->verdict.action == VERDICT_PASS ? EXPLAIN_PASSTHROUGH : EXPLAIN_ROUTE;
	a->cluster = name_of_cluster(t, &a->verdict);
	a->endpoint = endpoint_name(t, &a->verdict);
	r = add_destinations(t, &t->routes.items[rule->route], p, a);
	return r ? r : explain_refusal(a);
}

static int ask(const struct tables *t, const struct explain_client *client, explain_decide decide,
	       void *arg, struct explain_answer *a)
{
	struct decide_context context = { .given = !client->pod,
					  .ns = client->ns,
					  .labels = client->labels };

	if (decide && (client->pod || !client->namespace))
		return decide(arg, &a->question, &a->verdict);
	decide_tables(t, &context, &a->question, &a->verdict);
	return 0;
}

/* Gateways answer to anyone, other Services' addresses are for the pods of the mesh. */
static bool is_outsider(const struct explain_client *client, const struct explain_target *to)
{
	return client->namespace && !client->enrolment.in &&
	       !(to->entry && (to->entry->value.flags & SERVICE_DOOR));
}

static int explain_outsider(const struct explain_query *q, const struct explain_client *client,
			    struct explain_answer *a)
{
	a->action = EXPLAIN_PASSTHROUGH;
	a->reason = pool_printf(&a->pool,
				"%s %s%s%s is not in the mesh (%s): its connections pass untouched",
				q->pod ? "pod" : "a client of namespace", client->namespace,
				q->pod ? "/" : "", q->pod ? q->pod : "", client->enrolment.why);
	return a->reason ? 0 : -ENOMEM;
}

static bool is_pod_address(const struct tables *t, const struct addr *addr)
{
	for (size_t i = 0; i < t->sources.count; i++)
		if (!memcmp(&t->sources.items[i].addr, addr, sizeof(*addr)))
			return true;
	return false;
}

/* As is_registered() has it in BPF, without what only the node itself knows: its own addresses, and
 * those within a pod. A name that is no Service's may be at any address. */
static bool is_unregistered(const struct tables *t, const struct objects *objects,
			    const struct explain_query *q, const struct explain_target *to)
{
	const char *address = q->address ? q->address : q->host;
	struct addr addr;

	if (!objects->registry_only || explain_is_from_outside(q))
		return false;
	if (!addr_parse(address ? address : "", &addr))
		return !is_pod_address(t, &addr);
	return !to->service || !service_is_headless(&to->service->service);
}

/* What the ConnectionPolicy has to say comes first. 1: it drops the connection; 0; -ENOMEM. */
static int explain_protection(const struct tables *t, const struct objects *objects,
			      const struct explain_query *q, const struct explain_client *client,
			      const struct explain_target *to, struct explain_answer *a)
{
	_cleanup_free_ char *why = NULL;
	bool dropped;
	int r = explain_protected(t, objects, q, client, to, &dropped, &why);

	if (r || !why)
		return r;
	a->protection = pool_copy(&a->pool, why, strlen(why));
	if (dropped) {
		a->action = EXPLAIN_REFUSE;
		a->reason = a->protection;
		a->protection = NULL;
	}
	return a->reason || a->protection ? dropped : -ENOMEM;
}

int explain(const struct tables *t, const struct objects *objects, const struct explain_query *q,
	    explain_decide decide, void *arg, struct explain_answer *out, struct errors *errors)
{
	_cleanup_(explain_policies_free) struct explain_policies policies = { 0 };
	_cleanup_(explain_authz_free) struct explain_authz authz = { 0 };
	struct explain_client client = { 0 };
	struct explain_target to = { 0 };
	int r;

	r = explain_find_client(t, objects, q, &client, errors);
	if (!r)
		r = explain_find_target(t, objects, q, &client, &to, errors);
	if (r)
		return r;
	r = explain_protection(t, objects, q, &client, &to, out);
	if (r)
		return r < 0 ? r : 0;
	if (is_outsider(&client, &to))
		return explain_outsider(q, &client, out);
	/* What has no address is not published: the kernel is never asked about it. */
	if (to.entry && decide && addr_is_placeholder(&to.entry->key.addr)) {
		to.entry = NULL;
		to.why = "the service has no cluster IP";
	}
	if (!to.entry && is_unregistered(t, objects, q, &to))
		return explain_unregistered(out, to.why);
	if (!to.entry) {
		out->action = q->gateway ? EXPLAIN_REFUSE : EXPLAIN_PASSTHROUGH;
		out->reason = to.why;
		return to.service && !explain_has_port(to.service, q->port)
			       ? explain_other_ports(out, to.service, q->port)
			       : 0;
	}
	out->question = (struct question){ .dst = to.called ? to.addr : to.entry->key.addr,
					   .port = to.entry->key.port,
					   .scope = to.called ? SCOPE_MESH : to.entry->key.scope };
	out->question.dry = 1;
	out->question.source = client.addr;
	out->question.client = explain_client_addr(t, &client, &out->question.dst);
	r = ask(t, &client, decide, arg, out);
	if (!r)
		r = explain_policies_init(&policies, objects, &client);
	if (!r)
		r = explain_authz_init(&authz, objects, q->enrol, &client);
	policies.authz = &authz;
	return r ? r : explain_rule(t, &client, &to, &policies, out);
}
