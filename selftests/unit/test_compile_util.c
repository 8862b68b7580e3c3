// SPDX-License-Identifier: Apache-2.0
#include "test_compile_util.h"

#include <string.h>

#include "lib/model/hostname.h"

void compiled_again(struct compiled *c, struct compiled *before, const char *yaml)
{
	c->registry = before->registry;
	before->registry = NULL;
	c->r = rules_parse("t.yaml", yaml, strlen(yaml), &c->objects, &c->errors, NULL);
	if (!c->objects.client_tls_dir)
		c->objects.client_tls_dir = "/";
	if (!c->r)
		c->r = compile(&c->objects, c->registry, COMPILE_HTTP_NEEDED, &c->tables,
			       &c->errors);
}

void compiled_text(struct compiled *c, const char *yaml)
{
	struct compiled none = { .registry = registry_new() };

	compiled_again(c, &none, yaml);
}

void compiled_free(struct compiled *c)
{
	tables_free(c->tables);
	registry_free(c->registry);
	objects_free(&c->objects);
	errors_free(&c->errors);
	*c = (struct compiled){ 0 };
}

char *errors_text(const struct errors *e)
{
	char *text = NULL;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);

	for (i = 0; i < e->count; i++)
		fprintf(f, "%s%s\n", e->items[i].warning ? "warning: " : "", e->items[i].text);
	fclose(f);
	return text;
}

static void print_cluster(FILE *f, const struct tables *t, __u32 index)
{
	static const char *const lb[] = { "least_request", "round_robin", "random", "passthrough",
					  "source_ip" };
	const struct cluster *c = &t->clusters.items[index];
	__u32 i;

	fprintf(f, "%s", t->cluster_names.items[index]);
	if (c->lb)
		fprintf(f, " %s", lb[c->lb]);
	if (c->max_connections)
		fprintf(f, " max %u", c->max_connections);
	if (c->connect_timeout_ms != 10000)
		fprintf(f, " connect %u", c->connect_timeout_ms);
	if (c->idle_timeout_ms != 3600000)
		fprintf(f, " idle %u", c->idle_timeout_ms);
	if (c->max_duration_ms)
		fprintf(f, " duration %u", c->max_duration_ms);
	if (c->keepalive)
		fprintf(f, " keepalive %u/%u/%u", c->keepalive_time_s, c->keepalive_interval_s,
			c->keepalive_probes);
	if (!t->cluster_origins.items[index].known)
		fputs(" unknown", f);
	fputs(" [", f);
	for (i = 0; i < c->ep_count; i++)
		fprintf(f, "%s%s", i ? " " : "", t->endpoint_names.items[c->ep_first + i]);
	fputs("]\n", f);
}

static void print_route(FILE *f, const struct tables *t, const struct route *route)
{
	__u32 i, before = 0;

	for (i = 0; i < route->dest_count; i++) {
		const struct dest *d = &t->dests.items[route->dest_first + i];

		fprintf(f, "    %u/%u ", d->end - before, route->total);
		print_cluster(f, t, d->cluster);
		before = d->end;
	}
}

static void print_rule(FILE *f, const struct tables *t, __u32 index)
{
	const struct rule *r = &t->rules.items[index];
	const struct rule_origin *o = &t->rule_origins.items[index];

	fprintf(f, "  %s %s/%s%s%s at %d:%d", o->kind, o->namespace, o->name, *o->route ? " " : "",
		o->route, o->pos.line, o->pos.col);
	if (r->ns)
		fprintf(f, " ns=%s", tables_namespace(t, r->ns));
	if (r->action == RULE_WITHIN)
		fprintf(f, " next=%u", r->selector);
	else if (r->selector)
		fprintf(f, " selector=%u", r->selector);
	if (*o->conditions)
		fprintf(f, " (%s)", o->conditions);
	if (r->action == RULE_ROUTE)
		fprintf(f, " -> %s\n", t->route_names.items[r->route]);
	else
		fprintf(f, " -> %s\n",
			r->action == RULE_REFUSE   ? "refuse"
			: r->action == RULE_PROXY  ? "weft-proxy"
			: r->action == RULE_ADMIT  ? "go on"
			: r->action == RULE_WITHIN ? "those that follow"
						   : "pass");
	if (r->action == RULE_ROUTE)
		print_route(f, t, &t->routes.items[r->route]);
}

static void print_service(FILE *f, const struct tables *t, const struct service_entry *e,
			  const struct service_origin *o)
{
	char address[ADDR_TEXT_MAX];
	size_t i;

	addr_format_port(&e->key.addr, e->key.port, address);
	fprintf(f, "%s %s",
		e->key.scope == SCOPE_NODE	 ? "node"
		: e->key.scope == SCOPE_OUTSIDE	 ? "outside"
		: e->key.scope == SCOPE_ANYWHERE ? "anywhere"
						 : "mesh",
		address);
	if (e->key.ns)
		fprintf(f, " for %s", tables_namespace(t, e->key.ns));
	if (e->value.flags & SERVICE_PER_NAMESPACE)
		fputs(" per_namespace", f);
	if (e->value.flags & SERVICE_LOCAL)
		fputs(" local", f);
	if (e->value.admit_count)
		fprintf(f, " admits %u", e->value.admit_count);
	if (e->value.affinity_s)
		fprintf(f, " affinity %u", e->value.affinity_s);
	fprintf(f, " = %s/%s\n", o->namespace, o->name);
	for (i = 0; i < e->value.rule_count; i++)
		print_rule(f, t, e->value.rule_first + i);
	for (i = 0; i < o->skipped_count; i++)
		fprintf(f, "  skipped %s/%s%s%s: %s\n", o->skipped[i].rule.namespace,
			o->skipped[i].rule.name, *o->skipped[i].rule.route ? " " : "",
			o->skipped[i].rule.route, o->skipped[i].why);
}

static void print_sources(FILE *f, const struct tables *t)
{
	char address[ADDR_TEXT_MAX];
	size_t i;

	for (i = 0; i < t->sources.count; i++) {
		const struct source_entry *s = &t->sources.items[i];

		addr_format(&s->addr, address);
		fprintf(f, "source %s workload %u in %s\n", address, s->value.workload,
			tables_namespace(t, s->value.ns));
	}
	for (i = 0; i < t->selected.count; i++)
		fprintf(f, "workload %u has selector %u\n", t->selected.items[i].workload,
			t->selected.items[i].selector);
}

static void print_protection(FILE *f, const struct protection *p)
{
	static const char *const verdicts[] = { "neither", "allow", "deny" };
	const struct protect_limits *l = &p->limits;
	char address[ADDR_TEXT_MAX];
	struct addr addr;

	if (l->flags)
		fprintf(f, "protection flags %u source %u/%u total %u/%u cookies %u ports",
			l->flags, l->source_rate, l->source_burst, l->total_rate, l->total_burst,
			l->cookie_threshold);
	for (__u32 i = 0; i < l->port_count; i++)
		fprintf(f, " %u", l->ports[i]);
	fputs(l->flags ? "\n" : "", f);
	for (size_t i = 0; i < p->ranges.count; i++) {
		memcpy(addr.b, p->ranges.items[i].key.addr, sizeof(addr.b));
		addr_format(&addr, address);
		fprintf(f, "  %s/%u %s\n", address, p->ranges.items[i].key.prefixlen,
			verdicts[p->ranges.items[i].verdict]);
	}
}

char *tables_text(const struct tables *t)
{
	char *text = NULL;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);

	for (i = 0; i < t->services.count; i++)
		print_service(f, t, &t->services.items[i], &t->service_origins.items[i]);
	for (i = 0; i < t->unaddressed.count; i++) {
		fputs("unpublished: ", f);
		print_service(f, t, &t->unaddressed.items[i], &t->unaddressed_origins.items[i]);
	}
	print_sources(f, t);
	if (t->min_timeout_ms)
		fprintf(f, "shortest timeout %u\n", t->min_timeout_ms);
	print_protection(f, &t->protection);
	fclose(f);
	return text;
}

char *file_text(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out;
	int c;

	if (!f)
		return NULL;
	out = open_memstream(&text, &len);
	while ((c = getc(f)) != EOF)
		putc(c, out);
	fclose(out);
	return TAKE_PTR(text);
}
