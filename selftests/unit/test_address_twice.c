// SPDX-License-Identifier: Apache-2.0
/*
 * An address that two Pods claim: one that has ended or is about to, and the next one that has got
 * it. It is that of the one that lives, whichever is told of first.
 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/explain/explain_target.h"
#include "lib/route/authz.h"
#include "test_compile_util.h"

enum { TEXT_ROOM = 8192 };

#define DELETED "deletionTimestamp: \"2026-01-01T00:00:00Z\""
#define OLD "creationTimestamp: \"2026-01-01T00:00:00Z\""
#define NEW "creationTimestamp: \"2026-01-02T00:00:00Z\""

/* What there is of the metadata and the status of each of the two; `first` and `second` are in the
 * order in which they are told of. */
static const struct row {
	const char *what;
	struct {
		const char *meta, *status;
	} first, second;
	bool is_second; /* whose it is */
} rows[] = {
	{ "nothing tells them apart", { "", "phase: Running" }, { "", "phase: Running" }, false },
	{ "the first has ended", { NEW, "phase: Succeeded" }, { OLD, "phase: Running" }, true },
	{ "the second has ended", { OLD, "phase: Running" }, { NEW, "phase: Failed" }, false },
	{ "the first is being deleted",
	  { DELETED ", " NEW, "phase: Running" },
	  { OLD, "phase: Pending" },
	  true },
	{ "the second is being deleted",
	  { OLD, "phase: Pending" },
	  { DELETED ", " NEW, "phase: Running" },
	  false },
	{ "both are", { DELETED ", " OLD, "" }, { DELETED ", " NEW, "" }, true },
	{ "the first does not run yet",
	  { NEW, "phase: Pending" },
	  { OLD, "phase: Running" },
	  true },
	{ "the second does not", { OLD, "phase: Running" }, { NEW, "phase: Pending" }, false },
	{ "the second is newer", { OLD, "phase: Running" }, { NEW, "phase: Running" }, true },
	{ "the first is newer", { NEW, "phase: Running" }, { OLD, "phase: Running" }, false },
	{ "a phase that is not told is Running", { NEW, "phase: Pending" }, { OLD, "" }, true },
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

static size_t add_pod(char *out, size_t room, const char *name, const char *meta,
		      const char *status, const char *more)
{
	return (size_t)snprintf(
		out, room,
		"apiVersion: v1\nkind: Pod\nmetadata: {namespace: default, name: %s, labels: {app: "
		"%s}%s%s}\nspec: {nodeName: n1, serviceAccountName: %s, containers: [{name: "
		"c}]}\nstatus: {%s%spodIPs: [{ip: 10.0.0.9}%s]}\n---\n",
		name, name, *meta ? ", " : "", meta, name, status, *status ? ", " : "", more);
}

/* The two, with one more around them each, so that rows have places to be in; and a policy. */
static void load(struct compiled *c, const struct row *row)
{
	char yaml[TEXT_ROOM];
	size_t n = 0;

	n += add_pod(yaml + n, sizeof(yaml) - n, "first", row->first.meta, row->first.status,
		     ", {ip: \"fd00::1\"}");
	n += add_pod(yaml + n, sizeof(yaml) - n, "second", row->second.meta, row->second.status,
		     ", {ip: \"fd00::2\"}");
	snprintf(yaml + n, sizeof(yaml) - n,
		 "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: "
		 "p}\nspec: {}\n");
	c->registry = registry_new();
	c->r = rules_parse("t.yaml", yaml, strlen(yaml), &c->objects, &c->errors, NULL);
	c->objects.node = "n1";
	if (!c->r)
		c->r = compile(&c->objects, c->registry, COMPILE_HTTP_ALWAYS, &c->tables,
			       &c->errors);
	cr_assert_eq(c->r, 0, "%s: %s", row->what, errors_text(&c->errors));
}

static struct addr address(const char *text)
{
	struct addr addr;

	cr_assert_eq(addr_parse(text, &addr), 0);
	return addr;
}

/* The pod of that address in the tables, of which each address has one row. */
static const struct object *source_of(const struct tables *t, const char *text)
{
	const struct addr addr = address(text);
	const struct object *found = NULL;

	for (size_t i = 0; i < t->sources.count; i++)
		if (!memcmp(&t->sources.items[i].addr, &addr, sizeof(addr))) {
			cr_expect_null(found, "%s has one row", text);
			found = t->sources.items[i].pod;
		}
	return found;
}

static const struct object *explained(const struct objects *objects, const char *text)
{
	const struct addr addr = address(text);
	struct bytemap pods = { 0 };
	struct pool *pool = NULL;
	const struct object *found;

	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i]->kind == KIND_POD && pod_has_address(objects->items[i]))
			cr_assert_eq(explain_add_pod(&pods, &pool, objects->items[i]), 0);
	found = bytemap_get(&pods, &addr, sizeof(addr));
	bytemap_free(&pods);
	pool_free(pool);
	return found;
}

static void check(const struct row *row)
{
	const char *want = row->is_second ? "second" : "first";
	const struct addr addr = address("10.0.0.9");
	const struct hs_authz_pod *known;
	struct authz_view view;
	struct compiled c = { 0 };

	load(&c, row);
	cr_expect_str_eq(source_of(c.tables, "10.0.0.9")->meta.name, want, "%s", row->what);
	cr_expect_str_eq(explained(&c.objects, "10.0.0.9")->meta.name, want, "explain: %s",
			 row->what);
	/* weft-proxy and the kernel go by it. */
	known = http_authz_pod(c.tables->http, &addr);
	view = http_authz_view(c.tables->http);
	cr_assert_not_null(known);
	cr_expect_eq(known->account.len, strlen(want), "%s", row->what);
	cr_expect(!memcmp(view.bytes + known->account.at, want, strlen(want)), "%s", row->what);
	/* The addresses that they do not share stay theirs. */
	if (pod_has_address(c.objects.items[0]))
		cr_expect_str_eq(source_of(c.tables, "fd00::1")->meta.name, "first", "%s",
				 row->what);
	if (pod_has_address(c.objects.items[1]))
		cr_expect_str_eq(source_of(c.tables, "fd00::2")->meta.name, "second", "%s",
				 row->what);
	compiled_free(&c);
}

Test(address_twice, it_is_the_living_pod_s)
{
	for (size_t i = 0; i < ROWS; i++)
		check(&rows[i]);
}

/* One of the two changes: whose the address is may be another's, which is for a compilation of all.
 */
Test(address_twice, a_change_is_compiled_anew)
{
	_cleanup_(tables_freep) struct tables *before = NULL, *patched = NULL, *after = NULL;
	_cleanup_(errors_free) struct errors errors = { 0 };
	struct compile_index *index = NULL;
	struct object_change change = { 0 };
	struct compiled c = { 0 };
	struct object *old, *fresh;

	load(&c, &rows[0]);
	tables_free(TAKE_PTR(c.tables));
	/* As if it had not been being deleted before. */
	fresh = c.objects.items[0];
	fresh->pod.deleting = false;
	cr_assert_eq(compile_keeping(&c.objects, c.registry, COMPILE_HTTP_ALWAYS, &before, &index,
				     &errors),
		     0);
	cr_expect_str_eq(source_of(before, "10.0.0.9")->meta.name, "first");
	old = calloc(1, sizeof(*old));
	memcpy(old, fresh,
	       offsetof(struct object, pod) + sizeof(fresh->pod)); /* that much there is */
	old->pod.deleting = true;
	change = (struct object_change){ .old = fresh, .new = old };
	cr_expect_eq(compile_patch(&index, &change, 1, COMPILE_HTTP_ALWAYS, before, &patched),
		     COMPILE_ANEW);
	compile_index_free(index);
	fresh->pod.deleting = true;
	cr_assert_eq(compile(&c.objects, c.registry, COMPILE_HTTP_ALWAYS, &after, &errors), 0);
	cr_expect_str_eq(source_of(after, "10.0.0.9")->meta.name, "second");
	free(old);
	compiled_free(&c);
}
