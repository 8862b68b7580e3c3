// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "daemon/engine/engine.h"
#include "daemon/source/journal_load.h"
#include "daemon/objects/stage.h"
#include "daemon/engine/engine_warnings.h"
#include "lib/base/json_io.h"
#include "lib/base/log.h"
#include "lib/schema/selector.h"

struct engine {
	struct kernel *kernel;
	struct supervisor *proxy;
	struct store *store;
	struct registry *registry;
	struct known_set known;
	struct tables *tables;
	json_t *warned; /* warnings_set() of the compilation in force */
};

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

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

struct engine *engine_new(struct kernel *kernel, struct supervisor *proxy, struct store *store)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->kernel = kernel;
	e->proxy = proxy;
	e->store = store;
	e->registry = registry_new();
	if (!e->registry) {
		free(e);
		return NULL;
	}
	return e;
}

void engine_free(struct engine *e)
{
	if (!e)
		return;
	if (e->tables)
		tables_free(e->tables);
	for (size_t i = 0; i < e->known.count; i++) {
		object_free(e->known.items[i].object);
		store_file_unref(e->store, e->known.items[i].file);
	}
	known_free(&e->known);
	registry_free(e->registry);
	json_decref(e->warned);
	free(e);
}

void engine_report_free(struct engine_report *report)
{
	json_decref(report->changes);
	errors_free(&report->errors);
	errors_free(&report->skipped);
}

static int list_set(const struct known_set *set, struct objects *out)
{
	struct object **items = malloc((set->count + 1) * sizeof(struct object *));

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++)
		items[i] = set->items[i].object;
	*out = (struct objects){ items, set->count };
	return 0;
}

static int compile_set(struct engine *e, const struct known_set *set, struct tables **out,
		       struct errors *errors)
{
	struct objects objects;
	int r = list_set(set, &objects);

	if (r)
		return r;
	r = compile(&objects, e->registry, out, errors);
	/* A proxy that has rules is not left with them once there are none. */
	if (!r && !(*out)->http && supervisor_snapshot_file(e->proxy) >= 0)
		r = compile_http(*out, &objects, e->registry, errors);
	free(objects.items);
	return r;
}

/* The proxy comes first: it must know what connections are about before it is given any. */
static int publish(struct engine *e, const struct tables *t)
{
	int r = 0;

	if (t->http)
		r = supervisor_snapshot(e->proxy, kernel_generation(e->kernel) + 1, t->http_bytes,
					t->http_size);
	return r ? r : kernel_publish(e->kernel, t);
}

int engine_list(const struct engine *e, struct objects *out)
{
	return list_set(&e->known, out);
}

/* Whether what a torn journal comes to may replace what is in force. Once it has been published
 * nobody can tell any more what was lost. */
static int accept_torn(struct engine *e)
{
	int r;

	if (!store_is_torn(e->store)) {
		if (store_is_empty(e->store) && kernel_generation(e->kernel))
			log_warning(
				"nothing is stored in the state directory: the rules of generation "
				"%llu, which is in force, go",
				(unsigned long long)kernel_generation(e->kernel));
		return 0;
	}
	if (!e->known.count && kernel_generation(e->kernel)) {
		log_err(0,
			"nothing is left of the stored rules, but generation %llu is in force: "
			"bring back a copy of rules.journal, or move it away to begin anew",
			(unsigned long long)kernel_generation(e->kernel));
		return -EBADMSG;
	}
	r = store_mend(e->store);
	return r ? log_err(r, "cut off the torn end of the stored rules") : 0;
}

int engine_start(struct engine *e)
{
	_cleanup_(errors_free) struct errors errors = { 0 };
	int r = engine_load(e->store, &e->known, &errors);

	if (!r)
		r = kernel_adopt(e->kernel, e->registry);
	if (!r)
		r = compile_set(e, &e->known, &e->tables, &errors);
	for (size_t i = 0; i < errors.count; i++)
		log_warning("%s", errors.items[i].text);
	e->warned = warnings_set(&errors);
	if (r)
		return log_err(r, "load the stored rules");
	r = accept_torn(e);
	if (r)
		return r;
	if (!e->known.count && !kernel_generation(e->kernel))
		return 0;
	r = publish(e, e->tables);
	return r ? log_err(r, "publish the stored rules") : 0;
}

static int report_change(struct engine_report *report, const struct object_id *id,
			 const char *change)
{
	if (!report->changes)
		report->changes = json_array();
	return json_array_append_new(report->changes,
				     json_pack("{s:s, s:o, s:o, s:s}", "kind", kind_name(id->kind),
					       "namespace", json_text(id->namespace), "name",
					       json_text(id->name), "change", change))
		       ? -ENOMEM
		       : 0;
}

static int parse_files(const struct store_input *files, size_t count, struct parsed *out,
		       struct engine_report *report)
{
	int r = 0;

	out->per_file = calloc(count + 1, sizeof(*out->per_file));
	if (!out->per_file)
		return -ENOMEM;
	out->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct parse_options how = { .namespace = files[i].namespace };
		int bad = rules_parse_with(&how, files[i].name, files[i].bytes, files[i].size,
					   &out->per_file[i], &report->errors, &report->skipped);

		if (bad && (!r || bad != -EINVAL))
			r = bad;
	}
	return r;
}

/* Takes over `o`. */
static int stage_object(struct stage *st, struct object *o, struct engine_report *report)
{
	struct object_id id = object_id(o);
	const char *change;
	/* stage_put() may free the object, and with it its name. */
	int r = report_change(report, &id, "");

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
		      struct engine_report *report)
{
	int r = 0;

	for (size_t i = 0; !r && i < objects->count; i++)
		if (selector_matches(selector, &objects->items[i]->meta.labels))
			r = stage_object(st, TAKE_PTR(objects->items[i]), report);
	return r;
}

/* The objects that came with the change are those without a file. `first` is where file i's objects
 * begin in fresh. */
static void settle(struct stage *st, struct store_file **stored, const size_t *first, size_t count)
{
	for (size_t f = 0; f < count; f++) {
		for (size_t i = first[f]; i < first[f + 1]; i++) {
			struct object_id id = object_id(st->fresh.items[i]);
			struct known *k = known_find(&st->set, &id);

			if (k && k->object == st->fresh.items[i])
				k->file = stored[f];
		}
	}
}

static json_t *record_of(const char *type)
{
	return json_pack("{s:s, s:I}", "type", type, "time", (json_int_t)time(NULL));
}

static void compact(struct engine *e)
{
	int r;

	if (!store_wants_compaction(e->store))
		return;
	r = engine_save(e->store, &e->known);
	if (r)
		log_err(r, "compact the stored rules");
}

/* What a failed append left behind goes with the old journal; nothing is stored until then. */
static int append(struct engine *e, json_t *record, const struct store_input *files, size_t count,
		  struct store_file **stored)
{
	int r = store_is_stuck(e->store) ? engine_save(e->store, &e->known) : 0;

	return r ? r : store_append(e->store, record, files, count, stored);
}

/* Tells both the log and whoever asked for the change. */
static int failed(struct errors *errors, int r, const char *what)
{
	errors_add(errors, "weftd", (struct pos){ 0 }, "%s: %s", what, strerror(-r));
	return log_err(r, "%s", what);
}

/* Publishes what has been stored and makes it the engine's own; else takes it back. Takes over
 * `tables`. */
static int put_into_force(struct engine *e, struct stage *st, struct tables *tables,
			  struct errors *errors)
{
	int r = publish(e, tables);

	if (r) {
		tables_free(tables);
		if (e->tables && e->tables->http &&
		    supervisor_snapshot(e->proxy, kernel_generation(e->kernel),
					e->tables->http_bytes, e->tables->http_size))
			log_warning("weft-proxy keeps rules that could not be published");
		if (store_undo(e->store))
			log_warning("rules that could not be published are still stored");
		return failed(errors, r, "the rules could not be put into the kernel");
	}
	/* The tables point into the objects that go. */
	if (e->tables)
		tables_free(e->tables);
	e->tables = tables;
	stage_keep(st, &e->known, e->store);
	return 0;
}

/* Compiles, stores and publishes what is staged. `first` is NULL when no files come with it. */
static int commit(struct engine *e, struct stage *st, json_t *record,
		  const struct store_input *files, const size_t *first, size_t count, bool dry_run,
		  struct errors *errors)
{
	_cleanup_free_ struct store_file **stored = calloc(count + 1, sizeof(struct store_file *));
	_cleanup_(json_decrefp) json_t *warned = NULL;
	struct tables *tables = NULL;
	double start = now_ms(), compiled, kept;
	int r = stored && record ? compile_set(e, &st->set, &tables, errors) : -ENOMEM;

	warned = warnings_set(errors);
	warnings_filter(errors, e->warned, files, count);
	if (!r && dry_run)
		tables_free(tables);
	if (r || dry_run)
		return r;
	compiled = now_ms();
	r = append(e, record, files, count, stored);
	if (r) {
		tables_free(tables);
		return failed(errors, r, "the rules could not be stored");
	}
	kept = now_ms();
	if (first)
		settle(st, stored, first, count);
	r = put_into_force(e, st, tables, errors);
	for (size_t i = 0; i < count; i++)
		store_file_unref(e->store, stored[i]);
	if (r)
		return r;
	json_decref(e->warned);
	e->warned = TAKE_PTR(warned);
	log_debug("%zu objects: compiled in %.1f ms, stored in %.1f ms, published in %.1f ms",
		  e->known.count, compiled - start, kept - compiled, now_ms() - kept);
	compact(e);
	return 0;
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
			json_t *record, struct engine_report *report)
{
	/* Told before the object goes: the identity may be part of it. */
	int r = known_find(&st->set, id) ? report_change(report, id, "deleted") : -ENOENT;

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

static bool may_prune(const struct object *o, const struct engine_options *options,
		      const json_t *visited)
{
	const char *namespace = o->meta.namespace;

	if (options->namespace)
		return namespace && strcmp(namespace, options->namespace) == 0;
	return options->prune == ENGINE_PRUNE_ALL || !namespace ||
	       json_object_get(visited, namespace);
}

/* Known objects that the input did not bring are those that are stored already. */
static int prune(struct stage *st, const struct selector *selector,
		 const struct engine_options *options, json_t *record, struct engine_report *report)
{
	_cleanup_(json_decrefp) json_t *visited = visited_namespaces(st);
	int r = json_object_set_new(record, "objects", json_array());

	for (size_t i = 0; !r && i < st->set.count; i++) {
		struct known *k = &st->set.items[i];
		struct object_id id = object_id(k->object);

		if (!k->file || !selector_matches(selector, &k->object->meta.labels) ||
		    !may_prune(k->object, options, visited))
			continue;
		r = report_change(report, &id, "pruned");
		if (!r)
			r = add_id(record, &id);
		if (!r)
			r = stage_remove(st, &id);
	}
	return r ? r : stage_seal(st);
}

static int parse_selector(const struct engine_options *options, struct selector *out,
			  struct engine_report *report)
{
	char why[160];
	int r = selector_parse(options->selector ?: "", out, why, sizeof(why));

	if (r == -EINVAL)
		errors_add(&report->errors, "-l", (struct pos){ 0 }, "%s", why);
	return r;
}

int engine_apply(struct engine *e, const struct store_input *files, size_t count,
		 const struct engine_options *options, struct engine_report *report)
{
	_cleanup_(json_decrefp) json_t *record = record_of("apply");
	_cleanup_free_ size_t *first = calloc(count + 1, sizeof(size_t));
	_cleanup_(selector_free) struct selector selector = { 0 };
	_cleanup_(parsed_free) struct parsed parsed = { 0 };
	_cleanup_(stage_drop) struct stage st = { 0 };
	int r = record && first ? parse_selector(options, &selector, report) : -ENOMEM;

	if (!r)
		r = parse_files(files, count, &parsed, report);
	if (!r)
		r = stage_init(&st, &e->known);
	for (size_t i = 0; !r && i < count; i++) {
		first[i] = st.fresh.count;
		r = stage_file(&st, &parsed.per_file[i], &selector, report);
		first[i + 1] = st.fresh.count;
	}
	if (!r && options->selector)
		r = json_object_set_new(record, "selector", json_text(options->selector));
	/* An empty input is a mistake, no order to remove everything. */
	if (!r && options->prune && st.fresh.count)
		r = prune(&st, &selector, options, record, report);
	if (r || !st.dirty)
		return r;
	return commit(e, &st, record, files, first, count, options->dry_run, &report->errors);
}

int engine_delete(struct engine *e, const struct object_id *ids, size_t count,
		  const struct engine_options *options, struct engine_report *report)
{
	_cleanup_(json_decrefp) json_t *record = record_of("delete");
	_cleanup_(stage_drop) struct stage st = { 0 };
	int r = record ? json_object_set_new(record, "objects", json_array()) : -ENOMEM;

	if (!r)
		r = stage_init(&st, &e->known);
	for (size_t i = 0; !r && i < count; i++)
		r = stage_delete(&st, &ids[i], options->ignore_missing, record, report);
	if (!r && errors_fatal(&report->errors))
		r = -EINVAL;
	if (!r)
		r = stage_seal(&st);
	if (r || !st.dirty)
		return r;
	return commit(e, &st, record, NULL, NULL, 0, options->dry_run, &report->errors);
}

int engine_delete_files(struct engine *e, const struct store_input *files, size_t count,
			const struct engine_options *options, struct engine_report *report)
{
	_cleanup_(parsed_free) struct parsed parsed = { 0 };
	_cleanup_free_ struct object_id *ids = NULL;
	size_t total = 0, used = 0;
	int r = parse_files(files, count, &parsed, report);

	if (r)
		return r;
	for (size_t i = 0; i < count; i++)
		total += parsed.per_file[i].count;
	ids = calloc(total + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < parsed.per_file[i].count; j++)
			ids[used++] = object_id(parsed.per_file[i].items[j]);
	return engine_delete(e, ids, used, options, report);
}

int engine_analyze(struct engine *e, struct errors *warnings)
{
	struct tables *tables;
	int r = compile_set(e, &e->known, &tables, warnings);

	if (!r)
		tables_free(tables);
	return r;
}

int engine_tidy(struct engine *e)
{
	int r = e->tables ? kernel_forget(e->kernel, e->tables) : 0;

	return r < 0 ? log_err(r, "drop old counters") : r;
}

const struct known_set *engine_objects(const struct engine *e)
{
	return &e->known;
}

const struct tables *engine_tables(const struct engine *e)
{
	return e->tables;
}

struct registry *engine_registry(const struct engine *e)
{
	return e->registry;
}
