// SPDX-License-Identifier: Apache-2.0
#include "lib/explain/explain_gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compile/compile.h"

void explain_gateway_free(struct explain_gateway *g)
{
	tables_free(g->tables);
	free(g->objects.items);
	*g = (struct explain_gateway){ 0 };
}

static const char *asked_namespace(const struct explain_query *q)
{
	return q->gateway_namespace ? q->gateway_namespace
	       : q->namespace	    ? q->namespace
				    : "default";
}

static bool is_asked(const struct object *o, const struct explain_query *q)
{
	return str_eq(o->meta.name, q->gateway) && str_eq(o->meta.namespace, asked_namespace(q));
}

/* All but the other Gateways. */
static const struct object *take_objects(const struct objects *from, const struct explain_query *q,
					 struct objects *to)
{
	const struct object *found = NULL;

	for (size_t i = 0; i < from->count; i++) {
		struct object *o = from->items[i];

		if (o->kind == KIND_GATEWAY && !is_asked(o, q))
			continue;
		if (o->kind == KIND_GATEWAY)
			found = o;
		to->items[to->count++] = o;
	}
	return found;
}

bool explain_leads_to_gateway(const struct service_entry *e, const struct service_origin *o)
{
	return !*o->host || (e->value.flags & SERVICE_DOOR);
}

static bool is_served(const struct tables *t, const struct gateway *gw, unsigned port)
{
	for (size_t i = 0; i < gw->servers.count; i++)
		if (gw->servers.items[i].port == port)
			return true;
	for (size_t i = 0; i < t->services.count; i++)
		if (t->services.items[i].key.port == port &&
		    explain_leads_to_gateway(&t->services.items[i], &t->service_origins.items[i]))
			return true;
	return false;
}

/* "80, 443": each once. The caller frees. */
static char *ports_of(const struct gateway *gw)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; f && i < gw->servers.count; i++) {
		bool seen = false;

		for (size_t k = 0; k < i && !seen; k++)
			seen = gw->servers.items[k].port == gw->servers.items[i].port;
		if (!seen)
			fprintf(f, "%s%u", i ? ", " : "", gw->servers.items[i].port);
	}
	if (f && fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static int not_served(const struct object *o, const struct explain_query *q, struct errors *errors)
{
	_cleanup_free_ char *ports = ports_of(&o->gateway);

	errors_add(errors, "explain", (struct pos){ 0 },
		   "gateway %s/%s has no server at port %u, and nothing leads to it there: its "
		   "ports are %s",
		   o->meta.namespace, o->meta.name, q->port, ports ? ports : "?");
	return ports ? -ENOENT : -ENOMEM;
}

static int compile_alone(struct explain_gateway *g, struct registry *registry,
			 struct errors *errors)
{
	struct errors found = { 0 };
	int r = compile(&g->objects, registry, COMPILE_HTTP_ALWAYS, &g->tables, &found);

	if (r == -EINVAL)
		errors_move(errors, &found);
	errors_free(&found);
	return r;
}

int explain_gateway_make(const struct objects *objects, const struct explain_query *q,
			 struct registry *registry, struct explain_gateway *out,
			 struct errors *errors)
{
	const struct object *o;
	int r;

	out->objects = *objects;
	out->objects.count = 0;
	out->objects.items = calloc(objects->count + 1, sizeof(*out->objects.items));
	if (!out->objects.items)
		return -ENOMEM;
	o = take_objects(objects, q, &out->objects);
	if (!o) {
		errors_add(errors, "explain", (struct pos){ 0 }, "no such gateway: %s/%s",
			   asked_namespace(q), q->gateway);
		return -ENOENT;
	}
	r = compile_alone(out, registry, errors);
	if (!r && !is_served(out->tables, &o->gateway, q->port))
		r = not_served(o, q, errors);
	return r;
}
