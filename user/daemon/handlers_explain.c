// SPDX-License-Identifier: Apache-2.0
/*
 * explain, against the live maps: the loaded program answers, the tables in force give the names.
 */
#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "handlers.h"
#include "handlers_object.h"
#include "handlers_tables.h"
#include "handlers_target.h"
#include "host.h"

/* Why a rule that was tried before the winner did not hold. A new value. */
static json_t *why_not(const struct tables *t, const struct rule *rule, const struct source_entry *source)
{
	_cleanup_(json_decrefp) json_t *labels = NULL;

	if (rule->ns && (!source || source->value.ns != rule->ns))
		return json_textf("sourceNamespace: '%s' is not '%s'",
				  source ? t->namespaces.items[source->value.ns - 1] : "unknown",
				  t->namespaces.items[rule->ns - 1]);
	if (!rule->selector)
		return json_text("its conditions do not hold");
	labels = kvs_text(t->selectors.items[rule->selector - 1]);
	return json_textf("sourceLabels: the client's labels do not have %s", json_string_value(labels));
}

static int add_rules_passed(json_t *list, const struct tables *t, const struct service *s, __u32 winner,
			    const struct source_entry *source)
{
	int r = 0;

	for (__u32 i = s->rule_first; !r && i < s->rule_first + s->rule_count; i++) {
		_cleanup_(json_decrefp) json_t *why = NULL;

		if (i == winner)
			continue;
		why = i < winner ? why_not(t, &t->rules.items[i], source) : json_text("an earlier rule holds");
		r = add_skipped(list, &t->rule_origins.items[i], json_string_value(why));
	}
	return r;
}

/* The list that decides for clients of that namespace. */
static long service_for(const struct tables *t, const struct question *q, const struct source_entry *source)
{
	struct addr any = { 0 };
	const struct addr *addr = q->scope == SCOPE_NODE ? &any : &q->dst;
	long i = source ? tables_find_service(t, addr, q->port, q->scope, source->value.ns) : -1;

	return i >= 0 ? i : tables_find_service(t, addr, q->port, q->scope, 0);
}

static int explain_rules(json_t *data, const struct tables *t, const struct question *q, const struct verdict *v)
{
	const struct source_entry *source = tables_find_source(t, &q->source);
	long i = service_for(t, q, source);
	json_t *skipped = json_array();
	int r = json_object_set_new(data, "skipped", skipped) ? -ENOMEM : 0;

	if (r || i < 0)
		return r;
	for (size_t s = 0; !r && s < t->service_origins.items[i].skipped_count; s++)
		r = add_skipped(skipped, &t->service_origins.items[i].skipped[s].rule,
				t->service_origins.items[i].skipped[s].why);
	if (!r && v->rule < t->rules.count)
		r = add_rules_passed(skipped, t, &t->services.items[i].value, v->rule, source);
	return r;
}

static const char *action_name(const struct verdict *v)
{
	switch (v->action) {
	case VERDICT_STEER:
		return "route";
	case VERDICT_REFUSE:
		return "refuse";
	default:
		return "passthrough";
	}
}

struct reason_name {
	__u32 reason;
	json_t *name;
};

static int match_reason(void *arg, __u32 reason, const struct reason_stat *s)
{
	struct reason_name *want = arg;

	if (reason != want->reason)
		return 0;
	want->name = json_text(s->name);
	return 1;
}

static void add_reason(struct weftd *d, json_t *data, const struct verdict *v)
{
	struct reason_name want = { v->reason, NULL };

	if (v->reason != REASON_NONE && kernel_each_reason(d->kernel, match_reason, &want) >= 0 && want.name)
		json_object_set_new(data, "reason", want.name);
}

static void add_decision(json_t *data, const struct tables *t, const struct registry *names, const struct verdict *v)
{
	long route = tables_find_route(t, v->route);
	const char *cluster = registry_name(names, REG_CLUSTER, v->cluster);
	const char *service = registry_name(names, REG_SERVICE, v->service);

	if (service)
		json_object_set_new(data, "service", json_text(service));
	if (v->service && v->rule < t->rules.count)
		json_object_set_new(data, "rule", rule_origin_json(&t->rule_origins.items[v->rule]));
	if (v->route && route >= 0)
		json_object_set_new(data, "destinations", route_dests_json(t, route));
	if (v->cluster && cluster)
		json_object_set_new(data, "cluster", json_text(cluster));
	if (v->action == VERDICT_STEER)
		json_object_set_new(data, "endpoint", addr_port_json(&v->addr, v->port));
	if (v->max_connections)
		json_object_set_new(data, "max_connections", json_integer(v->max_connections));
}

/* {"from": "NAMESPACE/POD" or "POD", "to": "HOST:PORT"} */
int handle_explain(struct weftd *d, const struct request *request, struct reply *reply)
{
	const struct tables *t = engine_tables(d->engine);
	struct question q;
	struct verdict v;
	int r = t ? target_find(d, request->args, &q, reply) : -ENODATA;

	if (!r)
		r = kernel_explain(d->kernel, &q, &v);
	if (r)
		return r;
	reply->data = json_pack("{s:s, s:s, s:I, s:o, s:o}", "protocol", "tcp", "action", action_name(&v), "generation",
				(json_int_t)v.generation, "client", addr_port_json(&q.client, 0), "address",
				addr_port_json(&q.dst, q.port));
	if (!reply->data)
		return -ENOMEM;
	add_reason(d, reply->data, &v);
	add_decision(reply->data, t, engine_registry(d->engine), &v);
	return explain_rules(reply->data, t, &q, &v);
}
