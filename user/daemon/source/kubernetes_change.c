// SPDX-License-Identifier: Apache-2.0
/*
 * A change of the cluster's objects: as the server has them, but for those that are refused.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/kubernetes_priv.h"
#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/schema/object_text.h"

enum { ROUNDS_MAX = 32 };

struct kube_change {
	struct change change;
	struct kube_source *source;
	struct kube_item *items;
	size_t count, room;
	unsigned rounds; /* how often it was refused */
	bool kept;	 /* it has taken effect; otherwise it has changed nothing */
};

static int add_item(struct kube_change *c, struct kube_object *of, struct object *object,
		    enum kube_wish wish)
{
	size_t room = c->room ? 2 * c->room : 16;
	struct kube_item *items;

	if (c->count == c->room) {
		items = realloc(c->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		c->items = items;
		c->room = room;
	}
	c->items[c->count++] =
		(struct kube_item){ .of = of, .object = kube_object_ref(object), .wish = wish };
	of->in_change = true;
	return 0;
}

/* ---- staging ---- */

/* A file that has the object, too, keeps it. */
static bool is_in_file(const struct kube_source *s, struct stage *st, const struct kube_object *o)
{
	struct object_id id = kube_object_id(o);
	struct known *k = known_find(st->set, &id);

	return k && k->origin && k->origin != &s->origin;
}

static int stage_put_item(struct kube_source *s, struct stage *st, const struct kube_item *i)
{
	struct object_id id = kube_object_id(i->of);
	const char *word;
	int r = stage_put(st, kube_object_ref(i->object), &word);

	if (!r)
		known_find(st->set, &id)->origin = &s->origin;
	return r;
}

static int stage_item(struct kube_source *s, struct stage *st, const struct kube_item *i)
{
	struct object_id id = kube_object_id(i->of);
	int r;

	i->of->in_file = is_in_file(s, st, i->of);
	if (i->of->in_file || i->wish == WISH_LIVE)
		return 0;
	if (i->object && i->wish == WISH_NEWEST)
		return stage_put_item(s, st, i);
	r = stage_remove(st, &id);
	return r == -ENOENT ? 0 : r;
}

static int stage_change(struct change *base, struct stage *st, struct change_report *report)
{
	struct kube_change *c = (struct kube_change *)base;
	int r = 0;

	(void)report;
	for (size_t i = 0; !r && i < c->count; i++)
		r = stage_item(c->source, st, &c->items[i]);
	return r;
}

/* ---- what is refused ---- */

static struct kube_item *find_item(struct kube_change *c, const struct kube_object *o)
{
	for (size_t i = 0; o->in_change && i < c->count; i++)
		if (c->items[i].of == o)
			return &c->items[i];
	return NULL;
}

static int note_error(struct kube_item *i, const struct error *e)
{
	return errors_copy(&i->errors, e, *i->of->namespace ? i->of->namespace : NULL);
}

/* The object that an error, not a warning, is about. */
static struct kube_object *accused(const struct kube_change *c, const struct error *e)
{
	return e->warning ? NULL : kube_source_blamed(c->source, e);
}

/* What is in force of an earlier object of that name does not. */
static bool stays_as_it_was(const struct kube_item *i)
{
	size_t size;
	_cleanup_free_ char *json = i->of->live ? object_json_text(i->object, &size) : NULL;

	return json && kube_object_is_same(i->of->live, json, size);
}

/* Objects that are about to change go back to what they were: it is the change that is wrong. */
static int take_back(struct kube_change *c, const struct errors *errors, size_t *found)
{
	for (size_t i = 0; i < errors->count; i++) {
		const struct error *e = &errors->items[i];
		struct kube_object *o = accused(c, e);
		struct kube_item *item = o ? find_item(c, o) : NULL;

		if (!item || item->wish != WISH_NEWEST || !item->object)
			continue;
		++*found;
		if (note_error(item, e))
			return -ENOMEM;
	}
	for (size_t i = 0; *found && i < c->count; i++)
		if (c->items[i].wish == WISH_NEWEST && c->items[i].errors.count)
			c->items[i].wish = stays_as_it_was(&c->items[i]) ? WISH_LIVE : WISH_OUT;
	return 0;
}

/* What has become wrong as it is in force, because of others, is left out. */
static int leave_out_one(struct kube_change *c, struct kube_object *o, const struct error *e,
			 size_t *found)
{
	struct kube_item *item = find_item(c, o);

	if (!item) {
		if (add_item(c, o, o->live, WISH_LIVE))
			return -ENOMEM;
		item = &c->items[c->count - 1];
	}
	*found += item->wish != WISH_OUT;
	item->wish = WISH_OUT;
	return note_error(item, e);
}

static int leave_out(struct kube_change *c, const struct errors *errors, size_t *found)
{
	int r = 0;

	for (size_t i = 0; !r && i < errors->count; i++) {
		struct kube_object *o = accused(c, &errors->items[i]);

		if (o && o->live)
			r = leave_out_one(c, o, &errors->items[i], found);
	}
	return r;
}

static int refused(struct change *base, const struct errors *errors)
{
	struct kube_change *c = (struct kube_change *)base;
	size_t found = 0;
	int r;

	if (++c->rounds > ROUNDS_MAX)
		return -EINVAL;
	r = take_back(c, errors, &found);
	if (!r && !found)
		r = leave_out(c, errors, &found);
	return r ? r : found ? 0 : -EINVAL;
}

/* ---- what has become of it ---- */

static void kept(struct change *base, const struct known_set *known)
{
	(void)known;
	((struct kube_change *)base)->kept = true;
}

/* What is in force now was on its way when the text came that can't be read, and may be an earlier
 * object's of that name. */
static void check_outlived(struct kube_change *c, struct kube_object *o)
{
	o->outlived = o->text && !kube_object_is_same(o->live, o->text, o->size);
	if (!o->outlived)
		return;
	if (kube_source_queue(c->source, o))
		log_err(-ENOMEM, "take what is in force of an earlier %s back", o->name);
	kube_source_schedule(c->source, KUBE_WINDOW_MS);
}

/* The item's object is in force. What was refused before it came is settled, too. */
static void settle_newest(struct kube_change *c, struct kube_item *i)
{
	struct kube_object *o = i->of;

	if (c->kept) {
		object_free(o->live);
		o->live = kube_object_ref(i->object);
		check_outlived(c, o);
	}
	if (o->stand_in == i->object)
		object_free(TAKE_PTR(o->stand_in));
	if (o->newest != i->object)
		return; /* another has come since */
	object_free(TAKE_PTR(o->newest));
	kube_source_acquit(c->source, o);
	kube_source_note(c->source, o);
}

/* The item's object is not in force. */
static void settle_refused(struct kube_change *c, struct kube_item *i)
{
	struct kube_object *o = i->of;

	if (i->wish == WISH_OUT)
		object_free(TAKE_PTR(o->live));
	if (!o->newest && !o->text && !o->gone)
		o->newest = kube_object_ref(i->object);
	if (o->newest != i->object)
		return;
	kube_source_blame(c->source, o, &i->errors);
	kube_source_note(c->source, o);
}

static void settle_gone(struct kube_change *c, struct kube_item *i)
{
	object_free(TAKE_PTR(i->of->live));
	i->of->outlived = false;
	if (i->of->gone) /* it has not come again since */
		kube_source_note(c->source, i->of);
}

static int in_file_error(struct kube_item *i)
{
	char text[KUBE_TEXT_MAX];

	errors_add(&i->errors, kube_object_text(i->of, text, sizeof(text)), (struct pos){ 0 },
		   "is in a file that was applied, too, which counts: expected it in one of both "
		   "(weft delete)");
	return i->errors.count ? 0 : -ENOMEM;
}

static void settle(struct kube_change *c, struct kube_item *i)
{
	if (!i->object) {
		settle_gone(c, i);
	} else if (i->of->in_file) {
		in_file_error(i);
		i->wish = WISH_OUT;
		settle_refused(c, i);
	} else if (i->wish == WISH_NEWEST) {
		settle_newest(c, i);
	} else {
		settle_refused(c, i);
	}
}

/* It could not be carried out: what it was about waits for the next one. */
static void put_off(struct kube_change *c, const struct kube_item *i)
{
	if (kube_source_queue(c->source, i->of))
		log_err(-ENOMEM, "take over the change of %s", i->of->name);
}

void kube_change_done(struct kube_change *c, int r)
{
	for (size_t i = 0; i < c->count; i++)
		c->items[i].of->in_change = false;
	for (size_t i = 0; i < c->count; i++) {
		struct kube_object *o = c->items[i].of;

		if (r)
			put_off(c, &c->items[i]);
		else
			settle(c, &c->items[i]);
		c->items[i].of = NULL;
		kube_source_forget(c->source, o);
	}
}

static void free_change(struct change *base)
{
	struct kube_change *c = (struct kube_change *)base;

	for (size_t i = 0; i < c->count; i++) {
		object_free(c->items[i].object);
		errors_free(&c->items[i].errors);
	}
	free(c->items);
	free(c);
}

/* ---- making one ---- */

/* What of a pending object is to be done. What could not be read is not. */
static int take_pending(struct kube_change *c, struct kube_object *o, bool *matters)
{
	o->pending = false;
	if (!o->gone && !o->outlived && !kube_object_wanted(o))
		return 0;
	*matters |= kube_kinds[o->kind].others;
	return add_item(c, o, o->gone ? NULL : kube_object_wanted(o), WISH_NEWEST);
}

static int take_left_out(struct kube_change *c)
{
	int r = 0;

	kube_objects_each(&c->source->objects, o, after)
	{
		if (!r && kube_object_wanted(o) && !o->in_change && !o->gone)
			r = add_item(c, o, kube_object_wanted(o), WISH_NEWEST);
	}
	return r;
}

static int take_all(struct kube_change *c)
{
	struct kube_source *s = c->source;
	bool matters = s->retry;
	int r = 0;

	for (size_t i = 0; i < s->pending_count; i++) {
		struct kube_object *o = s->pending[i];
		int e = take_pending(c, o, &matters);

		r = r ? r : e;
		if (!o->in_change)
			kube_source_forget(s, o);
	}
	free(TAKE_PTR(s->pending)); /* at the start it was of everything */
	s->pending_count = s->pending_room = 0;
	s->retry = false;
	return !r && matters && s->bad ? take_left_out(c) : r;
}

struct change *kube_change_base(struct kube_change *c)
{
	return &c->change;
}

int kube_change_new(struct kube_source *s, struct kube_change **out)
{
	struct kube_change *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->source = s;
	c->change = (struct change){ .stage = stage_change,
				     .refused = refused,
				     .kept = kept,
				     .free = free_change,
				     .completes = s->synced && !s->complete,
				     .source = &s->source };
	r = take_all(c);
	if (c->change.completes)
		malloc_trim(0); /* what the lists have needed, before a generation needs more */
	if (!r && (c->count || c->change.completes)) {
		*out = c;
		return 0;
	}
	if (r)
		kube_change_done(c, r);
	free_change(&c->change);
	return r ? r : 1;
}
