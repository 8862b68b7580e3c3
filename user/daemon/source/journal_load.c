// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "daemon/source/journal_load.h"
#include "daemon/objects/stage.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/model/kinds.h"
#include "lib/schema/parse.h"
#include "lib/schema/selector.h"

struct load {
	struct known_set *set;
	struct errors *errors;
	int64_t now; /* "time" of the record */
};

static void set_object(struct known *k, struct object *o, struct store_file *file)
{
	object_free(k->object);
	origin_unref(k->origin);
	k->object = o;
	k->origin = origin_ref(&file->origin);
}

/* Takes over `o`. */
static int put(struct load *l, struct object *o, struct store_file *file)
{
	struct object_id id = object_id(o);
	struct known *k = known_find(l->set, &id);
	int r;

	if (k) {
		set_object(k, o, file);
		return 0;
	}
	r = known_add(l->set, o, &file->origin, l->now);
	if (r)
		object_free(o);
	else
		origin_ref(&file->origin);
	return r;
}

/* How a stored file is read, in the order in which it is tried: the first reading that takes it is
 * the one. */
enum reading { READ_TODAY, READ_KEPT, READ_KEPT_SCALARS, READ_MAX };

static int parse_as(enum reading reading, const struct store_item *item, struct objects *out,
		    struct errors *errors)
{
	/* What was skipped when it was applied is skipped again. */
	const struct parse_options how = { .namespace = item->file->namespace,
					   .skip_unknown = true,
					   .kept = reading >= READ_KEPT,
					   .kept_scalars = reading == READ_KEPT_SCALARS };

	objects_free(out);
	return rules_parse_with(&how, item->file->name, item->bytes, item->file->size, out, errors,
				NULL);
}

static void warn_kept(const struct store_item *item, const struct errors *today,
		      enum reading reading)
{
	log_warning("%s: taken all the same, as the version of weft read it to which it was "
		    "applied: apply it again with %s",
		    today->count ? today->items[0].text : item->file->name,
		    reading == READ_KEPT_SCALARS ? "quotes around what is text" : "that put right");
}

/* What is refused today was not when it was applied: it is read as it was then. What that does not
 * explain is told in today's words. */
static int parse(struct load *l, const struct store_item *item, struct objects *out)
{
	_cleanup_(errors_free) struct errors today = { 0 };
	int r = parse_as(READ_TODAY, item, out, &today);

	if (r != -EINVAL) {
		errors_move(l->errors, &today);
		return r;
	}
	for (enum reading reading = READ_KEPT; reading < READ_MAX; reading++) {
		_cleanup_(errors_free) struct errors then = { 0 };

		r = parse_as(reading, item, out, &then);
		if (r == -EINVAL)
			continue;
		errors_move(l->errors, &then);
		if (!r)
			warn_kept(item, &today, reading);
		return r;
	}
	return parse_as(READ_TODAY, item, out, l->errors);
}

/* What an apply -l had left out of its files was not applied. */
static int load_apply(struct load *l, const json_t *record, const struct store_item *items,
		      size_t count)
{
	_cleanup_(selector_free) struct selector selector = { 0 };
	char why[160];

	if (selector_parse(json_get_text(record, "selector", ""), &selector, why, sizeof(why)))
		return -EBADMSG;
	for (size_t i = 0; i < count; i++) {
		_cleanup_(objects_free) struct objects objects = { 0 };
		int r = parse(l, &items[i], &objects);

		for (size_t j = 0; !r && j < objects.count; j++)
			if (selector_matches(&selector, &objects.items[j]->meta.labels))
				r = put(l, TAKE_PTR(objects.items[j]), items[i].file);
		if (r)
			return r;
	}
	return 0;
}

static int read_id(const json_t *entry, struct object_id *out)
{
	const char *kind = json_string_value(json_array_get(entry, 0));
	const char *namespace = json_string_value(json_array_get(entry, 1));
	const char *name = json_string_value(json_array_get(entry, 2));

	if (!kind || !namespace || !name)
		return -EBADMSG;
	*out = (struct object_id){ kind_parse(kind), namespace, name };
	return out->kind < 0 ? -EBADMSG : 0;
}

static int load_delete(struct load *l, const json_t *list)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct object_id id;
		int r = read_id(entry, &id);
		struct known *k = r ? NULL : known_find(l->set, &id);

		if (!k)
			return -EBADMSG;
		object_free(k->object);
		origin_unref(k->origin);
		*k = (struct known){ .hash = k->hash };
	}
	known_squeeze(l->set);
	return 0;
}

static void forget_all(struct load *l)
{
	for (size_t i = 0; i < l->set->count; i++) {
		object_free(l->set->items[i].object);
		origin_unref(l->set->items[i].origin);
	}
	known_free(l->set);
}

static json_t *snapshot_key(json_int_t file, const struct object_id *id)
{
	return json_textf("%lld/%d/%s/%s", (long long)file, id->kind,
			  id->namespace ? id->namespace : "", id->name);
}

/* {"FILE/KIND/NAMESPACE/NAME": position}; the times go into `found`. */
static int index_snapshot(const json_t *list, json_t *index, struct known *found)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		_cleanup_(json_decrefp) json_t *key = NULL;
		struct object_id id;
		int r = read_id(entry, &id);

		if (r)
			return r;
		key = snapshot_key(json_integer_value(json_array_get(entry, 3)), &id);
		if (!key ||
		    json_object_set_new(index, json_string_value(key), json_integer((json_int_t)i)))
			return -ENOMEM;
		found[i].since = json_integer_value(json_array_get(entry, 4));
	}
	return 0;
}

/* A file may hold older versions of objects that are alive elsewhere: only what the snapshot lists
 * is taken. */
static int pick(struct objects *objects, json_int_t file, struct store_file *from,
		const json_t *index, struct known *found)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct object_id id = object_id(objects->items[i]);
		_cleanup_(json_decrefp) json_t *key = snapshot_key(file, &id);
		json_t *position;

		if (!key)
			return -ENOMEM;
		position = json_object_get(index, json_string_value(key));
		if (position)
			set_object(&found[json_integer_value(position)],
				   TAKE_PTR(objects->items[i]), from);
	}
	return 0;
}

static int take_found(struct load *l, struct known *found, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		if (!r)
			r = found[i].object ? known_add(l->set, found[i].object, found[i].origin,
							found[i].since)
					    : -EBADMSG;
		if (r) {
			object_free(found[i].object);
			origin_unref(found[i].origin);
		}
	}
	return r;
}

static int load_snapshot(struct load *l, const json_t *list, const struct store_item *items,
			 size_t count)
{
	_cleanup_free_ struct known *found = calloc(json_array_size(list) + 1, sizeof(*found));
	_cleanup_(json_decrefp) json_t *index = json_object();
	int r = found && index ? index_snapshot(list, index, found) : -ENOMEM;
	int taken;

	if (r)
		return r;
	forget_all(l);
	for (size_t i = 0; !r && i < count; i++) {
		_cleanup_(objects_free) struct objects objects = { 0 };

		r = parse(l, &items[i], &objects);
		if (!r)
			r = pick(&objects, (json_int_t)i, items[i].file, index, found);
	}
	taken = take_found(l, found, json_array_size(list));
	return r ? r : taken;
}

static int load_record(void *arg, const json_t *record, const struct store_item *items,
		       size_t count)
{
	const char *type = json_get_text(record, "type", "");
	const json_t *list = json_object_get(record, "objects");
	struct load *l = arg;
	int r;

	l->now = json_get_int(record, "time", 0);
	if (strcmp(type, "apply") == 0) {
		r = load_apply(l, record, items, count);
		/* What an apply has pruned. */
		return r || !list ? r : load_delete(l, list);
	}
	if (strcmp(type, "delete") == 0)
		return load_delete(l, list);
	if (strcmp(type, "snapshot") == 0)
		return load_snapshot(l, list, items, count);
	return -EBADMSG;
}

int engine_load(struct store *store, struct known_set *set, struct errors *errors)
{
	struct load l = { set, errors, 0 };

	return store_replay(store, load_record, &l);
}

struct numbered {
	struct store_file *file;
	json_int_t number;
};

static int by_file(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->file < y->file ? -1 : x->file > y->file;
}

/* The distinct files, sorted by address. Returns how many. */
static size_t distinct(const struct known_set *set, struct numbered *files)
{
	size_t used = 0, count = 0;

	for (size_t i = 0; i < set->count; i++) {
		files[count].file = store_file_of(set->items[i].origin);
		count += files[count].file != NULL;
	}
	qsort(files, count, sizeof(*files), by_file);
	for (size_t i = 0; i < count; i++) {
		if (used && files[used - 1].file == files[i].file)
			continue;
		files[used] = (struct numbered){ files[i].file, (json_int_t)used };
		used++;
	}
	return used;
}

int engine_save(struct store *store, const struct known_set *set)
{
	_cleanup_free_ struct numbered *files = calloc(set->count + 1, sizeof(*files));
	_cleanup_free_ struct store_file **list =
		calloc(set->count + 1, sizeof(struct store_file *));
	_cleanup_(json_decrefp) json_t *objects = json_array();
	size_t count;

	if (!files || !list || !objects)
		return -ENOMEM;
	count = distinct(set, files);
	for (size_t i = 0; i < count; i++)
		list[i] = files[i].file;
	for (size_t i = 0; i < set->count; i++) {
		struct object_id id = object_id(set->items[i].object);
		struct numbered want = { store_file_of(set->items[i].origin), 0 }, *at;
		json_t *entry;

		if (!want.file)
			continue;
		at = bsearch(&want, files, count, sizeof(*files), by_file);
		entry = json_pack("[s, s, s, I, I]", kind_name(id.kind),
				  id.namespace ? id.namespace : "", id.name, at->number,
				  (json_int_t)set->items[i].since);

		if (json_array_append_new(objects, entry))
			return -ENOMEM;
	}
	return store_compact(store, objects, list, count);
}
