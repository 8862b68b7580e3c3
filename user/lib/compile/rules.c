// SPDX-License-Identifier: Apache-2.0
/*
 * The tables after a change of rules: what pods, services and endpoints are in the mesh stays. What
 * changes most often, where VirtualServices of the mesh send requests, how many of them, and what
 * they do to them, changes nothing but the virtual hosts of their hosts.
 */
#include <errno.h>
#include <string.h>

#include "lib/compile/check.h"
#include "lib/compile/index.h"
#include "lib/l7/l7.h"
#include "lib/model/model_http.h"
#include "lib/route/snapshot.h"

bool compile_are_rules(const struct object_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!mesh_change_is_of_rules(&changes[i]))
			return false;
	return count;
}

/* ---- of requests alone ---- */

static bool same_texts(const struct strs *a, const struct strs *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; i < a->count && same; i++)
		same = !strcmp(a->items[i], b->items[i]);
	return same;
}

/* Which labels are asked for decides what the snapshot has of pods. */
static bool asks_labels(const struct http_route *r)
{
	for (size_t i = 0; i < r->match.count; i++)
		if (r->match.items[i].source_labels.count)
			return true;
	return false;
}

/* Nothing but requests is spoken of, and nothing that hangs on other objects' rules, or has others
 * hang on it. */
static bool is_of_requests(const struct object *o)
{
	const struct virtual_service *vs = &o->vs;

	if (!comes_from_cluster(o) || !vs->hosts.count || !vs->http.count || vs->tcp.count ||
	    vs->tls.count)
		return false;
	for (size_t i = 0; i < vs->gateways.count; i++)
		if (strcmp(vs->gateways.items[i], "mesh") != 0)
			return false;
	for (size_t i = 0; i < vs->http.count; i++)
		if (vs->http.items[i].delegate || asks_labels(&vs->http.items[i]))
			return false;
	return true;
}

static const char *route_name(const struct object *o, size_t i)
{
	const char *name = i < o->vs.http.count ? o->vs.http.items[i].name : NULL;

	return name ? name : "";
}

/* Whether its routes have the names that they had: which object counts under a name that several
 * give is the same then. */
static bool has_same_names(const struct object_change *c)
{
	size_t count = c->old->vs.http.count;
	bool same = true;

	if (c->new->vs.http.count > count)
		count = c->new->vs.http.count;
	for (size_t i = 0; i < count && same; i++)
		same = !strcmp(route_name(c->old, i), route_name(c->new, i));
	return same;
}

static bool has_other_requests(const struct object_change *c)
{
	if (!c->old || !c->new || c->new->kind != KIND_VIRTUAL_SERVICE)
		return false;
	return is_of_requests(c->old) && is_of_requests(c->new) &&
	       c->old->meta.created == c->new->meta.created &&
	       !strcmp(c->old->file, c->new->file) &&
	       same_texts(&c->old->vs.hosts, &c->new->vs.hosts) &&
	       same_texts(&c->old->vs.gateways, &c->new->vs.gateways) &&
	       same_texts(&c->old->vs.export_to, &c->new->vs.export_to) && has_same_names(c);
}

/* What a compilation would say of it. */
static void remark(struct mesh *mesh, const struct object *o, struct errors *found)
{
	mesh->errors = found;
	check_requests_of(mesh, o);
	mesh->errors = NULL;
}

static bool same_remarks(const struct errors *a, const struct errors *b)
{
	bool same = a->count == b->count;

	for (size_t i = 0; i < a->count && same; i++)
		same = a->items[i].text && b->items[i].text &&
		       a->items[i].remark == b->items[i].remark &&
		       !strcmp(a->items[i].text, b->items[i].text);
	return same;
}

/* COMPILE_ANEW, too, where there is something else to be said of it, or of what it leads to. */
static int make_change(struct mesh *mesh, const struct object_change *c)
{
	_cleanup_(errors_free) struct errors before = { 0 }, after = { 0 }, other = { 0 };
	bool same;

	if (!has_other_requests(c))
		return COMPILE_ANEW;
	remark(mesh, c->old, &before);
	if (!mesh_exchange_rule(mesh, c))
		return COMPILE_ANEW;
	remark(mesh, c->new, &after);
	mesh->errors = &other;
	same = workloads_serve(mesh, c->old) && workloads_serve(mesh, c->new) && !other.count;
	mesh->errors = NULL;
	return same && same_remarks(&before, &after) ? 0 : COMPILE_ANEW;
}

/* Those that were made; the others are not there. */
static void take_back(struct mesh *mesh, const struct object_change *changes, size_t count)
{
	for (size_t i = count; i--;)
		if (changes[i].old && changes[i].new)
			(void)mesh_exchange_rule(mesh, &(struct object_change){ changes[i].new,
										changes[i].old });
}

static int patch_snapshot(struct mesh *mesh, const struct mesh_change *c, struct tables *from,
			  struct tables *t)
{
	_cleanup_(errors_free) struct errors other = { 0 };
	struct http_snapshot *patched;
	int r;

	mesh->errors = &other;
	r = l7_patch_rules(mesh, c, from->http, &patched);
	mesh->errors = NULL;
	if (r)
		return r;
	t->http_routes_before = hs_count(from->http, HS_ACTIONS);
	tables_part(t, TABLES_HTTP);
	t->http = patched;
	t->http_patched = true;
	return other.count ? COMPILE_ANEW : 0;
}

/* COMPILE_ANEW: take_back() undoes it. Nothing is added to the tables' arena, which they share. */
static int patch_requests(struct mesh *mesh, const struct mesh_change *c, struct tables *from,
			  struct tables *t)
{
	int r = 0;

	mesh->t = t;
	for (size_t i = 0; i < c->count && !r; i++)
		r = make_change(mesh, &c->items[i]);
	if (!r)
		r = patch_snapshot(mesh, c, from, t);
	mesh->t = NULL;
	return r || !mesh->nomem ? r : -ENOMEM;
}

int compile_requests(struct compile_index **index, const struct object_change *changes,
		     size_t count, struct tables *from, struct tables **out)
{
	_cleanup_(compile_index_freep) struct compile_index *x = TAKE_PTR(*index);
	const struct mesh_change c = { .items = changes, .count = count };
	_cleanup_(tables_freep) struct tables *t = NULL;
	int r = COMPILE_ANEW;

	if (from->http && !x->policies) {
		t = tables_sharing(from);
		r = t ? patch_requests(&x->mesh, &c, from, t) : -ENOMEM;
	}
	if (r == COMPILE_ANEW)
		take_back(&x->mesh, changes, count);
	if (!r)
		*out = TAKE_PTR(t);
	if (r >= 0)
		*index = TAKE_PTR(x);
	return r;
}

/* ---- of any rules ---- */

int compile_rules(struct compile_index **index, const struct object_change *changes, size_t count,
		  enum compile_http http, struct tables *from, struct tables **out,
		  struct errors *errors)
{
	_cleanup_(compile_index_freep) struct compile_index *x = TAKE_PTR(*index);
	struct mesh *mesh = &x->mesh;
	_cleanup_(errors_free) struct errors found = { 0 };
	int r;

	if (x->policies && (from->http || http == COMPILE_HTTP_ALWAYS))
		return COMPILE_ANEW;
	mesh->errors = &found;
	mesh->t = tables_new();
	r = mesh->t ? mesh_change_rules(mesh, changes, count) : -ENOMEM;
	if (!r)
		r = compile_index(mesh, http, from);
	if (!r)
		r = tables_spare_endpoints(mesh->t);
	mesh->errors = NULL;
	/* Of NetworkPolicies the snapshot has much that hangs on pods. */
	if (!r && x->policies && mesh->t->http)
		r = COMPILE_ANEW;
	if (r != COMPILE_ANEW)
		errors_move(errors, &found);
	if (r)
		return r;
	*out = TAKE_PTR(mesh->t);
	*index = TAKE_PTR(x);
	return 0;
}
