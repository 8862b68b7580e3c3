// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
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
static void put(struct stage *st, struct known_set *from, int port, const char *want)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	char text[512], got[64] = "";
	const char *change;

	snprintf(text, sizeof(text), list, port);
	cr_assert_eq(rules_parse("list.yaml", text, strlen(text), &objects, &errors, NULL), 0);
	cr_assert_eq(objects.count, 2);
	stage_init(st, from);
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
	for (size_t i = 0; i < set->count; i++)
		set->items[i].origin = &origin;
	stage_keep(st);
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
	cr_expect(object_same(b, a), "what was found the first time still holds");
	cr_expect_not(object_same(c, b));
	object_free(a);
	object_free(b);
	object_free(c);
}

/* ---- many changes, kept, dropped, and waiting ---- */

enum { THINGS = 40, ROUNDS = 3000 };

struct thing {
	int name, version;
};

/* What is known, as the simplest thing that could be right. */
struct model {
	struct thing things[THINGS];
	size_t count;
	unsigned seed;
};

static unsigned pick(struct model *m, unsigned n)
{
	m->seed = m->seed * 1103515245u + 12345u;
	return (m->seed >> 16) % n;
}

static struct object *thing(int name, int version)
{
	struct objects objects = { 0 };
	struct errors errors = { 0 };
	struct object *o;
	char text[160];

	snprintf(text, sizeof(text),
		 "{apiVersion: v1, kind: Namespace, metadata: {name: n%d, labels: {v: 'v%d'}}}",
		 name, version);
	cr_assert_eq(rules_parse("a.yaml", text, strlen(text), &objects, &errors, NULL), 0);
	o = TAKE_PTR(objects.items[0]);
	objects.count = 0;
	objects_free(&objects);
	return o;
}

static void change_one(struct model *m, struct stage *st)
{
	struct thing t = { (int)pick(m, THINGS), (int)pick(m, 3) };
	bool goes = pick(m, 100) < 35;
	char name[16];
	struct object_id id = { KIND_NAMESPACE, NULL, name };
	const char *word;
	size_t i = 0;

	snprintf(name, sizeof(name), "n%d", t.name);
	while (i < m->count && m->things[i].name != t.name)
		i++;
	if (goes) {
		cr_assert_eq(stage_remove(st, &id), i < m->count ? 0 : -ENOENT);
		if (i < m->count)
			memmove(&m->things[i], &m->things[i + 1],
				(--m->count - i) * sizeof(*m->things));
		return;
	}
	cr_assert_eq(stage_put(st, thing(t.name, t.version), &word), 0);
	known_find(st->set, &id)->origin = &origin;
	m->things[i] = t;
	m->count += i == m->count;
}

static void same_as(const struct model *m, const struct known_set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < set->count; i++) {
		const struct known *k = &set->items[i];
		struct object_id id;
		char name[16], version[16];

		if (!k->object)
			continue;
		id = object_id(k->object);
		snprintf(name, sizeof(name), "n%d", m->things[count].name);
		snprintf(version, sizeof(version), "v%d", m->things[count++].version);
		cr_assert_str_eq(k->object->meta.name, name);
		cr_assert_str_eq(k->object->meta.labels.items[0].value, version);
		cr_assert_eq(known_find(set, &id), k);
	}
	cr_assert_eq(count, m->count);
	for (int i = 0; i < THINGS; i++) {
		char name[16];
		struct object_id id = { KIND_NAMESPACE, NULL, name };
		size_t at = 0;

		snprintf(name, sizeof(name), "n%d", i);
		while (at < m->count && m->things[at].name != i)
			at++;
		cr_assert_eq(!known_find(set, &id), at == m->count);
	}
}

/* What is told of the change turns the one into the other. */
static void tells_all(const struct stage *st)
{
	const struct object *old, *new;
	size_t i = 0, told = 0;

	while (stage_next_change(st, &i, &old, &new)) {
		cr_assert_neq(old, new);
		told++;
	}
	i = 0;
	for (size_t k = 0; k < st->set->count; k++)
		i += st->set->items[k].staged;
	cr_assert_leq(told, i);
	cr_assert_geq(told, st->edit_count ? 0 : i);
}

Test(stage, what_is_known_is_what_was_kept)
{
	struct model m = { .seed = 5 };
	struct known_set set = { 0 };
	size_t refs = origin.refs;

	for (int i = 0; i < ROUNDS; i++) {
		struct model before = m;
		struct stage st;

		stage_init(&st, &set);
		for (unsigned n = 1 + pick(&m, i % 50 ? 6 : 40); n; n--)
			change_one(&m, &st);
		same_as(&m, &set);
		tells_all(&st);
		if (pick(&m, 2)) { /* it waits */
			unsigned seed = m.seed;

			stage_withdraw(&st);
			same_as(&before, &set);
			if (pick(&m, 2))
				stage_again(&st);
			m.seed = seed;
		}
		if (!st.withdrawn && pick(&m, 3)) {
			stage_keep(&st);
		} else {
			before.seed = m.seed + 1;
			m = before;
		}
		stage_drop(&st);
		same_as(&m, &set);
		cr_assert_eq(set.count, m.count);
		cr_assert_eq(origin.refs, refs + m.count,
			     "each known object refers to its origin once");
	}
	for (size_t i = 0; i < set.count; i++)
		object_free(set.items[i].object);
	known_free(&set);
}
