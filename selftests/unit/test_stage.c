// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/objects/stage.h"
#include "lib/schema/parse.h"

static const char list[] = "apiVersion: v1\nkind: List\nitems:\n"
			   "- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: "
			   "[{port: 1}]}}\n"
			   "- {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: "
			   "[{port: %d}]}}\n";

/* Puts the list, with that port in its second object, on the stage. */
static void put(struct stage *st, const struct known_set *from, int port, const char *want)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	char text[512], got[64] = "";
	const char *change;

	snprintf(text, sizeof(text), list, port);
	cr_assert_eq(rules_parse("list.yaml", text, strlen(text), &objects, &errors, NULL), 0);
	cr_assert_eq(objects.count, 2);
	cr_assert_eq(stage_init(st, from), 0);
	for (size_t i = 0; i < objects.count; i++) {
		cr_assert_eq(stage_put(st, TAKE_PTR(objects.items[i]), &change), 0);
		sprintf(got + strlen(got), "%s ", change);
	}
	cr_expect_str_eq(got, want);
	objects_free(&objects);
}

static struct origin origin = { .refs = 1000 };

static void keep(struct stage *st, struct known_set *set)
{
	for (size_t i = 0; i < st->set.count; i++)
		st->set.items[i].origin = &origin;
	stage_keep(st, set);
}

Test(stage, one_changed_object_takes_the_others_of_its_document_along)
{
	struct known_set set = { 0 };
	struct stage st;
	const void *old;

	put(&st, &set, 1, "created created ");
	cr_expect(st.dirty);
	keep(&st, &set);
	old = set.items[0].object->arena;
	/* The documents of both are the same one, before and after: no object is left behind that
	 * keeps the old one in memory, and its file in the journal. */
	put(&st, &set, 2, "unchanged configured ");
	cr_expect(st.dirty);
	keep(&st, &set);
	cr_expect_eq(set.count, 2);
	cr_expect_eq(set.items[0].object->arena, set.items[1].object->arena);
	cr_expect_neq(set.items[0].object->arena, old);
	for (size_t i = 0; i < set.count; i++)
		object_free(set.items[i].object);
	known_free(&set);
}

Test(stage, the_same_again_is_no_change)
{
	struct known_set set = { 0 };
	const struct object *was;
	struct stage st;

	put(&st, &set, 1, "created created ");
	keep(&st, &set);
	was = set.items[0].object;
	put(&st, &set, 1, "unchanged unchanged ");
	cr_expect_not(st.dirty);
	stage_drop(&st);
	cr_expect_eq(set.items[0].object, was);
	for (size_t i = 0; i < set.count; i++)
		object_free(set.items[i].object);
	known_free(&set);
}

static struct object *versioned(const char *version, const char *label)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct object *o;
	char text[256];

	snprintf(text, sizeof(text),
		 "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, resourceVersion: '%s', "
		 "labels: {x: %s}}\n",
		 version, label);
	cr_assert_eq(rules_parse("a.yaml", text, strlen(text), &objects, &errors, NULL), 0);
	o = TAKE_PTR(objects.items[0]);
	objects.count = 0;
	objects_free(&objects);
	return o;
}

Test(stage, a_resource_version_makes_no_other_object)
{
	struct object *a = versioned("1", "one"), *b = versioned("22", "one"),
		      *c = versioned("1", "two");

	cr_expect(object_same(a, b));
	cr_expect_not(object_same(a, c));
	object_free(a);
	object_free(b);
	object_free(c);
}
