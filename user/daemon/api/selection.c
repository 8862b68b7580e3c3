// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api/selection.h"
#include "lib/base/cleanup.h"
#include "lib/model/kinds.h"
#include "lib/schema/selector.h"

/* What the objects of one target have in common. */
struct wanted {
	int kind; /* -1: all kinds */
	const char *namespace, *name;
	struct selector selector;
};

static int add(struct selection *s, const struct known *k)
{
	size_t room = s->room ? 2 * s->room : 64;
	const struct known **items;

	if (s->count == s->room) {
		items = reallocarray(s->items, room, sizeof(*items));
		if (!items)
			return -ENOMEM;
		s->items = items;
		s->room = room;
	}
	s->items[s->count++] = k;
	return 0;
}

static bool matches(const struct wanted *w, const struct object *o)
{
	if (w->kind < 0 ? kind_infos[o->kind].cluster_wide : (int)o->kind != w->kind)
		return false;
	if (w->namespace && o->meta.namespace && strcmp(o->meta.namespace, w->namespace) != 0)
		return false;
	return (!w->name || strcmp(o->meta.name, w->name) == 0) &&
	       selector_matches(&w->selector, &o->meta.labels);
}

static int by_name(const void *a, const void *b)
{
	const struct object *x = (*(const struct known *const *)a)->object;
	const struct object *y = (*(const struct known *const *)b)->object;
	int r = (int)x->kind - (int)y->kind;

	if (!r)
		r = strcmp(x->meta.namespace ?: "", y->meta.namespace ?: "");
	return r ? r : strcmp(x->meta.name, y->meta.name);
}

static int take_matching(const struct known_set *set, const struct wanted *w, struct selection *out)
{
	const char *namespace = w->kind >= 0 && kind_infos[w->kind].cluster_wide ? NULL
										 : w->namespace;
	size_t first = out->count;
	int r = 0;

	for (size_t i = 0; !r && i < set->count; i++)
		if (matches(w, set->items[i].object))
			r = add(out, &set->items[i]);
	if (out->count > first)
		qsort(out->items + first, out->count - first, sizeof(*out->items), by_name);
	else if (w->name)
		errors_add(&out->missing, kind_name(w->kind), (struct pos){ 0 },
			   "\"%s\" not found%s%s", w->name, namespace ? " in namespace " : "",
			   namespace ? namespace : "");
	return r;
}

static int take_target(const struct known_set *set, const json_t *target, struct wanted *w,
		       struct selection *out, struct reply *reply)
{
	const char *kind = json_get_text(target, "kind", "");

	w->name = json_get_text(target, "name", NULL);
	w->kind = strcmp(kind, "all") != 0 ? kind_parse(kind) : -1;
	if (w->kind >= 0 || (strcmp(kind, "all") == 0 && !w->name))
		return take_matching(set, w, out);
	return refuse_kind(reply, kind);
}

int selection_make(const struct request *request, const struct known_set *set,
		   struct selection *out, struct reply *reply)
{
	struct wanted w = { .namespace = json_get_text(request->args, "namespace", NULL) };
	json_t *target;
	char why[160];
	size_t i;
	int r = selector_parse(json_get_text(request->args, "selector", ""), &w.selector, why,
			       sizeof(why));

	if (r == -EINVAL)
		refuse(reply, "-l", "%s", why);
	if (r)
		return r;
	json_array_foreach(json_object_get(request->args, "targets"), i, target)
	{
		r = take_target(set, target, &w, out, reply);
		if (r)
			break;
	}
	selector_free(&w.selector);
	return r;
}

void selection_free(struct selection *s)
{
	free(s->items);
	errors_free(&s->missing);
	*s = (struct selection){ 0 };
}
