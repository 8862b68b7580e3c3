// SPDX-License-Identifier: Apache-2.0
#include "daemon/source/files.h"

#include <errno.h>
#include <string.h>

#include "daemon/source/journal_load.h"
#include "lib/base/cleanup.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/model/kinds.h"
#include "lib/schema/parse.h"
#include "lib/schema/selector.h"

struct file_change {
	struct change change;
	struct file_source *source;
	const struct store_input *files; /* to be applied, or that name what is to be deleted */
	size_t count;
	struct object_id *ids; /* to be deleted, and what they point at */
	size_t id_count;
	struct arena *texts;
	struct file_options options;
	json_t *record;		    /* for the journal */
	struct store_file **stored; /* a reference to each, once they are */
	size_t *first;		    /* where file i's objects begin among the stage's fresh ones */
};

/* ---- staging ---- */

/* The files of one change, parsed. */
struct parsed {
	struct objects *per_file; /* what is left of each */
	size_t count;
};

static void parsed_free(struct parsed *p)
{
	for (size_t i = 0; i < p->count; i++)
		objects_free(&p->per_file[i]);
	free(p->per_file);
}

static int parse_files(const struct store_input *files, size_t count, struct parsed *out,
		       struct change_report *report)
{
	int r = 0;

	out->per_file = calloc(count + 1, sizeof(*out->per_file));
	if (!out->per_file)
		return -ENOMEM;
	out->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct parse_options how = { .namespace = files[i].namespace,
						   .skip_unknown = files[i].skip_unknown };
		int bad = rules_parse_with(&how, files[i].name, files[i].bytes, files[i].size,
					   &out->per_file[i], &report->errors, &report->skipped);

		if (bad && (!r || bad != -EINVAL))
			r = bad;
	}
	return r;
}

/* Whether another source has brought it, which alone can change it. */
static bool is_others(const struct stage *st, const struct object_id *id, struct known **out)
{
	*out = known_find(st->set, id);
	return *out && (*out)->origin && !store_file_of((*out)->origin);
}

static const char *or_nothing(const char *namespace)
{
	return namespace ? namespace : "";
}

static void refuse_others(const struct object *o, const struct known *k, struct errors *errors)
{
	errors_add(errors, o->file, o->pos,
		   "%s %s%s%s is in Kubernetes, too (%s): expected it in one of both, change it "
		   "there (kubectl apply)",
		   kind_name(o->kind), or_nothing(o->meta.namespace), o->meta.namespace ? "/" : "",
		   o->meta.name, k->object->file);
}

/* Takes over `o`. */
static int stage_object(struct stage *st, struct object *o, struct change_report *report)
{
	struct object_id id = object_id(o);
	struct known *others;
	const char *change;
	int r;

	if (is_others(st, &id, &others)) {
		refuse_others(o, others, &report->errors);
		object_free(o);
		return 0;
	}
	/* stage_put() may free the object, and with it its name. */
	r = change_report_add(report, &id, "");
	if (r) {
		object_free(o);
		return r;
	}
	r = stage_put(st, o, &change);
	if (r)
		return r;
	json_object_set_new(json_array_get(report->changes, json_array_size(report->changes) - 1),
			    "change", json_string(change));
	return 0;
}

static int stage_file(struct stage *st, struct objects *objects, const struct selector *selector,
		      struct change_report *report)
{
	int r = 0;

	for (size_t i = 0; !r && i < objects->count; i++)
		if (selector_matches(selector, &objects->items[i]->meta.labels))
			r = stage_object(st, TAKE_PTR(objects->items[i]), report);
	return r;
}

/* Of the same change as staged before, perhaps. */
static int new_record(struct file_change *f, const char *type, const struct stage *st)
{
	json_decref(f->record);
	f->record = json_pack("{s:s, s:I}", "type", type, "time", (json_int_t)st->now);
	return f->record ? 0 : -ENOMEM;
}

static int add_id(json_t *record, const struct object_id *id)
{
	json_t *list = json_object_get(record, "objects");

	return json_array_append_new(list, json_pack("[s, o, o]", kind_name(id->kind),
						     json_text(id->namespace ? id->namespace : ""),
						     json_text(id->name)))
		       ? -ENOMEM
		       : 0;
}

static int stage_delete(struct stage *st, const struct object_id *id, bool ignore_missing,
			json_t *record, struct change_report *report)
{
	struct known *k;
	int r;

	if (is_others(st, id, &k)) {
		errors_add(&report->errors, k->object->file, (struct pos){ 0 },
			   "comes from Kubernetes: kubectl delete");
		return 0;
	}
	/* Told before the object goes: the identity may be part of it. */
	r = k ? change_report_add(report, id, "deleted") : -ENOENT;

	/* Files may name an object more than once. */
	if (r == -ENOENT && (ignore_missing || stage_removed(st, id)))
		return 0;
	if (r == -ENOENT) {
		_cleanup_free_ char *what = NULL;

		if (asprintf(&what, "%s/%s", kind_name(id->kind), id->name) < 0) {
			what = NULL;
			return -ENOMEM;
		}
		errors_add(&report->errors, what, (struct pos){ 0 }, "not found%s%s",
			   id->namespace ? " in namespace " : "",
			   id->namespace ? id->namespace : "");
		return 0;
	}
	if (!r)
		r = add_id(record, id);
	return r ? r : stage_remove(st, id);
}

/* The namespaces that the input has objects in. */
static json_t *visited_namespaces(const struct stage *st)
{
	json_t *set = json_object();

	for (size_t i = 0; i < st->fresh.count; i++)
		if (st->fresh.items[i]->meta.namespace)
			json_object_set_new(set, st->fresh.items[i]->meta.namespace, json_true());
	return set;
}

static bool may_prune(const struct object *o, const struct file_options *options,
		      const json_t *visited)
{
	const char *namespace = o->meta.namespace;

	if (options->namespace)
		return namespace && strcmp(namespace, options->namespace) == 0;
	return options->prune == PRUNE_ALL || !namespace || json_object_get(visited, namespace);
}

/* Known objects that the input did not bring are those that are stored already. */
static int prune(struct file_change *f, struct stage *st, const struct selector *selector,
		 struct change_report *report)
{
	_cleanup_(json_decrefp) json_t *visited = visited_namespaces(st);
	int r = json_object_set_new(f->record, "objects", json_array()) ? -ENOMEM : 0;

	for (size_t i = 0; !r && i < st->set->count; i++) {
		const struct known *k = &st->set->items[i];
		struct object_id id = object_id(k->object);

		if (!store_file_of(k->origin) ||
		    !selector_matches(selector, &k->object->meta.labels) ||
		    !may_prune(k->object, &f->options, visited))
			continue;
		r = change_report_add(report, &id, "pruned");
		if (!r)
			r = add_id(f->record, &id);
		if (!r)
			r = stage_remove(st, &id);
	}
	return r;
}

static int stage_files(struct file_change *f, struct stage *st, const struct selector *selector,
		       struct change_report *report)
{
	_cleanup_(parsed_free) struct parsed parsed = { 0 };
	int r = parse_files(f->files, f->count, &parsed, report);

	for (size_t i = 0; !r && i < f->count; i++) {
		f->first[i] = st->fresh.count;
		r = stage_file(st, &parsed.per_file[i], selector, report);
		f->first[i + 1] = st->fresh.count;
	}
	return r;
}

static int stage_apply(struct change *c, struct stage *st, struct change_report *report)
{
	struct file_change *f = (struct file_change *)c;
	_cleanup_(selector_free) struct selector selector = { 0 };
	const char *text = f->options.selector;
	char why[160];
	int r = selector_parse(text ?: "", &selector, why, sizeof(why));

	if (r == -EINVAL)
		errors_add(&report->errors, "-l", (struct pos){ 0 }, "%s", why);
	if (!r)
		r = new_record(f, "apply", st);
	if (!r && text && json_object_set_new(f->record, "selector", json_text(text)))
		r = -ENOMEM;
	if (!r)
		r = stage_files(f, st, &selector, report);
	/* An empty input is a mistake, no order to remove everything. */
	if (!r && f->options.prune && st->fresh.count)
		r = prune(f, st, &selector, report);
	if (!r && errors_fatal(&report->errors))
		r = -EINVAL;
	return r;
}

static int begin_delete(struct file_change *f, const struct stage *st)
{
	int r = new_record(f, "delete", st);

	return r ? r : json_object_set_new(f->record, "objects", json_array()) ? -ENOMEM : 0;
}

static int end_delete(const struct change_report *report)
{
	return errors_fatal(&report->errors) ? -EINVAL : 0;
}

static int stage_delete_files(struct change *c, struct stage *st, struct change_report *report)
{
	struct file_change *f = (struct file_change *)c;
	_cleanup_(parsed_free) struct parsed parsed = { 0 };
	int r = begin_delete(f, st);

	if (!r)
		r = parse_files(f->files, f->count, &parsed, report);
	for (size_t i = 0; !r && i < f->count; i++) {
		for (size_t j = 0; !r && j < parsed.per_file[i].count; j++) {
			struct object_id id = object_id(parsed.per_file[i].items[j]);

			r = stage_delete(st, &id, f->options.ignore_missing, f->record, report);
		}
	}
	return r ? r : end_delete(report);
}

static int stage_delete_objects(struct change *c, struct stage *st, struct change_report *report)
{
	struct file_change *f = (struct file_change *)c;
	int r = begin_delete(f, st);

	for (size_t i = 0; !r && i < f->id_count; i++)
		r = stage_delete(st, &f->ids[i], f->options.ignore_missing, f->record, report);
	return r ? r : end_delete(report);
}

/* ---- the journal ---- */

/* The objects that came with the change are those without a file. `first` is where file i's objects
 * begin in fresh. */
static void settle(struct stage *st, struct store_file **stored, const size_t *first, size_t count)
{
	for (size_t f = 0; f < count; f++) {
		for (size_t i = first[f]; i < first[f + 1]; i++) {
			struct object_id id = object_id(st->fresh.items[i]);
			struct known *k = known_find(st->set, &id);

			if (k && k->object == st->fresh.items[i])
				k->origin = &stored[f]->origin;
		}
	}
}

/* What is known without the change. */
static int save_again(struct file_source *s, struct stage *st)
{
	int r;

	stage_withdraw(st);
	r = engine_save(s->store, s->known);
	stage_again(st);
	return r;
}

/* What a failed append left behind goes with the old journal; nothing is stored until then. */
static int append(struct file_change *f, struct stage *st)
{
	struct file_source *s = f->source;
	int r = store_is_stuck(s->store) ? save_again(s, st) : 0;

	if (!r)
		r = store_append(s->store, f->record, f->change.files, f->change.file_count,
				 f->stored);
	if (r && f->stored)
		memset(f->stored, 0, f->count * sizeof(*f->stored));
	return r;
}

static int store_change(struct change *c, struct stage *st)
{
	struct file_change *f = (struct file_change *)c;
	int r = append(f, st);

	if (!r && f->first)
		settle(st, f->stored, f->first, f->count);
	return r;
}

static void undo_change(struct change *c)
{
	struct file_change *f = (struct file_change *)c;

	if (store_undo(f->source->store))
		log_warning("rules that could not be published are still stored");
}

static void compact(struct change *c, const struct known_set *known)
{
	struct file_source *s = ((struct file_change *)c)->source;
	int r;

	s->known = known;
	if (!store_wants_compaction(s->store))
		return;
	r = engine_save(s->store, known);
	if (r)
		log_err(r, "compact the stored rules");
}

static void free_change(struct change *c)
{
	struct file_change *f = (struct file_change *)c;

	for (size_t i = 0; f->stored && i < f->count; i++)
		origin_unref(f->stored[i] ? &f->stored[i]->origin : NULL);
	free(f->stored);
	free(f->first);
	free(f->ids);
	arena_unref(f->texts);
	json_decref(f->record);
	free(f);
}

/* ---- the source ---- */

static struct file_change *new_change(struct file_source *s,
				      int (*stage)(struct change *c, struct stage *st,
						   struct change_report *report),
				      const struct file_options *options)
{
	struct file_change *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->change = (struct change){ .stage = stage,
				     .store = store_change,
				     .undo = undo_change,
				     .kept = compact,
				     .free = free_change,
				     .source = &s->source,
				     .dry_run = options->dry_run };
	f->source = s;
	f->options = *options;
	return f;
}

struct change *files_apply(struct file_source *s, const struct store_input *files, size_t count,
			   const struct file_options *options)
{
	struct file_change *f = new_change(s, stage_apply, options);

	if (!f)
		return NULL;
	f->files = f->change.files = files;
	f->count = f->change.file_count = count;
	f->stored = calloc(count + 1, sizeof(struct store_file *));
	f->first = calloc(count + 1, sizeof(*f->first));
	if (f->stored && f->first)
		return &f->change;
	free_change(&f->change);
	return NULL;
}

struct change *files_delete(struct file_source *s, const struct store_input *files, size_t count,
			    const struct file_options *options)
{
	struct file_change *f = new_change(s, stage_delete_files, options);

	if (!f)
		return NULL;
	f->files = files;
	f->count = count;
	return &f->change;
}

static int copy_ids(struct file_change *f, const struct object_id *ids, size_t count)
{
	f->ids = calloc(count + 1, sizeof(*f->ids));
	f->texts = arena_new();
	if (!f->ids || !f->texts)
		return -ENOMEM;
	for (f->id_count = 0; f->id_count < count; f->id_count++) {
		const struct object_id *from = &ids[f->id_count];
		struct object_id *to = &f->ids[f->id_count];

		to->kind = from->kind;
		to->name = arena_strdup(f->texts, from->name);
		to->namespace = from->namespace ? arena_strdup(f->texts, from->namespace) : NULL;
		if (!to->name || !to->namespace != !from->namespace)
			return -ENOMEM;
	}
	return 0;
}

struct change *files_delete_objects(struct file_source *s, const struct object_id *ids,
				    size_t count, const struct file_options *options)
{
	struct file_change *f = new_change(s, stage_delete_objects, options);

	if (!f || !copy_ids(f, ids, count))
		return f ? &f->change : NULL;
	free_change(&f->change);
	return NULL;
}

static int load(struct object_source *source, struct known_set *set, struct errors *errors)
{
	struct file_source *s = (struct file_source *)source;

	s->known = set;
	return engine_load(s->store, set, errors);
}

/* Whether what a torn journal comes to may replace what is in force. Once it has been published,
 * what was lost can't be found out any more. */
static int accept_torn(struct object_source *source, const struct known_set *set,
		       uint64_t generation)
{
	struct store *store = ((struct file_source *)source)->store;
	int r;

	if (!store_is_torn(store)) {
		if (store_is_empty(store) && generation)
			log_warning(
				"nothing is stored in the state directory: the rules of generation "
				"%llu, which is in force, go",
				(unsigned long long)generation);
		return 0;
	}
	if (!set->count && generation) {
		log_err(0,
			"nothing is left of the stored rules, but generation %llu is in force: "
			"bring back a copy of rules.journal, or move it away to begin anew",
			(unsigned long long)generation);
		return -EBADMSG;
	}
	r = store_mend(store);
	return r ? log_err(r, "cut off the torn end of the stored rules") : 0;
}

struct file_source file_source(struct store *store)
{
	return (struct file_source){ .source = { .load = load, .accept = accept_torn },
				     .store = store };
}
